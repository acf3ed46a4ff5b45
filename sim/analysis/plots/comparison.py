"""Arms beside a baseline: differences with intervals, and work against time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from sim.analysis.comparison import DIFFERENT, FREQUENCY, MEASURES, RECOVERY
from sim.analysis.outcomes import UNITS
from sim.analysis.plots.base import FAINT, GRID, INK, SMALL, STYLE, make_figure, plain_frame
from sim.analysis.text import number
from sim.analysis.verdicts import subject
from sim.contention import ContentionKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.analysis.plots.base import Drawable

_PAIRED_TITLE: Final = "how the arms differ, replication by replication"
_PARETO_TITLE: Final = "work against time"
_ONE_ARM: Final = "one arm: there is nothing to compare"
_TICKS: Final = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16)
_ROW_IN: Final = 0.24


def paired(
    study: Drawable, ax: Axes | None = None, *, families: Sequence[str] = (MEASURES, FREQUENCY, RECOVERY)
) -> Axes:
    """Draw what each arm does to each measure, as a multiple of the baseline with its 95 % interval.

    Filled marks are differences that are shown after Holm's correction over the family, hollow ones are not;
    what cannot be compared (too few events, no quantile) is left out. Intervals that go beyond a sixteenth
    or sixteen times end at the edge.

    Parameters
    ----------
    study
        What to draw; its first arm is the baseline.
    ax
        Where to; by default a figure of its own with a title.
    families
        Which families of tests (:mod:`sim.analysis.comparison`).

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows: list[dict[Any, Any]] = []
    if len(study.arms) > 1:
        table = study.paired()
        table = table.loc[table["family"].isin(list(families)) & table["percent"].notna()]
        rows = sorted(table.to_dict("records"), key=lambda row: families.index(row["family"]))
    subjects = list(dict.fromkeys(subject(row) for row in rows))
    places = {name: place for place, name in enumerate(subjects)}
    others = study.arms[1:]
    with mpl.rc_context(STYLE):
        if ax is None:
            height = 2.0 + _ROW_IN * max(2, len(subjects) * max(1, len(others)))
            ax = make_figure(study, _PAIRED_TITLE, height).subplots()
        ax.set_xscale("log")
        ax.set_xlim(*_edges(rows))
        for row in rows:
            share = (others.index(row["arm"]) + 1) / (len(others) + 1)
            _draw_effect(ax, row, places[subject(row)] - 0.5 + share, len(others) > 1)
        ax.axvline(1, color=FAINT, linewidth=0.8)
        ax.xaxis.set_major_locator(FixedLocator(_TICKS))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"x {value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_yticks(range(len(subjects)), subjects)
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(max(1, len(subjects)) - 0.5, -0.5)
        ax.hlines(np.arange(1, len(subjects)) - 0.5, *ax.get_xlim(), color=GRID, linewidth=0.6)
        words = (
            f"times the value of {study.arms[0]} (logarithmic); line: 95 % interval\n"
            "filled: a difference after Holm's correction; hollow: none shown"
        )
        ax.set_xlabel(words if rows else _ONE_ARM if not others else "nothing could be compared")
        plain_frame(ax)
    return ax


def pareto(
    study: Drawable, work: str = "amplification", time: str = "sojourn_mean", ax: Axes | None = None
) -> Axes:
    """Draw the work that each arm makes against the time that it takes, both with 95 % intervals.

    Lower and further left is better; filled marks are arms that no other beats in both.

    Parameters
    ----------
    study
        What to draw.
    work, time
        Measures: ``amplification`` or ``attempts``, ``sojourn_mean`` or ``drain_s``.
    ax
        Where to; by default a figure of its own with a title.

    Returns
    -------
    matplotlib.axes.Axes
    """
    table = study.pareto()
    table = table.loc[(table["work"] == work) & (table["time"] == time)]
    rows = table.dropna(subset=["work_mean", "time_mean"]).to_dict("records")
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = make_figure(study, _PARETO_TITLE, 5.0).subplots()
        for row in rows:
            _draw_arm(ax, row)
        ax.margins(0.12)
        if not rows:
            ax.set_xticks([])
            ax.set_yticks([])
        units = [f" ({UNITS[name]})" if UNITS[name] else "" for name in (work, time)]
        note = "line: 95 % interval; filled: no other arm is better in both; hollow: one is"
        ax.set_xlabel(f"{work}{units[0]}\n{note}" if rows else "nothing was measured in every replication")
        ax.set_ylabel(f"{time}{units[1]}")
        ax.grid(color=GRID, linewidth=0.6)
        plain_frame(ax)
    return ax


def _edges(rows: Sequence[dict[Any, Any]]) -> tuple[float, float]:
    """Give the ends of the axis: the same power of two up and down that holds every interval, at most 16."""
    names = ("percent", "percent_low", "percent_high")
    ratios = [1 + row[name] / 100 for row in rows for name in names if not math.isnan(row[name])]
    power = max((abs(math.log2(max(ratio, _TICKS[0]))) for ratio in ratios), default=1.0)
    most = 2.0 ** min(4, max(1, math.ceil(power)))
    return 1 / most, most


def _draw_effect(ax: Axes, row: dict[Any, Any], at: float, named: bool) -> None:
    """Draw one difference: its interval, its mark, and what it is in percent."""
    kind = row["kind"]
    colour = ContentionKind(kind).facts.colour if isinstance(kind, str) else INK
    ratio, low, high = (1 + row[name] / 100 for name in ("percent", "percent_low", "percent_high"))
    edges = ax.get_xlim()
    if not math.isnan(low) and not math.isnan(high):
        ax.plot(np.clip([low, high], *edges), [at, at], color=colour, linewidth=1.6)
    ax.plot(
        float(np.clip(ratio, *edges)), at, marker="o", markersize=6, color=colour,
        markerfacecolor=colour if row["finding"] == DIFFERENT else "white",
    )  # fmt: skip
    sign = "+" if row["percent"] > 0 else ""
    words = f"{sign}{number(row['percent'])} %"
    ax.annotate(
        f"{row['arm']}  {words}" if named else words, (1, at), (6, 0), xycoords=ax.get_yaxis_transform(),
        textcoords="offset points", va="center", fontsize=SMALL,
    )  # fmt: skip


def _draw_arm(ax: Axes, row: dict[Any, Any]) -> None:
    for axis, across in (("work", "time"), ("time", "work")):
        ends = [row[f"{axis}_low"], row[f"{axis}_high"]]
        if not np.isnan(ends).any():
            middle = [row[f"{across}_mean"]] * 2
            ax.plot(*((ends, middle) if axis == "work" else (middle, ends)), color=FAINT, linewidth=1.0)
    face = INK if row["on_front"] else "white"
    ax.plot(row["work_mean"], row["time_mean"], marker="o", markersize=8, color=INK, markerfacecolor=face)
    ax.annotate(row["arm"], (row["work_mean"], row["time_mean"]), (8, 6), textcoords="offset points")
