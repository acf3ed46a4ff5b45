"""How the cost of an attempt grows with fleet and work: results/reference/scaling.csv and .png.

``python -m tests.benchmarks.scaling`` runs a fleet of 10 to 100,000 workers, and 10,000 to 5 million
executions with 1,000 workers. Each run does the same per attempt: executions come at one rate whatever the
fleet, and the more workers there are, the longer each works and the more seldom each polls, so that
contention is alike.
Every run is timed whole, set-up, tables and fingerprint included, in a process of its own, and beside it the
bare SimPy skeleton with as many workers, set-up included. A row a run:

``workers``, ``executions``, ``attempts``
    the size; executions that were created.
``seconds``
    of processor time.
``us_per_attempt``, ``skeleton_us``
    processor time an attempt, and an operation of the skeleton of the same size (of at most a million
    operations, or ten a worker).
``ratio``
    of the two: how many times an attempt costs what an operation of the skeleton does.
``peak_mb``
    most memory that the process held.

Figures of seconds are those of one machine; the ratios are what is asserted.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import process_time
from typing import Any, Final, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from sim.analysis.plots.base import DPI, GRID, plain_frame
from sim.limits import peak_bytes
from sim.replication import run
from sim.scenario import loads
from tests.benchmarks.skeleton import simpy_skeleton
from tests.reference.drawing import save

RATE_PER_S: Final = 200
LEAST_EXECUTIONS: Final = 40_000
EXECUTIONS_A_WORKER: Final = 8
FLEETS: Final = (10, 100, 1_000, 10_000, 100_000)
AMOUNTS: Final = (10_000, 100_000, 1_000_000, 5_000_000)
WORKERS: Final = 1_000
SKELETON_MOST: Final = 1_000_000
FOLDER: Final = Path(__file__).parents[2] / "results" / "reference"

_SCENARIO: Final = """
about: A fleet of one size, loaded by half
horizon: {{warmup: 0s, run: {run_s}s, drain: 0s}}
store: {{partitions: 4, service: {{exponential: {{mean: 80us}}}}}}
link: {{request: {{exponential: {{mean: 300us}}}}, reply: {{exponential: {{mean: 300us}}}}}}
workload:
  arrivals: {{poisson: {{rate: {rate}/s}}}}
  classes: {{job: {{work: {{exponential: {{mean: {work_us}us}}}}}}}}
workers: {{count: {workers}, claim: direct, poll: {poll_us}us, lease_ttl: 24h}}
schedulers: {{count: 0}}
reconcilers: {{count: 1}}
"""


class Size(NamedTuple):
    """A run of the series."""

    workers: int
    executions: int

    def scenario(self) -> Any:
        """Keep the fleet half busy, and let it poll as often in all whatever its size."""
        work_us = self.workers * 1_000_000 // (2 * RATE_PER_S)
        return loads(
            _SCENARIO.format(
                run_s=self.executions // RATE_PER_S, rate=RATE_PER_S, workers=self.workers,
                work_us=work_us, poll_us=2 * work_us,
            )
        )  # fmt: skip


def sizes() -> list[Size]:
    """Give the fleets, each with enough to do, then the amounts of work."""
    fleets = [Size(each, max(LEAST_EXECUTIONS, EXECUTIONS_A_WORKER * each)) for each in FLEETS]
    return fleets + [Size(WORKERS, each) for each in AMOUNTS]


def measured(size: Size) -> dict[str, Any]:
    """Run once, and the skeleton beside it."""
    scenario = size.scenario()
    began = process_time()
    result = run(scenario, "documented", scenario.retry)
    seconds = process_time() - began
    attempts = sum(result.attempts.column("total").to_pylist())
    peak_mb = peak_bytes() / 1e6
    operations = min(attempts, max(SKELETON_MOST, 10 * size.workers))
    skeleton_us = 1e6 * simpy_skeleton(size.workers, operations, whole=True)
    us = 1e6 * seconds / attempts
    return {
        "workers": size.workers, "executions": result.executions.num_rows, "attempts": attempts,
        "seconds": seconds, "us_per_attempt": us, "skeleton_us": skeleton_us, "ratio": us / skeleton_us,
        "peak_mb": peak_mb,
    }  # fmt: skip


def picture(table: pd.DataFrame) -> Figure:
    """Draw the ratio against the fleet, and against the executions."""
    figure = Figure(figsize=(9, 3.6), dpi=DPI, layout="constrained")
    figure.suptitle(
        "Cost of an attempt, divided by that of an operation of the bare SimPy skeleton of the same size",
        x=0.01, ha="left", fontsize=11,
    )  # fmt: skip
    parts = {
        "workers": (table.iloc[: len(FLEETS)], f"{EXECUTIONS_A_WORKER} executions a worker or more"),
        "executions": (table.iloc[len(FLEETS) :], f"{WORKERS:,} workers"),
    }
    for ax, (column, (part, title)) in zip(figure.subplots(1, 2, sharey=True), parts.items(), strict=True):
        ax.plot(part[column], part["ratio"], color="#0072b2", marker="o")
        ax.set(xscale="log", xlabel=column, ylim=(0, 1.25 * table["ratio"].max()))
        ax.set_title(title, loc="left", fontsize=9)
        ax.grid(color=GRID, linewidth=0.6)
        plain_frame(ax)
    figure.supylabel("ratio", fontsize=9)
    return figure


def main() -> None:
    """Write the table and the picture."""
    from rich.progress import track

    # A process for each run: the peak of memory is one of a process.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        quiet = not sys.stderr.isatty()
        rows = list(track(pool.map(measured, sizes()), "runs", total=len(sizes()), disable=quiet))
    digits = {"seconds": 2, "us_per_attempt": 3, "skeleton_us": 3, "ratio": 3, "peak_mb": 0}
    table = pd.DataFrame(rows).round(digits)
    table.to_csv(FOLDER / "scaling.csv", index=False, lineterminator="\n")
    save(lambda: picture(table), FOLDER / "scaling.png")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
