"""The closed forms of retries hold in whole simulations: a submitter, a link that loses, a store, a policy.

A request or reply is lost with a probability of its own and found out by a time-out, so attempts fail
independently. Nothing else takes time or goes wrong: the store serves at once, and there are no workers.
"""

import math
from collections import Counter

import pytest

from sim.replication import run
from sim.retry import parse_policy
from sim.scenario import loads

CALLS = 4_000
QUIET = f"""
about: submissions over a link that loses
horizon: {{warmup: 0s, run: {CALLS}ms, drain: 10s}}
store: {{partitions: 1, service: 0s}}
link: {{request: 1ms, reply: 1ms, timeout: 5ms}}
workload: {{arrivals: {{deterministic: {{rate: 1000/s}}}}, classes: {{job: {{work: 0s}}}}}}
workers: {{count: 0}}
schedulers: {{count: 0}}
reconcilers: {{count: 0}}
"""


def submissions(policy, *overrides, replication=0):
    """Give what each submission came to: whether it succeeded, and in how many attempts."""
    spec = parse_policy(policy)
    rows = run(loads(QUIET, overrides), "arm", spec, replication).intents.to_pylist()
    rows.sort(key=lambda row: row["start_us"])
    return [(row["resolution"] == "recovered", row["attempts"]) for row in rows]


def retrying(attempts=None, **parts):
    return {"backoff": "none", "limits": {"attempts": attempts}, **parts}


def load_of(made):
    return sum(attempts for _, attempts in made) / len(made)


def success_of(made):
    return sum(succeeded for succeeded, _ in made) / len(made)


@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize(
    ("p", "loss"),
    [
        (0.1, ["link.lose_request=0.1"]),
        (0.5, ["link.lose_reply=0.5"]),
        (1 - 0.5 * 0.2, ["link.lose_request=0.5", "link.lose_reply=0.8"]),
    ],
)
def test_n_retries_succeed_and_load_as_the_geometric_series_says(p, loss, retries):
    """Success 1 - p^(N+1), load (1 - p^(N+1)) / (1 - p), whichever way is lost."""
    made = submissions(retrying(retries + 1), *loss)
    assert len(made) == CALLS - 1  # the one that would come as arrivals end is none of them
    success = 1 - p ** (retries + 1)
    assert abs(success_of(made) - success) <= 5 * math.sqrt(success * (1 - success) / CALLS)
    # A count between 1 and N + 1 has a standard deviation of at most N / 2.
    assert abs(load_of(made) - success / (1 - p)) <= 5 * retries / 2 / math.sqrt(CALLS)


EVERYTHING_FAILS = "link.lose_request=1.0"


def test_when_everything_fails_n_retries_load_n_plus_one_times():
    assert set(submissions(retrying(4), EVERYTHING_FAILS)) == {(False, 4)}


def test_a_token_bucket_holds_the_load_to_one_plus_its_fill():
    """A bucket of 5, and 0.1 more with each call: 4 retries from the start, then one each tenth call."""
    made = submissions(retrying(budget="token_bucket"), EVERYTHING_FAILS)
    retries = sum(attempts for _, attempts in made) - len(made)
    assert abs(retries - (4 + len(made) / 10)) <= 1


@pytest.mark.parametrize(("budget", "cost"), [("aws_standard", 10), ("aws_standard_2026", 14)])
def test_the_aws_quota_is_spent_once_when_everything_fails(budget, cost):
    """500 tokens, and a retry after a missing answer costs 10 (14 since 2026): none comes back."""
    made = submissions(retrying(3, budget=budget), EVERYTHING_FAILS)
    assert sum(attempts for _, attempts in made) - len(made) == 500 // cost


def test_grpc_throttling_stops_at_half_of_its_tokens_when_everything_fails():
    """10 tokens less one a failure; retries go on while more than 5 are left: after four failures."""
    made = submissions(retrying(4, budget="grpc_throttling"), EVERYTHING_FAILS)
    assert sum(attempts for _, attempts in made) - len(made) == 4


