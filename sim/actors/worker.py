"""The worker: looks for work, gets a lease, works under it, and looks for work again.

A worker has ``slots`` loops. Each asks a scheduler for a grant (``claim: scheduler``) or reads the head of
the eligible set and grants it to itself (``claim: direct``), claims the execution, works on it under its
lease (:mod:`sim.actors.lease`), and begins again. With ``claim: next`` (Postgres) one operation finds and
leases the next execution. A slot that finds nothing waits ``poll``; while it waits it is on the list of a
reconciler, which may hand it a lapsed execution to reclaim.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.actors.base import ISSUE_CLAIM_GRANT, READ_ELIGIBLE
from sim.actors.lease import Lease, LeaseHolder
from sim.actors.scheduler import NOTHING_ELIGIBLE, Reply, Request
from sim.kernel import Process
from sim.link import OP
from sim.record import REJECTED, UNKNOWN
from sim.retry import Action
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from sim.actors.base import Story, World
    from sim.actors.reconciler import Reconciler
    from sim.actors.scheduler import Scheduler
    from sim.actors.signaler import Signaler
    from sim.record import Intent, Op, Unknown
    from sim.store.outcome import Refused

_CLAIM: Final = OP["claim_execution"]
_CLAIM_RESUMED: Final = OP["claim_resumed_execution"]
_RECLAIM: Final = OP["reclaim_execution"]
_CLAIM_NEXT: Final = OP["claim_next"]
_DESCRIBE: Final = OP["describe"]

# Partitions that one direct scan visits: the engine's PARTITION_SCAN_CHUNK.
_SCAN_CHUNK: Final = 32


class _Again(Enum):
    """What a step of acquiring gives instead of a lease when the policy says to go on."""

    AGAIN = "again"


_AGAIN: Final = _Again.AGAIN


class HandOut(NamedTuple):
    """A reconciler's message: this lapsed execution is granted to you until then, reclaim it."""

    execution: int
    expires_at_ms: int


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
        if self.idle and self.worker.local_us() < hand_out.expires_at_ms * US_PER_MS:
            self.process.interrupt(hand_out)


