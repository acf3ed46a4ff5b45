"""Arms against a baseline: the effects with their intervals, and work against time."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from sim.analysis.comparison import (
    DETAILS,
    DIFFERENT,
    EQUAL,
    FAMILIES,
    FREQUENCY,
    MEASURES,
    NOT_SHOWN,
    RECOVERY,
    TAILS,
    TIME,
    WORK,
)
from sim.analysis.outcomes import UNITS
from sim.analysis.plots.base import (
    ARM_COLOURS,
    ARM_MARKERS,
    FAINT,
    GRID,
    INK,
    SMALL,
    STYLE,
    make_figure,
    plain_frame,
)
from sim.analysis.text import number
from sim.analysis.verdicts import subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.analysis.plots.base import Drawable

_COMPARED: Final = (DIFFERENT, NOT_SHOWN, EQUAL)
_SUBJECTS: Final = {
    MEASURES: "what each arm comes to", DETAILS: "what each arm comes to in detail",
    FREQUENCY: "how often each arm meets each kind", RECOVERY: "how long each arm takes to recover (median)",
    TAILS: "how long each arm takes to recover (p90, p99)",
}  # fmt: skip
_ALONE: Final = "one arm: there is nothing to compare it with"
_LEAST, _MOST = 1e-3, 1e3  # factors beyond stand at the edge of the picture, with their numbers beside them
_NONE_AT_ALL: Final = -99.9  # percent: at the left edge, wherever that is
_TICKS: Final = tuple(digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5))
_TICKS_MOST: Final = 9


def effects(study: Drawable, family: str = MEASURES, ax: Axes | None = None) -> Axes:
    """Draw how many times the baseline's value each arm comes to, with 95 % intervals, by measure.

    Paired by replication (:mod:`sim.analysis.comparison`); on a logarithmic axis, where half and twice are
    equally far from the baseline. A filled mark is a difference that is shown after Holm's correction.

    Parameters
    ----------
    study
        What to draw.
    family
        Which comparisons: ``measures``, ``details``, ``frequency``, ``recovery`` or ``tails``. Those without
        an effect (a baseline of nothing, too few events) are left out.
    ax
        Where to; by default a figure of its own with a title.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        When there is no such family.
    """
    if family not in FAMILIES:
        raise ValueError(f"there is no family {family!r}; there are {', '.join(FAMILIES)}")
    rows = _effects_of(study, family)
    height = 1.7 + 0.17 * len(rows) + 0.1 * len({subject(row) for row in rows})
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = make_figure(study, f"{_SUBJECTS[family]} beside {study.arms[0]}", height).subplots()
        if not rows:
            ax.set_xlabel(_ALONE if study.baseline is None else f"no {family} can be compared")
            ax.set_yticks([])
            return ax
        low, high = _factors_axis(ax, rows)
        labels: dict[float, str] = {}
        at = 0.0
        for name, group in groupby(rows, key=subject):
            first = at
            for row in group:
                _draw_effect(ax, row, at, study.arms, (low, high))
                at += 1
            labels[(first + at - 1) / 2] = name
            ax.axhline(at - 0.2, color=GRID, linewidth=0.6)
            at += 0.6
        ax.set_yticks(list(labels), list(labels.values()))
        ax.set_ylim(at - 0.8, -0.8)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(
            f"times the value of {study.baseline} (logarithmic); line: 95 % interval of the paired ratio\n"
            "filled: a difference is shown (5 % after Holm); hollow: none is shown"
        )
        _name_arms(ax, study.arms, study.arms[1:])
        plain_frame(ax)
    return ax


def pareto(study: Drawable, work: str = WORK[0], time: str = TIME[0], ax: Axes | None = None) -> Axes:
    """Draw the work that each arm makes against the time that it takes, with 95 % intervals.

    Further to the left and further down is better. The arms that no other one beats in both means are joined.

    Parameters
    ----------
    study
        What to draw.
    work, time
        Measures of :func:`sim.analysis.comparison.pareto`: ``amplification`` or ``attempts``,
        ``sojourn_mean`` or ``drain_s``.
    ax
        Where to; by default a figure of its own with a title.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        When there is no such measure.
    """
    for name, known in ((work, WORK), (time, TIME)):
        if name not in known:
            raise ValueError(f"{name!r} is none of {', '.join(known)}")
    table = study.pareto()
    table = table.loc[(table["work"] == work) & (table["time"] == time)]
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = make_figure(study, "work against time", 4.6).subplots()
        rows = {row["arm"]: row for row in table.to_dict("records")}
        measured = [
            arm for arm in study.arms if not math.isnan(rows[arm]["work_mean"] + rows[arm]["time_mean"])
        ]
        front = sorted(
            (rows[arm]["work_mean"], rows[arm]["time_mean"]) for arm in measured if rows[arm]["on_front"]
        )
        if front:
            ax.plot(*zip(*front, strict=True), color=FAINT, linewidth=0.8, zorder=1)
        for arm in measured:
            _draw_arm(ax, rows[arm], study.arms)
        for name, axis in ((work, ax.xaxis), (time, ax.yaxis)):
            axis.set_label_text(f"{name} ({UNITS[name]})" if UNITS[name] else name)
            axis.set_major_locator(MaxNLocator(6))
            axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        ax.grid(color=GRID, linewidth=0.6)
        _name_arms(ax, study.arms, study.arms)
        plain_frame(ax)
    return ax


def _effects_of(study: Drawable, family: str) -> list[dict[Any, Any]]:
    """Give the comparisons that have an effect, those of one measure below each other."""
    if study.baseline is None:
        return []
    paired = study.paired()
    mine = paired.loc[(paired["family"] == family) & paired["finding"].isin(_COMPARED)]
    rows = [row for row in mine.to_dict("records") if not math.isnan(row["percent"])]
    order = list(dict.fromkeys(subject(row) for row in paired.to_dict("records")))
    return sorted(rows, key=lambda row: (order.index(subject(row)), study.arms.index(row["arm"])))


def _factor(percent: float) -> float:
    return min(max(1 + percent / 100, _LEAST), _MOST)


def _ends(row: dict[Any, Any]) -> tuple[float, float, float]:
    """Give low end, effect and high end as factors; an effect without an interval is its own ends."""
    percents = [row[name] for name in ("percent_low", "percent", "percent_high")]
    low, point, high = (_factor(row["percent"] if math.isnan(each) else each) for each in percents)
    return low, point, high


def _factors_axis(ax: Axes, rows: Sequence[dict[Any, Any]]) -> tuple[float, float]:
    """Make the axis that holds the baseline and every effect; give its ends."""
    shown = [_ends(row) for row in rows if row["percent"] > _NONE_AT_ALL]
    points = [point for _, point, _ in shown]
    ends = [end for each in shown for end in each]
    # Intervals may be endless: they are cut where the widest effect is far away.
    low = max(min(0.8, *ends) / 1.1, min(0.8, *points) / 4)
    high = min(max(1.25, *ends) * 1.1, max(1.25, *points) * 4)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    if len(ticks) > _TICKS_MOST:
        ticks = [tick for tick in ticks if math.log10(tick) == round(math.log10(tick))]
    if high / low < 4:
        ticks = [round(0.1 * tenth, 1) for tenth in range(1, 40) if low <= 0.1 * tenth <= high]
        ticks = [tick for tick in ticks if round(10 * tick) % 2 == 0] if len(ticks) > _TICKS_MOST else ticks
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} x"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    ax.axvline(1, color=INK, linewidth=1.0)
    return low, high


def _draw_effect(
    ax: Axes, row: dict[Any, Any], at: float, arms: Sequence[str], span: tuple[float, float]
) -> None:
    """Draw one arm's effect on one measure, and write it at the right edge."""
    colour, marker = _look(row["arm"], arms)
    low, point, high = _ends(row)
    ax.hlines(at, max(low, span[0]), min(high, span[1]), color=colour, linewidth=1.4)
    filled = colour if row["finding"] == DIFFERENT else "white"
    ax.plot(
        [min(max(point, span[0]), span[1])], [at], marker=marker, markersize=5.5, markeredgecolor=colour,
        markerfacecolor=filled, linestyle="", clip_on=False, zorder=3,
    )  # fmt: skip
    words = f"{'+' if row['percent'] >= 0 else ''}{number(row['percent'])} %"
    if row["finding"] == EQUAL:
        words = "the same"
    elif not math.isnan(row["percent_low"]):
        words += f" ({number(row['percent_low'])} to {number(row['percent_high'])})"
    ax.annotate(
        words, (1, at), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
        fontsize=SMALL,
    )  # fmt: skip


