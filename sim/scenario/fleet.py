"""What a scenario says of the fleet: workers, schedulers and reconcilers.

Defaults are the engine's own constants where it has them (worker SDK, scheduler and scanner settings of
FlowFabric): a lease of 30 s renewed at a third of it, a poll each second, grants of 5 s, 32 partitions a
probe, and the scan intervals and batch below.
"""

from typing import Final, Literal, Self

from pydantic import model_validator

from sim.schema import Count, Interval, Names, Part, Positive, StoreInterval, field
from sim.units import US_PER_MS

MAX_SLOTS: Final = 1_000_000
"""Claim loops of a fleet at most."""


class Workers(Part):
    """The worker processes."""

    count: Count = field(10, "Worker processes; each crashes and pauses as one.")
    slots: Positive = field(1, "Executions that a worker works on at a time; each slot is a claim loop.")
    claim: Literal["scheduler", "direct"] = field(
        "scheduler", "Where work comes from: asked of a scheduler, or read and granted by the worker itself."
    )
    poll: Interval = field("1s", "Wait of a slot that found nothing to do.")
    lease_ttl: StoreInterval = field(
        "30s", "Time to live of a lease; it lapses unless it is renewed in time."
    )
    renew_at: float = field(0.333, "When a lease is renewed, as a share of its time to live.", gt=0, lt=1)
    stop_on_lost_lease: bool = field(
        False, "Whether a worker drops its work when a renewal is refused for good; otherwise it works on."
    )
    lanes: Names = field(["main"], "The lanes that the workers serve, all of them alike.")

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
    quota: Interval | None = field("30s", "Interval of the scan that trims windows and counters of quotas.")
    unblock: Interval | None = field("5s", "Interval of the scan that frees blocked executions.")
    batch: Positive = field(50, "How many entries of a partition a scan takes at most.")


class Quota(Part):
    """A limit on admissions, shared by all executions of its classes."""

    window: StoreInterval = field("60s", "Length of the sliding window.")
    rate: int | None = field(None, "Admissions in a window at most; null for no limit.", ge=1, le=1_000_000)
    concurrency: int | None = field(
        None, "Admitted executions at a time at most; null for no limit.", ge=1, le=1_000_000
    )
    classes: Names = field([], "The classes that need an admission; all classes when empty.")
    at: Literal["dispatch"] = field(
        "dispatch", "When an execution is admitted: before a scheduler grants it."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rate is None and self.concurrency is None:
            raise ValueError("give rate or concurrency; a quota without both limits nothing")
        return self

    def covers(self, work_class: str) -> bool:
        """Say whether executions of a class need an admission of this quota."""
        return not self.classes or work_class in self.classes
