"""How long recovery takes, by kind: histograms on a logarithmic axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.plots.base import (
    COLUMNS,
    INK,
    SMALL,
    STYLE,
    count_axis,
    make_figure,
    plain_frame,
    time_axis,
)
from sim.analysis.plots.strips import Strip, draw_strips, strips_axes
from sim.analysis.recovery import ENDS, OK
from sim.analysis.rivals import BINS_PER_DECADE
from sim.analysis.text import duration
from sim.contention import ContentionKind
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from sim.analysis.plots.base import Drawable

_MARKS: Final = {"p50": "solid", "p90": (0, (3, 2))}
_BAND: Final = 1.35  # of the tallest bar: room for a line of words above it
_RECOVERY_TITLE: Final = "how long recovery takes, by kind of contention"
_STRIP_WORDS: Final = "each strip as high as its fullest bin; line: median of the Kaplan-Meier curve"
_RECOVERY_AXIS: Final = "from the first refusal of the kind to success (simulated time, logarithmic)"


def recovery_histogram(study: Drawable, kind: str, ax: Axes | None = None) -> Axes:
    """Draw how long recovery from one kind takes, as counts over a logarithmic axis of time.

    Bars are the recovered episodes, but for those that recovered in the same instant, which have no place on
    such an axis; the title counts them, and how many were still open, satisfied by another or abandoned.
    Lines mark the median and the 90th percentile of the Kaplan-Meier curve, which accounts for the open
    ones.

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
    episodes = study.episodes()
    episodes = episodes.loc[episodes["kind"] == kind]
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = make_figure(study, _RECOVERY_TITLE, 2.8 + len(study.arms)).subplots()
            ax.set_xlabel(_RECOVERY_AXIS)
            ax.set_ylabel("recovered episodes")
        _draw_histogram(ax, episodes, study.recovery(), kind, study.arms, _bins(episodes))
    return ax


def recovery_histograms(study: Drawable, kinds: Sequence[str] | None = None) -> list[Axes]:
    """Draw :func:`recovery_histogram` for several kinds, over the same axis of time.

    Parameters
    ----------
    study
        What to draw.
    kinds
        Which kinds; by default all. Those that would leave their panel empty are named below instead.

    Returns
    -------
    list of matplotlib.axes.Axes
        A panel a kind, in the order of every table; none where there is nothing to draw.
    """
    with mpl.rc_context(STYLE):
        return recovery_figure(study, kinds).axes


def recovery_figure(study: Drawable, kinds: Sequence[str] | None) -> Figure:
    """Draw small multiples, a panel a kind that was recovered from."""
    episodes, recovery = study.episodes(), study.recovery()
    wanted = [kind for kind in KIND_NAMES if kinds is None or kind in kinds]
    drawable = set(_later(episodes)["kind"])
    shown = [kind for kind in wanted if kind in drawable]
    rows = math.ceil(len(shown) / COLUMNS)
    figure = make_figure(study, _RECOVERY_TITLE, 1.4 + rows * (1.0 + 0.8 * len(study.arms)))
    bins = _bins(episodes.loc[episodes["kind"].isin(shown)])
    for place, kind in enumerate(shown):
        ax = figure.add_subplot(rows, COLUMNS, place + 1)
        _draw_histogram(ax, episodes.loc[episodes["kind"] == kind], recovery, kind, study.arms, bins)
    words = _not_drawn(recovery, [kind for kind in wanted if kind not in drawable])
    if shown:
        figure.supylabel("recovered episodes", fontsize=9)
        words.insert(0, _RECOVERY_AXIS)
    figure.supxlabel("\n".join(words or ["no contention was met"]), fontsize=9)
    return figure


