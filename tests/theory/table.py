"""The theory table: ``python -m tests.theory.table [JOBS]`` simulates every case and writes it anew.

It stands in ``results/reference/theory.csv``. Same cases, same bytes.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.theory.cases import CASES, REPLICATIONS, seed_of
from tests.theory.estimate import Estimate, estimate, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE: Final = Path(__file__).parents[2] / "results" / "reference" / "theory.csv"
COLUMNS: Final = (
    "family", "case", "measure", "unit", "expected", "simulated", "low", "high", "z", "replications", "seed",
    "offset",
)  # fmt: skip


def estimates(jobs: int) -> list[Estimate]:
    """Simulate every case."""
    pairs = simulate([(case, seed_of(case)) for case in CASES], REPLICATIONS, jobs)
    return [estimate(case, each, len(CASES)) for case, each in zip(CASES, pairs, strict=True)]


def text(results: Sequence[Estimate]) -> str:
    """Write the table: numbers with six significant digits, z with three places."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for case, found in zip(CASES, results, strict=True):
        numbers = [f"{each:.6g}" for each in (case.expected, *found[:3])]
        writer.writerow([
            case.family, case.name, case.measure, case.unit, *numbers, f"{found.z:.3f}", REPLICATIONS,
            seed_of(case), case.offset,
        ])  # fmt: skip
    return out.getvalue()


def rms(values: Sequence[float]) -> float:
    """Give the root of the mean square."""
    return float((sum(value**2 for value in values) / len(values)) ** 0.5)


def main(jobs: int) -> None:
    """Write the table and say how well it fits."""
    results = estimates(jobs)
    FILE.write_text(text(results), encoding="utf-8")
    inside = sum(found.low <= case.expected <= found.high for case, found in zip(CASES, results, strict=True))
    print(f"{inside} of {len(CASES)} cases inside, rms z {rms([found.z for found in results]):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
