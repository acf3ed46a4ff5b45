"""Pictures of a study that can be read without the code that drew them.

Every picture names the scenario, the arms, the replications and the window, has units on its axes, and says
how many observations stand behind what it shows. A kind has the same colour everywhere and its name beside
it. Drawn with Figure objects alone: no window is opened, nothing global is left behind, and the same study
gives the same bytes.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.recovery import ENDS, OK
from sim.analysis.rivals import BINS_PER_DECADE, NOBODY
from sim.analysis.text import duration, number
from sim.contention import ContentionKind
from sim.units import US_PER_MS, US_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


class Drawable(Protocol):
    """What a picture needs to know of a study."""

    @property
    def name(self) -> str:
        """Name of the scenario."""

    @property
    def arms(self) -> list[str]:
        """Names of the arms."""

    @property
    def replications(self) -> int:
        """How many of each arm."""

    @property
    def window_s(self) -> float:
        """Length of the window in simulated seconds."""

    def frequency(self) -> pd.DataFrame:
        """Give the frequency of each kind (:func:`sim.analysis.frequency.frequency`)."""

    def recovery(self) -> pd.DataFrame:
        """Give the recovery from each kind (:func:`sim.analysis.recovery.recovery`)."""

    def episodes(self) -> pd.DataFrame:
        """Give the episodes (:func:`sim.analysis.recovery.episodes`)."""

    def rivals(self) -> pd.DataFrame:
        """Give who contended with whom (:func:`sim.analysis.rivals.rivals`)."""

    def race_windows(self) -> pd.DataFrame:
        """Give the quantiles of race windows (:func:`sim.analysis.rivals.race_windows`)."""

    def race_histogram(self) -> pd.DataFrame:
        """Give the distribution of race windows (:func:`sim.analysis.rivals.race_histogram`)."""


_DPI: Final = 120
_WIDTH_IN: Final = 10.0
_INK: Final = "#222222"
_FAINT: Final = "#595959"
_GRID: Final = "#d9d9d9"
_STYLE: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans", "font.size": 9, "text.color": _INK, "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK, "hatch.linewidth": 0.8,
}  # fmt: skip
_SMALL: Final = 7.5
_HATCHES: Final = ("", "////", "....", "xxxx", "----")
_MARKS: Final = {"p50": "solid", "p90": (0, (3, 2))}
_COLUMNS: Final = 3
_BAND: Final = 1.35  # of the tallest bar: room for a line of words above it
_LOG_FROM_RATIO: Final = 30.0
_FREQUENCY_TITLE: Final = "how often each kind of contention occurs"
_RECOVERY_TITLE: Final = "how long recovery takes, by kind of contention"
_RIVALS_TITLE: Final = "who was refused because of whom"
_RACES_TITLE: Final = "how long before a refusal its rival had been there"
_RACES_AXIS: Final = (
    "from the rival's operation to the refused one (simulated time, logarithmic)\n"
    "line: median; number: contentions with a rival"
)
_RECOVERY_AXIS: Final = "from the first refusal of the kind to success (simulated time, logarithmic)"


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
    with mpl.rc_context(_STYLE):
        if ax is None:
            ax = _frequency_figure(study).subplots()
        _draw_bars(ax, study.frequency(), study.arms)
    return ax


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
    with mpl.rc_context(_STYLE):
        if ax is None:
            ax = _figure(study, _RECOVERY_TITLE, 2.8 + len(study.arms)).subplots()
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
    with mpl.rc_context(_STYLE):
        return _recovery_figure(study, kinds).axes


def rivals(study: Drawable, ax: Axes | None = None) -> Axes:
    """Draw who was refused because of whom: a row a kind of actor, a column a kind of rival.

    A cell has the number of contentions in the window, all replications together, and the median of their
    race windows where there are enough to tell. With several arms each has its own block of rows.

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
    with mpl.rc_context(_STYLE):
        table = study.rivals()
        rows = [(arm, kind) for arm in study.arms for kind in _actor_kinds(table, "actor_kind")]
        if ax is None:
            ax = _figure(study, _RIVALS_TITLE, 1.9 + 0.5 * max(1, len(rows))).subplots()
        _draw_rivals(ax, table, rows, len(study.arms))
    return ax


