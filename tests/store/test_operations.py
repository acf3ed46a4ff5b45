"""What the recordings do not reach: bounds, defaults, numbers written as text, effects beside the answer."""

import copy

import pytest

from sim.store import CONTRACT, PRESETS, VALKEY, Store
from sim.store.state import (
    ELIGIBLE_AS,
    ESCALATED,
    SUSPENDED,
    SUSPENDED_FOR,
    AttemptState,
    Blocking,
    Eligibility,
    Ownership,
    Phase,
    PublicState,
    TerminalOutcome,
    vector,
)
from tests.store.cases import (
    CHILDREN,
    DELAYED,
    ELIGIBLE,
    LEASED,
    TERMINAL,
    eligible,
    grant,
    lease,
    renew,
    skipped_child,
    state,
    suspend,
)
from tests.store.snapshot import snapshot


@pytest.fixture(params=PRESETS.values(), ids=PRESETS)
def store(request):
    return Store(request.param)


# Arguments.


def test_numbers_may_be_written_as_text(store):
    store.create_execution(0, "e1", "A", "7")
    assert store.change_priority(0, "e1", "8").values == {"old_priority": 7, "new_priority": 8}
    assert store.issue_claim_grant(0, "e1", "w1", "A", "10").ok
    assert store.claim_execution(0, "e1", "w1", "ls1", "10", "at1").values["expires_at"] == 10
    assert store.renew_lease(0, "e1", 0, "at1", "ls1", 1, "20").values == {"expires_at": 20}
    store.create_execution(0, "e2", "A")
    assert store.issue_grant_and_claim(0, "e2", "w1", "A", "ls2", "10", "at2").ok
    store.revoke_lease(0, "e2")
    assert store.issue_reclaim_grant(0, "e2", "w2", "10").values["grant_expires_at"] == 10
    assert store.reclaim_execution(0, "e2", "w2", "ls3", "10", "at3").values["expires_at"] == 10
    store.delay_execution(0, "e2", "ls3", 2, "at3", 0)
    store.promote_delayed(0, "e2")
    grant(store, 0, "e2")
    assert store.claim_resumed_execution(0, "e2", "w1", "ls4", "10").values["expires_at"] == 10


@pytest.mark.parametrize("value", ["many", "", None, "inf", "nan", []])
def test_what_is_no_number_is_refused_before_anything_is_read(store, value):
    refused = store.claim_execution(0, "e9", "w1", "ls1", value, "at1")
    assert (refused.code, refused.kind) == ("invalid_input", None)
    assert refused.values == {"detail": f"lease_ttl_ms must be a number, got: {value}"}
    assert store.check_admission_and_record(0, "q1", "e1", value, 1, 1).code == "invalid_input"
    assert "q1" not in store.quotas


