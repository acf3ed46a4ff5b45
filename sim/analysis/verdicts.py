"""Comparisons in words: one sentence a measure, and no more than the numbers say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from sim.analysis.comparison import DIFFERENT, EQUAL, FREQUENCY, NOT_EVERYWHERE, NOT_SHOWN, RECOVERY, TAILS
from sim.analysis.text import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

# What an arm does more of (or less of) when a measure is higher (or lower); {} is by how much.
_PHRASES: Final = {
    "completed": ("completes {} more", "completes {} fewer"),
    "goodput_per_s": ("completes {} more per second", "completes {} fewer per second"),
    "attempts": ("makes {} more attempts", "makes {} fewer attempts"),
    "contentions": ("is refused {} more often", "is refused {} less often"),
    "amplification": ("makes {} more attempts per intent", "makes {} fewer attempts per intent"),
    "sojourn_mean": ("takes {} longer (mean sojourn)", "takes {} less time (mean sojourn)"),
    "sojourn_p50": ("takes {} longer (median sojourn)", "takes {} less time (median sojourn)"),
    "sojourn_p90": ("takes {} longer (p90 of the sojourn)", "takes {} less time (p90 of the sojourn)"),
    "sojourn_p99": ("takes {} longer (p99 of the sojourn)", "takes {} less time (p99 of the sojourn)"),
    "drain_s": ("takes {} longer to drain", "takes {} less time to drain"),
    "fairness": ("spreads work over workers {} more evenly", "spreads work over workers {} less evenly"),
}  # fmt: skip

_QUANTILE_WORDS: Final = {"recovery_p50": "median", "recovery_p90": "p90", "recovery_p99": "p99"}


def verdicts(paired: pd.DataFrame) -> list[dict[str, Any]]:
    """Put each row of a comparison into words.

    Parameters
    ----------
    paired
        From :func:`sim.analysis.comparison.compare_arms`.

    Returns
    -------
    list of dict
        ``arm``, ``baseline``, ``family``, ``measure``, ``kind`` (or None), ``finding`` and ``text``, in the
        order of the rows. Rows of kinds that neither arm met, and of quantiles that cannot be shown, are left
        out.
    """
    rows = [row for row in paired.to_dict("records") if row["finding"] in WORDS]
    names = ("arm", "baseline", "family", "measure", "kind", "finding")
    return [
        {name: None if _missing(row[name]) else row[name] for name in names}
        | {"text": WORDS[row["finding"]](row)}
        for row in rows
        if not all(_missing(value) or value == 0 for value in (row["baseline_value"], row["arm_value"]))
    ]


def subject(row: Mapping[Any, Any]) -> str:
    """Name what a row of a comparison, or a verdict, is about."""
    if row["family"] in (RECOVERY, TAILS):
        return f"recovery of {row['kind']} ({_QUANTILE_WORDS[row['measure']]})"
    return str(row["kind"] if row["family"] == FREQUENCY else row["measure"])


def _different(row: dict[Any, Any]) -> str:
    if row["family"] in (RECOVERY, TAILS):
        return _times(row)
    if row["family"] == FREQUENCY:
        more, less = (f"meets {row['kind']} {{}} {word} often" for word in ("more", "less"))
    else:
        measure = row["measure"]
        more, less = _PHRASES.get(measure, (f"has {{}} more in {measure}", f"has {{}} less in {measure}"))
    lower = row["difference"] < 0
    if _missing(row["percent_low"]):
        # A baseline of nothing has no percent.
        amount, ends = row["difference"], (row["ci_low"], row["ci_high"])
        unit = f" {row['unit'].replace('1/s', 'per s')}".rstrip()
    else:
        amount, ends, unit = row["percent"], (row["percent_low"], row["percent_high"]), " %"
    low, high = sorted(-end for end in ends) if lower else ends
    phrase = (less if lower else more).format(f"{number(abs(amount))}{unit}")
    return f"{row['arm']} {phrase}, 95 % interval {number(low)} to {number(high)}{_after(row)}"


def _times(row: dict[Any, Any]) -> str:
    """Say how many times faster or slower recovery is, with the interval of the factor."""
    factors = [1 + row[name] / 100 for name in ("percent", "percent_low", "percent_high")]
    faster = factors[0] < 1
    point, low, high = [1 / factor for factor in factors] if faster else factors
    low, high = sorted((low, high))
    return (
        f"{row['arm']}: {subject(row)} {number(point)} times {'faster' if faster else 'slower'}, "
        f"95 % interval {number(low)} to {number(high)}{_after(row)}"
    )


def _not_shown(row: dict[Any, Any]) -> str:
    ends = [row[name] for name in ("percent", "percent_low", "percent_high")]
    effect = "" if any(map(_missing, ends)) else "{} %, 95 % interval {} to {}".format(*map(number, ends))
    return f"no difference shown in {subject(row)}{effect and f': {effect}'}{_after(row)}"


def _equal(row: dict[Any, Any]) -> str:
    return f"{subject(row)} is the same in every replication"


def _not_everywhere(row: dict[Any, Any]) -> str:
    return f"{subject(row)} is not compared: {row['arm']} or {row['baseline']} has replications without it"


def _after(row: dict[Any, Any]) -> str:
    """Give the corrected p-value; there is none where replications differ by exactly the same."""
    p = row["p_holm"]
    if _missing(p):
        return ", the same in every replication"
    tests = "1 test" if row["tests"] == 1 else f"{row['tests']} tests"
    return f" (p {'below 0.001' if p < 0.001 else format(p, '.2g')} after Holm over {tests})"


def _missing(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


WORDS: Final = {
    DIFFERENT: _different, NOT_SHOWN: _not_shown, EQUAL: _equal, NOT_EVERYWHERE: _not_everywhere,
}  # fmt: skip
"""The findings that there are words for."""
