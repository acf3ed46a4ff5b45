"""What a study will need, told before it begins."""

import pytest

from sim.estimate import Estimate, estimate
from sim.limits import Limits
from sim.replication import run
from sim.scenario import load
from sim.study import arm_of
from tests.small import SMALL

STEADY = load("steady", ["horizon={warmup: 0s, run: 40s, drain: 0s}"])


def estimate_of(scenario, limits=Limits(), runs=10, jobs=2):  # noqa: B008 - a constant
    return estimate(scenario, *arm_of(scenario), runs=runs, jobs=jobs, limits=limits)


def test_a_run_that_the_pilot_finishes_is_counted_exactly():
    scenario = load("claim_storm", SMALL)
    found = estimate_of(scenario)
    assert found.attempts == sum(run(scenario, *arm_of(scenario)).attempts["total"].to_pylist())
    assert found.seen_us == scenario.horizon.end_us
    assert not found.is_long


def test_an_even_scenario_is_extrapolated_well():
    """The pilot sees a part of forty seconds of even load; what it says of all is within 15 %."""
    found = estimate_of(STEADY)
    made = sum(run(STEADY, *arm_of(STEADY)).attempts["total"].to_pylist())
    assert found.seen_us < STEADY.horizon.end_us / 2
    assert found.attempts == pytest.approx(made, rel=0.15)


def test_limits_bound_the_estimate():
    found = estimate_of(STEADY, Limits(attempts=1000, memory_bytes=10**8))
    assert (found.attempts, found.memory_bytes) == (1000, 10**8)


def test_runs_that_go_on_at_a_time_take_no_longer():
    one = Estimate(runs=5, jobs=2, attempts=2.34e6, run_s=100.0, memory_bytes=4.4e8, seen_us=1_500_000)
    assert one.seconds == 300
    assert one.is_long
    assert str(one) == (
        "estimate: 5 runs of about 2,300,000 attempts, 2 at a time: about 300 s, 440 MB of memory each "
        "(from the first 1.50 s of simulated time)"
    )
    assert not one._replace(run_s=10.0).is_long
    assert one._replace(run_s=10.0, memory_bytes=3e9).is_long
