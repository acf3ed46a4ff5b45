"""A study in the terminal: what was run, how often each kind occurred, how long recovery took, where it lies.

Words are ASCII and lines are drawn as the encoding allows, so that it reads the same in a pipe, a log and a
terminal. One wide table where there is room, else one for frequency and one for recovery.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.analysis.comparison import (
    DETAILS,
    DIFFERENT,
    EQUAL,
    FREQUENCY,
    MEASURES,
    NOT_EVERYWHERE,
    NOT_SHOWN,
    RECOVERY,
    TAILS,
)
from sim.analysis.recovery import ENDS, NONE_SEEN, OK, QUANTILES
from sim.analysis.rivals import NOBODY
from sim.analysis.text import duration, number
from sim.analysis.verdicts import WORDS, subject
from sim.contention import ContentionKind
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from sim.results import Study

_PIPED_COLUMNS: Final = 100
_NAMES_FROM_COLUMNS: Final = 100
_ONE_TABLE_FROM_COLUMNS: Final = 142
_PAIRS_SHOWN: Final = 5
_RUNS_SHOWN: Final = 8

_HOW_TO_READ: Final = (
    "How to read: counts are refused attempts of all replications, per 1,000 attempts, and per simulated "
    "second: the mean of the replications with its 95 % interval (p: exact Poisson, for few events or one "
    "replication). Recovery counts what actors wanted to achieve and met that kind on the way to. Recovered: "
    "achieved; satisfied: nothing left to do, by someone else's doing; abandoned: given up; open: still "
    "going when the run ended. It takes from the first refusal of that kind to success; its quantiles are "
    "those of the Kaplan-Meier curve over recovered and open. 'too few': fewer than 5/(1-q) observations; "
    "'not reached': too many were still open. A race window runs from the rival's operation to the one that "
    "was refused because of it."
)
_HOW_TO_FOLLOW: Final = (
    "Single episodes, attempt by attempt: contention-sim explain DIR --kind KIND, with the folder below."
)

_HOW_TO_READ_EFFECTS: Final = (
    "Effects are percentages of the baseline, or differences from one of nothing; *: a difference is shown "
    "(p below 0.05 after Holm); =: the same in every replication; -: not compared. Of kinds: contentions per "
    "second. All rows, intervals and p-values are in paired.csv."
)
_EFFECTS_FROM_COLUMN: Final = 52
_UNTOLD: Final = (DETAILS, TAILS)
"""Families of a comparison that are in its files only."""

_AXES: Final = {
    "attempts": "attempts", "amplification": "attempts per intent", "sojourn_mean": "mean sojourn",
    "drain_s": "drain time",
}  # fmt: skip


def print_study(study: Study, console: Console | None = None) -> None:
    """Print the report of a study.

    Parameters
    ----------
    study
        What to report.
    console
        Where to; by default standard output (:func:`make_console`).
    """
    console = console or make_console()
    for block in _report(study, console.width):
        if isinstance(block, Text):
            block.plain = _encodable(block.plain, console)
        console.print(block, highlight=False, soft_wrap=isinstance(block, Text) and bool(block.no_wrap))


def make_console() -> Console:
    """Give a console on standard output; 100 columns where that is no terminal and ``COLUMNS`` is not set."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=_PIPED_COLUMNS)


def _report(study: Study, width: int) -> Iterator[Text | Table]:
    yield Text.assemble((study.name, "bold"), f"  {' '.join(study.about.split())}")
    warmup_ms = study.window_us[0] / US_PER_MS
    after = f" after {duration(warmup_ms)} of warm-up" if warmup_ms else ""
    runs = "1 replication" if study.replications == 1 else f"{study.replications} replications"
    yield Text(
        f"{runs} of {duration(study.window_s * 1e3)}{after}; fingerprint {study.fingerprint[:16]}", "dim"
    )
    yield from _incidents(study)
    rivals = study.rivals()
    for arm in study.as_dict()["arms"]:
        yield Text()
        yield _headline(arm)
        for table in _tables([kind for kind in arm["kinds"] if kind["count"]], width):
            yield table
            yield Text()
        yield from _not_seen([kind for kind in arm["kinds"] if not kind["count"]])
        yield from _rivals(rivals.loc[rivals["arm"] == arm["arm"]])
    if study.baseline is not None:
        yield from _comparison(study, width)
    yield Text()
    yield from _warmup(study)
    yield Text(_HOW_TO_READ, "dim")
    if not rivals.empty:
        yield Text(_HOW_TO_FOLLOW, "dim")
    # One line, however long, so that the path can be copied.
    yield Text(f"Files: {study.directory}", no_wrap=True, overflow="ignore")