NUMBERS = {
    "priority of create": lambda store: store.create_execution(0, "e1", "A", "soon"),
    "new_priority": lambda store: store.change_priority(0, "e1", "soon"),
    "grant_ttl_ms": lambda store: store.issue_claim_grant(0, "e1", "w1", "A", "soon"),
    "grant_ttl_ms of reclaim": lambda store: store.issue_reclaim_grant(0, "e1", "w1", "soon"),
    "lease_ttl_ms of both": lambda store: store.issue_grant_and_claim(0, "e1", "w", "A", "l", "soon", "a"),
    "lease_ttl_ms of resumed": lambda store: store.claim_resumed_execution(0, "e1", "w1", "ls1", "soon"),
    "lease_ttl_ms of renewal": lambda store: store.renew_lease(0, "e1", 0, "at1", "ls1", 1, "soon"),
    "lease_ttl_ms of reclaim": lambda store: store.reclaim_execution(0, "e1", "w1", "ls1", "soon", "at1"),
    "window_seconds": lambda store: store.check_admission_and_record(0, "q1", "e1", "soon", 1, 1),
    "rate_limit": lambda store: store.check_admission_and_record(0, "q1", "e1", 1, "soon", 1),
    "concurrency_cap": lambda store: store.check_admission_and_record(0, "q1", "e1", 1, 1, "soon"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_refusal_of_what_is_no_number_says_which_argument(store, name):
    refused = NUMBERS[name](store)
    assert (refused.code, refused.rival) == ("invalid_input", None)
    assert refused.values == {"detail": f"{name.split()[0]} must be a number, got: soon"}


def test_a_window_may_be_a_fraction_of_a_second(store):
    assert store.check_admission_and_record(0, "q1", "e1", 0.25, 1, 0).code == "ADMITTED"
    assert store.check_admission_and_record(249, "q1", "e2", 0.25, 1, 0).retry_after_ms == 1
    assert store.check_admission_and_record(250, "q1", "e2", "0.25", 1, 0).code == "ADMITTED"


# Policies and capabilities.


def test_a_policy_may_be_the_engines_text(store):
    text = '{"max_replay_count": 0, "routing_requirements": {"required_capabilities": ["gpu", "big", "gpu"]}}'
    assert store.create_execution(0, "e1", "A", policy=text).code == "OK"
    refused = store.issue_claim_grant(0, "e1", "w1", "A", 10, ["other"])
    assert (refused.code, refused.values) == ("capability_mismatch", {"missing": ["big", "gpu"]})
    store.cancel_execution(0, "e1")
    assert store.replay_execution(0, "e1").code == "max_replays_exhausted"


def test_text_that_is_no_object_is_no_policy(store):
    assert store.create_execution(0, "e1", "A", policy="3").code == "OK"
    assert store.create_execution(0, "e2", "A", policy="{}").code == "OK"
    assert store.issue_claim_grant(0, "e1", "w1", "A", 10).ok


@pytest.mark.parametrize(
    ("text", "detail"),
    [("{", "malformed"), ('{"routing_requirements": 3}', "routing_requirements:not_object")],
)
def test_text_that_is_broken_is_refused_with_what_is_wrong(store, text, detail):
    refused = store.create_execution(0, "e1", "A", policy=text)
    assert (refused.code, refused.values) == ("invalid_policy_json", {"detail": detail})


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (None, [1000, 1000]),
        ({"type": "fixed"}, [1000, 1000]),
        ({"type": "fixed", "delay_ms": 7}, [7, 7]),
        ({"type": "none"}, [1000, 1000]),
        ({"type": "exponential"}, [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]),
        ({"type": "exponential", "initial_delay_ms": 3, "multiplier": 5, "max_delay_ms": 70}, [3, 15, 70]),
    ],
)
def test_a_retry_waits_as_its_policy_says_or_as_the_engine_does(store, backoff, delays):
    told, now_ms = [], 0
    for _ in delays:
        retry = {"max_retries": len(delays), "backoff": backoff}
        outcome = store.fail_execution(now_ms, "e1", *lease(store, now_ms), retry)
        told.append(outcome.values["retry_delay_ms"])
        assert outcome.values["delay_until"] == now_ms + told[-1]
        now_ms += told[-1]
        store.promote_delayed(now_ms, "e1")
    assert told == delays


@pytest.mark.parametrize(("reason", "left"), [("waiting_for_quota", [["e1", 5]]), ("paused_by_policy", [])])
def test_what_expires_while_it_is_paused_by_policy_leaves_no_entry_behind(store, reason, left):
    """Elsewhere only the set that its state says is looked at."""
    store.create_execution(5, "e1", "A", delay_until=5)
    assert store.block_execution_for_admission(5, "e1", reason).ok
    store.expire_execution(5, "e1")
    assert store.delayed_set(5, "A").values["members"] == left
    assert store.lanes["A"].blocked[{"waiting_for_quota": "blocked_by_quota"}.get(
        reason, "blocked_by_lane_state")].items() == []  # fmt: skip


def test_the_bounds_of_capabilities_are_inclusive(store):
    def create(execution, tokens):
        outcome = store.create_execution(0, execution, "A", policy={"required_capabilities": tokens})
        return outcome.values.get("detail", outcome.code)

    tokens = [f"c{number:03}" for number in range(257)]
    long = ["x" * 1023] * 3 + ["x" * 1024]
    assert create("e1", tokens[:256]) == "OK"
    assert create("e2", tokens) == "required:too_many_tokens"
    assert create("e3", long) == "OK"
    assert create("e4", [*long[:3], "x" * 1025]) == "required:too_many_bytes"
    assert create("e5", ["東京-gpu"]) == "OK"
    assert create("e6", ["tab\there"]) == "required:control_or_whitespace"
    assert create("e7", ["del\x7f"]) == "required:control_or_whitespace"
    assert create("e7", "gpu") == "required:not_array"
    assert create("e7", [3]) == "required:non_string_token"
    assert create("e7", [""]) == "required:empty_token"
    assert create("e7", ["a,b"]) == "required:comma_in_token"
    assert store.describe(0, "e2").code == "execution_not_found"
    store.create_execution(0, "e8", "A")
    refused = store.issue_claim_grant(0, "e8", "w1", "A", 10, tokens)
    assert (refused.code, refused.values) == ("invalid_capabilities", {"detail": "worker:too_many_tokens"})
    assert store.issue_claim_grant(0, "e8", "w1", "A", 10, tokens[:256]).ok


