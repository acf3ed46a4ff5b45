"""How many signals are exhausted: one winner a round where they meet at a row, none where they do not."""

from functools import partial
from itertools import pairwise
from math import sqrt

import pytest

from sim.distributions import Exponential
from sim.rng import Streams
from sim.store import StoreRules
from tests.transactions.bench import Bench, signal

BY_PARTITION = StoreRules(transactions="serializable", conflict_granularity="partition")
RUNS = 40
SIZES = (2, 4, 8, 16, 32)


def exhausted(bench):
    answers = bench.answers()
    return sum(code == "retry_exhausted" for _, code in answers) / len(answers)


def one_waitpoint(count, **link):
    """So many signals to one waitpoint, at the same instant, that satisfy nothing."""
    bench = Bench(connections=max(count, 1), **link)
    bench.suspend(1)
    for number in range(count):
        bench.send(0, "deliver_signal", *signal(1, number))
    return exhausted(bench)


def one_each(count, rules=None, **link):
    """So many executions of a partition, each with a signal that satisfies its condition, all at once."""
    bench = Bench(rules, connections=count, **link)
    bench.suspend(*range(count))
    for execution in range(count):
        bench.send(0, "deliver_signal", *signal(execution, execution, "go"))
    share = exhausted(bench)
    resumed = sum(bench.store.dimensions(e)["lifecycle_phase"] == "runnable" for e in range(count))
    assert resumed == count - round(share * count)
    return share


@pytest.mark.parametrize("count", range(1, 33))
def test_all_but_three_of_simultaneous_signals_to_a_waitpoint_are_exhausted(count):
    assert one_waitpoint(count) == max(0, (count - 3) / count)


@pytest.mark.parametrize("count", range(2, 33))
def test_signals_to_different_executions_are_never_exhausted_by_row(count):
    assert one_each(count) == 0


@pytest.mark.parametrize("count", range(2, 33))
def test_by_partition_all_but_three_of_them_are_exhausted(count):
    assert one_each(count, BY_PARTITION) == max(0, (count - 3) / count)


def shares(case, request):
    """Mean share over runs, and its standard error, by number of signals."""
    found = {}
    for count in SIZES:
        values = [
            case(count, seed=seed, request={"exponential": {"mean": request}}, statement=statements(seed))
            for seed in range(RUNS)
        ]
        mean = sum(values) / RUNS
        error = sqrt(sum((value - mean) ** 2 for value in values) / (RUNS - 1) / RUNS)
        found[count] = (mean, error)
    return found


def statements(seed):
    return Exponential(mean="80us").draws(Streams(seed, 1).of("statement"))


@pytest.mark.parametrize(
    "case",
    [one_waitpoint, partial(one_each, rules=BY_PARTITION)],
    ids=["one waitpoint", "by partition"],
)
def test_with_random_delays_the_share_rises_with_the_number_of_signals(case, capsys):
    curve = shares(case, "300us")
    with capsys.disabled():
        shown = ", ".join(f"{count}: {mean:.3f} ± {error:.3f}" for count, (mean, error) in curve.items())
        print(f"\nexhausted share by number of signals, random delays: {shown}")
    for (_, (fewer, one)), (_, (more, other)) in pairwise(curve.items()):
        assert more >= fewer - 2 * sqrt(one**2 + other**2)
    assert curve[2][0] == 0  # one rival can be lost against once
    assert curve[32][0] > 0.5


def test_spread_out_over_a_longer_time_fewer_are_exhausted():
    at_once = shares(one_waitpoint, "100us")
    spread = shares(one_waitpoint, "50ms")
    assert spread[32][0] < at_once[32][0] / 2
