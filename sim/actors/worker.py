"""The worker: gets a lease, works under it, renews it, ends it.

A worker has ``slots`` loops. Each asks a scheduler for a grant (``claim: scheduler``) or reads the head of
the eligible set and grants it to itself (``claim: direct``), claims the execution, works for the
execution's own time while a renewer renews the lease every ``renew_at`` of its time to live, and ends as
the execution's script says. A slot that finds nothing waits ``poll``; while it waits it is on the list of a
reconciler, which may hand it a lapsed execution to reclaim.

A worker whose renewal is refused for good keeps working unless ``stop_on_lost_lease`` is set: its late
completion is then refused, as in real life.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.actors.base import ISSUE_CLAIM_GRANT, READ_ELIGIBLE, Actor
from sim.actors.scheduler import NOTHING_ELIGIBLE, Reply, Request
from sim.kernel import Process
from sim.link import OP
from sim.retry import Action
from sim.scenario.workload import FixedBackoff
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from sim.actors.base import Story, World
    from sim.actors.reconciler import Reconciler
    from sim.actors.scheduler import Scheduler
    from sim.record import Intent, Op, Unknown
    from sim.scenario.workload import WorkClass
    from sim.store.outcome import Refused
    from sim.workload import Script

_CLAIM: Final = OP["claim_execution"]
_CLAIM_RESUMED: Final = OP["claim_resumed_execution"]
_RECLAIM: Final = OP["reclaim_execution"]
_RENEW: Final = OP["renew_lease"]
_COMPLETE: Final = OP["complete_execution"]
_FAIL: Final = OP["fail_execution"]
_DELAY: Final = OP["delay_execution"]
_DESCRIBE: Final = OP["describe"]

# Partitions that one direct scan visits: the engine's PARTITION_SCAN_CHUNK.
_SCAN_CHUNK: Final = 32
# What a fenced operation says once the lease is no longer this worker's.
_LEASE_LOST: Final = frozenset({"execution_not_active", "stale_lease", "lease_expired", "lease_revoked"})
_LOST: Final = object()


class _Again(Enum):
    """What a step of acquiring gives instead of a lease when the policy says to go on."""

    AGAIN = "again"


_AGAIN: Final = _Again.AGAIN


class HandOut(NamedTuple):
    """A reconciler's message: this lapsed execution is granted to you, reclaim it."""

    execution: int


class Lease:
    """A lease as its holder knows it.

    Attributes
    ----------
    execution, lease_id, epoch, attempt_id, attempt_index : int
    resumption : int
        How often this attempt had been interrupted on purpose before.
    ended : bool
        Whether the holder has ended it, or given it up.
    working : bool
        Whether the slot is at work under it.
    process, renewer : Process
        The slot's loop, and the renewer once there is one.
    """

    __slots__ = (
        "attempt_id", "attempt_index", "ended", "epoch", "execution", "lease_id", "process", "renewer",
        "resumption", "working",
    )  # fmt: skip

    def __init__(self, execution: int, values: Any, process: Process) -> None:
        self.execution = execution
        self.lease_id = values["lease_id"]
        self.epoch = values["lease_epoch"]
        self.attempt_id = values["attempt_id"]
        self.attempt_index = values["attempt_index"]
        self.resumption = int(values["attempt_type"] == "resumed")
        self.process = process
        self.renewer: Process | None = None
        self.ended = False
        self.working = False


class Slot:
    """One loop of a worker: where answers and hand-outs for it arrive."""

    __slots__ = ("asking", "idle", "lease", "listed_by", "process", "worker")

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.asking = False
        self.idle = False
        self.listed_by: Reconciler | None = None
        self.lease: Lease | None = None
        self.process = Process(worker.world.kernel, worker, partial(worker.loop, self))

    def answer(self, reply: Reply) -> None:
        """Receive a scheduler's answer."""
        if self.asking:
            self.process.interrupt(reply)

    def hand_out(self, hand_out: HandOut) -> None:
        """Receive a reconciler's hand-out; a slot that is busy or dead drops it, and the grant lapses."""
        if self.idle:
            self.process.interrupt(hand_out)


