"""Commands that ask whether the model can be trusted."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import EXIT_CHECK_FAILED, JsonOption, user_mistakes


def conform(
    traces: Annotated[
        list[Path], typer.Argument(metavar="TRACE...", help="Recordings (.jsonl.gz), or folders of them.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Replay recordings of the real engine against the store; exit 3 when a step differs.

    After every step status, code, values and the seven dimensions of the execution must agree exactly.
    """
    with user_mistakes():
        from sim.conformance import conform as replay

        report = replay(traces)
        print(json.dumps(report.as_dict(), indent=2) if as_json else report.render())
        if report.agreed < report.steps:
            raise typer.Exit(EXIT_CHECK_FAILED)
