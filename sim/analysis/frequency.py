"""How often each kind of contention occurs.

Frequency counts a contention once, at the actor that met it, when its ``done_us`` lies in the window. It
is stated per simulated second (with an interval across replications), per 1,000 attempts, per execution
completed, and as the share of intents that met the kind at least once. The ratios are ratios of totals
over all replications, so that they can be found again from the counts beside them; they carry no interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sim.analysis.statistics import rate_interval
from sim.contention import KINDS
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

KIND_NAMES = [kind.value for kind in KINDS]
"""All 18, in the order of every table."""

RUN = ["arm", "replication"]
"""What names one run in every table."""


def count_contentions(contentions: pd.DataFrame, by: Sequence[str] = ("kind",)) -> pd.DataFrame:
    """Count the contentions in the window.

    Parameters
    ----------
    contentions
        Records with ``arm``, ``replication``, ``in_window`` and the columns of ``by``.
    by
        Columns that tell groups apart: ``kind``, ``op``, ``actor_kind``, ``code``, ...

    Returns
    -------
    pandas.DataFrame
        ``arm, replication, *by, count``: a row for each group that occurs.
    """
    keys = [*RUN, *by]
    inside = plain(contentions.loc[contentions["in_window"], keys])
    return inside.groupby(keys, sort=True).size().rename("count").reset_index()


def count_met(contentions: pd.DataFrame, intents: pd.DataFrame) -> pd.DataFrame:
    """Count, per kind, the intents begun in the window that met it at least once, then or later.

    Parameters
    ----------
    contentions
        Records with ``arm, replication, kind, intent``.
    intents
        Records with ``arm, replication, intent, in_window``.

    Returns
    -------
    pandas.DataFrame
        ``arm, replication, kind, intents_met``.
    """
    begun = plain(intents.loc[intents["in_window"], [*RUN, "intent"]])
    met = plain(contentions.loc[contentions["intent"].notna(), [*RUN, "kind", "intent"]]).drop_duplicates()
    met = met.astype({"intent": "int64"}).merge(begun, on=[*RUN, "intent"])
    return met.groupby([*RUN, "kind"], sort=True).size().rename("intents_met").reset_index()


def frequency(
    counts: pd.DataFrame, runs: pd.DataFrame, window_s: float, met: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Give the frequency of each kind in each arm; a kind that was never seen has a row of zeros.

    Parameters
    ----------
    counts
        ``arm, replication, kind, count`` (:func:`count_contentions`).
    runs
        One row a run, in the order of the study: ``arm, replication, attempts, completed, intents``, the
        totals of its window (:func:`sim.analysis.outcomes.outcomes`).
    window_s
        Length of the window in simulated seconds. A column ``window_s`` of the runs counts instead: what
        each saw of it.
    met
        ``arm, replication, kind, intents_met`` (:func:`count_met`); without it, no last two columns.

    Returns
    -------
    pandas.DataFrame
        ``arm``; ``kind``; ``count`` over all replications; ``mean``, ``ci_low``, ``ci_high`` per second
        and ``interval``, the method (:class:`sim.analysis.statistics.Interval`); ``per_1000_attempts``;
        ``per_execution`` completed; ``intents_met``; ``share_of_intents``. A ratio to nothing is NaN.
    """
    groups = pd.DataFrame({"kind": KIND_NAMES})
    table = _rates(counts, runs, groups, window_s)
    totals = runs.groupby("arm", sort=False)[["attempts", "completed", "intents"]].sum()
    of_arm = totals.loc[table["arm"]].reset_index(drop=True)
    table["per_1000_attempts"] = _ratio(1000 * table["count"], of_arm["attempts"])
    table["per_execution"] = _ratio(table["count"], of_arm["completed"])
    if met is not None:
        total_met = met.groupby(["arm", "kind"])["intents_met"].sum()
        keys = pd.MultiIndex.from_frame(table[["arm", "kind"]])
        table["intents_met"] = total_met.reindex(keys, fill_value=0).to_numpy(dtype="int64")
        table["share_of_intents"] = _ratio(table["intents_met"], of_arm["intents"])
    return table


