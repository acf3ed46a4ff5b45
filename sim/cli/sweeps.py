"""The command that asks how an answer depends on the values of a scenario."""

import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim.cli.options import (
    EXIT_CHECK_FAILED,
    ExecutorOption,
    JobsOption,
    JsonOption,
    OutOption,
    PlotsOption,
    Replay,
    ReplicationsOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    progress,
    told_failures,
    user_mistakes,
)

if TYPE_CHECKING:
    from sim.analysis.sweeps import Bound
    from sim.sweep_results import Sweep

GridOption = Annotated[
    list[str],
    typer.Option(
        "--grid",
        metavar="PATH=VALUES",
        help="A parameter and its values: a list (workers.count=8,16,32), a range with a step (8..64:8) "
        "or with a factor (1s..16s*2). Amounts carry units as in a scenario. May be repeated: every "
        "combination is run.",
    ),
]
TargetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="'MEASURE < VALUE'",
        help="Print the smallest value of the first numeric parameter that meets a bound with "
        "confidence, such as 'sojourn_p99 < 2s', 'goodput_per_s > 100/s', 'rate of lease_conflict < "
        "0.1/s' or 'recovery_p90 of lease_conflict < 1s'. May be repeated.",
    ),
]
MeasureOption = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        help="What to print, draw, rank and compare arms by: one of `list measures`. May be repeated.",
    ),
]


def sweep(
    scenario: ScenarioArgument,
    grid: GridOption,
    policies: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Arms: retry policies of the scenario, or registered ones."),
    ] = None,
    seed: SeedOption = None,
    replications: ReplicationsOption = None,
    jobs: JobsOption = 1,
    executor: ExecutorOption = "joblib",
    set_: SetOption = None,
    target: TargetOption = None,
    measure: MeasureOption = None,
    out: OutOption = Path("results"),
    plots: PlotsOption = True,
    as_json: JsonOption = False,
) -> None:
    """Run a scenario at every combination of some of its values, times policies.

    Leaves one tidy table (table.csv), the runs (runs.csv), pictures, and the study of each point under
    results/SCENARIO/SWEEP-ID/. All points and arms face the same replications. With two or more policies it
    says from which value of the first numeric parameter on each beats the first. A sweep that was killed goes
    on where it stopped; one that is finished is answered from its folder.

    \b
    Examples:
      contention-sim sweep claim_storm --grid workers.count=16,32,64 --replications 5 --jobs 2
      contention-sim sweep steady --grid workers.count=8..24:4 --target 'sojourn_p99 < 2s'
      contention-sim sweep worker_crashes --grid workers.lease_ttl=1s..16s*2 --policies documented,naive
      contention-sim sweep claim_storm --grid schedulers.grant_ttl=10ms,50ms --grid schedulers.count=1,2,4
    """
    replay = Replay(scenario, seed, set_ or ())

    def again(run: dict[str, Any]) -> str:
        return replay.command(run["arm"] if policies else None, run["replication"], run["overrides"])

    with user_mistakes(), told_failures(again) as tell:
        from sim import api
        from sim.scenario.grid import parse_axis
        from sim.sweep_results import HEADLINES, parameter_of, read_bound, read_measure

        bounds = [read_bound(each) for each in target or ()]
        if bounds:
            parameter_of({axis.path: axis.values for axis in map(parse_axis, grid)})
        asked = [read_measure(each) for each in measure or ()]
        shown = list(dict.fromkeys([*(bound.measure for bound in bounds), *(asked or HEADLINES)]))
        with progress(quiet=as_json) as on_progress:
            result = api.sweep(
                scenario,
                list(grid),
                policies=[name.strip() for name in policies.split(",")] if policies else (),
                replications=replications,
                seed=seed,
                overrides=list(set_ or []),
                jobs=jobs,
                executor=executor,
                out=out,
                on_progress=on_progress,
            )
        _show(result, bounds, shown, pictures=plots, as_json=as_json)
        if tell(result.failed):
            raise typer.Exit(EXIT_CHECK_FAILED)


def _show(
    result: "Sweep", bounds: "list[Bound]", measures: list[str], *, pictures: bool, as_json: bool
) -> None:
    """Answer what was asked of a sweep, draw the pictures and print it."""
    answers = list(chain.from_iterable(result.target(bound) for bound in bounds))
    crossings = result.break_evens(measures)
    drawn = _draw(result, measures) if pictures else []
    if as_json:
        document = result.as_dict() | {
            "targets": [answer.as_dict() for answer in answers],
            "break_even": [crossing.as_dict() for crossing in crossings],
            "influence": result.influences(measures),
        }
        print(json.dumps(document, indent=2, allow_nan=False))
        return
    from sim.sweep_console import print_sweep

    print_sweep(result, measures, answers, crossings)
    for picture in drawn:
        print(f"picture: {picture}")


def _draw(result: "Sweep", measures: list[str]) -> list[Path]:
    from sim.analysis.plots.sweeps import save_sweep_plots

    return list(save_sweep_plots(result, measures, result.directory / "plots"))
