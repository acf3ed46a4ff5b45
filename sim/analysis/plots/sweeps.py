"""Pictures of a sweep: curves with bands along a parameter, heat maps of two, what moves the answer.

The band round a curve is the 95 % interval at each swept value; the lines between them are only guides. Arms
differ in colour, in marker and in dash. Values that are no numbers stand side by side, without a line.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from sim.analysis.plots.base import (
    FAINT,
    GRID,
    INK,
    SMALL,
    STYLE,
    Titled,
    plain_frame,
    runs_of,
    titled_figure,
)
from sim.analysis.plots.files import write_png
from sim.analysis.sweeps import RUN_MEASURES, ordered, scale_of, written
from sim.analysis.text import amount, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Sweepable(Titled, Protocol):
    """What a picture needs to know of a sweep."""

    @property
    def grid(self) -> dict[str, list[Any]]:
        """The values of each parameter."""

    def curve(self, measure: str) -> pd.DataFrame:
        """Give one measure at every point and arm."""

    def influence(self, measure: str) -> pd.DataFrame:
        """Rank the inputs by how far they move a measure."""


MOST_PANELS: Final = 6
"""More combinations of other parameters and arms than this are left to the table."""

_LOG_FROM_RATIO: Final = 8.0
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000", "#e69f00")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_DASHES: Final = ("-", "--", "-.", ":")


class _Panel(NamedTuple):
    """The values of all parameters but one or two, and the words for them."""

    fixed: dict[str, Any]
    words: str


def sweep_curves(sweep: Sweepable, measures: Sequence[str], along: str | None = None) -> list[Axes]:
    """Draw measures along one parameter, a line an arm with the band of its 95 % intervals.

    A row a measure, a column a combination of the other parameters.

    Parameters
    ----------
    sweep
        What to draw.
    measures
        Which measures of its table.
    along
        The parameter on the horizontal axis; by default the first with two or more values.

    Returns
    -------
    list of matplotlib.axes.Axes
        None where there are more than :data:`MOST_PANELS` combinations of the other parameters.
    """
    path = along or _varying(sweep)[0]
    columns = _panels(sweep, [path])
    if len(columns) > MOST_PANELS:
        return []
    with mpl.rc_context(STYLE):
        subject = f"measures along {path}, with 95 % intervals"
        figure = _figure(sweep, subject, 1.5 + 2.1 * len(measures))
        grid = figure.subplots(len(measures), len(columns), squeeze=False, sharex=True, sharey="row")
        for row, measure in zip(grid, measures, strict=True):
            curve = sweep.curve(measure)
            for ax, panel in zip(row, columns, strict=True):
                _draw_curves(ax, _at(curve, panel.fixed), path, sweep)
            row[0].set_ylim(*_limits(curve))
            row[0].set_ylabel(
                _named(measure, str(curve["unit"].iloc[0])).replace(" of ", "\nof ").replace(" (", "\n("),
                fontsize=8,
            )
        for ax, panel in zip(grid[0], columns, strict=True):
            ax.set_title(panel.words, fontsize=9, loc="left")
        for ax in grid[-1]:
            ax.set_xlabel(path)
        if len(sweep.arms) > 1:
            handles, names = grid[0][0].get_legend_handles_labels()
            figure.legend(handles, names, loc="outside lower left", ncols=len(names), frameon=False)
    return list(grid.flat)


def sweep_heat_maps(sweep: Sweepable, measure: str) -> list[Axes]:
    """Draw a measure over the first two parameters, a panel an arm and combination of the others.

    All panels have one scale of colour; a cell holds the mean and, below it, its 95 % interval.

    Returns
    -------
    list of matplotlib.axes.Axes
        None where fewer than two parameters vary, with more than :data:`MOST_PANELS` panels, or where no
        point has a value.
    """
    varying = _varying(sweep)
    panels = _panels(sweep, varying[:2], with_arms=True)
    if len(varying) < 2 or len(panels) > MOST_PANELS:
        return []
    across, up = varying[:2]
    curve = sweep.curve(measure)
    if curve["mean"].isna().all():
        return []
    unit = str(curve["unit"].iloc[0])
    columns, rows = ordered(sweep.grid[across]), ordered(sweep.grid[up])
    abreast = min(len(panels), max(1, 10 // max(2, len(columns))))
    deep = math.ceil(len(panels) / abreast)
    with mpl.rc_context(STYLE):
        figure = _figure(sweep, f"{measure} over {across} and {up}", 1.3 + deep * (0.9 + 0.5 * len(rows)))
        grid = figure.subplots(deep, abreast, squeeze=False)
        limits = curve["mean"].min(), curve["mean"].max()
        for ax, panel in itertools.zip_longest(grid.flat, panels):
            if panel is None:
                ax.remove()
                continue
            _draw_heat(ax, _at(curve, panel.fixed), (across, columns), (up, rows), unit, limits)
            ax.set_title(panel.words, fontsize=9, loc="left")
        lacking = "; -: no value" if curve["mean"].isna().any() else ""
        cells = f"cells: {_named(measure, unit)}, below it its 95 % interval{lacking}"
        figure.supxlabel(f"{across}\n{cells}", fontsize=9)
        figure.supylabel(up, fontsize=9)
    return list(figure.axes)


def sweep_influence(sweep: Sweepable, measures: Sequence[str]) -> list[Axes]:
    """Draw which inputs move the measures: the main effect's share of the variance over the grid.

    Parameters
    ----------
    sweep
        What to draw.
    measures
        Those that are no measures of a run are left out.

    Returns
    -------
    list of matplotlib.axes.Axes
        A panel a measure; none where fewer than two inputs vary.
    """
    tables = [sweep.influence(measure) for measure in measures if measure in RUN_MEASURES]
    if not tables or len(tables[0]) < 2:
        return []
    with mpl.rc_context(STYLE):
        inputs = len(tables[0])
        figure = _figure(sweep, "which inputs move the answer", 1.5 + len(tables) * (0.55 + 0.34 * inputs))
        axes = figure.subplots(len(tables), 1, squeeze=False, sharex=True)[:, 0]
        for ax, table in zip(axes, tables, strict=True):
            _draw_influence(ax, table)
        axes[-1].set_xlabel(
            "share of the variance over the grid (main effect; the rest to 100 % is interaction and noise)\n"
            "words: mean at the last value minus mean at the first, with its 95 % interval"
        )
    return list(axes)


def save_sweep_plots(sweep: Sweepable, measures: Sequence[str], directory: str | Path) -> list[Path]:
    """Draw a sweep as PNG files; the same sweep gives the same bytes.

    Returns
    -------
    list of Path
        ``curves.png``; where two or more inputs vary, ``influence.png`` and ``heat-MEASURE.png``.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"curves": sweep_curves(sweep, measures), "influence": sweep_influence(sweep, measures)}
    drawn |= {f"heat-{measure.replace(' ', '_')}": sweep_heat_maps(sweep, measure) for measure in measures}
    files = []
    with mpl.rc_context(STYLE):
        for name, axes in drawn.items():
            figure = axes[0].get_figure(root=True) if axes else None
            if figure is not None:
                files.append(write_png(figure, folder / f"{name}.png"))
    return files


