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
    PrecisionOption,
    Replay,
    ScenarioArgument,
    SetOption,
    failed_checks,
    progress,
    tell_estimate,
    told_failures,
    user_mistakes,
)

if TYPE_CHECKING:
    from sim.results import Study


def run(
    scenario: ScenarioArgument,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Retry policy instead of the scenario's: one that it lists, one of `list policies`, or a "
            "class of your own as module:Class."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed instead of the scenario's.")] = None,
    replications: Annotated[
        int | None, typer.Option(min=1, help="Replications instead of the scenario's.")
    ] = None,
    replication: Annotated[
        int | None, typer.Option(min=0, help="Run this one alone, as it is in the whole study.")
    ] = None,
    precision: PrecisionOption = None,
    measure: MeasureOption = "goodput_per_s",
    max_replications: MaxReplicationsOption = 100,
    max_attempts: MaxAttemptsOption = None,
    max_memory: MaxMemoryOption = None,
    jobs: JobsOption = 1,
    executor: ExecutorOption = "joblib",
    set_: SetOption = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results go.")] = Path("results"),
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Watch all invariants; exit with 3 when one, or what the scenario expects, fails."
        ),
    ] = False,
    keep_attempts: KeepAttemptsOption = False,
    plots: Annotated[bool, typer.Option(help="Draw the pictures.")] = True,
    trace: Annotated[
        bool, typer.Option("--trace", help="Write trace.json.gz, a timeline for https://ui.perfetto.dev.")
    ] = False,
    trace_window: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="With --trace: from when to when, e.g. 20s,25s; by default the first 10 s."
        ),
    ] = None,
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

        if trace or trace_window is not None:
            from sim.trace import parse_window, write_trace

            asked_us = None if trace_window is None else parse_window(trace_window)
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
        if trace or trace_window is not None:
            print(write_trace(study, asked_us).words, file=sys.stderr)
        show(study, pictures=plots, as_json=as_json)
        unmet = [e for e in study.expectations if not e["met"]]
        for e in unmet:
            print(
                f"expected {e['expected']} in {e['arm']}: {e['kind']} was seen {e['count']} times",
                file=sys.stderr,
            )
        if tell(study.failed) or (check and unmet):
            raise typer.Exit(EXIT_CHECK_FAILED)


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


def _draw(study: "Study") -> list[Path]:
    from sim.analysis.plots import save_plots
    from sim.report import write_report

    drawn = list(save_plots(study, study.directory / "plots"))
    write_report(study, drawn)
    return drawn
