"""The 48 behaviours of the real library that a model easily gets wrong, one test (or more) a number."""

import pytest

from sim.store import VALKEY, Store
from tests.store.cases import (
    CHILDREN,
    DELAYED,
    ELIGIBLE,
    LAPSED,
    LEASED,
    SUSPENDED,
    TERMINAL,
    eligible,
    grant,
    lease,
    renew,
    skipped_child,
    state,
    suspend,
)

NO_FENCE = (None, None, None)


@pytest.fixture
def store():
    return Store(VALKEY)


def test_01_a_grant_is_usable_at_its_expiry_and_gone_one_later(store):
    grant(store, 0, ttl_ms=10)
    assert store.claim_execution(11, "e1", "w1", "ls1", 100, "at1").code == "invalid_claim_grant"
    assert store.claim_execution(10, "e1", "w1", "ls1", 100, "at1").code == "OK"


def test_02_a_grant_of_ttl_0_leaves_none_and_of_ttl_1_lasts_two_milliseconds(store):
    grant(store, 0, ttl_ms=0)
    assert store.claim_execution(0, "e1", "w1", "ls1", 100, "at1").code == "invalid_claim_grant"
    grant(store, 0, ttl_ms=1)
    assert store.issue_claim_grant(1, "e1", "w2", "A", 1).code == "grant_already_exists"
    assert store.issue_claim_grant(2, "e1", "w2", "A", 1).code == "OK"


def test_03_a_lease_is_over_at_its_expiry(store):
    fence = lease(store, 0, ttl_ms=10)
    assert store.update_progress(9, "e1", fence.lease_id, fence.lease_epoch, 1).code == "OK"
    assert store.complete_execution(10, "e1", *fence).code == "lease_expired"


def test_04_expiry_comes_before_identity_and_the_rejected_call_marks(store):
    lease(store, 0, ttl_ms=10)
    assert store.update_progress(10, "e1", "ls99", 7, 1).code == "lease_expired"
    assert state(store) == LEASED
    assert store.complete_execution(10, "e1", "ls99", 7, "at99").code == "lease_expired"
    assert state(store) == LAPSED


def test_05_the_shape_of_a_fence_comes_before_the_state(store):
    store.create_execution(0, "e1", "A")
    assert store.complete_execution(0, "e1", "ls1", None, "at1").code == "partial_fence_triple"
    assert store.delay_execution(0, "e1", *NO_FENCE, 5).code == "fence_required"
    store.cancel_execution(0, "e1")
    assert store.fail_execution(0, "e1", None, 1, None).code == "partial_fence_triple"
    assert store.renew_lease(0, "e1", 0, *NO_FENCE, 10).code == "fence_required"


@pytest.mark.parametrize(
    ("verdict", "rest"),
    [
        ("complete_execution", (None,)),
        ("fail_execution", (None,)),
        ("delay_execution", (5,)),
        ("move_to_waiting_children", ()),
    ],
)
def test_05_an_operator_needs_no_fence_but_a_live_lease(store, verdict, rest):
    lease(store, 0, ttl_ms=10)
    decide = getattr(store, verdict)
    assert decide(10, "e1", *NO_FENCE, *rest, source="operator_override").code == "lease_expired"
    lease(store, 0, "e2", ttl_ms=10)
    store.revoke_lease(0, "e2")
    assert decide(0, "e2", *NO_FENCE, *rest, source="operator_override").code == "lease_revoked"
    lease(store, 0, "e3", ttl_ms=10)
    assert decide(9, "e3", *NO_FENCE, *rest, source="operator_override").code == "OK"


def test_05_an_operator_may_not_suspend_or_renew_without_a_fence(store):
    fence = lease(store, 0)
    assert suspend(store, 0, fence._replace(lease_id=None, lease_epoch=None, attempt_id=None)).code == (
        "fence_required"
    )
    assert store.renew_lease(0, "e1", 0, *NO_FENCE, 10).code == "fence_required"


def test_06_cancel_needs_no_fence_and_looks_at_no_expiry(store):
    fence = lease(store, 0, ttl_ms=10)
    assert store.cancel_execution(0, "e1", "lease_holder", "ls99", 1).code == "stale_lease"
    assert store.cancel_execution(0, "e1", "lease_holder", fence.lease_id, 2).code == "stale_lease"
    assert store.cancel_execution(99, "e1", "lease_holder", fence.lease_id, 1).code == "OK"
    lease(store, 100, "e2")
    assert store.cancel_execution(100, "e2").values == {"outcome": "cancelled", "from_phase": "active"}


