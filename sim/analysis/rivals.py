"""Who made operations fail, and how shortly before: rivals and race windows.

A contention's *rival* is the actor whose operation last changed what refused it; its *race window* is the
time from that change taking effect to the refused operation being carried out (``rival_age_us``), that is how
much too late it came. Where the store knows no rival (nothing was there, or nobody had changed it) the rival
is ``none`` and there is no race window.

Contentions count once, when their ``done_us`` lies in the window. Quantiles are those of the observed values
of all replications together (inverse of the empirical distribution), in milliseconds, and NaN where there are
fewer than ``5 / (1 - q)`` of them, as everywhere (:func:`sim.analysis.recovery.quantile`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from sim.analysis.frequency import KIND_NAMES, plain
from sim.analysis.recovery import QUANTILES, Curve, quantile
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

NOBODY: Final = "none"
"""Kind of the rival where the store knows none."""

RACE_COLUMNS: Final = ["arm", "actor_kind", "rival_actor", "kind", "rival_age_us", "in_window"]
"""What :func:`races` needs of the contentions."""

BINS_PER_DECADE: Final = 8
PAIR: Final = ["actor_kind", "rival_kind"]
"""Who was refused, and because of whom."""


def races(contentions: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Take what is needed of the contentions in the window.

    Parameters
    ----------
    contentions
        Records with the columns :data:`RACE_COLUMNS` and those of ``by``.
    by
        Columns that tell groups apart besides: ``kind``, ``op``, ``rival_op``, ``code``, ...

    Returns
    -------
    pandas.DataFrame
        ``arm, actor_kind, rival_kind, kind, *by, rival_age_us``: a row a contention.
    """
    inside = contentions.loc[contentions["in_window"]]
    columns = list(dict.fromkeys(["arm", "actor_kind", "kind", *by, "rival_age_us"]))
    table = plain(inside[columns])
    names = table.select_dtypes("object").columns
    table[names] = table[names].where(table[names].notna(), NOBODY)
    actors = inside["rival_actor"].cat
    # Actors are called after their kind (worker/3); the code of a missing one is -1, the last.
    kinds = np.array([*(actor.partition("/")[0] for actor in actors.categories), NOBODY], dtype=object)
    table.insert(2, "rival_kind", kinds[actors.codes])
    return table


def rivals(table: pd.DataFrame, arms: Sequence[str], by: Sequence[str] = ()) -> pd.DataFrame:
    """Count who contended with whom.

    Parameters
    ----------
    table
        From :func:`races`, of all replications.
    arms
        The arms in the order of the study.
    by
        As given to :func:`races`.

    Returns
    -------
    pandas.DataFrame
        ``arm``; ``actor_kind``, who was refused; ``rival_kind``, because of whom; ``*by``; ``count``, which
        add up to the contentions in the window; ``p50``, ``p90``, ``p99`` of the race windows in
        milliseconds. A row for each group that occurs, most frequent first within an arm.
    """
    keys = [*PAIR, *by]
    summed = plain(_quantiles(table, ["arm", *keys], "size"))
    summed["_arm"] = summed["arm"].map({arm: place for place, arm in enumerate(arms)})
    summed = summed.sort_values(["_arm", "count", *keys], ascending=[True, False, *[True] * len(keys)])
    return summed.drop(columns="_arm").reset_index(drop=True)


def race_windows(table: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Give the quantiles of the race windows of each kind that has any.

    Parameters
    ----------
    table
        From :func:`races`, of all replications.
    arms
        The arms in the order of the study.

    Returns
    -------
    pandas.DataFrame
        ``arm, kind, count, p50, p90, p99``: ``count`` contentions with a rival, milliseconds; arms and kinds
        in the order of every table.
    """
    summed = _quantiles(table.loc[table["rival_age_us"].notna()], ["arm", "kind"], "count")
    order = pd.MultiIndex.from_product([arms, KIND_NAMES], names=["arm", "kind"])
    by_kind = summed.set_index(["arm", "kind"])
    return by_kind.loc[order[order.isin(by_kind.index)]].reset_index()


def race_histogram(table: pd.DataFrame) -> pd.DataFrame:
    """Count race windows in bins of equal width on a logarithmic axis, eight to a decade.

    Parameters
    ----------
    table
        From :func:`races`. The bins are the same for all tables, so that counts of runs may be added up.

    Returns
    -------
    pandas.DataFrame
        ``arm, kind, from_us, to_us, count``: a row for each bin in which there is something, half-open. Race
        windows of nothing, which have no place on such an axis, stand in a bin from 0 to 0.
    """
    met = table.loc[table["rival_age_us"].notna(), ["arm", "kind"]]
    age_us = table.loc[met.index, "rival_age_us"].to_numpy(dtype=float)
    later = age_us > 0
    place = np.full(age_us.size, -1)
    place[later] = np.searchsorted(_EDGES_US, age_us[later], side="right") - 1
    counts = met.assign(place=place).groupby(["arm", "kind", "place"]).size().rename("count").reset_index()
    bins = counts.pop("place").to_numpy()
    counts.insert(2, "from_us", np.where(bins < 0, 0.0, _EDGES_US[bins]))
    counts.insert(3, "to_us", np.where(bins < 0, 0.0, _EDGES_US[bins + 1]))
    return counts


_EDGES_US: Final = 10.0 ** (np.arange(18 * BINS_PER_DECADE + 1) / BINS_PER_DECADE)
"""From a microsecond to longer than any run."""


def _quantiles(table: pd.DataFrame, keys: list[str], counted: str) -> pd.DataFrame:
    """Give the count of each group (``size`` of all, ``count`` of those with a rival) and its quantiles."""
    groups = table.groupby(keys, sort=True, observed=True)["rival_age_us"]
    counts = groups.agg(counted).rename("count")
    values = {key: _quantiles_ms(ages) for key, ages in groups}
    shown = pd.DataFrame([values[key] for key in counts.index], index=counts.index, columns=list(QUANTILES))
    return counts.astype("int64").to_frame().join(shown).reset_index()


def _quantiles_ms(ages: pd.Series) -> list[float]:
    at_us = np.sort(ages.dropna().to_numpy(dtype=float))
    curve = Curve(at_us, np.arange(1, at_us.size + 1) / max(at_us.size, 1))
    return [quantile(curve, q, at_us.size)[0] / US_PER_MS for q in QUANTILES.values()]
