"""The submitter: creates an execution at each arrival, and keeps at it until the store has it.

Open arrivals (poisson, deterministic, burst) come whatever becomes of earlier ones. Closed arrivals are
clients that submit, wait for the end of what they submitted, think, and submit again; they learn of the
end by a message, a reply delay after it took effect. The k-th execution of client c of N has index c + kN.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim.actors.base import Actor
from sim.link import OP
from sim.retry import Action
from sim.scenario.workload import Closed

if TYPE_CHECKING:
    from collections.abc import Generator

    from sim.actors.base import Story, World
    from sim.kernel import Process
    from sim.record import ExecutionLedger

_CREATE: Final = OP["create_execution"]


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
        for execution, at_us in enumerate(arrivals):
            if at_us > self.now_us:
                process.sleep(at_us - self.now_us)
                yield
            self.spawn(partial(self._submit, execution))

    def _client(self, client: int, arrivals: Closed, process: Process) -> Story:
        think = arrivals.think.sampler(self.world.streams.of(f"workload/think/{client}"))
        execution = client
        while self.now_us < self._until_us:
            end = _End(process)
            self._ledger.watch(execution, partial(self._ended, end))
            created = yield from self._create(execution, process)
            if created and not end.known:
                end.awaited = True
                yield
            process.sleep(think())
            yield
            execution += arrivals.clients

    def _ended(self, end: _End, at_us: int) -> None:
        self.world.kernel.call_at(at_us + self.client.reply(), end.learn)

    def _submit(self, execution: int, process: Process) -> Story:
        yield from self._create(execution, process)

    def _create(self, execution: int, process: Process) -> Generator[None, Any, bool]:
        """Create an execution; tell whether the store is known to have it."""
        spec = self.world.workload.class_spec(execution)
        intent = self.begin("submit", execution)
        partition = self.world.link.partition_of(execution)
        while True:
            self.send(process, _CREATE, partition, (execution, spec.lane, spec.priority), intent, execution)
            outcome = yield
            if outcome.ok:
                self.end(intent, "recovered")
                return True
            decision = self.decide(intent, _CREATE, outcome)
            if decision.action is not Action.RETRY:
                self.end(intent, "abandoned", "policy")
                return False
            process.sleep(decision.delay_us)
            yield


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
