"""How many times one intent is refused with the same kind: histograms of counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
import numpy as np

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.plots.base import STYLE
from sim.analysis.plots.strips import Strip, draw_strips, strips_axes
from sim.analysis.text import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from sim.analysis.plots.base import Drawable

_TITLE: Final = "how many times one intent is refused with the same kind"
_AXIS: Final = "refusals of the kind that one intent met in the window; each strip as high as its fullest bin"


def refusals(study: Drawable, kinds: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Draw how many refusals of a kind one intent met, a strip a kind and arm, in bins that double.

    Counted at the root: what a scheduler met in the service of a worker's request counts for that request.
    Reads of a sweep have no intent and are left out.

    Parameters
    ----------
    study
        What to draw.
    kinds
        Which kinds; by default all that were met.
    ax
        Where to; by default a figure of its own with a title.

    Returns
    -------
    matplotlib.axes.Axes
    """
    table = study.refusals()
    groups = dict(list(table.groupby(["arm", "kind"])))
    edges = _edges(int(table["refusals"].max()) if len(table) else 1)
    strips = [
        _strip(kind, arm, groups[arm, kind], edges)
        for kind in KIND_NAMES
        for arm in study.arms
        if (arm, kind) in groups and (kinds is None or kind in kinds)
    ]
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = strips_axes(study, _TITLE, len(strips))
        ax.set_xlim(0, edges.size - 1)
        draw_strips(ax, strips, study.arms)
        last = edges[1:] - 1
        names = [
            f"{low:,}" if low == high else f"{low:,} to {high:,}"
            for low, high in zip(edges[:-1], last, strict=True)
        ]
        ax.set_xticks(np.arange(edges.size - 1) + 0.5, names)
        ax.tick_params(axis="x", length=0)
        ax.set_xlabel(_AXIS if strips else "no contention was met by an intent")
    return ax


def _edges(most: int) -> NDArray[np.int64]:
    """Give the first number of each bin and the one after the last: 1, 2, 3 to 4, 5 to 8, ..."""
    edges = [1, 2, 3]
    while edges[-1] <= most:
        edges.append(2 * edges[-1] - 1)
    return np.array(edges)


def _strip(kind: str, arm: str, table: pd.DataFrame, edges: NDArray[np.int64]) -> Strip:
    counts, weights = table["refusals"].to_numpy(), table["intents"].to_numpy()
    height, _ = np.histogram(counts, edges, weights=weights)
    place = np.arange(edges.size - 1, dtype=float)
    mean = float((counts * weights).sum() / weights.sum())
    words = f"{int(weights.sum()):,} intents\nmean {number(mean)}, most {int(counts.max()):,}"
    return Strip(kind, arm, place, place + 1, height.astype(float), words)
