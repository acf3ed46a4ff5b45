"""A study on disk: whole or not at all, and the same bytes whatever the order of its making."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sim import output, results
from sim.analysis.records import ATTEMPT_ROWS, CONTENTIONS, conform
from sim.output import ResultsError
from tests.analysis.build import MS, Builder, S, write_study
from tests.small import arguments

CONFLICT = "lease_conflict"
WINDOW_US = (0, 10 * S)
KEPT = {
    "study.json", "frequency.csv", "recovery.csv", "outcomes.csv", "attempts.csv", "rivals.csv",
    "contentions.parquet", "intents.parquet", "executions.parquet", "series.parquet", "host.json",
    "paired.csv", "pareto.csv",
}  # fmt: skip


def made(arm, replication):
    """A run that differs from every other."""
    build = Builder(arm, replication)
    for number in range(5 + replication):
        intent = build.intent(
            number, number + (replication + 1) * MS, actor=f"worker/{number % 2}", attempts=2
        )
        build.contention(CONFLICT, number + 1, intent, actor=f"worker/{number % 2}", execution=number)
        build.execution(number, number + S if number else None)
    build.attempt(count=50)
    return build.run()


RUNS = [made(arm, replication) for arm in ("naive", "documented") for replication in range(3)]


def manifest_of(runs=RUNS, **changes):
    given = {
        "name": "storm",
        "scenario": {"about": "A storm.", "workers": {"count": 4}},
        "arms": {"naive": {"retry": "naive"}, "documented": {}},
        "seeds": [1],
        "replications": 3,
        "window_us": WINDOW_US,
    }
    return output.Manifest(**(given | changes))


def files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def make(out, runs=RUNS, **changes):
    manifest = manifest_of(**changes)
    partial = output.begin(out, manifest)
    for run in runs:
        output.write_part(partial, run, run.window_us)
    return output.assemble(partial, manifest, host={"seconds": 1})


# --- identity -------------------------------------------------------------------------------------


def test_a_study_has_the_same_identity_for_ever():
    """The identity is in paths and papers: this one may only change with the version."""
    identity = output.study_id({"b": 1.5, "a": ["é"]}, {"documented": {}}, [1, 2], made_by="0.1.0")
    assert identity == "314260fc2fed88de"


def test_the_order_of_a_scenarios_keys_does_not_count_and_all_else_does():
    known = output.study_id({"a": 1, "b": 2}, {"x": 1, "y": 2}, [1], "1")
    assert output.study_id({"b": 2, "a": 1}, {"x": 1, "y": 2}, [1], "1") == known
    others = [
        output.study_id({"a": 1, "b": 3}, {"x": 1, "y": 2}, [1], "1"),
        output.study_id({"a": 1, "b": 2}, {"y": 2, "x": 1}, [1], "1"),
        output.study_id({"a": 1, "b": 2}, {"x": 1, "y": 2}, [2], "1"),
        output.study_id({"a": 1, "b": 2}, {"x": 1, "y": 2}, [1], "2"),
    ]
    assert len({known, *others}) == 5


def test_the_folder_is_named_after_scenario_and_identity(tmp_path):
    assert make(tmp_path) == tmp_path / "storm" / manifest_of().study_id


@pytest.mark.parametrize("name", ["", "..", "a/b"])
def test_a_name_that_is_no_folder_is_refused(tmp_path, name):
    with pytest.raises(ResultsError, match="cannot be the name of a folder"):
        output.begin(tmp_path, manifest_of(name=name))
    assert list(tmp_path.iterdir()) == []


# --- the bytes ------------------------------------------------------------------------------------


def test_the_order_of_completion_leaves_no_trace(tmp_path):
    first = files(make(tmp_path / "a", RUNS))
    second = files(make(tmp_path / "b", RUNS[::-1]))
    assert set(first) == KEPT
    assert first == second


def test_rows_come_by_arm_and_replication_as_the_study_names_them(tmp_path):
    table = pq.read_table(make(tmp_path, RUNS[::-1]) / "contentions.parquet").to_pandas()
    runs = table[["arm", "replication"]].astype({"arm": str}).drop_duplicates()
    assert runs.to_numpy().tolist() == [[run.arm, run.replication] for run in RUNS]
    assert table["seq"].tolist() == [n for run in RUNS for n in range(5 + run.replication)]


def test_blocks_in_which_a_run_was_recorded_leave_no_trace(tmp_path):
    run = RUNS[0]
    halves = [run.contentions.slice(0, 1), run.contentions.slice(1)]
    place = run.contentions.column_names.index("actor")
    encoded = [
        half.set_column(place, "actor", half["actor"].combine_chunks().dictionary_encode()) for half in halves
    ]
    assert encoded[0]["actor"].chunk(0).dictionary != encoded[1]["actor"].chunk(0).dictionary
    split = run._replace(contentions=pa.concat_tables(encoded))
    one = {"replications": 1, "arms": {"naive": {}}}
    assert files(make(tmp_path / "a", [run], **one)) == files(make(tmp_path / "b", [split], **one))


def test_columns_and_types_are_those_that_are_documented(tmp_path):
    folder = make(tmp_path)
    schema = pq.read_schema(folder / "contentions.parquet")
    assert ", ".join(schema.names) == (
        "arm, replication, seq, sent_us, arrived_us, done_us, actor, actor_kind, op, code, kind, execution, "
        "flow, waitpoint, intent, root, nth, action, delay_us, rival_actor, rival_op, rival_age_us, in_window"
    )
    assert schema.equals(CONTENTIONS)
    assert pq.ParquetFile(folder / "intents.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_missing_column_and_a_null_where_none_can_be_are_errors():
    table = RUNS[0].contentions
    with pytest.raises(KeyError, match="done_us"):
        conform(table.drop_columns("done_us"), CONTENTIONS, "naive", 0)
    without = table.set_column(table.column_names.index("kind"), "kind", table["flow"].cast("string"))
    with pytest.raises(ValueError, match="column kind of a run of naive has nulls"):
        conform(without, CONTENTIONS, "naive", 0)


def test_the_manifest_tells_everything_but_the_time_it_took(tmp_path):
    manifest = manifest_of()
    partial = output.begin(tmp_path, manifest)
    for run in RUNS:
        output.write_part(partial, run, run.window_us)
    folder = output.assemble(
        partial, manifest, host=output.host_facts(2.5, 4), faults=[{"crash": 3}], expectations=[{"met": True}]
    )
    document = json.loads((folder / "study.json").read_text())
    assert document["versions"] == {"contention-sim": output.version(), "format": 3}
    assert document["arms"] == [
        {"arm": "naive", "policy": {"retry": "naive"}},
        {"arm": "documented", "policy": {}},
    ]
    assert (document["seeds"], document["replications"], document["window_us"]) == ([1], 3, [0, 10 * S])
    assert [run["fingerprint"] for run in document["runs"]] == [run.fingerprint for run in RUNS]
    assert document["runs"][2]["rows"] == {"contentions": 7, "intents": 7, "executions": 7, "series": 0}
    assert (document["faults"], document["expectations"]) == ([{"crash": 3}], [{"met": True}])
    assert document["scenario"] == dict(manifest.scenario)
    host = json.loads((folder / "host.json").read_text())
    assert (host["seconds"], host["jobs"]) == (2.5, 4)
    assert {"python", "numpy", "platform", "cpu_count"} <= set(host)


def test_the_study_fingerprint_is_that_of_its_runs(tmp_path):
    def fingerprint(out, runs):
        return json.loads((make(out, runs) / "study.json").read_text())["fingerprint"]

    known = fingerprint(tmp_path / "a", RUNS)
    assert fingerprint(tmp_path / "b", RUNS[::-1]) == known
    other = [RUNS[0]._replace(fingerprint="0" * 64), *RUNS[1:]]
    assert fingerprint(tmp_path / "c", other) != known


def test_counts_in_the_tables_are_found_again_in_the_records(tmp_path):
    folder = make(tmp_path)
    records = pd.read_parquet(folder / "contentions.parquet")
    frequency = pd.read_csv(folder / "frequency.csv").set_index(["arm", "kind"])
    inside = records.loc[records["in_window"]]
    for arm in ("naive", "documented"):
        assert frequency.loc[(arm, CONFLICT), "count"] == (inside["arm"] == arm).sum() == 18


# --- whole or not at all --------------------------------------------------------------------------


def test_a_finished_study_leaves_nothing_else_behind(tmp_path):
    folder = make(tmp_path)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_interrupted_study_goes_on_from_its_finished_parts(tmp_path):
    manifest = manifest_of()
    partial = output.begin(tmp_path, manifest)
    output.write_part(partial, RUNS[4], WINDOW_US, {"faults": ["crash"]})
    output.write_part(partial, RUNS[1], WINDOW_US)
    (partial / "parts" / ".half-written").mkdir()
    again = output.begin(tmp_path, manifest)
    assert output.finished_parts(again) == {("documented", 1): {"faults": ["crash"]}, ("naive", 1): {}}
    for run in RUNS:
        if (run.arm, run.replication) not in output.finished_parts(again):
            output.write_part(again, run, run.window_us)
    folder = output.assemble(again, manifest, host={"seconds": 1})
    assert files(folder) == files(make(tmp_path / "uninterrupted"))


def test_a_part_that_cannot_be_finished_leaves_none(tmp_path, monkeypatch):
    partial = output.begin(tmp_path, manifest_of())

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(output, "_write_json", full)
    with pytest.raises(ResultsError, match=r"cannot write results to .*: the disk is full"):
        output.write_part(partial, RUNS[0], WINDOW_US)
    assert output.finished_parts(partial) == {}
    assert [path.name for path in partial.iterdir()] == ["parts"]


def test_a_study_that_cannot_be_finished_keeps_its_parts_and_the_earlier_study(tmp_path, monkeypatch):
    folder = make(tmp_path)
    before = files(folder)
    manifest = manifest_of()
    partial = output.begin(tmp_path, manifest)
    for run in RUNS:
        output.write_part(partial, run, run.window_us)
    rename = Path.rename

    def failing(self, target):
        if target == folder and self.suffix != ".earlier":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(ResultsError, match="Input/output error"):
        output.assemble(partial, manifest, host={})
    assert files(folder) == before
    assert len(output.finished_parts(partial)) == 6


def test_a_repetition_replaces_the_study_and_what_was_added_to_it(tmp_path):
    folder = make(tmp_path)
    (folder / "plots").mkdir()
    again = make(tmp_path)
    assert again == folder
    assert set(files(again)) == KEPT


def test_replications_that_are_missing_are_named(tmp_path):
    manifest = manifest_of()
    partial = output.begin(tmp_path, manifest)
    for run in RUNS[1:]:
        output.write_part(partial, run, run.window_us)
    with pytest.raises(ResultsError, match=r"1 of 6 replications are missing \(naive/0"):
        output.assemble(partial, manifest, host={})
    assert not (tmp_path / "storm" / manifest.study_id).exists()


def test_a_run_without_contention_makes_a_study(tmp_path):
    study = write_study(tmp_path, [Builder().run()])
    assert study.frequency()["count"].sum() == 0
    assert len(study.contentions()) == 0


def test_an_arm_may_be_called_anything(tmp_path):
    study = write_study(tmp_path, [Builder("mine/policy:Class", 0).run(), Builder("null", 0).run()])
    assert study.arms == ["mine/policy:Class", "null"]
    assert study.frequency()["arm"].unique().tolist() == study.arms


# --- attempts on request --------------------------------------------------------------------------


def with_attempts(run):
    names = {
        "actor": "worker/0",
        "actor_kind": "worker",
        "op": "claim_execution",
        "answer": "ok",
        "code": "OK",
    }
    rows = [
        {
            "sent_us": at, "arrived_us": None, "done_us": at + 3, **names, "kind": None, "execution": at,
            "intent": None, "in_window": True,
        }
        for at in range(2 + run.replication)
    ]  # fmt: skip
    fields = [field for field in ATTEMPT_ROWS if field.name not in ("arm", "replication")]
    types = {f.name: pa.string() if pa.types.is_dictionary(f.type) else f.type for f in fields}
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
    return run._replace(attempt_rows=pa.table(columns))


def test_attempts_that_were_kept_are_written_and_read_and_leave_the_identity_as_it_is(tmp_path):
    folder = make(tmp_path, [with_attempts(run) for run in RUNS], keep_attempts=True)
    assert set(files(folder)) == KEPT | {"attempts.parquet"}
    assert folder.name == manifest_of().study_id
    rows = results.open(folder).attempts()
    assert rows["sent_us"].tolist() == [0, 1, 0, 1, 2, 0, 1, 2, 3] * 2
    assert pq.read_schema(folder / "attempts.parquet").equals(ATTEMPT_ROWS)


def test_a_study_that_is_to_keep_attempts_does_not_go_on_from_parts_without_them(tmp_path):
    partial = output.begin(tmp_path, manifest_of())
    output.write_part(partial, with_attempts(RUNS[0]), WINDOW_US)
    output.write_part(partial, RUNS[1], WINDOW_US)
    assert list(output.finished_parts(partial, keep_attempts=True)) == [("naive", 0)]
    assert list(output.finished_parts(partial)) == [("naive", 0), ("naive", 1)]


def test_attempts_are_left_out_where_nobody_asked_for_them(tmp_path):
    first = files(make(tmp_path / "a", [with_attempts(run) for run in RUNS]))
    assert first == files(make(tmp_path / "b"))


# --- places that cannot be written ----------------------------------------------------------------


def test_a_folder_that_is_no_study_is_not_replaced(tmp_path):
    manifest = manifest_of()
    place = tmp_path / "storm" / manifest.study_id
    place.mkdir(parents=True)
    (place / "thesis.txt").write_text("the only copy")
    with pytest.raises(ResultsError, match="exists and is no study: it is not replaced"):
        output.begin(tmp_path, manifest)
    assert (place / "thesis.txt").read_text() == "the only copy"


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(ResultsError, match="results: a part of the path is a file, not a folder"):
        output.begin(tmp_path / "results", manifest_of())


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EROFS, "read-only"), (errno.EACCES, "permission denied")]
)
def test_a_place_that_cannot_be_written_is_found_before_the_run(tmp_path, monkeypatch, number, words):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ResultsError, match=f"{words}.*choose another --out"):
        output.begin(tmp_path, manifest_of())


# --- a disk that is full ------------------------------------------------------------------------


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv = ["contention-sim", *sys.argv[2:]]
from sim.cli import main
main()
"""


