"""Finished executions, kept in columns: about half the memory of a whole one, and nothing forgotten."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

from sim.store.records import Execution
from sim.store.state import Phase

if TYPE_CHECKING:
    from sim.store.records import Id

_OBJECTS: Final = ("state", "lane", "changed", "attempt_id", "flow")
_COUNTS: Final = (
    "attempt_index", "epoch", "priority", "reclaim_count", "replay_count", "retry_count", "total_attempts",
)  # fmt: skip
_ABSENT: Final = (
    "admission", "delay_until", "grant", "lease_expires_at", "lease_id", "lease_revoked_at", "suspension",
    "waitpoint", "worker",
)  # fmt: skip
_NO_ATTEMPT: Final = -1


class FinishedExecutions:
    """Columns of finished executions; one that is asked for again is made whole again."""

    __slots__ = ("_counts", "_created_at", "_free", "_objects", "_rows")

    def __init__(self) -> None:
        self._rows: dict[Id, int] = {}
        self._free: list[int] = []
        self._created_at = array("q")
        self._counts = array("i")
        self._objects: list[Any] = []

    def __len__(self) -> int:
        return len(self._rows)

    def accepts(self, execution: Execution) -> bool:
        """Whether the columns can hold all that is known of it: terminal, with nothing left of a lease."""
        return execution.state.phase is Phase.TERMINAL and all(
            getattr(execution, name) is None for name in _ABSENT
        )

    def put(self, execution: Execution) -> None:
        """Take an execution that the columns accept."""
        objects = [getattr(execution, name) for name in _OBJECTS]
        index = execution.attempt_index
        counts = array("i", [_NO_ATTEMPT if index is None else index])
        counts.extend(getattr(execution, name) for name in _COUNTS[1:])
        if self._free:
            row = self._free.pop()
            self._created_at[row] = execution.created_at
            self._counts[row * len(_COUNTS) : (row + 1) * len(_COUNTS)] = counts
            self._objects[row * len(_OBJECTS) : (row + 1) * len(_OBJECTS)] = objects
        else:
            row = len(self._created_at)
            self._created_at.append(execution.created_at)
            self._counts.extend(counts)
            self._objects.extend(objects)
        self._rows[execution.id] = row

    def take(self, execution: Id) -> Execution | None:
        """Take an execution out of the columns, whole; None when it is not in them."""
        row = self._rows.pop(execution, None)
        if row is None:
            return None
        self._free.append(row)
        state, lane, changed, attempt_id, flow = self._objects[row * len(_OBJECTS) : (row + 1) * len(_OBJECTS)]
        whole = Execution(execution, lane, state, 0, self._created_at[row], changed)
        whole.attempt_id = attempt_id
        whole.flow = flow
        counts = self._counts[row * len(_COUNTS) : (row + 1) * len(_COUNTS)]
        for name, count in zip(_COUNTS, counts, strict=True):
            setattr(whole, name, count)
        if whole.attempt_index == _NO_ATTEMPT:
            whole.attempt_index = None
        return whole
