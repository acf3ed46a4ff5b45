"""Every shipped scenario runs, does what it did when it was last recorded, and says what it expects."""

import pytest

from sim.replication import run
from sim.scenario import load, shipped
from tests.scenarios.record import COMMAND, OVERRIDES, STATISTICS, UNDER_WAY, recorded, short_run, statistics


@pytest.mark.parametrize("name", shipped())
def test_a_scenario_does_what_it_did(name):
    """The same records as when they were last recorded, to the last byte."""
    fingerprints = recorded()
    assert name in fingerprints, f"{name} has no recorded fingerprint; record it: {COMMAND}"
    assert short_run(name).fingerprint == fingerprints[name], (
        f"the short run of {name} gives other records than the recorded ones. If the change of the model or "
        f"of the scenario is meant to do that, or after new versions in requirements.lock: {COMMAND}"
    )


@pytest.mark.parametrize("name", shipped())
def test_what_is_computed_of_a_scenario_is_what_it_was(name):
    """The same tables from the same records, to the last byte."""
    known = recorded(STATISTICS)
    assert name in known, f"{name} has no recorded statistics; record them: {COMMAND}"
    if short_run(name).fingerprint != recorded().get(name):
        pytest.skip("its records have changed, so its statistics have to")
    assert statistics(name) == known[name], (
        f"the records of {name} are as recorded, and what is computed from them is not. If a statistic is "
        f"meant to have changed, or after new versions in requirements.lock: {COMMAND}"
    )


@pytest.mark.parametrize("name", shipped())
def test_a_scenario_keeps_its_promise(name):
    """It says what it is about and what to expect, and what must never occur does not."""
    scenario = load(name)
    assert scenario.about.strip()
    assert scenario.expect.sometimes or scenario.expect.never, f"{name} expects nothing"
    occurring = set(short_run(name).contentions["kind"].to_pylist())
    broken = [kind.value for kind in scenario.expect.never if kind.value in occurring]
    assert broken == [], f"{name} says that these never occur"


@pytest.mark.parametrize("name", shipped())
def test_a_scenario_says_what_always_and_eventually_holds(name):
    """Short runs are checked: they would end with the first invariant that is broken."""
    expect = load(name).expect
    assert {"one_live_lease", "fences_hold", "accounted_for"} <= set(expect.always)
    assert "intents_settled" in expect.eventually
    assert UNDER_WAY.get(name, set()) <= set(expect.eventually)


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped())
def test_a_scenario_keeps_all_its_promises_at_full_length(name):
    scenario = load(name)
    run(scenario, "own", scenario.retry, check=True)


def test_nothing_is_kept_of_scenarios_that_are_gone():
    gone = sorted(
        (recorded().keys() | recorded(STATISTICS).keys() | OVERRIDES.keys() | UNDER_WAY.keys())
        - shipped().keys()
    )
    assert gone == [], f"neither shipped nor to be recorded any more; after mending OVERRIDES: {COMMAND}"


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ("field/claim_by_racing", "field/claim_next", {"workers"}),
        ("field/redrive_fixed", "field/redrive_jittered", {"retry"}),
    ],
)
def test_what_is_to_be_compared_differs_in_one_thing(one, other, difference):
    first, second = load(one).resolved(), load(other).resolved()
    differing = {key for key in first if first[key] != second[key]}
    assert differing - {"about", "expect"} == difference


def test_workers_that_race_and_workers_that_do_not_differ_in_how_they_claim():
    racing, taking = load("field/claim_by_racing").workers, load("field/claim_next").workers
    assert racing.model_copy(update={"claim": "next"}) == taking


def test_a_burst_at_a_sliding_window_needs_as_many_calls_as_the_formula_says():
    """N callers at once, L places a window, exact hints: N(N/L+1)/2 calls, N of them admitted."""
    burst = "workload.arrivals={burst: {count: 100}}"
    scenario = load("field/retry_after_herd", ["horizon.run=1min", "horizon.drain=10s", burst])
    attempts = run(scenario, "documented", scenario.retry).attempts.to_pylist()
    answers = {row["answer"]: row["total"] for row in attempts if row["op"] == "check_admission_and_record"}
    assert answers == {"ok": 100, "refused": 200}


def test_seven_of_ten_signals_at_once_find_no_attempt_left():
    """(N-3)/N of N transactions that overlap wholly: each attempt lets one of them through."""
    scenario = load("field/three_attempts", ["horizon.run=2s", "horizon.drain=2s", "retry=none"])
    contentions = run(scenario, "none", scenario.retry).contentions.to_pylist()
    first = [row for row in contentions if row["kind"] == "retry_exhausted" and row["nth"] == 1]
    assert len(first) == 7