def test_07_a_lapsed_lease_is_not_reclaimable_before_it_is_marked_but_can_be_revoked(store):
    lease(store, 0, ttl_ms=10)
    assert store.issue_reclaim_grant(50, "e1", "w2", 10).code == "execution_not_reclaimable"
    assert store.revoke_lease(50, "e1").values["outcome"] == "revoked"
    assert store.issue_reclaim_grant(50, "e1", "w2", 10).code == "OK"


def test_08_a_revocation_outlives_its_lease_for_renewals(store):
    lease(store, 0)
    store.revoke_lease(5, "e1")
    store.cancel_execution(5, "e1", "operator_override")
    store.replay_execution(5, "e1")
    fence = lease(store, 5, lease_id="ls2", attempt_id="at2")
    assert state(store) == LEASED
    assert renew(store, 6, fence).code == "lease_revoked"
    assert store.update_progress(6, "e1", fence.lease_id, fence.lease_epoch, 1).code == "OK"
    assert store.complete_execution(6, "e1", *fence).code == "OK"
    assert store.describe(6, "e1").values["lease_revoked_at"] is None


def test_09_one_slot_for_both_sorts_of_grant_that_survives_cancel_and_replay(store):
    lease(store, 0)
    store.revoke_lease(0, "e1")
    assert store.issue_reclaim_grant(0, "e1", "w2", 50).code == "OK"
    store.cancel_execution(0, "e1", "operator_override")
    store.replay_execution(0, "e1")
    assert store.issue_claim_grant(0, "e1", "w3", "A", 50).code == "grant_already_exists"
    assert store.claim_execution(0, "e1", "w3", "ls2", 50, "at2").code == "invalid_claim_grant"
    assert store.claim_execution(0, "e1", "w2", "ls2", 50, "at2").values["attempt_type"] == "replay"


def test_10_the_cap_of_reclaims_comes_before_the_grant(store):
    store.create_execution(0, "e1", "A", policy={"max_reclaim_count": 0})
    lease(store, 0, ttl_ms=10)
    store.mark_lease_expired_if_due(10, "e1")
    outcome = store.reclaim_execution(10, "e1", "w9", "ls2", 10, "at2", max_reclaim_count=1000)
    assert (outcome.code, outcome.values) == ("max_retries_exhausted", {"max_reclaim_count": 0})
    assert store.dimensions("e1")["public_state"] == "failed"


def test_10_the_cap_of_the_policy_beats_the_argument_and_replay_resets_no_count(store):
    store.create_execution(0, "e1", "A", policy={"max_reclaim_count": 1})
    lease(store, 0, ttl_ms=10)
    store.mark_lease_expired_if_due(10, "e1")
    store.issue_reclaim_grant(10, "e1", "w2", 10)
    assert store.reclaim_execution(10, "e1", "w2", "ls2", 10, "at2", max_reclaim_count=0).code == "OK"
    store.cancel_execution(10, "e1", "operator_override")
    store.replay_execution(10, "e1")
    lease(store, 10, ttl_ms=10, lease_id="ls3", attempt_id="at3")
    store.mark_lease_expired_if_due(20, "e1")
    assert store.reclaim_execution(20, "e1", "w2", "ls4", 10, "at4").code == "max_retries_exhausted"


def test_11_the_claim_leaves_the_eligible_set_not_the_grant(store):
    grant(store, 0)
    assert eligible(store) == ["e1"]
    store.claim_execution(0, "e1", "w1", "ls1", 10, "at1")
    assert eligible(store) == []


def test_12_a_delay_in_the_past_leaves_the_execution_where_nobody_finds_it(store):
    store.create_execution(7, "e1", "A", priority=3, delay_until=7)
    assert state(store) == ELIGIBLE
    assert eligible(store) == []
    assert store.delayed_set(7, "A").values["members"] == [["e1", 7 - 3 * 10**12]]
    assert store.issue_claim_grant(7, "e1", "w1", "A", 10).code == "execution_not_in_eligible_set"
    assert store.promote_delayed(7, "e1").values == {"outcome": "not_delayed_cleaned"}
    assert store.delayed_set(7, "A").values["members"] == []
    store.change_priority(7, "e1", 3)
    assert eligible(store) == ["e1"]


def test_12_a_block_or_a_replay_heals_it_too(store):
    for execution in ("e1", "e2"):
        store.create_execution(7, execution, "A", delay_until=0)
    store.block_execution_for_admission(7, "e1", "waiting_for_quota")
    store.unblock_execution(7, "e1")
    store.cancel_execution(7, "e2")
    store.replay_execution(7, "e2")
    assert eligible(store) == ["e1", "e2"]


