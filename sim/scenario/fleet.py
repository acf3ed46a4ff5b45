"""What a scenario says of the fleet: workers, schedulers, reconcilers, operators, and limits on the work.

Defaults are the engine's own constants where it has them (worker SDK, scheduler and scanner settings of
FlowFabric): a lease of 30 s renewed at a third of it, a poll each second, grants of 5 s, 32 partitions a
probe, and the scan intervals and batch below.
"""

from typing import Final, Literal, Self

from pydantic import model_validator

from sim.distributions import Distribution
from sim.schema import Count, Interval, Names, Part, Positive, Rate, StoreInterval, field
from sim.units import US_PER_MS

MAX_SLOTS: Final = 1_000_000
"""Claim loops of a fleet at most."""


class Workers(Part):
    """The worker processes."""

    count: Count = field(10, "Worker processes; each crashes and pauses as one.")
    slots: Positive = field(1, "Executions that a worker works on at a time; each slot is a claim loop.")
    claim: Literal["scheduler", "direct", "next"] = field(
        "scheduler",
        "Where work comes from: asked of a scheduler, read and granted by the worker itself, or taken by the "
        "one operation that picks and claims the next execution (dialect postgres).",
    )
    dispatch: Literal["hinted", "optimistic"] = field(
        "hinted",
        "Which claim a worker tries first: the one that the hint of its grant names, or always the one for "
        "fresh executions.",
    )
    poll: Interval = field("1s", "Wait of a slot that found nothing to do.")
    lease_ttl: StoreInterval = field(
        "30s", "Time to live of a lease; it lapses unless it is renewed in time."
    )
    renew_at: float = field(0.333, "When a lease is renewed, as a share of its time to live.", gt=0, lt=1)
    stop_on_lost_lease: bool = field(
        False, "Whether a worker drops its work when a renewal is refused for good; otherwise it works on."
    )
    replay_reconciliation: Literal["intended", "as_coded"] = field(
        "intended",
        "Whether a worker that repeats its end after a lost reply learns that it is done already, or is "
        "refused as by the engine's client for Valkey.",
    )
    lanes: Names = field(["main"], "The lanes that the workers serve, all of them alike.")
    capabilities: Names = field([], "What the workers are capable of, all of them alike.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.count * self.slots > MAX_SLOTS:
            raise ValueError(
                f"{self.count:,} workers of {self.slots:,} slots are more than {MAX_SLOTS:,} slots"
            )
        return self

    @property
    def renew_every_us(self) -> int:
        """Time between renewals in microseconds: the share of the lease, and never below a millisecond."""
        return max(round(self.lease_ttl * self.renew_at), US_PER_MS)


class Schedulers(Part):
    """The scheduler processes, which answer the claim requests of workers with grants."""

    count: Count = field(1, "Scheduler processes; they compete for the same executions.")
    grant_ttl: StoreInterval = field("5s", "Time to live of a grant; a claim must reach the store before.")
    candidates: Positive = field(8, "How many executions a scheduler reads from the head of a partition.")
    pick: Literal["head", "random", "hashed"] = field(
        "head",
        "Which of the candidates it grants first: the head, any at random, or one chosen by the worker.",
    )
    serial: bool = field(False, "Whether a scheduler serves one request at a time instead of all at once.")
    probe: Positive = field(32, "How many partitions a scheduler looks at for one request, at most.")


class Reconcilers(Part):
    """The reconciler processes; each runs every scan at its own interval and phase. null: never."""

    count: Count = field(1, "Reconciler processes; they sweep the same indexes.")
    lease_expiry: Interval | None = field("1.5s", "Interval of the scan for lapsed leases.")
    grants: Interval | None = field("1s", "Interval of the scan for lapsed grants.")
    delayed: Interval | None = field("750ms", "Interval of the scan that promotes delayed executions.")
    suspension_timeout: Interval | None = field("2s", "Interval of the scan for suspensions out of time.")
    pending_waitpoints: Interval | None = field(
        "5s", "Interval of the scan that closes pending waitpoints out of time."
    )
    quota: Interval | None = field("30s", "Interval of the scan that trims windows and counters of quotas.")
    unblock: Interval | None = field("5s", "Interval of the scan that frees blocked executions.")
    dependencies: Interval | None = field(
        "15s", "Interval of the scan that resolves the edges of flows whose dispatch was lost."
    )
    cancels: Interval | None = field("15s", "Interval of the scan that carries on cancellations of flows.")
    deadlines: Interval | None = field("5s", "Interval of the scan for executions past their deadline.")
    budgets: Interval | None = field("15s", "Interval of the scan that resets budgets when they are due.")
    batch: Positive = field(50, "How many entries of a partition a scan takes at most.")


class Operators(Part):
    """People and tools that interfere, on targets that they read a while before they act."""

    count: Count = field(1, "Operators; the rates are those of all of them together.")
    cancel: Rate = field("0/s", "Executions that are cancelled in a unit of time.")
    cancel_flow: Rate = field("0/s", "Flows that are cancelled in a unit of time.")
    revoke: Rate = field("0/s", "Leases that are revoked in a unit of time.")
    reprioritise: Rate = field("0/s", "Executions whose priority is changed in a unit of time.")
    think: Distribution = field("0s", "Time between looking at a target and acting on it.")

    @property
    def is_busy(self) -> bool:
        """Whether they do anything at all."""
        return max(self.cancel, self.cancel_flow, self.revoke, self.reprioritise) > 0


class Limit(Part):
    """A limit that some classes of executions are under, or all of them."""

    classes: Names = field([], "The classes that are under this limit; all classes when empty.")

    def covers(self, work_class: str) -> bool:
        """Say whether executions of a class are under this limit."""
        return not self.classes or work_class in self.classes


class Quota(Limit):
    """A limit on admissions, shared by all executions of its classes."""

    window: StoreInterval = field("60s", "Length of the sliding window.")
    rate: int | None = field(None, "Admissions in a window at most; null for no limit.", ge=1, le=1_000_000)
    concurrency: int | None = field(
        None, "Admitted executions at a time at most; null for no limit.", ge=1, le=1_000_000
    )
    at: Literal["dispatch", "submit"] = field(
        "dispatch", "When an execution is admitted: before a scheduler grants it, or before it is created."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rate is None and self.concurrency is None:
            raise ValueError("give rate or concurrency; a quota without both limits nothing")
        return self


class Budget(Limit):
    """A limit on what all executions of its classes may use up together."""

    limit: int = field(..., "Usage at which the budget is used up (its hard limit).", ge=1, le=10**12)
    cost: int = field(1, "Usage that each completion reports.", ge=0, le=10**12)
    reset: Interval | None = field(None, "Time from one reset of the usage to the next; null for never.")
