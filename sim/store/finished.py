"""Finished executions, kept in columns: half the memory of a whole record, and nothing forgotten."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

from sim.store.records import Execution
from sim.store.state import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.store.records import Id

_NO_ATTEMPT: Final = -1


class FinishedExecutions:
    """Columns of finished executions; one that is asked for again is made whole again.

    A row is one entry of ``_created_at``, and as many of ``_counts`` and ``_objects`` as :meth:`put` writes.
    """

    __slots__ = ("_counts", "_created_at", "_free", "_objects", "_rows")

    def __init__(self) -> None:
        self._rows: dict[Id, int] = {}
        self._free: list[int] = []
        self._created_at = array("q")
        self._counts = array("i")
        self._objects: list[Any] = []

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
        objects = (ex.state, ex.lane, ex.changed, ex.attempt_id, ex.flow)
        counts = (
            _NO_ATTEMPT if ex.attempt_index is None else ex.attempt_index,
            ex.total_attempts,
            ex.epoch,
            ex.priority,
            ex.retry_count,
            ex.replay_count,
            ex.reclaim_count,
        )
        if self._free:
            row = self._free.pop()
            self._created_at[row] = ex.created_at
            self._counts[7 * row : 7 * row + 7] = array("i", counts)
            self._objects[5 * row : 5 * row + 5] = objects
        else:
            row = len(self._created_at)
            self._created_at.append(ex.created_at)
            self._counts.extend(counts)
            self._objects.extend(objects)
        self._rows[ex.id] = row

    def take(self, execution: Id) -> Execution | None:
        """Take an execution out of the columns, whole; None when it is not in them."""
        row = self._rows.pop(execution, None)
        if row is None:
            return None
        self._free.append(row)
        state, lane, changed, attempt_id, flow = self._objects[5 * row : 5 * row + 5]
        counts = self._counts[7 * row : 7 * row + 7]
        ex = Execution(execution, lane, state, counts[3], self._created_at[row], changed)
        ex.attempt_id = attempt_id
        ex.flow = flow
        ex.attempt_index = None if counts[0] == _NO_ATTEMPT else counts[0]
        ex.total_attempts = counts[1]
        ex.epoch = counts[2]
        ex.retry_count = counts[4]
        ex.replay_count = counts[5]
        ex.reclaim_count = counts[6]
        return ex