def test_13_a_resumption_with_a_delay_is_never_promoted(store):
    suspend(store, 0, lease(store, 0))
    assert store.resume_execution(0, "e1", 5).values == {"public_state": "delayed"}
    assert store.delayed_set(0, "A").values["members"] == [["e1", 5]]
    assert store.promote_delayed(10**9, "e1").code == "script_error"
    assert state(store) == DELAYED
    assert store.issue_grant_and_claim(10**9, "e1", "w1", "A", "ls2", 10, "at2").code == "OK"


def test_13_it_obeys_an_older_delay_that_an_early_claim_left_behind(store):
    fence = lease(store, 0)
    store.delay_execution(0, "e1", *fence, 1000)
    store.issue_grant_and_claim(5, "e1", "w1", "A", "ls2", 100, "at2")
    suspend(store, 5, fence._replace(lease_id="ls2", lease_epoch=2))
    store.deliver_signal(5, "e1", "wp1", "sg1", "go", resume_delay_ms=10)
    assert store.promote_delayed(15, "e1").values == {"outcome": "not_yet_due"}
    assert store.promote_delayed(1000, "e1").values == {"outcome": "promoted"}


def test_14_a_suspension_without_timeout_cannot_expire(store):
    suspend(store, 0, lease(store, 0))
    assert store.expire_suspension(10**9, "e1").code == "script_error"
    suspend(store, 0, lease(store, 0, "e2"), "e2", "wp2", timeout_at=5, timeout_behavior="escalate")
    assert store.expire_suspension(5, "e2").values == {"outcome": "escalate", "public_state": "suspended"}
    assert store.dimensions("e2")["blocking_reason"] == "paused_by_operator"
    assert store.expire_suspension(5, "e2").code == "script_error"
    assert state(store, "e2") == SUSPENDED


def test_15_an_operator_claims_an_interrupted_attempt_whatever_its_eligibility(store):
    store.create_execution(0, "e1", "A", policy={"required_capabilities": ["gpu"]})
    store.issue_claim_grant(0, "e1", "w1", "A", 10, ["gpu"])
    store.claim_execution(0, "e1", "w1", "ls1", 10, "at1")
    store.delay_execution(0, "e1", "ls1", 1, "at1", 1000)
    outcome = store.issue_grant_and_claim(1, "e1", "w2", "A", "ls2", 10, "at2")
    assert outcome.values == {"lease_id": "ls2", "lease_epoch": 2, "attempt_index": 0}
    assert store.describe(1, "e1").values["current_attempt_id"] == "at1"


def test_15_for_a_fresh_attempt_the_set_comes_before_eligibility(store):
    store.create_execution(0, "e1", "A", delay_until=10)
    outcome = store.issue_grant_and_claim(0, "e1", "w1", "A", "ls1", 10, "at1")
    assert outcome.code == "execution_not_in_eligible_set"


def test_16_a_resumed_claim_works_for_a_blocked_execution(store):
    store.delay_execution(0, "e1", *lease(store, 0), 5)
    store.promote_delayed(5, "e1")
    grant(store, 5)
    store.block_execution_for_admission(5, "e1", "waiting_for_quota")
    assert store.claim_resumed_execution(5, "e1", "w1", "ls2", 10).code == "OK"


def test_17_the_attempt_goes_on_after_a_delay_and_the_epoch_never_resets(store):
    fence = lease(store, 0)
    store.delay_execution(0, "e1", *fence, 1)
    store.promote_delayed(1, "e1")
    assert lease(store, 1, lease_id="ls2", attempt_id="at2") == ("ls2", 2, "at1")
    store.fail_execution(
        1, "e1", "ls2", 2, "at1", {"max_retries": 1, "backoff": {"type": "fixed", "delay_ms": 0}}
    )
    store.promote_delayed(1, "e1")
    assert lease(store, 1, ttl_ms=10, lease_id="ls3", attempt_id="at3") == ("ls3", 3, "at3")
    store.mark_lease_expired_if_due(11, "e1")
    store.issue_reclaim_grant(11, "e1", "w2", 10)
    reclaimed = store.reclaim_execution(11, "e1", "w2", "ls4", 10, "at4").values
    assert (reclaimed["attempt_index"], reclaimed["lease_epoch"]) == (2, 4)
    store.cancel_execution(11, "e1")
    store.replay_execution(11, "e1")
    assert lease(store, 11, lease_id="ls5", attempt_id="at5") == ("ls5", 5, "at5")


