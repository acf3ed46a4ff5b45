"""Which policies recover from a retry storm, and which never do.

``python -m tests.reference.retry_storm`` runs the scenario ``retry_storm`` for every policy at several loads,
writes the table and draws the goodput over time of each policy.

*Goodput* counts submissions that were confirmed to a caller who still waited. A run has *recovered* at the
first instant after the spike from which on, for 30 s and a hundred submissions at least, 95 of 100 of the
submissions that arrive are confirmed (after the recovery test of Huang et al., OSDI 2022: a time without
trouble that is long enough, looked for after the trigger); the time is counted from the end of the spike.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import joblib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sim.analysis.plots.base import DPI, FAINT, GRID, plain_frame
from sim.replication import run
from sim.scenario import load
from sim.units import US_PER_S
from tests.reference.drawing import save

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sim.scenario import Scenario

RESULTS: Final = Path("results/reference")
LOADS_PER_S: Final = (7.0, 8.5, 9.3)
REPLICATIONS: Final = 5
SPIKE_S: Final = (60, 65)
HOLD_S: Final = 30
HEALTHY: Final = 0.95
BIN_S: Final = 10

# From light to dark as the load grows, of one blue: order, not kind. The dash says the same.
LOOKS: Final = {7.0: ("#6baed6", "-"), 8.5: ("#2171b5", "--"), 9.3: ("#08306b", ":")}


class Episode(NamedTuple):
    """What one run came to.

    Attributes
    ----------
    recovered_s : float
        Seconds from the end of the spike to the recovery; infinite where it never comes.
    attempts_per_submission : float
        Over the whole run.
    goodput_per_s : numpy.ndarray
        Confirmed submissions a second, in bins of ``BIN_S``.
    """

    recovered_s: float
    attempts_per_submission: float
    goodput_per_s: NDArray[np.float64]


def scenario_at(load_per_s: float) -> Scenario:
    """Give the scenario at another steady load."""
    phases = f"[{{rate: {load_per_s}/s, for: 1min}}, {{rate: 30/s, for: 5s}}, {{rate: {load_per_s}/s}}]"
    return load("retry_storm", [f"workload.arrivals={{phases: {phases}}}"])


def episode(load_per_s: float, arm: str, replication: int) -> Episode:
    """Run one replication and read its records."""
    scenario = scenario_at(load_per_s)
    intents = run(scenario, arm, scenario.policies[arm], replication).intents.to_pandas()
    confirmed = (intents["resolution"] == "recovered").to_numpy()
    ends_s = intents["end_us"].to_numpy()[confirmed] / US_PER_S
    bins = np.arange(0, scenario.horizon.arrivals_end_us // US_PER_S + 1, BIN_S)
    goodput = np.histogram(ends_s, bins)[0] / BIN_S
    starts_s = intents["start_us"].to_numpy() / US_PER_S
    return Episode(_recovered_s(starts_s, confirmed), intents["attempts"].mean(), goodput)


def _recovered_s(starts_s: NDArray[np.float64], confirmed: NDArray[np.bool_]) -> float:
    """Look for the first submission after the spike from which on all goes well for the hold time."""
    after = starts_s >= SPIKE_S[1]
    starts_s, confirmed = starts_s[after], confirmed[after]
    good = np.concatenate([[0], np.cumsum(confirmed)])
    held = np.maximum(np.searchsorted(starts_s, starts_s + HOLD_S), np.arange(len(starts_s)) + 100)
    for first, beyond in enumerate(held):
        if beyond >= len(starts_s):
            break
        if confirmed[first] and good[beyond] - good[first] >= HEALTHY * (beyond - first):
            return float(starts_s[first] - SPIKE_S[1])
    return np.inf


def episodes(
    loads_per_s: Sequence[float] = LOADS_PER_S,
    replications: int = REPLICATIONS,
    jobs: int = 1,
    arms: Sequence[str] | None = None,
) -> dict[tuple[str, float], list[Episode]]:
    """Run every policy at every load."""
    chosen = arms or list(load("retry_storm").policies)
    cells = [(arm, load_per_s) for arm in chosen for load_per_s in loads_per_s]
    tasks = [(rate, arm, number) for arm, rate in cells for number in range(replications)]
    found = joblib.Parallel(n_jobs=jobs)(joblib.delayed(episode)(*task) for task in tasks)
    return {
        cell: found[place * replications : (place + 1) * replications] for place, cell in enumerate(cells)
    }


def table(found: dict[tuple[str, float], list[Episode]]) -> pd.DataFrame:
    """Summarise: how many runs of each policy and load recovered, and when (median of those that did)."""
    rows = []
    for (arm, load_per_s), runs in found.items():
        times = [each.recovered_s for each in runs if np.isfinite(each.recovered_s)]
        rows.append({
            "policy": arm,
            "load_per_s": load_per_s,
            "replications": len(runs),
            "recovered": len(times),
            "recovery_s_median": np.median(times) if times else np.nan,
            "recovery_s_max": max(times) if times else np.nan,
            "attempts_per_submission": np.mean([each.attempts_per_submission for each in runs]),
            "goodput_per_s_at_the_end": np.mean([each.goodput_per_s[-6:].mean() for each in runs]),
        })  # fmt: skip
    return pd.DataFrame(rows)


def draw(found: dict[tuple[str, float], list[Episode]], path: Path) -> None:
    """Draw the goodput over time, a panel for each policy and a line for each load."""
    save(lambda: _picture(found), path)


def _picture(found: dict[tuple[str, float], list[Episode]]) -> Figure:
    arms, loads = (list(dict.fromkeys(cell[part] for cell in found)) for part in (0, 1))
    columns = 4
    rows = -(-len(arms) // columns)
    figure = Figure(figsize=(12, 0.9 + 1.95 * rows), dpi=DPI, layout="constrained")
    runs = len(next(iter(found.values())))
    figure.suptitle(
        "retry_storm: goodput after a spike of 30/s for 5 s (dotted upright) at a store that serves 10/s\n"
        f"time-out 4 s, 3 retries at most; mean of {runs} replications in bins of {BIN_S} s; "
        "beside each load: how many recovered, and after how long (median)",
        x=0.01, ha="left", fontsize=11,
    )  # fmt: skip
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax in grid.flat[len(arms) :]:
        ax.set_visible(False)
    for place, (ax, arm) in enumerate(zip(grid.flat, arms, strict=False)):
        ax.axvline(sum(SPIKE_S) / 2 / 60, color=FAINT, linewidth=0.8, linestyle=":")
        for load_per_s in loads:
            some = found[arm, load_per_s]
            goodput = np.mean([each.goodput_per_s for each in some], axis=0)
            colour, dash = LOOKS.get(load_per_s, ("#000000", "-"))
            middles_min = (np.arange(len(goodput)) + 0.5) * BIN_S / 60
            ax.plot(
                middles_min, goodput, color=colour, linestyle=dash, linewidth=1.3,
                label=f"{load_per_s:g}/s: {_verdict(some)}",
            )  # fmt: skip
        ax.set_title(arm, loc="left", fontsize=9, fontweight="bold")
        ax.set(xlim=(0, len(goodput) * BIN_S / 60), ylim=(0, 17))
        ax.set_yticks([0, 5, 10])
        ax.grid(color=GRID, linewidth=0.6)
        ax.legend(loc="upper right", frameon=False, fontsize=7.5, borderaxespad=0.1, labelspacing=0.2)
        plain_frame(ax)
        ax.tick_params(labelbottom=place + columns >= len(arms))
    figure.supxlabel("time since the start (min)", fontsize=9)
    figure.supylabel("submissions confirmed in time, per s", fontsize=9)
    return figure


def _verdict(some: Sequence[Episode]) -> str:
    times = [each.recovered_s for each in some if np.isfinite(each.recovered_s)]
    if not times:
        return "never"
    share = "" if len(times) == len(some) else f" ({len(times)} of {len(some)})"
    return f"{np.median(times):.0f} s{share}"


def main() -> None:
    """Run the study as the command line says, and write it down."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.reference.retry_storm", description="Runs the retry storm."
    )
    parser.add_argument("--loads", default=",".join(map(str, LOADS_PER_S)), help="submissions a second")
    parser.add_argument("--replications", type=int, default=REPLICATIONS, help="runs of each cell")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the table and the picture")
    given = parser.parse_args()
    found = episodes([float(each) for each in given.loads.split(",")], given.replications, given.jobs)
    given.out.mkdir(parents=True, exist_ok=True)
    summary = table(found)
    summary.round(3).to_csv(given.out / "retry_storm.csv", index=False)
    draw(found, given.out / "retry_storm.png")
    print(summary.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
