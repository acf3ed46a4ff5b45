"""Pictures of a study that can be read without the code that drew them.

Every picture names the scenario, the arms, the replications and the window, has units on its axes, and says
how many observations stand behind what it shows. A kind has the same colour everywhere and its name beside
it. Drawn with Figure objects alone: no window is opened, nothing global is left behind, and the same study
gives the same bytes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Protocol

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from sim.analysis.text import duration
from sim.units import US_PER_MS, US_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


class Titled(Protocol):
    """What the title of a picture tells of a study or a sweep."""

    @property
    def name(self) -> str:
        """Name of the scenario."""

    @property
    def arms(self) -> list[str]:
        """Names of the arms."""

    @property
    def replications(self) -> int:
        """How many of each arm, at each point of a sweep."""


class Drawable(Titled, Protocol):
    """What a picture needs to know of a study."""

    @property
    def window_s(self) -> float:
        """Length of the window in simulated seconds."""

    @property
    def window_us(self) -> tuple[int, int]:
        """Start and end of the window."""

    @property
    def kinds(self) -> list[str]:
        """The kinds that were seen in the window."""

    @property
    def faults(self) -> Any:
        """The faults that were drawn, by run."""

    def frequency(self, by: str | Sequence[str] = "kind") -> pd.DataFrame:
        """Give the frequency of each kind or group (:func:`sim.analysis.frequency.frequency`)."""

    def frequency_over_time(self, bin_s: float) -> pd.DataFrame:
        """Give the rate of each kind over time (:func:`sim.analysis.frequency.frequency_over_time`)."""

    def recovery(self) -> pd.DataFrame:
        """Give the recovery from each kind (:func:`sim.analysis.recovery.recovery`)."""

    def recovery_curves(self, kinds: Sequence[str] | None = None) -> pd.DataFrame:
        """Give curves of recovery with bands (:func:`sim.analysis.recovery.recovery_curves`)."""

    def episodes(self) -> pd.DataFrame:
        """Give the episodes (:func:`sim.analysis.recovery.episodes`)."""

    def refusals(self) -> pd.DataFrame:
        """Give how many refusals one intent met (:func:`sim.analysis.frequency.refusals_per_intent`)."""

    def rivals(self) -> pd.DataFrame:
        """Give who contended with whom (:func:`sim.analysis.rivals.rivals`)."""

    def race_windows(self) -> pd.DataFrame:
        """Give the quantiles of race windows (:func:`sim.analysis.rivals.race_windows`)."""

    def race_histogram(self) -> pd.DataFrame:
        """Give the distribution of race windows (:func:`sim.analysis.rivals.race_histogram`)."""

    def paired(self) -> pd.DataFrame:
        """Give the arms compared with the first one (:func:`sim.analysis.comparison.compare_arms`)."""

    def pareto(self) -> pd.DataFrame:
        """Give work beside time for each arm (:func:`sim.analysis.comparison.pareto`)."""

    def summary(self) -> pd.DataFrame:
        """Give the measures of a run over replications (:func:`sim.analysis.outcomes.summarise`)."""

    def contentions(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the refused attempts, one row each."""

    def intents(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the intents, one row each."""

    def executions(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the executions, one row each."""


DPI: Final = 120
WIDTH_IN: Final = 10.0
INK: Final = "#222222"
FAINT: Final = "#595959"
GRID: Final = "#d9d9d9"
STYLE: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.edgecolor": FAINT,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "hatch.linewidth": 0.8,
}  # fmt: skip
SMALL: Final = 7.5
DASHES: Final[tuple[Any, ...]] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
HATCHES: Final = ("", "////", "....", "xxxx", "----")
COLUMNS: Final = 3


def make_figure(study: Drawable, subject: str, height_in: float) -> Figure:
    """Make a figure with a title that says what is shown, of what, and how much of it."""
    window = f"{runs_of(study)} of {duration(study.window_s * 1000)} of simulated time"
    return titled_figure(study, subject, window, height_in)


def titled_figure(results: Titled, subject: str, extent: str, height_in: float) -> Figure:
    """Make a figure whose title says what is shown, of what, and in the words given how much of it."""
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
    arms = f"{'arm' if len(results.arms) == 1 else 'arms'} {', '.join(results.arms)}"
    figure.suptitle(f"{results.name}: {subject}\n{arms}; {extent}", x=0.01, ha="left", fontsize=11)
    return figure


def runs_of(results: Titled) -> str:
    """Say how many replications there are."""
    return "1 replication" if results.replications == 1 else f"{results.replications} replications"


def arm_legend(ax: Axes, arms: Sequence[str]) -> None:
    """Name the arms by their hatches, above the axes."""
    patches = [
        Patch(facecolor="#eeeeee", edgecolor=INK, hatch=HATCHES[place % len(HATCHES)], label=arm)
        for place, arm in enumerate(arms)
    ]
    ax.legend(
        handles=patches, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(arms), frameon=False,
        borderaxespad=0.2, handlelength=2.4, handleheight=1.1,
    )  # fmt: skip


def time_axis(ax: Axes, bins: NDArray[np.float64]) -> None:
    """Label decades in the units that people read: 10 us, 1 ms, 100 s."""
    ax.set_xscale("log")
    ax.set_xlim(bins[0], bins[-1])
    first, last = math.ceil(math.log10(bins[0]) - 1e-9), math.floor(math.log10(bins[-1]) + 1e-9)
    decades = [10.0**power for power in range(first, last + 1)]
    ax.xaxis.set_major_locator(FixedLocator(decades[:: math.ceil(len(decades) / 6)]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _decade(round(value))))
    ax.xaxis.set_minor_locator(FixedLocator(decades))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", labelsize=SMALL)


def _decade(us: int) -> str:
    unit, size = next(
        (unit, size) for unit, size in (("s", US_PER_S), ("ms", US_PER_MS), ("us", 1)) if us >= size
    )
    return f"{us // size:,} {unit}"


def count_axis(ax: Axes, tallest: int, band: float, bands: int) -> None:
    """Label zero and a few round counts in each band."""
    ticks = [tick for tick in MaxNLocator(3, integer=True).tick_values(0, tallest) if 0 <= tick <= tallest]
    floors = [band * place for place in range(bands)]
    ax.set_ylim(0, band * bands)
    ax.set_yticks(
        [floor + tick for floor in floors for tick in ticks], [f"{tick:,.0f}" for tick in ticks] * bands
    )
    ax.tick_params(axis="y", labelsize=SMALL)
    ax.hlines(floors[1:], *ax.get_xlim(), color=FAINT, linewidth=0.6)


def plain_frame(ax: Axes) -> None:
    """Leave the left and lower edge alone, behind what is drawn."""
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
