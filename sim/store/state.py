"""The state vector of an execution: seven dimensions, and the vectors that operations lead to.

The engine writes all seven in every transition. Here a vector is one shared object and a transition is
one assignment: equal vectors are the same object, so that "active and leased" is tested with ``is``.
Values are the engine's own words, and the vectors are those that its function library (version 34) writes.
Left out: ``submitted`` and ``resumable``, which the library never writes. ``pending_claim`` belongs to the
Postgres back end.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Phase(Enum):
    """Where in its life an execution is."""

    RUNNABLE = "runnable"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    TERMINAL = "terminal"


class Ownership(Enum):
    """Whose it is."""

    UNOWNED = "unowned"
    LEASED = "leased"
    LAPSED = "lease_expired_reclaimable"
    REVOKED = "lease_revoked"


class Eligibility(Enum):
    """Whether a runnable execution may be granted."""

    ELIGIBLE_NOW = "eligible_now"
    NOT_UNTIL_TIME = "not_eligible_until_time"
    BY_DEPENDENCIES = "blocked_by_dependencies"
    BY_BUDGET = "blocked_by_budget"
    BY_QUOTA = "blocked_by_quota"
    BY_ROUTE = "blocked_by_route"
    BY_LANE_STATE = "blocked_by_lane_state"
    BY_OPERATOR = "blocked_by_operator"
    PENDING_CLAIM = "pending_claim"
    NOT_APPLICABLE = "not_applicable"


class Blocking(Enum):
    """What it waits for."""

    NONE = "none"
    WORKER = "waiting_for_worker"
    RETRY_BACKOFF = "waiting_for_retry_backoff"
    RESUME_DELAY = "waiting_for_resume_delay"
    DELAY = "waiting_for_delay"
    SIGNAL = "waiting_for_signal"
    APPROVAL = "waiting_for_approval"
    CALLBACK = "waiting_for_callback"
    TOOL_RESULT = "waiting_for_tool_result"
    CHILDREN = "waiting_for_children"
    BUDGET = "waiting_for_budget"
    QUOTA = "waiting_for_quota"
    CAPABLE_WORKER = "waiting_for_capable_worker"
    OPERATOR = "paused_by_operator"
    POLICY = "paused_by_policy"


class TerminalOutcome(Enum):
    """How it ended."""

    NONE = "none"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SKIPPED = "skipped"


class AttemptState(Enum):
    """What became of its attempt at the work."""

    NONE = "none"
    PENDING_FIRST = "pending_first_attempt"
    RUNNING = "running_attempt"
    INTERRUPTED = "attempt_interrupted"
    PENDING_RETRY = "pending_retry_attempt"
    PENDING_REPLAY = "pending_replay_attempt"
    TERMINAL = "attempt_terminal"


class PublicState(Enum):
    """What users are shown."""

    WAITING = "waiting"
    DELAYED = "delayed"
    RATE_LIMITED = "rate_limited"
    WAITING_CHILDREN = "waiting_children"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SKIPPED = "skipped"


class StateVector:
    """Seven dimensions. Made by :func:`vector` alone, so that equal vectors are the same object.

    Attributes
    ----------
    words : dict[str, str]
        The dimensions by the engine's names, in the engine's words. Shared and not to be changed.
    """

    __slots__ = ("attempt", "eligibility", "outcome", "ownership", "phase", "words")

    def __init__(
        self,
        phase: Phase,
        ownership: Ownership,
        eligibility: Eligibility,
        blocking: Blocking,
        outcome: TerminalOutcome,
        attempt: AttemptState,
        public: PublicState,
    ) -> None:
        self.phase = phase
        self.ownership = ownership
        self.eligibility = eligibility
        self.outcome = outcome
        self.attempt = attempt
        self.words = {
            "lifecycle_phase": phase.value,
            "ownership_state": ownership.value,
            "eligibility_state": eligibility.value,
            "blocking_reason": blocking.value,
            "terminal_outcome": outcome.value,
            "attempt_state": attempt.value,
            "public_state": public.value,
        }

    def __repr__(self) -> str:
        return f"StateVector({', '.join(self.words.values())})"

    def __copy__(self) -> StateVector:
        return self

    def __deepcopy__(self, _: object) -> StateVector:
        return self


_Dimensions = tuple[Phase, Ownership, Eligibility, Blocking, TerminalOutcome, AttemptState, PublicState]
_VECTORS: Final[dict[_Dimensions, StateVector]] = {}


def vector(*dimensions: *_Dimensions) -> StateVector:
    """Give the one vector with these dimensions, in the order of :class:`StateVector`."""
    found = _VECTORS.get(dimensions)
    if found is None:
        found = _VECTORS[dimensions] = StateVector(*dimensions)
    return found


def _runnable(
    eligibility: Eligibility, blocking: Blocking, attempt: AttemptState, public: PublicState
) -> StateVector:
    return vector(
        Phase.RUNNABLE, Ownership.UNOWNED, eligibility, blocking, TerminalOutcome.NONE, attempt, public
    )


def _active(ownership: Ownership, blocking: Blocking, attempt: AttemptState) -> StateVector:
    return vector(
        Phase.ACTIVE, ownership, Eligibility.NOT_APPLICABLE, blocking, TerminalOutcome.NONE, attempt,
        PublicState.ACTIVE,
    )  # fmt: skip


def _terminal(outcome: TerminalOutcome, attempt: AttemptState, public: PublicState) -> StateVector:
    return vector(
        Phase.TERMINAL, Ownership.UNOWNED, Eligibility.NOT_APPLICABLE, Blocking.NONE, outcome, attempt, public
    )


def _suspended(blocking: Blocking) -> StateVector:
    return vector(
        Phase.SUSPENDED, Ownership.UNOWNED, Eligibility.NOT_APPLICABLE, blocking, TerminalOutcome.NONE,
        AttemptState.INTERRUPTED, PublicState.SUSPENDED,
    )  # fmt: skip


LEASED: Final = _active(Ownership.LEASED, Blocking.NONE, AttemptState.RUNNING)
LAPSED: Final = _active(Ownership.LAPSED, Blocking.WORKER, AttemptState.INTERRUPTED)
REVOKED: Final = _active(Ownership.REVOKED, Blocking.WORKER, AttemptState.INTERRUPTED)

ELIGIBLE_AS: Final = {
    attempt: _runnable(Eligibility.ELIGIBLE_NOW, Blocking.WORKER, attempt, PublicState.WAITING)
    for attempt in AttemptState
}
"""Eligible now, by the state of the attempt."""

PENDING_CLAIM_AS: Final = {
    attempt: _runnable(Eligibility.PENDING_CLAIM, Blocking.WORKER, attempt, PublicState.WAITING)
    for attempt in AttemptState
}
"""Granted, where a grant reserves the execution for its holder (Postgres)."""

WAITING_CHILDREN_AS: Final = {
    attempt: _runnable(Eligibility.BY_DEPENDENCIES, Blocking.CHILDREN, attempt, PublicState.WAITING_CHILDREN)
    for attempt in AttemptState
}
"""Blocked by dependencies, by the state of the attempt."""

CREATED: Final = ELIGIBLE_AS[AttemptState.PENDING_FIRST]
CREATED_DELAYED: Final = _runnable(
    Eligibility.NOT_UNTIL_TIME, Blocking.DELAY, AttemptState.PENDING_FIRST, PublicState.DELAYED
)
DELAYED: Final = _runnable(
    Eligibility.NOT_UNTIL_TIME, Blocking.DELAY, AttemptState.INTERRUPTED, PublicState.DELAYED
)
BACKING_OFF: Final = _runnable(
    Eligibility.NOT_UNTIL_TIME, Blocking.RETRY_BACKOFF, AttemptState.PENDING_RETRY, PublicState.DELAYED
)
RESUMED: Final = ELIGIBLE_AS[AttemptState.INTERRUPTED]
RESUMED_DELAYED: Final = _runnable(
    Eligibility.NOT_UNTIL_TIME, Blocking.RESUME_DELAY, AttemptState.INTERRUPTED, PublicState.DELAYED
)

_BLOCKED_BY: Final = {
    Blocking.BUDGET: Eligibility.BY_BUDGET,
    Blocking.QUOTA: Eligibility.BY_QUOTA,
    Blocking.CAPABLE_WORKER: Eligibility.BY_ROUTE,
    Blocking.OPERATOR: Eligibility.BY_OPERATOR,
    Blocking.POLICY: Eligibility.BY_LANE_STATE,
}
BLOCKED_AS: Final = {
    reason.value: {
        attempt: _runnable(eligibility, reason, attempt, PublicState.RATE_LIMITED) for attempt in AttemptState
    }
    for reason, eligibility in _BLOCKED_BY.items()
}
"""Blocked at admission: by the reason's word, then by the state of the attempt."""