@pytest.mark.parametrize("size", [1_000, 20_000])
def test_a_file_that_cannot_grow_ends_the_study_with_one_message(tmp_path, size):
    """A limit on the size of files, met within a part: exit 2, no traceback, no part that is half there."""
    command = [sys.executable, "-c", LIMITED, str(size), "run", "claim_storm", "--no-plots"]
    command += ["--replications", "1", "--out", str(tmp_path), "--set", "horizon.run=4s", *arguments()[2:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cannot write results to ")
    assert "File too large" in done.stderr or "too large" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not [path for path in tmp_path.glob("**/parts/*") if not path.name.startswith(".")]
    assert not list(tmp_path.glob("**/study.json"))


@pytest.mark.parametrize("name", ["_parquet", "_write_json"])
def test_a_full_disk_leaves_no_half_written_study(tmp_path, monkeypatch, name):
    """Whichever file finds the disk full: the message says so, the parts are kept, the study comes later."""
    manifest = manifest_of()
    partial = output.begin(tmp_path, manifest)
    for run in RUNS:
        output.write_part(partial, run, run.window_us)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(output, name, full)
        with pytest.raises(ResultsError, match="the disk is full: make room, then run the same command"):
            output.assemble(partial, manifest, host={})
    assert len(output.finished_parts(partial)) == 6
    assert not list(tmp_path.glob("**/study.json"))
    assert files(output.assemble(partial, manifest, host={"seconds": 1})) == files(make(tmp_path / "other"))


def test_parts_that_cannot_be_read_are_named(tmp_path):
    """A file stands where the folder of parts was: the message names the place."""
    partial = output.begin(tmp_path, manifest_of())
    (partial / "parts").rmdir()
    (partial / "parts").write_text("")
    with pytest.raises(ResultsError, match=r"cannot read .*\.partial: a part of the path is a file"):
        output.finished_parts(partial)