def test_18_a_dependency_takes_the_delay_of_a_delayed_execution(store):
    store.create_execution(0, "e1", "A", delay_until=5)
    store.apply_dependency_to_child(0, "f1", "ed1", "e2", "e1")
    assert state(store) == CHILDREN
    assert store.delayed_set(0, "A").values["members"] == [["e1", 5]]
    assert store.promote_delayed(5, "e1").values == {"outcome": "not_delayed_cleaned"}


def test_18_a_block_over_dependencies_unblocks_into_eligible(store):
    store.create_execution(0, "e1", "A")
    store.apply_dependency_to_child(0, "f1", "ed1", "e2", "e1")
    store.block_execution_for_admission(0, "e1", "waiting_for_quota")
    store.unblock_execution(0, "e1")
    assert eligible(store) == ["e1"]
    assert store.evaluate_flow_eligibility(0, "e1").values == {"eligibility": "blocked_by_dependencies"}


def test_19_eligibility_in_a_flow_is_a_matter_of_dependencies_only(store):
    store.create_execution(0, "e1", "A", delay_until=5)
    assert store.evaluate_flow_eligibility(0, "e1").values == {"eligibility": "eligible"}
    store.block_execution_for_admission(0, "e1", "waiting_for_quota")
    assert store.evaluate_flow_eligibility(0, "e1").values == {"eligibility": "eligible"}


def test_20_a_pause_by_policy_can_never_be_unblocked(store):
    store.create_execution(0, "e1", "A")
    store.block_execution_for_admission(0, "e1", "paused_by_policy")
    assert store.dimensions("e1")["eligibility_state"] == "blocked_by_lane_state"
    assert store.unblock_execution(0, "e1").code == "execution_not_eligible"
    assert store.unblock_execution(0, "e1", "paused_by_policy").code == "execution_not_eligible"


def test_21_applying_looks_at_neither_flow_nor_staging(store):
    store.create_execution(0, "e1", "A")
    assert store.apply_dependency_to_child(0, "f99", "ed1", "e9", "e1").values == {
        "already_applied": False, "unsatisfied": 1,
    }  # fmt: skip
    store.create_flow(0, "f1")
    store.create_execution(0, "e2", "A")
    store.add_execution_to_flow(0, "f1", "e2")
    assert store.apply_dependency_to_child(0, "f2", "ed2", "e9", "e2").code == "execution_already_in_flow"


def test_22_a_new_member_raises_the_revision_a_repeated_one_does_not(store):
    store.create_flow(0, "f1")
    store.create_execution(0, "e1", "A")
    assert store.add_execution_to_flow(0, "f1", "e1").code == "OK"
    assert store.read_flow(0, "f1").values["graph_revision"] == 1
    assert store.add_execution_to_flow(0, "f1", "e1").code == "ALREADY_SATISFIED"
    assert store.read_flow(0, "f1").values["graph_revision"] == 1


def _skip(store, now_ms, child):
    store.apply_dependency_to_child(now_ms, "f1", "ed1", "e0", child)
    store.resolve_dependency(now_ms, "f1", "ed1", "e0", child, "failed")


def test_23_a_skipped_child_stays_in_the_eligible_set(store):
    lease(store, 0)
    store.apply_dependency_to_child(0, "f1", "ed1", "e0", "e1")
    store.delay_execution(0, "e1", "ls1", 1, "at1", 0)
    store.promote_delayed(0, "e1")
    store.resolve_dependency(0, "f1", "ed1", "e0", "e1", "failed")
    assert state(store) == TERMINAL
    assert eligible(store) == ["e1"]


def test_23_a_skipped_active_child_keeps_its_lease_and_its_expiry_entry(store):
    lease(store, 0, ttl_ms=10)
    _skip(store, 0, "e1")
    assert state(store) == TERMINAL
    assert store.describe(0, "e1").values["current_lease_id"] == "ls1"
    assert store.lease_expiry_set(0).values["members"] == [["e1", 10]]


def test_23_a_skipped_suspended_child_keeps_its_suspension_open(store):
    suspend(store, 0, lease(store, 0))
    _skip(store, 0, "e1")
    assert store.describe(0, "e1").values["current_suspension_id"] == "su1"
    store.replay_execution(0, "e1")
    fence = lease(store, 0, lease_id="ls2", attempt_id="at2")
    assert suspend(store, 0, fence, waitpoint="wp2").code == "already_suspended"


