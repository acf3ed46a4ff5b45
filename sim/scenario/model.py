"""The scenario: everything that a run is made of, as closed, frozen data.

Each key is declared once, with its default and one sentence on what it means. Checks that need more than
one key stand in the model that holds them all; their messages point at the key that is to be changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from sim.contention import KINDS, ContentionKind
from sim.distributions import Distribution
from sim.scenario.faults import Fault, StoreOutage
from sim.scenario.fleet import Budget, Limit, Operators, Quota, Reconcilers, Schedulers, Workers
from sim.scenario.policies import Arms, PolicyChoice
from sim.scenario.promises import ALWAYS, EVENTUALLY, Promise
from sim.scenario.workload import Workload, unknown_class
from sim.schema import Duration, Interval, Name, Part, Positive, Problem, Share, field, refusal, suggest
from sim.store.rules import RULES, StoreRules, preset
from sim.units import quoted


class Horizon(Part):
    """The clock of a run: tables take what happens in [warmup, warmup + run)."""

    warmup: Duration = field("10s", "Time before the window of the tables, with arrivals.")
    run: Interval = field("1min", "Length of the window of the tables.")
    drain: Duration = field(
        "30s", "Time after the window, without arrivals, in which intents come to an end."
    )

    @property
    def arrivals_end_us(self) -> int:
        """When arrivals stop, which is when the window ends: warmup + run, in microseconds."""
        return self.warmup + self.run

    @property
    def end_us(self) -> int:
        """When the run ends: warmup + run + drain, in microseconds."""
        return self.arrivals_end_us + self.drain


def _rules(value: object, info: ValidationInfo) -> StoreRules:
    dialect = info.data.get("dialect", "contract")
    if isinstance(value, StoreRules):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping of rules, such as {expired_grant: kept}")
    problems = []
    for name, choice in value.items():
        if name not in RULES:
            problems.append(((name,), f"there is no such rule ({suggest(name, RULES)})"))
        elif choice not in RULES[name].values:
            hint = suggest(choice, RULES[name].values)
            problems.append(((name,), f"{quoted(choice)} is no value of this rule ({hint})"))
    if problems:
        raise refusal(problems)
    return replace(preset(dialect), **value)


Rules = Annotated[
    StoreRules,
    PlainValidator(_rules),
    PlainSerializer(asdict, return_type=dict[str, str]),
    WithJsonSchema({
        "type": "object",
        "properties": {
            name: {"enum": list(rule.values), "description": rule.meaning} for name, rule in RULES.items()
        },
        "additionalProperties": False,
    }),
]  # fmt: skip


class Store(Part):
    """The engine's store."""

    dialect: Literal["contract", "valkey", "postgres"] = field(
        "contract",
        "Which engine answers: as its documents promise, or as its function library for Valkey or its "
        "Postgres back end does.",
    )
    rules: Rules = field(
        {}, "Single rules that differ from the dialect's; all of them in the resolved scenario."
    )
    partitions: Positive = field(
        4, "Partitions of the store; each serves one operation at a time, in order, or runs transactions."
    )
    service: Distribution = field(
        {"exponential": {"mean": "80us"}},
        "Time that a partition needs for an operation, where transactions are atomic.",
    )
    connections: Positive = field(
        10, "Transactions that a partition runs at a time, where they are serializable."
    )
    statement: Distribution = field(
        {"exponential": {"mean": "80us"}},
        "Time that a statement of a transaction takes, where they are serializable.",
    )


class Link(Part):
    """The network between actors and store."""

    request: Distribution = field({"lognormal": {"median": "300us", "p99": "3ms"}}, "Delay of a request.")
    reply: Distribution = field({"lognormal": {"median": "300us", "p99": "3ms"}}, "Delay of a reply.")
    lose_request: Share = field(0.0, "How probable it is that a request never reaches the store.")
    lose_reply: Share = field(
        0.0, "How probable it is that an operation is carried out but its reply is lost."
    )
    timeout: Interval = field(
        "250ms", "How long a caller waits for a reply; then the answer is unknown to it."
    )
    fifo: bool = field(False, "Whether attempts of one actor keep their order, as on a single connection.")


def _kind(value: object) -> ContentionKind:
    if isinstance(value, ContentionKind):
        return value
    names = [kind.value for kind in KINDS]
    if value not in names:
        raise ValueError(f"{quoted(value)} is not a kind of contention ({suggest(value, names)})")
    return ContentionKind(value)


Kind = Annotated[
    ContentionKind,
    BeforeValidator(_kind),
    PlainSerializer(lambda kind: kind.value, return_type=str),
    WithJsonSchema({"enum": [kind.value for kind in KINDS]}),
]


def _promise(promises: Mapping[str, Promise]) -> tuple[BeforeValidator, WithJsonSchema]:
    """Annotate the name of one of these promises."""

    def check(value: object) -> object:
        if value not in list(promises):  # a list: what is written here may not be hashable
            raise ValueError(f"there is no check {quoted(value)} here ({suggest(value, promises)})")
        return value

    return BeforeValidator(check), WithJsonSchema({"enum": list(promises)})


