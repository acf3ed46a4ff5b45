"""Every boundary in time: one millisecond before, at and after it, in the dialects contract and valkey."""

import pytest

from sim.store import CONTRACT, VALKEY, Store
from tests.store.cases import ELIGIBLE, LAPSED, LEASED, grant, lease, renew, state, suspend


@pytest.fixture(params=[CONTRACT, VALKEY], ids=["contract", "valkey"])
def store(request):
    return Store(request.param)


@pytest.mark.parametrize(("now_ms", "works"), [(9, True), (10, True), (11, False)])
def test_a_grant_may_be_used_at_its_expiry(store, now_ms, works):
    grant(store, 0, ttl_ms=10)
    assert store.claim_execution(now_ms, "e1", "w1", "ls1", 10, "at1").ok is works


@pytest.mark.parametrize(("now_ms", "works"), [(9, True), (10, True), (11, False)])
def test_a_grant_for_a_resumed_claim_may_be_used_at_its_expiry(store, now_ms, works):
    store.delay_execution(0, "e1", *lease(store, 0), 0)
    store.promote_delayed(0, "e1")
    grant(store, 0, ttl_ms=10)
    assert store.claim_resumed_execution(now_ms, "e1", "w1", "ls2", 10).ok is works


@pytest.mark.parametrize(("now_ms", "works"), [(9, True), (10, True), (11, False)])
def test_a_reclaim_grant_may_be_used_at_its_expiry(store, now_ms, works):
    lease(store, 0)
    store.revoke_lease(0, "e1")
    store.issue_reclaim_grant(0, "e1", "w2", 10)
    assert store.reclaim_execution(now_ms, "e1", "w2", "ls2", 10, "at2").ok is works


@pytest.mark.parametrize(("now_ms", "code"), [(10, "grant_already_exists"), (11, "OK")])
def test_a_grant_is_in_the_way_of_another_at_its_expiry(store, now_ms, code):
    lease(store, 0)
    store.revoke_lease(0, "e1")
    store.issue_reclaim_grant(0, "e1", "w2", 10)
    assert store.issue_reclaim_grant(now_ms, "e1", "w3", 10).code == code


@pytest.mark.parametrize(("now_ms", "code"), [(9, "OK"), (10, "lease_expired"), (11, "lease_expired")])
@pytest.mark.parametrize("operation", ["complete", "renew", "progress", "suspend"])
def test_a_lease_is_over_at_its_expiry(store, operation, now_ms, code):
    fence = lease(store, 0, ttl_ms=10)
    outcome = {
        "complete": lambda: store.complete_execution(now_ms, "e1", *fence),
        "renew": lambda: renew(store, now_ms, fence),
        "progress": lambda: store.update_progress(now_ms, "e1", fence.lease_id, fence.lease_epoch, 1),
        "suspend": lambda: suspend(store, now_ms, fence),
    }[operation]()
    assert outcome.code == code


@pytest.mark.parametrize(("now_ms", "after"), [(9, LEASED), (10, LAPSED), (11, LAPSED)])
def test_a_lease_is_marked_at_its_expiry(store, now_ms, after):
    lease(store, 0, ttl_ms=10)
    assert (store.read_lapsed_leases(now_ms, 9).values["due"] == ["e1"]) is (after == LAPSED)
    store.mark_lease_expired_if_due(now_ms, "e1")
    assert state(store) == after


def test_a_renewed_lease_is_over_a_ttl_after_its_renewal(store):
    fence = lease(store, 0, ttl_ms=10)
    assert renew(store, 9, fence, ttl_ms=10).values == {"expires_at": 19}
    assert store.read_lapsed_leases(18, 9).values["due"] == []
    assert store.mark_lease_expired_if_due(18, "e1").values["outcome"] == "not_yet_expired"
    assert store.read_lapsed_leases(19, 9).values["due"] == ["e1"]
    assert store.mark_lease_expired_if_due(19, "e1").values["outcome"] == "marked_expired"


def test_a_shorter_renewal_brings_the_expiry_forward(store):
    fence = lease(store, 0, ttl_ms=100)
    renew(store, 1, fence, ttl_ms=4)
    assert store.read_lapsed_leases(4, 9).values["due"] == []
    assert store.read_lapsed_leases(5, 9).values["due"] == ["e1"]


@pytest.mark.parametrize(("delay_until", "delayed"), [(99, False), (100, False), (101, True)])
def test_a_delay_until_now_is_no_delay(store, delay_until, delayed):
    outcome = store.create_execution(100, "e1", "A", delay_until=delay_until)
    assert outcome.values["public_state"] == ("delayed" if delayed else "waiting")


