"""The rules of the store: one named switch for each point where the engine differs from itself.

Its documents and its code differ, and so do its two back ends. A dialect is a preset of the rules:
``contract`` is what the documents promise, ``valkey`` what the function library (version 34) does,
``postgres`` what the Postgres back end does. A scenario picks a preset and may override single rules. Where
no rule differs, every dialect answers as the function library does.

Rules that the store itself obeys are marked "store" below; the others are read by the actors (scheduler,
reconciler) and by the link, which carry them out.

``postgres`` differs by its rules and by nothing else. What else that back end does differently is left out:

- suspending: no check of lifecycle or of an open suspension, no buffered signals, no ALREADY_SATISFIED, an
  epoch that grows; creating a waitpoint: no check at all;
- signals: no check of the lifecycle, no deduplication, no cap, no delay, the condition evaluated anew over
  all signals, the suspension's row left behind and found again by time-outs and later signals;
- resumed claims only of what a signal resumed; time-outs and closing of waitpoints strictly after their
  instant; escalation and automatic resumption that end the execution or leave it suspended;
- flows: mistakes answered as invalid input, no search for cycles, children that are never blocked, groups
  that a late event fires again, cancellations that miss or overwrite members;
- quotas: a window that ends one millisecond later, guards one earlier, no scheduler that asks; budgets:
  limits under other names than the scheduler reads, a hard breach that is remembered and replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args, get_type_hints

ExpiredGrant = Literal["kept", "dropped"]
GrantedExecution = Literal["leaves_eligible_set", "stays", "pending_claim"]
ClaimOfLeased = Literal["lease_conflict", "execution_not_leaseable", "execution_not_active"]
ClaimOfInterrupted = Literal["use_claim_resumed_execution", "execution_not_leaseable"]
FenceMismatch = Literal["stale_lease", "lease_conflict"]
RevokeWithoutLease = Literal["no_active_lease", "already_satisfied"]
MissingWaitpoint = Literal["waitpoint_not_found", "invalid_token"]
LapsedLease = Literal["reclaimed", "marked", "requeued"]
AdmissionDenied = Literal["refused", "blocked"]
CapabilityDenied = Literal["skipped", "blocked"]
BudgetDenied = Literal["skipped", "blocked"]
AdmissionRelease = Literal["admitting_call", "any_refused_grant"]
ConcurrencyRelease = Literal["lease_end", "reconciler", "never"]
ResumeDelay = Literal["recorded", "lost"]
Transactions = Literal["atomic", "serializable"]
ConflictGranularity = Literal["row", "partition"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRules:
    """One dialect of the engine. The defaults are the preset ``contract``.

    Raises
    ------
    ValueError
        When a rule has a value that it cannot have; the message names those that it can.
    """

    expired_grant: ExpiredGrant = "kept"
    granted_execution: GrantedExecution = "leaves_eligible_set"
    claim_of_leased: ClaimOfLeased = "lease_conflict"
    claim_of_interrupted: ClaimOfInterrupted = "use_claim_resumed_execution"
    fence_mismatch: FenceMismatch = "stale_lease"
    revoke_without_lease: RevokeWithoutLease = "no_active_lease"
    missing_waitpoint: MissingWaitpoint = "waitpoint_not_found"
    lapsed_lease: LapsedLease = "reclaimed"
    admission_denied: AdmissionDenied = "refused"
    capability_denied: CapabilityDenied = "skipped"
    budget_denied: BudgetDenied = "skipped"
    admission_release: AdmissionRelease = "admitting_call"
    concurrency_release: ConcurrencyRelease = "lease_end"
    resume_delay: ResumeDelay = "recorded"
    transactions: Transactions = "atomic"
    conflict_granularity: ConflictGranularity = "row"

    def __post_init__(self) -> None:
        for name, rule in RULES.items():
            value = getattr(self, name)
            if value not in rule.values:
                raise ValueError(f"rule {name}: {value!r} is not one of {', '.join(rule.values)}")


class Rule(NamedTuple):
    """What may be said of a rule: its values, and what it decides."""

    values: tuple[str, ...]
    meaning: str


_MEANINGS: Final[dict[str, str]] = {
    "expired_grant": "store: an expired grant is kept (claim_grant_expired) or gone (invalid_claim_grant)",
    "granted_execution": "store: a granted execution leaves the eligible set, stays in it, or is eligible "
    "for the holder of the grant alone (pending_claim) and never repaired",
    "claim_of_leased": "store: the answer to a claim of an execution that is active and leased",
    "claim_of_interrupted": "store: the answer to claim_execution when the attempt was interrupted",
    "fence_mismatch": "store: stale_lease when lease, epoch or attempt differ, after lease_expired; "
    "lease_conflict when the epoch differs, and neither the rest nor the expiry is looked at",
    "revoke_without_lease": "store: the answer to revoke_lease once the lease is revoked or marked lapsed",
    "missing_waitpoint": "store: the answer to deliver_signal for a waitpoint that does not exist",
    "lapsed_lease": "reconciler: marks it and grants it anew (reclaimed), or marks it only; store: marking "
    "it puts the execution back among the eligible ones (requeued)",
    "admission_denied": "scheduler: learns retry_after_ms and leaves the execution eligible, or blocks it",
    "capability_denied": "scheduler: skips an execution that needs other capabilities, or blocks it; store: "
    "reads leave it out when it is to be skipped",
    "budget_denied": "scheduler: skips an execution whose budget is used up, or blocks it",
    "admission_release": "scheduler: a refused grant gives the admission back if this very call was "
    "ADMITTED, or always",
    "concurrency_release": "store: a slot of a quota is held until the lease ends, until the reconciler "
    "finds its guard gone, or for ever",
    "resume_delay": "store: the due time of a resumption with a delay is recorded, or lost: never promoted",
    "transactions": "link: operations are atomic, or serializable transactions that conflict and are retried",
    "conflict_granularity": "link: serializable transactions conflict by row, or by partition",
}

RULES: Final[dict[str, Rule]] = {
    name: Rule(get_args(literal), _MEANINGS[name]) for name, literal in get_type_hints(StoreRules).items()
}
"""Every rule by name: its values and its meaning."""

CONTRACT: Final = StoreRules()
VALKEY: Final = StoreRules(
    expired_grant="dropped",
    granted_execution="stays",
    claim_of_leased="execution_not_leaseable",
    revoke_without_lease="already_satisfied",
    missing_waitpoint="invalid_token",
    lapsed_lease="marked",
    admission_denied="blocked",
    capability_denied="blocked",
    budget_denied="blocked",
    admission_release="any_refused_grant",
    concurrency_release="reconciler",
    resume_delay="lost",
)
POSTGRES: Final = StoreRules(
    granted_execution="pending_claim",
    claim_of_leased="execution_not_active",
    claim_of_interrupted="execution_not_leaseable",
    fence_mismatch="lease_conflict",
    revoke_without_lease="already_satisfied",
    lapsed_lease="requeued",
    admission_denied="blocked",
    admission_release="any_refused_grant",
    concurrency_release="never",
    transactions="serializable",
)

PRESETS: Final[dict[str, StoreRules]] = {"contract": CONTRACT, "valkey": VALKEY, "postgres": POSTGRES}
"""The dialects by name."""


def preset(name: str) -> StoreRules:
    """Give a dialect by its name.

    Raises
    ------
    ValueError
        When there is none of that name; the message names those that there are.
    """
    if name not in PRESETS:
        raise ValueError(f"there is no dialect {name!r}: it is one of {', '.join(PRESETS)}")
    return PRESETS[name]
