"""What a composed policy answers: routing, backoff and limits together."""

import pytest

from sim.retry import Action, Decision
from tests.retry.helpers import POLL_US, K, build, ms, no_draws, observed, refusal, scripted

A = Action


def test_a_refused_claim_is_answered_by_a_new_grant_after_the_backoff():
    policy = build("documented", scripted(0.5, 0.5, 0.25))
    assert policy.decide(refusal(nth=1)) == Decision(A.NEW_GRANT, 25_000)
    assert policy.decide(refusal(nth=2)) == Decision(A.NEW_GRANT, 50_000)
    assert policy.decide(refusal(nth=8)) == Decision(A.NEW_GRANT, 1_250_000)  # 6.4 s is capped at 5 s


@pytest.mark.parametrize(
    ("kind", "op", "action"),
    [
        (K.USE_CLAIM_RESUMED_EXECUTION, "claim_execution", A.REDISPATCH),
        (K.EXECUTION_NOT_IN_ELIGIBLE_SET, "issue_claim_grant", A.SKIP),
        (K.EXECUTION_NOT_ACTIVE, "complete_execution", A.RECONCILE),
        (K.EXECUTION_NOT_ACTIVE, "renew_lease", A.GIVE_UP),
    ],
)
def test_nothing_is_waited_for_or_drawn_where_waiting_gains_nothing(kind, op, action):
    assert build("documented").decide(refusal(kind, op, nth=5)) == Decision(action, 0)


def test_nothing_eligible_is_polled_again():
    assert build("documented").decide(
        refusal(K.NO_ELIGIBLE_EXECUTION, "read_eligible", "acquire", nth=77)
    ) == Decision(A.RETRY, POLL_US)


def test_a_full_window_is_waited_for_exactly_as_long_as_the_store_says():
    policy = build("documented", scripted(0.5))
    hinted = refusal(K.RATE_LIMIT_EXCEEDED, "check_admission_and_record", retry_after_ms=731)
    assert policy.decide(hinted) == Decision(A.RETRY, 731_000)
    at_once = refusal(K.RATE_LIMIT_EXCEEDED, "check_admission_and_record", retry_after_ms=0)
    assert policy.decide(at_once) == Decision(A.RETRY, 0)
    unhinted = refusal(K.RATE_LIMIT_EXCEEDED, "deliver_signal", "signal", nth=2)
    assert policy.decide(unhinted) == Decision(A.RETRY, 50_000)


def test_an_unanswered_attempt_is_sent_again_after_the_backoff():
    policy = build("documented", scripted(0.5))
    assert policy.decide(refusal(None, "complete_execution", nth=3)) == Decision(A.RETRY, 100_000)


@pytest.mark.parametrize("name", ["documented", "naive", "none"])
def test_an_unanswered_claim_is_followed_by_a_new_request_after_the_poll(name):
    assert build(name).decide(refusal(None, "claim_execution", "acquire", nth=3)) == Decision(
        A.RETRY, POLL_US
    )


def test_the_twelfth_failure_ends_an_intent():
    policy = build("none")
    assert policy.decide(refusal(nth=11)) == Decision(A.NEW_GRANT, 0)
    assert policy.decide(refusal(nth=12)) == Decision(A.GIVE_UP, 0)
    assert policy.decide(refusal(None, nth=12)) == Decision(A.GIVE_UP, 0)


def test_a_slot_never_gives_up_wanting_a_lease_unless_it_is_told_to():
    assert build("none").decide(refusal(goal="acquire", nth=1000)) == Decision(A.NEW_GRANT, 0)
    told = {"backoff": "none", "limits": {"attempts": 3, "acquire": True}}
    assert build(told).decide(refusal(goal="acquire", nth=3)) == Decision(A.GIVE_UP, 0)
    assert build(told).decide(refusal(None, goal="acquire", nth=3)) == Decision(A.GIVE_UP, 0)


def test_going_on_with_the_next_target_is_no_attempt_that_a_limit_could_end():
    assert build("documented").decide(
        refusal(K.EXECUTION_NOT_IN_ELIGIBLE_SET, "issue_claim_grant", "dispatch", nth=40)
    ) == Decision(A.SKIP, 0)


def test_the_failure_that_reaches_the_limit_is_still_reconciled_but_none_beyond():
    policy = build("documented")
    ended = {"kind": K.EXECUTION_NOT_ACTIVE, "op": "complete_execution"}
    assert policy.decide(refusal(**ended, nth=12)) == Decision(A.RECONCILE, 0)
    assert policy.decide(refusal(**ended, nth=13)) == Decision(A.GIVE_UP, 0)


def test_elapsed_is_looked_at_when_the_failure_comes_and_deadline_looks_ahead():
    """A wait of 1 s after 9.5 s: elapsed lets it overshoot 10 s, deadline does not."""
    constant = {"constant": {"delay": "1s"}}
    elapsed = build({"backoff": constant, "limits": {"attempts": None, "elapsed": "10s"}})
    assert elapsed.decide(refusal(elapsed_us=9_999_999)).action is A.NEW_GRANT
    assert elapsed.decide(refusal(elapsed_us=10_000_000)).action is A.GIVE_UP
    deadline = build({"backoff": constant, "limits": {"attempts": None, "deadline": "10s"}})
    assert deadline.decide(refusal(elapsed_us=8_999_999)).action is A.NEW_GRANT
    assert deadline.decide(refusal(elapsed_us=9_000_000)).action is A.GIVE_UP


