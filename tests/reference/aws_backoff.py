"""The experiment of the AWS blog, run on this project's parts beside the numbers of the published program.

``python -m tests.reference.aws_backoff`` runs the scenario ``aws_backoff`` for every policy and number of
clients, writes the table and draws its two pictures; ``--clients 20,60`` asks for others, ``--help`` says the
rest.

A *call* is a write that reached the store, refused or not. The *time* is that from the instant at which all
clients begin to the instant at which the last of them learns that its write succeeded. The published numbers
(``tests/data/reference/aws_backoff.csv``) are means over 100 trials of a port of
awslabs/aws-arch-backoff-simulator @66cb169 that agrees with the unmodified program; z is the difference of
the two means over the root of the sum of both squared standard errors.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import joblib
import numpy as np
import pandas as pd

from sim.replication import run
from sim.scenario import load
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from sim.scenario import Scenario

PUBLISHED_FILE: Final = Path(__file__).parents[1] / "data" / "reference" / "aws_backoff.csv"
RESULTS: Final = Path("results/reference")
POLICIES: Final = {
    "None": "none",
    "Exponential": "exponential",
    "EqualJitter": "equal_jitter",
    "FullJitter": "full_jitter",
    "Decorr": "decorrelated_jitter",
}
"""The experiment's names of its policies, and the scenario's."""
CLIENTS: Final = (1, 2, 3, 10, 30, 50, 80, 100)
REPLICATIONS: Final = 400
MEASURES: Final = ("calls", "time")
_BATCH: Final = 50


class Trial(NamedTuple):
    """What one replication came to: calls, and milliseconds until the last client was done."""

    calls: int
    time_ms: float


def scenario_with(clients: int) -> Scenario:
    """Give the scenario for a number of clients, with one builder each, because idle ones cost time."""
    return load("aws_backoff", [f"workload.flows.{key}={clients}" for key in ("shape.fan_out", "builders")])


def trial(scenario: Scenario, arm: str, replication: int) -> Trial:
    """Run one replication and read its records."""
    result = run(scenario, arm, scenario.policies[arm], replication)
    writes = [row for row in result.intents.to_pylist() if row["goal"] == "link"]
    unfinished = [row for row in writes if row["resolution"] != "recovered"]
    if unfinished:
        raise AssertionError(f"{arm}, replication {replication}: not every client is done: {unfinished[0]}")
    begin_us = {row["start_us"] for row in writes}
    if len(begin_us) != 1:
        raise AssertionError(f"{arm}, replication {replication}: the clients begin at {sorted(begin_us)}")
    # Every write is one call, and so is every refusal before it.
    calls = len(writes) + result.contentions.num_rows
    return Trial(calls, (max(row["end_us"] for row in writes) - begin_us.pop()) / US_PER_MS)


def trials(arm: str, clients: int, replications: Iterable[int]) -> list[Trial]:
    """Run replications of one cell of the table."""
    scenario = scenario_with(clients)
    return [trial(scenario, arm, replication) for replication in replications]


def table(
    clients: Sequence[int] = CLIENTS,
    replications: int = REPLICATIONS,
    jobs: int = 1,
    arms: Sequence[str] = tuple(POLICIES.values()),
) -> pd.DataFrame:
    """Run the experiment: one row for each policy and number of clients.

    Where nothing is published for a number of clients, or nothing varies, z is not a number.
    """
    cells = [(arm, number) for arm in arms for number in clients]
    batches = [
        (arm, number, range(first, min(first + _BATCH, replications)))
        for arm, number in cells
        for first in range(0, replications, _BATCH)
    ]
    found = joblib.Parallel(n_jobs=jobs)(joblib.delayed(trials)(*batch) for batch in batches)
    by_cell: dict[tuple[str, int], list[Trial]] = {cell: [] for cell in cells}
    for (arm, number, _), some in zip(batches, found, strict=True):
        by_cell[arm, number] += some
    told = published()
    return pd.DataFrame([_row(*cell, np.array(some, float), told) for cell, some in by_cell.items()])


def published() -> pd.DataFrame:
    """Give the published numbers by policy and number of clients."""
    # The policy "None" is no missing value.
    told = pd.read_csv(PUBLISHED_FILE, keep_default_na=False)
    return told.replace({"policy": POLICIES}).set_index(["policy", "clients"])


def _row(arm: str, clients: int, values: NDArray[np.float64], told: pd.DataFrame) -> dict[str, object]:
    """Summarise the trials of a cell, a row of ``values`` each, beside what is published."""
    size = len(values)
    row: dict[str, object] = {"policy": arm, "clients": clients, "replications": size}
    errors = values.std(axis=0, ddof=1) / np.sqrt(size) if size > 1 else np.full(len(MEASURES), np.nan)
    for measure, mean, error in zip(MEASURES, values.mean(axis=0), errors, strict=True):
        theirs, their_error = np.nan, np.nan
        if (arm, clients) in told.index:
            theirs, their_error = told.loc[(arm, clients), [f"{measure}_mean", f"{measure}_se"]]
        both = np.hypot(error, their_error)
        row |= {
            f"{measure}_mean": mean,
            f"{measure}_se": error,
            f"published_{measure}_mean": theirs,
            f"published_{measure}_se": their_error,
            f"{measure}_z": (mean - theirs) / both if both > 0 else np.nan,
        }
    return row | {"calls_min": int(values[:, 0].min()), "calls_max": int(values[:, 0].max())}


def z_values(found: pd.DataFrame) -> pd.Series:
    """Give the z of every cell that varies and is published; the calls of 3 clients hardly vary at all."""
    calls = found.loc[found["clients"] > 3, "calls_z"]
    return pd.concat([calls, found["time_z"]]).dropna()


def main() -> None:
    """Run the experiment as the command line says, and write it down."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.reference.aws_backoff", description="Runs the AWS experiment."
    )
    parser.add_argument("--clients", default=",".join(map(str, CLIENTS)), help="numbers of clients")
    parser.add_argument("--replications", type=int, default=REPLICATIONS, help="trials of each cell")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the table and the pictures")
    given = parser.parse_args()
    found = table([int(each) for each in given.clients.split(",")], given.replications, given.jobs)
    given.out.mkdir(parents=True, exist_ok=True)
    found.round(4).to_csv(given.out / "aws_backoff.csv", index=False)
    from tests.reference.aws_pictures import draw

    draw(found, given.out)
    shown = ["policy", "clients", *(f"{m}{part}" for m in MEASURES for part in ("_mean", "_se", "_z"))]
    print(found[shown].round(2).to_string(index=False))
    z = z_values(found)
    if len(z):
        print(f"{len(z)} cells: largest |z| {z.abs().max():.2f}, rms z {np.sqrt((z**2).mean()):.3f}")


if __name__ == "__main__":
    main()
