"""How often the intervals cover what is known: results/reference/coverage.csv.

``python -m tests.studies.coverage`` takes one partition of the store as the server of an M/M/1 queue: the
submitter's Poisson arrivals each bring one ``create_execution``, requests take no time, service is
exponential with a mean of 10 ms, and there are no other actors. The wait of a customer is what lies between
its arrival and the instant at which its operation takes effect; its mean is ``rho / (mu - lambda)``
(Kleinrock, *Queueing Systems* I, 1975, section 3.2).

A study is ten replications of 2,000 customers after the warm-up and the 95 % interval of the mean wait across
them (:func:`sim.analysis.statistics.t_interval`). There are 1,000 studies at load 0.5 and 1,000 at load
0.9: study k takes replications 10k to 10k + 9 of one seed. A row a load:

``warmup_customers``, ``customers``
    left out, and taken, in each replication. The warm-up is long against the relaxation time
    ``1 / (mu (1 - sqrt(rho))²)`` of the queue, 6 customers at load 0.5 and 342 at load 0.9.
``known_ms``, ``mean_ms``
    the mean wait that is known, and that of all replications.
``covered``, ``coverage``, ``coverage_low``, ``coverage_high``
    studies whose interval holds the known mean; their share; its exact 95 % interval (Clopper and Pearson,
    Biometrika 26, 1934).
``below``, ``above``
    studies whose interval lies below the known mean, and above it.
``half_width``
    mean half-width of the intervals, as a share of the known mean.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import joblib
import numpy as np
import pandas as pd
from scipy import stats

from sim.analysis.statistics import t_interval
from sim.replication import run
from sim.scenario import loads
from sim.units import US_PER_MS

SEED: Final = 20261126
STUDIES: Final = 1000
REPLICATIONS: Final = 10
CUSTOMERS: Final = 2000
SERVICE_MS: Final = 10.0
JOBS: Final = 2
FILE: Final = Path(__file__).parents[2] / "results" / "reference" / "coverage.csv"

_SCENARIO: Final = """
about: One partition of the store as the server of an M/M/1 queue
horizon: {{warmup: 0s, run: {run_ms}ms, drain: 0s}}
seed: {seed}
store: {{partitions: 1, service: {{exponential: {{mean: {service_ms}ms}}}}}}
link: {{request: 0s, reply: 0s, timeout: 1h}}
workload: {{arrivals: {{poisson: {{rate: {rate}/s}}}}, classes: {{job: {{work: 1ms}}}}}}
workers: {{count: 0}}
schedulers: {{count: 0}}
reconcilers: {{count: 0}}
"""


class Load(NamedTuple):
    """A load, and how many customers are left out at the beginning."""

    rho: float
    warmup: int

    @property
    def known_ms(self) -> float:
        """The mean wait."""
        return self.rho * SERVICE_MS / (1 - self.rho)

    def scenario(self) -> Any:
        """Make it last for so long that a tenth more customers come than are needed."""
        rate = self.rho * 1000 / SERVICE_MS
        run_ms = round(1100 * (self.warmup + CUSTOMERS) / rate)
        return loads(_SCENARIO.format(run_ms=run_ms, seed=SEED, service_ms=SERVICE_MS, rate=rate))


HALF: Final = Load(0.5, 300)
HEAVY: Final = Load(0.9, 2000)


def mean_wait_ms(load: Load, replication: int) -> float:
    """Run once; give the mean wait of the customers that count."""
    scenario = load.scenario()
    result = run(scenario, "arm", scenario.retry, replication)
    wanted = slice(load.warmup, load.warmup + CUSTOMERS)
    intents = pd.DataFrame({name: result.intents[name].to_numpy() for name in ("execution", "start_us")})
    created = pd.DataFrame({name: result.executions[name].to_numpy() for name in ("execution", "created_us")})
    both = created.merge(intents, on="execution", validate="1:1").sort_values("execution").iloc[wanted]
    if len(both) < CUSTOMERS:
        raise ValueError(f"replication {replication}: {len(both)} customers where {CUSTOMERS} are needed")
    return float((both["created_us"] - both["start_us"]).mean()) / US_PER_MS


def study(load: Load, studies: int = STUDIES) -> dict[str, Any]:
    """Make so many intervals and count those that hold the known mean."""
    numbers = range(studies * REPLICATIONS)
    waits = joblib.Parallel(n_jobs=JOBS, batch_size=50)(
        joblib.delayed(mean_wait_ms)(load, n) for n in numbers
    )
    intervals = [t_interval(row) for row in np.reshape(waits, (studies, REPLICATIONS))]
    below = sum(each.high < load.known_ms for each in intervals)
    above = sum(each.low > load.known_ms for each in intervals)
    covered = studies - below - above
    exact = stats.binomtest(covered, studies).proportion_ci(0.95, method="exact")
    return {
        "load": load.rho, "seed": SEED, "studies": studies, "replications": REPLICATIONS,
        "warmup_customers": load.warmup, "customers": CUSTOMERS, "known_ms": load.known_ms,
        "mean_ms": float(np.mean(waits)), "covered": covered, "coverage": covered / studies,
        "coverage_low": float(exact.low), "coverage_high": float(exact.high), "below": below, "above": above,
        "half_width": float(np.mean([(each.high - each.low) / 2 for each in intervals])) / load.known_ms,
    }  # fmt: skip


def main() -> None:
    """Write the table and print it."""
    table = pd.DataFrame([study(load) for load in (HALF, HEAVY)])
    table.to_csv(FILE, index=False, lineterminator="\n", float_format="%.6g")
    table.T.to_string(sys.stdout, header=False)
    print(f"\n{FILE}")


if __name__ == "__main__":
    main()
