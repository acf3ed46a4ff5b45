"""The 18 kinds, and the one table that gives a refusal its kind."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from sim.contention import KINDS, MISTAKE, ContentionKind, kind_of

DATA = Path(__file__).parent / "data"
ENGINE_CODES = list(csv.DictReader((DATA / "engine_codes.csv").read_text().splitlines()))
CAUSES = {"waitpoint_not_found": "missing", "mistake": "wrong"}


def test_there_are_eighteen_kinds_in_the_order_of_the_engine():
    assert [kind.index for kind in KINDS] == list(range(18))
    assert tuple(ContentionKind) == KINDS
    assert len({kind.facts.colour for kind in KINDS}) == 18
    assert all(kind.facts.meaning and kind.facts.recovery and kind.facts.label for kind in KINDS)


def test_every_kind_stands_in_the_table_of_codes():
    assert {kind.value for kind in KINDS} <= {row["kind"] for row in ENGINE_CODES}


@pytest.mark.parametrize("row", ENGINE_CODES, ids=lambda row: "-".join(row.values()))
def test_every_code_of_the_engine_has_one_kind_or_is_a_mistake(row):
    """The rows ``left_out`` are codes of what is not modelled: secrets, composite conditions, edge groups."""
    cause = CAUSES[row["kind"]] if row["code"] == "invalid_token" else None
    if row["kind"] == "left_out":
        with pytest.raises(KeyError):
            kind_of(row["op"], row["code"])
    elif row["kind"] == "mistake":
        assert kind_of(row["op"], row["code"], cause) is MISTAKE
    else:
        assert kind_of(row["op"], row["code"], cause) is ContentionKind(row["kind"])


def test_every_error_of_the_recordings_stands_in_the_table_of_codes():
    known = {(row["op"], row["code"]) for row in ENGINE_CODES if row["kind"] != "left_out"}
    refusals = {"RATE_EXCEEDED", "CONCURRENCY_EXCEEDED"}
    met = set()
    for path in sorted((DATA / "traces").glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as stream:
            next(stream)
            for line in stream:
                step = json.loads(line)
                result = step["result"]
                if result["status"] == "error" or result["code"] in refusals:
                    met.add((step["op"], result["code"]))
    assert len(met) > 140
    assert met <= known


def test_a_code_that_the_table_does_not_know_is_an_error():
    with pytest.raises(KeyError, match="no kind is known for code 'gone_fishing' of renew_lease"):
        kind_of("renew_lease", "gone_fishing")
