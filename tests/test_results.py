"""A study read back: what was written, in the shapes that are documented."""

import json
import math
import subprocess
import sys

import pandas as pd
import pytest

import sim
from sim import output, results
from sim.analysis.frequency import KIND_NAMES
from sim.analysis.recovery import episodes, recovery
from sim.output import ResultsError
from tests.analysis.build import MS, Builder, S, write_study

CONFLICT, EXPIRED, EMPTY = "lease_conflict", "claim_grant_expired", "no_eligible_execution"


def made(arm, replication):
    """60 conflicts that recover, 2 expired grants that do not, one empty scan without an intent."""
    build = Builder(arm, replication, window_us=(S, 11 * S))
    for number in range(60):
        at_us = S + number * MS
        build.contention(
            CONFLICT, at_us, build.intent(at_us, at_us + (number + 1) * MS, attempts=2), execution=number
        )
        build.execution(at_us, at_us + S)
    build.contention(EXPIRED, 2 * S, build.intent(2 * S, 3 * S, "abandoned", cause="policy"))
    build.contention(EXPIRED, 2 * S, build.intent(2 * S, 12 * S, "open"))
    build.contention(EMPTY, 3 * S, op="read_eligible", actor_kind="scheduler")
    build.attempt(count=137)
    return build.run()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    runs = [made(arm, replication) for arm in ("naive", "documented") for replication in range(2)]
    return write_study(tmp_path_factory.mktemp("out"), runs)


def test_a_study_tells_what_was_run(study):
    assert (study.name, study.about, study.arms) == ("handmade", "Made by hand.", ["naive", "documented"])
    assert (study.replications, study.seeds, study.window_us, study.window_s) == (2, [7], (S, 11 * S), 10.0)
    assert study.policies == {"naive": {"policy": "naive"}, "documented": {"policy": "documented"}}
    assert study.directory.name == study.study_id
    assert study.kinds == [CONFLICT, EXPIRED, EMPTY]
    assert len(study.fingerprint) == 64


def test_frequency_is_the_table_of_all_kinds(study):
    table = study.frequency().set_index(["arm", "kind"])
    assert len(table) == 36
    row = table.loc["documented", CONFLICT]
    assert (row["count"], row["mean"], row["per_1000_attempts"], row["per_execution"]) == (
        120,
        6.0,
        300.0,
        1.0,
    )
    assert (row["intents_met"], row["share_of_intents"]) == (120, 120 / 124)
    assert table.loc[("documented", EMPTY), ["count", "intents_met"]].tolist() == [2, 0]


def test_frequency_by_other_columns_comes_from_the_records(study):
    table = study.frequency(by=["actor_kind", "op"])
    assert table.loc[table["arm"] == "naive", ["actor_kind", "op", "count"]].to_numpy().tolist() == [
        ["worker", "claim_execution", 124],
        ["scheduler", "read_eligible", 2],
    ]
    assert study.frequency("op").columns.tolist() == [
        "arm", "op", "count", "mean", "ci_low", "ci_high", "interval", "per_1000_attempts",
    ]  # fmt: skip


def test_frequency_by_kind_alone_and_with_others_agree(study):
    by_both = study.frequency(["kind", "op"]).groupby(["arm", "kind"])["count"].sum()
    plain = study.frequency().set_index(["arm", "kind"])["count"]
    assert by_both.to_dict() == plain[plain > 0].to_dict()


def test_frequency_over_time(study):
    table = study.frequency_over_time(1.0)
    assert (
        table.loc[table["kind"] == CONFLICT, ["from_s", "count", "per_s"]].to_numpy().tolist()
        == [[1, 120, 60]] * 2
    )


def test_recovery_from_disk_is_recovery_from_the_records(study):
    computed = recovery(episodes(study.contentions(), study.intents()), study.arms)
    pd.testing.assert_frame_equal(study.recovery(), computed, check_dtype=False)
    row = study.recovery().set_index(["arm", "kind"]).loc["naive", CONFLICT]
    assert row[["recovered", "p50", "p90", "p99_status"]].tolist() == [120, 30.0, 54.0, "too few"]


def test_episodes_are_read_run_by_run(study):
    pd.testing.assert_frame_equal(
        study.episodes().sort_values(["arm", "replication", "since_us", "root"]).reset_index(drop=True),
        episodes(study.contentions(), study.intents()),
        check_dtype=False,
    )


def test_intervals_of_recovery_are_the_same_every_time(study):
    table = study.recovery(intervals=True)
    assert table.equals(results.open(study.directory).recovery(intervals=True))
    row = table.set_index(["arm", "kind"]).loc["naive", CONFLICT]
    assert (row["p50_low"], row["p50_high"]) == (30.0, 30.0)


