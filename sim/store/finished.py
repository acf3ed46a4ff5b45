"""Finished executions, kept in columns: a third of the memory of a whole record, and nothing forgotten."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

from sim.store.records import Execution
from sim.store.state import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.store.records import Id, Lane
    from sim.store.state import StateVector

_NO_ATTEMPT: Final = -1
_INSTANTS, _COUNTS = 5, 7
_NO_NUMBERS: Final = array("q", [0] * _INSTANTS)


class FinishedExecutions:
    """Columns of finished executions; one that is asked for again is made whole again.

    A row has an entry of ``_kinds`` (state and lane, of which there are few), and as many of ``_instants``
    and ``_counts`` as :meth:`put` writes. What is not made of numbers, as in a simulation, stands aside.
    """

    __slots__ = ("_aside", "_counts", "_free", "_instants", "_interned", "_kinds", "_rows")

    def __init__(self) -> None:
        self._rows: dict[Id, int] = {}
        self._free: list[int] = []
        self._instants = array("q")
        self._counts = array("i")
        self._kinds: list[tuple[StateVector, Lane]] = []
        self._interned: dict[tuple[StateVector, Lane], tuple[StateVector, Lane]] = {}
        self._aside: dict[int, tuple[object, Id | None, Id | None]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Id]:
        return iter(self._rows)

    def accepts(self, ex: Execution) -> bool:
        """Whether the columns can hold all that is known of it: terminal, and nothing left over."""
        return (
            ex.state.phase is Phase.TERMINAL
            and ex.grant is None
            and ex.lease_id is None
            and ex.lease_expires_at is None
            and ex.lease_revoked_at is None
            and ex.delay_until is None
            and ex.suspension is None
            and ex.admission is None
            and ex.reserved is None
        )

    def put(self, ex: Execution) -> None:
        """Take an execution that the columns accept."""
        kind = (ex.state, ex.lane)
        kind = self._interned.setdefault(kind, kind)
        instants = _as_numbers(ex)
        counts = array("i", (
            _NO_ATTEMPT if ex.attempt_index is None else ex.attempt_index,
            ex.total_attempts,
            ex.epoch,
            ex.priority,
            ex.retry_count,
            ex.replay_count,
            ex.reclaim_count,
        ))  # fmt: skip
        if self._free:
            row = self._free.pop()
            self._kinds[row] = kind
            self._instants[_INSTANTS * row : _INSTANTS * (row + 1)] = instants or _NO_NUMBERS
            self._counts[_COUNTS * row : _COUNTS * (row + 1)] = counts
        else:
            row = len(self._kinds)
            self._kinds.append(kind)
            self._instants.extend(instants or _NO_NUMBERS)
            self._counts.extend(counts)
        if instants is None:
            self._instants[_INSTANTS * row] = ex.created_at
            self._aside[row] = (ex.changed, ex.attempt_id, ex.flow)
        self._rows[ex.id] = row

    def take(self, execution: Id) -> Execution | None:
        """Take an execution out of the columns, whole; None when it is not in them."""
        row = self._rows.pop(execution, None)
        if row is None:
            return None
        self._free.append(row)
        state, lane = self._kinds[row]
        created_at, *stamp, attempt_id = self._instants[_INSTANTS * row : _INSTANTS * (row + 1)]
        counts = self._counts[_COUNTS * row : _COUNTS * (row + 1)]
        changed, attempt, flow = self._aside.pop(row, (tuple(stamp), attempt_id, None))
        ex = Execution(execution, lane, state, counts[3], created_at, changed)
        ex.attempt_id = attempt
        ex.flow = flow
        ex.attempt_index = None if counts[0] == _NO_ATTEMPT else counts[0]
        ex.total_attempts = counts[1]
        ex.epoch = counts[2]
        ex.retry_count = counts[4]
        ex.replay_count = counts[5]
        ex.reclaim_count = counts[6]
        return ex


def _as_numbers(ex: Execution) -> array[int] | None:
    """Give creation, the three parts of the stamp and the attempt as numbers; None where they are none."""
    stamp: Any = ex.changed
    if ex.flow is not None or type(stamp) is not tuple or len(stamp) != _INSTANTS - 2:
        return None
    try:
        return array("q", (ex.created_at, *stamp, ex.attempt_id))
    except (TypeError, OverflowError):
        return None
