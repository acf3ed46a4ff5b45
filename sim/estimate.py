"""How long a study will take and how much memory it needs, before it begins.

A pilot runs the first thousands of attempts of the first replication and extrapolates by simulated time. It
is as good as the beginning of a scenario is typical of the rest: a burst at the start makes it too high, a
burst later too low, so it says what it was made from. The results of a study never depend on it.
"""

from __future__ import annotations

import math
from time import process_time
from typing import TYPE_CHECKING, Final, NamedTuple

from sim.analysis.text import duration
from sim.limits import Limits, format_bytes, resident_bytes
from sim.replication import run
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from sim.retry import PolicySpec
    from sim.scenario import Scenario

_PILOT_ATTEMPTS: Final = (5_000, 60_000)
_LONG_S: Final = 60.0
_LARGE_BYTES: Final = 2e9

_BYTES_PER_ATTEMPT: Final = 200
"""What a run holds at its peak, records becoming tables included, over what it began with: measured on
claim_storm with direct claims, 1.92 GB at 10 million attempts."""


class Estimate(NamedTuple):
    """What a study will need, roughly.

    Attributes
    ----------
    runs, jobs : int
        How many replications there are to run, and how many at a time.
    attempts : float
        Of a run.
    run_s : float
        Wall-clock seconds of a run on this machine.
    memory_bytes : float
        Of each process.
    seen_us : int
        Simulated microseconds that this was taken from.
    """

    runs: int
    jobs: int
    attempts: float
    run_s: float
    memory_bytes: float
    seen_us: int

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all runs."""
        return math.ceil(self.runs / self.jobs) * self.run_s

    @property
    def is_long(self) -> bool:
        """Whether one would rather know before: more than a minute, or more than 2 GB."""
        return self.seconds > _LONG_S or self.memory_bytes > _LARGE_BYTES

    def __str__(self) -> str:
        runs = "1 run" if self.runs == 1 else f"{self.runs:,} runs"
        attempts, seconds = (float(f"{value:.2g}") for value in (self.attempts, self.seconds))
        return (
            f"estimate: {runs} of about {attempts:,.0f} attempts, {self.jobs} at a time: about "
            f"{duration(1e3 * seconds)}, {format_bytes(self.memory_bytes)} of memory each (from the first "
            f"{duration(self.seen_us / US_PER_MS)} of simulated time)"
        )


def estimate(
    scenario: Scenario, arm: str, policy: PolicySpec, *, runs: int, jobs: int, limits: Limits
) -> Estimate:
    """Run the beginning of the first replication and extrapolate; look further where that seems long.

    Parameters
    ----------
    scenario, arm, policy
        What will be run.
    runs
        How many replications of whatever arm.
    jobs
        How many at a time.
    limits
        What each run may use.
    """
    for enough in _PILOT_ATTEMPTS:
        rough = _extrapolate(
            scenario, arm, policy, runs, jobs, limits, min(enough, limits.attempts or enough)
        )
        if not rough.is_long:
            break
    return rough


def _extrapolate(
    scenario: Scenario, arm: str, policy: PolicySpec, runs: int, jobs: int, limits: Limits, enough: int
) -> Estimate:
    began = process_time()  # other processes may be starting beside it
    pilot = run(scenario, arm, policy, limits=Limits(attempts=enough))
    took_s = process_time() - began
    end_us = scenario.horizon.end_us
    seen_us = end_us if pilot.truncation is None else max(1, pilot.truncation.at_us)
    made = sum(pilot.attempts["total"].to_pylist())
    attempts = min(made * end_us / seen_us, limits.attempts or math.inf)
    memory = resident_bytes() + _BYTES_PER_ATTEMPT * attempts
    return Estimate(
        runs=runs,
        jobs=max(1, min(jobs, runs)),
        attempts=attempts,
        run_s=took_s * attempts / max(made, 1),
        memory_bytes=min(memory, limits.memory_bytes or math.inf),
        seen_us=seen_us,
    )
