"""What a scenario says of the work: how it arrives, and what its executions are like."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, RootModel, Strict, model_validator

from sim.distributions import Distribution
from sim.scenario.flows import Flows
from sim.scenario.schedule import Schedule
from sim.schema import (
    FROZEN,
    Choice,
    Count,
    Duration,
    Interval,
    Name,
    Names,
    OneOf,
    Part,
    Problem,
    Rate,
    Share,
    StoreInterval,
    field,
    refusal,
    suggest,
)
from sim.units import US_PER_S, quoted

MAX_PRIORITY: Final = 9_000
"""The engine clamps priorities to 0..9000; a scenario outside that range is a mistake."""


def unknown_class(name: str, classes: Iterable[str]) -> str:
    """Say that there is no such class, and which was probably meant."""
    return f"there is no class {quoted(name)} ({suggest(name, classes)})"


class Poisson(Part, Choice):
    """Independent arrivals at a constant rate."""

    key: ClassVar[str] = "poisson"

    rate: Rate = field(..., "Mean number of arrivals in a unit of time; 0/s for none.")


class Deterministic(Part, Choice):
    """Arrivals at equal distances, the first one distance after the start."""

    key: ClassVar[str] = "deterministic"

    rate: Rate | None = field(None, "Arrivals in a unit of time; give this or `every`.")
    every: Interval | None = field(None, "The time between two arrivals; give this or `rate`.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.rate is None) == (self.every is None):
            raise ValueError("give exactly one of rate and every")
        return self

    @property
    def period_us(self) -> float:
        """Time between two arrivals in microseconds; infinite at rate 0."""
        if self.every is not None:
            return float(self.every)
        return US_PER_S / self.rate if self.rate else math.inf


class Burst(Part, Choice):
    """Many arrivals in the same instant, once or again and again."""

    key: ClassVar[str] = "burst"

    count: Count = field(..., "How many executions arrive at once.")
    at: Duration = field("0s", "When the first burst comes, from the start of the run.")
    every: Interval | None = field(None, "Time from one burst to the next; null for a single burst.")


class Closed(Part, Choice):
    """Clients that submit, wait for the end of their execution, think, and submit again."""

    key: ClassVar[str] = "closed"

    clients: Count = field(..., "How many clients there are, hence executions at a time at most.")
    think: Distribution = field("0s", "Pause of a client between the end of one execution and the next.")


class OnOff(Part, Choice):
    """Phases of independent arrivals at a constant rate, with silence between them; arrivals come first."""

    key: ClassVar[str] = "on_off"

    rate: Rate = field(..., "Mean number of arrivals in a unit of time while there are any; 0/s for none.")
    on: Distribution = field(..., "How long a phase with arrivals lasts.")
    off: Distribution = field(..., "How long a phase without arrivals lasts.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.on.mean_us() + self.off.mean_us() < 1:
            raise ValueError("on and off must not both be 0")
        return self


class Phase(Part):
    """A stretch of time with independent arrivals at a constant rate."""

    rate: Rate = field(..., "Mean number of arrivals in a unit of time; 0/s for none.")
    for_: Interval | None = field(
        None, "How long the phase lasts; null, in the last phase alone, for ever.", alias="for"
    )


class Phases(RootModel[Annotated[tuple[Phase, ...], Strict(False), Field(min_length=1)]], Choice):
    """Independent arrivals at a rate that changes at given instants, as in a spike; after the last, none."""

    model_config = FROZEN
    key: ClassVar[str] = "phases"

    @model_validator(mode="after")
    def _check(self) -> Self:
        endless = [place for place, phase in enumerate(self.root[:-1]) if phase.for_ is None]
        if endless:
            raise refusal([((endless[0], "for"), "only the last phase may last for ever")])
        return self


Arrivals = Annotated[
    Poisson | Deterministic | Burst | OnOff | Phases | Closed | Schedule, OneOf("kind of arrivals")
]


class ExponentialBackoff(Part, Choice):
    """The engine's default: min(cap, initial * multiplier^n) before the retry after n earlier retries."""

    key: ClassVar[str] = "exponential"

    initial: StoreInterval = field("1s", "Delay of the first retry.")
    cap: StoreInterval = field("60s", "No delay is longer than this.")
    multiplier: float = field(2.0, "Growth from one retry to the next.", ge=1, le=1000)

    def delay_us(self, retries: int) -> int:
        """Give the delay in microseconds before the next retry, after ``retries`` earlier ones."""
        doublings = math.log2(self.initial) + retries * math.log2(self.multiplier)
        if doublings >= math.log2(self.cap):  # before a power that may not fit a float
            return self.cap
        return min(self.cap, round(self.initial * self.multiplier**retries))


class FixedBackoff(Part, Choice):
    """The same delay before every retry."""

    key: ClassVar[str] = "fixed"

    delay: StoreInterval = field("1s", "Delay of every retry.")

    def delay_us(self, retries: int) -> int:  # noqa: ARG002 - the same for every retry
        """Give the delay in microseconds before the next retry, after ``retries`` earlier ones."""
        return self.delay