def test_a_reclaim_needs_the_capabilities_too(store):
    store.create_execution(0, "e1", "A", policy={"required_capabilities": ["gpu"]})
    store.issue_claim_grant(0, "e1", "w1", "A", 10, ["gpu"])
    store.claim_execution(0, "e1", "w1", "ls1", 10, "at1")
    store.revoke_lease(0, "e1")
    assert store.issue_reclaim_grant(0, "e1", "w2", 10).values == {"missing": ["gpu"]}
    assert store.issue_reclaim_grant(0, "e1", "w2", 10, ["gpu"]).ok


# Indexes.


@pytest.mark.parametrize("reason", ["paused_by_policy", "waiting_for_quota", "paused_by_operator"])
def test_the_end_of_a_blocked_execution_takes_it_out_of_its_index(store, reason):
    store.create_execution(0, "e1", "A")
    store.block_execution_for_admission(0, "e1", reason)
    index = store.dimensions("e1")["eligibility_state"]
    assert store.read_blocked(0, "A", index, 9).values["due"] == ["e1"]
    store.expire_execution(0, "e1")
    assert store.read_blocked(0, "A", index, 9).values["due"] == []


def test_a_cancel_takes_a_blocked_execution_out_of_every_index(store):
    store.create_execution(0, "e1", "A")
    for reason in ("waiting_for_quota", "waiting_for_budget"):
        store.block_execution_for_admission(0, "e1", reason)
    store.cancel_execution(0, "e1")
    for index in ("blocked_by_quota", "blocked_by_budget"):
        assert store.read_blocked(0, "A", index, 9).values["due"] == []


def test_an_unblocked_execution_leaves_the_index_of_the_blocked(store):
    store.create_execution(0, "e1", "A")
    store.block_execution_for_admission(0, "e1", "waiting_for_quota")
    store.unblock_execution(0, "e1")
    assert store.read_blocked(0, "A", "blocked_by_quota", 9).values["due"] == []


def test_a_closed_waitpoint_is_due_no_more(store):
    lease(store, 0)
    store.create_pending_waitpoint(0, "e1", 0, "wp1", 5)
    store.close_waitpoint(0, "wp1")
    assert store.read_due_waitpoints(5, 9).values["due"] == []


def test_an_expiry_clears_the_index_of_its_state_and_a_cancel_all(store):
    for execution in ("e1", "e2"):
        store.create_execution(0, execution, "A", delay_until=5)
        store.block_execution_for_admission(0, execution, "waiting_for_quota")
    store.expire_execution(0, "e1")
    store.cancel_execution(0, "e2")
    assert store.delayed_set(0, "A").values["members"] == [["e1", 5]]


def test_a_renewal_moves_the_expiry_and_the_end_removes_it(store):
    fence = lease(store, 0, ttl_ms=10)
    renew(store, 5, fence, ttl_ms=10)
    assert store.lease_expiry_set(5).values["members"] == [["e1", 15]]
    store.complete_execution(5, "e1", *fence)
    assert store.lease_expiry_set(5).values["members"] == []


def test_marking_cleans_up_what_is_not_active(store):
    lease(store, 0, ttl_ms=10)
    store.apply_dependency_to_child(0, "f1", "ed1", "e0", "e1")
    store.resolve_dependency(0, "f1", "ed1", "e0", "e1", "failed")
    assert store.lease_expiry_set(0).values["members"] == [["e1", 10]]
    assert store.mark_lease_expired_if_due(0, "e1").values == {"outcome": "not_active"}
    assert store.lease_expiry_set(0).values["members"] == []


def test_a_deadline_is_forgotten_at_the_end_but_not_at_a_retry(store):
    retry = {"max_retries": 1, "backoff": {"type": "fixed", "delay_ms": 0}}
    for execution in ("e1", "e2", "e3"):
        store.create_execution(0, execution, "A", deadline_at=5)
    store.complete_execution(0, "e1", *lease(store, 0, "e1"))
    store.fail_execution(0, "e2", *lease(store, 0, "e2"), retry)
    store.fail_execution(0, "e3", *lease(store, 0, "e3"))
    assert store.read_due_deadlines(5, 9).values["due"] == ["e2"]
    store.cancel_execution(0, "e2")
    assert store.read_due_deadlines(5, 9).values["due"] == []


