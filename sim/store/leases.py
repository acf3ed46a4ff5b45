"""Leases: claiming, renewing, lapsing, revoking, reclaiming.

A lease is over AT its expiry millisecond; a grant still counts in its own. Guards stand in the engine's
order; those that a runnable execution cannot meet are left out, as in :mod:`sim.store.executions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sim.store.capabilities import missing_capabilities
from sim.store.fences import check_holder, refuse_shape
from sim.store.outcome import Ok, Refused
from sim.store.partition import (
    clear_lease,
    drop_grant,
    end_in_terminal,
    free_slots,
    live_grant,
    make_eligible,
    mark_lapsed,
    not_a_number,
    not_active,
    release_lease,
)
from sim.store.state import (
    FAILED,
    LAPSED,
    LEASED,
    RESUMED,
    REVOKED,
    AttemptState,
    Eligibility,
    Phase,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Container

    from sim.store.outcome import Outcome
    from sim.store.partition import Partition
    from sim.store.records import Execution, Id

_RUNNABLE: Final = Phase.RUNNABLE
_ACTIVE: Final = Phase.ACTIVE
_NONE_HERE: Final = Ok({"execution": None})
_ELIGIBLE_NOW: Final = Eligibility.ELIGIBLE_NOW
_PENDING_CLAIM: Final = Eligibility.PENDING_CLAIM
_INTERRUPTED: Final = AttemptState.INTERRUPTED
_PENDING_RETRY: Final = AttemptState.PENDING_RETRY
_PENDING_REPLAY: Final = AttemptState.PENDING_REPLAY

RECLAIMS_MAX: Final = 1000


def _satisfied(outcome: str) -> Ok:
    return Ok({"outcome": outcome}, "ALREADY_SATISFIED")


_MARKED: Final = Ok({"outcome": "marked_expired"})
_REQUEUED: Final = Ok({"outcome": "requeued"})
_NOTHING_TO_MARK: Final = {
    word: _satisfied(word)
    for word in ("execution_not_found", "not_active", "already_expired", "already_revoked", "not_yet_expired")
}
_ALREADY_EXPIRED: Final = {"outcome": "already_expired"}
_ALREADY_REVOKED: Final = {"outcome": "already_revoked"}


def claim_execution(
    store: Partition,
    now_ms: int,
    execution: Id,
    worker: Id,
    lease_id: Id,
    lease_ttl_ms: int,
    attempt_id: Id,
) -> Outcome:
    """Claim a granted execution: a new attempt begins, under a new lease."""
    op = "claim_execution"
    if type(lease_ttl_ms) is not int:
        refused = not_a_number(op, "lease_ttl_ms", lease_ttl_ms)
        if refused is not None:
            return refused
        lease_ttl_ms = int(float(lease_ttl_ms))
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    state = ex.state
    if state.phase is not _RUNNABLE:
        return _refuse_owned(store, op, ex)
    grant = ex.grant
    if state.eligibility is not _ELIGIBLE_NOW and not (
        state.eligibility is _PENDING_CLAIM and grant is not None and grant.worker == worker
    ):
        return Refused(op, "execution_not_leaseable", ex.changed)
    if state.attempt is _INTERRUPTED:
        return Refused(op, store.rules.claim_of_interrupted, ex.changed)
    if grant is None or grant.worker != worker or now_ms > grant.expires_at:
        return _refuse_grant(store, op, ex, worker)
    ex.grant = None
    ex.admission = grant.admission
    attempt_type = start_attempt(store, ex, now_ms, worker, lease_id, lease_ttl_ms, attempt_id)
    ex.lane.eligible.discard(execution)
    return _claimed(ex, attempt_type)


def claim_resumed_execution(
    store: Partition, now_ms: int, execution: Id, worker: Id, lease_id: Id, lease_ttl_ms: int
) -> Outcome:
    """Claim a granted execution whose attempt was interrupted: the same attempt goes on, under a new lease.

    Its eligibility is not looked at: a grant that was issued before a block still works.
    """
    op = "claim_resumed_execution"
    if type(lease_ttl_ms) is not int:
        refused = not_a_number(op, "lease_ttl_ms", lease_ttl_ms)
        if refused is not None:
            return refused
        lease_ttl_ms = int(float(lease_ttl_ms))
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    state = ex.state
    if state.phase is not _RUNNABLE:
        return _refuse_owned(store, op, ex)
    if state.attempt is not _INTERRUPTED:
        return Refused(op, "not_a_resumed_execution", ex.changed)
    grant = ex.grant
    if grant is None or grant.worker != worker or now_ms > grant.expires_at:
        return _refuse_grant(store, op, ex, worker)
    ex.grant = None
    ex.admission = grant.admission
    resume_attempt(store, ex, now_ms, worker, lease_id, lease_ttl_ms)
    ex.lane.eligible.discard(execution)
    return _claimed(ex, "resumed")


def claim_next(
    store: Partition,
    now_ms: int,
    worker: Id,
    lane: Id,
    lease_id: Id,
    lease_ttl_ms: int,
    attempt_id: Id,
    worker_capabilities: Collection[str] = (),
    last: bool = True,
    skip: Container[Id] = (),
) -> Outcome:
    """Lease the first eligible execution of a lane without a grant, interrupted ones included.

    No operation of the Valkey engine; workers of the Postgres back end claim so.

    Parameters
    ----------
    last
        Nothing was found in this scan so far, and this is its last partition: finding nothing is refused.
        Elsewhere it is answered with no execution.
    skip
        Executions to pass over: those that a running transaction has locked.
    """
    op = "claim_next"

    def fits(candidate: Id) -> bool:
        ex = store.executions.get(candidate) or store.find(candidate)
        return (
            ex is not None
            and ex.state.eligibility is _ELIGIBLE_NOW
            and candidate not in skip
            and live_grant(ex, now_ms) is None
            and not missing_capabilities(store, candidate, worker_capabilities)
        )

    home = store.lanes.get(lane)
    found = home.eligible.first(1, accept=fits) if home is not None else []
    if home is None or not found:
        return Refused(op, "no_eligible_execution") if last else _NONE_HERE
    ex = store.executions[found[0]]
    drop_grant(store, ex, now_ms)
    if ex.state.attempt is _INTERRUPTED:
        resume_attempt(store, ex, now_ms, worker, lease_id, lease_ttl_ms)
        attempt_type = "resumed"
    else:
        attempt_type = start_attempt(store, ex, now_ms, worker, lease_id, lease_ttl_ms, attempt_id)
    home.eligible.discard(ex.id)
    outcome = _claimed(ex, attempt_type)
    return Ok({"execution": ex.id, **outcome.values})


def _refuse_owned(store: Partition, op: str, ex: Execution) -> Refused:
    """Refuse the claim of an execution that is not runnable."""
    if ex.state is LEASED:
        code = store.rules.claim_of_leased
        return not_active(op, ex) if code == "execution_not_active" else Refused(op, code, ex.changed)
    return Refused(op, "execution_not_leaseable", ex.changed)


def _refuse_grant(store: Partition, op: str, ex: Execution, worker: Id) -> Refused:
    """Refuse a claim whose grant is missing, another's, or past its expiry."""
    grant = ex.grant
    if grant is None or grant.worker != worker or store.drops_expired_grants:
        return Refused(op, "invalid_claim_grant", ex.changed)
    return Refused(op, "claim_grant_expired", ex.changed)