def test_24_the_replay_of_a_skipped_member_counts_staged_edges_only(store):
    skipped_child(store, 0)
    store.apply_dependency_to_child(0, "f1", "ed9", "e1", "e2")
    assert store.replay_execution(0, "e2").values == {"unsatisfied": 1}
    store.create_execution(0, "e3", "A")
    store.add_execution_to_flow(0, "f1", "e3")
    store.apply_dependency_to_child(0, "f1", "ed2", "e1", "e3")
    store.resolve_dependency(0, "f1", "ed2", "e1", "e3", "failed")
    assert store.replay_execution(0, "e3").values == {"unsatisfied": 0}
    assert state(store, "e3") == CHILDREN
    assert store.promote_blocked_to_eligible(0, "e3").code == "OK"
    assert state(store, "e3") == ELIGIBLE


def test_25_a_dependency_that_turns_impossible_too_late_stays_counted(store):
    store.create_execution(0, "e1", "A")
    store.apply_dependency_to_child(0, "f1", "ed1", "e0", "e1")
    store.cancel_execution(0, "e1")
    assert store.resolve_dependency(0, "f1", "ed1", "e0", "e1", "failed").values == {
        "resolution": "impossible", "child_skipped": False,
    }  # fmt: skip
    store.replay_execution(0, "e1")
    assert state(store) == ELIGIBLE
    assert store.evaluate_flow_eligibility(0, "e1").values == {"eligibility": "impossible"}
    lease(store, 0)


def test_26_a_late_signal_to_the_old_waitpoint_resumes_the_new_suspension(store):
    suspend(store, 0, lease(store, 0), waitpoint="wp1")
    store.resume_execution(0, "e1")
    suspend(store, 0, lease(store, 0, lease_id="ls2"), waitpoint="wp2")
    assert store.deliver_signal(0, "e1", "wp1", "sg1", "go").values["effect"] == "resume_condition_satisfied"
    assert state(store) == ELIGIBLE


def test_27_closing_the_waitpoint_does_not_stop_signals(store):
    suspend(store, 0, lease(store, 0))
    assert store.close_waitpoint(0, "wp1").values == {"outcome": "closed"}
    assert store.deliver_signal(0, "e1", "wp1", "sg1", "go").values["effect"] == "resume_condition_satisfied"
    assert state(store) == ELIGIBLE


def test_28_expiry_leaves_the_waitpoint_open_for_a_signal_that_changes_nothing(store):
    suspend(store, 0, lease(store, 0))
    store.expire_execution(0, "e1")
    assert store.deliver_signal(0, "e1", "wp1", "sg1", "go").code == "target_not_signalable"
    store.replay_execution(0, "e1")
    before = store.dimensions("e1")
    assert store.deliver_signal(0, "e1", "wp1", "sg1", "go").values["effect"] == "resume_condition_satisfied"
    assert store.dimensions("e1") is before


def test_29_the_token_comes_first(store):
    store.create_execution(0, "e1", "A")
    assert store.deliver_signal(0, "e1", "wp9", "sg1", "go").code == "invalid_token"
    assert (
        store.buffer_signal_for_pending_waitpoint(0, "e1", "wp9", "sg1", "go").code == "waitpoint_not_found"
    )
    suspend(store, 0, lease(store, 0, "e2"), "e2")
    store.cancel_execution(0, "e2")
    assert store.deliver_signal(0, "e2", "wp1", "sg1", "go", token_valid=False).code == "invalid_token"
    assert store.deliver_signal(0, "e2", "wp1", "sg1", "go").code == "target_not_signalable"


def test_30_a_pending_or_closed_waitpoint_answers_by_where_the_execution_is(store):
    fence = lease(store, 0)
    store.create_pending_waitpoint(0, "e1", 0, "wp1", 100)
    store.create_pending_waitpoint(0, "e1", 0, "wp2", 100)
    store.close_waitpoint(0, "wp2")
    assert store.deliver_signal(0, "e1", "wp1", "sg1", "go").code == "waitpoint_pending_use_buffer_script"
    assert store.deliver_signal(0, "e1", "wp2", "sg1", "go").code == "target_not_signalable"
    suspend(store, 0, fence, waitpoint="wp3")
    store.deliver_signal(0, "e1", "wp3", "sg1", "go")
    suspend(store, 0, lease(store, 0, lease_id="ls2"), waitpoint="wp4")
    assert store.deliver_signal(0, "e1", "wp1", "sg2", "go").code == "waitpoint_not_found"
    assert store.deliver_signal(0, "e1", "wp3", "sg2", "go").code == "waitpoint_closed"