RetryBackoff = Annotated[ExponentialBackoff | FixedBackoff, OneOf("backoff of retries")]


class Retries(Part):
    """The engine's own retries of an execution whose attempt failed (not those of refused operations)."""

    max: int = field(3, "How many retries an execution gets after its first attempt.", ge=0, le=1_000_000)
    backoff: RetryBackoff = field({"exponential": {}}, "How long an execution waits before a retry.")


class Delays(Part):
    """An attempt that parks its execution by delay_execution instead of finishing it."""

    probability: Share = field(..., "How probable it is that an attempt ends so.")
    by: Distribution = field(..., "How long the execution is put off.")


class Suspends(Part):
    """An attempt that suspends its execution until signals come."""

    probability: Share = field(..., "How probable it is that an attempt ends so.")
    waitpoint: Literal["fresh", "pending_first"] = field(
        "fresh",
        "When the waitpoint comes to be and its token is handed out: with the suspension, or before it.",
    )
    prepare: Distribution = field(
        "10ms", "How long a worker goes on after the hand-out before it suspends (pending_first only)."
    )
    signal_after: Distribution = field(
        ...,
        "Time from the hand-out of the token, or with deterministic_ids from the start of the lease, to a "
        "signal.",
    )
    signals: int = field(1, "How many signals satisfy the waitpoint.", ge=1, le=1000)
    timeout: StoreInterval | None = field(None, "When a suspension is out of time; null for never.")
    on_timeout: Literal["fail", "cancel", "expire", "auto_resume"] = field(
        "fail", "What becomes of an execution whose suspension is out of time."
    )
    pending_timeout: StoreInterval = field("60s", "When a pending waitpoint is out of time.")
    deterministic_ids: bool = field(
        False, "Whether signalers can compute the waitpoint's id, and so may signal before it exists."
    )


class Children(Part):
    """An attempt that creates children and parks its execution until they are done."""

    probability: Share = field(..., "How probable it is that an attempt ends so.")
    count: int = field(1, "How many children it creates.", ge=1, le=100)
    class_: Name = field(..., "The class of the children, which has no children of its own.", alias="class")


class WorkClass(Part):
    """A kind of execution."""

    weight: float = field(1.0, "How frequent the class is, relative to the other weights.", ge=0, le=1e9)
    work: Distribution = field({"exponential": {"mean": "100ms"}}, "How long an attempt works.")
    fails: Share = field(0.0, "How probable it is that an attempt fails at the end of its work.")
    retries: Retries | None = field(None, "The retries of a failed execution; null for none.")
    delays: Delays | None = field(None, "Attempts that put their execution off; null for none.")
    suspends: Suspends | None = field(None, "Attempts that wait for signals; null for none.")
    children: Children | None = field(None, "Attempts that wait for children; null for none.")
    priority: int = field(0, "Priority; a higher one always goes before a lower one.", ge=0, le=MAX_PRIORITY)
    lane: Name = field("main", "The lane in which executions wait for workers that serve it.")
    capabilities: Names = field([], "What a worker must be capable of to claim an execution.")
    deadline: StoreInterval | None = field(
        None, "Time from its creation after which an execution expires; null for never."
    )


class Workload(Part):
    """How executions arrive, and of what classes they are."""

    arrivals: Arrivals = field(
        ..., "How executions arrive: poisson, deterministic, burst, on_off, phases, closed or schedule."
    )
    flows: Flows | None = field(None, "Flows of executions that wait for each other; null for none.")
    classes: Annotated[Mapping[Name, WorkClass], Field(min_length=1)] = field(
        {"default": {}}, "The classes of executions, by name."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise refusal(problems)
        return self

    def _problems(self) -> Iterator[Problem]:
        if not any(each.weight for each in self.classes.values()):
            yield ("classes",), "at least one class needs a weight above 0"
        for name in self.scheduled:
            if name not in self.classes:
                yield ("arrivals", "schedule"), unknown_class(name, self.classes)
        of_flows = None if self.flows is None else self.flows.class_
        if of_flows is not None and of_flows not in self.classes:
            yield ("flows", "class"), unknown_class(of_flows, self.classes)
        for name, each in self.classes.items():
            if each.children is None:
                continue
            where, child = ("classes", name, "children", "class"), each.children.class_
            if child not in self.classes:
                yield where, unknown_class(child, self.classes)
            elif self.classes[child].children is not None:
                yield where, f"the class {child!r} has children of its own"

    @property
    def scheduled(self) -> tuple[str, ...]:
        """The classes that a schedule names, each once; none where classes are drawn by weight."""
        named = self.arrivals.classes if isinstance(self.arrivals, Schedule) else None
        return tuple(dict.fromkeys(named or ()))

    @property
    def occurring(self) -> tuple[str, ...]:
        """The classes of which there can be executions, in the order of the scenario."""
        found = set(self.scheduled) or {name for name, each in self.classes.items() if each.weight}
        if self.flows is not None:
            found.add(self.flows.class_ or next(iter(self.classes)))
        parents = [self.classes[name] for name in found]
        found.update(each.children.class_ for each in parents if each.children is not None)
        return tuple(name for name in self.classes if name in found)