def race_windows(study: Drawable, ax: Axes | None = None) -> Axes:
    """Draw how long before a refusal its rival's operation took effect, by kind, on a logarithmic axis.

    A strip a kind and arm, each as high as its own fullest bin; a line marks the median. Race windows of
    nothing have no place on such an axis and are counted beside the strip.

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
    with mpl.rc_context(_STYLE):
        table = study.race_windows()
        if ax is None:
            ax = _figure(study, _RACES_TITLE, 1.5 + 0.42 * max(1, len(table))).subplots()
        _draw_races(ax, table, study.race_histogram(), study.arms)
    return ax


def save_plots(study: Drawable, directory: str | Path) -> list[Path]:
    """Draw what belongs to every study as PNG files; the same study gives the same bytes.

    Parameters
    ----------
    study
        What to draw.
    directory
        Where to; made if missing. A file appears whole or not at all.

    Returns
    -------
    list of Path
        ``frequency.png`` and ``recovery.png``; where there were rivals, ``rivals.png`` and
        ``race_windows.png``.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(_STYLE):
        frequency = _frequency_figure(study)
        frequency_bars(study, frequency.subplots())
        figures: dict[str, Any] = {"frequency": frequency, "recovery": _recovery_figure(study, None)}
        if (study.rivals()["rival_kind"] != NOBODY).any():
            figures |= {"rivals": rivals(study).figure, "race_windows": race_windows(study).figure}
        for name, figure in figures.items():
            path, temporary = folder / f"{name}.png", folder / f".{name}.{os.getpid()}"
            figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None})
            temporary.replace(path)
            written.append(path)
    return written


# --- figures ---------------------------------------------------------------------------------------


def _figure(study: Drawable, subject: str, height_in: float) -> Figure:
    """Make a figure with a title that says what is shown, of what, and how much of it."""
    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout="constrained")
    runs = "1 replication" if study.replications == 1 else f"{study.replications} replications"
    arms = f"{'arm' if len(study.arms) == 1 else 'arms'} {', '.join(study.arms)}"
    window = f"{runs} of {duration(study.window_s * 1000)} of simulated time"
    figure.suptitle(f"{study.name}: {subject}\n{arms}; {window}", x=0.01, ha="left", fontsize=11)
    return figure


def _frequency_figure(study: Drawable) -> Figure:
    bars = len(KIND_NAMES) * len(study.arms)
    return _figure(study, _FREQUENCY_TITLE, 1.6 + 0.16 * (len(KIND_NAMES) + bars))


def _recovery_figure(study: Drawable, kinds: Sequence[str] | None) -> Figure:
    episodes, recovery = study.episodes(), study.recovery()
    wanted = [kind for kind in KIND_NAMES if kinds is None or kind in kinds]
    drawable = set(_later(episodes)["kind"])
    shown = [kind for kind in wanted if kind in drawable]
    rows = math.ceil(len(shown) / _COLUMNS)
    figure = _figure(study, _RECOVERY_TITLE, 1.4 + rows * (1.0 + 0.8 * len(study.arms)))
    bins = _bins(episodes.loc[episodes["kind"].isin(shown)])
    for place, kind in enumerate(shown):
        ax = figure.add_subplot(rows, _COLUMNS, place + 1)
        _draw_histogram(ax, episodes.loc[episodes["kind"] == kind], recovery, kind, study.arms, bins)
    words = _not_drawn(recovery, [kind for kind in wanted if kind not in drawable])
    if shown:
        figure.supylabel("recovered episodes", fontsize=9)
        words.insert(0, _RECOVERY_AXIS)
    figure.supxlabel("\n".join(words or ["no contention was met"]), fontsize=9)
    return figure


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


# --- frequency -------------------------------------------------------------------------------------


def _draw_bars(ax: Axes, frequency: pd.DataFrame, arms: Sequence[str]) -> None:
    """Draw one bar an arm and kind from the left edge of the axis, its interval and its count."""
    left, right, logarithmic = _rate_axis(frequency)
    ax.set_xscale("log" if logarithmic else "linear")
    ax.set_xlim(left, right)
    height = 0.8 / len(arms)
    for place, arm in enumerate(arms):
        offset = (place - (len(arms) - 1) / 2) * height
        hatch = _HATCHES[place % len(_HATCHES)]
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
    ax.grid(axis="x", color=_GRID, linewidth=0.6)
    _plain_frame(ax)
    if len(arms) > 1:
        _arm_legend(ax, arms)


def _draw_bar(ax: Axes, row: dict[Any, Any], at: float, height: float, hatch: str) -> None:
    left, right = ax.get_xlim()
    words: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": _SMALL}
    if row["count"] == 0:
        bound = f"none seen (below {number(row['ci_high'])} per s)"
        ax.annotate(bound, (left, at), (4, 0), color=_FAINT, **words)
        return
    colour = ContentionKind(row["kind"]).facts.colour
    ax.barh(
        at,
        row["mean"] - left,
        0.9 * height,
        left=left,
        color=colour,
        edgecolor=_INK,
        linewidth=0.6,
        hatch=hatch,
    )
    ends = [max(left, row["ci_low"]), min(right, row["ci_high"])]
    ax.plot(ends, [at, at], color="white", linewidth=2.4, solid_capstyle="butt")
    ax.plot(ends, [at, at], color=_INK, linewidth=1.2, marker="|", markersize=5)
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


