"""Speed of the attempt path, as a ratio within one run: no absolute figure outlives its machine."""

from statistics import median
from time import process_time

import pytest

from sim.replication import run
from sim.scenario import load
from tests.benchmarks.skeleton import operations_per_second

ROUNDS = 7
WORKERS = 1000

# At least this share of the bare skeleton's operations per second, with recording on.
FLOOR = 0.25

STORM = [f"workers.count={WORKERS}", "horizon.run=8s", "horizon.drain=0s"]


def _simulated_operations_per_second(overrides, messages_a_dispatch):
    scenario = load("claim_storm", [*STORM, *overrides])
    began = process_time()
    result = run(scenario, "documented", scenario.retry)
    seconds = process_time() - began
    attempts = sum(result.attempts.column("total").to_pylist())
    dispatches = result.intents.column("goal").to_pylist().count("dispatch")
    return attempts, (attempts + messages_a_dispatch * dispatches) / seconds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "messages_a_dispatch"),
    [(["workers.claim=direct"], 0), (["workers.claim=scheduler"], 2)],
    ids=["direct", "scheduler"],
)
def test_the_attempt_path_keeps_a_quarter_of_the_skeletons_speed(overrides, messages_a_dispatch, capsys):
    attempts, _ = _simulated_operations_per_second(overrides, messages_a_dispatch)
    ratios = []
    for _ in range(ROUNDS):
        bare = operations_per_second(WORKERS, attempts)
        _, full = _simulated_operations_per_second(overrides, messages_a_dispatch)
        ratios.append(full / bare)
    with capsys.disabled():
        shown = ", ".join(f"{ratio:.3f}" for ratio in sorted(ratios))
        print(f"\n{overrides[0]}: {attempts} attempts, ratio to bare SimPy {median(ratios):.3f} ({shown})")
    assert median(ratios) >= FLOOR
