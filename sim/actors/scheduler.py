"""The scheduler: answers claim requests of workers with a grant, or with the news that there is none.

For each request it reads the head of the eligible set, partition by partition from a rotating start,
checks the quota of the candidate's class, and issues a grant. Between its read and its grant the world
moves on: that gap is where schedulers compete. A scheduler serves any number of requests at once unless
it is ``serial``.

The rotation is the engine's: the start moves by ``probe`` partitions with the first request of every
window of 250 ms.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.actors.base import ISSUE_CLAIM_GRANT, READ_ELIGIBLE, Actor
from sim.actors.limits import ADMIT, admission
from sim.link import OP
from sim.record import NONE
from sim.retry import Action
from sim.store.outcome import Refused
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from sim.actors.base import Story, World
    from sim.actors.worker import Slot
    from sim.kernel import Process
    from sim.record import Intent, Unknown

_RELEASE: Final = OP["release_admission"]
_READ_BUDGET: Final = OP["read_budget"]
_BLOCK: Final = OP["block_execution_for_admission"]
_ROTATION_WINDOW_US: Final = 250_000

NOTHING_ELIGIBLE: Final = Refused("read_eligible", "no_eligible_execution")
"""What a worker is told when every candidate went to somebody else."""


class Request(NamedTuple):
    """A worker's request for work: which slot asks, for which lane, as part of which intent."""

    slot: Slot
    lane: str
    root: int


class Reply(NamedTuple):
    """A scheduler's answer: an execution that is granted to the worker, or why there is none."""

    execution: int
    interrupted: bool
    refusal: Refused | Unknown | None


class Verdict(Enum):
    """What came of one candidate."""

    GRANTED = "granted"
    NEXT_CANDIDATE = "next candidate"
    NEXT_PARTITION = "next partition"