def _arm_legend(ax: Axes, arms: Sequence[str]) -> None:
    patches = [
        Patch(facecolor="#eeeeee", edgecolor=_INK, hatch=_HATCHES[place % len(_HATCHES)], label=arm)
        for place, arm in enumerate(arms)
    ]
    ax.legend(
        handles=patches, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(arms), frameon=False,
        borderaxespad=0.2, handlelength=2.4, handleheight=1.1,
    )  # fmt: skip


# --- recovery --------------------------------------------------------------------------------------


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
        ax.stairs(counts[place] + floor, bins, baseline=floor, color=_INK, linewidth=0.6)
        _mark_quantiles(ax, rows[arm], floor, tallest, arm if len(arms) > 1 else "")
    _time_axis(ax, bins)
    _count_axis(ax, tallest, band, len(arms))
    _plain_frame(ax)
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
                ax.vlines(at_us, floor, top, color=_INK, linewidth=1.2, linestyle=dash)
    ax.text(
        1, floor + 0.94 * _BAND * tallest, "   ".join(words),
        transform=ax.get_yaxis_transform(), ha="right", va="top", fontsize=_SMALL, in_layout=False,
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
        fontsize=_SMALL,
    )  # fmt: skip
    below.set_in_layout(False)


# --- rivals ----------------------------------------------------------------------------------------


def _actor_kinds(table: pd.DataFrame, column: str) -> list[str]:
    """Give the kinds of a column, most contentions first; what has no rival comes last."""
    counts = table.groupby(column)["count"].sum().sort_index().sort_values(ascending=False, kind="stable")
    kinds = [str(kind) for kind in counts.index]
    return sorted(kinds, key=NOBODY.__eq__)


