"""What the commands share: arguments, the progress bar, and how a mistake of the user's ends one."""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    from sim.analysis.fitting import LogError
    from sim.conformance import RecordingError
    from sim.output import ResultsError
    from sim.retry import PolicyError
    from sim.scenario import ScenarioError

    try:
        yield
    except (ScenarioError, PolicyError, ResultsError, RecordingError, LogError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_MISTAKE) from None
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None


@contextmanager
def failed_checks(again: Sequence[str]) -> Iterator[None]:
    """Turn a check that failed into its message, the command that replays it, and exit code 3."""
    from sim.checks import CheckFailed

    try:
        yield
    except CheckFailed as error:
        headline, *records = str(error).splitlines()
        print(
            f"CheckFailed: {headline}", f"    again: {shlex.join(again)}", *records, sep="\n", file=sys.stderr
        )
        raise typer.Exit(EXIT_CHECK_FAILED) from None
