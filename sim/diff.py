"""Two results compared: the first record in which they differ, and what differs of their inputs.

Results whose inputs are the same must be the same to the last record. Where they are not, the first
difference in simulated time says where to look: whose attempt, which column, and, where the column leads to
one, the random stream that it was drawn from.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from sim import results
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sim.results import Study

    Row = Mapping[Any, Any]

_MISSING: Final = "-"
_TIMES: Final = {
    # Rows come in the order in which actors learned: what was sent before says nothing of what came first.
    "contentions": ("done_us",),
    "intents": ("start_us", "end_us"),
    "executions": ("created_us", "leased_us", "finished_us"),
}
_KEYS: Final = {"contentions": "seq", "intents": "intent", "executions": "execution"}
_STREAMS: Final = (
    ("executions", "created_us", "workload/arrivals"),
    ("executions", "class", "workload/class"),
    ("contentions", "arrived_us", "{actor}/request"),
    ("contentions", "done_us", "{actor}/reply"),
    ("contentions", "delay_us", "{actor}/retry"),
)
"""Columns that are drawn, and from which stream, when nothing before them in the row differs."""


class RecordDifference(NamedTuple):
    """The first record in which two results differ.

    Attributes
    ----------
    arm, replication
        Of which run.
    table : str
        ``contentions``, ``intents`` or ``executions``.
    key : int
        Its ``seq``, ``intent`` or ``execution``.
    at_us : int
        When they part, in simulated microseconds.
    actor : str or None
        Whose record it is.
    columns : dict
        What differs: (one, other) by column.
    stream : str or None
        The random stream that the first of them is drawn from, where that can be said.
    """

    arm: str
    replication: int
    table: str
    key: int
    at_us: int
    actor: str | None
    columns: dict[str, tuple[str, str]]
    stream: str | None


class Difference(NamedTuple):
    """How two results differ.

    Attributes
    ----------
    inputs : list of tuple
        What they were made from, where that differs: (what, one, other).
    record : RecordDifference or None
        The first record in which they differ.
    statistics : list of str
        Tables that differ, with the first line in which they do.
    """

    inputs: list[tuple[str, str, str]]
    record: RecordDifference | None
    statistics: list[str]

    @property
    def same(self) -> bool:
        """Whether the results are the same, whatever they were made from."""
        return self.record is None and not self.statistics

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "same": self.same,
            "inputs": [dict(zip(("what", "one", "other"), each, strict=True)) for each in self.inputs],
            "record": None if self.record is None else self.record._asdict(),
            "statistics": self.statistics,
        }

    def render(self) -> str:
        """Tell it."""
        return "\n".join(_told(self))


def diff(one: str | Path, other: str | Path) -> Difference:
    """Compare two folders of results.

    Raises
    ------
    sim.output.ResultsError
        When one of them is not a study or cannot be read.
    """
    first, second = results.open(one), results.open(other)
    return Difference(_inputs(first, second), _first_record(first, second), list(_statistics(first, second)))


# --- inputs ------------------------------------------------------------------------------------------------


def _inputs(one: Study, other: Study) -> list[tuple[str, str, str]]:
    """Compare what two studies were made from, key by key."""
    names = ("versions", "seeds", "replications", "arms", "scenario")
    left, right = ({name: study.document[name] for name in names} for study in (one, other))
    return [
        (path, _shown(a), _shown(b))
        for path, a, b in _leaves(left, right, "")
        # The seed of the scenario is told once, as the study's.
        if path not in ("scenario.seed", "scenario.replications")
    ]


def _leaves(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Give the innermost places at which two JSON documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            yield from _leaves(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    elif isinstance(one, list) and isinstance(other, list):
        for number, (a, b) in enumerate(zip_longest(one, other)):
            yield from _leaves(a, b, f"{path}.{number}")
    elif one != other:
        yield path, one, other


# --- records -----------------------------------------------------------------------------------------------


def _first_record(one: Study, other: Study) -> RecordDifference | None:
    """Find the first record that differs in the first run that differs."""
    left, right = (
        {(run["arm"], run["replication"]): run["fingerprint"] for run in study.document["runs"]}
        for study in (one, other)
    )
    for run, fingerprint in left.items():
        if run in right and right[run] != fingerprint:
            found = [
                difference
                for table in _TIMES
                if (difference := _in_table(one, other, table, *run)) is not None
            ]
            return min(found, key=lambda each: each.at_us, default=None)
    return None


def _in_table(one: Study, other: Study, table: str, arm: str, replication: int) -> RecordDifference | None:
    """Find the first difference of a run in one of its tables."""
    key = _KEYS[table]
    left, right = (study.records_of(table, arm, replication).set_index(key) for study in (one, other))
    left, right = left.align(right, join="outer", axis=0)
    unequal = pd.DataFrame({name: _unequal(left[name], right[name]) for name in left.columns}).to_numpy()
    differing = np.flatnonzero(unequal.any(axis=1))
    if not len(differing):
        return None
    # Where attempts differ, all that follows is out of step: the first row says it. Others have a number.
    differing = differing[:1] if table == "contentions" else differing
    keys = left.index.to_numpy()
    rows = [side.iloc[differing].to_dict("records") for side in (left, right)]
    found = []
    for position, a, b in zip(differing.tolist(), *rows, strict=True):
        columns = [
            str(name) for name, differs in zip(left.columns, unequal[position], strict=True) if differs
        ]
        found.append((_parting_us(a, b, columns, _TIMES[table]), int(keys[position]), a, b, columns))
    at_us, number, a, b, columns = min(found, key=lambda each: each[:2])
    shown = {name: (_shown(a[name]), _shown(b[name])) for name in columns}
    actors = [_shown(side["actor"]) for side in (a, b) if "actor" in side]
    actor = next((name for name in actors if name != _MISSING), None)
    return RecordDifference(
        arm, replication, table, number, at_us, actor, shown, _stream(table, shown, actor)
    )


def _parting_us(one: Row, other: Row, columns: Sequence[str], times: Sequence[str]) -> int:
    """Give the instant at which two rows part: the earlier of what differs, else when they begin."""
    differing = [name for name in times if name in columns] or times[:1]
    return min(
        int(side[name]) for name in differing for side in (one, other) if _shown(side[name]) != _MISSING
    )


def _unequal(one: pd.Series, other: pd.Series) -> pd.Series:
    """Say where two columns differ; two missing values are the same."""
    a, b = one.astype(object), other.astype(object)
    return (a != b) & ~(a.isna() & b.isna())


def _stream(table: str, columns: Mapping[str, Any], actor: str | None) -> str | None:
    first = next(iter(columns))
    for where, column, stream in _STREAMS:
        if (where, column) == (table, first):
            return stream.format(actor=actor)
    return None


# --- statistics --------------------------------------------------------------------------------------------


def _statistics(one: Study, other: Study) -> Iterator[str]:
    """Give the small tables that differ, each with the first line in which it does."""
    left, right = (
        {path.name: path.read_text("utf-8").splitlines() for path in sorted(study.directory.glob("*.csv"))}
        for study in (one, other)
    )
    for name in sorted(left.keys() | right.keys()):
        if name not in left or name not in right:
            yield f"{name}: only one of them has it"
        elif left[name] != right[name]:
            pairs = enumerate(zip_longest(left[name], right[name], fillvalue=_MISSING), 1)
            number, a, b = next((number, a, b) for number, (a, b) in pairs if a != b)
            yield f"{name}, line {number}: {a} | {b}"


# --- telling -----------------------------------------------------------------------------------------------


def _told(difference: Difference) -> Iterator[str]:
    for what, one, other in difference.inputs:
        yield f"input {what}: {one} | {other}"
    record = difference.record
    if record is not None:
        whose = f", {record.actor}" if record.actor else ""
        yield (
            f"first difference: {record.arm}, replication {record.replication}, at "
            f"{record.at_us / US_PER_S:.6f} s: {record.table} {record.key}{whose}"
        )
        for column, (one, other) in record.columns.items():
            yield f"  {column}: {one} | {other}"
        if record.stream is not None:
            yield f"  drawn from the stream {record.stream}"
    for table in difference.statistics:
        yield f"statistics: {table}"
    yield _verdict(difference)


def _verdict(difference: Difference) -> str:
    if difference.same and not difference.inputs:
        return "the same: inputs, records and statistics"
    if difference.same:
        return "the same records and statistics; only what they were made from differs"
    if difference.record is None:
        return "the same records, other statistics: what is computed from the records has changed"
    if difference.inputs:
        return "they differ, and so do their inputs"
    return "they differ, although their inputs are the same: not deterministic, or made by other libraries"


def _shown(value: Any) -> str:
    if value is None or (not isinstance(value, list | dict) and pd.isna(value)):
        return _MISSING
    return str(value)
