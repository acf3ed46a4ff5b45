"""What ``contention-sim list`` shows: tables of what the program knows, read off the code itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    Listing = tuple[str, list[str], list[list[str]]]
    """Title, column names, rows."""


def kinds() -> Listing:
    """List the 18 kinds."""
    from sim.contention import KINDS

    rows = [[k.value, k.facts.kind_class.value, k.facts.meaning, k.facts.recovery] for k in KINDS]
    return "kinds of contention", ["kind", "class", "meaning", "default recovery"], rows


def policies() -> Listing:
    """List the registered retry policies."""
    from sim.retry import policies as registered

    rows = [[", ".join([p.name, *p.aliases]), p.formula, p.defaults, p.scope, p.source] for p in registered()]
    # What the formulas take for granted stands once, above them.
    title = (
        "retry policies, by name and aliases; n is the number of the retry, from 1; U(a, b) is drawn evenly "
        "between a and b; attempts count the first; a class of your own is given as module:Class"
    )
    return title, ["name (aliases)", "formula", "defaults", "state", "source"], rows


def scenarios() -> Listing:
    """List the scenarios that ship with the package."""
    from sim.scenario import load, shipped

    rows = [[name, " ".join(load(name).about.split())] for name in sorted(shipped())]
    return "shipped scenarios, to be run by name: contention-sim run NAME", ["name", "what it shows"], rows


def distributions() -> Listing:
    """List the distributions of durations."""
    from sim.distributions import catalogue

    return (
        "distributions of durations; Q(u) is what a share u of all durations stays below",
        ["name", "example", "formula"],
        [list(row) for row in catalogue()],
    )


def rules() -> Listing:
    """List the rules in which dialects of the store differ."""
    from dataclasses import asdict

    from sim.store.rules import PRESETS, RULES

    values = {name: asdict(preset) for name, preset in PRESETS.items()}
    rows = [
        [name, rule.meaning, ", ".join(rule.values), *(values[preset][name] for preset in values)]
        for name, rule in RULES.items()
    ]
    return (
        "rules of the store, for store.rules; contract, valkey and postgres are the dialects",
        ["rule", "meaning", "values", *values],
        rows,
    )


def measures() -> Listing:
    """List what a run is measured by: what arms are compared by and sweeps ask for."""
    from sim.analysis.columns import MEASURE_MEANINGS
    from sim.analysis.outcomes import UNITS
    from sim.analysis.recovery import QUANTILES

    rows = [[name, unit or "count", MEASURE_MEANINGS[name]] for name, unit in UNITS.items()]
    rows.append(["rate of KIND", "1/s", "Contentions of a kind per simulated second of the window."])
    rows += [
        [
            f"recovery_{name} of KIND",
            "ms",
            f"Time from an intent's first refusal of a kind to its success: quantile {q:g} of the "
            "Kaplan-Meier curve of all replications; needs 5 / (1 - quantile) observations.",
        ]
        for name, q in QUANTILES.items()
    ]
    return "measures of a run (sweep --measure, --target)", ["measure", "unit", "meaning"], rows


def checks() -> Listing:
    """List what a run can be held to: always, and after the drain."""
    from sim.scenario.promises import ALWAYS, EVENTUALLY

    rows = [
        [name, word, promise.claim, promise.holds_where]
        for word, promises in (("always", ALWAYS), ("eventually", EVENTUALLY))
        for name, promise in promises.items()
    ]
    return "checks of a run (run --check)", ["check", "expect", "claim", "holds where"], rows


def catalogue(name: str) -> pd.DataFrame:
    """Give what ``contention-sim list NAME`` shows, as a table.

    Parameters
    ----------
    name
        One of :data:`LISTS`.

    Returns
    -------
    pandas.DataFrame
        A row an item, its facts in columns; the items' names are the index.

    Raises
    ------
    ValueError
        When there is no such list.
    """
    import pandas as pd

    if name not in LISTS:
        raise ValueError(f"there is no list {name!r}; there are {', '.join(LISTS)}")
    _, columns, rows = LISTS[name]()
    return pd.DataFrame(rows, columns=columns).set_index(columns[0])


def print_listing(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a listing on standard output: each item with its facts below it, in the width there is."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from sim.console import make_console

    console = make_console()
    console.print(Text(title), highlight=False)
    for name, *facts in rows:
        console.print(Text(f"\n{name}", style="bold"), highlight=False)
        grid = Table.grid(padding=(0, 2))
        for column, fact in zip(columns[1:], facts, strict=True):
            grid.add_row(Text(column, style="dim"), Text(fact))
        console.print(Padding(grid, (0, 0, 0, 2)), highlight=False)


LISTS: Final[dict[str, Callable[[], Listing]]] = {
    "kinds": kinds,
    "policies": policies,
    "measures": measures,
    "scenarios": scenarios,
    "distributions": distributions,
    "rules": rules,
    "checks": checks,
}
