"""Mutation testing of the store and the retry policies: results/reference/mutation.csv.

``make mutation`` (or ``python -m tests.mutation`` where mutmut 3.8.1 is installed) changes ``sim/store`` and
``sim/retry`` in one place at a time and looks whether a test fails. mutmut makes the mutants, all of which
live in one copy of the sources under ``mutants/``, and tries a sample of them, each with the tests that call
its function (``[tool.mutmut]`` of pyproject.toml: the fast ones). What is left alive is tried again in a
process of its own, which imports everything under the mutant, with what mutmut leaves out: the recordings of
the real engine, and tests that run for longer.

The sample is drawn by a hash of the seed and the mutant's name, module by module in proportion, so that it
is the same wherever mutmut is.

mutation.csv has a row a module: ``mutants`` that there are, in the ``sample``, ``killed`` by the tests that
mutmut runs (those that never end included), ``killed_again`` by the second look, and ``survived``.
mutation_survivors.csv has a row for each that survived; what is said about it is carried over from the last
file, by what was changed into what.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scipy import stats

from sim.conformance import conform

if TYPE_CHECKING:
    from collections.abc import Iterable

SEED: Final = 20261126
SIZE: Final = 1000
ROOT: Final = Path(__file__).parents[1]
MUTANTS: Final = ROOT / "mutants"
RECORDINGS: Final = ROOT / "tests" / "data" / "traces"
RESULTS: Final = ROOT / "results" / "reference"

TIMEOUT_S: Final = 900
_ALIVE: Final = (0, 5, 33)
"""mutmut's exit codes of a mutant that no test failed for, or that no test calls once it runs."""

_PYTEST: Final = (
    "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
    "--deselect=tests/store/test_purity.py",  # it looks at the store's imports, to which mutmut adds its own
)  # fmt: skip
_SECOND_LOOK: Final = {
    "store": (
        ("-m", "tests.mutation", "replay"),
        (
            *_PYTEST, "tests/conformance/test_over_recordings.py", "tests/store", "tests/transactions",
            "--ignore=tests/store/test_state_machine.py",
            "--ignore=tests/transactions/test_transactions_closed_forms.py",
        ),
    ),
    "retry": (
        (
            *_PYTEST, "tests/docs/test_reference.py::test_the_reference_is_what_the_code_says",
            "tests/docs/test_reference.py::test_every_key_of_the_schema_is_told", "tests/retry",
            "--ignore=tests/retry/test_retry_closed_forms.py",
            "--ignore=tests/retry/test_retry_closed_forms_simulated.py",
        ),
    ),
}  # fmt: skip
"""What the second look runs with Python, by package."""


def names_and_codes() -> dict[str, int | None]:
    """Read every mutant there is, and how it ended when mutmut last tried it."""
    found: dict[str, int | None] = {}
    for path in sorted((MUTANTS / "sim").rglob("*.meta")):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def module_of(mutant: str) -> str:
    """Give the module that a mutant changes."""
    return mutant.rpartition(".")[0]


def sample(mutants: Iterable[str], size: int = SIZE) -> list[str]:
    """Choose about so many of the mutants, the same share of every module."""
    modules: dict[str, list[str]] = {}
    for mutant in mutants:
        modules.setdefault(module_of(mutant), []).append(mutant)
    total = sum(map(len, modules.values()))
    chosen: list[str] = []
    for members in modules.values():
        members.sort(key=lambda mutant: hashlib.sha256(f"{SEED}/{mutant}".encode()).digest())
        chosen += members[: round(size * len(members) / total)]
    return sorted(chosen)


def survives_the_second_look(mutant: str) -> bool:
    """Try a mutant in processes of its own, which import everything under it."""
    environment = {**os.environ, "MUTANT_UNDER_TEST": mutant, "PYTHONPATH": str(MUTANTS)}
    for arguments in _SECOND_LOOK[mutant.split(".")[1]]:
        try:
            done = subprocess.run(
                [sys.executable, *arguments], cwd=MUTANTS, env=environment, timeout=TIMEOUT_S,
                capture_output=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        if done.returncode != 0:
            return False
    return True


def replay() -> int:
    """Replay the recordings of the engine up to the first that differs."""
    recordings = sorted((ROOT / "tests" / "data" / "traces").glob("*.gz"))
    return int(any(conform([recording]).differences for recording in recordings))


def lines_changed(shown: str) -> tuple[str, str]:
    """Give the lines before and after, of what ``mutmut show`` prints."""
    lines = [line for line in shown.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (
        " ".join(line[1:].strip() for line in lines if line.startswith(sign)).strip() for sign in "-+"
    )
    return before, after


def rows(codes: dict[str, int | None], tried: list[str], survived: list[str]) -> list[dict[str, object]]:
    """Make a row a module, and one of all."""
    alive = [mutant for mutant in tried if codes[mutant] in _ALIVE]
    counts = [Counter(map(module_of, mutants)) for mutants in (codes, tried, alive, survived)]
    made = [_row(module, *(count[module] for count in counts)) for module in sorted(counts[1])]
    return [*made, _row("all", *(count.total() for count in counts))]


def _row(module: str, mutants: int, tried: int, alive: int, survived: int) -> dict[str, object]:
    killed = tried - survived
    interval = stats.binomtest(killed, tried).proportion_ci(0.95, method="exact")
    return {
        "module": module, "mutants": mutants, "sample": tried, "killed": tried - alive,
        "killed_again": alive - survived, "survived": survived, "score": round(killed / tried, 4),
        "score_low": round(float(interval.low), 4), "score_high": round(float(interval.high), 4),
    }  # fmt: skip


def _mutmut(*arguments: str, quiet: bool = False) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    output = subprocess.PIPE if quiet else None
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=output).stdout


def _write(name: str, table: list[dict[str, object]]) -> None:
    with (RESULTS / name).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    print(RESULTS / name)


def _known_groups() -> dict[tuple[str, str, str], str]:
    path = RESULTS / "mutation_survivors.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        return {(row["module"], row["before"], row["after"]): row["group"] for row in csv.DictReader(stream)}


def main() -> None:
    """Make the mutants, try the sample, look at the survivors again, write both tables."""
    _mutmut("run", "--max-children", "1", "sim.store.quota_table.*")  # the smallest module: makes all mutants
    tried = sample(names_and_codes())
    _mutmut("run", "--max-children", "1", *tried)
    report(tried)


def report(tried: list[str]) -> None:
    """Look at the survivors again and write both tables."""
    codes = names_and_codes()
    alive = [mutant for mutant in tried if codes[mutant] in _ALIVE]
    survived = [mutant for mutant in alive if survives_the_second_look(mutant)]
    _write("mutation.csv", rows(codes, tried, survived))
    known = _known_groups()
    table: list[dict[str, object]] = []
    for mutant in survived:
        before, after = lines_changed(_mutmut("show", mutant, quiet=True))
        group = known.get((module_of(mutant), before, after), "")
        table.append({
            "module": module_of(mutant), "mutant": mutant, "before": before, "after": after, "group": group,
        })  # fmt: skip
    _write("mutation_survivors.csv", table)


if __name__ == "__main__":
    if sys.argv[1:] == ["replay"]:
        sys.exit(replay())
    main()
