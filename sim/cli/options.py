"""What the commands share: arguments, the progress bar, and how a mistake of the user's ends one."""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from sim.mistakes import UserMistake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sim.estimate import Estimate

    Failure = dict[str, Any]

_FAILURES_TOLD: Final = 10

EXIT_MISTAKE, EXIT_CHECK_FAILED, EXIT_NOT_DETERMINISTIC, EXIT_INTERRUPTED = 2, 3, 4, 130

ScenarioArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO", help="A YAML file, or the name of a scenario that ships with the package."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Replace one value, e.g. workers.count=128. May be repeated."
    ),
]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Seed instead of the scenario's.")]
ReplicationsOption = Annotated[
    int | None, typer.Option(min=1, help="Replications instead of the scenario's.")
]
OutOption = Annotated[Path, typer.Option(metavar="DIR", help="Where results go.")]
PlotsOption = Annotated[bool, typer.Option(help="Draw the pictures.")]
KeepAttemptsOption = Annotated[
    bool, typer.Option("--keep-attempts", help="Write every attempt as a row, to attempts.parquet.")
]
JobsOption = Annotated[
    int, typer.Option("--jobs", min=1, help="Processes at a time; results do not depend on it.")
]
ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="joblib (this machine), dask, or dask=ADDRESS (a cluster's scheduler).",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="SHARE",
        help="Run until the half-width of the measure's 95 % interval is within, e.g., 5% of its mean.",
    ),
]
MeasureOption = Annotated[
    str,
    typer.Option(
        "--measure", help="What --precision is about: a column of outcomes.csv, or a kind (its rate)."
    ),
]
MaxReplicationsOption = Annotated[
    int, typer.Option("--max-replications", min=3, help="Where --precision ends at the latest.")
]
MaxAttemptsOption = Annotated[
    int | None,
    typer.Option("--max-attempts", min=1, help="End a run with so many attempts; its results so far count."),
]
MaxMemoryOption = Annotated[
    str | None,
    typer.Option(
        "--max-memory", metavar="SIZE", help="End a run whose process holds more, e.g. 2GB; likewise."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@contextmanager
def progress(*, quiet: bool, what: str = "replications") -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on a terminal, on standard error; nothing in a pipe."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def user_mistakes() -> Iterator[None]:
    """Turn a mistake of the user's into one message and exit code 2, an interruption into 130."""
    try:
        yield
    except UserMistake as mistake:
        print(mistake, file=sys.stderr)
        raise typer.Exit(EXIT_MISTAKE) from None
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def tell_estimate(estimate: Estimate) -> None:
    """Say on standard error what a study will need: always on a terminal, else where that is much."""
    if estimate.is_long or sys.stderr.isatty():
        print(estimate, file=sys.stderr)


class Replay(NamedTuple):
    """How a single replication of a study is run again from the command line.

    Attributes
    ----------
    scenario
        As the user gave it.
    seed, overrides, max_attempts
        Likewise.
    """

    scenario: str
    seed: int | None = None
    overrides: Sequence[str] = ()
    max_attempts: int | None = None

    def command(self, policy: str | None, replication: int, overrides: Sequence[str] = ()) -> str:
        """Give the command; without a policy that of the scenario counts. Overrides come after the user's."""
        words = ["contention-sim", "run", self.scenario, "--replication", str(replication)]
        words += ["--policy", policy] if policy is not None else []
        words += ["--seed", str(self.seed)] if self.seed is not None else []
        words += ["--max-attempts", str(self.max_attempts)] if self.max_attempts is not None else []
        for override in (*self.overrides, *overrides):
            words += ["--set", override]
        return shlex.join(words)


@contextmanager
def told_failures(
    command: Callable[[Failure], str],
) -> Iterator[Callable[[Sequence[Failure]], bool]]:
    """Tell on standard error of every replication that failed, with the command that runs it again.

    Parameters
    ----------
    command
        Gives that command for what failed.

    Yields
    ------
    Callable
        To be called with what failed in a study: tells of it, and answers whether anything did. A study
        without any results ends with exit code 3.
    """
    from sim.output import StudyFailed

    def tell(failures: Sequence[Failure]) -> bool:
        for failure in failures[:_FAILURES_TOLD]:
            lines = [f"failed: {failure['arm']}, replication {failure['replication']}: {failure['error']}"]
            lines += [f"    at {place}" for place in failure["at"]]
            lines += [f"    again: {command(failure)}"]
            print("\n".join(lines), file=sys.stderr)
        if len(failures) > _FAILURES_TOLD:
            print(f"... and {len(failures) - _FAILURES_TOLD} more that failed", file=sys.stderr)
        return bool(failures)

    try:
        yield tell
    except StudyFailed as error:
        tell(error.failures)
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_CHECK_FAILED) from None


@contextmanager
def failed_checks(command: Callable[[str, int], str]) -> Iterator[None]:
    """Turn a check that failed into its message, the command that replays it, and exit code 3.

    Parameters
    ----------
    command
        Gives that command for an arm and a replication.
    """
    from sim.checks import CheckFailed

    try:
        yield
    except CheckFailed as error:
        headline, *records = str(error).splitlines()
        again = command(error.arm, error.replication)
        print(f"CheckFailed: {headline}", f"    again: {again}", *records, sep="\n", file=sys.stderr)
        raise typer.Exit(EXIT_CHECK_FAILED) from None
