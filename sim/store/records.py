"""What the store keeps: executions, grants, lanes, waitpoints, suspensions, flows, quotas, budgets.

Fields are those that an operation or a read looks at. What few executions have (a policy, a suspension,
signals, dependencies) is kept beside them, by their id. Identifiers are opaque: hashable, and comparable
among each other.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sim.store.index import Index

if TYPE_CHECKING:
    from sim.store.state import StateVector

Id = Any
"""An identifier: hashable, and comparable with others of its sort."""

PRIORITY_WEIGHT_MS = 1_000_000_000_000
"""One step of priority, in milliseconds of age: 31.7 years (the engine's own figure)."""


class Lane:
    """A lane: executions that workers choose among.

    Attributes
    ----------
    eligible : Index
        By (-priority * 10^12 + created_at).
    delayed : Index
        By the due time.
    blocked : dict[str, Index]
        By eligibility (``blocked_by_quota``, ...): the time of blocking, or for dependencies the creation.
    """

    __slots__ = ("blocked", "delayed", "eligible", "id")

    def __init__(self, lane: Id) -> None:
        self.id = lane
        self.eligible = Index()
        self.delayed = Index()
        self.blocked: dict[str, Index] = {}


class Grant:
    """The right of a worker to claim (or reclaim) an execution, until and including ``expires_at``.

    Attributes
    ----------
    admission : Id or None
        The quota whose slot goes with the grant.
    """

    __slots__ = ("admission", "expires_at", "worker")

    def __init__(self, worker: Id, expires_at: int, admission: Id | None = None) -> None:
        self.worker = worker
        self.expires_at = expires_at
        self.admission = admission


class Execution:
    """One execution.

    Attributes
    ----------
    changed : object
        The stamp of the operation that changed it last.
    lease_revoked_at : int or None
        When its lease was revoked. It outlives the lease, and renewals look at it.
    admission : Id or None
        The quota whose slot its lease holds (or held, until the lease lapsed or was revoked).
    reserved : Id or None
        The quota whose slot it holds since it was admitted at its submission, until its first lease takes
        the slot over or it ends without one.
    """

    __slots__ = (
        "admission",
        "attempt_id",
        "attempt_index",
        "changed",
        "created_at",
        "delay_until",
        "epoch",
        "flow",
        "grant",
        "id",
        "lane",
        "lease_expires_at",
        "lease_id",
        "lease_revoked_at",
        "priority",
        "reclaim_count",
        "replay_count",
        "reserved",
        "retry_count",
        "state",
        "suspension",
        "total_attempts",
        "waitpoint",
        "worker",
    )

    def __init__(
        self, execution: Id, lane: Lane, state: StateVector, priority: int, created_at: int, changed: object
    ) -> None:
        self.id = execution
        self.lane = lane
        self.state = state
        self.priority = priority
        self.created_at = created_at
        self.changed = changed
        self.grant: Grant | None = None
        self.admission: Id | None = None
        self.reserved: Id | None = None
        self.lease_id: Id | None = None
        self.worker: Id | None = None
        self.lease_expires_at: int | None = None
        self.lease_revoked_at: int | None = None
        self.epoch = 0
        self.attempt_id: Id | None = None
        self.attempt_index: int | None = None
        self.total_attempts = 0
        self.retry_count = 0
        self.replay_count = 0
        self.reclaim_count = 0
        self.delay_until: int | None = None
        self.suspension: Id | None = None
        self.waitpoint: Id | None = None
        self.flow: Id | None = None

    @property
    def score(self) -> int:
        """Its place among the eligible: priority first, then age."""
        return self.created_at - self.priority * PRIORITY_WEIGHT_MS


@dataclass(slots=True)
class Policy:
    """What an execution's creator asked for, where it is not the default."""

    required_capabilities: tuple[str, ...] = ()
    max_reclaim_count: int | None = None
    max_replay_count: int | None = None


class Condition:
    """What resumes a suspension: matchers, each satisfied once, by the first signal that fits it."""

    __slots__ = ("closed", "open_names", "required", "satisfied")

    def __init__(self, names: list[str], mode: str, min_count: int) -> None:
        # "" fits any signal; no name at all is one such matcher.
        self.open_names = list(names) or [""]
        self.required = len(self.open_names) if mode == "all" else min_count
        self.satisfied = 0
        self.closed = False

    def feed(self, name: str) -> bool:
        """Let a signal satisfy the first open matcher that it fits; say whether there was one."""
        for position, wanted in enumerate(self.open_names):
            if wanted in ("", name):
                del self.open_names[position]
                self.satisfied += 1
                return True
        return False

    def is_met_with(self, name: str) -> bool:
        """Whether it would be met after this signal."""
        fits = any(wanted in ("", name) for wanted in self.open_names)
        return fits and self.satisfied + 1 >= self.required

    @property
    def is_met(self) -> bool:
        """Whether enough matchers are satisfied."""
        return self.satisfied >= self.required


@dataclass(slots=True)
class Waitpoint:
    """Where signals for an execution arrive.

    Attributes
    ----------
    state : str
        ``pending``, ``active`` or ``closed``.
    expires_at : int or None
        Until when one that was created pending may be suspended on.
    """

    execution: Id
    attempt_index: int
    state: str
    expires_at: int | None
    changed: object


@dataclass(slots=True)
class Suspension:
    """The current suspension of an execution; closed ones stay until the next one replaces them."""

    id: Id
    waitpoint: Id
    timeout_at: int | None
    timeout_behavior: str
    is_open: bool = True


@dataclass(slots=True)
class Signals:
    """The signals of a waitpoint id, of all its lives.

    Attributes
    ----------
    names : list of str
        Names in the order of arrival.
    keys : dict
        Idempotency key: (signal, until when it is remembered).
    """

    names: list[str] = field(default_factory=list)
    keys: dict[str, tuple[Id, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Flow:
    """A flow: executions and the edges staged between them.

    Attributes
    ----------
    state : str
        ``open`` or ``cancelled``.
    edges : dict
        Edge id: (upstream, downstream).
    outgoing, incoming : dict
        Member: the ids of the edges that leave it, or that lead to it.
    pending_cancels : dict
        Members that a cancelled flow still has to cancel, in order; the values mean nothing.
    """

    changed: object
    state: str = "open"
    graph_revision: int = 0
    members: dict[Id, None] = field(default_factory=dict)
    edges: dict[Id, tuple[Id, Id]] = field(default_factory=dict)
    outgoing: dict[Id, list[Id]] = field(default_factory=dict)
    incoming: dict[Id, list[Id]] = field(default_factory=dict)
    pending_cancels: dict[Id, None] = field(default_factory=dict)


@dataclass(slots=True)
class Dependency:
    """A dependency that was applied to its child: unsatisfied, satisfied or impossible."""

    flow: Id
    upstream: Id
    state: str = "unsatisfied"
    data_passing: bool = False


@dataclass(slots=True)
class Dependencies:
    """What a child waits for.

    ``unsatisfied`` and ``impossible`` are counters of their own, as in the engine: a replay resets them.
    """

    edges: dict[Id, Dependency] = field(default_factory=dict)
    unresolved: dict[Id, None] = field(default_factory=dict)
    unsatisfied: int = 0
    impossible: int = 0


@dataclass(slots=True)
class Quota:
    """A quota: a sliding window of admissions and a count of concurrent ones.

    The limits are those of its definition, which admission does not read: its caller gives them.

    Attributes
    ----------
    concurrency : int
        The engine's counter of active executions; not kept where guards are slots.
    window : OrderedDict
        Execution: when it was admitted, oldest first.
    guards : dict
        Execution: until when it counts as admitted (None: until it is released).
    """

    changed: object
    is_defined: bool = False
    window_seconds: float = 0
    rate_limit: int = 0
    concurrency_cap: int = 0
    concurrency: int = 0
    window: OrderedDict[Id, int] = field(default_factory=OrderedDict)
    guards: dict[Id, int | None] = field(default_factory=dict)


@dataclass(slots=True)
class Budget:
    """A budget: usage and limits by dimension; a dimension without a limit is unlimited."""

    hard: dict[str, int] = field(default_factory=dict)
    soft: dict[str, int] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
