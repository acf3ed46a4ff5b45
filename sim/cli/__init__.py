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

HELP = """\
Simulate contention in lease-based job engines: how often does each kind occur, how long does recovery take?

Begin with `contention-sim run claim_storm`; `contention-sim list scenarios` shows what else there is to run,
and `contention-sim COMMAND --help` what a command does, with examples.
"""

app = typer.Typer(
    name="contention-sim",
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for command, says in (
    (studies.run, "Simulate a scenario: how often, how long; a table, files, pictures."),
    (comparisons.compare, "Compare retry policies on the same workload, with intervals."),
    (sweeps.sweep, "Vary values of a scenario; find the smallest that is good enough."),
    (fitting.fit, "Turn measured times into distributions of a scenario."),
    (stories.report, "Write report.html of a study: one page that needs no other file."),
    (stories.explain, "Tell what happened, attempt by attempt: typical and worst episodes."),
    (trust.conform, "Replay recordings of the real engine against the model of its store."),
    (trust.diff, "Name the first record in which two studies differ."),
    (trust.fuzz, "Run random scenarios with all checks."),
    (scenarios.init, "Write a commented scenario to start from."),
    (scenarios.validate, "Check scenarios without running them."),
    (scenarios.list_, "List kinds, policies, measures, scenarios, distributions, rules, checks."),
    (scenarios.schema, "Print the JSON Schema of a scenario, for editors."),
):
    app.command(command.__name__.rstrip("_"), short_help=says)(command)


def main() -> None:
    """Run the command line."""
    try:
        app()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: nothing is left to interrupt
