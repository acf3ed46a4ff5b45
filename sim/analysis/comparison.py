"""Arms against a baseline, replication by replication.

The arms of a study face the same arrivals, classes, work and faults (common random numbers), so what is
compared is the difference within each replication, not two means. Five families of tests, each corrected by
Holm's method over all arms that are compared:

``measures``
    The main ones of what a run achieved (:data:`MAIN`): the paired t test.
``details``
    Its other measures (:data:`sim.analysis.outcomes.UNITS`); apart, so that they cost the main ones no power.
``frequency``
    Contentions of each kind per simulated second: the paired t test, from 30 events of both arms on.
``recovery``
    The median recovery latency of each kind: the logarithm of the arms' ratio, whose standard error comes
    from a bootstrap of whole replications, drawn in pairs.
``tails``
    Likewise p90 and p99.

An effect in percent is that of the means' ratio, with Fieller's interval; for recovery that of the
quantiles' ratio. The intervals are of 95 % each and not corrected; whether a difference is *shown* is
decided by the corrected p-value. Leaves out any score that weighs one measure against another:
:func:`pareto` sets work beside time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.outcomes import UNITS
from sim.analysis.recovery import (
    NONE_SEEN,
    OK,
    QUANTILES,
    quantile,
    quantile_draws,
    recovery_curve,
    resampled,
)
from sim.analysis.statistics import (
    LEVEL,
    RARE_EVENTS,
    holm,
    paired_difference,
    ratio_interval,
    t_interval,
    t_quantiles,
    t_tail,
)
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MEASURES, DETAILS, FREQUENCY, RECOVERY, TAILS = FAMILIES = (
    "measures", "details", "frequency", "recovery", "tails",
)  # fmt: skip

MAIN: Final = (
    "completed", "attempts", "contentions", "amplification", "fairness", "sojourn_mean", "sojourn_p99",
    "drain_s",
)  # fmt: skip
"""The measures on which arms are compared first."""

DIFFERENT: Final = "different"
NOT_SHOWN: Final = "no difference shown"
EQUAL: Final = "equal in every replication"
TOO_FEW_EVENTS: Final = f"fewer than {RARE_EVENTS} events"
TOO_FEW_PAIRS: Final = "fewer than two pairs"
NOT_EVERYWHERE: Final = "not measured in every replication"
UNCERTAIN: Final = "not reached in every draw"
"""What can be found; besides, for recovery, why a quantile is not shown (:mod:`sim.analysis.recovery`)."""

PAIRED_COLUMNS: Final = [
    "baseline", "arm", "family", "measure", "kind", "unit", "baseline_value", "arm_value", "difference",
    "ci_low", "ci_high", "percent", "percent_low", "percent_high", "correlation", "pairs", "p_value",
    "p_holm", "tests", "finding",
]  # fmt: skip

DRAWS: Final = 400
"""Draws of replications: 200 are enough for a standard error (Efron and Tibshirani, *An Introduction to the
Bootstrap*, 1993, section 6.4)."""

WORK: Final = ("amplification", "attempts")
TIME: Final = ("sojourn_mean", "drain_s")


def compare_arms(
    runs: pd.DataFrame,
    counts: pd.DataFrame,
    episodes: pd.DataFrame,
    window_s: float,
    generator: np.random.Generator,
    *,
    baseline: str,
    arms: Sequence[str],
) -> pd.DataFrame:
    """Compare arms with a baseline.

    Parameters
    ----------
    runs
        One row a run: ``arm, replication`` and the measures.
    counts
        ``arm, replication, kind, count`` (:func:`sim.analysis.frequency.count_contentions`).
    episodes
        ``arm, replication, kind, latency_us, end``.
    window_s
        Length of the window in simulated seconds.
    generator
        Where the draws of the bootstrap come from.
    baseline
        What the others are compared with.
    arms
        The others.

    Returns
    -------
    pandas.DataFrame
        A row for each arm and measure: ``baseline``; ``arm``; ``family``; ``measure``; ``kind`` (missing
        for what is of no kind); ``unit``; ``baseline_value`` and ``arm_value``, means over the pairs, or
        quantiles of all replications; their ``difference`` with ``ci_low`` and ``ci_high`` (none for
        recovery); ``percent`` of the baseline with its interval; the ``correlation`` that pairing achieved;
        ``pairs``; ``p_value`` and ``p_holm``, corrected over the ``tests`` of the family; ``finding``.
    """
    rows: list[dict[str, Any]] = []
    paired = _Paired(runs, counts, episodes, [baseline, *arms], generator)
    for arm in arms:
        pair = {"baseline": baseline, "arm": arm}
        for measure in (*MAIN, *(name for name in UNITS if name not in MAIN)):
            a, b = paired.values(measure, baseline, arm)
            family = MEASURES if measure in MAIN else DETAILS
            named = {"family": family, "measure": measure, "unit": UNITS[measure]}
            rows.append(pair | named | _difference(a, b))
        for kind in KIND_NAMES:
            a, b = (paired.counted(kind, each, baseline, arm) for each in (baseline, arm))
            facts = _difference(a / window_s, b / window_s, events=int(a.sum() + b.sum()))
            named = {"family": FREQUENCY, "measure": "contentions", "kind": kind, "unit": "1/s"}
            rows.append(pair | named | facts)
        for kind in KIND_NAMES:
            for name in QUANTILES:
                family = RECOVERY if name == "p50" else TAILS
                named = {"family": family, "measure": f"recovery_{name}", "kind": kind, "unit": "ms"}
                rows.append(pair | named | paired.recovery(kind, name, baseline, arm))
    return _corrected(pd.DataFrame(rows).reindex(columns=PAIRED_COLUMNS))


def pareto(runs: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Set the work that each arm makes beside the time that it takes.

    Parameters
    ----------
    runs
        One row a run: ``arm, replication`` and the measures.
    arms
        In the order of the study.

    Returns
    -------
    pandas.DataFrame
        A row for each pair of a measure of ``work`` and one of ``time`` and each ``arm``: ``completed``, the
        mean number of executions, as an arm that gives up is neither busy nor slow; ``work_mean``,
        ``work_low``, ``work_high``, ``time_mean``, ... with Student's intervals, NaN where a replication has
        no value; ``on_front``, whether no other arm has means as good in both and better in one;
        ``dominated_by``, the arms that have; ``shown``, those of them for which the paired differences say
        so too (Holm over all pairs of arms in the two measures).
    """
    rows = []
    for work in WORK:
        for time in TIME:
            means = {arm: _means(runs.loc[runs["arm"] == arm], work, time) for arm in arms}
            better = _shown_better(runs, arms, (work, time))
            for arm in arms:
                mine = means[arm]
                ahead = [other for other in arms if other != arm and _dominates(means[other], mine)]
                measured = not np.isnan([mine["work_mean"], mine["time_mean"]]).any()
                rows.append(
                    {"work": work, "time": time, "arm": arm, **mine, "on_front": measured and not ahead}
                    | {"dominated_by": ", ".join(ahead)}
                    | {"shown": ", ".join(other for other in ahead if (other, arm) in better)}
                )
    return pd.DataFrame(rows)