def test_time_limits_and_the_limit_of_attempts_hold_together():
    policy = build({"backoff": "none", "limits": {"attempts": 3, "elapsed": "10s"}})
    assert policy.decide(refusal(nth=2, elapsed_us=1)).action is A.NEW_GRANT
    assert policy.decide(refusal(nth=3, elapsed_us=1)).action is A.GIVE_UP
    assert policy.decide(refusal(nth=1, elapsed_us=10_000_000)).action is A.GIVE_UP


def test_a_reconciliation_is_not_begun_once_the_time_is_over():
    policy = build({"limits": {"elapsed": "10s"}})
    ended = {"kind": K.EXECUTION_NOT_ACTIVE, "op": "complete_execution"}
    assert policy.decide(refusal(**ended, elapsed_us=9_999_999)).action is A.RECONCILE
    assert policy.decide(refusal(**ended, elapsed_us=10_000_000)).action is A.GIVE_UP


def test_naive_repeats_the_same_operation_with_the_same_backoff_for_every_kind():
    policy = build("naive", lambda: 0.5)
    for kind, op in [
        (K.NO_ELIGIBLE_EXECUTION, "read_eligible"),
        (K.EXECUTION_NOT_ACTIVE, "complete_execution"),
        (K.USE_CLAIM_RESUMED_EXECUTION, "claim_execution"),
    ]:
        assert policy.decide(refusal(kind, op, nth=2)) == Decision(A.RETRY, 50_000)
    hinted = refusal(K.RATE_LIMIT_EXCEEDED, "check_admission_and_record", nth=2, retry_after_ms=9)
    assert policy.decide(hinted) == Decision(A.RETRY, 50_000)
    assert policy.decide(refusal(goal="acquire", nth=12)) == Decision(A.GIVE_UP, 0)


def test_a_kind_may_have_a_backoff_of_its_own():
    policy = build({"backoff": "none", "per_kind": {"lease_conflict": {"constant": {"delay": "5ms"}}}})
    assert policy.decide(refusal(K.LEASE_CONFLICT)) == Decision(A.OTHER_EXECUTION, 5_000)
    assert policy.decide(refusal(K.INVALID_CLAIM_GRANT)) == Decision(A.NEW_GRANT, 0)
    # What is asked for in so many words is waited for, also where the default is not to wait.
    assert policy.decide(refusal(K.LEASE_CONFLICT, "complete_execution")) == Decision(A.RECONCILE, 5_000)
    assert policy.decide(refusal(K.LEASE_CONFLICT, "renew_lease")) == Decision(A.GIVE_UP, 0)


def test_a_kind_may_be_put_back_to_the_policys_own_backoff():
    policy = build({"backoff": {"constant": {"delay": "7ms"}}, "per_kind": {"no_eligible_execution": None}})
    polled = refusal(K.NO_ELIGIBLE_EXECUTION, "read_eligible", "acquire")
    assert policy.decide(polled) == Decision(A.RETRY, 7_000)


def test_two_backoffs_of_one_policy_remember_separately():
    policy = build(
        {
            "backoff": {"decorrelated_jitter": {"base": "10ms"}},
            "per_kind": {"lease_conflict": {"decorrelated_jitter": {"base": "1ms"}}},
            "limits": {"attempts": None},
        },
        lambda: 0.5,
    )
    memory, waits = None, []
    for kind in (K.INVALID_CLAIM_GRANT, K.LEASE_CONFLICT, K.INVALID_CLAIM_GRANT, K.LEASE_CONFLICT):
        asked = refusal(kind, memory=memory)
        waits.append(policy.decide(asked).delay_us)
        memory = asked.memory
    assert waits == ms(20, 2, 35, 3.5)


def test_two_intents_of_one_client_remember_separately():
    policy = build({"backoff": {"decorrelated_jitter": {"base": "10ms"}}}, lambda: 0.5)
    assert [policy.decide(refusal()).delay_us for _ in range(2)] == ms(20, 20)


def test_an_operation_that_does_not_exist_is_an_error_of_the_model():
    with pytest.raises(KeyError, match="claim_it"):
        build("documented", no_draws).decide(refusal(op="claim_it"))


def test_refusals_and_answers_show_themselves():
    assert (
        repr(refusal(nth=2, now_us=5))
        == "Refusal(invalid_claim_grant of claim_execution for finish, nth=2, at 5 us)"
    )
    shown = [repr(observed()), repr(observed(False)), repr(observed(False, K.LEASE_CONFLICT, now_us=9))]
    assert shown == [
        "Observed(ok of claim_execution for finish at 0 us)",
        "Observed(unknown of claim_execution for finish at 0 us)",
        "Observed(lease_conflict of claim_execution for finish at 9 us)",
    ]