class Worker(LeaseHolder):
    """Claims executions and works on them.

    Parameters
    ----------
    world, number
        See :class:`Actor`.
    schedulers
        Who is asked for work, in turn.
    reconcilers
        Who is told of idle slots: the one with this worker's number, modulo their count.
    signaler
        Who is handed the tokens of waitpoints.
    """

    kind = "worker"

    def __init__(
        self,
        world: World,
        number: int,
        schedulers: Sequence[Scheduler],
        reconcilers: Sequence[Reconciler],
        signaler: Signaler | None,
    ) -> None:
        super().__init__(world, number, signaler)
        self._schedulers = schedulers
        self._reconciler = reconcilers[number % len(reconcilers)] if reconcilers else None
        self._asked = number
        self._scan_start = number
        self._lane_turn = number
        self._is_hinted = self._spec.dispatch == "hinted"
        self._scans = self._spec.claim != "scheduler"
        self._looks_with = _CLAIM_NEXT if self._spec.claim == "next" else READ_ELIGIBLE
        self.capabilities = tuple(self._spec.capabilities)
        self.slots: list[Slot] = []
        self.down_until_us = 0
        self._clock_offset_us = 0
        self._clock_rate = 1.0

    def skew_clock(self, offset_us: int, drift: float) -> None:
        """Let this worker's clock be wrong: it judges grants by it, and its renewals come by its ticks."""
        self._clock_offset_us += offset_us
        self._clock_rate *= 1.0 + drift
        self.renew_every_us = round(self._spec.renew_every_us / self._clock_rate)

    def local_us(self) -> int:
        """Give the instant by this worker's own clock."""
        return round(self.now_us * self._clock_rate) + self._clock_offset_us

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
                self.stop_working(slot.lease)
        for renewer in self.renewers:
            renewer.kill()
        self.slots = []
        self.renewers = []
        self.lose_memory()

    def close(self) -> None:
        """Take down the work that is under way at the end of the run."""
        for slot in self.slots:
            if slot.lease is not None:
                self.stop_working(slot.lease)

    def loop(self, slot: Slot, process: Process) -> Story:
        """Claim and work, for ever."""
        acquire = {
            "scheduler": self._acquire_by_scheduler,
            "direct": self._acquire_direct,
            "next": self._acquire_next,
        }[self._spec.claim]
        while True:
            intent = self.begin("acquire")
            lease = yield from acquire(slot, intent, process)
            if lease is None:
                self.end(intent, "abandoned", "policy")
                process.sleep(self._spec.poll)
                yield
                continue
            slot.lease = lease
            yield from self.work(lease, process)
            slot.lease = None

    # --- getting a lease -----------------------------------------------------------------------------

    def _acquire_by_scheduler(
        self, slot: Slot, intent: Intent, process: Process
    ) -> Generator[None, Any, Lease | None]:
        """Ask schedulers until one grants something that can be claimed; None when the policy gives up."""
        while True:
            reply = yield from self._ask(slot, intent)
            if reply.refusal is None:
                op = _CLAIM_RESUMED if reply.interrupted and self._is_hinted else _CLAIM
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
        send, partition_of, total = self.send, self.world.partition_of, self.world.link.partitions
        scanned = min(_SCAN_CHUNK, total)
        grant_ttl_ms = self.world.scenario.schedulers.grant_ttl // US_PER_MS
        capabilities = self.capabilities
        while True:
            lane, start = self._next_lane(), self._scan_start
            self._scan_start = (start + _SCAN_CHUNK) % total
            last_step = start + scanned - 1
            found = False
            refusal: Refused | Unknown | None = NOTHING_ELIGIBLE
            claimed: Lease | _Again | None = _AGAIN
            for step in range(start, start + scanned):
                last = step == last_step and not found
                send(process, READ_ELIGIBLE, step % total, (lane, 1, capabilities, last), intent)
                outcome = yield
                if not outcome.ok:
                    if outcome.kind is not None:
                        refusal = outcome
                        break
                    if outcome is REJECTED:
                        return None  # The policy lets nothing be sent: no scan, in no time at all.
                    continue
                candidates = outcome.values["candidates"]
                if not candidates:
                    continue
                found = True
                execution, interrupted = candidates[0]
                arguments = (execution, self.index, lane, grant_ttl_ms, capabilities)
                action = Action.RETRY
                while action is Action.RETRY:
                    send(process, ISSUE_CLAIM_GRANT, partition_of(execution), arguments, intent, execution)
                    outcome = yield
                    if outcome.ok:
                        break
                    action, delay_us = self.decide(intent, ISSUE_CLAIM_GRANT, outcome)
                    if delay_us:
                        process.sleep(delay_us)
                        yield
                    if outcome is UNKNOWN and action is Action.RETRY:
                        action = Action.NEW_GRANT  # As after a claim that was not answered.
                if outcome.ok:
                    op = _CLAIM_RESUMED if interrupted and self._is_hinted else _CLAIM
                    claimed = yield from self._claim(op, execution, intent, process)
                    refusal = None
                    break
                if action is not Action.SKIP:
                    claimed = None if action is Action.GIVE_UP else _AGAIN
                    refusal = None
                    break
            if refusal is not None:
                if not self._begin_waiting(slot, refusal, intent, process):
                    return None
                hand_out: HandOut | None = yield
                slot.idle = False
                if hand_out is None:
                    continue
                claimed = yield from self._claim(_RECLAIM, hand_out.execution, intent, process)
            if claimed is not _AGAIN:
                return claimed

    def _acquire_next(
        self, slot: Slot, intent: Intent, process: Process
    ) -> Generator[None, Any, Lease | None]:
        """Take the next execution of a lane in one operation, partition after partition."""
        total = self.world.link.partitions
        while True:
            lane, start = self._next_lane(), self._scan_start
            self._scan_start = (start + _SCAN_CHUNK) % total
            end = start + min(_SCAN_CHUNK, total)
            outcome = UNKNOWN
            for step in range(start, end):
                ids = next(self.world.ids), next(self.world.ids)
                arguments = (
                    self.index, lane, ids[0], self._lease_ttl_ms, ids[1], self.capabilities, step == end - 1,
                )  # fmt: skip
                self.send(process, _CLAIM_NEXT, step % total, arguments, intent)
                outcome = yield
                if outcome.ok and outcome.values["execution"] is not None:
                    return self._leased(outcome.values["execution"], outcome.values, intent, process)
            claimed = yield from self._wait_for_work(slot, outcome, intent, process)
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
        """Wait as the policy says after finding nothing; a hand-out may end the wait."""
        if not self._begin_waiting(slot, refusal, intent, process):
            return None
        hand_out: HandOut | None = yield
        slot.idle = False
        if hand_out is None:
            return _AGAIN
        return (yield from self._claim(_RECLAIM, hand_out.execution, intent, process))

    def _begin_waiting(
        self, slot: Slot, refusal: Refused | Unknown, intent: Intent, process: Process
    ) -> bool:
        """Lie down for as long as the policy says, on a reconciler's list; False when it gives up.

        A scan of one's own that came to nothing was taken down with its last read, so was a scheduler's.
        """
        if self._scans and refusal is not NOTHING_ELIGIBLE:
            action, delay_us = self.decide(intent, self._looks_with, refusal)
        else:
            action, delay_us = self.consult(intent, self._looks_with, refusal)
        if action is Action.GIVE_UP:
            return False
        if self._reconciler is not None and slot.listed_by is None:
            slot.listed_by = self._reconciler
            self.world.link.message(self.client, self._reconciler.idle, slot)
        process.sleep(delay_us)
        slot.idle = True
        return True

    def _claim(
        self, op: Op, execution: int, intent: Intent, process: Process
    ) -> Generator[None, Any, Lease | _Again | None]:
        """Turn a grant into a lease: the lease, None to give up, or AGAIN to look for another grant."""
        lease_id, attempt_id = next(self.world.ids), next(self.world.ids)
        partition = self.world.partition_of(execution)
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
                case Action.RETRY if outcome is UNKNOWN:
                    return _AGAIN  # For all that this worker knows it may be leased: it asks anew.
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


def _as_claimed(described: Any) -> dict[str, Any]:
    """Read a lease out of a description, in the words of a claim's answer."""
    return {
        "lease_id": described["current_lease_id"],
        "lease_epoch": described["current_lease_epoch"],
        "attempt_id": described["current_attempt_id"],
        "attempt_index": described["current_attempt_index"],
        "attempt_type": "reconciled",
    }
