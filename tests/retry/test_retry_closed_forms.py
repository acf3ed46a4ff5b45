"""What theory says of retries, with attempts that fail independently with probability p.

N retries: success 1 - p^(N+1), load (1 - p^(N+1)) / (1 - p). A budget of tokens, when everything fails,
holds the load to 1 + its fill. A budget's break-even point is the p at which its level neither rises nor
falls.
"""

import math

import pytest

from sim.retry import REJECT, Action
from tests.retry.helpers import K, build, observed, refusal, seeded

CALLS = 20_000


class Server:
    """A client, its policy, and a store that fails each attempt with probability p; 1 ms between calls."""

    def __init__(self, policy, p, name="store", every_us=1_000):
        self.policy = build(policy, seeded("policy"))
        self.observe = getattr(self.policy, "observe", None)
        draw = seeded(name)
        self.fails = lambda: draw() < p
        self.every_us = every_us
        self.attempts = self.successes = self.calls = 0

    def call(self):
        """One logical call with all its retries, which take no time."""
        self.calls += 1
        now_us, nth, memory = self.calls * self.every_us, 0, None
        while True:
            self.attempts += 1
            failed = self.fails()
            if self.observe is not None:
                kind = K.LEASE_CONFLICT if failed else None
                self.observe(observed(not failed, kind, "complete_execution", "finish", nth, now_us, memory))
            if not failed:
                self.successes += 1
                return
            nth += 1
            asked = refusal(K.LEASE_CONFLICT, "complete_execution", nth=nth, now_us=now_us, memory=memory)
            action = self.policy.decide(asked).action
            memory = asked.memory
            if action is Action.GIVE_UP:
                return

    def run(self, calls=CALLS):
        for _ in range(calls):
            self.call()
        return self

    @property
    def load(self):
        return self.attempts / self.calls

    @property
    def success(self):
        return self.successes / self.calls


RETRY_IT = {"lease_conflict": {"complete_execution": "retry"}}


def retrying(attempts=None, **parts):
    return {"backoff": "none", "limits": {"attempts": attempts}, "routing": RETRY_IT, **parts}


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_n_retries_succeed_and_load_as_the_geometric_series_says(p, retries):
    server = Server(retrying(retries + 1), p).run()
    success = 1 - p ** (retries + 1)
    load = success / (1 - p)
    # Five standard errors: of a share, and of a count between 1 and N + 1 calls.
    assert abs(server.success - success) < 5 * math.sqrt(success * (1 - success) / CALLS)
    assert abs(server.load - load) <= 5 * max(retries, 0) / 2 / math.sqrt(CALLS)


def test_when_everything_fails_n_retries_load_n_plus_one_times():
    server = Server(retrying(4), 1).run(100)
    assert (server.load, server.success) == (4.0, 0.0)


def test_layers_of_retries_multiply():
    """Three layers of three retries each: 4^3 attempts for one call, when everything fails."""

    def call(layers):
        if layers == 0:
            return 1
        policy, attempts, nth = build(retrying(4)), 0, 0
        while True:
            attempts += call(layers - 1)
            nth += 1
            asked = refusal(K.LEASE_CONFLICT, "complete_execution", nth=nth)
            if policy.decide(asked).action is Action.GIVE_UP:
                return attempts

    assert [call(layers) for layers in (1, 2, 3)] == [4, 16, 64]


def test_a_token_bucket_holds_the_load_to_one_plus_its_fill():
    """A bucket of 5, + 0.1 a call: 4 retries at once, then one each tenth call."""
    assert Server(retrying(budget="token_bucket"), 1).run(100).attempts == 100 + 4 + 10
    assert Server(retrying(budget="token_bucket"), 1).run(10_000).attempts == 10_000 + 4 + 1_000


def test_a_token_bucket_of_a_client_with_one_call_hardly_binds():
    """The bucket is full at first: a client that makes one call retries it four times."""
    attempts = sum(Server(retrying(budget="token_bucket"), 1).run(1).attempts for _ in range(10))
    assert attempts / 10 == 5.0


