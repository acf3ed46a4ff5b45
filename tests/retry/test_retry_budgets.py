"""Budgets: what pays for a retry, what refills, and when the answer is no."""

import math

import pytest

from sim.retry import REJECT, Action
from sim.retry.guards import SlidingSum
from tests.retry.helpers import K, build, no_draws, observed, refusal, scripted

GIVE_UP, AGAIN = Action.GIVE_UP, Action.NEW_GRANT


class Client:
    """A client with one policy; ``fail`` and ``succeed`` are attempts of one intent."""

    def __init__(self, budget, uniform=None, **more):
        never = {"attempts": None, "acquire": True}
        self.policy = build({"backoff": "none", "limits": never, "budget": budget, **more}, uniform)
        self.memory = None
        self.nth = 0

    @property
    def state(self):
        return self.policy._guards[-1]

    def fail(self, kind=K.INVALID_CLAIM_GRANT, op="claim_execution", now_us=0):
        self.policy.observe(observed(False, kind, op, "finish", self.nth, now_us, self.memory))
        self.nth += 1
        asked = refusal(kind, op, nth=self.nth, now_us=now_us, memory=self.memory)
        action = self.policy.decide(asked).action
        self.memory = asked.memory
        return action

    def succeed(self, op="claim_execution", now_us=0):
        self.policy.observe(observed(True, None, op, "finish", self.nth, now_us, self.memory))

    def new_intent(self):
        self.memory, self.nth = None, 0


def test_aws_costs_by_the_kind_of_failure():
    for budget, costs in [
        ("aws_standard", {"refused": 5, "unanswered": 10, "throttled": 5}),
        ("aws_standard_2026", {"refused": 14, "unanswered": 14, "throttled": 5}),
    ]:
        spent = {}
        for what, kind in [
            ("refused", K.LEASE_CONFLICT), ("unanswered", None), ("throttled", K.RATE_LIMIT_EXCEEDED),
        ]:  # fmt: skip
            client = Client(budget)
            client.fail(kind)
            spent[what] = 500 - client.state.available
        assert spent == costs


def test_aws_gives_back_the_last_cost_for_a_success_that_was_retried_and_one_otherwise():
    client = Client("aws_standard")
    client.fail(K.LEASE_CONFLICT)
    client.fail(None)
    assert client.state.available == 500 - 5 - 10
    client.succeed()
    assert client.state.available == 495
    client.succeed()
    assert client.state.available == 496


def test_aws_gives_nothing_back_for_failures_and_never_more_than_it_holds():
    client = Client({"aws_standard": {"capacity": 12}})
    client.succeed()
    assert client.state.available == 12
    assert [client.fail() for _ in range(3)] == [AGAIN, AGAIN, GIVE_UP]
    assert client.state.available == 2
    client.new_intent()
    assert client.fail() is GIVE_UP
    for _ in range(3):
        client.succeed()
    assert client.fail() is AGAIN
    assert client.state.available == 0


def test_a_success_of_another_operation_does_not_pay_back_a_retry():
    """A refused claim is answered by a new grant: only the claim's own success returns its cost."""
    client = Client("aws_standard")
    client.fail(op="claim_execution")
    client.succeed("read_eligible")
    assert client.state.available == 496
    client.succeed("issue_claim_grant")
    client.succeed("claim_execution")
    assert client.state.available == 500


def test_a_redispatch_is_a_retry_of_the_operation_that_is_sent_instead():
    client = Client("aws_standard")
    assert client.fail(K.USE_CLAIM_RESUMED_EXECUTION, "claim_execution") is Action.REDISPATCH
    client.succeed("claim_resumed_execution")
    assert client.state.available == 500


def test_neither_a_poll_nor_what_is_no_further_attempt_is_paid_for():
    client = Client("aws_standard")
    assert client.fail(K.NO_ELIGIBLE_EXECUTION, "read_eligible") is Action.RETRY
    assert client.fail(K.EXECUTION_NOT_IN_ELIGIBLE_SET, "issue_claim_grant") is Action.SKIP
    assert client.fail(K.EXECUTION_NOT_ACTIVE, "complete_execution") is Action.RECONCILE
    assert client.state.available == 500


