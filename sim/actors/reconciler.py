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
from sim.record import NONE
from sim.retry import Action
from sim.store.footprints import has_written
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from sim.actors.base import Story, World
    from sim.actors.worker import Slot
    from sim.kernel import Process
    from sim.record import Intent, Op, Unknown
    from sim.store.outcome import Ok, Refused

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

_READ_SUSPENSIONS: Final = OP["read_due_suspensions"]
_READ_WAITPOINTS: Final = OP["read_due_waitpoints"]
_READ_DEADLINES: Final = OP["read_due_deadlines"]
_READ_UNRESOLVED: Final = OP["read_unresolved"]
_READ_BACKLOG: Final = OP["read_cancel_backlog"]
_READ_BUDGET: Final = OP["read_budget"]
_EXPIRE_SUSPENSION: Final = OP["expire_suspension"]
_CLOSE_WAITPOINT: Final = OP["close_waitpoint"]
_EXPIRE: Final = OP["expire_execution"]
_RESOLVE: Final = OP["resolve_dependency"]
_CANCEL: Final = OP["cancel_execution"]
_ACK: Final = OP["ack_cancel_member"]
_RESET: Final = OP["reset_budget"]

# Bounds of the engine's scanners besides the batch (dependency and cancel reconciler).
_EDGES_AN_EXECUTION: Final = 20
_MEMBERS_A_FLOW: Final = 500

# What a repair is told that has nothing left to do.
_REPAIRED_OR_GONE: Final = frozenset({
    "execution_not_reclaimable", "grant_already_exists", "execution_not_eligible", "execution_not_active",
    "waitpoint_not_found",
})  # fmt: skip

_RECLAIMABLE: Final = frozenset({"marked_expired", "already_expired", "already_revoked"})


