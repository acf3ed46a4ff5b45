"""What a run achieved, in one row.

Attempts, intents by end, goodput, amplification, fairness, the sojourn and its parts, wasted and duplicate
work, and the mean levels of the window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sim.analysis.frequency import RUN
from sim.analysis.levels import AT_WORK, IN_FLIGHT, STORE, window_levels
from sim.analysis.sojourn import PARTS
from sim.analysis.statistics import jain, t_interval
from sim.units import US_PER_MS, US_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

UNITS = {
    "attempts": "", "unknown": "", "contentions": "", "intents": "", "recovered": "", "satisfied": "",
    "abandoned": "", "open": "", "relayed": "", "arrived": "", "unfinished": "", "completed": "",
    "goodput_per_s": "1/s", "amplification": "attempts per achieved intent", "fairness": "1/n to 1",
    "sojourn_mean": "ms", "sojourn_p50": "ms", "sojourn_p90": "ms", "sojourn_p99": "ms",
    **{f"sojourn_{part}": "ms" for part in PARTS},
    "worked_s": "s", "wasted_s": "s", "wasted_share": "share of worked_s", "duplicates": "",
    "attempts_in_flight": "", "workers_at_work": "", "store_utilisation": "share",
    "busiest_partition": "share", "drain_s": "s",
}  # fmt: skip
"""The measures of a run and their units; those without are counts or, of levels, mean counts."""

_SOJOURN_QUANTILES = {"sojourn_p50": 0.5, "sojourn_p90": 0.9, "sojourn_p99": 0.99}


def outcomes(
    intents: pd.DataFrame,
    executions: pd.DataFrame,
    attempts: pd.DataFrame,
    series: pd.DataFrame,
    window_us: tuple[int, int],
) -> dict[str, float | int]:
    """Measure one run.

    Parameters
    ----------
    intents
        Records of one run with ``goal, actor, actor_kind, resolution, attempts, in_window``.
    executions
        Records of one run with ``created_us, finished_us, outcome, in_window``, the parts of the sojourn
        (``waiting_us``, ...), ``worked_us, wasted_us, duplicated``.
    attempts
        Aggregated attempts of one run: ``answer, kind, count``.
    series
        Levels over time of one run (:func:`sim.analysis.levels.series_table`).
    window_us
        Start and end of the window: [start, end).

    Returns
    -------
    dict
        By name, as in :data:`UNITS`, and ``window_s``, the window's length in simulated seconds.
        ``attempts``, ``unknown`` (no answer in time) and ``contentions`` were
        done in the window. ``intents`` began in it; ``recovered`` ... ``relayed`` is how they ended.
        ``arrived`` executions were created in it, ``unfinished`` of them never ended; ``completed`` ones
        ended with success in it, wherever they began; ``goodput_per_s`` is that per second.
        ``amplification``: attempts of the intents begun in the window per one of them that recovered.
        ``fairness``: Jain's index of the completions of each worker. ``sojourn_*``: from creation to end,
        of executions that were created in the window and ended; the means of the parts sum to
        ``sojourn_mean``. ``worked_s``: what workers spent on the executions created in the window, then or
        later; ``wasted_s`` of it under leases that do not count; ``duplicates``, how many of them two workers
        were at work on at once. Means over the window: ``attempts_in_flight``, ``workers_at_work`` (slots),
        ``store_utilisation`` (busy sessions over all) and that of the ``busiest_partition``. ``drain_s``: see
        :func:`drain_s`. NaN where there
        is nothing to measure.
    """
    begun = intents.loc[intents["in_window"]]
    window_s = (window_us[1] - window_us[0]) / US_PER_S
    ends = begun["resolution"].value_counts()
    arrived = executions.loc[executions["in_window"]]
    finished_us = executions["finished_us"]
    success = (executions["outcome"] == "success") & finished_us.between(*window_us, inclusive="left")
    completed, recovered = int(success.fillna(False).sum()), int(ends.get("recovered", 0))
    values: dict[str, float | int] = {
        "window_s": window_s,
        "attempts": int(attempts["count"].sum()),
        "unknown": int(attempts.loc[attempts["answer"] == "unknown", "count"].sum()),
        "contentions": int(attempts.loc[attempts["kind"].notna(), "count"].sum()),
        "intents": len(begun),
        "recovered": recovered,
        **{end: int(ends.get(end, 0)) for end in ("satisfied", "abandoned", "open", "relayed")},
        "arrived": len(arrived),
        "unfinished": int(arrived["finished_us"].isna().sum()),
        "completed": completed,
        "goodput_per_s": completed / window_s if window_s else np.nan,
        "amplification": int(begun["attempts"].sum()) / recovered if recovered else np.nan,
        "fairness": jain(_completions_by_worker(intents)),
    }
    drained = {"drain_s": drain_s(executions, window_us[1])}
    return values | _sojourn_ms(arrived) | _work(arrived) | _levels(series) | drained


def drain_s(executions: pd.DataFrame, arrivals_end_us: int) -> float:
    """Give how long it takes to work off what has arrived: from the last creation to the last end.

    Of the executions created before the arrivals end, warm-up included: what one retry policy leaves undone
    at the last arrival, another has long behind it.

    Parameters
    ----------
    executions
        Records of one run with ``created_us, finished_us``.
    arrivals_end_us
        When the arrivals end.

    Returns
    -------
    float
        Seconds; NaN where nothing arrived, or where an execution had not ended when the run did (then it
        is only known to take longer).
    """
    arrived = executions.loc[executions["created_us"] < arrivals_end_us]
    if arrived.empty or arrived["finished_us"].isna().any():
        return float("nan")
    return float(arrived["finished_us"].max() - arrived["created_us"].max()) / US_PER_S


def summarise(runs: pd.DataFrame, measures: Sequence[str] = tuple(UNITS)) -> pd.DataFrame:
    """Give each measure's mean over replications with Student's interval.

    Parameters
    ----------
    runs
        One row a run: ``arm, replication`` and the measures.
    measures
        Which columns.

    Returns
    -------
    pandas.DataFrame
        ``arm, measure, unit, mean, ci_low, ci_high, interval``. No interval with one replication. The ends
        of counts and times are not below 0.
    """
    rows = []
    for arm, of_arm in runs.groupby("arm", sort=False):
        for measure in measures:
            interval = t_interval(of_arm[measure].to_numpy(dtype=float))
            low = max(0.0, interval.low) if interval.method == "t" else np.nan
            rows.append((arm, measure, UNITS[measure], interval.mean, low, interval.high, interval.method))
    return pd.DataFrame(rows, columns=["arm", "measure", "unit", "mean", "ci_low", "ci_high", "interval"])


def run_table(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Make a table of runs: ``arm, replication, window_s`` and the measures, in a fixed order."""
    return pd.DataFrame(list(rows), columns=[*RUN, "window_s", *UNITS])


