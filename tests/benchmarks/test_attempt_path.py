"""Speed of the attempt path, as ratios within one run: no absolute figure outlives its machine."""

from statistics import median

import pytest

from sim.scenario import load
from tests.benchmarks.ladder import ROUNDS, STORM, WORKERS, rungs, shares, table, whole_model
from tests.benchmarks.skeleton import simpy_skeleton

# At least these shares of the bare skeleton's speed, far below what is measured on a quiet machine: a guard.
FLOOR_RECORDED, FLOOR_UNRECORDED = 0.25, 0.33


@pytest.mark.slow
def test_the_attempt_path_keeps_its_share_of_the_skeletons_speed(capsys):
    found = rungs()
    with capsys.disabled():
        print("\n" + table(found))
    kept = {name: median(of_rung) for name, of_rung in shares(found).items()}
    assert kept["records"] >= FLOOR_RECORDED
    assert kept["actors"] >= FLOOR_UNRECORDED
    # Recording costs at most a third of a run.
    assert (
        median(1 - bare / full for bare, full in zip(found["actors"], found["records"], strict=True)) <= 1 / 3
    )


@pytest.mark.slow
def test_asking_schedulers_costs_little_more_a_message(capsys):
    """Where a scheduler dispatches, a request and its grant are two messages: they count here."""
    scenario = load("claim_storm", [*STORM, "workers.claim=scheduler"])
    ratios = []
    for _ in range(ROUNDS):
        seconds, result = whole_model(scenario)
        attempts = sum(result.attempts.column("total").to_pylist())
        sent = attempts + 2 * result.intents.column("goal").to_pylist().count("dispatch")
        ratios.append(simpy_skeleton(WORKERS, attempts) * sent / seconds)
    with capsys.disabled():
        shown = ", ".join(f"{ratio:.3f}" for ratio in sorted(ratios))
        print(f"\nclaim: scheduler, {sent} attempts and messages: {median(ratios):.3f} ({shown})")
    assert median(ratios) >= 0.2
