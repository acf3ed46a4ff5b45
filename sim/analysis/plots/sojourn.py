"""Where the time of an execution goes: the parts of its sojourn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb

from sim.analysis.plots.base import INK, SMALL, STYLE, make_figure, plain_frame
from sim.analysis.sojourn import PARTS
from sim.analysis.text import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.plots.base import Drawable

_TITLE: Final = "where the time of an execution goes"
_COLOURS: Final = (
    "#d9d9d9", "#56b4e9", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#0072b2", "#f0e442", "#999999",
)  # fmt: skip
"""Okabe and Ito's palette, which people of every colour vision tell apart; kinds have others."""

_WORDS_FROM: Final = 0.06  # of the axis: narrower parts have no room for words inside
_DARK: Final = 0.45


def sojourn(study: Drawable, ax: Axes | None = None) -> Axes:
    """Draw the mean sojourn of each arm as a bar of its parts, which sum to it.

    Of executions that were created in the window and ended; the mean of the replications' means.

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
    summary = study.summary().set_index(["arm", "measure"])["mean"]
    whole_ms = [float(summary[arm, "sojourn_mean"]) for arm in study.arms]
    most_ms = float(np.nanmax([*whole_ms, 1e-3]))
    scale, unit = (1000.0, "s") if most_ms >= 1000 else (1.0, "ms")
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = make_figure(study, _TITLE, 2.2 + 0.6 * len(study.arms)).subplots()
        left = np.zeros(len(study.arms))
        for part, colour in zip(PARTS, _COLOURS, strict=False):
            ms = np.nan_to_num([float(summary[arm, f"sojourn_{part}"]) for arm in study.arms])
            ax.barh(
                range(len(study.arms)), ms / scale, 0.6, left=left / scale, color=colour, edgecolor=INK,
                linewidth=0.4, label=part,
            )  # fmt: skip
            ink = "white" if np.mean(to_rgb(colour)) < _DARK else INK
            for row, each in enumerate(ms):
                if each > _WORDS_FROM * most_ms:
                    at = (left[row] + each / 2) / scale
                    ax.text(at, row, duration(each), ha="center", va="center", fontsize=SMALL, color=ink)
            left += ms
        for row, each in enumerate(whole_ms):
            words = "none ended" if np.isnan(each) else duration(each)
            ax.annotate(
                words, (left[row] / scale, row), (5, 0), textcoords="offset points", va="center",
                fontweight="bold",
            )  # fmt: skip
        ax.set_yticks(range(len(study.arms)), study.arms)
        ax.set_ylim(len(study.arms) - 0.4, -0.6)
        ax.set_xlim(0, 1.1 * most_ms / scale)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(f"mean from creation to end ({unit}) of executions created in the window that ended")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(PARTS), frameon=False, borderaxespad=0.2)
        plain_frame(ax)
    return ax
