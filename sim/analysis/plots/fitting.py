"""How well fitted distributions describe measured times: shares below each time, quantile by quantile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from sim.analysis.plots.base import DPI, FAINT, GRID, INK, SMALL, STYLE, WIDTH_IN, plain_frame
from sim.analysis.plots.files import write_png
from sim.analysis.text import duration
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from sim.analysis.fitting import Candidate, Fitted

    Floats = NDArray[np.float64]

_BEST: Final = "#0072b2"
_OTHER: Final = "#d55e00"
_MOST_POINTS: Final = 400
_CURVE_POINTS: Final = 300


def goodness_of_fit(fits: Sequence[Fitted], source: str) -> Figure:
    """Draw each part's measured times against the fitted distribution, two panels a part.

    Left: the measured share below each time and the fitted one, with the second best family. Right: the
    quantiles of the fitted distribution against the measured ones, on the diagonal where they agree. Both on
    logarithmic axes; times of 0 have no place there.

    Parameters
    ----------
    fits
        What to draw; a part whose times are all equal is named below.
    source
        Name of the log, for the title.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with mpl.rc_context(STYLE):
        drawn = [each for each in fits if each.best.frozen is not None]
        figure = Figure(figsize=(WIDTH_IN, 1.1 + 3.2 * len(drawn)), dpi=DPI, layout="constrained")
        times = sum(each.sample.times_us.size for each in fits)
        count = sum(len(each.sample.paths) for each in fits)
        parts = f"{count} {'part' if count == 1 else 'parts'} of a scenario"
        figure.suptitle(
            f"{source}: measured times and fitted distributions\n{times:,} times for {parts}",
            x=0.01, ha="left", fontsize=11,
        )  # fmt: skip
        for row, each in enumerate(drawn):
            left, right = (figure.add_subplot(len(drawn), 2, 2 * row + place) for place in (1, 2))
            times_us = np.sort(each.sample.times_us[each.sample.times_us > 0])
            _draw_shares(left, each, times_us)
            _draw_quantiles(right, each.best, times_us, each.sample.times_us.size)
        equal = [each.sample.name for each in fits if each.best.frozen is None]
        if equal:
            figure.supxlabel(f"not drawn, as all their times are equal: {'; '.join(equal)}", fontsize=9)
    return figure


def save_fit_plot(fits: Sequence[Fitted], source: str, path: Path) -> Path:
    """Draw :func:`goodness_of_fit` as a PNG file; the folder is made if missing."""
    figure = goodness_of_fit(fits, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        return write_png(figure, path)


def _draw_shares(ax: Axes, fitted: Fitted, times_us: Floats) -> None:
    best = fitted.best
    size = fitted.sample.times_us.size
    zeros = size - times_us.size
    ends = np.array([times_us[0], times_us[-1]])
    at = np.geomspace(ends[0] / 1.5, ends[1] * 1.5, _CURVE_POINTS)
    shares = (zeros + np.arange(1, times_us.size + 1)) / size
    ax.step(times_us, shares, where="post", color=INK, linewidth=2.6, label=f"measured ({size:,})")
    ax.plot(at, best.frozen.cdf(at), color=_BEST, linewidth=1.4, label=f"{best.family} (best)")
    for other in fitted.candidates[1:2]:
        ax.plot(at, other.frozen.cdf(at), color=_OTHER, linewidth=1.2, linestyle="--", label=other.family)
    _times_axis(ax, at, "x")
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    ax.set_ylabel("share of times below", fontsize=8)
    ax.set_xlabel("time (logarithmic)", fontsize=8)
    p = "" if fitted.p_value is None else f", p = {fitted.p_value:.3f}"
    ax.set_title(f"{fitted.sample.name}\n\n", loc="left", fontsize=9, fontweight="bold", pad=4)
    ax.annotate(
        f"{_parameters(best)}\nKolmogorov-Smirnov distance {best.distance:.4f}{p}", (0, 1), (0, 4),
        xycoords="axes fraction", textcoords="offset points", fontsize=SMALL,
    )  # fmt: skip
    ax.legend(loc="upper left", frameon=False, fontsize=SMALL)
    ax.grid(color=GRID, linewidth=0.6)
    plain_frame(ax)


def _draw_quantiles(ax: Axes, best: Candidate, times_us: Floats, size: int) -> None:
    """Draw fitted against measured quantiles: all, or the outermost and evenly spaced ones in between."""
    ranks = np.arange(size - times_us.size, size)
    chosen = np.unique(
        np.r_[0:20, np.linspace(0, times_us.size - 1, _MOST_POINTS).astype(int), -20:0] % times_us.size
    )
    measured = times_us[chosen]
    expected = np.asarray(best.frozen.ppf((ranks[chosen] + 0.5) / size), dtype=float)
    both = np.r_[measured, expected]
    ends = np.array([both.min() / 1.3, both.max() * 1.3])
    ax.plot(ends, ends, color=FAINT, linewidth=1)
    ax.plot(expected, measured, linestyle="", marker="o", markersize=3, color=_BEST, markeredgewidth=0)
    _times_axis(ax, ends, "x")
    _times_axis(ax, ends, "y")
    ax.set_xlabel(f"quantiles of the fitted {best.family} (logarithmic)", fontsize=8)
    ax.set_ylabel("measured quantiles", fontsize=8)
    ax.set_title("quantiles agree on the line", loc="left", fontsize=SMALL)
    ax.grid(color=GRID, linewidth=0.6)
    plain_frame(ax)


def _parameters(best: Candidate) -> str:
    words = [f"{name} {value}" for name, value in best.written[best.family].items()]
    return f"{best.family}, {', '.join(words)}"


def _times_axis(ax: Axes, span: Floats, name: str) -> None:
    """Label a logarithmic axis of time at decades, or at halves of them where there are few."""
    low, high = float(span[0]), float(span[-1])
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if math.log10(high / low) > 2 else (1, 2, 5)
    ticks = [step * 10.0**power for power in powers for step in steps]
    inside = [tick for tick in ticks if low <= tick <= high]
    scale: dict[str, Any] = {
        "x": (ax.set_xscale, ax.set_xlim, ax.xaxis),
        "y": (ax.set_yscale, ax.set_ylim, ax.yaxis),
    }
    set_scale, set_limits, axis = scale[name]
    set_scale("log")
    set_limits(low, high)
    axis.set_major_locator(FixedLocator(inside[:: math.ceil(max(1, len(inside)) / 7)]))
    axis.set_major_formatter(
        FuncFormatter(lambda us, _: duration(us / US_PER_MS).replace(".00", "").replace(".0", ""))
    )
    axis.set_minor_locator(FixedLocator(inside))
    axis.set_minor_formatter(NullFormatter())
    ax.tick_params(labelsize=SMALL)