Always = Annotated[str, *_promise(ALWAYS)]
Eventually = Annotated[str, *_promise(EVENTUALLY)]


class Expect(Part):
    """What must and must not occur in a run, checked on request."""

    sometimes: Annotated[tuple[Kind, ...], Strict(False)] = field([], "Kinds of contention that must occur.")
    never: Annotated[tuple[Kind, ...], Strict(False)] = field([], "Kinds of contention that must not occur.")
    always: Annotated[tuple[Always, ...], Strict(False)] = field(
        [], "Invariants that this scenario is there to show; a run with checks watches all of them."
    )
    eventually: Annotated[tuple[Eventually, ...], Strict(False)] = field(
        [], "What must hold after the drain, where the rules promise it; a run with checks looks."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        both = [kind for kind in self.never if kind in self.sometimes]
        if both:
            raise refusal(
                (("never", self.never.index(kind)), f"{kind.value} stands under sometimes as well")
                for kind in both
            )
        return self


class Scenario(Part):
    """A situation to simulate."""

    about: str = field(
        ..., "What happens here and what a reader should look at.", min_length=1, max_length=10_000
    )
    seed: int = field(1, "Seed of all random streams.", ge=0, le=2**63 - 1)
    horizon: Horizon = field({}, "How long a run lasts.")
    replications: int = field(10, "How many independent runs make a study.", ge=1, le=100_000)
    store: Store = field({}, "The engine's store.")
    link: Link = field({}, "The network between actors and store.")
    workload: Workload = field(..., "The work that arrives.")
    workers: Workers = field({}, "The worker processes.")
    schedulers: Schedulers = field({}, "The scheduler processes.")
    reconcilers: Reconcilers = field({}, "The reconciler processes.")
    operators: Operators = field({}, "The operators, who cancel, revoke and reprioritise.")
    quotas: Mapping[Name, Quota] = field({}, "Limits on admissions, by name.")
    budgets: Mapping[Name, Budget] = field({}, "Limits on usage, by name.")
    faults: Annotated[tuple[Fault, ...], Strict(False)] = field([], "What goes wrong, drawn before the run.")
    # Before `retry`, whose name is looked up among them.
    policies: Arms = field({}, "Retry policies by name: the arms of a comparison.")
    retry: PolicyChoice = field("documented", "The retry policy of a plain run: a name, or its parts.")
    expect: Expect = field({}, "What must and must not occur.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise refusal(problems)
        return self

    def _problems(self) -> Iterator[Problem]:
        partitions = self.store.partitions
        for i, fault in enumerate(self.faults):
            match fault:
                case StoreOutage(partition=int(partition)) if partition >= partitions:
                    where = ("faults", i, StoreOutage.key, "partition")
                    yield where, f"the store has the partitions 0 to {partitions - 1} (store.partitions)"
        for when in ("dispatch", "submit"):
            alike = {name: quota for name, quota in self.quotas.items() if quota.at == when}
            yield from self._limit_problems("quotas", alike, f"quota at {when}")
        yield from self._limit_problems("budgets", self.budgets, "budget")
        if self.workers.count:
            yield from self._worker_problems()

    def _limit_problems(self, key: str, limits: Mapping[str, Limit], what: str) -> Iterator[Problem]:
        """Find classes that there are not, and classes that are under two limits of the same sort."""
        classes = self.workload.classes
        limited: dict[str, str] = {}
        for name, limit in limits.items():
            for i, covered in enumerate(limit.classes):
                if covered not in classes:
                    yield (key, name, "classes", i), unknown_class(covered, classes)
            covers = [each for each in classes if limit.covers(each)]
            twice = next((each for each in covers if each in limited), None)
            if twice is not None:
                message = f"{twice!r} is under {limited[twice]!r} already (a class has one {what} at most)"
                yield (key, name, "classes"), message
            limited.update(dict.fromkeys(covers, name))

    def _worker_problems(self) -> Iterator[Problem]:
        workers = self.workers
        for name in self.workload.occurring:
            lane = self.workload.classes[name].lane
            if lane not in workers.lanes:
                served = ", ".join(workers.lanes) or "none"
                where = ("workload", "classes", name, "lane")
                yield where, f"no worker serves the lane {lane!r} (workers.lanes: {served})"
        if workers.claim == "scheduler" and self.schedulers.count == 0:
            yield (
                ("schedulers", "count"),
                "workers claim through schedulers (without any: workers.claim: direct)",
            )
        if workers.claim == "next" and self.store.dialect != "postgres":
            yield (
                ("workers", "claim"),
                f"the dialect {self.store.dialect!r} has no such operation (only postgres has)",
            )

    def resolved(self) -> dict[str, Any]:
        """Write the scenario with every default, ready for JSON; loading it again gives an equal scenario."""
        return self.model_dump(mode="json", by_alias=True)
