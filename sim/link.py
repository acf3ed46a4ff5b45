"""The one seam between actors and store: delays, queues, loss, time-outs.

An attempt costs two kernel events: its arrival at the store, and the reply at the caller. Each partition
of the store serves arrivals one at a time, first come first served. That needs no resource and no event:
arrivals are handled in time order, so an attempt that arrives at ``t`` starts at
``start = max(t, busy_until)``, takes effect with ``now_ms = start // 1000``, keeps the partition busy for a
service time, and is answered a reply delay after that.

A request has three answers: ok, refused, unknown. A request or reply that is lost, or that would come
after the time-out, is answered ``unknown`` at the time-out; whether it was applied is not known then.

Where the rule ``transactions`` is ``serializable``, a partition has no such queue: an operation takes effect
when its transaction commits (:mod:`sim.transactions`), and the reply leaves then.

Messages between actors (claim requests, grants, hand-outs) take a request delay and are no attempts.
"""

from __future__ import annotations

from array import array
from heapq import heappush
from typing import TYPE_CHECKING, Any, Final, Protocol

from sim.ledger import ENDED, GRANTED, REFUSED, stage_of
from sim.record import NONE, UNKNOWN, Attempt, Op
from sim.store import OPERATIONS, Store
from sim.store.state import Phase
from sim.transactions import TransactionServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sim.kernel import Kernel, Process
    from sim.ledger import ExecutionLedger
    from sim.record import Intent, Recorder, Unknown
    from sim.rng import Streams
    from sim.scenario.model import Link as LinkSpec
    from sim.scenario.model import Store as StoreSpec
    from sim.store.outcome import Outcome

OPS: Final = tuple(Op(index, name) for index, name in enumerate(OPERATIONS))
OP: Final = {op.name: op for op in OPS}


class ModelError(Exception):
    """An actor made a mistake that the engine would answer with an error: a bug of the model."""


class Client:
    """An actor's end of the link: its delays, its luck, and the order of its connection.

    Parameters
    ----------
    streams
        The run's random streams.
    name
        The actor's name, which owns the draws.
    link
        Delays and loss of the scenario.
    """

    __slots__ = (
        "fifo", "last_arrival_us", "last_reply_us", "replies_lost", "reply", "request", "requests_lost",
    )  # fmt: skip

    def __init__(self, streams: Streams, name: str, link: LinkSpec) -> None:
        self.request = link.request.draws(streams.of(f"{name}/request"))
        self.reply = link.reply.draws(streams.of(f"{name}/reply"))
        self.requests_lost = streams.events(f"{name}/lose_request", link.lose_request)
        self.replies_lost = streams.events(f"{name}/lose_reply", link.lose_reply)
        self.fifo = link.fifo
        self.last_arrival_us = 0
        self.last_reply_us = 0


class Server:
    """One partition of the store with its queue: busy until an instant, that is all a queue needs here.

    Attributes
    ----------
    store : Store
    service : Iterator
        How long operations take, one after another (microseconds).
    busy_until_us : int
    begun_us, ended_us : array
        When a busy period began, and when the one before had ended: written when an idle one is over.
    outages : int
        Outage windows that go on; above 0, what arrives has no effect and no answer.
    """

    __slots__ = ("begun_us", "busy_until_us", "ended_us", "operations", "outages", "service", "store")
    sessions: Final = 1

    def __init__(self, store: Store, service: Iterator[int]) -> None:
        self.store = store
        self.service = service
        self.busy_until_us = 0
        # One empty busy period at the first instant, so that the two columns are always in step.
        self.begun_us = array("q", [0])
        self.ended_us = array("q")
        self.outages = 0
        self.operations = tuple(getattr(store, op.name) for op in OPS)

    def busy_us(self) -> tuple[array[int], array[int]]:
        """Give the instants at which it became busy, and those at which it became idle again."""
        return self.begun_us, self.ended_us + array("q", [self.busy_until_us])


def servers_of(spec: StoreSpec, kernel: Kernel, streams: Streams) -> list[Server | TransactionServer]:
    """Make the partitions of a store, all of one sort: the rule ``transactions`` says which."""
    servers: list[Server | TransactionServer] = []
    for partition in range(spec.partitions):
        store, name = Store(spec.rules), f"store/{partition}"
        if spec.rules.transactions == "atomic":
            servers.append(Server(store, spec.service.draws(streams.of(f"{name}/service"))))
        else:
            statement = spec.statement.draws(streams.of(f"{name}/statement"))
            servers.append(TransactionServer(kernel, store, spec.connections, statement))
    return servers