@pytest.mark.parametrize("rate_per_s", [20, 100, 1000])
def test_finagles_budget_loads_1_2_plus_10_over_r(rate_per_s):
    """Its windows last ttl less up to a slice, which lets up to a ninth more through."""
    server = Server(retrying(budget="finagle"), 1, every_us=1_000_000 // rate_per_s)
    server.run(60 * rate_per_s)
    extra = 0.2 + 10 / rate_per_s
    assert extra * 0.99 <= server.load - 1 <= extra * 1.2


def level_drift(budget, level, p, calls=CALLS, attempts=3):
    """Change of a budget's level per call, from its middle, where neither end is felt."""
    server = Server(retrying(attempts, budget=budget), p)
    guard = server.policy._guards[0]
    before = level(guard)
    server.run(calls)
    return (level(guard) - before) / calls


@pytest.mark.parametrize(("budget", "p_star"), [("aws_standard", 0.321), ("aws_standard_2026", 0.215)])
def test_the_aws_quota_breaks_even_where_its_drift_is_zero(budget, p_star):
    """Three attempts of cost c: (1-p) - c p^2 (1-p) - 2 c p^3 = 0."""

    def level(guard):
        guard._spec = guard._spec.model_copy(update={"capacity": 1_000_000_000})
        guard.available = 500_000_000 if guard.available == 500 else guard.available
        return guard.available

    def drift(p, c):
        return (1 - p) - c * p**2 * (1 - p) - 2 * c * p**3

    cost = {"aws_standard": 5, "aws_standard_2026": 14}[budget]
    assert drift(p_star, cost) == pytest.approx(0, abs=0.01)
    for p in (p_star - 0.1, p_star, p_star + 0.1):
        assert level_drift(budget, level, p) == pytest.approx(drift(p, cost), abs=0.15)


def test_grpc_throttling_breaks_even_at_ratio_over_one_plus_ratio():
    """Below p* = 0.1 / 1.1 the bucket fills and retries go on; above it drains and they stop."""
    p_star = 0.1 / 1.1

    def level(guard):
        if guard._max == 10_000:
            guard._max = 10**12
            guard.tokens = 6 * 10**11
        return guard.tokens / 1000

    for p in (p_star / 2, p_star, 2 * p_star):
        # Each attempt moves the level by +0.1 or -1; there are 1/(1-p) attempts a call.
        expected = (0.1 * (1 - p) - p) / (1 - p)
        assert level_drift("grpc_throttling", level, p, attempts=None) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("p", "loaded"), [(0.05, (1.05, 1.06)), (0.3, (1.0, 1.1)), (1, (1.0, 1.001))])
def test_grpc_throttling_retries_freely_below_and_hardly_above(p, loaded):
    low, high = loaded
    assert low <= Server(retrying(5, budget="grpc_throttling"), p).run().load <= high


def test_google_throttling_sends_k_times_what_the_backend_accepts():
    """A backend that accepts 100/s out of 1,000 calls a second: 2 * 100/s are sent."""
    policy = build({"budget": "google_sre"}, seeded())
    sent = accepted = 0
    for call in range(300_000):
        now_us = call * 1_000
        if policy.before_send(now_us) == REJECT:
            continue
        sent += call >= 180_000
        # The backend takes one attempt for each 10 ms that have passed, and refuses the others.
        took = accepted * 10_000 <= now_us
        accepted += took
        policy.observe(observed(took, None if took else K.RATE_LIMIT_EXCEEDED, now_us=now_us))
    assert sent / 120 == pytest.approx(2 * 100, rel=0.03)


@pytest.mark.parametrize(("callers", "limit", "calls"), [(100, 10, 550), (60, 20, 120), (7, 1, 28)])
def test_a_shared_retry_after_sends_everybody_back_at_once(callers, limit, calls):
    """A window of L for N callers at once, hint = oldest + window - now: N (N/L + 1) / 2 calls."""
    window_ms = 1_000
    policy = build({"limits": {"attempts": None}})
    admitted_ms, made = [], 0
    waiting = [(0, caller, 0) for caller in range(callers)]
    while waiting:
        waiting.sort()
        now_us, caller, nth = waiting.pop(0)
        made += 1
        now_ms = now_us // 1000
        admitted_ms = [at for at in admitted_ms if at > now_ms - window_ms]
        if len(admitted_ms) < limit:
            admitted_ms.append(now_ms)
            continue
        hint_ms = admitted_ms[0] + window_ms - now_ms
        asked = refusal(
            K.RATE_LIMIT_EXCEEDED, "check_admission_and_record", "submit", nth + 1, retry_after_ms=hint_ms
        )
        waiting.append((now_us + policy.decide(asked).delay_us, caller, nth + 1))
    assert made == calls == callers * (callers // limit + 1) // 2


def test_a_shared_retry_after_with_jitter_spreads_the_calls():
    """With up to as much again on top fewer callers come back at the same instant."""
    policy = build({"per_kind": {"rate_limit_exceeded": {"server_hint": {"up_to": 2}}}}, seeded())
    asked = [
        refusal(K.RATE_LIMIT_EXCEEDED, "check_admission_and_record", retry_after_ms=1_000) for _ in range(100)
    ]
    waits = [policy.decide(each).delay_us for each in asked]
    assert len(set(waits)) == 100
    assert min(waits) >= 1_000_000
    assert max(waits) < 2_000_000