class _Paired:
    """The values of each arm, in the order of the replications that it shares with another."""

    def __init__(
        self,
        runs: pd.DataFrame,
        counts: pd.DataFrame,
        episodes: pd.DataFrame,
        arms: list[str],
        generator: np.random.Generator,
    ) -> None:
        self._runs = {arm: of_arm.set_index("replication") for arm, of_arm in runs.groupby("arm")}
        by_kind = counts.groupby(["arm", "kind"])
        self._counts = {key: group.set_index("replication")["count"] for key, group in by_kind}
        self._episodes = dict(list(episodes.groupby(["arm", "kind"], observed=True)))
        common = set.intersection(*(set(self._runs[arm].index) for arm in arms))
        self._common = np.array(sorted(common), dtype=np.int64)
        # The same draws for every arm and kind: that is what pairs them.
        self._weights = resampled(self._common.size, DRAWS, generator) if self._common.size > 1 else None
        self._drawn: dict[tuple[str, str], dict[str, tuple[float, str, NDArray[np.float64]]]] = {}

    def shared(self, baseline: str, arm: str) -> pd.Index:
        """Give the replications that both have."""
        return self._runs[baseline].index.intersection(self._runs[arm].index).sort_values()

    def values(self, measure: str, *pair: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give a measure of both arms."""
        both = self.shared(*pair)
        a, b = (self._runs[arm].loc[both, measure].to_numpy(dtype=float) for arm in pair)
        return a, b

    def counted(self, kind: str, arm: str, *pair: str) -> NDArray[np.float64]:
        """Give the contentions of a kind in one arm of a pair."""
        both = self.shared(*pair)
        counted = self._counts.get((arm, kind))
        if counted is None:
            return np.zeros(len(both))
        return np.asarray(counted.reindex(both, fill_value=0).to_numpy(dtype=float))

    def recovery(self, kind: str, name: str, baseline: str, arm: str) -> dict[str, Any]:
        """Compare a quantile of the recovery latency, over all replications."""
        (first, why_a, draws_a), (second, why_b, draws_b) = (
            self._quantiles(each, kind)[name] for each in (baseline, arm)
        )
        facts: dict[str, Any] = {"pairs": self._common.size}
        facts |= {"baseline_value": first / US_PER_MS, "arm_value": second / US_PER_MS}
        facts["difference"] = (second - first) / US_PER_MS
        if why_a != OK or why_b != OK:
            return facts | {"finding": next(why for why in (why_a, why_b) if why != OK)}
        if self._weights is None:
            return facts | {"finding": TOO_FEW_PAIRS}
        return facts | _ratio(first, second, draws_a, draws_b, self._common.size)

    def _quantiles(self, arm: str, kind: str) -> dict[str, tuple[float, str, NDArray[np.float64]]]:
        """Give each quantile: its value (microseconds), its status, and its value in each draw."""
        known = self._drawn.get((arm, kind))
        if known is not None:
            return known
        nothing = np.empty(0)
        group = self._episodes.get((arm, kind))
        if group is None:
            found = dict.fromkeys(QUANTILES, (np.nan, NONE_SEEN, nothing))
        else:
            curve = recovery_curve(group)
            observed = int(group["end"].isin(["recovered", "open"]).sum())
            read = {name: quantile(curve, q, observed) for name, q in QUANTILES.items()}
            levels = [QUANTILES[name] for name, (_, status) in read.items() if status == OK]
            drawn: NDArray[np.float64] = np.empty((0, len(levels)))
            if levels and self._weights is not None:
                drawn = quantile_draws(group, self._common, self._weights, levels)
            columns = iter(drawn.T)
            found = {
                name: (value, status, next(columns) if status == OK else nothing)
                for name, (value, status) in read.items()
            }
        self._drawn[arm, kind] = found
        return found


def _difference(a: NDArray[np.float64], b: NDArray[np.float64], events: int = RARE_EVENTS) -> dict[str, Any]:
    """Compare the paired values of two arms; ``events`` is how many there were, where they are counts."""
    measured = int((~np.isnan(a) & ~np.isnan(b)).sum())
    if measured < a.size or a.size < 2:
        # A run without a value is one that did not get there: the others alone would flatter its arm.
        means = [float(each.mean()) if each.size else np.nan for each in (a, b)]
        values = {"baseline_value": means[0], "arm_value": means[1], "difference": means[1] - means[0]}
        finding = NOT_EVERYWHERE if measured < a.size else TOO_FEW_PAIRS
        return values | {"pairs": measured, "finding": finding}
    paired, ratio = paired_difference(a, b), ratio_interval(a, b)
    facts: dict[str, Any] = {
        "baseline_value": float(a.mean()), "arm_value": float(b.mean()),
        "difference": paired.mean, "ci_low": paired.low, "ci_high": paired.high,
        "percent": 100 * (ratio.mean - 1), "percent_low": 100 * (ratio.low - 1),
        "percent_high": 100 * (ratio.high - 1), "correlation": paired.correlation, "pairs": paired.pairs,
    }  # fmt: skip
    if (a == b).all():
        return facts | {"finding": EQUAL}
    if events < RARE_EVENTS:
        return facts | {"finding": TOO_FEW_EVENTS}
    return facts | {"p_value": paired.p_value, "finding": DIFFERENT}


def _ratio(
    first: float, second: float, draws_a: NDArray[np.float64], draws_b: NDArray[np.float64], pairs: int
) -> dict[str, Any]:
    """Compare two quantiles by their values in the same draws.

    On the logarithm, where a ratio is a difference: Student's interval with the standard error of the
    bootstrap (Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, section 5.2), times
    ``sqrt(R / (R - 1))``, as drawing R of R replications underestimates a variance by that much squared.
    Percentiles would be too narrow for few replications.
    """
    if (draws_a == draws_b).all():
        return {"percent": 0.0, "finding": EQUAL}
    percent = {"percent": 100 * (second / first - 1)} if first > 0 else {}
    if not np.isfinite([draws_a, draws_b]).all() or min(draws_a.min(), draws_b.min()) <= 0:
        return percent | {"finding": UNCERTAIN}
    logs = np.log(draws_b) - np.log(draws_a)
    point = float(np.log(second / first))
    error = float(logs.std()) * (pairs / (pairs - 1)) ** 0.5
    half = float(t_quantiles(LEVEL, pairs - 1)) * error
    varies = min(draws_a.std(), draws_b.std()) > 0
    return percent | {
        "percent_low": 100 * (float(np.exp(point - half)) - 1),
        "percent_high": 100 * (float(np.exp(point + half)) - 1),
        "correlation": float(np.corrcoef(np.log(draws_a), np.log(draws_b))[0, 1]) if varies else np.nan,
        "p_value": t_tail(abs(point) / error, pairs - 1) if error > 0 else np.nan,
        "finding": DIFFERENT,
    }


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """Correct the p-values of each family and find what is shown after that."""
    for family in FAMILIES:
        mine = table["family"] == family
        p_values = table.loc[mine, "p_value"].to_numpy(dtype=float)
        table.loc[mine, "p_holm"] = holm(p_values)
        table.loc[mine, "tests"] = int((~np.isnan(p_values)).sum())
    table["tests"] = table["tests"].astype(int)
    table.loc[table["p_holm"] >= 1 - LEVEL, "finding"] = NOT_SHOWN
    return table


def _means(of_arm: pd.DataFrame, work: str, time: str) -> dict[str, float]:
    facts = {"completed": float(of_arm["completed"].mean())}
    for axis, measure in (("work", work), ("time", time)):
        values = of_arm[measure].to_numpy(dtype=float)
        interval = t_interval(values if not np.isnan(values).any() else [])
        facts |= {f"{axis}_mean": interval.mean, f"{axis}_low": interval.low, f"{axis}_high": interval.high}
    return facts


def _dominates(other: dict[str, float], mine: dict[str, float]) -> bool:
    """Tell whether an arm's means are as good in both and better in one; never where one is missing."""
    work, time = (other[f"{axis}_mean"] - mine[f"{axis}_mean"] for axis in ("work", "time"))
    return bool(work <= 0 and time <= 0 and (work < 0 or time < 0))


def _shown_better(runs: pd.DataFrame, arms: Sequence[str], measures: tuple[str, str]) -> set[tuple[str, str]]:
    """Give the pairs (better, worse) whose paired differences are shown, or are nil, in both measures."""
    table = {arm: runs.loc[runs["arm"] == arm].set_index("replication")[list(measures)] for arm in arms}
    keys, facts = [], []
    for number, first in enumerate(arms):
        for second in arms[number + 1 :]:
            both = table[first].index.intersection(table[second].index)
            for measure in measures:
                keys.append((first, second, measure))
                a, b = (table[arm].loc[both, measure].to_numpy(dtype=float) for arm in (first, second))
                facts.append(_difference(a, b))
    p_holm = holm([fact.get("p_value", np.nan) for fact in facts])
    signs: dict[tuple[str, str], list[float]] = {}
    unclear = set()
    for (first, second, _), fact, p in zip(keys, facts, p_holm, strict=True):
        if fact["finding"] not in (DIFFERENT, EQUAL) or p >= 1 - LEVEL:
            unclear |= {(first, second), (second, first)}
        signs.setdefault((first, second), []).append(float(np.sign(fact["difference"])))
        signs.setdefault((second, first), []).append(-float(np.sign(fact["difference"])))
    clear = {pair: found for pair, found in signs.items() if pair not in unclear}
    return {pair for pair, found in clear.items() if min(found) >= 0 and max(found) > 0}
