"""The operator: cancels, revokes and reprioritises, at given rates, on targets that it read a while before.

Each deed begins with a look at one partition (what is eligible, what is leased, which flow is the newest),
goes on with a while of thinking, and ends with an operation on a target that may have moved on meanwhile.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim.actors.base import READ_ELIGIBLE, Actor
from sim.contention import ContentionKind
from sim.link import OP
from sim.scenario.workload import MAX_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from sim.actors.base import Story, World
    from sim.actors.reconciler import Reconciler
    from sim.kernel import Process
    from sim.record import Op

    Look = Callable[[Process, int], Generator[None, Any, list[int]]]

_READ_LEASES: Final = OP["read_leases"]
_READ_FLOWS: Final = OP["read_open_flows"]
_CANCEL: Final = OP["cancel_execution"]
_CANCEL_FLOW: Final = OP["cancel_flow"]
_REVOKE: Final = OP["revoke_lease"]
_CHANGE_PRIORITY: Final = OP["change_priority"]

# What an operator is told who comes too late: terminal already; no lease any more; no longer runnable.
_NOTHING_LEFT: Final = {
    _CANCEL: (ContentionKind.EXECUTION_NOT_ACTIVE,),
    _CANCEL_FLOW: (ContentionKind.EXECUTION_NOT_ACTIVE,),
    _REVOKE: (ContentionKind.NO_ACTIVE_LEASE, ContentionKind.EXECUTION_NOT_ACTIVE),
    _CHANGE_PRIORITY: (ContentionKind.EXECUTION_NOT_ELIGIBLE,),
}

_SHOWN: Final = 50
"""How many entries an operator is shown."""


class Operator(Actor):
    """Interferes with executions.

    Parameters
    ----------
    world, number
        See :class:`Actor`.
    reconcilers
        Who is told of revoked leases, where the rules reclaim.
    until_us
        No deeds from this instant on.
    """

    kind = "operator"

    def __init__(self, world: World, number: int, reconcilers: Sequence[Reconciler], until_us: int) -> None:
        super().__init__(world, number)
        self._reconcilers = reconcilers
        self._until_us = until_us
        self._think = world.scenario.operators.think.sampler(world.streams.of(f"{self.name}/think"))
        self._choice = world.streams.uniform(f"{self.name}/choice")

    def start(self) -> None:
        """Begin with the deeds, each at its own rate."""
        spec = self.world.scenario.operators
        deeds: list[tuple[str, float, Op, Look]] = [
            ("cancel", spec.cancel, _CANCEL, self._look_at_work),
            ("cancel_flow", spec.cancel_flow, _CANCEL_FLOW, self._look_at_flows),
            ("revoke", spec.revoke, _REVOKE, self._look_at_leases),
            ("reprioritise", spec.reprioritise, _CHANGE_PRIORITY, self._look_at_eligible),
        ]
        for name, rate_per_s, op, look in deeds:
            if rate_per_s > 0:
                self.spawn(partial(self._deeds, name, rate_per_s / spec.count, op, look))

    def _deeds(self, name: str, rate_per_s: float, op: Op, look: Look, process: Process) -> Story:
        for at_us in self.world.workload.poisson_us(rate_per_s, f"{self.name}/{name}"):
            if at_us >= self._until_us:
                return
            process.sleep(max(at_us - self.now_us, 0))
            yield
            self.spawn(partial(self._deed, op, look))

    def _deed(self, op: Op, look: Look, process: Process) -> Story:
        """Look, think, act."""
        partition = self._draw(self.world.link.partitions)
        targets = yield from look(process, partition)
        if not targets:
            return
        target = targets[self._draw(len(targets))]
        process.sleep(self._think())
        yield
        goal = {_REVOKE: "revoke", _CHANGE_PRIORITY: "reprioritise"}.get(op, "cancel")
        arguments = {
            _CANCEL: (target, "operator_override"),
            _CANCEL_FLOW: (target,),
            _REVOKE: (target,),
            _CHANGE_PRIORITY: (target, self._draw(MAX_PRIORITY + 1)),
        }[op]
        intent = self.begin(goal, -1 if op is _CANCEL_FLOW else target)
        if op is _CANCEL_FLOW:
            intent.flow = target
        outcome, stopped = yield from self.carry_out(
            process, intent, op, partition, arguments, intent.execution
        )
        if stopped is None:
            self.end(intent, "recovered")
            if op is _REVOKE and self._reconcilers:
                reconciler = self._reconcilers[self.number % len(self._reconcilers)]
                self.world.link.message(self.client, reconciler.revoked, target)
        elif outcome.kind in _NOTHING_LEFT[op]:
            self.end(intent, "satisfied")
        else:
            self.end(intent, "abandoned", "policy")

    def _draw(self, below: int) -> int:
        return int(self._choice() * below)

    def _look_at_eligible(self, process: Process, partition: int) -> Generator[None, Any, list[int]]:
        lane = self.world.lanes[self._draw(len(self.world.lanes))]
        self.send(process, READ_ELIGIBLE, partition, (lane, _SHOWN))
        outcome = yield
        return [execution for execution, _ in outcome.values["candidates"]] if outcome.ok else []

    def _look_at_leases(self, process: Process, partition: int) -> Generator[None, Any, list[int]]:
        self.send(process, _READ_LEASES, partition, (_SHOWN,))
        outcome = yield
        return outcome.values["due"] if outcome.ok else []

    def _look_at_work(self, process: Process, partition: int) -> Generator[None, Any, list[int]]:
        """Look at what waits and at what is worked on."""
        waiting = yield from self._look_at_eligible(process, partition)
        leased = yield from self._look_at_leases(process, partition)
        return waiting + leased

    def _look_at_flows(self, process: Process, partition: int) -> Generator[None, Any, list[int]]:
        self.send(process, _READ_FLOWS, partition, (_SHOWN,))
        outcome = yield
        return outcome.values["flows"] if outcome.ok else []