def test_outcomes_are_a_row_a_run(study):
    table = study.outcomes()
    assert table[["arm", "replication"]].to_numpy().tolist() == [
        ["naive", 0], ["naive", 1], ["documented", 0], ["documented", 1],
    ]  # fmt: skip
    assert set(table["attempts"]) == {200}
    assert set(table["goodput_per_s"]) == {6.0}
    assert study.summary().set_index(["arm", "measure"]).loc[("naive", "goodput_per_s"), "mean"] == 6.0


def test_records_keep_their_types(study):
    contentions = study.contentions()
    assert len(contentions) == 4 * 63
    assert contentions["kind"].dtype == "category"
    assert contentions["root"].dtype == "Int64"
    assert contentions["done_us"].dtype == "int64"
    assert contentions["execution"].isna().sum() == 4 * 3
    assert study.intents(["goal", "end_us"]).columns.tolist() == ["goal", "end_us"]
    assert study.executions()["finished_us"].tolist() == (study.executions()["created_us"] + S).tolist()


def test_attempts_are_counts_unless_they_were_kept(study):
    with pytest.raises(ResultsError, match="run it again with --keep-attempts"):
        study.attempts()
    table = study.attempt_counts()
    assert table.groupby("arm")["count"].sum().to_dict() == {"naive": 400, "documented": 400}
    assert table.loc[table["answer"] == "ok", "kind"].isna().all()


def test_what_a_table_gives_is_the_callers_own(study):
    for table in (study.frequency(), study.episodes()):
        table.loc[:, ["count" if "count" in table else "latency_us"]] = -1
    assert study.frequency()["count"].min() == 0
    assert study.episodes()["latency_us"].min() > 0


# --- the JSON document ----------------------------------------------------------------------------


def test_the_document_is_json_and_lists_every_kind(study):
    document = json.loads(json.dumps(study.as_dict(), allow_nan=False))
    assert document["scenario"] == "handmade"
    assert document["study_id"] == study.study_id
    assert document["fingerprint"] == study.fingerprint
    assert document["directory"] == str(study.directory)
    assert [arm["arm"] for arm in document["arms"]] == ["naive", "documented"]
    for arm in document["arms"]:
        assert [kind["kind"] for kind in arm["kinds"]] == KIND_NAMES
        assert (arm["attempts"], arm["completed"], arm["goodput_per_s"]) == (400, 120, 6.0)
        assert arm["amplification"] == pytest.approx(122 / 60)


def test_the_document_of_a_kind(study):
    kinds = {kind["kind"]: kind for kind in study.as_dict()["arms"][1]["kinds"]}
    conflict, expired, never = kinds[CONFLICT], kinds[EXPIRED], kinds["retry_exhausted"]
    assert (conflict["count"], conflict["per_1000_attempts"], conflict["recovered"]) == (120, 300.0, 120)
    assert conflict["per_s"] == {"mean": 6.0, "ci_low": 6.0, "ci_high": 6.0, "interval": "t"}
    assert conflict["recovery_ms"] == {"p50": 30.0, "p90": 54.0, "p99": None}
    assert conflict["recovery_status"] == {"p50": "ok", "p90": "ok", "p99": "too few"}
    assert [expired[end] for end in ("recovered", "satisfied", "abandoned", "open")] == [0, 0, 2, 2]
    assert never["per_s"] == {"mean": 0.0, "ci_low": 0.0, "ci_high": 0.15, "interval": "rule-of-three"}
    assert never["recovery_ms"] == {"p50": None, "p90": None, "p99": None}


def test_it_says_what_it_is_in_a_line_and_in_a_notebook(study):
    assert repr(study) == f"<Study handmade/{study.study_id}: naive, documented; 2 replications of 10 s>"
    page = study._repr_html_()
    assert "lease_conflict" in page
    assert "retry_exhausted" not in page
    assert "&lt;Study handmade" in page


# --- what cannot be opened ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere", "there is no such folder"),
        ("empty", "is not a study: it has no study.json"),
        ("storm/abc.partial", "is an unfinished study: run the same command again"),
    ],
)
def test_what_is_no_study_is_refused_in_words(tmp_path, path, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "storm" / "abc.partial").mkdir(parents=True)
    with pytest.raises(ResultsError, match=words):
        results.open(tmp_path / path)


def test_a_folder_of_studies_names_them(study):
    with pytest.raises(ResultsError, match=f"holds {study.directory}: give one of them"):
        results.open(study.directory.parent.parent)


@pytest.mark.parametrize(("file", "what"), [("study.json", "scenario"), ("sweep.json", "sweep")])
def test_another_format_is_refused_with_its_version(tmp_path, file, what):
    document = {"versions": {"contention-sim": "9.1", "format": 99}}
    (tmp_path / file).write_text(json.dumps(document))
    with pytest.raises(ResultsError) as refused:
        sim.open(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path} was written by contention-sim 9.1 in format 99, and this one reads format 3: open it "
        f"with that version, or run the {what} again"
    )


@pytest.mark.parametrize("text", ["[]", "{}", '{"name": "someone else\'s"}'])
def test_someone_elses_study_json_is_refused(tmp_path, text):
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(ResultsError, match="an unknown version"):
        results.open(tmp_path)


