"""The submitter: creates an execution at each arrival, and keeps at it until the store has it.

Open arrivals (poisson, deterministic, burst) come whatever becomes of earlier ones. Closed arrivals are
clients that submit, wait for the end of what they submitted, think (a millisecond at least after a submission
that was given up), and submit again; they learn of the end by a message, a reply delay after it took effect.
The k-th execution of client c of N has index c + kN.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim.actors.base import Actor
from sim.actors.limits import admit_at_submission
from sim.link import OP
from sim.scenario.workload import Closed
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Generator

    from sim.actors.base import Story, World
    from sim.kernel import Process
    from sim.ledger import ExecutionLedger

_CREATE: Final = OP["create_execution"]

# A client that never thinks, and whose policy lets nothing be sent, would submit for ever in one instant.
_GIVEN_UP_US: Final = US_PER_MS


class Submitter(Actor):
    """Brings the workload to the store.

    Parameters
    ----------
    world, number
        See :class:`Actor`.
    ledger
        Tells the end of an execution, for clients that wait for it.
    until_us
        No arrivals from this instant on.
    """

    kind = "submitter"

    def __init__(self, world: World, number: int, ledger: ExecutionLedger, until_us: int) -> None:
        super().__init__(world, number)
        self._ledger = ledger
        self._until_us = until_us

    def start(self) -> None:
        """Begin with the arrivals."""
        arrivals = self.world.scenario.workload.arrivals
        if isinstance(arrivals, Closed):
            for client in range(arrivals.clients):
                self.spawn(partial(self._client, client, arrivals))
        else:
            self.spawn(self._open)

    def _open(self, process: Process) -> Story:
        arrivals = self.world.workload.arrivals_us(self._until_us)
        for number, at_us in enumerate(arrivals):
            if at_us > self.now_us:
                process.sleep(at_us - self.now_us)
                yield
            self.spawn(partial(self._submit, self.world.workload.arrival(number)))

    def _client(self, client: int, arrivals: Closed, process: Process) -> Story:
        think = arrivals.think.sampler(self.world.streams.of(f"workload/think/{client}"))
        number = client
        while self.now_us < self._until_us:
            execution = self.world.workload.arrival(number)
            end = _End(process)
            self._ledger.watch(execution, partial(self._ended, end))
            created = yield from self._create(execution, process)
            if created and not end.known:
                end.awaited = True
                yield
            pause_us = think()
            process.sleep(pause_us if created else max(pause_us, _GIVEN_UP_US))
            yield
            number += arrivals.clients

    def _ended(self, end: _End, at_us: int) -> None:
        self.world.kernel.call_at(at_us + next(self.client.reply), end.learn)

    def _submit(self, execution: int, process: Process) -> Story:
        yield from self._create(execution, process)

    def _create(self, execution: int, process: Process) -> Generator[None, Any, bool]:
        """Create an execution; tell whether the store is known to have it."""
        intent = self.begin("submit", execution)
        if not (yield from admit_at_submission(self, execution, intent, process)):
            self.end(intent, "abandoned", "policy")
            return False
        quota = self.world.limits.quota_at_submission(self.world.workload.class_name(execution))
        arguments = self.world.creation(execution, self.now_us, quota)
        partition = self.world.partition_of(execution)
        _, stopped = yield from self.carry_out(process, intent, _CREATE, partition, arguments, execution)
        if stopped is None:
            self.end(intent, "recovered")
        else:
            self.end(intent, "abandoned", "policy")
        return stopped is None


class _End:
    """The end of an execution, as far as the client that waits for it knows."""

    __slots__ = ("awaited", "known", "process")

    def __init__(self, process: Process) -> None:
        self.process = process
        self.known = False
        self.awaited = False

    def learn(self, _: object) -> None:
        """Take note of the end, and go on if the client waits for it."""
        self.known = True
        if self.awaited:
            self.process.interrupt(None)
