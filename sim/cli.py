"""The command ``contention-sim``: arguments in, tables out; what it does lies elsewhere.

Exit codes: 0 done; 2 a mistake of the user's (one message, no traceback); 3 a check or a conformance
failed; 130 interrupted, what is finished is kept.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

# Everything heavier than typer is imported by the command that needs it: --help answers at once.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sim.scenario import Scenario

EXIT_MISTAKE, EXIT_CHECK_FAILED, EXIT_INTERRUPTED = 2, 3, 130

app = typer.Typer(
    name="contention-sim",
    help="Simulate contention in lease-based job engines: how often each kind occurs and how long it lasts.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

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


@app.command()
def run(
    scenario: ScenarioArgument,
    policy: Annotated[
        str | None,
        typer.Option(help="Retry policy instead of the scenario's: one of its own, or a registered one."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed instead of the scenario's.")] = None,
    replications: Annotated[
        int | None, typer.Option(min=1, help="Replications instead of the scenario's.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at a time; results do not depend on it.")] = 1,
    set_: SetOption = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results go.")] = Path("results"),
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 3 when an expectation of the scenario fails.")
    ] = False,
    plots: Annotated[bool, typer.Option(help="Draw the pictures.")] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Run a scenario: how often each kind of contention occurs, and how long recovery takes.

    Leaves tables (CSV), records (Parquet) and plots (PNG) under results/SCENARIO/STUDY-ID/, and prints a
    table. The same inputs write the same bytes to the same place.
    """
    with _user_mistakes():
        from sim import api

        with _progress(quiet=as_json) as on_progress:
            study = api.run(
                scenario,
                policy=policy,
                replications=replications,
                seed=seed,
                overrides=list(set_ or []),
                jobs=jobs,
                out=out,
                on_progress=on_progress,
            )
        drawn = _draw(study) if plots else []
        if as_json:
            print(json.dumps(study.as_dict(), indent=2, allow_nan=False))
        else:
            from sim import console

            console.print_study(study)
            for picture in drawn:
                print(f"picture: {picture}")
        unmet = [e for e in study.document["expectations"] if not e["met"]]
        for e in unmet:
            print(
                f"expected {e['expected']} in {e['arm']}: {e['kind']} was seen {e['count']} times",
                file=sys.stderr,
            )
        if check and unmet:
            raise typer.Exit(EXIT_CHECK_FAILED)


@app.command()
def validate(
    scenarios: Annotated[
        list[str], typer.Argument(metavar="SCENARIO...", help="Files, or names of shipped scenarios.")
    ],
    set_: SetOption = None,
) -> None:
    """Check scenarios without running them; exit 2 when one has a mistake."""
    mistakes = 0
    for scenario in scenarios:
        try:
            with _user_mistakes():
                loaded = _load(scenario, list(set_ or []))
        except typer.Exit:
            mistakes += 1
        else:
            print(f"{scenario}: valid ({loaded.about.strip()})")
    if mistakes:
        raise typer.Exit(EXIT_MISTAKE)


@app.command()
def conform(
    traces: Annotated[
        list[Path], typer.Argument(metavar="TRACE...", help="Recordings (.jsonl.gz), or folders of them.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Replay recordings of the real engine against the store; exit 3 when a step differs.

    After every step status, code, values and the seven dimensions of the execution must agree exactly.
    """
    with _user_mistakes():
        from sim.conformance import conform as replay

        report = replay(traces)
        print(json.dumps(report.as_dict(), indent=2) if as_json else report.render())
        if report.agreed < report.steps:
            raise typer.Exit(EXIT_CHECK_FAILED)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a scenario, for completion in editors."""
    from sim.scenario import json_schema

    print(json.dumps(json_schema(), indent=2))


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The file to write.")] = Path(
        "scenario.yaml"
    ),
) -> None:
    """Write a commented starter scenario; never over an existing file."""
    with _user_mistakes():
        from sim.scenario import ScenarioError, starter

        try:
            with file.open("x", encoding="utf-8") as stream:
                stream.write(starter())
        except FileExistsError:
            raise ScenarioError([f"{file}: exists already; give another name"]) from None
        except OSError as error:
            raise ScenarioError([f"{file}: cannot be written: {error.strerror}"]) from None
        print(f"{file}: written. Try: contention-sim run {file}")


@app.command("list")
def list_(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="kinds, policies, scenarios, distributions or rules.")
    ],
) -> None:
    """List what there is: kinds, policies, scenarios, distributions, rules."""
    with _user_mistakes():
        from sim import listing

        if what not in listing.LISTS:
            raise typer.BadParameter(f"{what!r} is not one of {', '.join(listing.LISTS)}")
        listing.print_listing(*listing.LISTS[what]())


def _load(scenario: str, overrides: list[str]) -> Scenario:
    from sim.scenario import load

    return load(scenario, overrides)


def _draw(study: Any) -> list[Path]:
    from sim.analysis.plots import save_plots

    return list(save_plots(study, study.directory / "plots"))


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
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
def _user_mistakes() -> Iterator[None]:
    """Turn a mistake of the user's into one message and exit code 2, an interruption into 130."""
    from sim.conformance import RecordingError
    from sim.output import ResultsError
    from sim.retry import PolicyError
    from sim.scenario import ScenarioError

    try:
        yield
    except (ScenarioError, PolicyError, ResultsError, RecordingError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_MISTAKE) from None
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def main() -> None:
    """Run the command line."""
    app()