def recovery_strips(study: Drawable, kinds: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Draw how long recovery takes, a strip a kind and arm, over one logarithmic axis of time.

    Bars are the recovered episodes, each strip as high as its own fullest bin; a line marks the median of the
    Kaplan-Meier curve. Beside it stand the recovered, those that did so in the same instant (which have no
    place on such an axis), the ends of the others, and the quantiles.

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
    episodes, recovery = study.episodes(), study.recovery()
    met = recovery.loc[recovery["episodes"] > 0].to_dict("records")
    rows = sorted(
        (row for row in met if kinds is None or row["kind"] in kinds),
        key=lambda row: (KIND_NAMES.index(row["kind"]), study.arms.index(row["arm"])),
    )
    later = _later(episodes.loc[episodes["kind"].isin([row["kind"] for row in rows])])
    bins = _bins(later)
    groups = dict(list(later.groupby(["arm", "kind"])["latency_us"]))
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = strips_axes(study, _RECOVERY_TITLE, len(rows))
        time_axis(ax, bins)
        strips = [_recovery_strip(row, groups.get((row["arm"], row["kind"])), bins) for row in rows]
        draw_strips(ax, strips, study.arms)
        ax.set_xlabel(f"{_RECOVERY_AXIS}\n{_STRIP_WORDS}" if rows else "no contention was met")
    return ax


def _recovery_strip(row: dict[Any, Any], latency_us: pd.Series | None, bins: NDArray[np.float64]) -> Strip:
    counts = np.histogram([] if latency_us is None else latency_us, bins)[0].astype(float)
    at_once = row["recovered"] - int(counts.sum())
    others = [f"{row[end]:,} {end}" for end in ENDS if end != "recovered" and row[end]]
    quantiles = [f"{name} {duration(row[name])}" for name in _MARKS if row[f"{name}_status"] == OK]
    words = f"{row['recovered']:,} recovered" + (f" ({at_once:,} at once)" if at_once else "")
    lines = [words, ", ".join(others), "  ".join(quantiles)]
    mark = row["p50"] * US_PER_MS if row["p50_status"] == OK and row["p50"] > 0 else None
    text = "\n".join(line for line in lines if line)
    return Strip(row["kind"], row["arm"], bins[:-1], bins[1:], counts, text, mark)


def _not_drawn(recovery: pd.DataFrame, kinds: Sequence[str]) -> list[str]:
    """Say in words what became of the kinds that were met and recovered from at once or never."""
    totals = recovery.groupby("kind")[list(ENDS)].sum().rename(columns={"recovered": "recovered at once"})
    lines = []
    for kind in kinds:
        counts = [f"{count:,} {end}" for end, count in totals.loc[kind].items() if count]
        if counts:
            lines.append(f"not drawn: {kind}, {', '.join(counts)}")
    return lines


def _later(episodes: pd.DataFrame) -> pd.DataFrame:
    """Give the episodes that have a place on a logarithmic axis: recovered, and not in the same instant."""
    return episodes.loc[(episodes["end"] == "recovered") & (episodes["latency_us"] > 0)]


def _draw_histogram(
    ax: Axes,
    episodes: pd.DataFrame,
    recovery: pd.DataFrame,
    kind: str,
    arms: Sequence[str],
    bins: NDArray[np.float64],
) -> None:
    """Draw one kind: a band an arm, one above the other, all on the same scales."""
    later = _later(episodes)
    counts = [np.histogram(later.loc[later["arm"] == arm, "latency_us"], bins)[0] for arm in arms]
    tallest = max(1, *(int(count.max()) for count in counts))
    band = _BAND * tallest
    rows = {row["arm"]: row for row in recovery.loc[recovery["kind"] == kind].to_dict("records")}
    colour = ContentionKind(kind).facts.colour
    for place, arm in enumerate(arms):
        floor = band * (len(arms) - 1 - place)
        ax.stairs(counts[place] + floor, bins, baseline=floor, fill=True, color=colour)
        ax.stairs(counts[place] + floor, bins, baseline=floor, color=INK, linewidth=0.6)
        _mark_quantiles(ax, rows[arm], floor, tallest, arm if len(arms) > 1 else "")
    time_axis(ax, bins)
    count_axis(ax, tallest, band, len(arms))
    plain_frame(ax)
    _panel_title(ax, kind, [rows[arm] for arm in arms], len(later))


def _mark_quantiles(ax: Axes, row: dict[Any, Any], floor: float, tallest: float, arm: str) -> None:
    """Draw a line at each quantile of an arm, and write them above its histogram."""
    words = [arm] if arm else []
    if row["recovered"] + row["open"] == 0:
        words.append("none recovered" if row["episodes"] else "never met")
    else:
        for name, dash in _MARKS.items():
            status = row[f"{name}_status"]
            words.append(f"{name} {duration(row[name]) if status == OK else status}")
            if status == OK and row[name] > 0:
                at_us, top = row[name] * US_PER_MS, floor + tallest
                ax.vlines(at_us, floor, top, color="white", linewidth=2.4)
                ax.vlines(at_us, floor, top, color=INK, linewidth=1.2, linestyle=dash)
    ax.text(
        1, floor + 0.94 * _BAND * tallest, "   ".join(words),
        transform=ax.get_yaxis_transform(), ha="right", va="top", fontsize=SMALL, in_layout=False,
    )  # fmt: skip


def _panel_title(ax: Axes, kind: str, rows: list[dict[Any, Any]], drawn: int) -> None:
    """Name the kind and, below it, how many episodes of all arms ended how."""
    ends = {end: sum(row[end] for row in rows) for end in ENDS}
    at_once = f" ({ends['recovered'] - drawn:,} at once)" if ends["recovered"] > drawn else ""
    in_curve = f"{ends['recovered']:,} recovered{at_once}, {ends['open']:,} still open"
    beside = f"{ends['satisfied']:,} satisfied by another, {ends['abandoned']:,} abandoned"
    ax.set_title(f"{kind}\n\n", loc="left", fontsize=9, fontweight="bold", pad=3)
    below = ax.annotate(
        f"{in_curve}\n{beside}", (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points",
        fontsize=SMALL,
    )  # fmt: skip
    below.set_in_layout(False)


def _bins(episodes: pd.DataFrame) -> NDArray[np.float64]:
    """Give logarithmic bins over all that recovered, a decade at least, some of their edges powers of ten."""
    latency = _later(episodes)["latency_us"].to_numpy(dtype=float)
    first, last = 0, BINS_PER_DECADE
    if latency.size:
        first = math.floor(math.log10(latency.min()) * BINS_PER_DECADE)
        last = max(math.floor(math.log10(latency.max()) * BINS_PER_DECADE) + 1, first + BINS_PER_DECADE)
    return np.asarray(10.0 ** (np.arange(first, last + 1) / BINS_PER_DECADE))
