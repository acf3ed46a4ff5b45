"""Fences: what a caller believes it holds, compared with who holds the execution.

A fence is a lease id, an epoch and an attempt id. Its shape is checked before the state, the expiry before
the identity: a stranger's wrong lease id finds a lapsed lease as well, and marks it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.store.outcome import Refused
from sim.store.partition import mark_lapsed, not_active
from sim.store.state import LEASED, PENDING_CLAIM_AS, RESUMED, REVOKED, AttemptState, Phase

if TYPE_CHECKING:
    from sim.store.partition import Partition
    from sim.store.records import Execution, Id

OPERATOR_OVERRIDE: Final = "operator_override"
_ACTIVE: Final = Phase.ACTIVE
_REQUEUED: Final = (RESUMED, PENDING_CLAIM_AS[AttemptState.INTERRUPTED])


def check_fence(
    store: Partition,
    op: str,
    ex: Execution,
    now_ms: int,
    lease_id: Id | None,
    lease_epoch: int | None,
    attempt_id: Id | None,
    source: str | None = None,
) -> Refused | None:
    """Check that a caller holds the execution.

    Parameters
    ----------
    source
        ``operator_override`` stands in for a fence that is absent as a whole.

    Returns
    -------
    Refused or None
        None when it holds it. A lapsed lease is marked by the check itself.
    """
    if (
        ex.state is LEASED
        and ex.epoch == lease_epoch
        and ex.lease_id == lease_id
        and ex.attempt_id == attempt_id
        and now_ms < ex.lease_expires_at  # type: ignore[operator]
    ):
        return None
    if lease_id is None or lease_epoch is None or attempt_id is None:
        refused = refuse_shape(op, lease_id, lease_epoch, attempt_id)
        if source != OPERATOR_OVERRIDE or refused.code != "fence_required":
            return refused
        lease_id, lease_epoch, attempt_id = ex.lease_id, ex.epoch, ex.attempt_id
    return check_holder(store, op, ex, now_ms, lease_id, lease_epoch, attempt_id)


def refuse_shape(op: str, lease_id: Id | None, lease_epoch: int | None, attempt_id: Id | None) -> Refused:
    """Refuse a fence that is absent, in part or as a whole."""
    absent = lease_id is None and lease_epoch is None and attempt_id is None
    return Refused(op, "fence_required" if absent else "partial_fence_triple")


def check_holder(
    store: Partition,
    op: str,
    ex: Execution,
    now_ms: int,
    lease_id: Id | None,
    lease_epoch: int | None,
    attempt_id: Id | None,
) -> Refused | None:
    """Compare a whole fence with the execution."""
    if store.fences_by_epoch:
        return check_epoch(op, ex, lease_epoch)
    if ex.state.phase is not _ACTIVE:
        return not_active(op, ex)
    if ex.state is REVOKED:
        return Refused(op, "lease_revoked", ex.changed)
    if ex.lease_expires_at <= now_ms:  # type: ignore[operator]
        rival = ex.changed
        mark_lapsed(store, ex, now_ms)
        return Refused(op, "lease_expired", rival)
    if ex.lease_id != lease_id or ex.epoch != lease_epoch or ex.attempt_id != attempt_id:
        return Refused(op, "stale_lease", ex.changed)
    return None


def check_epoch(op: str, ex: Execution, lease_epoch: int | None) -> Refused | None:
    """Compare the epoch alone: a lapsed lease still holds, even requeued, until somebody claims."""
    state = ex.state
    if state is REVOKED:
        return Refused(op, "lease_revoked", ex.changed)
    requeued = state in _REQUEUED and ex.lease_id is not None
    if state.phase is not _ACTIVE and not requeued:
        return not_active(op, ex)
    if ex.epoch != lease_epoch:
        return Refused(op, "lease_conflict", ex.changed)
    return None
