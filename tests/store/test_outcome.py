"""Answers: Ok and Refused, the kind of a refusal, and who is behind it."""

import pytest

from sim.contention import ContentionKind
from sim.store import CONTRACT, VALKEY, Ok, Refused, Store
from tests.store.cases import grant, lease, renew, suspend


def test_an_answer_says_whether_it_was_carried_out():
    ok, refused = Ok({"outcome": "completed"}), Refused("renew_lease", "stale_lease", "rival")
    assert (ok.ok, ok.kind, ok.code, ok.engine_status) == (True, None, "OK", "ok")
    assert (refused.ok, refused.kind) == (False, ContentionKind.EXECUTION_NOT_ACTIVE)
    assert (refused.rival, refused.retry_after_ms, refused.engine_status) == ("rival", None, "error")
    assert repr(ok) == "Ok(OK, {'outcome': 'completed'})"
    assert repr(refused) == "Refused(stale_lease, ContentionKind.EXECUTION_NOT_ACTIVE, {})"


def test_one_code_may_have_two_kinds_by_operation_or_by_cause():
    assert Refused("revoke_lease", "stale_lease").kind is ContentionKind.NO_ACTIVE_LEASE
    for _ in range(2):
        missing = Refused("deliver_signal", "invalid_token", cause="missing")
        wrong = Refused("deliver_signal", "invalid_token", cause="wrong")
        assert (missing.kind, wrong.kind) == (ContentionKind.WAITPOINT_NOT_FOUND, None)


def test_a_code_that_nobody_knows_is_an_error_where_it_appears():
    with pytest.raises(KeyError, match="no kind is known for code 'no_such_code' of renew_lease"):
        Refused("renew_lease", "no_such_code")


def test_refusals_in_the_shape_of_a_success():
    shaped = ("RATE_EXCEEDED", "CONCURRENCY_EXCEEDED")
    assert [Refused("check_admission_and_record", code).engine_status for code in shaped] == ["ok", "ok"]
    assert Refused("revoke_lease", "ALREADY_SATISFIED").engine_status == "ok"


# Who is behind a refusal: the stamp of what changed the execution (flow, waitpoint, quota) last.


@pytest.fixture
def store():
    return Store(CONTRACT)


def _as(store, stamp):
    store.stamp = stamp
    return store


def test_a_late_claim_names_who_leased_or_renewed_last(store):
    fence = lease(_as(store, "w1 claims"), 0)
    assert store.claim_execution(0, "e1", "w2", "ls2", 10, "at2").rival == "w1 claims"
    renew(_as(store, "w1 renews"), 0, fence)
    _as(store, "w2")
    assert store.claim_execution(0, "e1", "w2", "ls2", 10, "at2").rival == "w1 renews"


def test_a_second_scheduler_names_the_first(store):
    store.create_execution(0, "e1", "A")
    grant(_as(store, "s1 grants"), 0)
    assert _as(store, "s2").issue_claim_grant(0, "e1", "w2", "A", 10).rival == "s1 grants"


def test_a_refusal_leaves_no_stamp_behind(store):
    grant(_as(store, "s1 grants"), 0)
    _as(store, "w2").claim_execution(0, "e1", "w2", "ls2", 10, "at2")
    assert store.claim_execution(0, "e1", "w2", "ls2", 10, "at2").rival == "s1 grants"


def test_a_holder_that_finds_its_lease_over_names_what_happened_before_it_marked_it(store):
    fence = lease(_as(store, "w1 claims"), 0, ttl_ms=10)
    assert _as(store, "w1 completes").complete_execution(10, "e1", *fence).rival == "w1 claims"
    assert store.complete_execution(11, "e1", *fence).rival == "w1 completes"


def test_a_holder_that_comes_too_late_names_who_ended_its_work(store):
    fence = lease(store, 0)
    _as(store, "operator cancels").cancel_execution(0, "e1")
    assert _as(store, "w1").complete_execution(0, "e1", *fence).rival == "operator cancels"
    assert store.complete_execution(0, "e9", *fence).rival is None


