"""What a scenario says of the work: how it arrives, and what its executions are like."""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, model_validator

from sim.distributions import Distribution
from sim.schema import (
    Choice,
    Count,
    Duration,
    Interval,
    Name,
    OneOf,
    Part,
    Rate,
    Share,
    StoreInterval,
    field,
    refusal,
)
from sim.units import US_PER_S

MAX_PRIORITY: Final = 9_000
"""The engine clamps priorities to 0..9000; a scenario outside that range is a mistake."""


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


Arrivals = Annotated[Poisson | Deterministic | Burst | Closed, OneOf("kind of arrivals")]


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


class WorkClass(Part):
    """A kind of execution."""

    weight: float = field(1.0, "How frequent the class is, relative to the other weights.", ge=0, le=1e9)
    work: Distribution = field({"exponential": {"mean": "100ms"}}, "How long an attempt works.")
    fails: Share = field(0.0, "How probable it is that an attempt fails at the end of its work.")
    retries: Retries | None = field(None, "The retries of a failed execution; null for none.")
    delays: Delays | None = field(None, "Attempts that put their execution off; null for none.")
    priority: int = field(0, "Priority; a higher one always goes before a lower one.", ge=0, le=MAX_PRIORITY)
    lane: Name = field("main", "The lane in which executions wait for workers that serve it.")


class Workload(Part):
    """How executions arrive, and of what classes they are."""

    arrivals: Arrivals = field(..., "How executions arrive: poisson, deterministic, burst or closed.")
    classes: Annotated[Mapping[Name, WorkClass], Field(min_length=1)] = field(
        {"default": {}}, "The classes of executions, by name."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not any(each.weight for each in self.classes.values()):
            raise refusal([(("classes",), "at least one class needs a weight above 0")])
        return self