def _claimed(ex: Execution, attempt_type: str) -> Ok:
    return Ok({
        "lease_id": ex.lease_id,
        "lease_epoch": ex.epoch,
        "expires_at": ex.lease_expires_at,
        "attempt_id": ex.attempt_id,
        "attempt_index": ex.attempt_index,
        "attempt_type": attempt_type,
    })  # fmt: skip


def start_attempt(
    store: Partition,
    ex: Execution,
    now_ms: int,
    worker: Id,
    lease_id: Id,
    lease_ttl_ms: int,
    attempt_id: Id,
) -> str:
    """Begin a new attempt under a new lease; give its type."""
    pending = ex.state.attempt
    if ex.reserved is not None and ex.admission is None:
        ex.admission, ex.reserved = ex.reserved, None
    ex.attempt_id = attempt_id
    ex.attempt_index = ex.total_attempts
    ex.total_attempts += 1
    _start_lease(store, ex, worker, lease_id, now_ms + lease_ttl_ms)
    if pending is _PENDING_RETRY:
        return "retry"
    return "replay" if pending is _PENDING_REPLAY else "initial"


def resume_attempt(
    store: Partition, ex: Execution, now_ms: int, worker: Id, lease_id: Id, lease_ttl_ms: int
) -> None:
    """Go on with the interrupted attempt under a new lease; an old revocation is forgotten."""
    ex.lease_revoked_at = None
    _start_lease(store, ex, worker, lease_id, now_ms + lease_ttl_ms)


