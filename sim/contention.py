"""The 18 kinds of contention, and the one table that gives a refusal its kind.

Source: the ``ContentionKind`` enum of FlowFabric (``ff-core::engine_error``), whose own documentation
states the recovery of each kind, and RFC-010 section 10.7 of the same project for the class. The engine
has more refusals than kinds; :func:`kind_of` maps every code to exactly one kind or to :data:`MISTAKE`
(an error of the caller, which is no contention).
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, NamedTuple


class KindClass(Enum):
    """How RFC-010 section 10.7 classes a kind."""

    RETRYABLE = "retryable"
    INFORMATIONAL = "informational"
    TERMINAL = "terminal"


class KindFacts(NamedTuple):
    """What is known of a kind besides its name."""

    meaning: str
    kind_class: KindClass
    recovery: str
    label: str
    colour: str


class ContentionKind(Enum):
    """One of the 18 ways in which actors of a lease-based engine get in each other's way.

    The value is the engine's own name. ``index`` is the position in the enum's order, which is the
    order of every table.
    """

    USE_CLAIM_RESUMED_EXECUTION = "use_claim_resumed_execution"
    NOT_A_RESUMED_EXECUTION = "not_a_resumed_execution"
    EXECUTION_NOT_LEASEABLE = "execution_not_leaseable"
    LEASE_CONFLICT = "lease_conflict"
    INVALID_CLAIM_GRANT = "invalid_claim_grant"
    CLAIM_GRANT_EXPIRED = "claim_grant_expired"
    NO_ELIGIBLE_EXECUTION = "no_eligible_execution"
    WAITPOINT_NOT_FOUND = "waitpoint_not_found"
    WAITPOINT_PENDING_USE_BUFFER_SCRIPT = "waitpoint_pending_use_buffer_script"
    STALE_GRAPH_REVISION = "stale_graph_revision"
    EXECUTION_NOT_ACTIVE = "execution_not_active"
    EXECUTION_NOT_ELIGIBLE = "execution_not_eligible"
    EXECUTION_NOT_IN_ELIGIBLE_SET = "execution_not_in_eligible_set"
    EXECUTION_NOT_RECLAIMABLE = "execution_not_reclaimable"
    NO_ACTIVE_LEASE = "no_active_lease"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    CONCURRENCY_LIMIT_EXCEEDED = "concurrency_limit_exceeded"
    RETRY_EXHAUSTED = "retry_exhausted"

    index: int

    @property
    def facts(self) -> KindFacts:
        """Meaning, class, default recovery, label and colour."""
        return _FACTS[self]


KINDS: Final[tuple[ContentionKind, ...]] = tuple(ContentionKind)
for _position, _kind in enumerate(KINDS):
    _kind.index = _position

K = ContentionKind
_RETRY, _INFO, _TERM = KindClass.RETRYABLE, KindClass.INFORMATIONAL, KindClass.TERMINAL

# Colours: hues grouped by what is contended for (claims blue, grants violet, work red, waitpoints and graph
# green, scheduling and quotas earth and orange), chosen by annealing for the largest smallest distance in
# OKLab, as seen normally and with protanopia and deuteranopia (Machado et al. 2009), with a contrast against
# white of 2 or more. Nobody tells eighteen colours apart with certainty: labels always stand beside them.
_FACTS: Final[dict[ContentionKind, KindFacts]] = {
    K.USE_CLAIM_RESUMED_EXECUTION: KindFacts(
        "the attempt was interrupted and has to be claimed as a resumed one", _RETRY,
        "re-dispatch to claim_resumed_execution", "use claim resumed", "#112a74"),
    K.NOT_A_RESUMED_EXECUTION: KindFacts(
        "claimed as a resumed attempt, but it is a fresh one", _RETRY,
        "re-dispatch to claim_execution", "not a resumed", "#3b5a7e"),
    K.EXECUTION_NOT_LEASEABLE: KindFacts(
        "the execution's state changed since the grant", _RETRY,
        "request a new grant", "not leaseable", "#83acdd"),
    K.LEASE_CONFLICT: KindFacts(
        "another worker holds the lease", _RETRY,
        "request a different execution", "lease conflict", "#4a76e4"),
    K.INVALID_CLAIM_GRANT: KindFacts(
        "the grant is missing or belongs to another worker", _RETRY,
        "request a new grant", "invalid grant", "#63189b"),
    K.CLAIM_GRANT_EXPIRED: KindFacts(
        "the grant's time to live elapsed before the claim", _RETRY,
        "request a new grant", "grant expired", "#a15bb6"),
    K.NO_ELIGIBLE_EXECUTION: KindFacts(
        "a scan found nothing for this worker", _RETRY,
        "poll again with backoff", "nothing eligible", "#8a8a8a"),
    K.WAITPOINT_NOT_FOUND: KindFacts(
        "the waitpoint does not exist yet, or no longer", _RETRY,
        "retry with backoff", "waitpoint not found", "#047c59"),
    K.WAITPOINT_PENDING_USE_BUFFER_SCRIPT: KindFacts(
        "the waitpoint is created but the suspension is not committed", _RETRY,
        "re-dispatch to buffer_signal_for_pending_waitpoint", "waitpoint pending", "#40ab56"),
    K.STALE_GRAPH_REVISION: KindFacts(
        "the flow's graph changed since it was read", _RETRY,
        "re-read the adjacency, then retry", "stale graph", "#2bcfbb"),
    K.EXECUTION_NOT_ACTIVE: KindFacts(
        "the execution is no longer active under this lease", _TERM,
        "reconcile; do not repeat", "not active", "#921232"),
    K.EXECUTION_NOT_ELIGIBLE: KindFacts(
        "the execution's state changed since the snapshot", _INFO,
        "skip", "not eligible", "#adaf7b"),
    K.EXECUTION_NOT_IN_ELIGIBLE_SET: KindFacts(
        "another scheduler took it out of the eligible set", _INFO,
        "skip", "not in eligible set", "#8e570f"),
    K.EXECUTION_NOT_RECLAIMABLE: KindFacts(
        "already reclaimed or cancelled", _INFO,
        "skip", "not reclaimable", "#f99c06"),
    K.NO_ACTIVE_LEASE: KindFacts(
        "the lease is already revoked, expired or given back", _INFO,
        "nothing to do", "no active lease", "#c74555"),
    K.RATE_LIMIT_EXCEEDED: KindFacts(
        "the quota's window is full", _RETRY,
        "back off for retry_after_ms", "rate limit", "#602e00"),
    K.CONCURRENCY_LIMIT_EXCEEDED: KindFacts(
        "the quota's concurrency cap is reached", _RETRY,
        "back off, then retry", "concurrency limit", "#f66005"),
    K.RETRY_EXHAUSTED: KindFacts(
        "three attempts of a serializable transaction failed", _RETRY,
        "fall back to the reconciler", "retry exhausted", "#222222"),
}  # fmt: skip

MISTAKE: Final = None
"""What :func:`kind_of` says of a code that is the caller's own mistake."""

