"""The reconciler: sweeps the store's due indexes and repairs what time or trouble left behind.

Every replica runs every scan, each on its own interval and phase, partition after partition, a bounded
batch at a time. Replicas sweep the same indexes: they compete, and what one has repaired the other finds
repaired.

Lapsed leases are marked; where the rules reclaim, the execution is then granted to the longest-idle slot
that told this reconciler of itself. A hand-out to a slot that found other work is dropped there, and its
grant lapses.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim.actors.base import Actor
from sim.actors.worker import HandOut
from sim.link import OP
from sim.retry import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from sim.actors.base import Story, World
    from sim.actors.worker import Slot
    from sim.kernel import Process
    from sim.record import Intent, Op
    from sim.store.outcome import Ok

    Sweep = Callable[[Process, int], Story]

_READ_LEASES: Final = OP["read_lapsed_leases"]
_READ_GRANTS: Final = OP["read_lapsed_grants"]
_READ_DELAYED: Final = OP["read_due_delayed"]
_READ_BLOCKED: Final = OP["read_blocked"]
_MARK: Final = OP["mark_lease_expired_if_due"]
_GRANT: Final = OP["issue_reclaim_grant"]
_REQUEUE: Final = OP["requeue_lapsed_grant"]
_PROMOTE: Final = OP["promote_delayed"]
_UNBLOCK: Final = OP["unblock_execution"]
_RECONCILE_QUOTA: Final = OP["reconcile_quota"]

_RECLAIMABLE: Final = frozenset({"marked_expired", "already_expired", "already_revoked"})


class Reconciler(Actor):
    """One replica of the reconciler."""

    kind = "reconciler"

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self._spec = world.scenario.reconcilers
        self._rules = world.scenario.store.rules
        self._idle: deque[Slot] = deque()

    def start(self) -> None:
        """Start every scan that has something to do in this scenario."""
        scans: list[tuple[str, int | None, Sweep]] = [
            ("lease_expiry", self._spec.lease_expiry, self._sweep_leases),
            ("delayed", self._spec.delayed, self._sweep_delayed),
        ]
        if self._rules.granted_execution == "leaves_eligible_set":
            scans.append(("grants", self._spec.grants, self._sweep_grants))
        if self.world.scenario.quotas:
            if self._rules.admission_denied == "blocked":
                scans.append(("unblock", self._spec.unblock, self._sweep_blocked))
            if self._rules.concurrency_release == "reconciler":
                scans.append(("quota", self._spec.quota, self._sweep_quotas))
        for name, interval_us, sweep in scans:
            if interval_us is None:
                continue
            phase = self.world.streams.uniform(f"{self.name}/phase/{name}")
            self.spawn(partial(self._scan, interval_us, int(phase() * interval_us), sweep))

    def idle(self, slot: Slot) -> None:
        """Take note of a slot that found nothing to do."""
        self._idle.append(slot)

    def _scan(self, interval_us: int, phase_us: int, sweep: Sweep, process: Process) -> Story:
        """Sweep all partitions, rest for what is left of the interval, for ever."""
        process.sleep(phase_us)
        yield
        while True:
            began_us = self.now_us
            for partition in range(self.world.link.partitions):
                yield from sweep(process, partition)
            process.sleep(max(interval_us - (self.now_us - began_us), 0))
            yield

    def _due(
        self, process: Process, op: Op, partition: int, arguments: tuple[Any, ...]
    ) -> Generator[None, Any, list[int]]:
        """Read a due index; no answer is as good as nothing due, the next pass reads again."""
        self.send(process, op, partition, arguments)
        outcome = yield
        return outcome.values["due"] if outcome.ok else []

    def _sweep_leases(self, process: Process, partition: int) -> Story:
        due = yield from self._due(process, _READ_LEASES, partition, (self._spec.batch,))
        for execution in due:
            intent = self.begin("repair", execution)
            marked = yield from self._attempt(process, intent, _MARK, partition, (execution,))
            if marked is None:
                continue
            reclaim = self._rules.lapsed_lease == "reclaimed" and marked.values["outcome"] in _RECLAIMABLE
            if reclaim and self._idle:
                yield from self._hand_out(process, intent, partition, execution)
            else:
                self.end(intent, "recovered")

    def _hand_out(self, process: Process, intent: Intent, partition: int, execution: int) -> Story:
        """Grant a lapsed execution to the longest-idle slot and tell it."""
        slot = self._idle.popleft()
        slot.listed_by = None
        ttl_ms = self.world.scenario.schedulers.grant_ttl // 1000
        arguments = (execution, slot.worker.index, ttl_ms, slot.worker.capabilities)
        granted = yield from self._attempt(process, intent, _GRANT, partition, arguments)
        if granted is not None:
            self.end(intent, "recovered")
            self.world.link.message(self.client, slot.hand_out, HandOut(execution))

    def _sweep_grants(self, process: Process, partition: int) -> Story:
        due = yield from self._due(process, _READ_GRANTS, partition, (self._spec.batch,))
        for execution in due:
            yield from self._repair(process, _REQUEUE, partition, execution, (execution,))

    def _sweep_delayed(self, process: Process, partition: int) -> Story:
        for lane in self.world.lanes:
            due = yield from self._due(process, _READ_DELAYED, partition, (lane, self._spec.batch))
            for execution in due:
                yield from self._repair(process, _PROMOTE, partition, execution, (execution,))

    def _sweep_blocked(self, process: Process, partition: int) -> Story:
        """Unblock what a quota had blocked.

        The engine's scan looks at a rate window that nothing writes, so it always finds room in it, and
        lets everything out; whoever is still over the limit is blocked again at the next admission.
        """
        reason, index = "waiting_for_quota", "blocked_by_quota"
        for lane in self.world.lanes:
            blocked = yield from self._due(
                process, _READ_BLOCKED, partition, (lane, index, 2 * self._spec.batch)
            )
            for execution in blocked:
                yield from self._repair(process, _UNBLOCK, partition, execution, (execution, reason))

    def _sweep_quotas(self, process: Process, partition: int) -> Story:
        """Set each concurrency counter to the number of admissions whose guard is alive."""
        for quota, spec in enumerate(self.world.scenario.quotas.values()):
            if self.world.link.partition_of(quota) == partition and spec.concurrency:
                intent = self.begin("repair")
                if (
                    yield from self._attempt(process, intent, _RECONCILE_QUOTA, partition, (quota,))
                ) is not None:
                    self.end(intent, "recovered")

    def _repair(
        self, process: Process, op: Op, partition: int, execution: int, arguments: tuple[Any, ...]
    ) -> Story:
        """Repair one item with one operation."""
        intent = self.begin("repair", execution)
        if (yield from self._attempt(process, intent, op, partition, arguments)) is not None:
            self.end(intent, "recovered")

    def _attempt(
        self, process: Process, intent: Intent, op: Op, partition: int, arguments: tuple[Any, ...]
    ) -> Generator[None, Any, Ok | None]:
        """Carry out one step of a repair: its outcome, or None when the repair has ended without it."""
        while True:
            self.send(process, op, partition, arguments, intent, intent.execution)
            outcome: Any = yield
            if outcome.ok:
                done: Ok = outcome
                return done
            decision = self.decide(intent, op, outcome)
            if decision.action is not Action.RETRY:
                if decision.action is Action.SKIP:
                    self.end(intent, "satisfied")
                else:
                    self.end(intent, "abandoned", "policy")
                return None
            process.sleep(decision.delay_us)
            yield