SUSPENDED_FOR: Final = {
    "waiting_for_signal": _suspended(Blocking.SIGNAL),
    "waiting_for_approval": _suspended(Blocking.APPROVAL),
    "waiting_for_callback": _suspended(Blocking.CALLBACK),
    "waiting_for_tool_result": _suspended(Blocking.TOOL_RESULT),
    "waiting_for_operator_review": _suspended(Blocking.OPERATOR),
    "paused_by_policy": _suspended(Blocking.POLICY),
    "paused_by_budget": _suspended(Blocking.BUDGET),
    "step_boundary": _suspended(Blocking.SIGNAL),
    "manual_pause": _suspended(Blocking.OPERATOR),
}
"""Suspended, by the reason's word; every other reason counts as waiting_for_signal."""

SUSPENDED: Final = SUSPENDED_FOR["waiting_for_signal"]
ESCALATED: Final = SUSPENDED_FOR["waiting_for_operator_review"]

COMPLETED: Final = _terminal(TerminalOutcome.SUCCESS, AttemptState.TERMINAL, PublicState.COMPLETED)
FAILED: Final = _terminal(TerminalOutcome.FAILED, AttemptState.TERMINAL, PublicState.FAILED)
CANCELLED_AS: Final = {
    attempt: _terminal(TerminalOutcome.CANCELLED, attempt, PublicState.CANCELLED) for attempt in AttemptState
}
EXPIRED_AS: Final = {
    attempt: _terminal(TerminalOutcome.EXPIRED, attempt, PublicState.EXPIRED) for attempt in AttemptState
}
SKIPPED_AS: Final = {
    attempt: _terminal(TerminalOutcome.SKIPPED, attempt, PublicState.SKIPPED) for attempt in AttemptState
}