def test_31_a_signal_buffered_for_an_active_waitpoint_is_never_evaluated(store):
    suspend(store, 0, lease(store, 0))
    outcome = store.buffer_signal_for_pending_waitpoint(0, "e1", "wp1", "sg1", "go")
    assert outcome.values["effect"] == "buffered_for_pending_waitpoint"
    assert state(store) == SUSPENDED


def test_31_signals_of_an_earlier_life_of_a_waitpoint_count(store):
    fence = lease(store, 0)
    store.create_pending_waitpoint(0, "e1", 0, "wp1", 5)
    assert store.buffer_signal_for_pending_waitpoint(9, "e1", "wp1", "sg1", "go").code == "OK"
    store.close_waitpoint(9, "wp1")
    store.create_pending_waitpoint(9, "e1", 0, "wp1", 50)
    assert suspend(store, 9, fence, use_pending=True).code == "ALREADY_SATISFIED"
    assert state(store) == LEASED


def _effects(store, condition, names):
    suspend(store, 0, lease(store, 0), condition=condition)
    return [
        store.deliver_signal(0, "e1", "wp1", f"sg{number}", name).values["effect"]
        for number, name in enumerate(names)
    ]


def test_32_each_matcher_is_satisfied_once_by_the_first_signal_that_fits(store):
    condition = {"names": ["a", "b", "a"], "mode": "all", "min_count": 1}
    assert _effects(store, condition, ["a", "a", "a", "c", "b"]) == [
        "appended_to_waitpoint", "appended_to_waitpoint", "no_op", "no_op", "resume_condition_satisfied",
    ]  # fmt: skip


def test_32_two_signals_cannot_satisfy_one_wildcard(store):
    condition = {"names": [], "mode": "count", "min_count": 2}
    assert _effects(store, condition, ["a", "b", "c"]) == ["appended_to_waitpoint", "no_op", "no_op"]
    assert store.deliver_signal(0, "e1", "wp1", "sg9", "a", max_signals=3).code == "signal_limit_exceeded"


def test_33_anyone_may_create_a_waitpoint_while_the_lease_is_not_marked(store):
    lease(store, 0, ttl_ms=10)
    assert store.create_pending_waitpoint(99, "e1", 1, "wp1", 100).code == "stale_lease"
    assert store.create_pending_waitpoint(99, "e1", 0, "wp1", 100).code == "OK"
    store.mark_lease_expired_if_due(99, "e1")
    assert store.create_pending_waitpoint(99, "e1", 0, "wp2", 200).code == "no_active_lease"


def test_34_a_suspension_with_a_key_is_replayed_before_any_check_until_its_ttl(store):
    fence = lease(store, 0)
    keyed = {"idempotency_key": "k1", "dedup_ttl_ms": 10}
    first = suspend(store, 0, fence, **keyed)
    store.cancel_execution(0, "e1")
    nobody = fence._replace(lease_id=None)
    assert suspend(store, 10, nobody, waitpoint="wp9", **keyed) is first
    assert suspend(store, 11, nobody, waitpoint="wp9", **keyed).code == "partial_fence_triple"


def test_35_a_timeout_in_the_past_and_a_known_fresh_id_are_accepted(store):
    fence = lease(store, 100)
    store.create_pending_waitpoint(100, "e1", 0, "wp1", 200)
    assert suspend(store, 100, fence, waitpoint="wp1", timeout_at=1).code == "OK"
    assert store.expire_suspension(100, "e1").values == {"outcome": "fail", "public_state": "failed"}


def _retry(store, now_ms, policy, number):
    fence = lease(store, now_ms, ttl_ms=10**6, lease_id=f"ls{number}", attempt_id=f"at{number}")
    values = store.fail_execution(now_ms, "e1", *fence, policy).values
    if "delay_until" in values:
        assert store.promote_delayed(values["delay_until"] - 1, "e1").values != {"outcome": "promoted"}
        assert store.promote_delayed(values["delay_until"], "e1").values == {"outcome": "promoted"}
    return values


def test_36_the_delay_of_a_retry_counts_the_retries_before_it(store):
    backoff = {"type": "exponential", "initial_delay_ms": 10, "max_delay_ms": 35, "multiplier": 3}
    policy = {"max_retries": 3, "backoff": backoff}
    delays = [_retry(store, 1000 * n, policy, n)["retry_delay_ms"] for n in (1, 2, 3)]
    assert delays == [10, 30, 35]
    assert _retry(store, 5000, policy, 5) == {"outcome": "terminal_failed"}
    store.replay_execution(5000, "e1")
    assert _retry(store, 6000, policy, 6) == {"outcome": "terminal_failed"}