def test_the_deadline_of_an_execution_that_fails_at_the_cap_is_forgotten(store):
    store.create_execution(0, "e1", "A", deadline_at=5)
    lease(store, 0)
    store.revoke_lease(0, "e1")
    store.reclaim_execution(0, "e1", "w2", "ls2", 10, "at2", max_reclaim_count=0)
    assert state(store) == TERMINAL
    assert store.read_due_deadlines(5, 9).values["due"] == []


def test_a_skipped_child_leaves_the_blocked_index_until_its_replay(store):
    skipped_child(store, 0)
    assert store.read_blocked(0, "A", "blocked_by_dependencies", 9).values["due"] == []
    store.replay_execution(0, "e2")
    assert store.read_blocked(0, "A", "blocked_by_dependencies", 9).values["due"] == ["e2"]


@pytest.mark.parametrize("ending", ["cancel_execution", "expire_execution"])
def test_the_suspension_that_a_skipped_child_leaves_behind_is_forgotten_at_its_next_end(store, ending):
    suspend(store, 0, lease(store, 0))
    store.apply_dependency_to_child(0, "f1", "ed1", "e0", "e1")
    store.resolve_dependency(0, "f1", "ed1", "e0", "e1", "failed")
    store.replay_execution(0, "e1")
    assert store.describe(0, "e1").values["current_waitpoint_id"] == "wp1"
    getattr(store, ending)(0, "e1")
    described = store.describe(0, "e1").values
    assert (described["current_suspension_id"], described["current_waitpoint_id"]) == (None, None)


@pytest.mark.parametrize("cleaner", ["expire_suspension", "cancel_execution"])
def test_the_timeout_that_a_skipped_child_leaves_behind_is_cleaned_up(store, cleaner):
    suspend(store, 0, lease(store, 0), timeout_at=5)
    store.apply_dependency_to_child(0, "f1", "ed1", "e0", "e1")
    store.resolve_dependency(0, "f1", "ed1", "e0", "e1", "failed")
    store.replay_execution(0, "e1")
    assert store.read_due_suspensions(5, 9).values["due"] == ["e1"]
    assert getattr(store, cleaner)(5, "e1").ok
    assert store.read_due_suspensions(5, 9).values["due"] == []


# Leases.


def test_a_claim_gives_all_that_its_worker_needs(store):
    grant(store, 7)
    assert store.claim_execution(8, "e1", "w1", "ls1", 10, "at1").values == {
        "lease_id": "ls1", "lease_epoch": 1, "expires_at": 18, "attempt_id": "at1", "attempt_index": 0,
        "attempt_type": "initial",
    }  # fmt: skip
    described = store.describe(8, "e1").values
    assert (described["current_worker_id"], described["lease_expires_at"]) == ("w1", 18)


def test_another_workers_grant_is_not_consumed_by_a_failed_claim(store):
    grant(store, 0, worker="w1")
    assert not store.claim_execution(0, "e1", "w2", "ls1", 10, "at1").ok
    assert store.claim_execution(0, "e1", "w1", "ls1", 10, "at1").ok


def test_a_revocation_may_name_the_lease_that_it_means(store):
    lease(store, 0)
    refused = store.revoke_lease(0, "e1", "ls9")
    assert (refused.code, refused.kind.value) == ("stale_lease", "no_active_lease")
    assert refused.values == {"expected_lease_id": "ls9", "current_lease_id": "ls1"}
    assert store.revoke_lease(0, "e1", "ls1").values == {
        "outcome": "revoked", "lease_id": "ls1", "lease_epoch": 1,
    }  # fmt: skip
    assert store.mark_lease_expired_if_due(0, "e1").values == {"outcome": "already_revoked"}


def test_a_holder_reconciles_by_the_four_facts_of_a_refusal(store):
    fence = lease(store, 0)
    store.cancel_execution(0, "e1")
    assert store.fail_execution(0, "e1", *fence).values == {
        "terminal_outcome": "cancelled", "lease_epoch": 1, "lifecycle_phase": "terminal", "attempt_id": "at1",
    }  # fmt: skip


