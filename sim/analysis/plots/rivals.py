"""Who made whose operations fail, and how shortly before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
import numpy as np

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.plots.base import SMALL, STYLE, make_figure, time_axis
from sim.analysis.plots.matrix import draw_matrix
from sim.analysis.plots.strips import Strip, draw_strips, strips_axes
from sim.analysis.rivals import NOBODY
from sim.analysis.text import duration
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from sim.analysis.plots.base import Drawable

_RIVALS_TITLE: Final = "who was refused because of whom"
_WIDE_LABELS: Final = 6
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
        strips = _race_strips(study.race_windows(), study.race_histogram())
        if ax is None:
            ax = strips_axes(study, _RACES_TITLE, len(strips))
        _draw_races(ax, strips, study.arms)
    return ax


def _actor_kinds(table: pd.DataFrame, column: str) -> list[str]:
    """Give the kinds of a column, most contentions first; what has no rival comes last."""
    counts = table.groupby(column)["count"].sum().sort_index().sort_values(ascending=False, kind="stable")
    kinds = [str(kind) for kind in counts.index]
    return sorted(kinds, key=NOBODY.__eq__)


def _draw_rivals(ax: Axes, table: pd.DataFrame, rows: Sequence[tuple[str, str]], arms: int) -> None:
    columns = _actor_kinds(table, "rival_kind")
    cells = {
        (row["arm"], row["actor_kind"], row["rival_kind"]): (
            row["count"],
            "" if math.isnan(row["p50"]) else duration(row["p50"]),
        )
        for row in table.to_dict("records")
    }
    draw_matrix(ax, rows, columns, cells, arms)
    if cells:
        named = ["no rival known" if each == NOBODY else each for each in columns]
        ax.set_xticks(ax.get_xticks(), named)
        if len(named) > _WIDE_LABELS:
            ax.tick_params(axis="x", labelsize=SMALL)
        ax.set_ylabel("who was refused")
        ax.set_xlabel("whose operation made it so; number: contentions; time: median race window")


def _race_strips(table: pd.DataFrame, histogram: pd.DataFrame) -> list[Strip]:
    table = table.assign(place=table["kind"].map(KIND_NAMES.index)).sort_values("place", kind="stable")
    bins = dict(list(histogram.groupby(["arm", "kind"])))
    strips = []
    for row in table.to_dict("records"):
        mine = bins[row["arm"], row["kind"]]
        later = mine.loc[mine["from_us"] > 0]
        words = [f"{row['count']:,}"]
        at_once = row["count"] - int(later["count"].sum())
        if at_once:
            words.append(f"({at_once:,} at once)")
        mark = None
        if not math.isnan(row["p50"]):
            words.append(f"p50 {duration(row['p50'])}")
            mark = row["p50"] * US_PER_MS or None
        from_us, to_us, count = (later[name].to_numpy(dtype=float) for name in ("from_us", "to_us", "count"))
        strips.append(Strip(row["kind"], row["arm"], from_us, to_us, count, "  ".join(words), mark))
    return strips


def _draw_races(ax: Axes, strips: Sequence[Strip], arms: Sequence[str]) -> None:
    edges = [edge for strip in strips for edge in (*strip.from_x, *strip.to_x)] or [1.0, 10.0]
    time_axis(ax, np.array([min(edges), max(max(edges), 10 * min(edges))]))
    draw_strips(ax, strips, arms)
    ax.set_xlabel(_RACES_AXIS if strips else "no contention had a rival")
