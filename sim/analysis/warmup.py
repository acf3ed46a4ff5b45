"""Advice on the warm-up of a steady-state study: how much of the beginning to leave out.

MSER-5 on the number of executions under way, averaged over replications. It is printed and never applied:
tables take the window that the scenario states. Of no use where the load comes in bursts or the run is meant
to end (a backlog that is worked off has no steady state).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from sim.analysis.statistics import MSER_BATCH, mser5
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

BINS: Final = 500
"""Observations of a run: 100 batches of five, so that advice comes in hundredths of the arrivals."""


def level_series(executions: pd.DataFrame, end_us: int, bins: int = BINS) -> NDArray[np.float64]:
    """Give the mean number of executions under way (created, not ended) in equal bins of time.

    Parameters
    ----------
    executions
        Records of one run: ``created_us, finished_us``.
    end_us
        End of the last bin; the first one begins at zero.
    bins
        How many.
    """
    edges: NDArray[np.float64] = np.linspace(0, end_us, bins + 1)
    ended_us = executions["finished_us"].dropna().to_numpy(dtype=float)
    created_us = executions["created_us"].to_numpy(dtype=float)
    return np.diff(_passed(created_us, edges) - _passed(ended_us, edges)) / (end_us / bins)


def advice(series: Mapping[str, Sequence[NDArray[np.float64]]], end_us: int, warmup_us: int) -> pd.DataFrame:
    """Advise each arm.

    Replications are averaged first, as Hoad, Robinson and Davies do ("Automating warm-up length estimation",
    Journal of the Operational Research Society 61, 2010).

    Parameters
    ----------
    series
        The levels of each replication, by arm (:func:`level_series`).
    end_us
        When arrivals end.
    warmup_us
        The warm-up of the scenario.

    Returns
    -------
    pandas.DataFrame
        ``arm``; ``advised_s``, the warm-up that MSER-5 advises; ``settled``, false where it would drop
        half of the series, which means that the run is too short or has no steady state; ``warmup_s`` of the
        scenario; ``enough``, whether that is as long as advised (false unless settled).
    """
    rows = []
    for arm, of_arm in series.items():
        level = np.mean(of_arm, axis=0)
        drop = mser5(level)
        advised_us = drop * end_us / level.size
        settled = drop < level.size // MSER_BATCH // 2 * MSER_BATCH
        rows.append(
            (arm, advised_us / US_PER_S, settled, warmup_us / US_PER_S, settled and advised_us <= warmup_us)
        )
    return pd.DataFrame(rows, columns=["arm", "advised_s", "settled", "warmup_s", "enough"])


def _passed(instants_us: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give, for each edge, the sum of the time that has passed since each instant before it."""
    ordered = np.sort(instants_us)
    before = np.searchsorted(ordered, edges)
    total = np.concatenate([[0.0], ordered.cumsum()])
    passed: NDArray[np.float64] = before * edges - total[before]
    return passed
