"""Which share has recovered by when: Kaplan-Meier curves with bands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from sim.analysis.plots.base import (
    COLUMNS,
    DASHES,
    FAINT,
    GRID,
    INK,
    SMALL,
    STYLE,
    make_figure,
    plain_frame,
    time_axis,
)
from sim.contention import ContentionKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from sim.analysis.plots.base import Drawable

_CURVES_TITLE: Final = "which share has recovered by when"
_X_AXIS: Final = "since the first refusal of the kind (simulated time, logarithmic)"
_Y_AXIS: Final = "share recovered"
_BAND_WORDS: Final = "coloured: Kaplan-Meier, of those neither abandoned nor satisfied by another; "
_COMPLETE: Final = 1 - 1e-9
_TWO_LINES_IN: Final = 0.46
_INCIDENCE_WORDS: Final = "thin grey: cumulative incidence, of all"


def recovery_curve(study: Drawable, kind: str, ax: Axes | None = None) -> Axes:
    """Draw the share of episodes of one kind that has recovered, over a logarithmic axis of time.

    The coloured curve is one minus Kaplan-Meier: conditional on neither being abandoned nor satisfied by
    another. Its band is that of a bootstrap of whole replications at each instant, 95 %. The thin grey curve
    is the cumulative incidence of recovery among all episodes: where it stays below, the others ended
    otherwise. Arms differ in how the lines are dashed.

    Parameters
    ----------
    study
        What to draw.
    kind
        Name of the kind.
    ax
        Where to; by default a figure of its own with a title.

    Returns
    -------
    matplotlib.axes.Axes
    """
    curves = study.recovery_curves([kind])
    recovery = study.recovery()
    with mpl.rc_context(STYLE):
        if ax is None:
            figure = make_figure(study, _CURVES_TITLE, 5.0)
            ax = figure.subplots()
            ax.set_xlabel(f"{_X_AXIS}\n{_legend_words(study)}")
            ax.set_ylabel(_Y_AXIS)
            _arm_dashes(figure, study.arms)
        _draw_panel(ax, kind, curves, recovery.loc[recovery["kind"] == kind], study.arms, _span(curves))
    return ax


def recovery_curves(study: Drawable, kinds: Sequence[str] | None = None) -> list[Axes]:
    """Draw :func:`recovery_curve` for several kinds, over the same axis of time.

    Parameters
    ----------
    study
        What to draw.
    kinds
        Which kinds; by default all that were met. Those that nothing recovered from are named below instead.

    Returns
    -------
    list of matplotlib.axes.Axes
        A panel a kind, in the order of every table; none where there is nothing to draw.
    """
    with mpl.rc_context(STYLE):
        return curves_figure(study, kinds).axes


def curves_figure(study: Drawable, kinds: Sequence[str] | None) -> Figure:
    """Draw small multiples, a panel a kind that has a curve."""
    curves, recovery = study.recovery_curves(kinds), study.recovery()
    wanted = list(dict.fromkeys(kinds or study.kinds))
    rising = set(curves.loc[curves["recovered"] > 0, "kind"])
    shown = [kind for kind in wanted if kind in rising]
    rows = math.ceil(len(shown) / COLUMNS)
    figure = make_figure(study, _CURVES_TITLE, 1.7 + 2.1 * rows)
    for place, kind in enumerate(shown):
        ax = figure.add_subplot(rows, COLUMNS, place + 1)
        of_kind = recovery.loc[recovery["kind"] == kind]
        _draw_panel(ax, kind, curves.loc[curves["kind"] == kind], of_kind, study.arms, _span(curves))
    words = [_X_AXIS, _legend_words(study)] if shown else ["nothing to recover from was met"]
    if shown:
        figure.supylabel(_Y_AXIS, fontsize=9)
        flat = [kind for kind in wanted if kind not in rising]
        words += [f"not drawn, as nothing recovered: {', '.join(flat)}"] if flat else []
    figure.supxlabel("\n".join(words), fontsize=9)
    _arm_dashes(figure, study.arms)
    return figure


def _legend_words(study: Drawable) -> str:
    band = "band: 95 % over replications; " if study.replications > 1 else "no band: one replication; "
    return _BAND_WORDS + band + _INCIDENCE_WORDS


def _arm_dashes(figure: Figure, arms: Sequence[str]) -> None:
    """Name the arms by their dashes, below the title."""
    if len(arms) == 1:
        return
    lines = [
        Line2D([], [], color=INK, linestyle=DASHES[place % len(DASHES)], label=arm)
        for place, arm in enumerate(arms)
    ]
    title = figure.get_suptitle()
    figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=11)  # a line more, for the legend
    below_title = 1 - _TWO_LINES_IN / float(figure.get_figheight())
    figure.legend(
        handles=lines, loc="upper left", bbox_to_anchor=(0.01, below_title), ncols=len(arms), frameon=False,
        handlelength=3.5, borderpad=0, borderaxespad=0,
    ).set_in_layout(False)  # fmt: skip


def _span(curves: pd.DataFrame) -> NDArray[np.float64]:
    """Give the ends of the axis of time: whole decades around what lies after the first instant."""
    later = curves.loc[curves["at_us"] > 0, "at_us"].to_numpy(dtype=float)
    if later.size == 0:
        return np.array([1.0, 1e6])
    first, last = math.floor(math.log10(later.min())), math.ceil(math.log10(later.max()))
    return np.array([10.0**first, 10.0 ** max(last, first + 1)])


def _draw_panel(
    ax: Axes,
    kind: str,
    curves: pd.DataFrame,
    recovery: pd.DataFrame,
    arms: Sequence[str],
    span: NDArray[np.float64],
) -> None:
    colour = ContentionKind(kind).facts.colour
    for place, arm in enumerate(arms):
        curve = curves.loc[curves["arm"] == arm]
        if not curve.empty:
            _draw_curve(ax, curve, colour, DASHES[place % len(DASHES)], span)
    time_axis(ax, span)
    ax.set_ylim(0, 1.02)
    ax.set_yticks([0, 0.5, 1])
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.tick_params(axis="y", labelsize=SMALL)
    ax.grid(axis="y", color=GRID, linewidth=0.6)
    plain_frame(ax)
    seen = recovery.loc[recovery["arm"].isin(arms), ["recovered", "open", "satisfied", "abandoned"]].sum()
    ax.set_title(f"{kind}\n", loc="left", fontsize=9, fontweight="bold", pad=3)
    words: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": SMALL}
    counted = ", ".join(f"{count:,} {end}" for end, count in seen.items() if count)
    ax.annotate(counted, (0, 1), (0, 3), **words).set_in_layout(False)


def _draw_curve(ax: Axes, curve: pd.DataFrame, colour: str, dash: Any, span: NDArray[np.float64]) -> None:
    """Draw steps from the left edge on: what recovered in the same instant is there from the beginning.

    A curve that reaches 100 % goes on to the right edge; any other ends where the observation does.
    """
    at_us = curve["at_us"].to_numpy(dtype=float)
    left_us = float(span[0]) / 10
    complete = curve["recovered"].iloc[-1] > _COMPLETE
    end_us = float(span[1]) if complete else at_us[-1]
    x = np.concatenate([[left_us], np.maximum(at_us, left_us), [end_us]])

    def from_zero(name: str) -> NDArray[np.float64]:
        values = curve[name].to_numpy(dtype=float)
        return np.concatenate([[0.0], values, values[-1:]])

    ax.fill_between(
        x, from_zero("low"), from_zero("high"), step="post", color=colour, alpha=0.25, linewidth=0
    )
    ax.step(x, from_zero("incidence"), where="post", color=FAINT, linewidth=0.8, linestyle=dash)
    ax.step(x, from_zero("recovered"), where="post", color=colour, linewidth=1.8, linestyle=dash)
