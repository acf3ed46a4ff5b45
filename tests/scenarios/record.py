"""Short runs of every shipped scenario, and the record of their fingerprints.

``python -m tests.scenarios.record`` writes the fingerprints anew. Do so after a change that is meant to
change what happens in a run, or when a scenario is added, and look at the difference: a scenario that
changed though it should not have is a regression.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sim.run import run
from sim.scenario import load, shipped
from sim.study import arm_of

if TYPE_CHECKING:
    from sim.run import RunResult

FILE: Final = Path(__file__).parents[1] / "data" / "fingerprints.json"
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


@cache
def short_run(name: str) -> RunResult:
    """Run the first replication of a shipped scenario, shortened, under its own retry policy."""
    scenario = load(name, [*HORIZON, *OVERRIDES.get(name, ())])
    arm = arm_of(scenario)
    return run(scenario, arm.name, arm.policy)


def recorded() -> dict[str, str]:
    """Give the recorded fingerprints by the scenario's name."""
    fingerprints: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))
    return fingerprints


def main() -> None:
    """Write the fingerprint of every shipped scenario."""
    fingerprints = {name: short_run(name).fingerprint for name in shipped()}
    FILE.write_text(json.dumps(fingerprints, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
