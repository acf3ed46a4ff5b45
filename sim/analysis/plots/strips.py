"""Strips: one small histogram a row, all over the same axis. Many kinds and arms fit under each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.analysis.plots.base import GRID, INK, SMALL, make_figure, plain_frame
from sim.contention import ContentionKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from sim.analysis.plots.base import Drawable

STRIP_IN = 0.42
"""How high a strip is in a figure of its own."""

_FULL = 0.85


class Strip(NamedTuple):
    """One row.

    Attributes
    ----------
    kind, arm : str
        What it shows.
    from_x, to_x, height : numpy.ndarray
        Its bars; the tallest fills the row.
    words : str
        What stands beside it: how many, quantiles.
    mark : float or None
        Where a line is drawn, if anywhere.
    """

    kind: str
    arm: str
    from_x: NDArray[np.float64]
    to_x: NDArray[np.float64]
    height: NDArray[np.float64]
    words: str
    mark: float | None = None


def strips_axes(study: Drawable, subject: str, rows: int) -> Axes:
    """Make a figure for so many strips."""
    return make_figure(study, subject, 1.5 + STRIP_IN * max(1, rows)).subplots()


def draw_strips(ax: Axes, strips: Sequence[Strip], arms: Sequence[str], *, outlined: bool = True) -> None:
    """Draw rows from top to bottom; the axis along them is the caller's.

    Parameters
    ----------
    ax
        Where to.
    strips
        What.
    arms
        The arms of the study: with several, each row is named after its arm too.
    outlined
        Draw an edge around each bar; without, bars of many bins stay legible.
    """
    for place, strip in enumerate(strips):
        _draw_strip(ax, strip, place + 1.0, outlined=outlined)
    names = [f"{strip.kind}\n{strip.arm}" if len(arms) > 1 else strip.kind for strip in strips]
    ax.set_yticks(np.arange(len(strips)) + 0.6, names)
    ax.set_ylim(max(1, len(strips)), 0)
    ax.hlines(np.arange(1, len(strips) + 1), *ax.get_xlim(), color=GRID, linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    plain_frame(ax)


def _draw_strip(ax: Axes, strip: Strip, floor: float, *, outlined: bool) -> None:
    """Draw bars upwards from a line, and words beside them."""
    height = _FULL * strip.height / max(1e-12, float(strip.height.max(initial=0)))
    colour = ContentionKind(strip.kind).facts.colour
    ax.bar(
        strip.from_x, -height, strip.to_x - strip.from_x, bottom=floor, align="edge", color=colour,
        edgecolor=INK if outlined else colour, linewidth=0.4 if outlined else 0,
    )  # fmt: skip
    if strip.mark is not None:
        ax.vlines(strip.mark, floor - 0.9, floor, color="white", linewidth=2.4)
        ax.vlines(strip.mark, floor - 0.9, floor, color=INK, linewidth=1.2)
    ax.annotate(
        strip.words, (1, floor - 0.4), (6, 0), xycoords=ax.get_yaxis_transform(),
        textcoords="offset points", va="center", fontsize=SMALL,
    )  # fmt: skip