@pytest.mark.parametrize(("now_ms", "outcome"), [(9, "not_yet_due"), (10, "promoted"), (11, "promoted")])
def test_a_delayed_execution_is_due_at_its_instant(store, now_ms, outcome):
    store.create_execution(0, "e1", "A", delay_until=10)
    assert (store.read_due_delayed(now_ms, "A", 9).values["due"] == ["e1"]) is (outcome == "promoted")
    assert store.promote_delayed(now_ms, "e1").values == {"outcome": outcome}
    assert (state(store) == ELIGIBLE) is (outcome == "promoted")


def test_an_execution_may_be_due_at_instant_0(store):
    fence = lease(store, 0)
    store.delay_execution(0, "e1", *fence, 0)
    assert store.promote_delayed(0, "e1").values == {"outcome": "promoted"}


@pytest.mark.parametrize(("now_ms", "code"), [(999, "RATE_EXCEEDED"), (1000, "ADMITTED")])
def test_an_entry_leaves_the_window_at_its_length(store, now_ms, code):
    store.check_admission_and_record(0, "q1", "e1", 1, 1, 0)
    assert store.check_admission_and_record(now_ms, "q1", "e2", 1, 1, 0).code == code


def test_the_guard_still_counts_when_its_entry_has_left_the_window(store):
    store.check_admission_and_record(0, "q1", "e1", 1, 1, 0)
    assert store.check_admission_and_record(1000, "q1", "e1", 1, 1, 0).code == "ALREADY_ADMITTED"


def test_a_guard_of_the_library_ends_after_the_window_and_a_held_one_does_not(store):
    store.check_admission_and_record(0, "q1", "e1", 1, 1, 0)
    held = store.rules is CONTRACT
    expected = "ALREADY_ADMITTED" if held else "ADMITTED"
    assert store.check_admission_and_record(1001, "q1", "e1", 1, 1, 0).code == expected


@pytest.mark.parametrize(("now_ms", "outcome"), [(9, "not_yet_due"), (10, "fail"), (11, "fail")])
def test_a_suspension_times_out_at_its_instant(store, now_ms, outcome):
    suspend(store, 0, lease(store, 0), timeout_at=10)
    assert (store.read_due_suspensions(now_ms, 9).values["due"] == ["e1"]) is (outcome == "fail")
    assert store.expire_suspension(now_ms, "e1").values["outcome"] == outcome


@pytest.mark.parametrize(("now_ms", "code"), [(9, "OK"), (10, "pending_waitpoint_expired")])
def test_a_pending_waitpoint_is_over_at_its_expiry(store, now_ms, code):
    fence = lease(store, 0)
    store.create_pending_waitpoint(0, "e1", 0, "wp1", 10)
    assert (store.read_due_waitpoints(now_ms, 9).values["due"] == ["wp1"]) is (code != "OK")
    assert suspend(store, now_ms, fence, use_pending=True).code == code


@pytest.mark.parametrize(("now_ms", "code"), [(10, "DUPLICATE"), (11, "OK")])
def test_a_signals_key_is_remembered_at_its_ttl(store, now_ms, code):
    suspend(store, 0, lease(store, 0, ttl_ms=100), condition={"names": ["go"], "mode": "any", "min_count": 1})
    keyed = {"idempotency_key": "k1", "dedup_ttl_ms": 10}
    store.deliver_signal(0, "e1", "wp1", "sg1", "other", **keyed)
    assert store.deliver_signal(now_ms, "e1", "wp1", "sg2", "other", **keyed).code == code


def test_a_deadline_is_due_at_its_instant(store):
    store.create_execution(0, "e1", "A", deadline_at=10)
    assert store.read_due_deadlines(9, 9).values["due"] == []
    assert store.read_due_deadlines(10, 9).values["due"] == ["e1"]
    store.expire_execution(10, "e1")
    assert store.read_due_deadlines(10, 9).values["due"] == []


def test_a_cancelled_flow_is_due_after_its_grace(store):
    store.create_flow(0, "f1")
    store.create_execution(0, "e1", "A")
    store.add_execution_to_flow(0, "f1", "e1")
    store.cancel_flow(0, "f1")
    assert store.read_cancel_backlog(29_999, 9, 9).values["due"] == []
    assert store.read_cancel_backlog(30_000, 9, 9).values["due"] == [("f1", ["e1"])]