def frequency_by(
    counts: pd.DataFrame,
    runs: pd.DataFrame,
    attempts: pd.DataFrame,
    window_s: float,
    by: Sequence[str],
) -> pd.DataFrame:
    """Give the frequency of contention in groups other than the plain kind.

    Parameters
    ----------
    counts
        ``arm, replication, *by, count`` (:func:`count_contentions`).
    runs
        One row a run: ``arm, replication``.
    attempts
        Aggregated attempts: ``arm, replication, actor_kind, op, count``.
    window_s
        Length of the window in simulated seconds; as for :func:`frequency`.
    by
        What the groups are: ``op``, ``actor_kind``, ``kind`` and ``op``, ...

    Returns
    -------
    pandas.DataFrame
        ``arm, *by, count, mean, ci_low, ci_high, interval, per_1000_attempts``: a row for each group that
        occurs in any arm, most frequent first within an arm. The attempts are those of the same ``op`` and
        ``actor_kind``, where ``by`` names them, else all of the arm.
    """
    keys = list(by)
    table = _rates(counts, runs, counts[keys].drop_duplicates(), window_s)
    same = ["arm", *(name for name in keys if name in ("op", "actor_kind"))]
    sent = plain(attempts[[*same, "count"]]).groupby(same)["count"].sum().rename("sent").reset_index()
    table = table.merge(sent, on=same, how="left")
    table["per_1000_attempts"] = _ratio(1000 * table["count"], table.pop("sent").fillna(0))
    order = {arm: place for place, arm in enumerate(runs["arm"].drop_duplicates())}
    table["_arm"] = table["arm"].map(order)
    table = table.sort_values(["_arm", "count", *keys], ascending=[True, False, *[True] * len(keys)])
    return table.drop(columns="_arm").reset_index(drop=True)


def frequency_over_time(contentions: pd.DataFrame, runs: pd.DataFrame, bin_s: float) -> pd.DataFrame:
    """Give the rate of each kind in bins of simulated time, warm-up and drain included.

    Parameters
    ----------
    contentions
        Records with ``arm, replication, kind, done_us``; all of them, in the window or not.
    runs
        One row a run: ``arm, replication``.
    bin_s
        Width of a bin in simulated seconds.

    Returns
    -------
    pandas.DataFrame
        ``arm, kind, from_s, count, per_s``: a row for each bin in which the kind occurs; ``per_s`` is the
        mean over replications.

    Raises
    ------
    ValueError
        When a bin is not wider than nothing.
    """
    if bin_s <= 0:
        raise ValueError(f"a bin is wider than 0 s, not {bin_s} s")
    binned = plain(contentions[["arm", "kind", "done_us"]])
    binned["from_s"] = binned.pop("done_us") // round(bin_s * US_PER_S) * bin_s
    table = binned.groupby(["arm", "kind", "from_s"]).size().rename("count").reset_index()
    replications = runs.groupby("arm").size()
    table["per_s"] = table["count"] / (table["arm"].map(replications) * bin_s)
    return table


def refusals_per_intent(contentions: pd.DataFrame) -> pd.DataFrame:
    """Count how many refusals of a kind one intent met, in the window.

    Parameters
    ----------
    contentions
        Records of one run or several with ``arm, replication, kind, root, in_window``. Those without a root
        (reads of a sweep) are left out.

    Returns
    -------
    pandas.DataFrame
        ``arm, kind, refusals, intents``: how many root intents met the kind so many times.
    """
    met = contentions["in_window"] & contentions["root"].notna()
    keys = [*RUN, "kind", "root"]
    each = plain(contentions.loc[met, keys]).groupby(keys).size().rename("refusals").reset_index()
    return each.groupby(["arm", "kind", "refusals"]).size().rename("intents").reset_index()


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Copy a table with categories turned into strings, so that two tables can be joined and grouped."""
    names = table.select_dtypes("category").columns
    return table.astype(dict.fromkeys(names, "object"))


def _rates(counts: pd.DataFrame, runs: pd.DataFrame, groups: pd.DataFrame, window_s: float) -> pd.DataFrame:
    """Cross arms with groups; give each its count and its rate per second with an interval."""
    keys = list(groups.columns)
    per_run = counts.set_index([*RUN, *keys])["count"]
    rows = []
    for arm, of_arm in runs.groupby("arm", sort=False):
        replications = of_arm["replication"].tolist()
        observed_s = of_arm.get("window_s", window_s)
        for group in groups.itertuples(index=False, name=None):
            seen = np.array([per_run.get((arm, r, *group), 0) for r in replications], dtype=np.int64)
            interval = rate_interval(seen, observed_s)
            rows.append((arm, *group, int(seen.sum()), *interval))
    return pd.DataFrame(rows, columns=["arm", *keys, "count", "mean", "ci_low", "ci_high", "interval"])


def _ratio(part: pd.Series, whole: pd.Series) -> pd.Series:
    divisor = whole.to_numpy(dtype=float)
    return part / np.where(divisor > 0, divisor, np.nan)
