"""tenacity's own strategies on simulated time and an owned stream."""

import random
import sys

import pytest

from sim.replication import run
from sim.retry import Action, Decision, PolicyError, parse_policy
from sim.retry.tenacity_adapter import StreamRandom, Tenacity
from sim.scenario import load
from tests.retry.helpers import POLL_US, K, build, refusal, scripted, seeded, waits_of

ADAPTER = "sim.retry.tenacity_adapter:Tenacity"


def test_without_tenacity_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "tenacity", None)
    with pytest.raises(PolicyError, match="class: this policy needs the package tenacity"):
        parse_policy({"class": ADAPTER})


def test_a_generator_on_a_stream_draws_from_nothing_else():
    stream = StreamRandom(scripted(0.25, 0.5, 0.0, 0.75))
    assert stream.random() == 0.25
    assert stream.uniform(10, 20) == 15.0
    assert stream.choice("abcd") == "a"
    assert stream.randrange(4) == 3
    with pytest.raises(NotImplementedError):
        stream.getrandbits(8)


class TestWithTenacity:
    """What needs the package."""

    @pytest.fixture(autouse=True)
    def _tenacity(self):
        pytest.importorskip("tenacity")

    def policy(self, uniform=None, **params):
        return build({"class": ADAPTER, "params": params}, uniform or seeded())

    def test_its_waits_are_waited_on_simulated_time(self):
        policy = self.policy(wait={"wait_exponential": {"multiplier": 0.05, "max": 1}})
        assert waits_of(policy, 7) == [50_000, 100_000, 200_000, 400_000, 800_000, 1_000_000, 1_000_000]

    def test_its_draws_come_from_the_owned_stream(self):
        policy = self.policy(
            scripted(0.5, 0.25), wait={"wait_random_exponential": {"multiplier": 1, "max": 60}}
        )
        assert waits_of(policy, 2) == [500_000, 500_000]

    def test_it_leaves_pythons_own_generator_alone(self):
        before = random.getstate()
        first = waits_of(self.policy(wait={"wait_random": [0, 1]}), 50)
        assert waits_of(self.policy(wait={"wait_random": [0, 1]}), 50) == first
        assert len(set(first)) == 50
        assert random.getstate() == before
        import tenacity.wait

        assert tenacity.wait.random is random

    def test_the_generator_is_put_back_when_a_strategy_fails(self):
        policy = self.policy(wait="tests.retry.test_retry_tenacity:broken_wait")
        with pytest.raises(ZeroDivisionError):
            policy.decide(refusal())
        import tenacity.wait

        assert tenacity.wait.random is random

    def test_it_gives_the_same_waits_as_this_projects_model_of_it(self):
        adapter = self.policy(
            seeded("same"), wait={"wait_exponential_jitter": {"multiplier": 0.1, "max": 5, "jitter": 1}}
        )
        model = build({"backoff": "stamina", "limits": {"attempts": None}}, seeded("same"))
        for ours, theirs in zip(waits_of(model, 12), waits_of(adapter, 12), strict=True):
            assert abs(ours - theirs) <= 1

    def test_a_strategy_sees_the_number_of_the_attempt_in_its_outcome_too(self):
        policy = self.policy(wait="tests.retry.test_retry_tenacity:as_many_seconds")
        assert waits_of(policy, 3) == [1_000_000, 2_000_000, 3_000_000]

    def test_its_stops_end_an_intent(self):
        policy = self.policy(stop={"stop_after_attempt": [3]})
        assert [policy.decide(refusal(nth=nth)).action for nth in (1, 2, 3)] == [
            Action.NEW_GRANT, Action.NEW_GRANT, Action.GIVE_UP,
        ]  # fmt: skip
        assert policy.decide(refusal(nth=3)) == Decision(Action.GIVE_UP, 0)

    def test_its_stops_never_end_a_slots_wait_for_a_lease(self):
        policy = self.policy(stop={"stop_after_attempt": [1]})
        assert policy.decide(refusal(goal="acquire", nth=9)) == Decision(Action.NEW_GRANT, 0)
        assert policy.decide(refusal(None, goal="acquire", nth=9)) == Decision(Action.RETRY, POLL_US)

    def test_its_stops_see_simulated_time_and_the_wait_to_come(self):
        after = self.policy(stop={"stop_after_delay": [10]}, wait={"wait_fixed": [1]})
        assert after.decide(refusal(elapsed_us=9_999_999)).action is Action.NEW_GRANT
        assert after.decide(refusal(elapsed_us=10_000_000)).action is Action.GIVE_UP
        before = self.policy(stop={"stop_before_delay": [10]}, wait={"wait_fixed": [1]})
        assert before.decide(refusal(elapsed_us=8_999_999)).action is Action.NEW_GRANT
        assert before.decide(refusal(elapsed_us=9_000_000)).action is Action.GIVE_UP

    def test_strategies_may_be_made_of_strategies(self):
        policy = self.policy(
            wait={
                "wait_chain": [
                    {"wait_fixed": [1]},
                    {"wait_combine": [{"wait_fixed": [2]}, {"wait_fixed": [3]}]},
                ]
            },
            stop={"stop_any": [{"stop_after_attempt": [4]}, {"stop_after_delay": [60]}]},
        )
        assert waits_of(policy, 3) == [1_000_000, 5_000_000, 5_000_000]
        assert policy.decide(refusal(nth=4)).action is Action.GIVE_UP
        assert policy.decide(refusal(nth=2, elapsed_us=60_000_000)).action is Action.GIVE_UP

    def test_a_strategy_made_in_python_sees_the_refusal_and_what_was_waited(self):
        policy = self.policy(wait="tests.retry.test_retry_tenacity:hint_or_idle")
        asked = refusal(K.CONCURRENCY_LIMIT_EXCEEDED, "check_admission_and_record", retry_after_ms=250)
        assert policy.decide(asked).delay_us == 250_000
        again = refusal(K.LEASE_CONFLICT, nth=2, memory=asked.memory)
        assert policy.decide(again).delay_us == 500_000

    def test_routing_is_the_documented_one(self):
        policy = self.policy(wait={"wait_fixed": [1]})
        skipped = refusal(K.EXECUTION_NOT_IN_ELIGIBLE_SET, "issue_claim_grant")
        assert policy.decide(skipped) == Decision(Action.SKIP, 0)
        polled = refusal(K.NO_ELIGIBLE_EXECUTION, "read_eligible", "acquire")
        assert policy.decide(polled) == Decision(Action.RETRY, POLL_US)
        hinted = refusal(K.RATE_LIMIT_EXCEEDED, "check_admission_and_record", retry_after_ms=5)
        assert policy.decide(hinted) == Decision(Action.RETRY, 5_000)

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"wait": "wait_expo"}, "params.wait: tenacity has no strategy 'wait_expo' (did you mean"),
            ({"stop": {"stop_now": []}}, "params.stop: tenacity has no strategy {'stop_now': []} ("),
            ({"wait": {"wait_fixed": {"x": 1}}}, "params.wait: tenacity refuses {'wait_fixed': {'x': 1}}:"),
            ({"wait": "nowhere:wait"}, "params.wait: cannot import 'nowhere:wait': No module named"),
            ({"wait": "sim.retry:__name__"}, "params.wait: 'sim.retry:__name__' is not a strategy"),
            ({"wait": 5}, "params.wait: tenacity has no strategy 5 ("),
        ],
    )  # fmt: skip
    def test_a_strategy_that_tenacity_does_not_know(self, params, message):
        with pytest.raises(PolicyError) as refused:
            parse_policy({"class": ADAPTER, "params": params})
        assert str(refused.value).startswith(message)

    def test_whole_simulations_under_it_repeat_exactly_and_leave_pythons_own_generator_alone(self):
        policy = parse_policy({"class": ADAPTER, "params": {
            "wait": {"wait_random_exponential": {"multiplier": 0.05, "max": 5}},
            "stop": {"stop_after_attempt": [12]},
        }})  # fmt: skip
        scenario = load("kinds/stale_graph_revision", ["horizon.warmup=0s", "horizon.run=5s"])
        first = run(scenario, "arm", policy)
        before = random.getstate()
        random.random()
        assert run(scenario, "arm", policy).fingerprint == first.fingerprint
        random.setstate(before)
        assert run(scenario, "arm", policy, 1).fingerprint != first.fingerprint
        waits = [row["delay_us"] for row in first.contentions.to_pylist() if row["action"] == "reread"]
        assert len(set(waits)) > 20
        assert random.getstate() == before

    def test_it_is_written_out_like_any_class_of_ones_own(self):
        written = {"class": ADAPTER, "params": {"wait": {"wait_fixed": [1]}}}
        assert parse_policy(written).canonical() == written
        assert isinstance(parse_policy(written).build(seeded(), 1), Tenacity)


def hint_or_idle(state):
    """Wait the hint, or twice what was waited so far."""
    hint_ms = state.outcome.exception().refusal.retry_after_ms
    return 2 * state.idle_for if hint_ms is None else hint_ms / 1000


def as_many_seconds(state):
    return state.outcome.attempt_number


def broken_wait(_):
    return 1 / 0
