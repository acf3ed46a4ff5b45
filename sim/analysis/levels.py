"""Levels over time, and Little's law on them.

Attempts in flight, executions by the part of their sojourn, workers at work, busy sessions of the store, open
intents; and contentions per bin.

A row of ``series`` is one bin of one level of one run: how many items began and ended in it and the level
integrated over it, in item-microseconds, all exact. Bins are cut where the window begins and ends, so that
whatever is summed over the bins in the window is exactly that of the window, while the level itself was
integrated from the first instant of the run. Of contentions, which take no time, there is only the count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from sim.analysis.frequency import KIND_NAMES, RUN, plain
from sim.analysis.sojourn import PARTS
from sim.levels import Level
from sim.record import GOALS, dictionary
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Ints = NDArray[np.int64]

IN_FLIGHT: Final = "attempts_in_flight"
EXECUTIONS: Final = "executions"
AT_WORK: Final = "workers_at_work"
STORE: Final = "store"
INTENTS: Final = "intents"
CONTENTIONS: Final = "contentions"

SERIES: Final = {
    IN_FLIGHT: "attempts that were sent and whose outcome the actor has not learned",
    EXECUTIONS: f"executions, by where their time goes: {', '.join(PARTS)}",
    AT_WORK: "slots of workers that are at work",
    STORE: "sessions of the store that are busy, by partition",
    INTENTS: "open intents, by goal",
    CONTENTIONS: "contentions, by kind: how many, they take no time",
}
"""Every series and what it counts. Its labels tell its lines apart; a series of one line has an empty one."""


class Line(NamedTuple):
    """One line of a series: a level or a count over the bins of one run.

    Attributes
    ----------
    series, label : str
        Of which series; which line of it (empty for the only one).
    begun : numpy.ndarray
        What began in each bin.
    ended, integral_us : numpy.ndarray or None
        What ended in it, and the level integrated over it; None where things take no time.
    capacity : int or None
        The most that the level can be.
    """

    series: str
    label: str
    begun: Ints
    ended: Ints | None = None
    integral_us: Ints | None = None
    capacity: int | None = None

    @classmethod
    def of(cls, series: str, label: str, level: Level, capacity: int | None = None) -> Line:
        """Make a line of a level."""
        return cls(series, label, level.begun, level.ended, level.integral_us, capacity)


def intent_lines(intents: pa.Table, edges: Ints) -> list[Line]:
    """Make the lines of open intents from the records of a run, a goal each."""
    goals, goal = _codes(intents["goal"])
    begins, ends = (intents[name].to_numpy() for name in ("start_us", "end_us"))
    lines = []
    for name in GOALS:
        if name in goals:
            mine = goal == goals[name]
            level = Level(edges)
            level.add(begins[mine], ends[mine])
            lines.append(Line.of(INTENTS, name, level))
    return lines


def contention_lines(contentions: pa.Table, edges: Ints) -> list[Line]:
    """Count the contentions of a run in each bin, a line for each kind that occurs."""
    kinds, kind = _codes(contentions["kind"])
    bins = edges.size - 1
    place = np.searchsorted(edges, contentions["done_us"].to_numpy(), side="right") - 1
    inside = place < bins
    counts = np.bincount(kind[inside] * bins + place[inside], minlength=len(kinds) * bins)
    by_kind = counts.reshape(len(kinds), bins)
    return [Line(CONTENTIONS, name, by_kind[kinds[name]]) for name in KIND_NAMES if name in kinds]


def _codes(column: pa.ChunkedArray) -> tuple[dict[str, int], Ints]:
    """Give the names that occur in a column, by their numbers, and the number in each row."""
    names = column.unify_dictionaries().combine_chunks()
    return {name: code for code, name in enumerate(names.dictionary.to_pylist())}, names.indices.to_numpy()


def series_table(lines: Sequence[Line], edges: Ints, window_us: tuple[int, int]) -> pa.Table:
    """Make the table of a run's series: the lines in the order given, bin after bin.

    Returns
    -------
    pyarrow.Table
        ``series, label, from_us, to_us, begun, ended, integral_us, capacity, in_window``.
    """
    bins = edges.size - 1
    from_us = np.tile(edges[:-1], len(lines))

    def joined(columns: Iterable[Ints | None]) -> pa.ChunkedArray:
        nulls = pa.nulls(bins, pa.int64())
        return pa.chunked_array(
            [nulls if column is None else pa.array(column) for column in columns], pa.int64()
        )

    capacities = [None if each.capacity is None else np.full(bins, each.capacity) for each in lines]
    return pa.table({
        "series": dictionary([each.series for each in lines for _ in range(bins)]),
        "label": dictionary([each.label for each in lines for _ in range(bins)]),
        "from_us": from_us,
        "to_us": np.tile(edges[1:], len(lines)),
        "begun": joined(each.begun for each in lines),
        "ended": joined(each.ended for each in lines),
        "integral_us": joined(each.integral_us for each in lines),
        "capacity": joined(capacities),
        "in_window": (from_us >= window_us[0]) & (from_us < window_us[1]),
    })  # fmt: skip


def levels(series: pd.DataFrame, name: str) -> pd.DataFrame:
    """Give one series over time, as the mean over replications.

    Parameters
    ----------
    series
        Rows of any number of runs: ``arm, replication`` and the columns of :func:`series_table`.
    name
        One of :data:`SERIES`.

    Returns
    -------
    pandas.DataFrame
        ``arm, label, from_s, to_s``; ``level``, the mean level in the bin (NaN for contentions); ``per_s``,
        the rate at which things began in it; ``utilisation``, the level as a share of the capacity (NaN where
        there is no such). Runs in which a line does not occur count as zero.
    """
    mine = series.loc[series["series"] == name]
    replications = plain(series[RUN]).drop_duplicates().groupby("arm").size()
    table = _summed(mine, ["arm", "label", "from_us", "to_us"])
    width_us = table["to_us"] - table["from_us"]
    table = _rates(table, width_us * table["arm"].map(replications))
    bounds = {f"{edge}_s": table.pop(f"{edge}_us") / US_PER_S for edge in ("from", "to")}
    for place, (column, values) in enumerate(bounds.items(), start=2):
        table.insert(place, column, values)
    return table.drop(columns="begun")


def window_levels(series: pd.DataFrame) -> pd.DataFrame:
    """Give the mean of every level in the window of each run: L and lambda of Little's law.

    Parameters
    ----------
    series
        As for :func:`levels`.

    Returns
    -------
    pandas.DataFrame
        ``arm, replication, series, label``; ``begun`` in the window; ``level``, ``per_s`` and ``utilisation``
        as in :func:`levels`.
    """
    table = _summed(series.loc[series["in_window"]], [*RUN, "series", "label"])
    return _rates(table, table["length_us"])


def _summed(series: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sum over the rows of each group; what is null in all of them stays null."""
    length_us = series["to_us"] - series["from_us"]
    wanted = plain(series[[*keys, "begun", "integral_us"]])
    wanted = wanted.assign(capacity_us=series["capacity"] * length_us, length_us=length_us)
    return wanted.groupby(keys, sort=False).sum(min_count=1).reset_index()


