"""Contention over time, with the faults that went on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.plots.base import FAINT, INK, SMALL, STYLE
from sim.analysis.plots.strips import Strip, draw_strips, strips_axes
from sim.analysis.text import duration, number
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from sim.analysis.plots.base import Drawable

_TIMELINE_TITLE: Final = "when each kind of contention occurs"
_BINS: Final = 120
_FAULT_COLOUR: Final = "#7a7a7a"
_TRANSITION_ALPHA: Final = 0.22


def timeline(
    study: Drawable,
    kinds: Sequence[str] | None = None,
    ax: Axes | None = None,
    *,
    bin_s: float | None = None,
) -> Axes:
    """Draw the rate of each kind over simulated time, with warm-up, drain and fault windows.

    A strip a kind and arm, each as high as its own fullest bin, whose rate stands beside it. Above them a
    strip for each sort of fault: how many of its windows are open, mean over replications. Where faults are
    open in every replication all strips are shaded.

    Parameters
    ----------
    study
        What to draw.
    kinds
        Which kinds; by default all that were seen.
    ax
        Where to; by default a figure of its own with a title.
    bin_s
        Width of a bin in simulated seconds; by default about 120 bins of a round width.

    Returns
    -------
    matplotlib.axes.Axes
    """
    width_s = bin_s or _round_width(study.window_us[1] / US_PER_S / _BINS)
    table = study.frequency_over_time(width_s)
    shown = [kind for kind in KIND_NAMES if kind in (study.kinds if kinds is None else kinds)]
    groups = dict(list(table.groupby(["arm", "kind"])))
    counted = study.frequency().set_index(["arm", "kind"])["count"]
    strips = [
        _strip(groups[arm, kind], width_s, int(counted[arm, kind]))
        for kind in shown
        for arm in study.arms
        if (arm, kind) in groups
    ]
    faults = _fault_names(study.faults)
    end_s = max([study.window_us[1] / US_PER_S, *(table["from_s"] + width_s)])
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = strips_axes(study, _TIMELINE_TITLE, len(strips) + len(faults))
        ax.set_xlim(0, end_s)
        draw_strips(ax, strips, study.arms, outlined=False)
        ax.set_ylim(max(1, len(strips)), -0.8 * len(faults))
        _shade(ax, study, end_s)
        for place, fault in enumerate(faults):
            _draw_fault(ax, fault, study, end_s, -0.8 * (len(faults) - 1 - place))
        bins = f"bins of {duration(1000 * width_s)}, mean of the replications, each strip as high as its peak"
        ax.set_xlabel(f"simulated time (s); {bins}" if strips else "no contention was met")
    return ax


def _strip(table: pd.DataFrame, width_s: float, count: int) -> Strip:
    from_s = table["from_s"].to_numpy(dtype=float)
    per_s = table["per_s"].to_numpy(dtype=float)
    words = f"peak {number(float(per_s.max()))} per s\n{count:,} in the window"
    arm, kind = table["arm"].iloc[0], table["kind"].iloc[0]
    return Strip(kind, arm, from_s, from_s + width_s, per_s, words)


def _round_width(width_s: float) -> float:
    """Give the next width of 1, 2 or 5 times a power of ten."""
    decade = 10.0 ** math.floor(math.log10(width_s))
    return next(step * decade for step in (1, 2, 5, 10) if step * decade >= width_s * 0.999)


def _fault_names(runs: Any) -> list[str]:
    return sorted({window["fault"] for run in runs or [] for window in run["windows"]})


def _open_windows(runs: Sequence[Any], fault: str | None, end_s: float) -> tuple[Any, Any]:
    """Give the instants at which the mean number of open windows changes, and the numbers from there on."""
    changes: dict[float, float] = {0.0: 0.0, end_s: 0.0}
    for run in runs:
        for window in run["windows"]:
            if fault in (None, window["fault"]):
                begin, end = window["from_us"] / US_PER_S, min(window["to_us"] / US_PER_S, end_s)
                if begin < end:
                    changes[begin] = changes.get(begin, 0.0) + 1 / len(runs)
                    changes[end] = changes.get(end, 0.0) - 1 / len(runs)
    at = np.array(sorted(changes))
    return at, np.cumsum([changes[instant] for instant in at.tolist()])


def _draw_fault(ax: Axes, fault: str, study: Drawable, end_s: float, floor: float) -> None:
    """Draw how many windows of one sort are open, upwards from a line, with its name and the most."""
    runs = [run for run in study.faults if run["arm"] == study.arms[0]]
    at, level = _open_windows(runs, fault, end_s)
    most = float(level.max())
    ax.stairs(floor - 0.6 * level[:-1] / max(most, 1e-12), at, baseline=floor, fill=True, color=_FAULT_COLOUR)
    ax.hlines(floor, 0, end_s, color=FAINT, linewidth=0.6)
    words: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": SMALL}
    at_edge: dict[str, Any] = {"xycoords": ax.get_yaxis_transform()}
    ax.annotate(f"fault: {fault}", (0, floor - 0.3), (-6, 0), ha="right", color=INK, **at_edge, **words)
    ax.annotate(f"at most {number(most)} open", (1, floor - 0.3), (6, 0), **at_edge, **words)


def _shade(ax: Axes, study: Drawable, end_s: float) -> None:
    """Shade windows of faults that are open in every replication, and hatch what tables leave out."""
    runs = [run for run in study.faults or [] if run["arm"] == study.arms[0]]
    always = [{(w["fault"], w["from_us"], w["to_us"]) for w in run["windows"]} for run in runs]
    for _, from_us, to_us in sorted(set.intersection(*always)) if always else []:
        if from_us == 0 and to_us >= end_s * US_PER_S:
            continue  # It goes on all the time: there is nothing to compare with.
        ax.axvspan(
            from_us / US_PER_S, min(to_us / US_PER_S, end_s), color=_FAULT_COLOUR, alpha=0.12, linewidth=0
        )
    start_s, stop_s = (edge / US_PER_S for edge in study.window_us)
    for name, begin, end in (("warm-up", 0.0, start_s), ("drain", stop_s, end_s)):
        if end - begin > 0:
            ax.axvspan(
                begin,
                end,
                facecolor="none",
                edgecolor=FAINT,
                hatch="..",
                alpha=_TRANSITION_ALPHA,
                linewidth=0,
            )
            ax.axvline(end if name == "warm-up" else begin, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
            if (end - begin) / end_s > 0.05:
                ax.annotate(
                    name, ((begin + end) / 2, 1), (0, 3), xycoords=ax.get_xaxis_transform(),
                    textcoords="offset points", ha="center", fontsize=SMALL, color=INK,
                )  # fmt: skip