def test_a_limit_that_ends_the_intent_costs_nothing():
    client = Client("aws_standard", limits={"attempts": 2})
    assert [client.fail(), client.fail()] == [AGAIN, GIVE_UP]
    assert client.state.available == 495


def test_grpc_stops_after_the_fifth_net_failure():
    client = Client("grpc_throttling")
    assert [client.fail() for _ in range(6)] == [AGAIN] * 4 + [GIVE_UP] * 2
    for _ in range(11):
        client.succeed()
    assert client.state.tokens == 5_100
    client.policy.observe(observed(False, K.LEASE_CONFLICT))
    assert client.state.tokens == 4_100


def test_a_budget_that_only_decides_on_retries_holds_nothing_back():
    assert Client("grpc_throttling").policy.before_send(0) == 0


def test_grpc_tokens_stay_between_nothing_and_their_maximum():
    client = Client("grpc_throttling")
    client.succeed()
    assert client.state.tokens == 10_000
    for _ in range(30):
        client.fail()
    assert client.state.tokens == 0


@pytest.mark.parametrize(
    ("counts", "failures"),
    [("any", [1, 1, 1, 0]), ("overload", [1, 1, 0, 0]), ("unknown", [1, 0, 0, 0])],
)
def test_which_answers_are_failures(counts, failures):
    counted = []
    for kind in (None, K.CONCURRENCY_LIMIT_EXCEEDED, K.LEASE_CONFLICT, K.NO_ELIGIBLE_EXECUTION):
        client = Client({"grpc_throttling": {"counts": counts}})
        client.policy.observe(observed(False, kind))
        counted.append(int(client.state.tokens < 10_000))
    assert counted == failures


def test_finagle_allows_its_reserve_and_a_share_of_the_requests():
    client = Client({"finagle": {"min_retries_per_s": 0.2}})  # a reserve of 2 in 10 s
    assert [client.fail() for _ in range(3)] == [AGAIN, AGAIN, GIVE_UP]
    for _ in range(4):
        client.succeed("renew_lease")  # with the first try of the claim five requests: one retry more
    assert [client.fail(), client.fail()] == [AGAIN, GIVE_UP]


def test_finagle_counts_no_retry_as_a_request():
    client = Client("finagle")
    client.fail()
    assert client.state._sum.total == 1000 - 5000
    client.succeed()
    assert client.state._sum.total == 1000 - 5000
    client.succeed()
    assert client.state._sum.total == 2000 - 5000


def test_finagle_forgets_after_its_ttl():
    client = Client({"finagle": {"min_retries_per_s": 0.1}})
    assert [client.fail(now_us=0), client.fail(now_us=1)] == [AGAIN, GIVE_UP]
    assert client.fail(now_us=9_999_999) is GIVE_UP
    assert client.fail(now_us=10_000_000) is AGAIN


def test_finagle_without_a_share_has_its_reserve_alone_and_without_that_nothing():
    reserve = Client({"finagle": {"percent_can_retry": 0, "min_retries_per_s": 0.1}})
    assert [reserve.fail(), reserve.fail()] == [AGAIN, GIVE_UP]
    nothing = Client({"finagle": {"percent_can_retry": 0, "min_retries_per_s": 0}})
    assert nothing.fail() is GIVE_UP


def test_envoy_bounds_retries_that_wait_or_are_under_way():
    client = Client("envoy")
    policy, state = client.policy, client.state
    memories = []
    for _ in range(4):
        policy.before_send(0)
        client.new_intent()
        client.fail()
        memories.append(client.memory)
    assert (state.retries, state.active) == (3, 0)  # the fourth was refused
    policy.before_send(0)
    policy.observe(observed(True, memory=memories[0]))
    assert (state.retries, state.active) == (2, 0)
    policy.ended(memories[1])  # given up while it waited
    policy.ended(memories[1])
    policy.ended(None)
    assert state.retries == 1