def _completions_by_worker(intents: pd.DataFrame) -> np.ndarray:
    """Count the finish intents begun in the window that recovered, for every worker of the run."""
    mine = intents.loc[intents["actor_kind"] == "worker"]
    done = mine["in_window"] & (mine["goal"] == "finish") & (mine["resolution"] == "recovered")
    return done.groupby(mine["actor"].astype("object")).sum().to_numpy()


def _sojourn_ms(arrived: pd.DataFrame) -> dict[str, float | int]:
    ended = arrived.loc[arrived["finished_us"].notna()]
    parts = {f"sojourn_{part}": ended[f"{part}_us"].to_numpy() / US_PER_MS for part in PARTS}
    sojourn = (ended["finished_us"].astype("int64") - ended["created_us"]).to_numpy() / US_PER_MS
    if sojourn.size == 0:
        return dict.fromkeys(("sojourn_mean", *_SOJOURN_QUANTILES, *parts), np.nan)
    quantiles = np.quantile(sojourn, list(_SOJOURN_QUANTILES.values()), method="inverted_cdf").tolist()
    return {
        "sojourn_mean": float(sojourn.mean()),
        **dict(zip(_SOJOURN_QUANTILES, quantiles, strict=True)),
        **{name: float(values.mean()) for name, values in parts.items()},
    }


def _work(arrived: pd.DataFrame) -> dict[str, float | int]:
    worked_us, wasted_us = int(arrived["worked_us"].sum()), int(arrived["wasted_us"].sum())
    return {
        "worked_s": worked_us / US_PER_S,
        "wasted_s": wasted_us / US_PER_S,
        "wasted_share": wasted_us / worked_us if worked_us else np.nan,
        "duplicates": int(arrived["duplicated"].sum()),
    }


def _levels(series: pd.DataFrame) -> dict[str, float | int]:
    means = window_levels(series).set_index("series")
    levels = {name: means.loc[means.index == name, "level"].sum(min_count=1) for name in (IN_FLIGHT, AT_WORK)}
    store = means.loc[means.index == STORE, "utilisation"]  # Every partition has as many sessions.
    return {
        IN_FLIGHT: float(levels[IN_FLIGHT]),
        AT_WORK: float(levels[AT_WORK]),
        "store_utilisation": float(store.mean()),
        "busiest_partition": float(store.max()),
    }


def by_class(executions: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Count what became of the executions of each class.

    Parameters
    ----------
    executions
        Records with ``arm, class, finished_us, outcome, in_window``.
    arms
        In the order of the study.

    Returns
    -------
    pandas.DataFrame
        ``arm, class, arrived, succeeded, unfinished`` over all replications, of the executions that were
        created in the window: all, those that ended with success, those that never ended.
    """
    inside = executions.loc[executions["in_window"]]
    table = pd.DataFrame({
        "arm": inside["arm"].astype(str), "class": inside["class"].astype(str), "arrived": 1,
        "succeeded": (inside["outcome"] == "success").fillna(False).astype(int),
        "unfinished": inside["finished_us"].isna().astype(int),
    })  # fmt: skip
    counts = table.groupby(["arm", "class"]).sum()
    return counts.reindex(list(arms), level="arm").reset_index()