def _figure(sweep: Sweepable, subject: str, height_in: float) -> Figure:
    """Make a figure with a title that says what is shown, of what, and how much of it."""
    points = math.prod(len(values) for values in sweep.grid.values())
    extent = f"{points} points of {runs_of(sweep)}, all with the same seed"
    return titled_figure(sweep, subject, extent, height_in)


def _varying(sweep: Sweepable) -> list[str]:
    """Give the parameters with two or more values; the first of all where there is none."""
    return [path for path, values in sweep.grid.items() if len(values) > 1] or list(sweep.grid)[:1]


def _panels(sweep: Sweepable, drawn: Sequence[str], *, with_arms: bool = False) -> list[_Panel]:
    """Give the combinations of what is not drawn on an axis."""
    others = {path: ordered(values) for path, values in sweep.grid.items() if path not in drawn}
    panels = []
    for values in itertools.product(*others.values(), sweep.arms if with_arms else [None]):
        fixed = dict(zip(others, values, strict=False))
        words = [f"{path} = {value}" for path, value in fixed.items() if len(others[path]) > 1]
        if with_arms:
            fixed["arm"] = values[-1]
            words = [str(values[-1]), *words] if len(sweep.arms) > 1 else words
        panels.append(_Panel(fixed, "; ".join(words)))
    return panels


def _at(curve: pd.DataFrame, fixed: dict[str, Any]) -> pd.DataFrame:
    for name, value in fixed.items():
        curve = curve.loc[curve[name] == value]
    return curve


def _named(measure: str, unit: str) -> str:
    return f"{measure} ({unit})" if unit else measure


def _draw_curves(ax: Axes, curve: pd.DataFrame, path: str, sweep: Sweepable) -> None:
    values = ordered(sweep.grid[path])
    scale = scale_of(values)
    place = dict(zip(values, scale.at if scale else range(len(values)), strict=True))
    for nth, arm in enumerate(sweep.arms):
        mine = curve.loc[curve["arm"] == arm].assign(x=lambda table: table[path].map(place)).sort_values("x")
        colour, marker = _COLOURS[nth % len(_COLOURS)], _MARKERS[nth % len(_MARKERS)]
        shift = 0.0 if scale else (nth - (len(sweep.arms) - 1) / 2) * 0.12
        x, mean = mine["x"].to_numpy(dtype=float) + shift, mine["mean"].to_numpy(dtype=float)
        low, high = mine["ci_low"].to_numpy(dtype=float), mine["ci_high"].to_numpy(dtype=float)
        if scale:
            ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        ax.vlines(x, low, high, color=colour, linewidth=1.2)
        dash = _DASHES[nth % len(_DASHES)] if scale else ""
        ax.plot(
            x, mean, color=colour, marker=marker, markersize=4.5, linestyle=dash, label=arm, clip_on=False
        )
    _value_axis(ax, values)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    ax.grid(axis="y", color=GRID, linewidth=0.6)
    ax.tick_params(labelsize=SMALL)
    plain_frame(ax)