def _start_lease(store: Partition, ex: Execution, worker: Id, lease_id: Id, expires_at: int) -> None:
    ex.epoch += 1
    ex.lease_id = lease_id
    ex.worker = worker
    ex.lease_expires_at = expires_at
    ex.state = LEASED
    ex.changed = store.stamp
    store.lease_expiry.add(ex.id, expires_at)
    if store.granted_leave:
        store.lapsing_grants.discard(ex.id)


def renew_lease(
    store: Partition,
    now_ms: int,
    execution: Id,
    attempt_index: int,
    attempt_id: Id | None,
    lease_id: Id | None,
    lease_epoch: int | None,
    lease_ttl_ms: int,
) -> Outcome:
    """Prolong a lease: it expires a ttl from now. A revocation, however old, is final."""
    op = "renew_lease"
    if type(lease_ttl_ms) is not int:
        refused = not_a_number(op, "lease_ttl_ms", lease_ttl_ms)
        if refused is not None:
            return refused
        lease_ttl_ms = int(float(lease_ttl_ms))
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    if (
        ex.state is not LEASED
        or ex.epoch != lease_epoch
        or ex.lease_id != lease_id
        or ex.attempt_id != attempt_id
        or ex.attempt_index != attempt_index
        or now_ms >= ex.lease_expires_at  # type: ignore[operator]
        or ex.lease_revoked_at is not None
    ):
        refused = _refuse_renewal(store, ex, now_ms, attempt_index, attempt_id, lease_id, lease_epoch)
        if refused is not None:
            return refused
    expires_at = ex.lease_expires_at = now_ms + lease_ttl_ms
    ex.changed = store.stamp
    if ex.state is LEASED:
        store.lease_expiry.add(execution, expires_at)
    return Ok({"expires_at": expires_at})


def _refuse_renewal(
    store: Partition,
    ex: Execution,
    now_ms: int,
    attempt_index: int,
    attempt_id: Id | None,
    lease_id: Id | None,
    lease_epoch: int | None,
) -> Refused | None:
    op = "renew_lease"
    if lease_id is None or lease_epoch is None or attempt_id is None:
        return refuse_shape(op, lease_id, lease_epoch, attempt_id)
    if ex.state.phase is _ACTIVE and ex.lease_revoked_at is not None:
        return Refused(op, "lease_revoked", ex.changed)
    refused = check_holder(store, op, ex, now_ms, lease_id, lease_epoch, attempt_id)
    if refused is None and ex.attempt_index != attempt_index and not store.fences_by_epoch:
        return Refused(op, "stale_lease", ex.changed)
    return refused


