"""What every actor has: a name, its end of the link, its retry policy, its intents.

An actor never touches the store's state, only outcomes. It holds no counters either: what happened is in
the records.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sim.actors.limits import Limits
from sim.contention import ContentionKind
from sim.kernel import Process
from sim.link import OP, Client
from sim.record import NONE, REJECTED
from sim.retry import REJECT, Action, Decision, Fleet, Observed, Refusal
from sim.trouble import Trouble
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from sim.kernel import Kernel
    from sim.ledger import ExecutionLedger
    from sim.link import Link
    from sim.record import Attempt, Intent, Op, Recorder, Unknown
    from sim.retry import Policy, PolicySpec
    from sim.rng import Streams
    from sim.scenario import Scenario
    from sim.store.outcome import Ok, Refused
    from sim.workload import Workload

    Story = Generator[None, Any, None]
    Send = Callable[..., None]

ACTIONS: Final = tuple(Action)
_ACTION_INDEX: Final = {action: index for index, action in enumerate(ACTIONS)}

READ_ELIGIBLE: Final = OP["read_eligible"]
ISSUE_CLAIM_GRANT: Final = OP["issue_claim_grant"]


class World:
    """What the actors of one run share.

    Attributes
    ----------
    kernel, link, recorder, ledger, workload, streams, scenario
        The parts of the run.
    policy : PolicySpec
        The retry policy of this arm.
    lanes : list of str
        Every lane in use, in the scenario's order.
    fleet : Fleet
        State of the policy that all clients share.
    troubles : list of Trouble
        Of every actor's connection, in the order of their creation.
    limits : Limits
        Quotas and budgets.
    ids : Iterator[int]
        Numbers for leases and attempts, in order of use.
    """

    def __init__(
        self,
        kernel: Kernel,
        link: Link,
        recorder: Recorder,
        ledger: ExecutionLedger,
        workload: Workload,
        streams: Streams,
        scenario: Scenario,
        policy: PolicySpec,
    ) -> None:
        self.kernel = kernel
        self.link = link
        self.recorder = recorder
        self.ledger = ledger
        self.workload = workload
        self.streams = streams
        self.scenario = scenario
        self.policy = policy
        self.lanes = list(dict.fromkeys(c.lane for c in scenario.workload.classes.values()))
        self.ids: Iterator[int] = count(1)
        self.fleet = Fleet()
        self.troubles: list[Trouble] = []
        self.limits = Limits(scenario)
        self.partition_of = workload.partition_of
        self._policies = {
            name: {"required_capabilities": list(each.capabilities)} if each.capabilities else None
            for name, each in scenario.workload.classes.items()
        }

    def creation(self, execution: int, now_us: int, admission: int | None = None) -> tuple[Any, ...]:
        """Give the arguments with which an execution is created, perhaps under a quota that admitted it."""
        spec = self.workload.class_spec(execution)
        deadline_at = None if spec.deadline is None else (now_us + spec.deadline) // US_PER_MS
        policy = self._policies[self.workload.class_name(execution)]
        return (execution, spec.lane, spec.priority, None, None, policy, deadline_at, admission)


class Actor:
    """One actor: a submitter, worker, scheduler or reconciler.

    Parameters
    ----------
    world
        What the actors share.
    number
        Which one of its kind, from 0.
    """

    kind: ClassVar[str]

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.name = f"{self.kind}/{number}"
        self.index = len(world.recorder.actors)
        world.recorder.actors.append((self.name, self.kind))
        self.paused_until_us = 0
        self.client = Client(world.streams, self.name, world.scenario.link)
        self._retry_draws = world.streams.uniform(f"{self.name}/retry")
        # Every policy that this client has had, with the instant from which on it was in force.
        self._policies: list[tuple[int, Policy]] = []
        self._take_new_policy()
        self.trouble = Trouble(self.client, world.scenario.link, world.streams, self.name)
        world.troubles.append(self.trouble)

    def _take_new_policy(self) -> None:
        """Build the policy as a process does that has just begun: what it remembers is the client's own.

        Draws go on where they were, so a policy without such memory does the same as if it had been kept.
        """
        world = self.world
        self.policy: Policy = world.policy.build(
            uniform=self._retry_draws, poll_us=world.scenario.workers.poll, fleet=world.fleet
        )
        self._policies.append((self.now_us, self.policy))
        # Budgets, breakers and rate limiters watch every attempt; a policy without them costs nothing here.
        self.watches = hasattr(self.policy, "observe")
        self._on_end: Callable[[Any], None] | None = getattr(self.policy, "ended", None)
        self.send: Send = self._paced_send if hasattr(self.policy, "before_send") else world.link.send

    def lose_memory(self) -> None:
        """End what this actor was about and forget what its policy knew: its process is gone."""
        for intent in self.world.recorder.open_of(self.index):
            self.end(intent, "abandoned", "crash")
        self._take_new_policy()

    def __repr__(self) -> str:
        return self.name

    @property
    def now_us(self) -> int:
        """The instant."""
        return self.world.kernel._now

    def spawn(self, story: Callable[[Process], Story]) -> Process:
        """Start a story of this actor, now."""
        process = Process(self.world.kernel, self, story)
        process.start()
        return process

    def begin(self, goal: str, execution: int = NONE, root: int = NONE) -> Intent:
        """Begin an intent, now."""
        return self.world.recorder.begin(goal, self.index, self.world.kernel._now, execution, root)

    def end(self, intent: Intent, resolution: str, cause: str | None = None) -> None:
        """End an intent, now."""
        if self._on_end is not None:
            self._on_end(intent.memory)
        self.world.recorder.end(intent, self.world.kernel._now, resolution, cause)

    def decide(self, intent: Intent, op: Op, outcome: Refused | Unknown) -> Decision:
        """Show a refusal (or a missing answer) to the policy and take down what it says."""
        decision = self.consult(intent, op, outcome)
        if outcome.kind is not None:
            self.world.recorder.decided(_ACTION_INDEX[decision.action], decision.delay_us)
        return decision

    def carry_out(
        self,
        process: Process,
        intent: Intent,
        op: Op,
        partition: int,
        arguments: tuple[Any, ...],
        execution: int = NONE,
    ) -> Generator[None, Any, tuple[Any, Action | None]]:
        """Send an operation until it is carried out, or until the policy says not to send it again.

        Returns
        -------
        tuple
            The last outcome; and None when it was carried out, else the policy's action, whose delay has
            been waited for.
        """
        while True:
            self.send(process, op, partition, arguments, intent, execution)
            outcome = yield
            if outcome.ok:
                return outcome, None
            action, delay_us = self.decide(intent, op, outcome)
            if delay_us:
                process.sleep(delay_us)
                yield
            if action is not Action.RETRY:
                return outcome, action

    def consult(self, intent: Intent, op: Op, outcome: Refused | Unknown) -> Decision:
        """Ask the policy about a refusal that another actor met, and took down, on this one's behalf."""
        if outcome is REJECTED:
            return Decision(Action.GIVE_UP, 0)
        if outcome.kind is not ContentionKind.NO_ELIGIBLE_EXECUTION or not intent.failures:
            # Polls are no failures: a slot that was idle for long meets its first lost race fresh.
            intent.failures += 1
        now_us = self.world.kernel._now
        refusal = Refusal(
            outcome.kind, outcome.code, op.name, intent.goal, intent.failures, now_us - intent.start_us,
            now_us, outcome.retry_after_ms, intent.memory,
        )  # fmt: skip
        decision = self.policy.decide(refusal)
        intent.memory = refusal.memory
        return decision

    def observe(self, attempt: Attempt, outcome: Ok | Refused | Unknown) -> None:
        """Show an answer to a policy that watches: to the one under which the attempt was sent.

        That matters after a crash. The answer to an attempt of the process before is none of the new
        policy's; where state belongs to the fleet, the old one gives back there what it held.
        """
        intent = attempt.intent
        policy: Any = next(each for since, each in reversed(self._policies) if since <= attempt.sent_us)
        policy.observe(
            Observed(
                outcome.ok,
                outcome.kind,
                attempt.op.name,
                "" if intent is None else intent.goal,
                0 if intent is None else intent.failures,
                self.world.kernel._now,
                None if intent is None else intent.memory,
            )
        )

    def _paced_send(self, process: Process, *attempt: Any) -> None:
        """Send when the policy lets it; an attempt that it rejects is never sent."""
        kernel = self.world.kernel
        wait_us = self.policy.before_send(kernel._now)  # type: ignore[attr-defined]
        if wait_us == REJECT:
            kernel.call_at(kernel._now, process.interrupt, REJECTED)
        elif wait_us > 0:
            kernel.call_at(kernel._now + wait_us, self._send_later, (process, *attempt))
        else:
            self.world.link.send(process, *attempt)

    def _send_later(self, attempt: tuple[Any, ...]) -> None:
        if attempt[0].alive:
            self.world.link.send(*attempt)