Cause = Literal["missing", "wrong"]

_BY_CODE: Final[dict[str, ContentionKind]] = {
    **{kind.value: kind for kind in KINDS},
    **dict.fromkeys(
        ("stale_lease", "target_not_signalable", "flow_already_terminal", "execution_not_suspended",
         "already_suspended", "invalid_lease_for_suspend", "waitpoint_already_exists"),
        K.EXECUTION_NOT_ACTIVE),
    **dict.fromkeys(("lease_expired", "lease_revoked"), K.NO_ACTIVE_LEASE),
    "max_retries_exhausted": K.EXECUTION_NOT_RECLAIMABLE,
    "active_attempt_exists": K.EXECUTION_NOT_LEASEABLE,
    **dict.fromkeys(
        ("capability_mismatch", "deps_not_satisfied", "not_blocked_by_deps", "not_runnable", "terminal",
         "execution_not_terminal", "max_replays_exhausted", "script_error"),
        K.EXECUTION_NOT_ELIGIBLE),
    **dict.fromkeys(
        ("waitpoint_closed", "waitpoint_not_open", "waitpoint_not_pending", "pending_waitpoint_expired",
         "invalid_waitpoint_for_execution", "waitpoint_not_token_bound", "invalid_dependency"),
        K.WAITPOINT_NOT_FOUND),
    "dependency_already_exists": K.STALE_GRAPH_REVISION,
    **dict.fromkeys(("signal_limit_exceeded", "RATE_EXCEEDED"), K.RATE_LIMIT_EXCEEDED),
    "CONCURRENCY_EXCEEDED": K.CONCURRENCY_LIMIT_EXCEEDED,
}  # fmt: skip

_BY_OP_AND_CODE: Final[dict[tuple[str, str], ContentionKind]] = {
    ("issue_claim_grant", "grant_already_exists"): K.EXECUTION_NOT_IN_ELIGIBLE_SET,
    ("issue_grant_and_claim", "grant_already_exists"): K.EXECUTION_NOT_IN_ELIGIBLE_SET,
    ("issue_reclaim_grant", "grant_already_exists"): K.EXECUTION_NOT_RECLAIMABLE,
    ("revoke_lease", "ALREADY_SATISFIED"): K.NO_ACTIVE_LEASE,
    ("revoke_lease", "stale_lease"): K.NO_ACTIVE_LEASE,
}

_MISTAKES: Final[frozenset[str]] = frozenset({
    "invalid_input", "invalid_policy_json", "invalid_capabilities", "invalid_blocking_reason",
    "fence_required", "partial_fence_triple", "execution_not_found", "flow_not_found",
    "execution_not_in_flow", "execution_already_in_flow", "already_member_of_different_flow",
    "cycle_detected", "self_referencing_edge", "missing_token",
})  # fmt: skip


def kind_of(op: str, code: str, cause: Cause | None = None) -> ContentionKind | None:
    """Give the kind of a refusal.

    Parameters
    ----------
    op
        The operation, named as the engine names it.
    code
        The engine's code of the refusal.
    cause
        Only for ``invalid_token``, whose one code has two meanings: ``missing`` (there is no such
        waitpoint) or ``wrong`` (the sender's token is bad).

    Returns
    -------
    ContentionKind or None
        None (:data:`MISTAKE`) for an error of the caller.

    Raises
    ------
    KeyError
        When the code is not known: a code appears in the table before it appears in the model.
    """
    if code == "invalid_token":
        return K.WAITPOINT_NOT_FOUND if cause == "missing" else MISTAKE
    kind = _BY_OP_AND_CODE.get((op, code)) or _BY_CODE.get(code)
    if kind is None and code not in _MISTAKES:
        raise KeyError(f"no kind is known for code {code!r} of {op}")
    return kind


def codes_of(kind: ContentionKind) -> list[str]:
    """Give the engine's codes that make a kind, with the operation where a code alone does not tell."""
    plain = [code for code, its in _BY_CODE.items() if its is kind]
    if kind_of("deliver_signal", "invalid_token", "missing") is kind:
        plain.append("invalid_token (no such waitpoint)")
    return plain + [f"{code} of {op}" for (op, code), its in _BY_OP_AND_CODE.items() if its is kind]