def mark_lease_expired_if_due(store: Partition, now_ms: int, execution: Id) -> Outcome:
    """Mark a lapsed lease, so that it can be reclaimed; or put the execution back among the eligible ones."""
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return _NOTHING_TO_MARK["execution_not_found"]
    state = ex.state
    if state.phase is not _ACTIVE:
        store.lease_expiry.discard(execution)
        return _NOTHING_TO_MARK["not_active"]
    if state is LAPSED:
        return _NOTHING_TO_MARK["already_expired"]
    if state is REVOKED:
        return _NOTHING_TO_MARK["already_revoked"]
    if now_ms < ex.lease_expires_at:  # type: ignore[operator]
        return _NOTHING_TO_MARK["not_yet_expired"]
    if store.rules.lapsed_lease == "requeued":
        release_lease(store, ex, now_ms)
        ex.state = RESUMED
        ex.changed = store.stamp
        make_eligible(store, ex, now_ms)
        return _REQUEUED
    mark_lapsed(store, ex, now_ms)
    return _MARKED


def revoke_lease(
    store: Partition, now_ms: int, execution: Id, expected_lease_id: Id | None = None
) -> Outcome:
    """Take a lease away from its holder, lapsed or not."""
    op = "revoke_lease"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    state = ex.state
    if state.phase is not _ACTIVE:
        return not_active(op, ex)
    if state is not LEASED:
        if store.rules.revoke_without_lease == "no_active_lease":
            return Refused(op, "no_active_lease", ex.changed)
        values = _ALREADY_REVOKED if state is REVOKED else _ALREADY_EXPIRED
        return Refused(op, "ALREADY_SATISFIED", ex.changed, values=values)
    if expected_lease_id is not None and expected_lease_id != ex.lease_id:
        leases = {"expected_lease_id": expected_lease_id, "current_lease_id": ex.lease_id}
        return Refused(op, "stale_lease", ex.changed, values=leases)
    free_slots(store, ex, now_ms)
    ex.state = REVOKED
    ex.lease_revoked_at = now_ms
    ex.changed = store.stamp
    store.lease_expiry.discard(execution)
    return Ok({"outcome": "revoked", "lease_id": ex.lease_id, "lease_epoch": ex.epoch})


def reclaim_execution(
    store: Partition,
    now_ms: int,
    execution: Id,
    worker: Id,
    lease_id: Id,
    lease_ttl_ms: int,
    attempt_id: Id,
    max_reclaim_count: int = RECLAIMS_MAX,
) -> Outcome:
    """Take over an execution whose lease lapsed or was revoked: a new attempt under a new lease.

    At the cap of reclaims the execution fails instead, whoever calls, with a grant or without.
    """
    op = "reclaim_execution"
    if type(lease_ttl_ms) is not int:
        refused = not_a_number(op, "lease_ttl_ms", lease_ttl_ms)
        if refused is not None:
            return refused
        lease_ttl_ms = int(float(lease_ttl_ms))
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    if ex.state.phase is not _ACTIVE or ex.state is LEASED:
        return Refused(op, "execution_not_reclaimable", ex.changed)
    policy = store.policies.get(execution)
    if policy is not None and policy.max_reclaim_count is not None:
        max_reclaim_count = policy.max_reclaim_count
    if ex.reclaim_count >= max_reclaim_count:
        return _fail_at_cap(store, ex, now_ms, max_reclaim_count)
    grant = ex.grant
    if grant is None or grant.worker != worker or now_ms > grant.expires_at:
        return _refuse_grant(store, op, ex, worker)
    ex.grant = None
    if ex.admission is not None:
        store.take_slot(now_ms, ex.admission, execution)
    ex.reclaim_count += 1
    ex.lease_revoked_at = None
    start_attempt(store, ex, now_ms, worker, lease_id, lease_ttl_ms, attempt_id)
    return _claimed(ex, "reclaim")


def _fail_at_cap(store: Partition, ex: Execution, now_ms: int, cap: int) -> Refused:
    rival = ex.changed
    expires_at = ex.lease_expires_at
    release_lease(store, ex, now_ms)
    clear_lease(ex)
    ex.lease_expires_at = expires_at
    ex.state = FAILED
    store.deadlines.discard(ex.id)
    end_in_terminal(store, ex, now_ms)
    values: dict[str, Any] = {"max_reclaim_count": cap}
    return Refused("reclaim_execution", "max_retries_exhausted", rival, values=values)
