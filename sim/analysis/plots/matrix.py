"""Matrices of counts: cells shaded by the logarithm of what they hold, with the number in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.plots.base import FAINT, SMALL, STYLE, make_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from sim.analysis.plots.base import Drawable

_SOME_COLUMNS: Final = 10
_MANY_COLUMNS: Final = 14
_HEATMAP_TITLE: Final = "which operation meets which kind of contention"


def heatmap(study: Drawable, by: str = "op", ax: Axes | None = None) -> Axes:
    """Draw how often each kind is met in each operation: a row an operation, a column a kind.

    A cell has the number of contentions in the window, all replications together. With several arms each has
    its own block of rows.

    Parameters
    ----------
    study
        What to draw.
    by
        What the rows are: ``op``, ``actor_kind`` or ``code``.
    ax
        Where to; by default a figure of its own with a title.

    Returns
    -------
    matplotlib.axes.Axes
    """
    table = study.frequency(["kind", by])
    table = table.loc[table["count"] > 0]
    totals = table.groupby(by)["count"].sum().sort_index().sort_values(ascending=False, kind="stable")
    seen = set(zip(table["arm"], table[by], strict=True))
    rows = [(arm, str(name)) for arm in study.arms for name in totals.index if (arm, name) in seen]
    met = set(table["kind"])
    columns = [kind for kind in KIND_NAMES if kind in met]
    cells = {(row["arm"], str(row[by]), row["kind"]): (row["count"], "") for row in table.to_dict("records")}
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = make_figure(study, _HEATMAP_TITLE, 2.9 + 0.3 * max(1, len(rows))).subplots()
        draw_matrix(ax, rows, columns, cells, len(study.arms))
        if columns:
            ax.set_xticks(ax.get_xticks(), columns, rotation=40, ha="right", rotation_mode="anchor")
            ax.set_xlabel("kind of contention; number: contentions in the window")
            ax.set_ylabel({"op": "operation", "actor_kind": "who was refused"}.get(by, by))
    return ax


def draw_matrix(
    ax: Axes,
    rows: Sequence[tuple[str, str]],
    columns: Sequence[str],
    cells: Mapping[tuple[str, str, str], tuple[int, str]],
    arms: int,
) -> None:
    """Draw a matrix.

    Parameters
    ----------
    ax
        Where to.
    rows
        Arm and name of each row, a block an arm.
    columns
        Name of each column.
    cells
        By (arm, row, column): the count, and words below it or nothing.
    arms
        How many arms there are.
    """
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if not cells:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel("no contention was met")
        return
    nothing = (0, "")
    counts = np.array([[cells.get((*row, column), nothing)[0] for column in columns] for row in rows])
    most = max(2, int(counts.max()))
    ax.pcolormesh(
        np.ma.masked_equal(counts, 0), cmap="Blues", norm=LogNorm(1, most**1.5), edgecolor="white",
        linewidth=1.5,
    )  # fmt: skip
    words: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "center"}
    narrow: dict[str, Any] = (
        {"fontsize": SMALL - (len(columns) > _MANY_COLUMNS)} if len(columns) > _SOME_COLUMNS else {}
    )
    for (row, column), count in np.ndenumerate(counts):
        if count:
            below = cells[*rows[row], columns[column]][1]
            at = (column + 0.5, row + 0.5)
            ax.annotate(f"{count:,}", at, (0, 5 if below else 0), fontweight="bold", **words, **narrow)
            if below:
                ax.annotate(below, at, (0, -6), fontsize=SMALL, **words)
    names = [f"{arm}: {name}" if arms > 1 else name for arm, name in rows]
    ax.set_yticks(np.arange(len(rows)) + 0.5, names)
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns)
    ax.set_ylim(len(rows), 0)
    if arms > 1:
        ax.tick_params(axis="y", labelsize=SMALL)
    ends = [place for place in range(1, len(rows)) if rows[place][0] != rows[place - 1][0]]
    ax.hlines(ends, 0, len(columns), color=FAINT, linewidth=1)
