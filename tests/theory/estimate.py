"""From replications of a case to its line of the table.

Each replication gives a pair (x, y), such as blocked arrivals and arrivals of the window, with
E[x] = expected E[y] exactly in the steady state. The estimate is the ratio of the sums. The mean of ratios
would be biased by terms of one over the length of a run; the ratio of sums is by one over that of all runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import joblib
import numpy as np

from sim.analysis.statistics import t_interval
from sim.replication import run
from tests.theory import models

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.theory.cases import Case

FAMILY_LEVEL = 0.99
"""Probability that all intervals of a table hold what they should, at least (Bonferroni)."""


class Estimate(NamedTuple):
    """What came of a case: the simulated value, its interval, and how far theory lies from it.

    Attributes
    ----------
    simulated, low, high : float
        Ratio of the means, with the interval that is simultaneous over the table.
    z : float
        (simulated - expected) / standard error: Student's t with 19 degrees of freedom at 20 replications.
    """

    simulated: float
    low: float
    high: float
    z: float


def observe(case: Case, seed: int, replication: int) -> models.Observation:
    """Simulate one replication and give its pair."""
    scenario = models.scenario(seed, case.model)
    return case.observe(run(scenario, "theory", case.policy(scenario, replication), replication))


def estimate(case: Case, pairs: Sequence[models.Observation], table_size: int = 1) -> Estimate:
    """Compare the replications of a case with theory.

    The interval is Student's, of the values ratio + (x - ratio y) / mean(y): the ratio estimator's
    linearisation (Cochran, *Sampling Techniques*, chapter 6), one value a replication.

    Parameters
    ----------
    table_size
        Intervals that are to hold together: each gets the level 1 - 0.01 / table_size.
    """
    x, y = np.array(pairs, dtype=float).T
    ratio = float(x.sum() / y.sum())
    values = ratio + (x - ratio * y) / y.mean()
    interval = t_interval(values, 1 - (1 - FAMILY_LEVEL) / table_size)
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    return Estimate(ratio, interval.low, interval.high, (ratio - case.expected) / error)


def simulate(
    cases: Sequence[tuple[Case, int]], replications: int, jobs: int
) -> list[list[models.Observation]]:
    """Simulate cases with their seeds; the pairs of each, in the order of its replications."""
    tasks = [(case, seed, number) for case, seed in cases for number in range(replications)]
    pairs = joblib.Parallel(n_jobs=jobs)(joblib.delayed(observe)(*task) for task in tasks)
    return [pairs[first : first + replications] for first in range(0, len(tasks), replications)]
