"""The reference says what the code says, and every column that a study writes stands in it."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

import sim
from sim.analysis.columns import FILES, MEASURE_MEANINGS
from sim.analysis.outcomes import UNITS
from sim.listing import LISTS
from sim.scenario import json_schema
from tests.docs.reference import PATH, cell, reference

SHORT = ["horizon.warmup=0s", "horizon.run=2s", "horizon.drain=1s"]
WRITTEN_ALWAYS = {
    "frequency.csv", "recovery.csv", "outcomes.csv", "attempts.csv", "rivals.csv",
    "contentions.parquet", "intents.parquet", "executions.parquet", "series.parquet",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The columns of every table that a run, a comparison and a sweep leave, by file."""
    out = tmp_path_factory.mktemp("reference")
    sim.run("steady", replications=1, overrides=SHORT, keep_attempts=True, out=out / "run")
    sim.compare(
        "claim_storm", policies=["documented", "naive"], replications=2, overrides=SHORT, out=out / "arms"
    )
    sim.sweep("steady", ["workers.count=4,8"], replications=1, overrides=SHORT, out=out / "sweep")
    found = {}
    for path in sorted(out.rglob("*")):
        if path.suffix == ".csv":
            found[path.name] = list(pd.read_csv(path, nrows=0).columns)
        elif path.suffix == ".parquet":
            found[path.name] = pq.read_schema(path).names
    return found


def test_the_reference_is_what_the_code_says():
    """Written anew it is the same text; `make docs` writes it."""
    assert PATH.read_text("utf-8") == reference(), "the code has changed: run `make docs`"


def test_every_key_of_the_schema_is_told():
    """What each key means stands there, however deep it lies and whichever choice it belongs to."""
    text, missing = PATH.read_text("utf-8"), []
    schema = json_schema()
    for model in [schema, *schema["$defs"].values()]:
        for key, declared in model.get("properties", {}).items():
            says = cell(declared.get("description", ""))
            if not any(f"{key}`" in line and says in line for line in text.splitlines()):
                missing.append((model["title"], key))
    assert missing == []


def test_every_file_that_a_study_leaves_is_told(written):
    """No table is left that the reference does not know, and none is told that is never written."""
    assert set(written) == set(FILES)
    assert set(written) > WRITTEN_ALWAYS


@pytest.mark.parametrize("name", FILES)
def test_every_column_is_told(written, name):
    """A column that somebody adds has to be told, and one that goes must not stay."""
    told = set(FILES[name][1])
    columns = set(written[name])
    if "PATH" in told:  # stands for the parameters of the grid
        told.remove("PATH")
        columns.remove("workers.count")
    assert columns == told


def test_every_column_has_one_sentence():
    """Each meaning is a sentence that ends."""
    for name, (meaning, columns) in FILES.items():
        for column, fact in {"": (meaning, ""), **columns}.items():
            assert not fact[0][0].islower() and fact[0].endswith((".", ".)")), f"{name}: {column}"


def test_every_measure_has_a_unit_and_a_meaning():
    """What is measured is told in the same order."""
    assert list(MEASURE_MEANINGS) == list(UNITS)


@pytest.mark.parametrize("what", LISTS)
def test_every_list_of_the_program_stands_in_the_reference(what):
    """Whatever `contention-sim list` knows can be looked up."""
    text = PATH.read_text("utf-8")
    _, _, rows = LISTS[what]()
    names = [row[0].split(",")[0] for row in rows]
    assert names
    assert [name for name in names if name not in text] == []