def _incidents(study: Study) -> Iterator[Text]:
    """Tell what a reader must know before the tables: the precision, what failed, what ended early."""
    if study.precision is not None:
        yield _precision(study.precision)
    planned = len(study.arms) * study.replications
    if study.failed:
        yield Text(
            f"{len(study.failed)} of {planned} runs failed and are missing from every table: "
            f"{_some_runs(study.failed)}",
            "bold red",
        )
    if study.truncated:
        limits = " and ".join(f"--max-{limit}" for limit in sorted({run["limit"] for run in study.truncated}))
        first = min(run["at_us"] for run in study.truncated)
        yield Text(
            f"{len(study.truncated)} of {planned} runs were ended early by {limits}, the first at "
            f"{duration(first / US_PER_MS)}: {_some_runs(study.truncated)}. Rates are over what each run saw "
            "of the window; what was going on counts as open.",
            "bold red",
        )


def _precision(precision: dict[str, Any]) -> Text:
    widest = ", ".join(
        f"{arm} unknown" if share is None else f"{arm} {share:.2%}"
        for arm, share in precision["half_width"].items()
    )
    asked = f"{precision['measure']} to within {number(100 * precision['share'])} % of its mean"
    if precision["reached"]:
        return Text(f"Precision reached: {asked} ({widest})", "dim")
    return Text(
        f"Precision not reached with --max-replications {precision['max_replications']}: {asked} ({widest})",
        "bold red",
    )


def _some_runs(runs: Sequence[dict[str, Any]]) -> str:
    shown = ", ".join(f"{run['arm']}/{run['replication']}" for run in runs[:_RUNS_SHOWN])
    return shown if len(runs) <= _RUNS_SHOWN else f"{shown} and {len(runs) - _RUNS_SHOWN} more"


def _headline(arm: dict[str, Any]) -> Text:
    facts = [
        f"{arm['attempts']:,} attempts",
        f"{arm['contentions']:,} refused",
        f"{arm['completed']:,} executions completed ({_or_dash(arm['goodput_per_s'])} per s)",
    ]
    if arm["amplification"] is not None:
        facts.append(f"{number(arm['amplification'])} attempts per achieved intent")
    return Text.assemble((arm["arm"], "bold cyan"), "  " + ", ".join(facts))


def _tables(kinds: Sequence[dict[str, Any]], width: int) -> list[Table]:
    if not kinds:
        return []
    if width >= _ONE_TABLE_FROM_COLUMNS:
        return [_table(kinds, width, [*_FREQUENCY, *_RECOVERY])]
    met = [kind for kind in kinds if kind["episodes"]]
    often = _table(kinds, width, _FREQUENCY, "how often")
    return [often, *([_table(met, width, _RECOVERY, "recovery from")] if met else [])]


_FREQUENCY: Final = ("count", "per 1,000", "per s", "95 % interval")
_RECOVERY: Final = (*ENDS, *QUANTILES)


def _table(kinds: Sequence[dict[str, Any]], width: int, columns: Sequence[str], head: str = "kind") -> Table:
    table = plain_table((head, *columns), left=1)
    for kind in kinds:
        name = ContentionKind(kind["kind"])
        label = name.value if width >= _NAMES_FROM_COLUMNS else name.facts.label
        cells = _cells(kind)
        table.add_row(label, *(cells[column] for column in columns))
    return table


def _cells(kind: dict[str, Any]) -> dict[str, str | Text]:
    per_s = kind["per_s"]
    ends = [_or_dash(per_s[end]) for end in ("ci_low", "ci_high")]
    exact = "" if per_s["interval"] == "t" else " p"
    cells: dict[str, str | Text] = {
        "count": f"{kind['count']:,}",
        "per 1,000": _or_dash(kind["per_1000_attempts"]),
        "per s": _or_dash(per_s["mean"]),
        "95 % interval": f"{ends[0]} to {ends[1]}{exact}",
    }
    cells |= {end: f"{kind[end]:,}" if kind["episodes"] else Text("-", "dim") for end in ENDS}
    for name, status in kind["recovery_status"].items():
        value = kind["recovery_ms"][name]
        word = "-" if status == NONE_SEEN else status
        cells[name] = duration(value) if status == OK else Text(word, "dim")
    return cells


