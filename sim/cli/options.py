"""What the commands share: arguments, the progress bar, and how a mistake of the user's ends one."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXIT_MISTAKE, EXIT_CHECK_FAILED, EXIT_INTERRUPTED = 2, 3, 130

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
def progress(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on a terminal, on standard error; nothing in a pipe."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("replications"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("replications", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _told_mistakes() -> Iterator[None]:
    from sim.conformance import RecordingError
    from sim.limits import OptionError
    from sim.output import ResultsError, StudyFailed
    from sim.retry import PolicyError
    from sim.scenario import ScenarioError

    try:
        yield
    except (ScenarioError, PolicyError, ResultsError, RecordingError, OptionError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_MISTAKE) from None
    except StudyFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_CHECK_FAILED) from None


@contextmanager
def user_mistakes() -> Iterator[None]:
    """Turn a mistake of the user's into one message and exit code 2, a failed study into 3, Ctrl-C into 130."""
    try:
        with _told_mistakes():
            yield
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
