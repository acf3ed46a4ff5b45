"""Commands that simulate: a scenario in, a study on disk and a table out."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import (
    EXIT_CHECK_FAILED,
    ExecutorOption,
    JobsOption,
    JsonOption,
    KeepAttemptsOption,
    MaxAttemptsOption,
    MaxMemoryOption,
    MaxReplicationsOption,
    MeasureOption,
    OutOption,
    PlotsOption,
    PrecisionOption,
    Replay,
    ReplicationsOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    failed_checks,
    progress,
    tell_estimate,
    told_failures,
    user_mistakes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.results import Study

PolicyOption = Annotated[
    str | None,
    typer.Option(
        help="Retry policy instead of the scenario's: one that it lists, one of `list policies`, or a "
        "class of your own as module:Class."
    ),
]
ReplicationOption = Annotated[
    int | None, typer.Option(min=0, help="Run this one alone, as it is in the whole study.")
]
CheckOption = Annotated[
    bool,
    typer.Option(
        "--check", help="Watch all invariants; exit with 3 when one, or what the scenario expects, fails."
    ),
]
TraceOption = Annotated[
    bool, typer.Option("--trace", help="Write trace.json.gz, a timeline for https://ui.perfetto.dev.")
]
TraceWindowOption = Annotated[
    str | None,
    typer.Option(
        metavar="A,B", help="With --trace: from when to when, e.g. 20s,25s; by default the first 10 s."
    ),
]


def run(
    scenario: ScenarioArgument,
    policy: PolicyOption = None,
    seed: SeedOption = None,
    replications: ReplicationsOption = None,
    replication: ReplicationOption = None,
    precision: PrecisionOption = None,
    measure: MeasureOption = "goodput_per_s",
    max_replications: MaxReplicationsOption = 100,
    max_attempts: MaxAttemptsOption = None,
    max_memory: MaxMemoryOption = None,
    jobs: JobsOption = 1,
    executor: ExecutorOption = "joblib",
    set_: SetOption = None,
    out: OutOption = Path("results"),
    check: CheckOption = False,
    keep_attempts: KeepAttemptsOption = False,
    plots: PlotsOption = True,
    trace: TraceOption = False,
    trace_window: TraceWindowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a scenario: how often each kind of contention occurs, and how long recovery takes.

    Leaves tables (CSV), records (Parquet), plots (PNG) and report.html under results/SCENARIO/STUDY-ID/, and
    prints a table. The same inputs write the same bytes to the same place.

    \b
    Examples:
      contention-sim run claim_storm
      contention-sim run claim_storm --policy naive --set workers.count=128 --set schedulers.grant_ttl=1s
      contention-sim run steady --replications 20 --jobs 2
      contention-sim run kinds/lease_conflict --check --trace
    """
    replay = Replay(scenario, seed, set_ or (), max_attempts)
    with (
        user_mistakes(),
        failed_checks(lambda _, number: f"{replay.command(policy, number)} --check"),
        told_failures(lambda run: replay.command(policy, run["replication"])) as tell,
    ):
        from sim import api

        write_trace = _tracing(trace, trace_window)
        with progress(quiet=as_json) as on_progress:
            study = api.run(
                scenario,
                policy=policy,
                replications=replications,
                seed=seed,
                overrides=list(set_ or []),
                replication=replication,
                precision=precision,
                measure=measure,
                max_replications=max_replications,
                max_attempts=max_attempts,
                max_memory=max_memory,
                jobs=jobs,
                executor=executor,
                out=out,
                on_estimate=tell_estimate,
                keep_attempts=keep_attempts,
                check=check,
                on_progress=on_progress,
            )
        write_trace(study)
        show(study, pictures=plots, as_json=as_json)
        unmet = _tell_unmet(study)
        if tell(study.failed) or (check and unmet):
            raise typer.Exit(EXIT_CHECK_FAILED)


def _tracing(wanted: bool, window: str | None) -> "Callable[[Study], None]":
    """Read the window, before anything is run; give what writes the trace and tells of it."""
    if not wanted and window is None:
        return lambda _: None
    from sim import trace

    asked_us = None if window is None else trace.parse_window(window)
    return lambda study: print(trace.write_trace(study, asked_us).words, file=sys.stderr)


def show(study: "Study", *, pictures: bool, as_json: bool) -> None:
    """Draw the pictures and print the study."""
    drawn = _draw(study) if pictures else []
    if as_json:
        print(json.dumps(study.as_dict(), indent=2, allow_nan=False))
        return
    from sim import console

    console.print_study(study)
    for picture in drawn:
        print(f"picture: {picture}")
    if drawn:
        print(f"report: {study.directory / 'report.html'}")


def _tell_unmet(study: "Study") -> bool:
    """Tell on standard error what the scenario expects and was not so; answer whether there is any."""
    unmet = [each for each in study.expectations if not each["met"]]
    for each in unmet:
        seen = f"{each['kind']} was seen {each['count']} times"
        print(f"expected {each['expected']} in {each['arm']}: {seen}", file=sys.stderr)
    return bool(unmet)


def _draw(study: "Study") -> list[Path]:
    from sim.analysis.plots import save_plots
    from sim.report import write_report

    drawn = list(save_plots(study, study.directory / "plots"))
    write_report(study, drawn)
    return drawn