def _not_seen(kinds: Sequence[dict[str, Any]]) -> list[Text]:
    if not kinds:
        return []
    bound = number(kinds[0]["per_s"]["ci_high"])
    return [Text(f"Not seen (so below {bound} per s): {', '.join(kind['kind'] for kind in kinds)}", "dim")]


def _rivals(table: pd.DataFrame) -> Iterator[Text | Table]:
    """Tell the pairs that contended most, and how short their races were."""
    pairs = table.loc[table["rival_kind"] != NOBODY]
    if pairs.empty:
        return
    yield Text()
    total = int(table["count"].sum())
    shown = plain_table(("who is refused", "because of", "count", "share", "median race window"), left=2)
    for row in pairs.head(_PAIRS_SHOWN).to_dict("records"):
        window = "too few" if math.isnan(row["p50"]) else duration(row["p50"])
        share = f"{row['count'] / total:.1%}"
        shown.add_row(row["actor_kind"], row["rival_kind"], f"{row['count']:,}", share, window)
    yield shown
    unknown = total - int(pairs["count"].sum())
    if unknown:
        yield Text(f"No rival known: {unknown:,} ({unknown / total:.1%})", "dim")


def _comparison(study: Study, width: int) -> Iterator[Text | Table]:
    """Tell what differs from the baseline, in a table and in words, and what work buys in time."""
    yield Text()
    yield Text.assemble(
        ("Compared with ", "bold"),
        (str(study.baseline), "bold cyan"),
        (", replication by replication", "bold"),
    )
    paired = study.paired()
    yield from _same_policies(study)
    yield from _effects(paired, width)
    yield Text(_HOW_TO_READ_EFFECTS, "dim")
    verdicts = study.verdicts()
    for arm, of_arm in paired.groupby("arm", sort=False):
        yield Text()
        correlation = f"median correlation of the pairs {number(of_arm['correlation'].median())}"
        yield Text.assemble((str(arm), "bold cyan"), f"  {correlation}")
        mine = [verdict for verdict in verdicts if verdict["arm"] == arm and verdict["family"] not in _UNTOLD]
        for verdict in mine:
            if verdict["finding"] == DIFFERENT:
                yield Text(f"- {verdict['text']}")
        for finding in (NOT_SHOWN, EQUAL, NOT_EVERYWHERE):
            names = ", ".join(subject(verdict) for verdict in mine if verdict["finding"] == finding)
            if names:
                yield Text(f"- {finding}: {names}", "dim")
    yield Text()
    yield Text("Work against time", "bold")
    yield from _pareto(study)


def _same_policies(study: Study) -> Iterator[Text]:
    """Say so where two names stand for one policy."""
    policies = study.policies
    for number_of, arm in enumerate(study.arms):
        twin = next((other for other in study.arms[:number_of] if policies[other] == policies[arm]), None)
        if twin is not None:
            yield Text(f"{arm} and {twin} are the same policy here.")