def test_36_without_a_backoff_it_waits_a_second_and_0_means_0(store):
    assert _retry(store, 0, {"max_retries": 9}, 1)["retry_delay_ms"] == 1000
    fixed = {"max_retries": 9, "backoff": {"type": "fixed", "delay_ms": 0}}
    fence = lease(store, 5000, lease_id="ls2", attempt_id="at2")
    assert store.fail_execution(5000, "e1", *fence, fixed).values["delay_until"] == 5000
    described = store.describe(5000, "e1").values
    assert (described["current_attempt_id"], described["current_attempt_index"]) == (None, 1)
    assert described["current_lease_epoch"] == 2


def test_37_any_outcome_replays_and_the_counters_go_on(store):
    store.complete_execution(0, "e1", *lease(store, 0))
    store.create_execution(0, "e2", "A")
    store.expire_execution(0, "e2")
    assert store.replay_execution(0, "e1").values == {"unsatisfied": 0}
    assert store.replay_execution(0, "e2").values == {"unsatisfied": 0}
    assert store.describe(0, "e1").values["total_attempt_count"] == 1
    for _ in range(9):
        store.cancel_execution(0, "e1")
        assert store.replay_execution(0, "e1").code == "OK"
    store.cancel_execution(0, "e1")
    assert store.replay_execution(0, "e1").code == "max_replays_exhausted"


@pytest.mark.parametrize("phase", ["runnable", "active", "suspended"])
def test_38_expiry_checks_no_deadline(store, phase):
    store.create_execution(0, "e1", "A", deadline_at=10**9)
    if phase != "runnable":
        fence = lease(store, 0)
    if phase == "suspended":
        suspend(store, 0, fence)
    assert store.expire_execution(0, "e1").values == {"outcome": "expired", "from_phase": phase}


def test_39_priority_is_clamped_and_order_is_by_priority_creation_and_id(store):
    store.create_execution(5, "e2", "A", priority=1)
    store.create_execution(5, "e10", "A", priority=1)
    store.create_execution(9, "e3", "A", priority=99_999)
    store.create_execution(1, "e4", "A", priority=-7)
    assert eligible(store) == ["e3", "e10", "e2", "e4"]
    assert store.change_priority(9, "e3", -1).values == {"old_priority": 9000, "new_priority": 0}
    store.delay_execution(9, "e4", *lease(store, 9, "e4"), 10)
    store.promote_delayed(10, "e4")
    assert eligible(store) == ["e10", "e2", "e4", "e3"]


def test_40_limits_come_from_the_call_and_a_later_definition_zeroes_the_counter(store):
    def admit(execution, cap):
        return store.check_admission_and_record(0, "q1", execution, 60, 0, cap).code

    assert [admit("e1", 1), admit("e2", 1), admit("e2", 2)] == [
        "ADMITTED",
        "CONCURRENCY_EXCEEDED",
        "ADMITTED",
    ]
    assert store.create_quota_policy(0, "q1", 60, 0, 1).code == "OK"
    assert admit("e3", 1) == "ADMITTED"


def test_41_the_window_ends_at_its_length_and_the_guard_one_later(store):
    def admit(now_ms, execution, cap=0):
        return store.check_admission_and_record(now_ms, "q1", execution, 1, 1, cap)

    assert admit(0, "e1", cap=9).code == "ADMITTED"
    assert admit(999, "e2").values == {"retry_after_ms": 1}
    assert admit(1000, "e1").code == "ALREADY_ADMITTED"
    assert admit(1001, "e1", cap=9).code == "ADMITTED"
    assert store.read_quota(1001, "q1").values["concurrency"] == 2


def test_42_a_release_gives_any_slot_back_but_not_the_rate_window(store):
    def admit(execution, rate):
        return store.check_admission_and_record(0, "q1", execution, 60, rate, 1).code

    assert admit("e1", 0) == "ADMITTED"
    assert store.release_admission(0, "q1", "e9").values == {"outcome": "released"}
    assert admit("e2", 0) == "ADMITTED"
    for _ in range(3):
        store.release_admission(0, "q1", "e1")
    assert store.read_quota(0, "q1").values["concurrency"] == 0
    assert admit("e1", 2) == "RATE_EXCEEDED"


