"""Steps that many tests of the store begin with."""

from typing import NamedTuple

from sim.store import Store

ANY = {"names": [], "mode": "any", "min_count": 1}


class Fence(NamedTuple):
    """What a worker holds, in the order of the arguments of complete, fail, delay and move."""

    lease_id: str
    lease_epoch: int
    attempt_id: str


def grant(store: Store, now_ms: int, execution="e1", worker="w1", ttl_ms=100, **more) -> None:
    """Grant an execution of lane A, which is created if need be."""
    store.create_execution(now_ms, execution, "A")
    outcome = store.issue_claim_grant(now_ms, execution, worker, "A", ttl_ms, **more)
    assert outcome.ok, outcome


def lease(
    store: Store, now_ms: int, execution="e1", worker="w1", ttl_ms=100, lease_id="ls1", attempt_id="at1"
) -> Fence:
    """Grant and claim an execution of lane A, which is created if need be; an interrupted one is resumed."""
    grant(store, now_ms, execution, worker)
    if store.dimensions(execution)["attempt_state"] == "attempt_interrupted":
        outcome = store.claim_resumed_execution(now_ms, execution, worker, lease_id, ttl_ms)
    else:
        outcome = store.claim_execution(now_ms, execution, worker, lease_id, ttl_ms, attempt_id)
    assert outcome.ok, outcome
    return Fence(lease_id, outcome.values["lease_epoch"], outcome.values["attempt_id"])


def suspend(store: Store, now_ms: int, fence: Fence, execution="e1", waitpoint="wp1", condition=ANY, **more):
    """Suspend a leased execution, whose attempt is its current one."""
    index = store.describe(now_ms, execution).values["current_attempt_index"]
    return store.suspend_execution(
        now_ms, execution, index, fence.attempt_id, fence.lease_id, fence.lease_epoch, "su1", waitpoint,
        condition, **more,
    )  # fmt: skip


def renew(store: Store, now_ms: int, fence: Fence, execution="e1", ttl_ms=100):
    """Renew a lease for the current attempt."""
    index = store.describe(now_ms, execution).values["current_attempt_index"]
    return store.renew_lease(
        now_ms, execution, index, fence.attempt_id, fence.lease_id, fence.lease_epoch, ttl_ms
    )


def skipped_child(store: Store, now_ms: int, child="e2") -> None:
    """Make a member of flow f1 that is skipped because its upstream e1 failed."""
    store.create_flow(now_ms, "f1")
    for execution in ("e1", child):
        store.create_execution(now_ms, execution, "A")
        store.add_execution_to_flow(now_ms, "f1", execution)
    store.stage_dependency_edge(now_ms, "f1", "ed1", "e1", child, 2)
    store.apply_dependency_to_child(now_ms, "f1", "ed1", "e1", child)
    outcome = store.resolve_dependency(now_ms, "f1", "ed1", "e1", child, "failed")
    assert outcome.values == {"resolution": "impossible", "child_skipped": True}


def state(store: Store, execution="e1") -> tuple[str, str, str]:
    """Give lifecycle phase, ownership and eligibility."""
    words = store.dimensions(execution)
    return words["lifecycle_phase"], words["ownership_state"], words["eligibility_state"]


def eligible(store: Store, lane="A") -> list[str]:
    """List the eligible set of a lane."""
    return store.eligible_set(0, lane).values["members"]


LEASED = ("active", "leased", "not_applicable")
LAPSED = ("active", "lease_expired_reclaimable", "not_applicable")
ELIGIBLE = ("runnable", "unowned", "eligible_now")
DELAYED = ("runnable", "unowned", "not_eligible_until_time")
CHILDREN = ("runnable", "unowned", "blocked_by_dependencies")
TERMINAL = ("terminal", "unowned", "not_applicable")
SUSPENDED = ("suspended", "unowned", "not_applicable")