def test_a_slot_that_a_lapse_gave_back_is_not_given_back_again_by_a_skip():
    store = Store(CONTRACT)
    store.create_execution(0, "e1", "A")
    store.check_admission_and_record(0, "q1", "e1", 60, 0, 9)
    store.issue_claim_grant(0, "e1", "w1", "A", 10, (), "q1")
    store.claim_execution(0, "e1", "w1", "ls1", 10, "at1")
    store.apply_dependency_to_child(0, "f1", "ed1", "e0", "e1")
    store.mark_lease_expired_if_due(10, "e1")
    store.check_admission_and_record(10, "q1", "e1", 60, 0, 9)
    store.resolve_dependency(10, "f1", "ed1", "e0", "e1", "failed")
    assert store.read_quota(10, "q1").values["concurrency"] == 1


@pytest.mark.parametrize("taker", ["claim_next", "issue_grant_and_claim", "issue_claim_grant"])
def test_a_lapsed_grant_that_is_replaced_gives_its_slot_back(taker):
    store = Store(CONTRACT)
    store.create_execution(0, "e1", "A")
    store.check_admission_and_record(0, "q1", "e1", 60, 0, 9)
    store.issue_claim_grant(0, "e1", "w1", "A", 10, (), "q1")
    store.change_priority(11, "e1", 1)
    assert store.read_quota(11, "q1").values["concurrency"] == 1
    arguments = {
        "claim_next": ("w2", "A", "ls2", 10, "at2"),
        "issue_grant_and_claim": ("e1", "w2", "A", "ls2", 10, "at2"),
        "issue_claim_grant": ("e1", "w2", "A", 10),
    }[taker]
    assert getattr(store, taker)(11, *arguments).ok
    assert store.read_quota(11, "q1").values["concurrency"] == 0


def test_a_lease_without_an_admission_gives_no_slot_back():
    store = Store(CONTRACT)
    store.create_execution(0, "e1", "A")
    store.check_admission_and_record(0, "q1", "e1", 60, 0, 9)
    store.issue_claim_grant(0, "e1", "w1", "A", 10, (), "q1")
    store.claim_execution(0, "e1", "w1", "ls1", 10, "at1")
    store.delay_execution(0, "e1", "ls1", 1, "at1", 9)
    assert store.check_admission_and_record(0, "q1", "e1", 60, 0, 9).code == "ADMITTED"
    store.issue_grant_and_claim(0, "e1", "w2", "A", "ls2", 10, "at2")
    store.complete_execution(0, "e1", "ls2", 2, "at1")
    assert store.read_quota(0, "q1").values["concurrency"] == 1


def test_a_slot_that_a_skip_gave_back_is_not_given_back_again_after_a_replay():
    store = Store(CONTRACT)
    store.create_execution(0, "e1", "A")
    store.check_admission_and_record(0, "q1", "e1", 60, 0, 9)
    store.issue_claim_grant(0, "e1", "w1", "A", 10, (), "q1")
    store.claim_execution(0, "e1", "w1", "ls1", 10, "at1")
    store.apply_dependency_to_child(0, "f1", "ed1", "e0", "e1")
    store.resolve_dependency(0, "f1", "ed1", "e0", "e1", "failed")
    store.replay_execution(0, "e1")
    store.check_admission_and_record(0, "q1", "e1", 60, 0, 9)
    store.issue_grant_and_claim(0, "e1", "w2", "A", "ls2", 10, "at2")
    store.complete_execution(0, "e1", "ls2", 2, "at2")
    assert store.read_quota(0, "q1").values["concurrency"] == 1


def test_a_requeued_grant_gives_its_slot_back_once():
    store = Store(CONTRACT)
    store.create_execution(0, "e1", "A")
    store.check_admission_and_record(0, "q1", "e1", 60, 0, 9)
    store.issue_claim_grant(0, "e1", "w1", "A", 10, (), "q1")
    store.requeue_lapsed_grant(11, "e1")
    store.check_admission_and_record(11, "q1", "e1", 60, 0, 9)
    store.issue_claim_grant(11, "e1", "w2", "A", 10, (), "q1")
    assert store.read_quota(11, "q1").values["concurrency"] == 1


# Suspensions.


def test_a_suspension_with_a_key_but_no_ttl_is_replayed_for_ever(store):
    fence = lease(store, 0)
    first = suspend(store, 0, fence, idempotency_key="k1")
    assert suspend(store, 10**9, fence, waitpoint="wp2", idempotency_key="k1") is first