def _rates(table: pd.DataFrame, exposure_us: pd.Series) -> pd.DataFrame:
    """Put means over a time in the place of sums."""
    exposure = exposure_us.to_numpy(dtype=float)
    integral_us, capacity_us = (
        table.pop(name).to_numpy(dtype=float, na_value=np.nan) for name in ("integral_us", "capacity_us")
    )
    table = table.drop(columns="length_us")
    table["level"] = integral_us / exposure
    table["per_s"] = table["begun"].to_numpy(dtype=float) * US_PER_S / exposure
    table["utilisation"] = integral_us / np.where(capacity_us > 0, capacity_us, np.nan)
    return table


class Little(NamedTuple):
    """Little's law on one level in a window: ``level`` against ``rate_per_s * time_s``.

    Attributes
    ----------
    level : float
        L: the mean number of items.
    rate_per_s : float
        Lambda: items that began in the window, per second.
    time_s : float
        W: their mean time, each followed to its end, in seconds. NaN where none began.
    edge_items : float
        What makes L differ from lambda W, as a level: the time inside the window of items that began before
        it, less the time outside it of items that began inside. ``level == rate_per_s * time_s + edge_items``
        but for rounding, whatever the process; over a window that is long against W it vanishes.
    """

    level: float
    rate_per_s: float
    time_s: float
    edge_items: float


def little(begins_us: ArrayLike, ends_us: ArrayLike, window_us: tuple[int, int]) -> Little:
    """Work out both sides of Little's law from the records of items, independently of any recorded level.

    ``L = lambda W`` on a sample path (Stidham, "A last word on L = lambda W", Operations Research 22, 1974).

    Parameters
    ----------
    begins_us, ends_us
        One entry an item, all items of the run; an item that goes on at the end of the run ends there.
    window_us
        Start and end: [start, end).
    """
    begins, ends = np.asarray(begins_us, np.int64), np.asarray(ends_us, np.int64)
    start_us, end_us = window_us
    length_us = end_us - start_us
    inside = np.maximum(np.minimum(ends, end_us) - np.maximum(begins, start_us), 0)
    begun = (begins >= start_us) & (begins < end_us)
    times = (ends - begins)[begun]
    return Little(
        level=float(inside.sum()) / length_us,
        rate_per_s=times.size * US_PER_S / length_us,
        time_s=float(times.mean()) / US_PER_S if times.size else np.nan,
        edge_items=float(inside.sum() - times.sum()) / length_us,
    )