def _draw_rivals(ax: Axes, table: pd.DataFrame, rows: Sequence[tuple[str, str]], arms: int) -> None:
    """Draw the matrix: cells shaded by the logarithm of their count."""
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if table.empty:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel("no contention was met")
        return
    columns = _actor_kinds(table, "rival_kind")
    cells = {(row["arm"], row["actor_kind"], row["rival_kind"]): row for row in table.to_dict("records")}
    counts = np.array(
        [
            [cells[(*row, column)]["count"] if (*row, column) in cells else 0 for column in columns]
            for row in rows
        ]
    )
    most = max(2, int(counts.max()))
    ax.pcolormesh(
        np.ma.masked_equal(counts, 0),
        cmap="Blues",
        norm=LogNorm(1, most**1.5),
        edgecolor="white",
        linewidth=1.5,
    )
    for (row, column), count in np.ndenumerate(counts):
        if count:
            _write_cell(ax, column + 0.5, row + 0.5, cells[(*rows[row], columns[column])])
    names = [f"{arm}: {kind}" if arms > 1 else kind for arm, kind in rows]
    ax.set_yticks(np.arange(len(rows)) + 0.5, names)
    ax.set_xticks(
        np.arange(len(columns)) + 0.5, ["no rival known" if each == NOBODY else each for each in columns]
    )
    ax.set_ylim(len(rows), 0)
    ax.set_ylabel("who was refused")
    ax.set_xlabel("whose operation made it so; number: contentions; time: median race window")
    ax.hlines(np.arange(1, arms) * (len(rows) // arms), 0, len(columns), color=_FAINT, linewidth=1)


def _write_cell(ax: Axes, x: float, y: float, row: dict[Any, Any]) -> None:
    """Write a count and, below it, the median race window."""
    words: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "center"}
    known = not math.isnan(row["p50"])
    ax.annotate(f"{row['count']:,}", (x, y), (0, 5 if known else 0), fontweight="bold", **words)
    if known:
        ax.annotate(duration(row["p50"]), (x, y), (0, -6), fontsize=_SMALL, **words)


def _draw_races(ax: Axes, table: pd.DataFrame, histogram: pd.DataFrame, arms: Sequence[str]) -> None:
    later = histogram.loc[histogram["from_us"] > 0]
    ends = (later["from_us"].min(), later["to_us"].max()) if len(later) else (1.0, 10.0)
    _time_axis(ax, np.array([ends[0], max(ends[1], 10 * ends[0])]))
    table = table.assign(place=table["kind"].map(KIND_NAMES.index)).sort_values("place", kind="stable")
    rows = table.to_dict("records")
    for place, row in enumerate(rows):
        mine = histogram.loc[(histogram["arm"] == row["arm"]) & (histogram["kind"] == row["kind"])]
        _draw_strip(ax, row, mine, place + 1.0)
    names = [f"{row['kind']}\n{row['arm']}" if len(arms) > 1 else row["kind"] for row in rows]
    ax.set_yticks(np.arange(len(rows)) + 0.6, names)
    ax.set_ylim(max(1, len(rows)), 0)
    ax.set_xlabel(_RACES_AXIS if rows else "no contention had a rival")
    ax.hlines(np.arange(1, len(rows) + 1), *ax.get_xlim(), color=_GRID, linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    _plain_frame(ax)


def _draw_strip(ax: Axes, row: dict[Any, Any], histogram: pd.DataFrame, floor: float) -> None:
    """Draw the race windows of one kind and arm upwards from a line, and count them beside it."""
    later = histogram.loc[histogram["from_us"] > 0]
    height = 0.85 * later["count"] / max(1, later["count"].max())
    ax.bar(
        later["from_us"], -height, later["to_us"] - later["from_us"], bottom=floor, align="edge",
        color=ContentionKind(row["kind"]).facts.colour, edgecolor=_INK, linewidth=0.4,
    )  # fmt: skip
    words = [f"{row['count']:,}"]
    at_once = row["count"] - int(later["count"].sum())
    if at_once:
        words.append(f"({at_once:,} at once)")
    if not math.isnan(row["p50"]):
        words.append(f"p50 {duration(row['p50'])}")
        if row["p50"] > 0:
            at_us = row["p50"] * US_PER_MS
            ax.vlines(at_us, floor - 0.9, floor, color="white", linewidth=2.4)
            ax.vlines(at_us, floor - 0.9, floor, color=_INK, linewidth=1.2)
    ax.annotate(
        "  ".join(words), (1, floor - 0.4), (6, 0), xycoords=ax.get_yaxis_transform(),
        textcoords="offset points", va="center", fontsize=_SMALL,
    )  # fmt: skip


# --- axes ------------------------------------------------------------------------------------------


def _time_axis(ax: Axes, bins: NDArray[np.float64]) -> None:
    """Label decades in the units that people read: 10 us, 1 ms, 100 s."""
    ax.set_xscale("log")
    ax.set_xlim(bins[0], bins[-1])
    first, last = math.ceil(math.log10(bins[0]) - 1e-9), math.floor(math.log10(bins[-1]) + 1e-9)
    decades = [10.0**power for power in range(first, last + 1)]
    ax.xaxis.set_major_locator(FixedLocator(decades[:: math.ceil(len(decades) / 6)]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _decade(round(value))))
    ax.xaxis.set_minor_locator(FixedLocator(decades))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", labelsize=_SMALL)


def _decade(us: int) -> str:
    unit, size = next(
        (unit, size) for unit, size in (("s", US_PER_S), ("ms", US_PER_MS), ("us", 1)) if us >= size
    )
    return f"{us // size:,} {unit}"


def _count_axis(ax: Axes, tallest: int, band: float, bands: int) -> None:
    """Label zero and a few round counts in each band."""
    ticks = [tick for tick in MaxNLocator(3, integer=True).tick_values(0, tallest) if 0 <= tick <= tallest]
    floors = [band * place for place in range(bands)]
    ax.set_ylim(0, band * bands)
    ax.set_yticks(
        [floor + tick for floor in floors for tick in ticks], [f"{tick:,.0f}" for tick in ticks] * bands
    )
    ax.tick_params(axis="y", labelsize=_SMALL)
    ax.hlines(floors[1:], *ax.get_xlim(), color=_FAINT, linewidth=0.6)


def _bins(episodes: pd.DataFrame) -> NDArray[np.float64]:
    """Give logarithmic bins over all that recovered, a decade at least, some of their edges powers of ten."""
    latency = _later(episodes)["latency_us"].to_numpy(dtype=float)
    first, last = 0, BINS_PER_DECADE
    if latency.size:
        first = math.floor(math.log10(latency.min()) * BINS_PER_DECADE)
        last = max(math.floor(math.log10(latency.max()) * BINS_PER_DECADE) + 1, first + BINS_PER_DECADE)
    return np.asarray(10.0 ** (np.arange(first, last + 1) / BINS_PER_DECADE))


def _plain_frame(ax: Axes) -> None:
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