class Reconciler(Actor):
    """One replica of the reconciler."""

    kind = "reconciler"

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self._spec = world.scenario.reconcilers
        self._rules = world.scenario.store.rules
        self._idle: deque[Slot] = deque()
        self._revoked: deque[int] = deque()
        self._resets: dict[int, int] = {}
        # Until when (milliseconds) what this replica has handed out may be reclaimed: no need to grant again.
        self._handed_out: dict[int, int] = {}

    def start(self) -> None:
        """Start every scan that has something to do in this scenario."""
        scans: list[tuple[str, int | None, Sweep]] = [
            ("lease_expiry", self._spec.lease_expiry, self._sweep_leases),
            ("delayed", self._spec.delayed, self._sweep_delayed),
        ]
        scans += self._scans_of_rules() + self._scans_of_workload()
        for name, interval_us, sweep in scans:
            if interval_us is None:
                continue
            phase = self.world.streams.uniform(f"{self.name}/phase/{name}")
            self.spawn(partial(self._scan, interval_us, int(phase() * interval_us), sweep))

    def _scans_of_rules(self) -> list[tuple[str, int | None, Sweep]]:
        """Give the scans that repair what the dialect leaves behind."""
        scans: list[tuple[str, int | None, Sweep]] = []
        if self._rules.granted_execution == "leaves_eligible_set":
            scans.append(("grants", self._spec.grants, self._sweep_grants))
        if "blocked" in (
            self._rules.admission_denied,
            self._rules.budget_denied,
            self._rules.capability_denied,
        ):
            scans.append(("unblock", self._spec.unblock, self._sweep_blocked))
        if self.world.scenario.quotas and self._rules.concurrency_release == "reconciler":
            scans.append(("quota", self._spec.quota, self._sweep_quotas))
        return scans

    def _scans_of_workload(self) -> list[tuple[str, int | None, Sweep]]:
        """Give the scans for what only some workloads have."""
        scenario = self.world.scenario
        classes = scenario.workload.classes.values()
        scans: list[tuple[str, int | None, Sweep]] = []
        if any(each.suspends is not None for each in classes):
            scans.append(("suspension_timeout", self._spec.suspension_timeout, self._sweep_suspensions))
            scans.append(("pending_waitpoints", self._spec.pending_waitpoints, self._sweep_waitpoints))
        if scenario.workload.flows is not None or any(each.children is not None for each in classes):
            scans.append(("dependencies", self._spec.dependencies, self._sweep_dependencies))
        if scenario.workload.flows is not None and scenario.operators.cancel_flow > 0:
            scans.append(("cancels", self._spec.cancels, self._sweep_cancels))
        if any(each.deadline is not None for each in classes):
            scans.append(("deadlines", self._spec.deadlines, self._sweep_deadlines))
        if any(each.reset is not None for each in scenario.budgets.values()):
            scans.append(("budgets", self._spec.budgets, self._sweep_budgets))
        return scans

    def revoked(self, execution: int) -> None:
        """Take note of a lease that an operator revoked: no index leads to it any more."""
        self._revoked.append(execution)

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
    ) -> Generator[None, Any, list[Any]]:
        """Read a due index; no answer is as good as nothing due, the next pass reads again."""
        self.send(process, op, partition, arguments)
        outcome = yield
        return outcome.values["due"] if outcome.ok else []

    def _sweep_leases(self, process: Process, partition: int) -> Story:
        """Mark lapsed leases and, where the rules reclaim, hand them and revoked ones to idle slots."""
        due = yield from self._due(process, _READ_LEASES, partition, (self._spec.batch,))
        now_ms = self.now_us // US_PER_MS
        self._handed_out = {each: until for each, until in self._handed_out.items() if until >= now_ms}
        for execution in due:
            if self._handed_out.get(execution, -1) >= self.now_us // US_PER_MS:
                continue
            intent = self.begin("repair", execution)
            marked = yield from self._attempt(process, intent, _MARK, partition, (execution,))
            if marked is None:
                continue
            resolution = _resolution(_MARK, marked)
            reclaim = self._rules.lapsed_lease == "reclaimed" and marked.values["outcome"] in _RECLAIMABLE
            if reclaim and self._idle:
                yield from self._hand_out(process, intent, partition, execution)
            else:
                self.end(intent, resolution)
        mine = [each for each in self._revoked if self.world.partition_of(each) == partition]
        for execution in mine:
            if not self._idle:
                return
            if self._handed_out.get(execution, -1) >= self.now_us // US_PER_MS:
                continue
            intent = self.begin("repair", execution)
            if not (yield from self._hand_out(process, intent, partition, execution)):
                self._revoked.remove(execution)  # Reclaimed already, or gone: nothing is left to hand out.

    def _hand_out(
        self, process: Process, intent: Intent, partition: int, execution: int
    ) -> Generator[None, Any, bool]:
        """Grant a lapsed execution to the longest-idle slot and tell it; False when the grant was refused."""
        if not self._idle:
            self.end(intent, "recovered")
            return True
        slot = self._idle.popleft()
        slot.listed_by = None
        ttl_ms = self.world.scenario.schedulers.grant_ttl // US_PER_MS
        arguments = (execution, slot.worker.index, ttl_ms, slot.worker.capabilities)
        granted = yield from self._attempt(process, intent, _GRANT, partition, arguments)
        if granted is not None:
            self.end(intent, "recovered")
            hand_out = HandOut(execution, granted.values["grant_expires_at"])
            self._handed_out[execution] = hand_out.expires_at_ms
            self.world.link.message(self.client, slot.hand_out, hand_out)
        return granted is not None

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
        """Unblock what an admission had blocked and what may go on now.

        For quotas that is everything: the engine's scan looks at a rate window that nothing writes, so it
        always finds room in it; whoever is still over the limit is blocked again at the next admission.
        """
        for index, reason, may_go_on in (
            ("blocked_by_quota", "waiting_for_quota", self._always),
            ("blocked_by_budget", "waiting_for_budget", self._within_budget),
            ("blocked_by_route", "waiting_for_capable_worker", self._is_served),
        ):
            for lane in self.world.lanes:
                arguments = (lane, index, 2 * self._spec.batch)
                blocked = yield from self._due(process, _READ_BLOCKED, partition, arguments)
                for execution in blocked:
                    if (yield from may_go_on(process, execution)):
                        yield from self._repair(process, _UNBLOCK, partition, execution, (execution, reason))

    def _always(self, _process: Process, _execution: int) -> Generator[None, Any, bool]:
        yield from ()
        return True

    def _within_budget(self, process: Process, execution: int) -> Generator[None, Any, bool]:
        number, _ = self.world.limits.budgets[self.world.workload.class_name(execution)]
        self.send(process, _READ_BUDGET, self.world.link.partition_of(number), (number,))
        outcome = yield
        return bool(outcome.ok and not outcome.values["used_up"])

    def _is_served(self, _process: Process, execution: int) -> Generator[None, Any, bool]:
        yield from ()
        wanted = self.world.workload.class_spec(execution).capabilities
        return set(wanted) <= set(self.world.scenario.workers.capabilities)

    def _sweep_suspensions(self, process: Process, partition: int) -> Story:
        due = yield from self._due(process, _READ_SUSPENSIONS, partition, (self._spec.batch,))
        for execution in due:
            yield from self._repair(process, _EXPIRE_SUSPENSION, partition, execution, (execution,))

    def _sweep_waitpoints(self, process: Process, partition: int) -> Story:
        due = yield from self._due(process, _READ_WAITPOINTS, partition, (2 * self._spec.batch,))
        for waitpoint in due:
            yield from self._repair(process, _CLOSE_WAITPOINT, partition, NONE, (waitpoint,))

    def _sweep_deadlines(self, process: Process, partition: int) -> Story:
        due = yield from self._due(process, _READ_DEADLINES, partition, (self._spec.batch,))
        for execution in due:
            yield from self._repair(process, _EXPIRE, partition, execution, (execution,))

    def _sweep_dependencies(self, process: Process, partition: int) -> Story:
        """Resolve the edges whose dispatch was lost."""
        for lane in self.world.lanes:
            arguments = (lane, self._spec.batch, _EDGES_AN_EXECUTION)
            due = yield from self._due(process, _READ_UNRESOLVED, partition, arguments)
            for edge in due:
                yield from self._repair(process, _RESOLVE, partition, edge[3], edge)

    def _sweep_cancels(self, process: Process, partition: int) -> Story:
        """Cancel the members of cancelled flows and tick them off, those too that have ended."""
        due = yield from self._due(process, _READ_BACKLOG, partition, (self._spec.batch, _MEMBERS_A_FLOW))
        for flow, members in due:
            for member in members:
                intent = self.begin("repair", member)
                intent.flow = flow
                cancel = (member, "operator_override")
                outcome, stopped = yield from self.carry_out(
                    process, intent, _CANCEL, partition, cancel, member
                )
                if stopped in (None, Action.SKIP):
                    yield from self.carry_out(process, intent, _ACK, partition, (flow, member), member)
                if stopped is None:
                    self.end(intent, "recovered")
                else:
                    self._end_in_vain(intent, outcome)

    def _sweep_budgets(self, process: Process, partition: int) -> Story:
        """Reset the budgets whose time has come."""
        for number, spec in enumerate(self.world.scenario.budgets.values()):
            home = self.world.link.partition_of(number) == partition
            if home and spec.reset is not None and self.now_us // spec.reset > self._resets.get(number, 0):
                self._resets[number] = self.now_us // spec.reset
                yield from self._repair(process, _RESET, partition, NONE, (number,))

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
        outcome = yield from self._attempt(process, intent, op, partition, arguments)
        if outcome is not None:
            self.end(intent, _resolution(op, outcome))

    def _attempt(
        self, process: Process, intent: Intent, op: Op, partition: int, arguments: tuple[Any, ...]
    ) -> Generator[None, Any, Ok | None]:
        """Carry out one step of a repair: its outcome, or None when the repair has ended without it."""
        outcome, stopped = yield from self.carry_out(
            process, intent, op, partition, arguments, intent.execution
        )
        if stopped is None:
            done: Ok = outcome
            return done
        self._end_in_vain(intent, outcome)
        return None

    def _end_in_vain(self, intent: Intent, outcome: Refused | Unknown) -> None:
        """End a repair that was refused: most often because another replica was there before."""
        if outcome.code in _REPAIRED_OR_GONE:
            self.end(intent, "satisfied")
        else:
            self.end(intent, "abandoned", "policy")


def _resolution(op: Op, outcome: Ok) -> str:
    """Say whether an accepted repair was one, or found nothing to do."""
    return "recovered" if has_written(op.name, outcome) else "satisfied"
