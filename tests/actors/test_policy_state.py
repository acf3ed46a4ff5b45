"""Whose state a policy's memory is: an intent's, a client's (one process), or that of the whole fleet.

Worker 0 meets a store that answers nothing until 10 ms: each attempt is unknown after 1 ms.
"""

from itertools import pairwise

import pytest

from sim.retry import parse_policy
from tests.actors.little import attempts, contentions, intents, simulate

OUTAGE = "{store_outage: {from: 0s, to: 10ms}}"
CRASH = "{crash: {workers: 1.0, at: 5500us, down: 5500us}}"
SILENT = (
    "workload.arrivals.burst.count=0",
    "workers={count: 1, poll: 1ms, claim: direct}",
    "link.timeout=1ms",
)


def opened_after(failures, **parts):
    """A breaker that opens after so many failures in a row, and stays open for the rest of the run."""
    breaker = {"consecutive_failures": {"failures": failures, "open": "1min", "counts": "unknown", **parts}}
    return parse_policy({"backoff": "none", "limits": {"attempts": None}, "breaker": breaker})


def sent_by(result, actor):
    return [sent_us for who, sent_us in attempts(result, "actor", "sent_us") if who == actor]


def test_a_clients_breaker_is_its_own_for_as_long_as_its_process_lives():
    """Unanswered at 1 ms and 3 ms, it is open: the worker, which polls, sends nothing any more."""
    result = simulate(*SILENT, f"faults=[{OUTAGE}]", policy=opened_after(2))
    assert sent_by(result, "worker/0") == [0, 2_000]


def test_a_crash_takes_the_clients_state_with_it():
    """The process that starts at 11 ms knows of no failure: it sends again, and is answered."""
    result = simulate(*SILENT, f"faults=[{OUTAGE}, {CRASH}]", policy=opened_after(2))
    sent = sent_by(result, "worker/0")
    assert sent[:3] == [0, 2_000, 11_000]
    assert len(sent) > 5


def test_the_state_of_a_fleet_outlives_a_crash():
    result = simulate(*SILENT, f"faults=[{OUTAGE}, {CRASH}]", policy=opened_after(2, scope="fleet"))
    assert sent_by(result, "worker/0") == [0, 2_000]


@pytest.mark.parametrize(
    ("scope", "sent"),
    [
        ("client", {"worker/0": [0, 2_000, 4_000], "worker/1": [0, 2_000, 4_000]}),
        # The third failure of the two of them is worker 0's second: worker 1's second attempt is under way.
        ("fleet", {"worker/0": [0, 2_000], "worker/1": [0, 2_000]}),
    ],
)
def test_three_failures_of_one_client_or_of_all_of_them(scope, sent):
    policy = opened_after(3, scope=scope)
    result = simulate(*SILENT, "workers.count=2", f"faults=[{OUTAGE}]", policy=policy)
    assert {actor: sent_by(result, actor) for actor in sent} == sent


def test_a_pause_takes_nothing_away():
    pause = "{pause: {workers: 1.0, at: 5500us, for: 5500us}}"
    result = simulate(*SILENT, f"faults=[{OUTAGE}, {pause}]", policy=opened_after(2))
    assert sent_by(result, "worker/0") == [0, 2_000]


CONTENDED = (
    "workload.arrivals.burst.count=1", "workers={count: 6, poll: 1ms, claim: direct}", "horizon.run=9ms",
)  # fmt: skip


def test_what_an_intent_remembers_ends_with_it():
    """Decorrelated jitter: each wait is up to three times the one before, and each intent begins anew."""
    policy = parse_policy({
        "backoff": {"decorrelated_jitter": {"base": "100us", "cap": None}},
        "routing": "naive", "limits": {"attempts": 4, "acquire": True},
    })  # fmt: skip
    result = simulate(*CONTENDED, "workload.arrivals.burst.count=3", policy=policy)
    waits = {}
    for intent, action, delay_us in contentions(result, "intent", "action", "delay_us"):
        if action == "retry":
            waits.setdefault(intent, []).append(delay_us)
    assert len(waits) > 6  # more than one for each of the six workers
    for each in waits.values():
        for before, delay_us in pairwise([100, *each]):
            assert 100 <= delay_us < 3 * before


@pytest.mark.parametrize(("at_us", "sent"), [(12_700, 1), (13_500, 2)])
def test_a_crash_gives_back_what_its_process_held_of_a_fleets_budget(at_us, sent):
    """The fleet retries once at a time. The worker dies while its retry waits, or while it is under way.

    Its next process meets another outage, and may retry: nothing of the fleet's is lost with the first.
    """
    envoy = {"envoy": {"budget_percent": 0, "min_retry_concurrency": 1, "scope": "fleet"}}
    policy = parse_policy(
        {"backoff": {"constant": {"delay": "1ms"}}, "limits": {"attempts": None}, "budget": envoy}
    )
    outages = "{store_outage: {from: 5ms, to: 17ms}}, {store_outage: {from: 25ms, to: 1min}}"
    crash = f"{{crash: {{workers: 1.0, at: {at_us}us, down: 5ms}}}}"
    result = simulate(
        "workload.arrivals.burst.count=2", "workers={count: 1, poll: 1ms, claim: direct}", "link.timeout=1ms",
        "horizon.run=40ms", f"faults=[{outages}, {crash}]", policy=policy,
    )  # fmt: skip
    first, second = (row[3:] for row in intents(result) if row[0] == "finish")
    assert first == (11_150, at_us, "abandoned", "crash", sent)
    assert second[2] == "open"
    assert second[4] > 2
