"""Grants: the right to claim an execution, issued by a scheduler, or to reclaim one, by a reconciler.

An execution has one grant at most, of either sort; only the worker is compared when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.store.capabilities import check_capabilities
from sim.store.leases import resume_attempt, start_attempt
from sim.store.outcome import Ok, Refused
from sim.store.partition import drop_grant, give_slot_back, live_grant, not_a_number
from sim.store.records import Grant
from sim.store.state import (
    LEASED,
    PENDING_CLAIM_AS,
    AttemptState,
    Eligibility,
    Phase,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from sim.store.outcome import Outcome
    from sim.store.partition import Partition
    from sim.store.records import Execution, Id

_RUNNABLE: Final = Phase.RUNNABLE
_ACTIVE: Final = Phase.ACTIVE
_ELIGIBLE_NOW: Final = Eligibility.ELIGIBLE_NOW
_INTERRUPTED: Final = AttemptState.INTERRUPTED
_REQUEUED: Final = Ok({"outcome": "requeued"})


def issue_claim_grant(
    store: Partition,
    now_ms: int,
    execution: Id,
    worker: Id,
    lane: Id,
    grant_ttl_ms: int,
    worker_capabilities: Collection[str] = (),
    admission: Id | None = None,
) -> Outcome:
    """Grant an eligible execution to a worker.

    Parameters
    ----------
    lane
        The lane whose eligible set is consulted.
    grant_ttl_ms
        The grant may be used up to and including now + ttl.
    admission
        The quota under which this call was ADMITTED: its slot goes with the grant, then with the lease.
    """
    op = "issue_claim_grant"
    if type(grant_ttl_ms) is not int:
        refused = not_a_number(op, "grant_ttl_ms", grant_ttl_ms)
        if refused is not None:
            return refused
        grant_ttl_ms = int(float(grant_ttl_ms))
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    state = ex.state
    if state.phase is not _RUNNABLE or state.eligibility is not _ELIGIBLE_NOW:
        return Refused(op, "execution_not_eligible", ex.changed)
    eligible = ex.lane.eligible
    if execution not in eligible.scores or lane != ex.lane.id:
        if not store.granted_leave and live_grant(ex, now_ms) is not None:
            return Refused(op, "grant_already_exists", ex.changed)
        return Refused(op, "execution_not_in_eligible_set", ex.changed)
    if ex.grant is not None and live_grant(ex, now_ms) is not None:
        return Refused(op, "grant_already_exists", ex.changed)
    if worker_capabilities or execution in store.policies:
        refused = check_capabilities(store, op, ex, worker_capabilities)
        if refused is not None:
            return refused
    _set_grant(store, ex, now_ms, worker, grant_ttl_ms, admission)
    if store.granted_leave:
        eligible.discard(execution)
        store.lapsing_grants.add(execution, now_ms + grant_ttl_ms)
    elif store.granted_pends:
        eligible.discard(execution)
        ex.state = PENDING_CLAIM_AS[state.attempt]
    return Ok({"execution": execution})


def _set_grant(
    store: Partition, ex: Execution, now_ms: int, worker: Id, grant_ttl_ms: int, admission: Id | None
) -> None:
    """Replace what is left of an older grant. A ttl of 0 leaves none where grants are dropped at expiry."""
    if ex.grant is not None:
        drop_grant(store, ex, now_ms)
    if grant_ttl_ms > 0 or not store.drops_expired_grants:
        ex.grant = Grant(worker, now_ms + grant_ttl_ms, admission if store.holds_slots else None)
    ex.changed = store.stamp


def issue_grant_and_claim(
    store: Partition,
    now_ms: int,
    execution: Id,
    worker: Id,
    lane: Id,
    lease_id: Id,
    lease_ttl_ms: int,
    attempt_id: Id,
) -> Outcome:
    """Grant and claim in one step, as an operator may: no capability or quota is looked at.

    An interrupted attempt goes on whatever its eligibility, under its old id; only the entry of the lane
    named here leaves the eligible set.
    """
    op = "issue_grant_and_claim"
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
        return Refused(op, "execution_not_eligible", ex.changed)
    interrupted = state.attempt is _INTERRUPTED
    in_set = lane == ex.lane.id and execution in ex.lane.eligible.scores
    if store.granted_leave and not interrupted and not in_set:
        return Refused(op, "execution_not_in_eligible_set", ex.changed)
    if live_grant(ex, now_ms) is not None:
        return Refused(op, "grant_already_exists", ex.changed)
    if not interrupted:
        if not in_set:
            return Refused(op, "execution_not_in_eligible_set", ex.changed)
        if state.eligibility is not _ELIGIBLE_NOW:
            return Refused(op, "execution_not_eligible", ex.changed)
    drop_grant(store, ex, now_ms)
    if in_set:
        ex.lane.eligible.discard(execution)
    if interrupted:
        resume_attempt(store, ex, now_ms, worker, lease_id, lease_ttl_ms)
    else:
        start_attempt(store, ex, now_ms, worker, lease_id, lease_ttl_ms, attempt_id)
    return Ok({"lease_id": lease_id, "lease_epoch": ex.epoch, "attempt_index": ex.attempt_index})


def issue_reclaim_grant(
    store: Partition,
    now_ms: int,
    execution: Id,
    worker: Id,
    grant_ttl_ms: int,
    worker_capabilities: Collection[str] = (),
) -> Outcome:
    """Grant an execution whose lease was marked lapsed, or revoked, to another worker."""
    op = "issue_reclaim_grant"
    if type(grant_ttl_ms) is not int:
        refused = not_a_number(op, "grant_ttl_ms", grant_ttl_ms)
        if refused is not None:
            return refused
        grant_ttl_ms = int(float(grant_ttl_ms))
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    if ex.state.phase is not _ACTIVE or ex.state is LEASED:
        return Refused(op, "execution_not_reclaimable", ex.changed)
    if live_grant(ex, now_ms) is not None:
        return Refused(op, "grant_already_exists", ex.changed)
    if worker_capabilities or execution in store.policies:
        refused = check_capabilities(store, op, ex, worker_capabilities)
        if refused is not None:
            return refused
    _set_grant(store, ex, now_ms, worker, grant_ttl_ms, None)
    return Ok({"execution": execution, "grant_expires_at": now_ms + grant_ttl_ms})


def requeue_lapsed_grant(store: Partition, now_ms: int, execution: Id) -> Outcome:
    """Put an execution whose grant lapsed back into the eligible set, at its old place.

    No operation of the engine: where a grant takes an execution out of the eligible set, somebody has to
    repair what a dead holder leaves. The grant stays, so that its holder learns that it expired; the slot
    that went with it is given back.
    """
    op = "requeue_lapsed_grant"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    grant = ex.grant
    if (
        ex.state.eligibility is not _ELIGIBLE_NOW
        or execution in ex.lane.eligible.scores
        or grant is None
        or now_ms <= grant.expires_at
    ):
        return Refused(op, "execution_not_eligible", ex.changed)
    give_slot_back(store, ex, now_ms)
    store.lapsing_grants.discard(execution)
    ex.lane.eligible.add(execution, ex.score)
    ex.changed = store.stamp
    return _REQUEUED
