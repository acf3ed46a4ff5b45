"""Circuit breakers: when they open, what they let through, and what closes them."""

from sim.retry import REJECT
from tests.retry.helpers import K, build, observed


class Circuit:
    def __init__(self, breaker):
        self.policy = build({"breaker": breaker})

    @property
    def state(self):
        return self.policy._guards[0].state

    def answer(self, good, now_us=0):
        self.policy.observe(observed(good, None if good else K.LEASE_CONFLICT, now_us=now_us))

    def send(self, now_us=0):
        answer = self.policy.before_send(now_us)
        assert answer in (0, REJECT)
        return answer == 0


def test_five_failures_in_a_row_open_it_for_a_minute():
    circuit = Circuit("consecutive_failures")
    for good in (False, False, False, False, True, False, False, False, False):
        circuit.answer(good)
    assert circuit.send()
    circuit.answer(False, now_us=7)
    assert circuit.state == "open"
    assert not circuit.send(now_us=7)
    assert not circuit.send(now_us=60_000_006)
    assert circuit.send(now_us=60_000_007)
    assert circuit.state == "half_open"


def opened(breaker="consecutive_failures", failures=5):
    circuit = Circuit(breaker)
    for _ in range(failures):
        circuit.answer(False)
    assert circuit.state == "open"
    return circuit


def test_a_good_probe_closes_it():
    circuit = opened()
    assert [circuit.send(60_000_000) for _ in range(3)] == [True, False, False]
    circuit.answer(True, now_us=60_000_100)
    assert circuit.state == "closed"
    assert all(circuit.send(60_000_200) for _ in range(10))
    for _ in range(4):
        circuit.answer(False)
    assert circuit.state == "closed"


def test_a_bad_probe_opens_it_again_from_then_on():
    circuit = opened()
    assert circuit.send(60_000_000)
    circuit.answer(False, now_us=61_000_000)
    assert not circuit.send(120_999_999)
    assert circuit.send(121_000_000)


def test_several_probes_must_all_be_good():
    circuit = opened({"consecutive_failures": {"probes": 2}})
    assert [circuit.send(60_000_000) for _ in range(3)] == [True, True, False]
    circuit.answer(True, now_us=60_000_001)
    assert circuit.state == "half_open"
    circuit.answer(True, now_us=60_000_002)
    assert circuit.state == "closed"


def test_answers_that_come_while_it_is_open_change_nothing():
    circuit = opened()
    for _ in range(10):
        circuit.answer(True, now_us=1)
    assert circuit.state == "open"


def test_probes_that_are_never_answered_are_written_off():
    circuit = opened()
    assert circuit.send(60_000_000)
    assert not circuit.send(119_999_999)
    assert circuit.send(120_000_000)


def test_an_empty_read_is_no_failure():
    circuit = Circuit("consecutive_failures")
    for _ in range(10):
        circuit.policy.observe(observed(False, K.NO_ELIGIBLE_EXECUTION, op="read_eligible"))
    assert circuit.state == "closed"


def test_only_what_counts_opens_it():
    circuit = Circuit({"consecutive_failures": {"counts": "unknown"}})
    for _ in range(10):
        circuit.answer(False)
    assert circuit.state == "closed"
    for _ in range(5):
        circuit.policy.observe(observed(False, None))
    assert circuit.state == "open"


def test_half_of_the_last_hundred_calls_open_it():
    circuit = Circuit("failure_ratio")
    for _ in range(99):
        circuit.answer(False)
    assert circuit.state == "closed"  # it does not judge before the hundredth
    circuit.answer(True)
    assert circuit.state == "open"


def test_only_the_last_calls_count():
    circuit = Circuit({"failure_ratio": {"calls": 4, "minimum": 4}})
    for good in (False, True, True, True, True, True, False):
        circuit.answer(good)
    assert circuit.state == "closed"  # true true true false
    circuit.answer(False)
    assert circuit.state == "open"  # true true false false


def test_a_minimum_above_the_calls_that_are_kept_means_all_of_them():
    circuit = Circuit({"failure_ratio": {"calls": 3}})
    for _ in range(3):
        circuit.answer(False)
    assert circuit.state == "open"


def test_the_ratio_of_ten_probes_decides():
    for bad, state in [(4, "closed"), (5, "open")]:
        circuit = opened("failure_ratio", failures=100)
        assert sum(circuit.send(60_000_000) for _ in range(20)) == 10
        for probe in range(10):
            circuit.answer(probe >= bad, now_us=60_000_001)
        assert circuit.state == state


def test_pollys_breaker_looks_back_half_a_minute_and_probes_once():
    circuit = Circuit("polly_breaker")
    for call in range(99):
        circuit.answer(call >= 20, now_us=0)
    assert circuit.state == "closed"  # 20 % of them failed, but it takes a hundred
    circuit.answer(True, now_us=30_000_000)
    assert circuit.state == "closed"  # the others are forgotten
    for call in range(99):
        circuit.answer(call >= 10, now_us=30_000_000)
    assert circuit.state == "open"  # 10 of 100
    assert circuit.send(35_000_000)
    circuit.answer(False, now_us=35_000_000)
    assert circuit.state == "open"
    assert circuit.send(40_000_000)
    circuit.answer(True, now_us=40_000_000)
    assert circuit.state == "closed"


def test_what_a_breaker_rejects_no_budget_sees():
    policy = build({"breaker": "consecutive_failures", "budget": "envoy"})
    for _ in range(5):
        policy.before_send(0)
        policy.observe(observed(False, K.LEASE_CONFLICT))
    assert policy.before_send(0) == REJECT
    assert policy._guards[1].active == 0
