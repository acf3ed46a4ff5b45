"""Faults as data: windows drawn before the run, then applied as they come.

A fault touches one actor from one instant to another. ``crash``: its process is gone, its loops end, its
renewals stop, what it knew is lost; it starts anew after ``down``. ``pause``: everything of it stands still,
then goes on with what it believed (a stop-the-world collection, a frozen machine). The windows are written
beside the results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sim.scenario.faults import Crash, how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.kernel import Kernel
    from sim.rng import Streams
    from sim.scenario import Scenario


class Fallible(Protocol):
    """An actor that faults can meet."""

    paused_until_us: int
    down_until_us: int

    @property
    def now_us(self) -> int:
        """The instant."""

    def start(self) -> None:
        """Start with nothing in memory."""

    def crash(self, down_until_us: int) -> None:
        """End every process of it."""


class FaultWindow(NamedTuple):
    """One fault: what happens to which worker, from when until when (microseconds)."""

    kind: str
    worker: int
    from_us: int
    to_us: int

    def as_dict(self) -> dict[str, Any]:
        """Give the window in the form in which it stands beside the results."""
        return {
            "fault": self.kind,
            "actor": f"worker/{self.worker}",
            "from_us": self.from_us,
            "to_us": self.to_us,
        }


def draw_windows(scenario: Scenario, streams: Streams) -> list[FaultWindow]:
    """Draw every fault window of one replication, in the order of their beginning.

    Which workers a fault meets, when, and for how long come from the fault's own streams: another policy or
    one more fault further down the list changes nothing of them.
    """
    windows = []
    for number, fault in enumerate(scenario.faults):
        chosen = _choose(fault.workers, scenario.workers.count, streams, f"faults/{number}/who")
        lasts = fault.down if isinstance(fault, Crash) else fault.for_
        starts = fault.at.draw(streams.of(f"faults/{number}/at"), len(chosen)).tolist()
        lengths = lasts.draw(streams.of(f"faults/{number}/for"), len(chosen)).tolist()
        windows += [
            FaultWindow(fault.key, worker, start_us, start_us + length_us)
            for worker, start_us, length_us in zip(chosen, starts, lengths, strict=True)
        ]
    return sorted(windows, key=lambda window: (window.from_us, window.worker, window.kind))


def _choose(several: float, fleet: int, streams: Streams, name: str) -> list[int]:
    """Choose that many of the fleet, without repetition."""
    order = streams.of(name).permutation(fleet)
    return sorted(order[: how_many(several, fleet)].tolist())


def apply(windows: Sequence[FaultWindow], workers: Sequence[Fallible], kernel: Kernel) -> None:
    """Schedule the windows on the kernel."""
    for window in windows:
        worker = workers[window.worker]
        if window.kind == Crash.key:
            kernel.call_at(window.from_us, _crash, (worker, window.to_us))
            kernel.call_at(window.to_us, _restart, worker)
        else:
            kernel.call_at(window.from_us, _pause, (worker, window.to_us))


def _crash(fault: tuple[Fallible, int]) -> None:
    worker, until_us = fault
    worker.crash(max(worker.down_until_us, until_us))


def _restart(worker: Fallible) -> None:
    # A longer crash may have begun meanwhile; its own window starts the worker again.
    if worker.now_us >= worker.down_until_us:
        worker.start()


def _pause(fault: tuple[Fallible, int]) -> None:
    worker, until_us = fault
    worker.paused_until_us = max(worker.paused_until_us, until_us)