def test_a_damaged_study_is_refused_in_words(tmp_path):
    folder = write_study(tmp_path, [made("naive", 0)]).directory
    (folder / "frequency.csv").unlink()
    (folder / "contentions.parquet").write_bytes(b"PAR1 torn")
    (tmp_path / "study.json").write_text("{torn")
    with pytest.raises(ResultsError, match=r"is incomplete: .*frequency.csv is missing"):
        results.open(folder).frequency()
    with pytest.raises(ResultsError, match="cannot be read"):
        results.open(folder).contentions()
    with pytest.raises(ResultsError, match="cannot be read"):
        results.open(tmp_path)


def test_opening_a_study_needs_no_simulator_and_no_heavy_library(study):
    program = (
        "import sys; from sim import results\n"
        f"study = results.open({str(study.directory)!r}); study.frequency(); study.recovery()\n"
        "study.as_dict()\n"
        "print([name for name in ('simpy', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unfinished_execution_has_no_sojourn(tmp_path):
    build = Builder()
    build.execution(0)
    arm = write_study(tmp_path, [build.run()]).as_dict()["arms"][0]
    assert (arm["unfinished"], arm["sojourn_ms"]["mean"], arm["amplification"]) == (1, None, None)
    assert not any(isinstance(value, float) and math.isnan(value) for value in arm.values())
    assert output.FORMAT == 3


# --- comparison -----------------------------------------------------------------------------------


def test_a_study_of_two_arms_compares_them_with_the_first(study):
    table = study.paired()
    assert (study.baseline, table["baseline"].unique().tolist(), table["arm"].unique().tolist()) == (
        "naive", ["naive"], ["documented"],
    )  # fmt: skip
    assert [verdict["text"] for verdict in study.verdicts()][:2] == [
        "completed is the same in every replication",
        "attempts is the same in every replication",
    ]
    assert study.pareto()["on_front"].all()
    assert study.as_dict()["comparison"]["baseline"] == "naive"


def test_any_two_arms_can_be_compared_later(study):
    pd.testing.assert_frame_equal(study.paired("naive", "documented"), study.paired(), check_dtype=False)
    back = study.paired("documented", "naive")
    assert (back["baseline"] == "documented").all()


def test_an_arm_that_there_is_not_cannot_be_compared(study):
    with pytest.raises(ResultsError, match=r"no arm 'full'; it has naive, documented"):
        study.paired("naive", "full")


def test_one_arm_has_nothing_to_be_compared_with(tmp_path):
    alone = write_study(tmp_path, [made("naive", 0)])
    assert (alone.baseline, alone.verdicts(), alone.as_dict()["comparison"]) == (None, [], None)
    assert not (alone.directory / "paired.csv").exists()
    with pytest.raises(ResultsError, match="has one arm"):
        alone.paired()


def test_the_warmup_is_advised_from_the_executions_under_way(study):
    table = study.warmup_advice()
    assert table["arm"].tolist() == ["naive", "documented"]
    assert table["warmup_s"].tolist() == [1.0, 1.0]


def test_a_study_tells_a_kind_and_names_what_it_was_asked_for_in_vain(study):
    kind = study.kinds[0]
    assert study.explain(kind).splitlines()[0] == kind
    for asked, message in ((("no_such_kind",), "there is no kind"), ((kind, "no_arm"), "no arm 'no_arm'")):
        with pytest.raises(ResultsError, match=message):
            study.explain(*asked)


def test_the_classes_of_a_study_sum_to_its_arrivals(study):
    outcomes = study.outcomes().groupby("arm")[["arrived", "unfinished"]].sum()
    classes = study.by_class().groupby("arm")[["arrived", "unfinished"]].sum()
    assert classes.to_dict() == outcomes.to_dict()


def test_levels_of_a_study_are_those_of_its_series(tmp_path):
    """Half of ten seconds in replication 0 and all of them in replication 1 a session is busy."""
    runs = []
    for number, busy_us in enumerate((5 * S, 10 * S)):
        build = Builder("naive", number)
        build.level("store", "0", busy_us, capacity=1)
        runs.append(build.run())
    study = write_study(tmp_path, runs)
    assert study.levels("store")["level"].tolist() == [0.75]
    assert study.window_levels()[["replication", "level", "utilisation"]].to_numpy().tolist() == [
        [0, 0.5, 0.5], [1, 1.0, 1.0],
    ]  # fmt: skip


def test_a_single_arm_has_a_front_of_its_own_and_nothing_to_be_compared_with(study, tmp_path):
    alone = write_study(tmp_path, [made("naive", number) for number in range(2)])
    front = alone.pareto()
    assert front["arm"].unique().tolist() == ["naive"]
    assert front.columns.tolist() == study.pareto().columns.tolist()
    with pytest.raises(ResultsError, match="has one arm: there is nothing to compare it with"):
        alone.paired()
