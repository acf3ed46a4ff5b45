"""The command ``contention-sim``: arguments in, tables out; what it does lies elsewhere.

Exit codes: 0 done; 2 a mistake of the user's (one message, no traceback); 3 a check or a conformance
failed, or two results differ; 4 not deterministic; 130 interrupted, what is finished is kept.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def _end_interrupted(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """End without a traceback when Ctrl-C comes where no command is under way yet."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print("interrupted", file=sys.stderr, flush=True)
    os._exit(130)


sys.excepthook = _end_interrupted  # before the first import that takes its time

import typer  # noqa: E402

# Everything heavier than typer is imported by the command that needs it: --help answers at once.
from sim.cli import comparisons, fitting, scenarios, stories, studies, sweeps, trust  # noqa: E402

app = typer.Typer(
    name="contention-sim",
    help="Simulate contention in lease-based job engines: how often each kind occurs and how long it lasts.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.command()(studies.run)
app.command()(comparisons.compare)
app.command()(sweeps.sweep)
app.command()(fitting.fit)
app.command()(stories.report)
app.command()(stories.explain)
app.command()(trust.conform)
app.command()(trust.diff)
app.command()(trust.fuzz)
app.command()(scenarios.init)
app.command()(scenarios.validate)
app.command("list")(scenarios.list_)
app.command()(scenarios.schema)


def main() -> None:
    """Run the command line."""
    try:
        app()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: nothing is left to interrupt
