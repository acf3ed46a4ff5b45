"""Short runs of every shipped scenario, and the record of their fingerprints.

``python -m tests.scenarios.record`` writes the fingerprints anew. Do so after a change that is meant to
change what happens in a run, or when a scenario is added, and look at the difference: a scenario that
changed though it should not have is a regression. Each scenario has two: one over the records, one over the
statistics that are computed from them. Where the second alone has changed, a statistic has, and no run.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from sim import output, results
from sim.replication import run
from sim.scenario import load, shipped
from sim.study import arm_of

if TYPE_CHECKING:
    from sim.replication import RunResult

FILE: Final = Path(__file__).parents[1] / "data" / "fingerprints.json"
STATISTICS: Final = FILE.with_name("statistics.json")
COMMAND: Final = "python -m tests.scenarios.record"

HORIZON: Final = ("horizon.warmup=0s", "horizon.run=2s", "horizon.drain=2s")
OVERRIDES: Final = {
    # What makes these situations must happen within the short horizon.
    "worker_crashes": (
        "horizon.run=12s",
        "faults=[{crash: {workers: 0.33, at: 1s, down: 2s}}, {pause: {workers: 6, at: 2s, for: 5s}}]",
    ),
    "atlas": ("horizon.run=40s",),
    "claim_storm": ("horizon.run=8s",),
    # Each client costs a twentieth of a second before all begin.
    "aws_backoff": ("horizon.run=5s", "workload.flows.shape.fan_out=20", "workload.flows.builders=20"),
    "retry_storm": (
        "horizon.run=30s",
        "workload.arrivals={phases: [{rate: 8/s, for: 5s}, {rate: 30/s, for: 5s}, {rate: 8/s}]}",
    ),
    "kinds/execution_not_active": ("horizon.run=15s",),
    "kinds/execution_not_reclaimable": ("horizon.run=15s",),
    "kinds/not_a_resumed_execution": ("horizon.run=25s",),
    "field/redrive_fixed": ("horizon.run=1min",),
    "field/redrive_jittered": ("horizon.run=1min",),
    "field/retry_after_herd": ("horizon.run=30s", "horizon.drain=10s"),
    "field/three_attempts": ("horizon.run=4s",),
    "field/paused_worker": ("horizon.run=1min",),
    "field/store_outage": ("horizon.run=10s", "faults=[{store_outage: {from: 2s, to: 8s}}]"),
    # A smaller backlog costs a test less and is contended for just as much.
    "field/claim_by_racing": ("workload.arrivals.burst.count=1000",),
    "field/claim_next": ("workload.arrivals.burst.count=1000",),
}
"""What the short run of a scenario changes besides the horizon."""

UNDER_WAY: Final = {
    "claim_storm": {"drained"},
    "worker_crashes": {"drained"},
    "kinds/execution_not_active": {"drained"},
    "kinds/rate_limit_exceeded": {"drained"},
    "kinds/use_claim_resumed_execution": {"drained"},
    "retry_storm": {"intents_settled"},
    "field/paused_worker": {"drained", "no_orphans"},
    "field/store_outage": {"drained", "no_orphans", "intents_settled"},
    "field/redrive_fixed": {"drained", "intents_settled"},
    "field/redrive_jittered": {"drained", "intents_settled"},
}
"""What a scenario promises for the end of its own drain, and the short one is too short for."""


@cache
def short_run(name: str) -> RunResult:
    """Run the first replication of a shipped scenario, shortened, under its own policy, with all checks."""
    scenario = load(name, [*HORIZON, *OVERRIDES.get(name, ())])
    kept = [each for each in scenario.expect.eventually if each not in UNDER_WAY.get(name, ())]
    expect = scenario.expect.model_copy(update={"eventually": tuple(kept)})
    scenario = scenario.model_copy(update={"expect": expect})
    arm = arm_of(scenario)
    return run(scenario, arm.name, arm.policy, check=True)


def statistics(name: str) -> str:
    """Give the fingerprint of the small tables of a short run: what is computed from its records."""
    result = short_run(name)
    manifest = output.Manifest(
        name="short",
        scenario={"seed": 0},
        arms={result.arm: {}},
        seeds=[0],
        replications=1,
        window_us=result.window_us,
    )
    with TemporaryDirectory() as out:
        partial = output.begin(out, manifest)
        output.write_part(partial, result, result.window_us)
        directory = output.assemble(partial, manifest, host={})
        return results.open(directory).statistics_fingerprint


def recorded(file: Path = FILE) -> dict[str, str]:
    """Give the recorded fingerprints by the scenario's name."""
    fingerprints: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return fingerprints


def main() -> None:
    """Write the fingerprints of every shipped scenario."""
    for file, fingerprint in ((FILE, lambda name: short_run(name).fingerprint), (STATISTICS, statistics)):
        fingerprints = {name: fingerprint(name) for name in shipped()}
        file.write_text(json.dumps(fingerprints, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