class Scheduler(Actor):
    """Grants executions to workers that ask."""

    kind = "scheduler"

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self._spec = world.scenario.schedulers
        self._uniform = world.streams.uniform(f"{self.name}/pick") if self._spec.pick == "random" else None
        self._cursor = 0
        self._cursor_window = NONE
        self._waiting: deque[Request] = deque()
        self._serving = False

    def request(self, request: Request) -> None:
        """Take a claim request."""
        if self._spec.serial and self._serving:
            self._waiting.append(request)
        else:
            self._serving = True
            self.spawn(partial(self._serve, request))

    def _serve(self, request: Request, process: Process) -> Story:
        next_request: Request | None = request
        while next_request is not None:
            intent = self.begin("dispatch", root=next_request.root)
            reply = yield from self._dispatch(next_request, intent, process)
            if reply.refusal is None:
                intent.execution = reply.execution
            self.end(intent, "recovered" if reply.refusal is None else "relayed")
            slot = next_request.slot
            self.world.link.message(self.client, slot.answer, reply)
            next_request = self._waiting.popleft() if self._waiting else None
        self._serving = False

    def _dispatch(self, request: Request, intent: Intent, process: Process) -> Generator[None, Any, Reply]:
        """Probe the partitions for one request."""
        partitions = self._partitions(request.slot.worker.number)
        found = False
        for position, partition in enumerate(partitions):
            last = position == len(partitions) - 1 and not found
            arguments = (request.lane, self._spec.candidates, request.slot.worker.capabilities, last)
            self.send(process, READ_ELIGIBLE, partition, arguments, intent)
            outcome = yield
            if outcome.kind is not None:
                return Reply(NONE, False, outcome)
            if not outcome.ok:
                continue  # No answer from this partition: the next one may have work.
            for execution, interrupted in self._pick(outcome.values["candidates"], request):
                found = True
                verdict = yield from self._consider(request, execution, intent, process)
                if verdict is Verdict.GRANTED:
                    return Reply(execution, interrupted, None)
                if verdict is Verdict.NEXT_PARTITION:
                    break
                if isinstance(verdict, Reply):
                    return verdict
        return _NOTHING

    def _consider(
        self, request: Request, execution: int, intent: Intent, process: Process
    ) -> Generator[None, Any, Verdict | Reply]:
        """Check the limits of one candidate and grant it if they allow it."""
        class_name = self.world.workload.class_name(execution)
        rules = self.world.scenario.store.rules
        if (yield from self._is_over_budget(class_name, intent, process)):
            if rules.budget_denied == "skipped":
                return Verdict.NEXT_CANDIDATE
            yield from self._block(execution, "waiting_for_budget", intent, process)
            return Verdict.NEXT_PARTITION
        quota = self.world.limits.at_dispatch.get(class_name)
        admitted = False
        if quota is not None:
            number, spec = quota
            partition = self.world.link.partition_of(number)
            self.send(process, ADMIT, partition, admission(number, spec, execution), intent, execution)
            answer = yield
            if not answer.ok:
                if answer.kind is None or rules.admission_denied == "refused":
                    return Reply(NONE, False, answer)
                yield from self._block(execution, "waiting_for_quota", intent, process)
                return Verdict.NEXT_PARTITION
            admitted = answer.code == "ADMITTED"
        return (yield from self._grant(request, execution, admitted, intent, process))

    def _grant(
        self, request: Request, execution: int, admitted: bool, intent: Intent, process: Process
    ) -> Generator[None, Any, Verdict | Reply]:
        """Issue the grant; when it is refused, give back what was admitted for it."""
        worker = request.slot.worker
        quota = self.world.limits.at_dispatch.get(self.world.workload.class_name(execution))
        arguments = (
            execution, worker.index, request.lane, self._spec.grant_ttl // US_PER_MS, worker.capabilities,
            None if quota is None else quota[0],
        )  # fmt: skip
        partition = self.world.partition_of(execution)
        outcome, stopped = yield from self.carry_out(
            process, intent, ISSUE_CLAIM_GRANT, partition, arguments, execution
        )
        if stopped is None:
            return Verdict.GRANTED
        rules = self.world.scenario.store.rules
        if quota is not None and (admitted or rules.admission_release == "any_refused_grant"):
            home = self.world.link.partition_of(quota[0])
            self.send(process, _RELEASE, home, (quota[0], execution), intent, execution)
            yield
        if outcome.code == "capability_mismatch" and rules.capability_denied == "blocked":
            yield from self._block(execution, "waiting_for_capable_worker", intent, process)
            return Verdict.NEXT_PARTITION
        return _NOTHING if stopped is Action.GIVE_UP else Verdict.NEXT_CANDIDATE

    def _is_over_budget(
        self, class_name: str, intent: Intent, process: Process
    ) -> Generator[None, Any, bool]:
        """Read whether the budget of a class is used up; no answer counts as not."""
        budget = self.world.limits.budgets.get(class_name)
        if budget is None:
            return False
        self.send(process, _READ_BUDGET, self.world.link.partition_of(budget[0]), (budget[0],), intent)
        outcome = yield
        return bool(outcome.ok and outcome.values["used_up"])

    def _block(self, execution: int, reason: str, intent: Intent, process: Process) -> Story:
        """Put a candidate aside until the unblock scan; what becomes of that is not looked at."""
        self.send(process, _BLOCK, self.world.partition_of(execution), (execution, reason), intent, execution)
        yield

    def _pick(self, candidates: list[tuple[int, bool]], request: Request) -> Iterator[tuple[int, bool]]:
        """Give the candidates in the order in which they are tried."""
        remaining = list(candidates)
        while remaining:
            match self._spec.pick:
                case "random":
                    assert self._uniform is not None
                    position = int(self._uniform() * len(remaining))
                case "hashed":
                    # Knuth's multiplicative hash spreads neighbouring workers over the candidates.
                    position = (request.slot.worker.number * 2654435761 >> 16) % len(remaining)
                case _:
                    position = 0
            yield remaining.pop(position)

    def _partitions(self, worker: int) -> list[int]:
        """Give the partitions to probe, from the rotating start on."""
        total = self.world.link.partitions
        window = self.now_us // _ROTATION_WINDOW_US
        if window != self._cursor_window:
            if self._cursor_window != NONE:
                self._cursor = (self._cursor + self._spec.probe) % total
            self._cursor_window = window
        start = worker + self._cursor
        return [(start + step) % total for step in range(min(self._spec.probe, total))]


_NOTHING: Final = Reply(NONE, False, NOTHING_ELIGIBLE)