@pytest.mark.parametrize(
    ("reason", "blocking"),
    [
        ("waiting_for_approval", "waiting_for_approval"),
        ("waiting_for_operator_review", "paused_by_operator"),
        ("paused_by_policy", "paused_by_policy"),
        ("paused_by_budget", "waiting_for_budget"),
        ("step_boundary", "waiting_for_signal"),
        ("manual_pause", "paused_by_operator"),
        ("no_such_reason", "waiting_for_signal"),
    ],
)
def test_the_reason_of_a_suspension_is_what_it_waits_for(store, reason, blocking):
    suspend(store, 0, lease(store, 0), reason_code=reason)
    assert store.dimensions("e1")["blocking_reason"] == blocking


@pytest.mark.parametrize(
    ("behavior", "public"),
    [
        ("fail", "failed"),
        ("cancel", "cancelled"),
        ("expire", "expired"),
        ("auto_resume_with_timeout_signal", "waiting"),
        ("escalate", "suspended"),
    ],
)
def test_what_a_timeout_means(store, behavior, public):
    suspend(store, 0, lease(store, 0), timeout_at=5, timeout_behavior=behavior)
    told = "auto_resume" if behavior.startswith("auto") else behavior
    assert store.expire_suspension(5, "e1").values == {"outcome": told, "public_state": public}
    assert store.read_due_suspensions(5, 9).values["due"] == []
    late = store.deliver_signal(5, "e1", "wp1", "sg1", "go").code
    assert late == ("OK" if behavior == "escalate" else "target_not_signalable")


def test_a_timeout_closes_the_condition_too(store):
    behavior = "auto_resume_with_timeout_signal"
    suspend(store, 0, lease(store, 0), waitpoint="wp1", timeout_at=5, timeout_behavior=behavior)
    store.expire_suspension(5, "e1")
    suspend(store, 5, lease(store, 5, lease_id="ls2"), waitpoint="wp2")
    assert store.deliver_signal(5, "e1", "wp1", "sg1", "go").code == "waitpoint_closed"


def test_buffered_signals_that_do_not_suffice_count_on(store):
    fence = lease(store, 0)
    store.create_pending_waitpoint(0, "e1", 0, "wp1", 50)
    store.buffer_signal_for_pending_waitpoint(0, "e1", "wp1", "sg1", "a")
    condition = {"names": ["a", "b"], "mode": "all", "min_count": 1}
    assert suspend(store, 0, fence, condition=condition, use_pending=True).code == "OK"
    assert store.read_due_waitpoints(50, 9).values["due"] == []
    assert store.deliver_signal(0, "e1", "wp1", "sg2", "b").values["effect"] == "resume_condition_satisfied"
    assert state(store) == ELIGIBLE


def test_a_suspension_that_is_satisfied_at_once_keeps_its_lease(store):
    fence = lease(store, 0)
    store.create_pending_waitpoint(0, "e1", 0, "wp1", 50)
    store.buffer_signal_for_pending_waitpoint(0, "e1", "wp1", "sg1", "a")
    outcome = suspend(store, 0, fence, use_pending=True)
    assert (outcome.ok, outcome.code) == (True, "ALREADY_SATISFIED")
    assert outcome.values == {"suspension": "su1", "waitpoint": "wp1"}
    assert state(store) == LEASED
    assert store.complete_execution(0, "e1", *fence).ok


def test_a_signal_without_a_token_or_with_a_wrong_one(store):
    suspend(store, 0, lease(store, 0))
    for operation in (store.deliver_signal, store.buffer_signal_for_pending_waitpoint):
        missing = operation(0, "e1", "wp1", "sg1", "go", token_valid=None)
        wrong = operation(0, "e1", "wp1", "sg1", "go", token_valid=False)
        assert (missing.code, missing.kind) == ("missing_token", None)
        assert (wrong.code, wrong.kind) == ("invalid_token", None)


def test_a_signal_with_a_known_key_is_the_signal_that_came_with_it(store):
    fence = lease(store, 0)
    store.create_pending_waitpoint(0, "e1", 0, "wp1", 50)
    for signal in ("sg1", "sg2"):
        outcome = store.buffer_signal_for_pending_waitpoint(0, "e1", "wp1", signal, "a", idempotency_key="k1")
    assert (outcome.code, outcome.values) == ("DUPLICATE", {"signal": "sg1"})
    condition = {"names": ["a", "a"], "mode": "all", "min_count": 1}
    assert suspend(store, 0, fence, condition=condition, use_pending=True).code == "OK"