def _effects(paired: pd.DataFrame, width: int) -> Iterator[Table | Text]:
    """Make tables of effects: a row a measure or kind, a column an arm, as many as there is room for."""
    arms = list(dict.fromkeys(paired["arm"]))
    at_once = max(1, (width - _EFFECTS_FROM_COLUMN) // (max(8, *map(len, arms)) + 1))
    for first in range(0, len(arms), at_once):
        shown = arms[first : first + at_once]
        for families, name in (((MEASURES, FREQUENCY), ""), ((RECOVERY,), "median recovery")):
            mine = paired["arm"].isin(shown) & paired["family"].isin(families)
            table = plain_table((name, str(paired["baseline"].iloc[0]), *shown), left=1)
            for _, rows in paired.loc[mine].groupby(["measure", "kind"], sort=False, dropna=False):
                cells = rows.to_dict("records")
                # Not the kinds that nobody met, or that were met too rarely in every arm.
                if any(
                    cell["finding"] in WORDS and (cell["baseline_value"] or cell["arm_value"])
                    for cell in cells
                ):
                    table.add_row(_row_name(cells[0], width), _value(cells[0]), *map(_effect, cells))
            if table.rows:
                yield table
                yield Text()


def _row_name(row: dict[Any, Any], width: int) -> str:
    if not isinstance(row["kind"], str):
        return str(row["measure"])
    return str(row["kind"]) if width >= _NAMES_FROM_COLUMNS else ContentionKind(row["kind"]).facts.label


def _value(row: dict[Any, Any]) -> str:
    """Write the baseline's value with its unit."""
    if math.isnan(row["baseline_value"]):
        return "-"
    in_ms = {"ms": 1.0, "s": 1e3}.get(row["unit"])
    if in_ms is not None:
        return duration(row["baseline_value"] * in_ms)
    return f"{number(row['baseline_value'])}{' per s' if row['unit'] == '1/s' else ''}"


def _effect(row: dict[Any, Any]) -> str | Text:
    if row["finding"] == EQUAL:
        return "="
    if row["finding"] not in (DIFFERENT, NOT_SHOWN):
        return Text("-", "dim")
    shown = "*" if row["finding"] == DIFFERENT else " "
    # A baseline of nothing has a difference, in the baseline's unit, and no percentage.
    effect, sign = (row["difference"], "") if math.isnan(row["percent"]) else (row["percent"], "%")
    return f"{'+' if effect >= 0 else ''}{number(effect)}{sign}{shown}"


def _pareto(study: Study) -> Iterator[Text | Table]:
    """Set the work of each arm beside the time that it takes, and tell which arms beat which in both."""
    table = plain_table(("", "completed", *_AXES.values()), left=1)
    pareto = study.pareto()
    for arm, rows in pareto.groupby("arm", sort=False):
        means = dict(zip(rows["work"], rows["work_mean"], strict=True))
        means |= dict(zip(rows["time"], rows["time_mean"], strict=True))
        times = [_time(means["sojourn_mean"]), _time(means["drain_s"] * 1e3)]
        completed = number(rows["completed"].iloc[0])
        table.add_row(str(arm), completed, number(means["attempts"]), number(means["amplification"]), *times)
    yield table
    for axes, rows in pareto.groupby(["work", "time"], sort=False):
        work, time = map(str, axes)
        front = ", ".join(rows.loc[rows["on_front"], "arm"])
        yield Text(
            f"- {_AXES[work]} against {_AXES[time]}: no other arm is better in both than {front or '(none)'}"
        )
        for row in rows.loc[rows["shown"] != ""].to_dict("records"):
            yield Text(f"  {row['arm']} is beaten by {row['shown']}")
    yield Text(
        "Means over replications; times are of executions that ended, so that an arm that completes fewer "
        "can look fast. Beaten: both paired differences are shown after Holm, or one is and the other nil. "
        "More in pareto.csv.",
        "dim",
    )


def _time(ms: float) -> str:
    return "-" if math.isnan(ms) else duration(ms)


def _warmup(study: Study) -> Iterator[Text]:
    """Advise on the warm-up; nothing is cut because of it."""
    arms: dict[str, list[str]] = {}
    for row in study.warmup_advice().to_dict("records"):
        advised = f"MSER-5 advises {duration(row['advised_s'] * 1e3)}"
        words = (
            advised if row["settled"] else "MSER-5 finds no steady state in the first half of the arrivals"
        )
        arms.setdefault(words, []).append(row["arm"])
    for words, names in arms.items():
        yield Text(
            f"Warm-up: {words} ({', '.join(names)}); the scenario leaves out "
            f"{duration(study.window_us[0] / US_PER_MS)}",
            "dim",
        )


def plain_table(columns: Sequence[str], left: int) -> Table:
    """Make a table with a line below its head; the first so many columns are words, the others numbers."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0), collapse_padding=True, show_edge=False, pad_edge=False)
    for place, column in enumerate(columns):
        words = place < left
        table.add_column(
            column,
            justify="left" if words else "right",
            min_width=None if words else len(column),
            no_wrap=column not in QUANTILES,
        )
    return table


def _or_dash(value: float | None) -> str:
    return "-" if value is None else number(value)


def _encodable(words: str, console: Console) -> str:
    """Replace the characters that the encoding of a terminal lacks."""
    return words.encode(console.encoding, "replace").decode(console.encoding)