def test_an_intent_whose_retry_led_elsewhere_holds_one_place_with_envoy():
    """A claim is refused, so a grant is asked for, and that is refused too: still one retry of one intent."""
    client = Client({"envoy": {"min_retry_concurrency": 5}})
    assert client.fail(op="claim_execution") is AGAIN
    assert client.fail(K.LEASE_CONFLICT, "issue_grant_and_claim") is Action.OTHER_EXECUTION
    assert client.state.retries == 1
    client.policy.observe(observed(True, op="issue_grant_and_claim", memory=client.memory))
    assert client.state.retries == 0


def test_envoy_allows_a_share_of_the_attempts_under_way():
    client = Client({"envoy": {"min_retry_concurrency": 0, "budget_percent": 0.2}})
    assert [client.policy.before_send(0) for _ in range(11)] == [0] * 11
    answers = []
    for _ in range(3):
        client.new_intent()
        client.policy.before_send(0)
        answers.append(client.fail())
    assert answers == [AGAIN, AGAIN, AGAIN]  # 0, 1 and 2 retries below 20 % of 11
    client.new_intent()
    client.policy.before_send(0)
    assert client.fail() is GIVE_UP


def test_google_rejects_what_would_probably_not_be_accepted():
    client = Client("google_sre", scripted(0.66, 0.67))
    policy = client.policy
    assert [policy.before_send(0) for _ in range(1)] == [0]
    policy.observe(observed(False, None))
    # One request, none accepted: p = 1/2; then 2/3.
    client.policy._uniform = scripted(0.5, 0.66)
    assert policy.before_send(0) == 0
    assert policy.before_send(0) == REJECT
    # Three requests, one accepted: p = (3 - 2)/4.
    policy.observe(observed())
    client.policy._uniform = scripted(0.25)
    assert policy.before_send(0) == 0


def test_google_draws_only_when_it_may_reject_and_forgets_after_its_window():
    client = Client({"google_sre": {"window": "2min"}}, scripted())
    policy = client.policy
    policy.before_send(0)
    policy.observe(observed())
    assert policy.before_send(0) == 0  # one request, one accept
    policy._uniform = scripted(0.0)
    for _ in range(3):
        policy.observe(observed(False, None))
    assert policy.before_send(1) == 0  # 2 requests, 2 * 1 accepted
    assert policy.before_send(2) == REJECT  # 3 requests
    assert policy.before_send(120_000_000) == 0  # everything is forgotten


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        (None, 0), (K.RATE_LIMIT_EXCEEDED, 0), (K.CONCURRENCY_LIMIT_EXCEEDED, 0), (K.LEASE_CONFLICT, 1),
        (K.NO_ELIGIBLE_EXECUTION, 1),
    ],
)  # fmt: skip
def test_google_takes_any_answer_but_one_of_overload_for_an_accept(kind, accepted):
    client = Client("google_sre")
    client.policy.observe(observed(False, kind))
    assert client.state._accepts.total == accepted


def test_token_bucket_allows_a_retry_while_more_than_one_token_is_there():
    client = Client("token_bucket")
    answers = [client.fail() for _ in range(5)]
    assert answers == [AGAIN] * 4 + [GIVE_UP]  # 5 tokens: full, then 4, 3, 2 and 1 left
    assert client.state.tokens == 1_000
    client.new_intent()
    assert client.fail() is AGAIN  # 0.1 of a first try
    assert client.state.tokens == 100


def test_token_bucket_may_be_filled_by_successes_instead():
    client = Client({"token_bucket": {"fills": "success", "capacity": 2}})
    assert [client.fail(), client.fail()] == [AGAIN, GIVE_UP]
    client.new_intent()
    assert client.fail() is GIVE_UP
    client.succeed()
    assert client.fail() is AGAIN


