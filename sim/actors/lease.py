"""What a worker does under a lease: work, renew, and end as the execution's script says.

An attempt completes, fails, is put off, suspends until signals come, or parks until children are done. A
suspension makes its waitpoint with the suspension itself (``fresh``) or before it (``pending_first``): then
the token is out while the worker still works, and signals may come before the suspension is committed. When
signals that were buffered satisfy the condition at once, the worker goes on under the same lease.

A worker whose renewal is refused for good keeps working unless ``stop_on_lost_lease`` is set: its late
completion is then refused, as in real life.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from sim.actors.flows import family_id
from sim.actors.limits import USAGE
from sim.actors.linking import Edge, Linker
from sim.actors.signaler import Token, signal_name
from sim.link import OP
from sim.retry import Action
from sim.scenario.workload import FixedBackoff
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Generator

    from sim.actors.base import Story, World
    from sim.actors.signaler import Signaler
    from sim.kernel import Process
    from sim.record import Intent, Op, Unknown
    from sim.scenario.workload import Suspends, WorkClass
    from sim.store.outcome import Refused
    from sim.workload import Script

_RENEW: Final = OP["renew_lease"]
_COMPLETE: Final = OP["complete_execution"]
_FAIL: Final = OP["fail_execution"]
_DELAY: Final = OP["delay_execution"]
_CREATE_WAITPOINT: Final = OP["create_pending_waitpoint"]
_SUSPEND: Final = OP["suspend_execution"]
_WAIT_FOR_CHILDREN: Final = OP["move_to_waiting_children"]
_EVALUATE: Final = OP["evaluate_flow_eligibility"]
_PROMOTE: Final = OP["promote_blocked_to_eligible"]
_CREATE_FLOW: Final = OP["create_flow"]
_CREATE: Final = OP["create_execution"]
_ADD: Final = OP["add_execution_to_flow"]
_REPORT: Final = OP["report_usage_and_check"]

# What a fenced operation says once the lease is no longer this worker's; and what else says so, where a
# dialect answers wrong fences otherwise, but need not mean it.
_LEASE_LOST: Final = frozenset(
    {"execution_not_active", "stale_lease", "lease_expired", "lease_revoked", "no_active_lease"}
)
_SUPERSEDED: Final = _LEASE_LOST | {"lease_conflict"}
_LOST: Final = object()
# The engine's name of resuming at a time-out.
_ON_TIMEOUT: Final = {"auto_resume": "auto_resume_with_timeout_signal"}


class Lease:
    """A lease as its holder knows it.

    Attributes
    ----------
    execution, lease_id, epoch, attempt_id, attempt_index : int
    resumption : int
        How often this attempt had been interrupted on purpose before.
    ended : bool
        Whether the holder has ended it, or given it up.
    end : Op or None
        With what the holder has last tried to end it.
    is_end_accepted : bool
        Whether it knows that the store has taken that.
    working : bool
        Whether the slot is at work under it.
    working_since_us : int
        Since when it is, or has last been.
    process : Process
        The slot's loop.
    """

    __slots__ = (
        "attempt_id", "attempt_index", "end", "ended", "epoch", "execution", "is_end_accepted", "lease_id",
        "process", "resumption", "working", "working_since_us",
    )  # fmt: skip

    def __init__(self, execution: int, values: Any, process: Process) -> None:
        self.execution = execution
        self.lease_id = values["lease_id"]
        self.epoch = values["lease_epoch"]
        self.attempt_id = values["attempt_id"]
        self.attempt_index = values["attempt_index"]
        self.resumption = int(values["attempt_type"] == "resumed")
        self.process = process
        self.ended = False
        self.end: Op | None = None
        self.is_end_accepted = False
        self.working = False
        self.working_since_us = 0


class LeaseHolder(Linker):
    """The half of a worker that begins with a lease.

    Parameters
    ----------
    world, number
        See :class:`Actor`.
    signaler
        Who is handed the tokens of waitpoints.
    """

    def __init__(self, world: World, number: int, signaler: Signaler | None) -> None:
        super().__init__(world, number)
        self._spec = world.scenario.workers
        self._signaler = signaler
        self._lease_ttl_ms = self._spec.lease_ttl // US_PER_MS
        self.renew_every_us = self._spec.renew_every_us
        # One may outlive its lease: it waits for an answer when the work is done.
        self.renewers: list[Process] = []

    def work(self, lease: Lease, process: Process) -> Story:
        """Work through the stretches that one lease covers, while it is renewed."""
        kernel = self.world.kernel
        kernel.call_at(kernel._now + self.renew_every_us, self._renewal_due, lease)
        goes_on = True
        while goes_on:
            script = self.world.workload.script(lease.execution, lease.attempt_index, lease.resumption)
            waitpoint = self._announce(lease, script)
            goes_on = lease.is_end_accepted = False
            if (yield from self._busy(lease, script.work_us, process)):
                match script.end:
                    case "suspend":
                        goes_on = yield from self._suspend(lease, script, waitpoint, process)
                    case "children":
                        yield from self._wait_for_children(lease, process)
                    case _:
                        yield from self._finish(lease, script, process)
            lease.resumption += 1
        lease.ended = True

    def _busy(self, lease: Lease, work_us: int, process: Process) -> Generator[None, Any, bool]:
        """Work for a while; False when the lease was lost and the worker stops for it."""
        process.sleep(work_us)
        lease.working = True
        lease.working_since_us = self.now_us
        interrupted = yield
        self.stop_working(lease)
        return interrupted is not _LOST

    def stop_working(self, lease: Lease) -> None:
        """Take down the stretch of work that ends now, if there is one."""
        if lease.working:
            lease.working = False
            self.world.ledger.worked(
                lease.execution, lease.epoch, self.index, lease.working_since_us, self.now_us
            )

    def _finish(self, lease: Lease, script: Script, process: Process) -> Story:
        """Complete, fail or put off the execution, and find out what became of it when that is refused."""
        arguments: tuple[Any, ...] = (lease.execution, lease.lease_id, lease.epoch, lease.attempt_id)
        op, goal = _COMPLETE, "finish"
        if script.end == "fail":
            op = _FAIL
            arguments += (_retry_policy(self.world.workload.class_spec(lease.execution)),)
        elif script.end == "delay":
            op, goal = _DELAY, "park"
            arguments += ((self.now_us + script.wait_us) // US_PER_MS,)
        intent = self.begin(goal, lease.execution)
        outcome = yield from self._under_lease(lease, intent, op, arguments, process)
        if outcome is None:
            return
        if op is _COMPLETE:
            yield from self._report_usage(lease, intent, process)
        self.end(intent, "recovered")

    def _under_lease(
        self, lease: Lease, intent: Intent, op: Op, arguments: tuple[Any, ...], process: Process
    ) -> Generator[None, Any, Any]:
        """Carry out a fenced operation: its outcome, or None when the intent has ended without it."""
        partition = self.world.partition_of(lease.execution)
        if op is not _CREATE_WAITPOINT:
            lease.end = op
        outcome, stopped = yield from self.carry_out(
            process, intent, op, partition, arguments, lease.execution
        )
        if stopped is None:
            lease.is_end_accepted = op is lease.end
            return outcome
        resolution, cause = self._fate(outcome, stopped, lease, op)
        lease.is_end_accepted = resolution == "recovered"
        self.end(intent, resolution, cause)
        return None

    def _report_usage(self, lease: Lease, intent: Intent, process: Process) -> Story:
        """Tell the budget of the class what a completion cost; once, whatever replies are lost."""
        budget = self.world.limits.budgets.get(self.world.workload.class_name(lease.execution))
        if budget is None:
            return
        number, spec = budget
        arguments = (number, [[USAGE, spec.cost]], lease.attempt_id)
        partition = self.world.link.partition_of(number)
        yield from self.carry_out(process, intent, _REPORT, partition, arguments, lease.execution)

    # --- suspension ----------------------------------------------------------------------------------

    def _announce(self, lease: Lease, script: Script) -> int:
        """Give a number to the waitpoint that this stretch will make.

        Signalers that can compute its id know it from now on.
        """
        if script.end != "suspend":
            return -1
        waitpoint = next(self.world.ids)
        if self._suspends(lease).deterministic_ids:
            self._hand_out(lease, script, waitpoint)
        return waitpoint

    def _suspend(
        self, lease: Lease, script: Script, waitpoint: int, process: Process
    ) -> Generator[None, Any, bool]:
        """Suspend the execution; True when buffered signals satisfied it at once and the worker goes on."""
        spec = self._suspends(lease)
        pending = spec.waitpoint == "pending_first"
        intent = self.begin("park", lease.execution)
        if pending:
            expires_at = (self.now_us + spec.pending_timeout) // US_PER_MS
            made = (lease.execution, lease.attempt_index, waitpoint, expires_at)
            if (yield from self._under_lease(lease, intent, _CREATE_WAITPOINT, made, process)) is None:
                return False
            if not spec.deterministic_ids:
                self._hand_out(lease, script, waitpoint)
            if not (yield from self._busy(lease, script.wait_us, process)):
                self.end(intent, "abandoned", "superseded")
                return False
        timeout_at = None if spec.timeout is None else (self.now_us + spec.timeout) // US_PER_MS
        arguments = (
            lease.execution, lease.attempt_index, lease.attempt_id, lease.lease_id, lease.epoch,
            next(self.world.ids), waitpoint, _condition(spec.signals), "waiting_for_signal", timeout_at,
            _ON_TIMEOUT.get(spec.on_timeout, spec.on_timeout), pending,
        )  # fmt: skip
        outcome = yield from self._under_lease(lease, intent, _SUSPEND, arguments, process)
        if outcome is None:
            return False
        self.end(intent, "recovered")
        if not pending and not spec.deterministic_ids:
            self._hand_out(lease, script, waitpoint)
        return bool(outcome.code == "ALREADY_SATISFIED")

    def _suspends(self, lease: Lease) -> Suspends:
        spec = self.world.workload.class_spec(lease.execution).suspends
        assert spec is not None, "a script suspends only where its class does"
        return spec

    def _hand_out(self, lease: Lease, script: Script, waitpoint: int) -> None:
        """Give the token of a waitpoint to the signaler."""
        if self._signaler is not None:
            token = Token(lease.execution, waitpoint, script.signals_us)
            self.world.link.message(self.client, self._signaler.receive, token)

    # --- children ------------------------------------------------------------------------------------

    def _wait_for_children(self, lease: Lease, process: Process) -> Story:
        """Create the children as a flow of which the execution is the last member, then park.

        A child may be done before the execution is parked; then nothing would wake it, so the worker looks.
        """
        parent = lease.execution
        flow, partition = family_id(parent), self.world.partition_of(parent)
        intent = self.begin("park", parent)
        steps: list[tuple[Op, tuple[Any, ...], int]] = [
            (_CREATE_FLOW, (flow,), parent),
            (_ADD, (flow, parent), parent),
        ]
        children = self.world.workload.children(parent)
        for child in children:
            steps += [(_CREATE, self.world.creation(child, self.now_us), child), (_ADD, (flow, child), child)]
        for op, arguments, execution in steps:
            _, stopped = yield from self.carry_out(process, intent, op, partition, arguments, execution)
            if stopped is not None:
                self.end(intent, "abandoned", "policy")
                return
        for number, child in enumerate(children):
            edge = Edge(flow, partition, number, child, parent)
            if not (yield from self.link_edge(process, intent, edge, _at_once)):
                self.end(intent, "abandoned", "policy")
                return
        fence = (parent, lease.lease_id, lease.epoch, lease.attempt_id)
        if (yield from self._under_lease(lease, intent, _WAIT_FOR_CHILDREN, fence, process)) is None:
            return
        told, _ = yield from self.carry_out(process, intent, _EVALUATE, partition, (parent,), parent)
        if told.ok and told.values["eligibility"] == "eligible":
            yield from self.carry_out(process, intent, _PROMOTE, partition, (parent,), parent)
        self.end(intent, "recovered")

    # --- renewal -------------------------------------------------------------------------------------

    def _renewal_due(self, lease: Lease) -> None:
        """Start the renewer when a lease is still held at its first tick: most work is over before."""
        if lease.ended:
            return
        if self.paused_until_us > self.now_us:
            self.world.kernel.call_at(self.paused_until_us, self._renewal_due, lease)
            return
        self.renewers = [each for each in self.renewers if each.alive]
        self.renewers.append(self.spawn(partial(self._renew, lease)))

    def _renew(self, lease: Lease, process: Process) -> Story:
        """Renew a lease at every tick until it ends or is lost."""
        while not lease.ended:
            tick_us = self.now_us
            outcome = yield from self._hold(lease, process)
            if outcome.code in _LEASE_LOST:
                if self._spec.stop_on_lost_lease and lease.working:
                    lease.process.interrupt(_LOST)
                return
            # Ticks that a slow or repeated renewal overran are skipped, not made up for.
            overrun = (self.now_us - tick_us) // self.renew_every_us
            process.sleep(tick_us + (overrun + 1) * self.renew_every_us - self.now_us)
            yield

    def _hold(self, lease: Lease, process: Process) -> Generator[None, Any, Any]:
        """Renew a lease once, as often as the policy has it tried."""
        arguments = (
            lease.execution, lease.attempt_index, lease.attempt_id, lease.lease_id, lease.epoch,
            self._lease_ttl_ms,
        )  # fmt: skip
        partition = self.world.partition_of(lease.execution)
        intent = self.begin("hold", lease.execution)
        again = True
        while again:
            self.send(process, _RENEW, partition, arguments, intent, lease.execution)
            outcome = yield
            again = False
            if not outcome.ok:
                decision = self.decide(intent, _RENEW, outcome)
                if decision.action is Action.RETRY and not lease.ended:
                    process.sleep(decision.delay_us)
                    yield
                    again = not lease.ended
        if outcome.ok:
            self.end(intent, "recovered")
        elif lease.is_end_accepted or (lease.end is not None and _is_own_end(outcome, lease, lease.end)):
            self.end(intent, "satisfied")
        else:
            self.end(intent, "abandoned", "superseded" if outcome.code in _SUPERSEDED else "policy")
        return outcome

    def _fate(
        self, outcome: Refused | Unknown, action: Action, lease: Lease, op: Op
    ) -> tuple[str, str | None]:
        """Say what became of the end of a lease that was refused: resolution and cause.

        A refusal as not active carries four details of the execution. The worker's own end, whose reply was
        lost, shows the lease's epoch and what it asked for: it is confirmed where the policy has that
        reconciled. The engine's SDK as coded loses the details, so that it never recognises its own end.
        """
        if outcome.code not in _SUPERSEDED:
            return "abandoned", "policy"
        if outcome.code == "execution_not_active":
            if _is_own_end(outcome, lease, op):
                if action is not Action.RECONCILE:
                    return "abandoned", "policy"
                as_coded = self._spec.replay_reconciliation == "as_coded"
                return ("abandoned", "superseded") if as_coded else ("recovered", None)
            if outcome.values["lifecycle_phase"] == "terminal":  # type: ignore[union-attr]
                return "satisfied", None
        return "abandoned", "superseded"


def _is_own_end(outcome: Refused | Unknown, lease: Lease, op: Op) -> bool:
    """Whether a refusal shows the end that the holder of a lease asked for with an operation."""
    if outcome.code != "execution_not_active":
        return False
    details = outcome.values  # type: ignore[union-attr]
    return (
        details["lease_epoch"] == lease.epoch
        and details["terminal_outcome"] in _OWN_ENDS[op]
        and (details["lifecycle_phase"] != "terminal" or details["attempt_id"] == lease.attempt_id)
    )


def _at_once() -> int:
    return 0


@cache
def _condition(signals: int) -> dict[str, Any]:
    """Give the condition of a waitpoint that so many signals satisfy."""
    return {"names": [signal_name(number) for number in range(signals)], "mode": "all", "min_count": signals}


def _retry_policy(work_class: WorkClass) -> dict[str, Any] | None:
    """Give the retries of a class as the engine takes them."""
    retries = work_class.retries
    if retries is None:
        return None
    backoff = retries.backoff
    if isinstance(backoff, FixedBackoff):
        wanted: dict[str, Any] = {"type": "fixed", "delay_ms": backoff.delay // US_PER_MS}
    else:
        wanted = {
            "type": "exponential",
            "initial_delay_ms": backoff.initial // US_PER_MS,
            "max_delay_ms": backoff.cap // US_PER_MS,
            "multiplier": backoff.multiplier,
        }
    return {"max_retries": retries.max, "backoff": wanted}


_OWN_ENDS: Final = {
    _COMPLETE: ("success",),
    _FAIL: ("failed", "none"),
    _DELAY: ("none",),
    _SUSPEND: ("none",),
    _WAIT_FOR_CHILDREN: ("none",),
    _CREATE_WAITPOINT: (),
}