def _draw_arm(ax: Axes, row: dict[Any, Any], arms: Sequence[str]) -> None:
    """Draw where one arm lies, with its intervals in both directions."""
    colour, marker = _look(row["arm"], arms)
    x, y = row["work_mean"], row["time_mean"]
    if not math.isnan(row["work_low"]):
        ax.hlines(y, row["work_low"], row["work_high"], color=colour, linewidth=1.2)
    if not math.isnan(row["time_low"]):
        ax.vlines(x, row["time_low"], row["time_high"], color=colour, linewidth=1.2)
    # Arms may come to the same: the first one's mark is the largest, so that those on top leave it visible.
    size = 7 + 1.5 * (len(arms) - 1 - list(arms).index(row["arm"]))
    ax.plot(
        [x], [y], color=colour, marker=marker, markersize=min(size, 15), markeredgecolor="white",
        markeredgewidth=0.6, linestyle="", zorder=3,
    )  # fmt: skip


def _look(arm: str, arms: Sequence[str]) -> tuple[str, str]:
    place = list(arms).index(arm)
    return ARM_COLOURS[place % len(ARM_COLOURS)], ARM_MARKERS[place % len(ARM_MARKERS)]


def _name_arms(ax: Axes, arms: Sequence[str], named: Sequence[str]) -> None:
    """Name arms by their colours and marks, above the axes."""
    handles = [
        Line2D([], [], color=_look(arm, arms)[0], marker=_look(arm, arms)[1], linestyle="", label=arm)
        for arm in named
    ]
    ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=min(len(named), 6), frameon=False,
        borderaxespad=0.2, handletextpad=0.2,
    )  # fmt: skip