def test_aws_adaptive_is_silent_until_the_first_throttling_error():
    client = Client("aws_adaptive")
    assert [client.policy.before_send(0) for _ in range(100)] == [0] * 100
    client.fail(None)
    assert client.state.enabled is False
    client.fail(K.RATE_LIMIT_EXCEEDED)
    assert client.state.enabled is True
    assert client.state.available == 500 - 10 - 5


def test_aws_adaptive_follows_the_curve_from_the_start_before_any_error():
    """One answer in two seconds: 0.4 a second are measured; 0.4 * 2 s cubed is more than twice that."""
    client = Client("aws_adaptive")
    client.policy.observe(observed(now_us=2_000_000))
    assert (client.state._measured, client.state.rate) == (0.4, 0.8)
    client.policy.observe(observed(now_us=2_100_000))
    assert client.state.rate == 0.8
    assert client.policy.before_send(2_100_000) == 0


def test_aws_adaptive_follows_the_cubic_curve():
    """Ten answers a second for one second, a throttling error, then successes."""
    client = Client("aws_adaptive")
    policy, state = client.policy, client.state
    for tenth in range(10):
        policy.observe(observed(now_us=tenth * 100_000))
    # Answers 1 to 6 fill the half second up to 0.5 s: (6 / 0.5) * 0.8.
    policy.observe(observed(False, K.RATE_LIMIT_EXCEEDED, now_us=1_000_000))
    measured = (5 / 0.5) * 0.8 + 9.6 * 0.2  # the five after it, and the smoothed rest
    assert state._measured == pytest.approx(measured)
    assert state.rate == pytest.approx(0.7 * measured)
    w_max, k = measured, math.cbrt(measured * 0.3 / 0.4)
    policy.observe(observed(now_us=1_200_000))
    assert state.rate == pytest.approx(0.4 * (0.2 - k) ** 3 + w_max)
    policy.observe(observed(False, K.RATE_LIMIT_EXCEEDED, now_us=1_300_000))
    lowered = 0.4 * (0.2 - k) ** 3 + w_max
    assert state.rate == pytest.approx(0.7 * min(measured, lowered))
    # Asked by itself: tokens that are left over are no wait below zero.
    assert state.before_send(9_000_000, no_draws) == 0


def test_aws_adaptive_makes_sends_wait_for_their_tokens():
    client = Client("aws_adaptive")
    client.policy.observe(observed(False, K.RATE_LIMIT_EXCEEDED, now_us=100_000))
    state = client.state
    assert state.rate == 0.5  # nothing was measured yet: the floor
    # The bucket filled at 1/s for 0.1 s before the error: 0.9 of a token is missing, at 0.5/s.
    assert client.policy.before_send(100_000) == pytest.approx(1_800_000, abs=1)
    assert client.policy.before_send(100_000) == pytest.approx(3_800_000, abs=1)
    assert client.policy.before_send(10_000_000) == 0


def test_aws_adaptive_never_sends_faster_than_twice_what_it_measured():
    client = Client("aws_adaptive")
    for second in range(100):
        kind = K.RATE_LIMIT_EXCEEDED if second == 0 else None
        client.policy.observe(observed(kind is None, kind, now_us=second * 1_000_000))
    assert client.state.rate == pytest.approx(2 * client.state._measured)


def test_a_sliding_sum_drops_whole_slices():
    window = SlidingSum(1_000, 10)
    window.add(50, 3)
    window.add(950, 4)
    window.advance(999)
    assert window.total == 7
    window.advance(1_000)
    assert window.total == 4
    window.advance(1_950)
    assert window.total == 0
    window.add(1_000_000, 1)
    assert window.total == 1


def test_a_sliding_sum_shorter_than_its_slices_still_moves():
    window = SlidingSum(3, 10)
    window.add(0, 1)
    window.advance(9)
    assert window.total == 1
    window.advance(10)
    assert window.total == 0
