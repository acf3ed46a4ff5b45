"""Who made whose operations fail, and how shortly before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.plots.base import (
    FAINT,
    GRID,
    INK,
    SMALL,
    STYLE,
    make_figure,
    plain_frame,
    time_axis,
)
from sim.analysis.rivals import NOBODY
from sim.analysis.text import duration
from sim.contention import ContentionKind
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from sim.analysis.plots.base import Drawable

_RIVALS_TITLE: Final = "who was refused because of whom"
_RACES_TITLE: Final = "how long before a refusal its rival had been there"


_RACES_AXIS: Final = (
    "from the rival's operation to the refused one (simulated time, logarithmic)\n"
    "line: median; number: contentions with a rival"
)


def rivals(study: Drawable, ax: Axes | None = None) -> Axes:
    """Draw who was refused because of whom: a row a kind of actor, a column a kind of rival.

    A cell has the number of contentions in the window, all replications together, and the median of their
    race windows where there are enough to tell. With several arms each has its own block of rows.

    Parameters
    ----------
    study
        What to draw.
    ax
        Where to; by default a figure of its own with a title.

    Returns
    -------
    matplotlib.axes.Axes
    """
    with mpl.rc_context(STYLE):
        table = study.rivals()
        rows = [(arm, kind) for arm in study.arms for kind in _actor_kinds(table, "actor_kind")]
        if ax is None:
            ax = make_figure(study, _RIVALS_TITLE, 1.9 + 0.5 * max(1, len(rows))).subplots()
        _draw_rivals(ax, table, rows, len(study.arms))
    return ax


def race_windows(study: Drawable, ax: Axes | None = None) -> Axes:
    """Draw how long before a refusal its rival's operation took effect, by kind, on a logarithmic axis.

    A strip a kind and arm, each as high as its own fullest bin; a line marks the median. Race windows of
    nothing have no place on such an axis and are counted beside the strip.

    Parameters
    ----------
    study
        What to draw.
    ax
        Where to; by default a figure of its own with a title.

    Returns
    -------
    matplotlib.axes.Axes
    """
    with mpl.rc_context(STYLE):
        table = study.race_windows()
        if ax is None:
            ax = make_figure(study, _RACES_TITLE, 1.5 + 0.42 * max(1, len(table))).subplots()
        _draw_races(ax, table, study.race_histogram(), study.arms)
    return ax


def _actor_kinds(table: pd.DataFrame, column: str) -> list[str]:
    """Give the kinds of a column, most contentions first; what has no rival comes last."""
    counts = table.groupby(column)["count"].sum().sort_index().sort_values(ascending=False, kind="stable")
    kinds = [str(kind) for kind in counts.index]
    return sorted(kinds, key=NOBODY.__eq__)


def _draw_rivals(ax: Axes, table: pd.DataFrame, rows: Sequence[tuple[str, str]], arms: int) -> None:
    """Draw the matrix: cells shaded by the logarithm of their count."""
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if table.empty:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel("no contention was met")
        return
    columns = _actor_kinds(table, "rival_kind")
    cells = {(row["arm"], row["actor_kind"], row["rival_kind"]): row for row in table.to_dict("records")}
    counts = np.array(
        [
            [cells[(*row, column)]["count"] if (*row, column) in cells else 0 for column in columns]
            for row in rows
        ]
    )
    most = max(2, int(counts.max()))
    ax.pcolormesh(
        np.ma.masked_equal(counts, 0),
        cmap="Blues",
        norm=LogNorm(1, most**1.5),
        edgecolor="white",
        linewidth=1.5,
    )
    for (row, column), count in np.ndenumerate(counts):
        if count:
            _write_cell(ax, column + 0.5, row + 0.5, cells[(*rows[row], columns[column])])
    names = [f"{arm}: {kind}" if arms > 1 else kind for arm, kind in rows]
    ax.set_yticks(np.arange(len(rows)) + 0.5, names)
    ax.set_xticks(
        np.arange(len(columns)) + 0.5, ["no rival known" if each == NOBODY else each for each in columns]
    )
    ax.set_ylim(len(rows), 0)
    ax.set_ylabel("who was refused")
    ax.set_xlabel("whose operation made it so; number: contentions; time: median race window")
    ax.hlines(np.arange(1, arms) * (len(rows) // arms), 0, len(columns), color=FAINT, linewidth=1)


def _write_cell(ax: Axes, x: float, y: float, row: dict[Any, Any]) -> None:
    """Write a count and, below it, the median race window."""
    words: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "center"}
    known = not math.isnan(row["p50"])
    ax.annotate(f"{row['count']:,}", (x, y), (0, 5 if known else 0), fontweight="bold", **words)
    if known:
        ax.annotate(duration(row["p50"]), (x, y), (0, -6), fontsize=SMALL, **words)


def _draw_races(ax: Axes, table: pd.DataFrame, histogram: pd.DataFrame, arms: Sequence[str]) -> None:
    later = histogram.loc[histogram["from_us"] > 0]
    ends = (later["from_us"].min(), later["to_us"].max()) if len(later) else (1.0, 10.0)
    time_axis(ax, np.array([ends[0], max(ends[1], 10 * ends[0])]))
    table = table.assign(place=table["kind"].map(KIND_NAMES.index)).sort_values("place", kind="stable")
    rows = table.to_dict("records")
    for place, row in enumerate(rows):
        mine = histogram.loc[(histogram["arm"] == row["arm"]) & (histogram["kind"] == row["kind"])]
        _draw_strip(ax, row, mine, place + 1.0)
    names = [f"{row['kind']}\n{row['arm']}" if len(arms) > 1 else row["kind"] for row in rows]
    ax.set_yticks(np.arange(len(rows)) + 0.6, names)
    ax.set_ylim(max(1, len(rows)), 0)
    ax.set_xlabel(_RACES_AXIS if rows else "no contention had a rival")
    ax.hlines(np.arange(1, len(rows) + 1), *ax.get_xlim(), color=GRID, linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    plain_frame(ax)


def _draw_strip(ax: Axes, row: dict[Any, Any], histogram: pd.DataFrame, floor: float) -> None:
    """Draw the race windows of one kind and arm upwards from a line, and count them beside it."""
    later = histogram.loc[histogram["from_us"] > 0]
    height = 0.85 * later["count"] / max(1, later["count"].max())
    ax.bar(
        later["from_us"], -height, later["to_us"] - later["from_us"], bottom=floor, align="edge",
        color=ContentionKind(row["kind"]).facts.colour, edgecolor=INK, linewidth=0.4,
    )  # fmt: skip
    words = [f"{row['count']:,}"]
    at_once = row["count"] - int(later["count"].sum())
    if at_once:
        words.append(f"({at_once:,} at once)")
    if not math.isnan(row["p50"]):
        words.append(f"p50 {duration(row['p50'])}")
        if row["p50"] > 0:
            at_us = row["p50"] * US_PER_MS
            ax.vlines(at_us, floor - 0.9, floor, color="white", linewidth=2.4)
            ax.vlines(at_us, floor - 0.9, floor, color=INK, linewidth=1.2)
    ax.annotate(
        "  ".join(words), (1, floor - 0.4), (6, 0), xycoords=ax.get_yaxis_transform(),
        textcoords="offset points", va="center", fontsize=SMALL,
    )  # fmt: skip
