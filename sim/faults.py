"""Faults as data: windows drawn before the run, then applied as they come.

=============  =====================================================================================
crash          a worker's process is gone: its loops end, its renewals stop, what it knew is lost; it
               starts anew after ``down``
pause          everything of a worker stands still, then goes on with what it believed
partition      what a worker sends to the store, or the store to it, in the window is lost; messages
               between actors get through
store_outage   what arrives at a partition of the store in the window has no effect and no answer
slow           delays of the link, or service times of the store, are multiplied
loss           more requests or replies are lost
skew           a worker's clock is wrong for the whole run: renewals, and checks that it makes itself
=============  =====================================================================================

Which workers a fault meets, when, and for how long come from the fault's own streams: another policy, or one
more fault further down the list, changes nothing of them. The windows are written beside the results.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.scenario.faults import Crash, Loss, Partition, Pause, Skew, Slow, StoreOutage, how_many
from sim.trouble import scaled
from sim.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.actors.base import Actor
    from sim.actors.worker import Worker
    from sim.kernel import Kernel
    from sim.link import Server
    from sim.rng import Streams
    from sim.scenario import Scenario
    from sim.transactions import TransactionServer
    from sim.trouble import Trouble

    AnyServer = Server | TransactionServer


class FaultWindow(NamedTuple):
    """One fault.

    Attributes
    ----------
    fault : Fault
        What the scenario says of it.
    worker : int or None
        Which worker meets it; None for the store, or for every actor.
    from_us, to_us : int
        Its window: [from, to).
    """

    fault: Any
    worker: int | None
    from_us: int
    to_us: int

    def as_dict(self) -> dict[str, Any]:
        """Give the window in the form in which it stands beside the results."""
        kind = self.fault.key
        if self.worker is not None:
            target = f"worker/{self.worker}"
        elif isinstance(self.fault, StoreOutage) or (
            isinstance(self.fault, Slow) and self.fault.what == "service"
        ):
            number = getattr(self.fault, "partition", None)
            target = "store" if number is None else f"store/{number}"
        else:
            target = "link"
        return {"fault": kind, "target": target, "from_us": self.from_us, "to_us": self.to_us}

    def __str__(self) -> str:
        told = self.as_dict()
        begin, end = format_duration(self.from_us), format_duration(self.to_us)
        return f"{told['fault']} of {told['target']} from {begin} to {end}"


def draw_windows(scenario: Scenario, streams: Streams, end_us: int) -> list[FaultWindow]:
    """Draw every fault window of one replication, in the order of their beginning."""
    windows: list[FaultWindow] = []
    for number, fault in enumerate(scenario.faults):
        several = getattr(fault, "workers", None)
        chosen: list[int | None] = [None]
        if several is not None:
            order = streams.of(f"faults/{number}/who").permutation(scenario.workers.count)
            chosen = sorted(order[: how_many(several, scenario.workers.count)].tolist())
        starts = ends = [0] * len(chosen)
        match fault:
            case Crash() | Pause() | Partition():
                lasts = fault.down if isinstance(fault, Crash) else fault.for_
                starts = fault.at.draw(streams.of(f"faults/{number}/at"), len(chosen)).tolist()
                lengths = lasts.draw(streams.of(f"faults/{number}/for"), len(chosen)).tolist()
                ends = [start_us + length_us for start_us, length_us in zip(starts, lengths, strict=True)]
            case Skew():
                ends = [end_us] * len(chosen)
            case _:
                starts, ends = [fault.from_] * len(chosen), [fault.to] * len(chosen)
        windows += [
            FaultWindow(fault, worker, start_us, to_us)
            for worker, start_us, to_us in zip(chosen, starts, ends, strict=True)
        ]
    return sorted(windows, key=lambda window: (window.from_us, window.worker is not None, window.worker or 0))


class Faults:
    """Applies fault windows to the parts of a run.

    Parameters
    ----------
    kernel
        The clock.
    workers
        Whom crashes, pauses, partitions and skew meet.
    troubles
        The troubles of every actor's connection.
    servers
        The partitions of the store.
    """

    def __init__(
        self,
        kernel: Kernel,
        workers: Sequence[Worker],
        troubles: Sequence[Trouble],
        servers: Sequence[AnyServer],
    ) -> None:
        self._kernel = kernel
        self._workers = workers
        self._troubles = troubles
        self._servers = servers
        self._services = [server.service for server in servers]
        self._factor = 1.0

    def apply(self, windows: Sequence[FaultWindow]) -> None:
        """Schedule the windows."""
        for window in windows:
            if isinstance(window.fault, Skew):
                worker = self._workers[window.worker or 0]
                worker.skew_clock(window.fault.offset, window.fault.drift)
                continue
            begin, end = self._acts(window)
            self._kernel.call_at(window.from_us, begin)
            self._kernel.call_at(window.to_us, end)

    def _acts(self, window: FaultWindow) -> tuple[Callable[[Any], None], Callable[[Any], None]]:
        """Give what happens at the beginning and at the end of a window."""
        fault = window.fault
        match fault:
            case Crash():
                worker = self._workers[window.worker or 0]
                return partial(_crash, worker, window.to_us), partial(_restart, worker)
            case Pause():
                return partial(_pause, self._workers[window.worker or 0], window.to_us), _nothing
            case StoreOutage():
                out = self._servers if fault.partition is None else [self._servers[fault.partition]]
                return partial(_count_outages, out, 1), partial(_count_outages, out, -1)
            case Slow(what="service"):
                return partial(self._slow_services, fault.factor), partial(
                    self._slow_services, 1 / fault.factor
                )
        met = self._troubles
        if window.worker is not None:
            met = [self._workers[window.worker].trouble]
        if isinstance(fault, Slow):
            return partial(_slow_links, met, fault.factor), partial(_slow_links, met, 1 / fault.factor)
        losses = (fault.requests, fault.replies) if isinstance(fault, Loss) else _CUT[fault.direction]
        return partial(_lose, met, *losses), partial(_stop_losing, met, *losses)

    def _slow_services(self, factor: float, _: Any) -> None:
        self._factor *= factor
        for server, service in zip(self._servers, self._services, strict=True):
            server.service = scaled(service, self._factor)


_CUT = {"both": (1.0, 1.0), "requests": (1.0, 0.0), "replies": (0.0, 1.0)}


def _nothing(_: Any) -> None:
    pass


def _crash(worker: Worker, until_us: int, _: Any) -> None:
    worker.crash(max(worker.down_until_us, until_us))


def _restart(worker: Worker, _: Any) -> None:
    # A longer crash may have begun meanwhile; its own window starts the worker again.
    if worker.now_us >= worker.down_until_us:
        worker.start()


def _pause(worker: Actor, until_us: int, _: Any) -> None:
    worker.paused_until_us = max(worker.paused_until_us, until_us)


def _count_outages(servers: Sequence[AnyServer], change: int, _: Any) -> None:
    for server in servers:
        server.outages += change


def _slow_links(troubles: Sequence[Trouble], factor: float, _: Any) -> None:
    for trouble in troubles:
        trouble.slow(factor)


def _lose(troubles: Sequence[Trouble], requests: float, replies: float, _: Any) -> None:
    for trouble in troubles:
        trouble.lose(requests, replies)


def _stop_losing(troubles: Sequence[Trouble], requests: float, replies: float, _: Any) -> None:
    for trouble in troubles:
        trouble.stop_losing(requests, replies)
