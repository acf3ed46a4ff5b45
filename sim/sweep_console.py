"""A sweep in the terminal: the measures at every point, and what was asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from sim.analysis.sweeps import RUN_MEASURES, SMALL_SHARE
from sim.analysis.text import amount, number
from sim.console import make_console, plain_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from sim.analysis.sweeps import BreakEven, TargetAnswer
    from sim.sweep_results import Sweep


def print_sweep(
    sweep: Sweep,
    measures: Sequence[str],
    targets: Sequence[TargetAnswer],
    crossings: Sequence[BreakEven],
    console: Console | None = None,
) -> None:
    """Print the report of a sweep.

    Parameters
    ----------
    sweep
        What to report.
    measures
        Which of its measures.
    targets, crossings
        Answers to print below.
    console
        Where to; by default standard output.
    """
    console = console or make_console()
    for block in _report(sweep, measures, targets, crossings):
        console.print(block, highlight=False, soft_wrap=isinstance(block, Text) and bool(block.no_wrap))


def _report(
    sweep: Sweep, measures: Sequence[str], targets: Sequence[TargetAnswer], crossings: Sequence[BreakEven]
) -> Iterator[Text | Table]:
    yield Text.assemble((sweep.name, "bold"), f"  {' '.join(sweep.about.split())}")
    runs = "1 replication" if sweep.replications == 1 else f"{sweep.replications} replications"
    points, arms = len(sweep.points), len(sweep.arms)
    yield Text(
        f"{points} points, {arms} {'arm' if arms == 1 else 'arms'}, {runs} each, all with the same seed",
        "dim",
    )
    for measure in measures:
        yield Text()
        yield Text(measure, "bold")
        yield _table(sweep, measure)
        ranked = sweep.influence(measure) if measure in RUN_MEASURES else None
        if ranked is not None and len(ranked) > 1:
            yield Text()
            yield Text("What moves it: share of the variance over the grid (main effect)")
            yield _influence(ranked)
    answers: list[TargetAnswer | BreakEven] = [*targets, *crossings]
    for answer in answers:
        yield Text()
        yield Text(_placed(answer, sweep))
    yield Text()
    yield Text(
        "How to read: means with 95 % intervals, Student's across replications (quantiles of recovery: "
        "bootstrap of whole replications). Points and arms have the same replications.", "dim",
    )  # fmt: skip
    yield Text(f"Files: {sweep.directory}", no_wrap=True, overflow="ignore")


def _table(sweep: Sweep, measure: str) -> Table:
    names = [*sweep.grid, *(["arm"] if len(sweep.arms) > 1 else [])]
    table = plain_table((*names, "mean", "95 % interval", "n"), left=len(names))
    for row in sweep.curve(measure).to_dict("records"):
        ends = [amount(row[end], row["unit"]) for end in ("ci_low", "ci_high")]
        shown = "-" if row["ci_low"] != row["ci_low"] else " to ".join(ends)
        words = (str(row[name]) for name in names)
        table.add_row(*words, amount(row["mean"], row["unit"]), shown, f"{row['n']:,}")
    return table


def _influence(ranked: pd.DataFrame) -> Table:
    table = plain_table(("input", "from", "to", "share", "effect", "95 % interval"), left=3)
    for row in ranked.to_dict("records"):
        ends = f"{amount(row['ci_low'], row['unit'])} to {amount(row['ci_high'], row['unit'])}"
        share = row["share"]
        shown = (
            "-" if share != share else "below 0.1 %" if share < SMALL_SHARE else f"{number(100 * share)} %"
        )
        words = (row["input"], str(row["from"]), str(row["to"]))
        table.add_row(*words, shown, amount(row["effect"], row["unit"]), ends)
    return table


def _placed(answer: TargetAnswer | BreakEven, sweep: Sweep) -> str:
    """Say where an answer holds, where there is more than one place."""
    where = [f"{path} = {value}" for path, value in answer.fixed.items()]
    arm = getattr(answer, "arm", None)
    if arm is not None and len(sweep.arms) > 1:
        where.insert(0, arm)
    return f"{', '.join(where)}: {answer.words}" if where else answer.words
