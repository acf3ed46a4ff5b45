"""How often each kind of contention occurs: bars with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.plots.base import (
    FAINT,
    GRID,
    HATCHES,
    INK,
    SMALL,
    STYLE,
    arm_legend,
    make_figure,
    plain_frame,
)
from sim.analysis.text import number
from sim.contention import ContentionKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sim.analysis.plots.base import Drawable

_FREQUENCY_TITLE: Final = "how often each kind of contention occurs"
_LOG_FROM_RATIO: Final = 30.0


def frequency_bars(study: Drawable, ax: Axes | None = None) -> Axes:
    """Draw how often each kind occurs, with its interval.

    One bar an arm and kind, all kinds in the order of every table; the count stands at its end, and "none
    seen" where there is none. The axis is logarithmic where the largest rate is more than 30 times the
    smallest.

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
        if ax is None:
            ax = frequency_figure(study).subplots()
        _draw_bars(ax, study.frequency(), study.arms)
    return ax


def frequency_figure(study: Drawable) -> Figure:
    """Make the figure for bars of every kind and arm."""
    bars = len(KIND_NAMES) * len(study.arms)
    return make_figure(study, _FREQUENCY_TITLE, 1.6 + 0.16 * (len(KIND_NAMES) + bars))


def _draw_bars(ax: Axes, frequency: pd.DataFrame, arms: Sequence[str]) -> None:
    """Draw one bar an arm and kind from the left edge of the axis, its interval and its count."""
    left, right, logarithmic = _rate_axis(frequency)
    ax.set_xscale("log" if logarithmic else "linear")
    ax.set_xlim(left, right)
    height = 0.8 / len(arms)
    for place, arm in enumerate(arms):
        offset = (place - (len(arms) - 1) / 2) * height
        hatch = HATCHES[place % len(HATCHES)]
        for row in frequency.loc[frequency["arm"] == arm].to_dict("records"):
            _draw_bar(ax, row, KIND_NAMES.index(row["kind"]) + offset, height, hatch)
    ax.set_yticks(range(len(KIND_NAMES)), KIND_NAMES)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(KIND_NAMES) - 0.4, -0.6)
    scale = " (logarithmic)" if logarithmic else ""
    ax.set_xlabel(
        f"contentions per simulated second{scale}; line: 95 % interval of the mean; number: count in all"
    )
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    plain_frame(ax)
    if len(arms) > 1:
        arm_legend(ax, arms)


def _draw_bar(ax: Axes, row: dict[Any, Any], at: float, height: float, hatch: str) -> None:
    left, right = ax.get_xlim()
    words: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": SMALL}
    if row["count"] == 0:
        bound = f"none seen (below {number(row['ci_high'])} per s)"
        ax.annotate(bound, (left, at), (4, 0), color=FAINT, **words)
        return
    colour = ContentionKind(row["kind"]).facts.colour
    ax.barh(
        at,
        row["mean"] - left,
        0.9 * height,
        left=left,
        color=colour,
        edgecolor=INK,
        linewidth=0.6,
        hatch=hatch,
    )
    ends = [max(left, row["ci_low"]), min(right, row["ci_high"])]
    ax.plot(ends, [at, at], color="white", linewidth=2.4, solid_capstyle="butt")
    ax.plot(ends, [at, at], color=INK, linewidth=1.2, marker="|", markersize=5)
    ax.annotate(f"{row['count']:,}", (max(row["mean"], ends[1]), at), (5, 0), **words)


def _rate_axis(frequency: pd.DataFrame) -> tuple[float, float, bool]:
    """Choose the axis of rates: its ends, with room for the counts, and whether it is logarithmic."""
    seen = frequency.loc[frequency["count"] > 0]
    if seen.empty:
        return 0.0, 1.0, False
    least, most = seen["mean"].to_numpy().min(), seen[["mean", "ci_high"]].to_numpy().max()
    if most <= _LOG_FROM_RATIO * least:
        return 0.0, 1.12 * float(most), False
    left = float(least) / 3
    return left, float(most) * (float(most) / left) ** 0.12, True