class Worker(Actor):
    """Claims executions and works on them.

    Parameters
    ----------
    world, number
        See :class:`Actor`.
    schedulers
        Who is asked for work, in turn.
    reconcilers
        Who is told of idle slots: the one with this worker's number, modulo their count.
    """

    kind = "worker"

    def __init__(
        self, world: World, number: int, schedulers: Sequence[Scheduler], reconcilers: Sequence[Reconciler]
    ) -> None:
        super().__init__(world, number)
        self._spec = world.scenario.workers
        self._schedulers = schedulers
        self._reconciler = reconcilers[number % len(reconcilers)] if reconcilers else None
        self._asked = number
        self._scan_start = number
        self._lane_turn = number
        self._lease_ttl_ms = self._spec.lease_ttl // US_PER_MS
        self._renew_every_us = self._spec.renew_every_us
        self.capabilities: tuple[str, ...] = ()
        self.slots: list[Slot] = []
        self.down_until_us = 0

    def start(self) -> None:
        """Start every slot, with nothing in memory."""
        self.slots = [Slot(self) for _ in range(self._spec.slots)]
        for slot in self.slots:
            slot.process.start()

    def crash(self, down_until_us: int) -> None:
        """End the process of this worker: loops, renewals and memory are gone; leases lapse."""
        self.down_until_us = down_until_us
        self.paused_until_us = 0
        for slot in self.slots:
            slot.process.kill()
            slot.idle = slot.asking = False
            if slot.lease is not None:
                slot.lease.ended = True
                if slot.lease.renewer is not None:
                    slot.lease.renewer.kill()
        self.slots = []
        self.world.recorder.end_all(self.now_us, "abandoned", "crash", self.index)

    def loop(self, slot: Slot, process: Process) -> Story:
        """Claim and work, for ever."""
        acquire = self._acquire_direct if self._spec.claim == "direct" else self._acquire_by_scheduler
        while True:
            intent = self.begin("acquire")
            lease = yield from acquire(slot, intent, process)
            if lease is None:
                self.end(intent, "abandoned", "policy")
                process.sleep(self._spec.poll)
                yield
                continue
            slot.lease = lease
            yield from self._work(lease, process)
            slot.lease = None

    # --- getting a lease -----------------------------------------------------------------------------

    def _acquire_by_scheduler(
        self, slot: Slot, intent: Intent, process: Process
    ) -> Generator[None, Any, Lease | None]:
        """Ask schedulers until one grants something that can be claimed; None when the policy gives up."""
        while True:
            reply = yield from self._ask(slot, intent)
            if reply.refusal is None:
                op = _CLAIM_RESUMED if reply.interrupted else _CLAIM
                claimed = yield from self._claim(op, reply.execution, intent, process)
            else:
                claimed = yield from self._wait_for_work(slot, reply.refusal, intent, process)
            if claimed is not _AGAIN:
                return claimed

    def _acquire_direct(
        self, slot: Slot, intent: Intent, process: Process
    ) -> Generator[None, Any, Lease | None]:
        """Scan the eligible sets until something can be granted to oneself and claimed.

        One flat loop on purpose: of all that a fleet does, this is done most.
        """
        partition_of, total = self.world.link.partition_of, self.world.link.partitions
        grant_ttl_ms = self.world.scenario.schedulers.grant_ttl // US_PER_MS
        capabilities = self.capabilities
        while True:
            lane, start = self._next_lane(), self._scan_start
            self._scan_start = (start + _SCAN_CHUNK) % total
            end = start + min(_SCAN_CHUNK, total)
            found = False
            claimed: Lease | _Again | None = _AGAIN
            for step in range(start, end):
                last = step == end - 1 and not found
                self.send(process, READ_ELIGIBLE, step % total, (lane, 1, capabilities, last), intent)
                outcome = yield
                if outcome.kind is not None:
                    claimed = yield from self._wait_for_work(slot, outcome, intent, process)
                    break
                if not outcome.ok or not outcome.values["candidates"]:
                    continue
                found = True
                execution, interrupted = outcome.values["candidates"][0]
                arguments = (execution, self.index, lane, grant_ttl_ms, capabilities)
                action = Action.RETRY
                while action is Action.RETRY:
                    self.send(
                        process, ISSUE_CLAIM_GRANT, partition_of(execution), arguments, intent, execution
                    )
                    outcome = yield
                    if outcome.ok:
                        break
                    action, delay_us = self.decide(intent, ISSUE_CLAIM_GRANT, outcome)
                    if delay_us:
                        process.sleep(delay_us)
                        yield
                if outcome.ok:
                    op = _CLAIM_RESUMED if interrupted else _CLAIM
                    claimed = yield from self._claim(op, execution, intent, process)
                    break
                if action is not Action.SKIP:
                    claimed = None if action is Action.GIVE_UP else _AGAIN
                    break
            else:
                claimed = yield from self._wait_for_work(slot, NOTHING_ELIGIBLE, intent, process)
            if claimed is not _AGAIN:
                return claimed

    def _ask(self, slot: Slot, intent: Intent) -> Generator[None, Any, Reply]:
        """Send a claim request to the next scheduler and wait for its answer."""
        scheduler = self._schedulers[self._asked % len(self._schedulers)]
        self._asked += 1
        request = Request(slot, self._next_lane(), intent.root)
        self.world.link.message(self.client, scheduler.request, request)
        slot.asking = True
        reply: Reply = yield
        slot.asking = False
        return reply

    def _wait_for_work(
        self, slot: Slot, refusal: Refused | Unknown, intent: Intent, process: Process
    ) -> Generator[None, Any, Lease | _Again | None]:
        """Wait as the policy says after finding nothing; a hand-out may end the wait.

        A scan of one's own that came to nothing was taken down with its last read, so was a scheduler's.
        """
        own = self._spec.claim == "direct" and refusal is not NOTHING_ELIGIBLE
        decision = (self.decide if own else self.consult)(intent, READ_ELIGIBLE, refusal)
        if decision.action is Action.GIVE_UP:
            return None
        if self._reconciler is not None and slot.listed_by is None:
            slot.listed_by = self._reconciler
            self.world.link.message(self.client, self._reconciler.idle, slot)
        process.sleep(decision.delay_us)
        slot.idle = True
        hand_out: HandOut | None = yield
        slot.idle = False
        if hand_out is None:
            return _AGAIN
        return (yield from self._claim(_RECLAIM, hand_out.execution, intent, process))

    def _claim(
        self, op: Op, execution: int, intent: Intent, process: Process
    ) -> Generator[None, Any, Lease | _Again | None]:
        """Turn a grant into a lease: the lease, None to give up, or AGAIN to look for another grant."""
        lease_id, attempt_id = next(self.world.ids), next(self.world.ids)
        partition = self.world.link.partition_of(execution)
        while True:
            arguments: tuple[Any, ...] = (execution, self.index, lease_id, self._lease_ttl_ms)
            if op is not _CLAIM_RESUMED:
                arguments += (attempt_id,)
            self.send(process, op, partition, arguments, intent, execution)
            outcome = yield
            if outcome.ok:
                return self._leased(execution, outcome.values, intent, process)
            decision = self.decide(intent, op, outcome)
            if decision.delay_us:
                process.sleep(decision.delay_us)
                yield
            match decision.action:
                case Action.RETRY:
                    continue
                case Action.REDISPATCH:
                    op = _CLAIM if op is _CLAIM_RESUMED else _CLAIM_RESUMED
                case Action.RECONCILE:
                    self.send(process, _DESCRIBE, partition, (execution,), intent, execution)
                    told = yield
                    if told.ok and told.values["current_lease_id"] == lease_id:
                        return self._leased(execution, _as_claimed(told.values), intent, process)
                    return _AGAIN
                case Action.GIVE_UP:
                    return None
                case _:
                    return _AGAIN

    def _leased(self, execution: int, values: Any, intent: Intent, process: Process) -> Lease:
        intent.execution = execution
        self.end(intent, "recovered")
        return Lease(execution, values, process)

    def _next_lane(self) -> str:
        """Take the worker's lanes in turn, one a request."""
        lanes = self._spec.lanes
        self._lane_turn += 1
        return lanes[self._lane_turn % len(lanes)]

    # --- under a lease -------------------------------------------------------------------------------

    def _work(self, lease: Lease, process: Process) -> Story:
        """Work for the execution's own time while the lease is renewed, then end as its script says."""
        kernel = self.world.kernel
        script = self.world.workload.script(lease.execution, lease.attempt_index, lease.resumption)
        kernel.call_at(kernel._now + self._renew_every_us, self._renewal_due, lease)
        process.sleep(script.work_us)
        lease.working = True
        interrupted = yield
        lease.working = False
        if interrupted is not _LOST:
            yield from self._finish(lease, script, process)
        lease.ended = True

    def _finish(self, lease: Lease, script: Script, process: Process) -> Story:
        """Complete, fail or park the execution, and find out what became of it when that is refused."""
        execution = lease.execution
        arguments: tuple[Any, ...] = (execution, lease.lease_id, lease.epoch, lease.attempt_id)
        op, goal = _COMPLETE, "finish"
        if script.end == "fail":
            op = _FAIL
            arguments += (_retry_policy(self.world.workload.class_spec(execution)),)
        elif script.end == "delay":
            op, goal = _DELAY, "park"
            arguments += ((self.now_us + script.delay_us) // US_PER_MS,)
        intent = self.begin(goal, execution)
        partition = self.world.link.partition_of(execution)
        while True:
            self.send(process, op, partition, arguments, intent, execution)
            outcome = yield
            if outcome.ok:
                self.end(intent, "recovered")
                return
            decision = self.decide(intent, op, outcome)
            if decision.action is not Action.RETRY:
                self.end(intent, *_fate(outcome, decision.action, lease, op))
                return
            process.sleep(decision.delay_us)
            yield

    def _renewal_due(self, lease: Lease) -> None:
        """Start the renewer when a lease is still held at its first tick: most work is over before."""
        if lease.ended:
            return
        if self.paused_until_us > self.now_us:
            self.world.kernel.call_at(self.paused_until_us, self._renewal_due, lease)
            return
        lease.renewer = self.spawn(partial(self._renew, lease))

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
            overrun = (self.now_us - tick_us) // self._renew_every_us
            process.sleep(tick_us + (overrun + 1) * self._renew_every_us - self.now_us)
            yield

    def _hold(self, lease: Lease, process: Process) -> Generator[None, Any, Any]:
        """Renew a lease once, as often as the policy has it tried."""
        arguments = (
            lease.execution, lease.attempt_index, lease.attempt_id, lease.lease_id, lease.epoch,
            self._lease_ttl_ms,
        )  # fmt: skip
        partition = self.world.link.partition_of(lease.execution)
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
        elif lease.ended:
            self.end(intent, "satisfied")
        else:
            self.end(intent, "abandoned", "superseded" if outcome.code in _LEASE_LOST else "policy")
        return outcome


def _as_claimed(described: Any) -> dict[str, Any]:
    """Read a lease out of a description, in the words of a claim's answer."""
    return {
        "lease_id": described["current_lease_id"],
        "lease_epoch": described["current_lease_epoch"],
        "attempt_id": described["current_attempt_id"],
        "attempt_index": described["current_attempt_index"],
        "attempt_type": "reconciled",
    }


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


_OWN_ENDS: Final = {_COMPLETE: ("success",), _FAIL: ("failed", "none"), _DELAY: ("none",)}


def _fate(outcome: Refused | Unknown, action: Action, lease: Lease, op: Op) -> tuple[str, str | None]:
    """Say what became of the end of a lease that was refused: resolution and cause.

    A refusal as not active carries four details of the execution. The worker's own end, whose reply was
    lost, shows the lease's epoch and what it asked for.
    """
    if outcome.code not in _LEASE_LOST:
        return "abandoned", "policy"
    if outcome.code == "execution_not_active" and action is Action.RECONCILE:
        details = outcome.values  # type: ignore[union-attr]
        terminal = details["lifecycle_phase"] == "terminal"
        same_lease = details["lease_epoch"] == lease.epoch
        same_attempt = not terminal or details["attempt_id"] == lease.attempt_id
        if same_lease and same_attempt and details["terminal_outcome"] in _OWN_ENDS[op]:
            return "recovered", None
        if terminal:
            return "satisfied", None
    return "abandoned", "superseded"