def test_a_builder_with_a_stale_revision_names_who_changed_the_graph(store):
    store.create_flow(0, "f1")
    for execution in ("e1", "e2"):
        store.create_execution(0, execution, "A")
        _as(store, f"builder adds {execution}").add_execution_to_flow(0, "f1", execution)
    stale = _as(store, "b2").stage_dependency_edge(0, "f1", "ed1", "e1", "e2", 1)
    assert stale.rival == "builder adds e2"
    _as(store, "b1 stages").stage_dependency_edge(0, "f1", "ed1", "e1", "e2", 2)
    again = _as(store, "b2").stage_dependency_edge(0, "f1", "ed1", "e1", "e2", 3)
    assert (again.code, again.rival) == ("dependency_already_exists", "b1 stages")


def test_who_takes_an_execution_into_a_flow_changes_it(store):
    fence = lease(_as(store, "w1 claims"), 0)
    store.create_flow(0, "f1")
    _as(store, "builder adds").add_execution_to_flow(0, "f1", "e1")
    assert _as(store, "w2").claim_execution(0, "e1", "w2", "ls2", 10, "at2").rival == "builder adds"
    assert store.renew_lease(0, "e1", 0, fence.attempt_id, "ls9", 1, 10).rival == "builder adds"


def test_without_stamps_nobody_is_named(store):
    lease(store, 0)
    assert store.claim_execution(0, "e1", "w2", "ls2", 10, "at2").rival is None


def test_a_signal_too_early_or_too_late_names_who_made_or_closed_the_waitpoint(store):
    fence = lease(store, 0)
    _as(store, "w1 creates").create_pending_waitpoint(0, "e1", 0, "wp1", 99)
    assert _as(store, "sender").deliver_signal(0, "e1", "wp1", "sg1", "go").rival == "w1 creates"
    _as(store, "scan closes").close_waitpoint(0, "wp1")
    assert _as(store, "sender").deliver_signal(0, "e1", "wp1", "sg1", "go").rival == "scan closes"
    assert store.deliver_signal(0, "e1", "wp9", "sg1", "go").rival is None
    suspend(_as(store, "w1 suspends"), 0, fence, waitpoint="wp2")
    assert store.renew_lease(0, "e1", 0, *reversed(fence[::2]), 1, 10).rival == "w1 suspends"


def test_progress_and_a_requeue_are_changes_too(store):
    fence = lease(_as(store, "w1 claims"), 0)
    _as(store, "w1 reports").update_progress(0, "e1", fence.lease_id, fence.lease_epoch, 5)
    assert _as(store, "w2").claim_execution(0, "e1", "w2", "ls2", 10, "at2").rival == "w1 reports"
    grant(store, 0, "e2", ttl_ms=5)
    _as(store, "r1 requeues").requeue_lapsed_grant(6, "e2")
    assert _as(store, "r2").requeue_lapsed_grant(6, "e2").rival == "r1 requeues"


def test_a_full_quota_names_whom_it_admitted_last(store):
    _as(store, "s1 admits").check_admission_and_record(0, "q1", "e1", 1, 1, 0)
    assert _as(store, "s2").check_admission_and_record(0, "q1", "e2", 1, 1, 0).rival == "s1 admits"
    _as(store, "s3 admits").check_admission_and_record(0, "q1", "e3", 1, 2, 0)
    assert _as(store, "s2").check_admission_and_record(0, "q1", "e2", 1, 2, 0).rival == "s3 admits"


def test_a_full_quota_names_who_changed_it_last():
    store = Store(VALKEY)
    _as(store, "s1 admits").check_admission_and_record(0, "q1", "e1", 1, 1, 0)
    for stamp, change in (
        ("operator defines", lambda: store.create_quota_policy(0, "q1", 1, 1, 1)),
        ("s2 releases", lambda: store.release_admission(0, "q1", "e9")),
        ("r1 reconciles", lambda: store.reconcile_quota(0, "q1")),
    ):
        _as(store, stamp)
        change()
        assert _as(store, "s2").check_admission_and_record(0, "q1", "e2", 1, 1, 0).rival == stamp


def test_a_revocation_that_finds_no_lease_names_who_ended_it():
    store = Store(VALKEY)
    lease(store, 0)
    _as(store, "operator revokes").revoke_lease(0, "e1")
    assert _as(store, "other").revoke_lease(0, "e1").rival == "operator revokes"
