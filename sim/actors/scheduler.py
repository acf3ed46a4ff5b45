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
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.actors.base import ISSUE_CLAIM_GRANT, READ_ELIGIBLE, Actor
from sim.link import OP
from sim.record import NONE, UNKNOWN
from sim.retry import Action
from sim.store.outcome import Ok, Refused
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from sim.actors.base import Story, World
    from sim.actors.worker import Slot
    from sim.kernel import Process
    from sim.record import Intent, Unknown
    from sim.scenario.fleet import Quota

_ADMIT: Final = OP["check_admission_and_record"]
_RELEASE: Final = OP["release_admission"]
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


class Admission(NamedTuple):
    """How a quota answered for a candidate.

    Attributes
    ----------
    refusal : Refused, Unknown or None
        None when the candidate may be granted.
    admitted : bool
        Whether it was this very call that was admitted.
    blocked : bool
        Whether the candidate was blocked until the unblock scan (rule ``admission_denied``).
    """

    refusal: Refused | Unknown | None = None
    admitted: bool = False
    blocked: bool = False


def quota_limits(quota: Quota) -> tuple[int | float, int, int]:
    """Give window (seconds), rate and concurrency cap as the store takes them, where 0 is no limit."""
    window_s = quota.window / US_PER_S
    return int(window_s) if window_s.is_integer() else window_s, quota.rate or 0, quota.concurrency or 0


class Scheduler(Actor):
    """Grants executions to workers that ask."""

    kind = "scheduler"

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self._spec = world.scenario.schedulers
        self._quota_of = {
            name: (number, quota)
            for name in world.scenario.workload.classes
            for number, quota in enumerate(world.scenario.quotas.values())
            if quota.covers(name)
        }
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
                admission = yield from self._admit(execution, intent, process)
                if admission.refusal is not None:
                    if not admission.blocked:
                        return Reply(NONE, False, admission.refusal)
                    break
                granted = yield from self._grant(request, execution, admission, intent, process)
                if granted is not None:
                    return Reply(execution, interrupted, None) if granted else _NOTHING
        return _NOTHING

    def _grant(
        self, request: Request, execution: int, admission: Admission, intent: Intent, process: Process
    ) -> Generator[None, Any, bool | None]:
        """Issue the grant: True when it is, None when this candidate is to be skipped, False to give up."""
        worker = request.slot.worker
        quota = self._quota(execution)
        arguments = (
            execution, worker.index, request.lane, self._spec.grant_ttl // 1000, worker.capabilities,
            None if quota is None else quota[0],
        )  # fmt: skip
        partition = self.world.link.partition_of(execution)
        while True:
            self.send(process, ISSUE_CLAIM_GRANT, partition, arguments, intent, execution)
            outcome = yield
            if outcome.ok:
                return True
            decision = self.decide(intent, ISSUE_CLAIM_GRANT, outcome)
            if decision.action is not Action.RETRY and quota is not None:
                yield from self._release(execution, admission, intent, process)
            if decision.delay_us:
                process.sleep(decision.delay_us)
                yield
            if decision.action is not Action.RETRY:
                return False if decision.action is Action.GIVE_UP else None

    def _admit(self, execution: int, intent: Intent, process: Process) -> Generator[None, Any, Admission]:
        """Ask the quota of a candidate's class, if it has one."""
        quota = self._quota(execution)
        if quota is None:
            return Admission()
        number, spec = quota
        link = self.world.link
        arguments = (number, execution, *quota_limits(spec))
        self.send(process, _ADMIT, link.partition_of(number), arguments, intent, execution)
        outcome = yield
        if isinstance(outcome, Ok):
            return Admission(admitted=outcome.code == "ADMITTED")
        if outcome is UNKNOWN or self.world.scenario.store.rules.admission_denied == "refused":
            return Admission(outcome)
        block = (execution, "waiting_for_quota")
        self.send(process, _BLOCK, link.partition_of(execution), block, intent, execution)
        yield
        return Admission(outcome, blocked=True)

    def _release(self, execution: int, admission: Admission, intent: Intent, process: Process) -> Story:
        """Give back what was admitted for a grant that was refused."""
        anybodys = self.world.scenario.store.rules.admission_release == "any_refused_grant"
        quota = self._quota(execution)
        if quota is not None and (admission.admitted or anybodys):
            partition = self.world.link.partition_of(quota[0])
            self.send(process, _RELEASE, partition, (quota[0], execution), intent, execution)
            yield

    def _quota(self, execution: int) -> tuple[int, Quota] | None:
        workload = self.world.workload
        workload.class_spec(execution)
        return self._quota_of.get(workload.names[workload.class_of[execution]])

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
