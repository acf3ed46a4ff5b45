"""The two pictures of the AWS experiment: calls and completion time against the number of clients."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from sim.analysis.plots.base import DPI, FAINT, GRID, INK, plain_frame
from tests.reference.drawing import save

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

# Okabe and Ito's palette, which colour-blind people can tell apart; the marker says the same again.
LOOKS: Final = {
    "none": ("#000000", "o"),
    "exponential": ("#d55e00", "s"),
    "equal_jitter": ("#009e73", "^"),
    "full_jitter": ("#0072b2", "D"),
    "decorrelated_jitter": ("#cc79a7", "v"),
}
SUBJECTS: Final = {
    "calls": ("calls until every client has written", "calls (writes that reached the store)"),
    "time": ("time until every client has written", "completion time (ms)"),
}


def draw(found: pd.DataFrame, folder: Path) -> None:
    """Draw both pictures of a table of the experiment (see :mod:`tests.reference.aws_backoff`)."""
    for measure in SUBJECTS:
        save(partial(_picture, found, measure), folder / f"aws_backoff-{measure}.png")


def _picture(found: pd.DataFrame, measure: str) -> Figure:
    subject, label = SUBJECTS[measure]
    figure = Figure(figsize=(7.5, 5), dpi=DPI, layout="constrained")
    fewest, most = found["replications"].min(), found["replications"].max()
    runs = f"{most}" if fewest == most else f"{fewest} to {most}"
    figure.suptitle(
        f"aws_backoff: {subject}\nlines: mean of {runs} replications with 95% interval; "
        "rings: the published simulator, 100 trials",
        x=0.01, ha="left", fontsize=11,
    )  # fmt: skip
    ax = figure.subplots()
    for policy, (colour, marker) in LOOKS.items():
        rows = found[found["policy"] == policy].sort_values("clients")
        if rows.empty:
            continue
        ax.errorbar(
            rows["clients"], rows[f"{measure}_mean"], yerr=1.96 * rows[f"{measure}_se"].fillna(0),
            color=colour, marker=marker, markersize=4, linewidth=1.4, capsize=2,
        )  # fmt: skip
        ax.plot(
            rows["clients"], rows[f"published_{measure}_mean"],
            linestyle="", marker="o", markersize=10, markerfacecolor="none", markeredgecolor=colour,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="clients that begin together", ylabel=label)
    ax.xaxis.set_major_locator(FixedLocator(sorted(found["clients"].unique())))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.set_minor_formatter(NullFormatter())
    ax.grid(color=GRID, linewidth=0.6)
    plain_frame(ax)
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=policy)
        for policy, (colour, marker) in LOOKS.items()
    ]
    handles.append(
        Line2D([], [], linestyle="", marker="o", markersize=10, markerfacecolor="none",
               markeredgecolor=FAINT, label="published simulator")
    )  # fmt: skip
    ax.legend(handles=handles, loc="upper left", frameon=False, labelcolor=INK)
    return figure
