"""The command that compares retry policies."""

from pathlib import Path
from typing import Annotated

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
    ScenarioArgument,
    SeedOption,
    SetOption,
    progress,
    tell_estimate,
    told_failures,
    user_mistakes,
)
from sim.cli.studies import show

PoliciesOption = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...",
        help="The policies to compare: the scenario's own, or registered names. By default all of the "
        "scenario's, else documented, full_jitter, decorrelated, no_jitter and naive.",
    ),
]


def compare(
    scenario: ScenarioArgument,
    policies: PoliciesOption = None,
    baseline: Annotated[
        str | None, typer.Option(help="What the others are compared with; by default the first.")
    ] = None,
    seed: SeedOption = None,
    replications: Annotated[
        int | None, typer.Option(min=1, help="Replications of each policy instead of the scenario's.")
    ] = None,
    precision: PrecisionOption = None,
    measure: MeasureOption = "goodput_per_s",
    max_replications: MaxReplicationsOption = 100,
    max_attempts: MaxAttemptsOption = None,
    max_memory: MaxMemoryOption = None,
    jobs: JobsOption = 1,
    executor: ExecutorOption = "joblib",
    set_: SetOption = None,
    out: OutOption = Path("results"),
    keep_attempts: KeepAttemptsOption = False,
    plots: PlotsOption = True,
    as_json: JsonOption = False,
) -> None:
    """Compare retry policies that face the same workload, replication by replication.

    Tells for each measure whether a difference is shown, with its interval, and sets work beside time. Leaves
    what `run` leaves, and paired.csv and pareto.csv.

    \b
    Examples:
      contention-sim compare claim_storm --jobs 2
      contention-sim compare claim_storm --policies full_jitter,no_jitter,constant --replications 20
      contention-sim compare worker_crashes --policies documented,naive --baseline naive
    """
    replay = Replay(scenario, seed, set_ or (), max_attempts)
    with (
        user_mistakes(),
        told_failures(lambda run: replay.command(run["arm"], run["replication"])) as tell,
    ):
        from sim import api

        named = None if policies is None else [name.strip() for name in policies.split(",") if name.strip()]
        with progress(quiet=as_json) as on_progress:
            study = api.compare(
                scenario,
                policies=named,
                baseline=baseline,
                replications=replications,
                seed=seed,
                overrides=list(set_ or []),
                precision=precision,
                measure=measure,
                max_replications=max_replications,
                max_attempts=max_attempts,
                max_memory=max_memory,
                jobs=jobs,
                executor=executor,
                out=out,
                keep_attempts=keep_attempts,
                on_estimate=tell_estimate,
                on_progress=on_progress,
            )
        show(study, pictures=plots, as_json=as_json)
        if tell(study.failed):
            raise typer.Exit(EXIT_CHECK_FAILED)