def test_a_key_without_a_ttl_is_not_remembered(store):
    suspend(store, 0, lease(store, 0), condition={"names": ["go"], "mode": "any", "min_count": 1})
    keyed = {"idempotency_key": "k1", "dedup_ttl_ms": 0}
    codes = [store.deliver_signal(0, "e1", "wp1", signal, "other", **keyed).code for signal in ("sg1", "sg2")]
    assert codes == ["OK", "OK"]


# Flows.


def test_a_child_becomes_eligible_with_its_last_dependency(store):
    store.create_execution(0, "e3", "A", priority=2)
    for edge, upstream in (("ed1", "e1"), ("ed2", "e2")):
        store.create_execution(0, upstream, "B")
        store.apply_dependency_to_child(0, "f1", edge, upstream, "e3", data_passing=True)
    store.complete_execution(0, "e2", *_lease_in(store, "B", "e2"), "result")
    refused = store.promote_blocked_to_eligible(0, "e3")
    assert refused.values == {"unsatisfied": 2, "unresolved": 2}
    assert store.resolve_dependency(0, "f1", "ed1", "e1", "e3", "success").values == {
        "resolution": "satisfied", "data_injected": False,
    }  # fmt: skip
    assert state(store, "e3") == CHILDREN
    assert store.resolve_dependency(0, "f1", "ed2", "e2", "e3", "success").values == {
        "resolution": "satisfied", "data_injected": True,
    }  # fmt: skip
    assert state(store, "e3") == ELIGIBLE
    assert eligible(store) == ["e3"]
    assert store.read_blocked(0, "A", "blocked_by_dependencies", 9).values["due"] == []
    again = store.resolve_dependency(0, "f1", "ed2", "e2", "e3", "failed")
    assert again.values == {"resolution": "already_resolved"}


def _lease_in(store, lane, execution):
    store.issue_claim_grant(0, execution, "w1", lane, 10)
    store.claim_execution(0, execution, "w1", "ls1", 10, "at1")
    return "ls1", 1, "at1"


def test_an_edge_that_was_never_staged_still_counts_as_unresolved_after_a_replay(store):
    store.create_flow(0, "f1")
    store.create_execution(0, "e2", "A")
    store.add_execution_to_flow(0, "f1", "e2")
    for edge in ("ed1", "ed2"):
        store.apply_dependency_to_child(0, "f1", edge, "e1", "e2")
    store.resolve_dependency(0, "f1", "ed1", "e1", "e2", "failed")
    assert store.replay_execution(0, "e2").values == {"unsatisfied": 0}
    refused = store.promote_blocked_to_eligible(0, "e2")
    assert (refused.code, refused.values) == ("deps_not_satisfied", {"unsatisfied": 0, "unresolved": 1})


def test_a_cycle_is_found_through_other_edges(store):
    store.create_flow(0, "f1")
    for number in range(4):
        store.create_execution(0, number, "A")
        store.add_execution_to_flow(0, "f1", number)
    for number in range(3):
        staged = store.stage_dependency_edge(0, "f1", number, number, number + 1, 4 + number)
        assert staged.values == {"edge": number, "graph_revision": 5 + number}
    assert store.stage_dependency_edge(0, "f1", 9, 3, 0, 7).code == "cycle_detected"
    assert store.stage_dependency_edge(0, "f1", 9, 0, 3, 7).code == "OK"
    assert store.read_flow(0, "f1").values["edge_count"] == 4


def test_a_graph_too_large_to_search_counts_as_a_cycle(store):
    store.create_flow(0, "f1")
    for number in range(1003):
        store.create_execution(0, number, "A")
        store.add_execution_to_flow(0, "f1", number)
    for number in range(1, 1000):
        assert store.stage_dependency_edge(0, "f1", number, 0, number, 1002 + number).ok
    assert store.stage_dependency_edge(0, "f1", "a", 1002, 0, 2002).ok
    assert store.stage_dependency_edge(0, "f1", "b", 0, 1000, 2003).ok
    assert store.stage_dependency_edge(0, "f1", "x", 1001, 0, 2004).code == "cycle_detected"
    assert store.stage_dependency_edge(0, "f1", "x", 1001, 1, 2004).code == "OK"


def test_a_cancelled_flow_takes_no_more_members_edges_or_cancels(store):
    skipped_child(store, 0)
    store.cancel_flow(0, "f1")
    store.create_execution(0, "e3", "A")
    for refused in (
        store.add_execution_to_flow(0, "f1", "e3"),
        store.stage_dependency_edge(0, "f1", "ed9", "e1", "e2", 3),
        store.cancel_flow(0, "f1"),
    ):
        assert (refused.code, refused.kind.value) == ("flow_already_terminal", "execution_not_active")
    assert store.apply_dependency_to_child(0, "f1", "ed9", "e1", "e3").ok
    assert state(store, "e2") == TERMINAL


