"""Commands that ask whether the model can be trusted."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import (
    EXIT_CHECK_FAILED,
    EXIT_NOT_DETERMINISTIC,
    JsonOption,
    progress,
    user_mistakes,
)


def conform(
    traces: Annotated[
        list[Path], typer.Argument(metavar="TRACE...", help="Recordings (.jsonl.gz), or folders of them.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Replay recordings of the real engine against the store; exit 3 when a step differs.

    After every step status, code, values and the seven dimensions of the execution must agree exactly.

    \b
    Examples:
      contention-sim conform tests/data/traces
    """
    with user_mistakes():
        from sim.conformance import conform as replay

        report = replay(traces)
        print(json.dumps(report.as_dict(), indent=2) if as_json else report.render())
        if report.agreed < report.steps:
            raise typer.Exit(EXIT_CHECK_FAILED)


def diff(
    one: Annotated[Path, typer.Argument(metavar="A", help="The folder of a study.")],
    other: Annotated[Path, typer.Argument(metavar="B", help="The folder of another one.")],
    as_json: JsonOption = False,
) -> None:
    """Name the first record in which two results differ; exit 0 when they are the same, 3 when not.

    Tells besides what differs of their inputs (versions, seeds, scenario), and whether the statistics do
    although the records are the same.

    \b
    Examples:
      contention-sim diff results/steady/STUDY-ID other/steady/STUDY-ID
    """
    with user_mistakes():
        from sim.diff import diff as compare

        difference = compare(one, other)
        print(json.dumps(difference.as_dict(), indent=2) if as_json else difference.render())
        if not difference.same:
            raise typer.Exit(EXIT_CHECK_FAILED)


def fuzz(
    runs: Annotated[int, typer.Option(min=1, help="How many scenarios.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Decides all of them.")] = 1,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where scenarios that fail are kept.")] = Path(
        "results/fuzz"
    ),
) -> None:
    """Run random scenarios with all checks, and make small what fails.

    One in twenty is run again in processes with other hash seeds. Exit 3 when something failed, 4 when a
    run that was repeated came out otherwise.

    \b
    Examples:
      contention-sim fuzz --runs 20 --seed 7
    """
    with user_mistakes():
        from sim.fuzz import fuzz as campaign

        with progress(quiet=False, what="scenarios") as on_progress:
            report = campaign(runs, seed, out, on_progress)
        for finding in report.findings:
            print(f"scenario {finding.number}: {finding.failure.sort}: {finding.failure.message}")
            print(f"    again: {finding.command}")
        print(
            f"{report.runs} scenarios of seed {seed}, {report.repeated} of them in three processes: "
            f"{len(report.findings)} failed"
        )
        if not report.is_deterministic:
            raise typer.Exit(EXIT_NOT_DETERMINISTIC)
        if report.findings:
            raise typer.Exit(EXIT_CHECK_FAILED)
