"""What becomes of executions: every change of what one is at the store, and every stretch of work on it.

Rows are packed into byte buffers while a run goes on; what they mean (the parts of a sojourn, wasted and
duplicate work, levels over time) is worked out afterwards (:mod:`sim.analysis.sojourn`).
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sim.record import NONE

if TYPE_CHECKING:
    from collections.abc import Callable

WAITING, GRANTED, LEASED, LOST, PARKED, BLOCKED, REFUSED = range(7)
"""What an execution is: eligible and not granted; granted; leased; its lease marked lapsed or revoked;
suspended, delayed, backing off or waiting for others; blocked at an admission. And, no change of it, that an
admission or a grant was refused."""

ENDED: Final = 7
"""From here on: it has ended, by its outcome."""

OUTCOMES: Final = ("success", "failed", "cancelled", "expired", "skipped")

_OF_PUBLIC_STATE: Final = {
    "waiting": WAITING, "delayed": PARKED, "rate_limited": BLOCKED, "waiting_children": PARKED,
    "suspended": PARKED, "completed": ENDED, "failed": ENDED + 1, "cancelled": ENDED + 2,
    "expired": ENDED + 3, "skipped": ENDED + 4,
}  # fmt: skip

CHANGE: Final = np.dtype(
    [("execution", "<i8"), ("at_us", "<i8"), ("attempt", "<i4"), ("stage", "u1"), ("op", "u1")]
)
STRETCH: Final = np.dtype(
    [("execution", "<i8"), ("from_us", "<i8"), ("to_us", "<i8"), ("epoch", "<i4"), ("actor", "<i4")]
)
_pack_change = Struct("<2qi2B").pack
_pack_stretch = Struct("<3q2i").pack


def stage_of(words: dict[str, str]) -> int:
    """Say what an execution is whose dimensions are given in the engine's words."""
    public = words["public_state"]
    if public == "active":
        return LEASED if words["ownership_state"] == "leased" else LOST
    return _OF_PUBLIC_STATE[public]


class ExecutionLedger:
    """Takes down what becomes of the executions of a run.

    Attributes
    ----------
    created_us, finished_us : array
        Instants, by execution; NONE where there is none.
    outcome : array
        Index of how it ended (:data:`OUTCOMES`), by execution; NONE where it did not.
    on_end : Callable or None
        Called with the execution and the instant whenever one ends.
    """

    __slots__ = ("_changes", "_stretches", "_watchers", "created_us", "finished_us", "on_end", "outcome")

    def __init__(self) -> None:
        self._changes = bytearray()
        self._stretches = bytearray()
        self.created_us = array("q")
        self.finished_us = array("q")
        self.outcome = array("b")
        self._watchers: dict[int, Callable[[int], None]] = {}
        self.on_end: Callable[[int, int], None] | None = None

    def watch(self, execution: int, on_end: Callable[[int], None]) -> None:
        """Call ``on_end`` with the instant at which an execution ends."""
        self._watchers[execution] = on_end

    def created(self, execution: int, at_us: int, stage: int, op: int) -> None:
        """Take down that an execution exists, and what it is to begin with."""
        missing = execution + 1 - len(self.created_us)
        if missing > 0:
            for column in (self.created_us, self.finished_us, self.outcome):
                column.extend([NONE] * missing)
        self.created_us[execution] = at_us
        self.changed(execution, at_us, stage, op)

    def changed(self, execution: int, at_us: int, stage: int, op: int, attempt: int | None = None) -> None:
        """Take down what an execution has become: by which operation, in which attempt at the work."""
        self._changes += _pack_change(execution, at_us, NONE if attempt is None else attempt, stage, op)
        if stage >= ENDED:
            self._end(execution, at_us, stage - ENDED)

    def _end(self, execution: int, at_us: int, outcome: int) -> None:
        self.finished_us[execution] = at_us
        self.outcome[execution] = outcome
        watcher = self._watchers.pop(execution, None)
        if watcher is not None:
            watcher(at_us)
        if self.on_end is not None:
            self.on_end(execution, at_us)

    def worked(self, execution: int, epoch: int, actor: int, from_us: int, to_us: int) -> None:
        """Take down that a worker was at work on an execution, under the lease of that epoch."""
        self._stretches += _pack_stretch(execution, from_us, to_us, epoch, actor)

    def changes(self, end_us: int) -> np.ndarray[Any, np.dtype[np.void]]:
        """Give the changes (:data:`CHANGE`) of a run that ended then, in the order of their being taken down.

        A change is taken down when its operation arrives, for the instant at which its turn comes: at a busy
        store that may lie after the end of the run.
        """
        changes = np.frombuffer(self._changes, CHANGE)
        inside = changes["at_us"] < end_us
        return changes if inside.all() else changes[inside]

    def forget_changes(self) -> None:
        """Let the changes go: for when all has been made of them."""
        self._changes = bytearray()

    def stretches(self) -> np.ndarray[Any, np.dtype[np.void]]:
        """Give the stretches of work (:data:`STRETCH`), in the order of their ends."""
        return np.frombuffer(self._stretches, STRETCH)