class Observer(Protocol):
    """Sees what passes over the link, without a say in it."""

    def served(self, partition: int, attempt: Attempt, outcome: Outcome, finish_us: int) -> None:
        """See an operation take effect; its reply leaves at ``finish_us``, its caller may have given up."""

    def answered(self, attempt: Attempt, outcome: Outcome | Unknown) -> None:
        """See an actor learn of an answer, or that there is none."""


class Link:
    """Carries attempts from actors to the partitions of the store and back.

    Parameters
    ----------
    kernel
        The clock.
    servers
        The partitions.
    recorder
        Gets every attempt when its actor learns the answer.
    ledger
        Gets what became of executions, when it takes effect.
    spec
        Delays, loss, time-out and order of the scenario.
    """

    def __init__(
        self,
        kernel: Kernel,
        servers: Sequence[Server | TransactionServer],
        recorder: Recorder,
        ledger: ExecutionLedger,
        spec: LinkSpec,
    ) -> None:
        self._kernel = kernel
        self._queue: Any = kernel._queue
        self._sequence = kernel._eid
        self._servers = servers
        self._record = recorder.attempt
        self._timeout_us = spec.timeout
        self._delivery = self._deliver
        self._effects = _ledger_effects(ledger)
        self.partitions = len(servers)
        # What happens at the store: decided here once, because every attempt passes there.
        self._arrive = self._serve
        for server in servers:
            if isinstance(server, TransactionServer):
                self._arrive = self._begin_transaction
                server.answer = self._answer
            server.store.release_slot = self._slot_effect(server, "release_slot")
            server.store.take_slot = self._slot_effect(server, "take_slot")

    def observe(self, observer: Observer) -> None:
        """Show everything to an observer from now on. Who is not observed pays nothing for it."""
        record, answer, servers = self._record, self._answer, list(self._servers)

        def recorded(attempt: Attempt, outcome: Any) -> None:
            record(attempt, outcome)
            observer.answered(attempt, outcome)

        def answered(attempt: Attempt, outcome: Outcome, finish_us: int) -> None:
            observer.served(servers.index(attempt.server), attempt, outcome, finish_us)
            answer(attempt, outcome, finish_us)

        self._record = recorded
        self._answer = answered  # type: ignore[method-assign]  # what a server calls when it is done
        for server in servers:
            if isinstance(server, TransactionServer):
                server.answer = answered

    def partition_of(self, number: int) -> int:
        """Give the partition of an execution, flow or quota. Round robin by number: evenly loaded."""
        return number % self.partitions

    def send(
        self,
        process: Process,
        op: Op,
        partition: int,
        arguments: tuple[Any, ...],
        intent: Intent | None = None,
        execution: int = NONE,
    ) -> None:
        """Send one operation; the process, which yields next, is resumed with its outcome."""
        now_us = self._kernel._now
        owner = process.owner
        client = owner.client
        attempt = Attempt()
        attempt.process = process
        attempt.actor = owner.index
        attempt.op = op
        attempt.server = self._servers[partition]
        attempt.arguments = arguments
        attempt.intent = intent
        attempt.execution = execution
        attempt.sent_us = now_us
        attempt.deadline_us = deadline_us = now_us + self._timeout_us
        attempt.outcome = None
        if intent is not None:
            intent.attempts += 1
        arrives_us = now_us + next(client.request)
        if client.fifo:
            client.last_arrival_us = arrives_us = max(arrives_us, client.last_arrival_us)
        lost = next(client.requests_lost)
        if arrives_us <= deadline_us and not lost:
            heappush(self._queue, (arrives_us, 1, next(self._sequence), self._arrive, attempt))
        else:
            self._send_in_vain(attempt, None if lost else arrives_us)

    def _send_in_vain(self, attempt: Attempt, arrives_us: int | None) -> None:
        """Send a request that never arrives, or that arrives when its caller has given up."""
        attempt.outcome = UNKNOWN
        attempt.arrived_us = NONE
        self._kernel.call_at(attempt.deadline_us, self._deliver, attempt)
        if arrives_us is not None:
            self._kernel.call_at(arrives_us, self._arrive, attempt)

    def message(
        self, sender: Client, deliver: Callable[[Any], object], content: Any, extra_us: int = 0
    ) -> None:
        """Send a message to another actor, which gets it after a request delay of the sender."""
        self._kernel.call_at(self._kernel._now + extra_us + next(sender.request), deliver, content)

    def sent_and_open(self) -> list[int]:
        """Give the instants at which those attempts were sent whose actors wait for the outcome, in order.

        Each is among the calls to come, some twice: its arrival, its delivery, its time-out.
        """
        attempts = dict.fromkeys(each for each in self._kernel.arguments() if isinstance(each, Attempt))
        return sorted(each.sent_us for each in attempts if not hasattr(each, "done_us"))

    def _serve(self, attempt: Attempt) -> None:
        """Carry out an operation for when its turn comes, which is known at its arrival."""
        now_us = self._kernel._now
        server = attempt.server
        if server.outages:
            self._meet_outage(attempt)
            return
        start_us = server.busy_until_us
        if start_us < now_us:
            server.ended_us.append(start_us)
            server.begun_us.append(now_us)
            start_us = now_us
        attempt.arrived_us = now_us
        attempt.started_us = start_us
        op = attempt.op.index
        server.store.stamp = (attempt.actor, op, start_us)
        # Joined, not unpacked: that would make a list of them first.
        outcome = server.operations[op](*((start_us // 1000,) + attempt.arguments))  # noqa: RUF005
        server.busy_until_us = finish_us = start_us + next(server.service)
        self._answer(attempt, outcome, finish_us)

    def _begin_transaction(self, attempt: Attempt) -> None:
        """Let a transaction begin. When it ends is not known now, so the caller's time-out is a call."""
        attempt.arrived_us = self._kernel._now
        if attempt.server.outages:
            self._meet_outage(attempt)
            return
        if attempt.outcome is None:
            self._kernel.call_at(attempt.deadline_us, self._give_up, attempt)
        attempt.server.begin(attempt)

    def _meet_outage(self, attempt: Attempt) -> None:
        """Let an attempt come to nothing: its caller finds out by its time-out."""
        if attempt.outcome is None:
            attempt.arrived_us = self._kernel._now
            attempt.outcome = UNKNOWN
            self._kernel.call_at(attempt.deadline_us, self._deliver, attempt)

    def _give_up(self, attempt: Attempt) -> None:
        """Answer an attempt whose transaction is still under way at its time-out."""
        if attempt.outcome is None:
            attempt.outcome = UNKNOWN
            self._deliver(attempt)

    def _answer(self, attempt: Attempt, outcome: Outcome, finish_us: int) -> None:
        """Take down what an operation did, and let its reply leave at ``finish_us``."""
        effect = self._effects[attempt.op.index]
        if effect is not None:
            effect(attempt, outcome)
        if attempt.outcome is not None:
            return  # It came after the caller's time-out: it has its effect, and nobody waits.
        client = attempt.process.owner.client
        done_us = finish_us + next(client.reply)
        if client.fifo:
            client.last_reply_us = done_us = max(done_us, client.last_reply_us)
        attempt.outcome = outcome
        if next(client.replies_lost) or done_us > attempt.deadline_us:
            attempt.outcome = UNKNOWN
            done_us = attempt.deadline_us
        heappush(self._queue, (done_us, 1, next(self._sequence), self._delivery, attempt))

    def _deliver(self, attempt: Attempt) -> None:
        process = attempt.process
        owner = process.owner
        now_us = self._kernel._now
        if owner.paused_until_us > now_us:
            self._kernel.call_at(owner.paused_until_us, self._deliver, attempt)
            return
        alive, record = process.alive, self._record
        outcome = attempt.outcome if alive else UNKNOWN
        attempt.done_us = now_us
        record(attempt, outcome)
        if not outcome.ok and outcome.kind is None and outcome is not UNKNOWN:
            raise ModelError(f"{owner.name}: {attempt.op.name}{attempt.arguments} was answered {outcome!r}")
        if owner.watches:
            # What a fleet shares outlives its processes: it sees the answer though nobody waits for it.
            owner.observe(attempt, attempt.outcome)
        if alive:
            send = process.send
            try:  # as Process.resume does, without its call: every attempt comes here
                send(outcome)
            except StopIteration:
                process.alive = False

    def _slot_effect(
        self, origin: Server | TransactionServer, operation: str
    ) -> Callable[[int, int, int], None]:
        """Carry the end (or the reclaim) of a lease to the quota's partition, when it takes effect."""

        def schedule(now_ms: int, quota: int, execution: int) -> None:
            change = getattr(self._servers[self.partition_of(quota)].store.quotas, operation)
            stamp: Any = origin.store.stamp  # who, what, when it takes effect
            self._kernel.call_at(stamp[2], lambda _: change(now_ms, quota, execution))

        return schedule


def _ledger_effects(ledger: ExecutionLedger) -> list[Callable[[Attempt, Outcome], None] | None]:
    """Say which operations change what an execution is, and take down what it has become.

    The store stamps what an operation changes: an execution that bears another stamp has not changed. A
    refusal may change it too (a lapsed lease is marked, an execution out of reclaims fails).
    """

    def look_at(attempt: Attempt, execution: int) -> None:
        store = attempt.server.store
        ex = store.executions.get(execution)
        if ex is not None and ex.changed is store.stamp:
            stage = stage_of(ex.state.words)
            ledger.changed(execution, attempt.started_us, stage, attempt.op.index, ex.attempt_index)
            if stage >= ENDED:
                store.compact(execution)  # It is rarely asked for again, and a long run has millions.

    def created(attempt: Attempt, outcome: Outcome) -> None:
        if outcome.code == "OK":
            stage = stage_of(attempt.server.store.executions[attempt.execution].state.words)
            ledger.created(attempt.execution, attempt.started_us, stage, attempt.op.index)

    def of_one(attempt: Attempt, _: Outcome) -> None:
        look_at(attempt, attempt.execution)

    def renewed(attempt: Attempt, outcome: Outcome) -> None:
        if not outcome.ok:
            look_at(attempt, attempt.execution)

    def next_leased(attempt: Attempt, outcome: Outcome) -> None:
        if outcome.ok and outcome.values["execution"] is not None:
            look_at(attempt, outcome.values["execution"])

    def applied(attempt: Attempt, _: Outcome) -> None:
        # Who is at work, or has ended, takes note of the edge and stays what it is.
        ex = attempt.server.store.executions.get(attempt.execution)
        if ex is not None and ex.state.phase is Phase.RUNNABLE:
            look_at(attempt, attempt.execution)

    def granted(attempt: Attempt, outcome: Outcome) -> None:
        if outcome.ok:
            ledger.changed(attempt.execution, attempt.started_us, GRANTED, attempt.op.index)
        elif outcome.code == "capability_mismatch":
            ledger.changed(attempt.execution, attempt.started_us, REFUSED, attempt.op.index)

    def admitted(attempt: Attempt, outcome: Outcome) -> None:
        if not outcome.ok:
            ledger.changed(attempt.execution, attempt.started_us, REFUSED, attempt.op.index)

    effects: list[Callable[[Attempt, Outcome], None] | None] = [None] * len(OPS)
    special = {
        "create_execution": created,
        "apply_dependency_to_child": applied,
        "renew_lease": renewed,
        "claim_next": next_leased,
        "issue_claim_grant": granted,
        "issue_reclaim_grant": granted,
        "check_admission_and_record": admitted,
    }
    for name, effect in {**dict.fromkeys(_CHANGING, of_one), **special}.items():
        effects[OP[name].index] = effect
    return effects


_CHANGING: Final = (
    "claim_execution", "claim_resumed_execution", "reclaim_execution",
    "mark_lease_expired_if_due", "revoke_lease", "requeue_lapsed_grant", "complete_execution",
    "fail_execution", "delay_execution", "move_to_waiting_children", "create_pending_waitpoint",
    "suspend_execution", "cancel_execution", "expire_execution", "promote_delayed",
    "block_execution_for_admission", "unblock_execution", "deliver_signal", "expire_suspension",
    "resume_execution", "resolve_dependency", "promote_blocked_to_eligible",
)  # fmt: skip
"""What may change what its own execution is, accepted or refused."""