@pytest.mark.parametrize("rate_per_s", [20, 100])
def test_finagles_budget_loads_1_2_plus_10_over_r_when_everything_fails(rate_per_s):
    """Its windows last ttl less up to a slice, which lets up to a ninth more through."""
    made = submissions(
        retrying(budget="finagle"), EVERYTHING_FAILS, "horizon.run=60s",
        f"workload.arrivals.deterministic.rate={rate_per_s}/s",
    )  # fmt: skip
    extra = 0.2 + 10 / rate_per_s
    assert extra * 0.99 <= load_of(made) - 1 <= extra * 1.2


@pytest.mark.parametrize(("p", "throttled"), [(0.04, False), (0.3, True)])
def test_grpc_throttling_retries_freely_below_its_break_even_point_and_hardly_above(p, throttled):
    """p* = ratio / (1 + ratio) = 0.0909."""
    made = submissions(retrying(4, budget="grpc_throttling"), f"link.lose_request={p}")
    free = (1 - p**4) / (1 - p)
    if throttled:
        assert load_of(made) - 1 < 0.1 * (free - 1)
    else:
        assert load_of(made) == pytest.approx(free, abs=5 * math.sqrt(p / CALLS))


def given_up_early(made):
    """The places of submissions that failed before their third attempt: the quota was empty."""
    return [place for place, (succeeded, attempts) in enumerate(made) if not succeeded and attempts < 3]


def aws_drift(p, cost):
    """Tokens that a call adds to the quota on average, with three attempts."""
    return (1 - p) - cost * p**2 * (1 - p) - 2 * cost * p**3


@pytest.mark.parametrize(("budget", "cost", "p_star"), [("aws_standard", 10, 0.246),
                                                        ("aws_standard_2026", 14, 0.215)])  # fmt: skip
def test_the_aws_quota_lasts_below_its_break_even_point_and_is_used_up_above(budget, cost, p_star):
    """Above it, 500 tokens last for 500 / -drift calls; a call moves the level by 20 (28) at most."""
    assert aws_drift(p_star, cost) == pytest.approx(0, abs=0.01)
    policy = retrying(3, budget=budget)
    below, above, replications = p_star - 0.08, p_star + 0.1, 6
    assert given_up_early(submissions(policy, f"link.lose_request={below}")) == []
    lasted = [
        given_up_early(submissions(policy, f"link.lose_request={above}", "horizon.run=2s", replication=each))[
            0
        ]
        for each in range(replications)
    ]
    calls = 500 / -aws_drift(above, cost)
    spread = cost * math.sqrt(calls) / -aws_drift(above, cost)
    assert sum(lasted) / replications == pytest.approx(calls, abs=4 * spread / math.sqrt(replications))


@pytest.mark.parametrize(("callers", "limit", "calls"), [(100, 10, 550), (60, 20, 120), (7, 1, 28)])
def test_a_shared_retry_after_sends_everybody_back_at_once(callers, limit, calls):
    """A sliding window of L for N callers at once, exact hints: N (N/L + 1) / 2 calls."""
    burst = f"workload.arrivals={{burst: {{count: {callers}}}}}"
    quota = f"quotas={{api: {{window: 1s, rate: {limit}, at: submit}}}}"
    scenario = loads(QUIET, [burst, quota, "horizon.run=1min"])
    result = run(scenario, "arm", parse_policy({"limits": {"attempts": None}}))
    answers = Counter()
    for row in result.attempts.to_pylist():
        if row["op"] == "check_admission_and_record":
            answers[row["answer"]] += row["total"]
    assert answers == {"ok": callers, "refused": calls - callers}
    assert calls == callers * (callers // limit + 1) // 2


def test_google_throttling_sends_k_times_what_is_accepted():
    """Of 1,000 submissions a second a quota lets 100 through: of what is sent, half is accepted."""
    policy = {"limits": {"attempts": 1}, "budget": {"google_sre": {"window": "10s"}}}
    scenario = loads(QUIET, ["quotas={api: {window: 1s, rate: 100, at: submit}}", "horizon.run=30s"])
    result = run(scenario, "arm", parse_policy(policy), keep_attempts=True)
    rows = [row for row in result.attempt_rows.to_pylist() if row["sent_us"] >= 15_000_000]
    accepted = sum(row["code"] in ("OK", "ADMITTED") for row in rows)
    assert accepted > 1_000
    assert len(rows) / accepted == pytest.approx(2, rel=0.05)