def _limits(curve: pd.DataFrame) -> tuple[float, float]:
    """Give the ends of an axis that holds zero and every interval of a measure."""
    ends = curve[["mean", "ci_low", "ci_high"]].to_numpy(dtype=float)
    known = ends[np.isfinite(ends)]
    low, high = min(0.0, known.min(initial=0.0)), max(0.0, known.max(initial=0.0))
    room = 0.06 * (high - low) or 1.0
    return low - (room if low < 0 else 0), high + (room if high > 0 or low == 0 else 0)


def _value_axis(ax: Axes, values: Sequence[Any]) -> None:
    """Label the swept values themselves; logarithmic where they span a factor of 8."""
    scale = scale_of(values)
    at = scale.at if scale else tuple(float(place) for place in range(len(values)))
    if scale and at[0] > 0 and at[-1] / at[0] >= _LOG_FROM_RATIO:
        ax.set_xscale("log")
    elif not scale:
        ax.set_xlim(-0.5, len(values) - 0.5)
    labels = [written(each, scale.unit) for each in at] if scale else [str(value) for value in values]
    every = math.ceil(len(values) / 12)
    ax.xaxis.set_major_locator(FixedLocator(list(at[::every])))
    ax.set_xticks(list(at[::every]), labels[::every])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())


def _draw_heat(
    ax: Axes,
    curve: pd.DataFrame,
    across: tuple[str, list[Any]],
    up: tuple[str, list[Any]],
    unit: str,
    limits: tuple[float, float],
) -> None:
    rows = {(row[up[0]], row[across[0]]): row for row in curve.to_dict("records")}
    cells = [[rows[high, wide] for wide in across[1]] for high in up[1]]
    means = np.array([[cell["mean"] for cell in line] for line in cells], dtype=float)
    colours = mpl.colormaps["cividis"]
    low, high = limits
    ax.imshow(means, cmap=colours, vmin=low, vmax=high, aspect="auto", origin="lower")
    for (y, x), mean in np.ndenumerate(means):
        dark = not math.isnan(mean) and (mean - low) < 0.55 * (high - low)
        words: dict[str, Any] = {
            "ha": "center", "va": "center", "textcoords": "offset points", "color": "white" if dark else INK,
        }  # fmt: skip
        cell = cells[y][x]
        known = cell["ci_low"] == cell["ci_low"]
        ax.annotate(amount(mean, unit), (x, y), (0, 5 if known else 0), fontweight="bold", **words)
        if known:
            ends = f"{amount(cell['ci_low'], unit)} to {amount(cell['ci_high'], unit)}"
            ax.annotate(ends, (x, y), (0, -6), fontsize=6.5, **words)
    ax.set_xticks(range(len(across[1])), [str(value) for value in across[1]])
    ax.set_yticks(range(len(up[1])), [str(value) for value in up[1]])
    ax.tick_params(length=0, labelsize=SMALL)
    ax.spines[:].set_visible(False)


def _draw_influence(ax: Axes, table: pd.DataFrame) -> None:
    rows = table.to_dict("records")
    shares = [100 * row["share"] for row in rows]
    ax.barh(range(len(rows)), shares, height=0.6, color=_COLOURS[0], edgecolor=INK, linewidth=0.6)
    for place, (row, share) in enumerate(zip(rows, shares, strict=True)):
        unit = row["unit"]
        ends = f"{amount(row['ci_low'], unit)} to {amount(row['ci_high'], unit)}"
        span = f"{row['from']} to {row['to']}: {amount(row['effect'], unit)} ({ends})"
        shown = 0 if math.isnan(share) else share
        inside = shown > 55
        ax.annotate(
            span, (shown, place), (-5 if inside else 5, 0), textcoords="offset points", va="center",
            ha="right" if inside else "left", fontsize=SMALL, color="white" if inside else INK,
        )  # fmt: skip
    ax.set_yticks(range(len(rows)), [row["input"] for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(0, 100)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    ax.set_title(_named(rows[0]["measure"], rows[0]["unit"]), fontsize=9, loc="left")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    ax.spines[["left", "bottom"]].set_color(FAINT)
    plain_frame(ax)
