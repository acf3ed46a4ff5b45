"""The command that compares retry policies."""

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import JsonOption, ScenarioArgument, SetOption, progress, user_mistakes
from sim.cli.studies import show


def compare(
    scenario: ScenarioArgument,
    policies: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="The policies to compare: the scenario's own, or registered names. By default all of the "
            "scenario's, else documented, full_jitter, decorrelated, no_jitter and naive.",
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="What the others are compared with; by default the first.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed instead of the scenario's.")] = None,
    replications: Annotated[
        int | None, typer.Option(min=1, help="Replications of each policy instead of the scenario's.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at a time; results do not depend on it.")] = 1,
    set_: SetOption = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results go.")] = Path("results"),
    plots: Annotated[bool, typer.Option(help="Draw the pictures.")] = True,
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
    with user_mistakes():
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
                jobs=jobs,
                out=out,
                on_progress=on_progress,
            )
        show(study, pictures=plots, as_json=as_json)
