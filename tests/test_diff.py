"""Two results compared: what the first difference is, where it is, and what it comes from."""

import json
import shutil

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from sim import api
from sim.cli import app
from sim.diff import diff
from sim.output import ResultsError

SHORT = ["horizon.warmup=0s", "horizon.run=2s", "horizon.drain=1s"]


def study(out, *overrides, **more):
    return api.run("claim_storm", replications=2, overrides=[*SHORT, *overrides], out=out, **more).directory


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return study(tmp_path_factory.mktemp("original"))


@pytest.fixture
def copied(original, tmp_path):
    return shutil.copytree(original, tmp_path / "copy")


def change_row(folder, table, row, **values):
    """Change a record, and the fingerprint of its run with it."""
    path = folder / f"{table}.parquet"
    whole = pq.read_table(path)
    frame = whole.to_pandas()
    for name, value in values.items():
        frame[name] = frame[name].astype(object)
        frame.loc[row, name] = value
    pq.write_table(pa.Table.from_pandas(frame, schema=whole.schema, preserve_index=False), path)
    run = frame.loc[row, "replication"]
    change_document(folder, lambda document: document["runs"][run].update(fingerprint="changed"))


def change_document(folder, change):
    document = json.loads((folder / "study.json").read_text())
    change(document)
    (folder / "study.json").write_text(json.dumps(document))


def test_a_copy_is_the_same(original, copied):
    found = diff(original, copied)
    assert found.same
    assert found.render() == "the same: inputs, records and statistics"


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "stream"),
    [
        ("contentions", 40, "delay_us", 999_999, "{actor}/retry"),
        ("contentions", 40, "arrived_us", 999_999_999, "{actor}/request"),
        ("contentions", 40, "code", "another", None),
        ("executions", 7, "created_us", 999_999_999, "workload/arrivals"),
        ("intents", 12, "end_us", 999_999_999, None),
    ],
)
def test_the_record_is_named_with_its_time_its_actor_and_its_stream(
    original, copied, table, row, column, value, stream
):
    before = pd.read_parquet(original / f"{table}.parquet").loc[row]
    change_row(copied, table, row, **{column: value})
    found = diff(original, copied).record
    key = {"contentions": "seq", "intents": "intent", "executions": "execution"}[table]
    actor = before.get("actor")
    assert (found.arm, found.replication, found.table) == (before["arm"], 0, table)
    assert (found.key, found.actor) == (before[key], actor)
    assert list(found.columns) == [column]
    assert found.columns[column][1] == str(value)
    assert found.stream == (stream and stream.format(actor=actor))
    expected = {"executions": before.get("created_us"), "intents": before.get("end_us")}
    assert found.at_us == expected.get(table, before.get("done_us"))


def test_a_difference_is_told_with_its_record_its_stream_and_what_to_think_of_it(original, copied):
    """The first refusal after which something waited has another wait; one of the two lacks a table."""
    rows = pd.read_parquet(original / "contentions.parquet")
    row = int(rows.index[rows["delay_us"].notna()][0])
    before = rows.loc[row]
    change_row(copied, "contentions", row, delay_us=999_999)
    (copied / "rivals.csv").unlink()
    assert diff(original, copied).render().splitlines() == [
        f"first difference: documented, replication 0, at {before['done_us'] / 1e6:.6f} s: contentions "
        f"{before['seq']}, {before['actor']}",
        f"  delay_us: {int(before['delay_us'])} | 999999",
        f"  drawn from the stream {before['actor']}/retry",
        "statistics: rivals.csv: only one of them has it",
        "they differ, although their inputs are the same: not deterministic, or made by other libraries",
    ]


def test_the_earliest_of_all_tables_is_named(original, copied):
    change_row(copied, "contentions", 40, delay_us=1)
    change_row(copied, "executions", 0, finished_us=5)
    assert diff(original, copied).record.table == "executions"


def test_a_record_that_only_one_has_is_a_difference(original, copied):
    path = copied / "intents.parquet"
    whole = pq.read_table(path)
    first = json.loads((copied / "study.json").read_text())["runs"][0]["rows"]["intents"]
    pq.write_table(pa.concat_tables([whole.slice(0, first - 1), whole.slice(first)]), path)

    def shorten(document):
        document["runs"][0]["rows"]["intents"] -= 1
        document["runs"][0]["fingerprint"] = "changed"

    change_document(copied, shorten)
    found = diff(original, copied).record
    assert (found.table, found.key) == ("intents", first - 1)
    assert found.columns["goal"][1] == "-"


def test_a_later_run_is_found_when_the_first_is_the_same(original, copied):
    rows = json.loads((original / "study.json").read_text())["runs"][0]["rows"]["contentions"]
    change_row(copied, "contentions", rows + 3, delay_us=1)
    found = diff(original, copied).record
    assert (found.replication, found.key) == (1, 3)


def test_statistics_alone_may_differ(original, copied):
    path = copied / "outcomes.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1] + "0", *lines[2:]]) + "\n")
    found = diff(original, copied)
    assert not found.same
    assert found.record is None
    assert found.statistics == [f"outcomes.csv, line 2: {lines[1]} | {lines[1]}0"]
    assert found.render().endswith(
        "the same records, other statistics: what is computed from the records has changed"
    )


def test_another_version_with_the_same_records_is_told_as_such(original, copied):
    change_document(copied, lambda document: document["versions"].update({"contention-sim": "9.9"}))
    found = diff(original, copied)
    assert found.same
    assert [what for what, _, _ in found.inputs] == ["versions.contention-sim"]
    assert found.render().endswith("the same records and statistics; only what they were made from differs")


def test_another_seed_is_told_and_where_the_runs_part(original, tmp_path):
    found = diff(original, study(tmp_path, seed=77))
    assert [(what, other) for what, _, other in found.inputs] == [("seeds.0", "77")]
    assert found.record is not None
    assert found.render().endswith("they differ, and so do their inputs")


def test_a_changed_part_of_the_scenario_is_named_by_its_path(original, tmp_path):
    found = diff(original, study(tmp_path, "workers.poll=210ms"))
    assert ("scenario.workers.poll", "200ms", "210ms") in found.inputs


def test_the_command_exits_with_0_2_and_3(original, copied, tmp_path):
    def command(*arguments):
        return CliRunner().invoke(app, ["diff", *map(str, arguments)])

    assert command(original, copied).exit_code == 0
    change_row(copied, "contentions", 40, delay_us=1)
    differing = command(original, copied, "--json")
    assert differing.exit_code == 3
    assert json.loads(differing.stdout)["record"]["stream"].endswith("/retry")
    missing = command(original, tmp_path / "nothing")
    assert missing.exit_code == 2
    assert "there is no such folder" in missing.stderr
    with pytest.raises(ResultsError):
        diff(original, tmp_path)