# The store as a whole.


def test_a_copy_of_a_store_answers_as_the_store_does():
    first = Store(VALKEY)
    fence = lease(first, 0, ttl_ms=10)
    second = copy.deepcopy(first)
    assert snapshot(first) == snapshot(second)
    assert second.complete_execution(5, "e1", *fence).code == "OK"
    assert first.complete_execution(10, "e1", *fence).code == "lease_expired"
    assert copy.copy(first.executions["e1"].state) is first.executions["e1"].state


def test_states_that_are_alike_are_the_same_object():
    assert SUSPENDED_FOR["step_boundary"] is SUSPENDED
    assert SUSPENDED_FOR["manual_pause"] is ESCALATED
    assert ELIGIBLE_AS[AttemptState.INTERRUPTED] is vector(
        Phase.RUNNABLE, Ownership.UNOWNED, Eligibility.ELIGIBLE_NOW, Blocking.WORKER, TerminalOutcome.NONE,
        AttemptState.INTERRUPTED, PublicState.WAITING,
    )  # fmt: skip


def test_budgets_tell_the_final_usage_of_the_first_soft_breach(store):
    store.create_budget(0, "b1", [("tokens", 0, 5), ("cost", 0, 1)])
    told = store.report_usage_and_check(0, "b1", [("tokens", 6), ("cost", 9), ("tokens", 1)])
    assert told.values == {"dimension": "tokens", "current": 7, "limit": 5}


def test_an_acknowledged_report_leaves_no_budget_behind(store):
    store.report_usage_and_check(0, "b1", [("tokens", 1)], "u1")
    assert store.report_usage_and_check(0, "b2", [("tokens", 1)], "u1").code == "ALREADY_APPLIED"
    assert store.create_budget(0, "b2", [("tokens", 1, 0)]).code == "OK"


def test_a_reset_takes_the_usage_away_and_leaves_the_limits(store):
    store.create_budget(0, "b1", [("tokens", 5, 0)])
    store.report_usage_and_check(0, "b1", [("tokens", 5)])
    assert store.read_budget(0, "b1").values == {"used_up": True, "usage": {"tokens": 5}}
    assert store.reset_budget(0, "b1").values == {"next_reset": 0}
    assert store.read_budget(0, "b1").values == {"used_up": False, "usage": {}}
    told = store.report_usage_and_check(0, "b1", [("tokens", 6)])
    assert (told.code, told.values) == ("HARD_BREACH", {"dimension": "tokens", "current": 0, "limit": 5})


def test_a_budget_that_was_reset_before_it_was_defined_has_no_limits_ever(store):
    assert store.reset_budget(0, "b1").code == "OK"
    defined = store.create_budget(0, "b1", [("tokens", 5, 0)])
    assert (defined.code, defined.values) == ("ALREADY_SATISFIED", {"budget": "b1"})
    assert store.report_usage_and_check(0, "b1", [("tokens", 6)]).code == "OK"


@pytest.mark.parametrize(("delay_ms", "left"), [(0, []), (1, [["e1", 8]]), (2, [["e1", 9]])])
def test_a_resumption_is_delayed_by_a_millisecond_at_least_or_not_at_all(store, delay_ms, left):
    suspend(store, 0, lease(store, 0))
    assert store.resume_execution(7, "e1", delay_ms).ok
    assert state(store) == (DELAYED if delay_ms else ELIGIBLE)
    assert store.delayed_set(7, "A").values["members"] == left
    assert eligible(store) == ([] if delay_ms else ["e1"])


@pytest.mark.parametrize("use_pending", [False, True])
def test_a_waitpoint_outlives_the_expiry_of_who_waits_for_it(store, use_pending):
    """It stays active, so that a signal is taken after a replay, which has nothing to resume."""
    fence = lease(store, 0)
    store.create_pending_waitpoint(0, "e1", 0, "wp1", 99)
    suspend(store, 0, fence, use_pending=use_pending)
    store.expire_execution(5, "e1")
    store.replay_execution(5, "e1")
    told = store.deliver_signal(5, "e1", "wp1", "sg1", "go")
    assert told.values == {"signal": "sg1", "effect": "resume_condition_satisfied"}
    assert state(store) == ELIGIBLE