def test_43_a_window_of_0_admits_for_ever(store):
    codes = [store.check_admission_and_record(0, "q1", "e1", 0, 1, 0).code for _ in range(3)]
    assert codes == ["ADMITTED"] * 3


def test_44_a_report_before_the_creation_leaves_a_budget_without_limits(store):
    store.report_usage_and_check(0, "b1", [["tokens", 5]])
    assert store.create_budget(0, "b1", [["tokens", 1, 1]]).code == "ALREADY_SATISFIED"
    assert store.report_usage_and_check(0, "b1", [["tokens", 5]]).code == "OK"


def test_44_a_hard_breach_writes_nothing_and_the_first_soft_breach_is_told(store):
    store.create_budget(0, "b1", [["tokens", 10, 5], ["cost", 0, 1]])
    assert store.report_usage_and_check(0, "b1", [["tokens", 10], ["cost", 2]]).values == {
        "dimension": "tokens", "current": 10, "limit": 5,
    }  # fmt: skip
    breach = store.report_usage_and_check(0, "b1", [["cost", 1], ["tokens", 1]], "u1")
    assert (breach.code, breach.values["current"]) == ("HARD_BREACH", 10)
    assert store.read_budget(0, "b1").values == {"used_up": True, "usage": {"tokens": 10, "cost": 2}}
    assert store.report_usage_and_check(0, "b1", [["cost", 1]], "u1").code == "SOFT_BREACH"
    assert store.report_usage_and_check(86_400_000, "b1", [["cost", 1]], "u1").code == "ALREADY_APPLIED"
    assert store.report_usage_and_check(86_400_001, "b1", [["cost", 1]], "u1").values["current"] == 4


def test_45_a_creation_key_lasts_a_day_and_a_duplicate_comes_before_validation(store):
    store.create_execution(0, "e1", "A", idempotency_key="ik1")
    again = store.create_execution(86_400_000, "e2", "A", idempotency_key="ik1", policy="{not json")
    assert (again.code, again.values) == ("DUPLICATE", {"execution": "e1"})
    assert store.create_execution(0, "e1", "A", policy="{not json").code == "DUPLICATE"
    assert store.create_execution(86_400_001, "e2", "A", idempotency_key="ik1").code == "OK"


def test_46_a_block_looks_at_the_phase_before_the_reason(store):
    store.create_execution(0, "e1", "A")
    assert store.block_execution_for_admission(0, "e1", "no_such").code == "invalid_blocking_reason"
    fence = lease(store, 0)
    assert store.block_execution_for_admission(0, "e1", "no_such").code == "execution_not_eligible"
    store.complete_execution(0, "e1", *fence)
    assert store.block_execution_for_admission(0, "e1", "no_such").code == "execution_not_active"


def test_47_a_cancel_before_the_first_claim_leaves_no_attempt_behind(store):
    store.create_execution(0, "e1", "A")
    store.cancel_execution(0, "e1")
    assert store.dimensions("e1")["attempt_state"] == "pending_first_attempt"
    store.replay_execution(0, "e1")
    assert store.dimensions("e1")["attempt_state"] == "pending_replay_attempt"
    grant(store, 0)
    claimed = store.claim_execution(0, "e1", "w1", "ls1", 10, "at1").values
    assert (claimed["attempt_index"], claimed["attempt_type"]) == (0, "replay")
    store.cancel_execution(0, "e1")
    assert store.dimensions("e1")["attempt_state"] == "attempt_terminal"


def test_48_marking_keeps_the_expiry_entry_and_revoking_removes_it(store):
    lease(store, 0, ttl_ms=10)
    lease(store, 0, "e2", ttl_ms=10)
    assert store.mark_lease_expired_if_due(10, "e1").values == {"outcome": "marked_expired"}
    store.revoke_lease(10, "e2")
    assert store.lease_expiry_set(10).values["members"] == [["e1", 10]]


def test_48_an_unknown_execution_is_no_error_for_a_scanner(store):
    marked = store.mark_lease_expired_if_due(0, "e9")
    assert (marked.code, marked.values) == ("ALREADY_SATISFIED", {"outcome": "execution_not_found"})
    assert store.expire_execution(0, "e9").values == {"outcome": "not_found_cleaned"}
    assert store.promote_delayed(0, "e9").values == {"outcome": "not_found_cleaned"}
    assert store.expire_suspension(0, "e9").values == {"outcome": "not_found_cleaned"}


def test_every_number_has_a_test():
    numbers = {int(name[5:7]) for name in globals() if name.startswith("test_") and name[5:7].isdigit()}
    assert numbers == set(range(1, 49))
