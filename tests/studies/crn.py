"""How much variance common random numbers save: results/reference/crn.csv.

``python -m tests.studies.crn`` runs claim_storm under two policies with the same 200 replications each and
writes a row a measure:

``baseline_mean``, ``arm_mean``, ``baseline_sd``, ``arm_sd``
    over the replications (of those where both arms have a value: ``pairs``).
``correlation``
    of the two arms, replication by replication.
``ratio``
    ``(var(baseline) + var(arm)) / var(arm - baseline)``: the variance of the difference of two arms with
    seeds of their own, over that of the paired difference. Two independent replications have no covariance,
    so the numerator needs no further runs. A ratio of 10 means that independent seeds need ten times the
    replications for an interval as short.
``ratio_low``, ``ratio_high``
    95 % bias-corrected and accelerated bootstrap interval of whole pairs (Efron, "Better bootstrap confidence
    intervals", Journal of the American Statistical Association 82, 1987), 9,999 draws.
``note``
    why there is no ratio.

Contentions are counted in the window, by kind; ``recovery_p50`` is the Kaplan-Meier median of each run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
import pandas as pd
from scipy import stats

from sim.analysis.frequency import KIND_NAMES, count_contentions
from sim.analysis.outcomes import UNITS, outcomes
from sim.analysis.records import frame
from sim.analysis.recovery import OK, episodes, quantile, recovery_curve
from sim.replication import run
from sim.rng import Streams
from sim.scenario import load
from sim.study import arm_of

SCENARIO: Final = "claim_storm"
BASELINE, ARM = ARMS = ("documented", "decorrelated_jitter")
PAIRS: Final = 200
DRAWS: Final = 9999
JOBS: Final = 2
FILE: Final = Path(__file__).parents[2] / "results" / "reference" / "crn.csv"
COLUMNS: Final = [
    "scenario", "seed", "baseline", "arm", "measure", "unit", "pairs", "baseline_mean", "arm_mean",
    "baseline_sd", "arm_sd", "correlation", "ratio", "ratio_low", "ratio_high", "note",
]  # fmt: skip


def measured(arm: str, replication: int, overrides: tuple[str, ...] = ()) -> dict[tuple[str, str], float]:
    """Run once; give each measure by (name, unit)."""
    scenario = load(SCENARIO, overrides)
    result = run(scenario, arm, arm_of(scenario, arm).policy, replication)
    contentions, intents = frame(result.contentions), frame(result.intents)
    values: dict[tuple[str, str], float] = {}
    rest = (frame(table) for table in (result.executions, result.attempts, result.series))
    achieved = outcomes(intents, *rest, result.window_us)
    for name, value in achieved.items():
        values[name, UNITS[name]] = value
    counts = count_contentions(contentions).set_index("kind")["count"]
    recovered = dict(list(episodes(contentions, intents).groupby("kind", observed=True)))
    for kind in KIND_NAMES:
        values[f"contentions/{kind}", ""] = float(counts.get(kind, 0))
        values[f"recovery_p50/{kind}", "ms"] = _median_ms(recovered.get(kind))
    return values


def compared(
    first: pd.DataFrame, second: pd.DataFrame, generator: np.random.Generator, draws: int = DRAWS
) -> pd.DataFrame:
    """Give the table of ratios; one row a replication, one column a (measure, unit)."""
    rows = []
    for measure, unit in first.columns:
        both = pd.concat([first[measure, unit], second[measure, unit]], axis=1, keys=["a", "b"]).dropna()
        a, b = (both[name].to_numpy(dtype=float) for name in ("a", "b"))
        if a.size == 0 or not (a.any() or b.any()):
            continue  # Neither arm has seen it.
        rows.append({"measure": measure, "unit": unit} | _row(a, b, len(first), generator, draws))
    return pd.DataFrame(rows)


def variance_ratio(a: np.ndarray, b: np.ndarray, axis: int = -1) -> Any:
    """Give the variance of independent arms' difference over that of the paired one."""
    apart = a.var(axis=axis, ddof=1) + b.var(axis=axis, ddof=1)
    return apart / (b - a).var(axis=axis, ddof=1)


def study(pairs: int = PAIRS, draws: int = DRAWS, overrides: tuple[str, ...] = ()) -> pd.DataFrame:
    """Run the study."""
    wanted = [(arm, number) for number in range(pairs) for arm in ARMS]
    runs = joblib.Parallel(n_jobs=JOBS)(joblib.delayed(measured)(*each, overrides) for each in wanted)
    tables = [
        pd.DataFrame([values for (arm, _), values in zip(wanted, runs, strict=True) if arm == each])
        for each in ARMS
    ]
    seed = load(SCENARIO, overrides).seed
    table = compared(*tables, Streams(seed, 0).of("analysis/crn"), draws)
    told = {"scenario": SCENARIO, "seed": seed, "baseline": BASELINE, "arm": ARM}
    return table.assign(**told)[COLUMNS]


def main() -> None:
    """Write the table and print it."""
    table = study()
    table.to_csv(FILE, index=False, lineterminator="\n", float_format="%.6g")
    table.drop(columns=COLUMNS[:4]).to_string(sys.stdout, index=False, float_format="{:.4g}".format)
    print(f"\n{FILE}")


def _row(
    a: np.ndarray, b: np.ndarray, runs: int, generator: np.random.Generator, draws: int
) -> dict[str, Any]:
    facts: dict[str, Any] = {"pairs": a.size, "baseline_mean": a.mean(), "arm_mean": b.mean(), "note": ""}
    if a.size < max(2, runs // 2):
        return facts | {"note": "measured in less than half of the pairs"}
    facts |= {"baseline_sd": a.std(ddof=1), "arm_sd": b.std(ddof=1)}
    if not a.std() and not b.std():
        return facts | {"note": "does not vary"}
    if a.std() and b.std():
        facts["correlation"] = np.corrcoef(a, b)[0, 1]
    if not (b - a).std():
        return facts | {"note": "the paired difference does not vary"}
    # Few rare counts: a draw may hold no difference at all, and the ratio has no upper end.
    if np.unique(b - a).size < 10:
        return facts | {"ratio": float(variance_ratio(a, b)), "note": "too few values for an interval"}
    found = stats.bootstrap(
        (a, b), variance_ratio, paired=True, vectorized=True, n_resamples=draws, batch=500, rng=generator
    ).confidence_interval
    ends = {"ratio_low": float(found.low), "ratio_high": float(found.high)}
    return facts | {"ratio": float(variance_ratio(a, b))} | ends


def _median_ms(table: pd.DataFrame | None) -> float:
    if table is None:
        return float("nan")
    observed = int(table["end"].isin(["recovered", "open"]).sum())
    value, status = quantile(recovery_curve(table), 0.5, observed)
    return value / 1000 if status == OK else float("nan")


if __name__ == "__main__":
    main()
