"""The reference, docs/reference.md: all that a scenario, a result or the command can name, told by the code.

``python -m tests.docs.reference`` (``make docs``) writes it anew.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_type_hints

from typer.models import ArgumentInfo

from sim import listing
from sim.analysis.columns import FILES
from sim.cli import app
from sim.contention import KINDS, codes_of
from sim.retry import policies
from sim.scenario import json_schema, load
from tests.docs.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.models import OptionInfo

PATH = Path(__file__).parents[2] / "docs" / "reference.md"

INTRODUCTION = """\
# Reference

Written by `make docs` from the code; a test holds it to the code. The program says the same:
`contention-sim list kinds|policies|measures|scenarios|distributions|rules|checks`,
`contention-sim COMMAND --help`, and `contention-sim schema` for editors.

Durations are written with a unit (`60us`, `250ms`, `1.5s`, `5min`, `1h`), rates as `50/s` or `10/min`; a
bare `0` needs no unit. Where a key takes a distribution, a duration alone is a constant. NAME stands for a
name of your own.
"""

CONTENTS = (
    ("Keys of a scenario", "keys-of-a-scenario"),
    ("Distributions", "distributions"),
    ("Rules of the store", "rules-of-the-store"),
    ("Kinds of contention", "kinds-of-contention"),
    ("Scenarios that ship", "scenarios-that-ship"),
    ("Retry policies", "retry-policies"),
    ("Keys of a policy", "keys-of-a-policy"),
    ("Checks", "checks"),
    ("Measures", "measures"),
    ("Files and their columns", "files-and-their-columns"),
    ("Commands", "commands"),
)


def cell(text: object) -> str:
    """Write a text into a cell of a table: one line, no bar that would end it."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("``", "`")


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    """Write a table of Markdown."""
    lines = [columns, ["---"] * len(columns), *([cell(each) for each in row] for row in rows)]
    return ["", *(f"| {' | '.join(line)} |" for line in lines), ""]


def code(text: object) -> str:
    return f"`{text}`"


def listed(what: str) -> list[str]:
    """Write one of the program's own lists."""
    _, columns, rows = listing.LISTS[what]()
    return table(columns, [[code(name), *facts] for name, *facts in rows])


def scenario_keys(keys: Keys) -> list[str]:
    return [
        "## Keys of a scenario",
        "",
        "Unknown keys are refused. `required`: wherever the mapping around it is given. A rule's default is "
        "that of the "
        "dialect.",
        *table(["key", "type", "default", "meaning"], keys.of_scenario()),
    ]


def distributions(keys: Keys) -> list[str]:
    return [
        "## Distributions",
        "",
        "Q(u) is the quantile function: what a share u of all durations, from 0 to 1, stays below.",
        *listed("distributions"),
        "Their parameters:",
        *table(["key", "type", "default", "meaning"], keys.of_distributions()),
    ]


def rules() -> list[str]:
    return [
        "## Rules of the store",
        "",
        "Each is a point in which the engine differs from its documents, or its back ends from each other; "
        "a dialect "
        "(`store.dialect`) is a preset of them, and `store.rules` replaces single ones.",
        *listed("rules"),
    ]


def kinds() -> list[str]:
    lines = ["## Kinds of contention", "", "In the order of every table."]
    for kind in KINDS:
        facts = kind.facts
        lines += [
            "",
            f"### {kind.value}",
            "",
            f"{facts.meaning[0].upper()}{facts.meaning[1:]}. Class: {facts.kind_class.value}. Default "
            f"recovery: "
            f"{facts.recovery}. Codes of the engine: {', '.join(map(code, codes_of(kind)))}.",
            "",
            f"How it arises, in [scenarios/kinds/{kind.value}.yaml](../scenarios/kinds/{kind.value}.yaml): "
            + " ".join(load(f"kinds/{kind.value}").about.split()),
        ]
    return [*lines, ""]


def scenarios() -> list[str]:
    _, columns, rows = listing.scenarios()
    others = [[code(name), about] for name, about in rows if not name.startswith("kinds/")]
    return [
        "## Scenarios that ship",
        "",
        "Besides one for each kind, `kinds/NAME`, which stand above.",
        *table(columns, others),
    ]


def retry_policies(keys: Keys) -> list[str]:
    rows = [
        [code(p.name), ", ".join(map(code, p.aliases)), p.formula, p.defaults, p.scope, p.source]
        for p in policies()
    ]
    return [
        "## Retry policies",
        "",
        "A policy is named (`--policy full_jitter`), put together of parts, or a class of your own "
        "(`module:Class`). "
        "In formulas n is the number of the retry, from 1; U(a, b) is drawn evenly between a and b; "
        "attempts count the "
        "first. The state of a budget or breaker belongs to each client or to the whole fleet.",
        *table(["name", "aliases", "formula", "defaults", "state", "source"], rows),
        "## Keys of a policy",
        "",
        "Under `policies.NAME` and `retry`; what is missing is as in `documented`. A part that is named "
        "alone has its "
        "defaults: `backoff: full_jitter`.",
        *table(["key", "type", "default", "meaning"], keys.of_policy()),
    ]


def checks() -> list[str]:
    return ["## Checks", "", "Watched by `run --check`.", *listed("checks")]


def measures() -> list[str]:
    return [
        "## Measures",
        "",
        "Of a run: the columns of `outcomes.csv`, what `compare` compares, and what `sweep --measure` and "
        "`--target` take.",
        *listed("measures"),
    ]


def files() -> list[str]:
    lines = [
        "## Files and their columns",
        "",
        "Under `results/SCENARIO/STUDY-ID/` (or SWEEP-ID). Besides: `study.json` (the resolved scenario, "
        "policies, seeds, "
        "versions, fingerprints, drawn faults, expectations, verdicts) or `sweep.json`, `host.json` "
        "(wall-clock "
        "facts, which no other file has), `plots/`, `report.html` and, on request, `trace.json.gz`.",
    ]
    for name, (meaning, columns) in FILES.items():
        rows = [[code(column), fact.unit, fact.meaning] for column, fact in columns.items()]
        lines += ["", f"### {name}", "", meaning, *table(["column", "unit", "meaning"], rows)]
    return lines


def commands() -> list[str]:
    """Write what ``--help`` says of each command."""
    lines = [
        "## Commands",
        "",
        "Exit codes: 0 done; 2 a mistake in what was given; 3 a check or a conformance failed, or two "
        "results differ; "
        "4 not deterministic; 130 interrupted (what is finished is kept).",
    ]
    for command in app.registered_commands:
        parameters = parameters_of(command.callback)
        places = " ".join(each.written for each in parameters if each.is_argument)
        name = command.name or command.callback.__name__
        lines += ["", f"### contention-sim {name} {places}".rstrip(), "", *prose(command.callback.__doc__)]
        rows = [[code(each.written), each.default, each.meaning] for each in parameters]
        lines += table(["argument", "default", "meaning"], rows) if rows else [""]
    return lines


class Parameter(NamedTuple):
    """An argument or option of a command, as a user writes it."""

    written: str
    default: str
    meaning: str
    is_argument: bool


def parameters_of(command: Callable[..., None]) -> list[Parameter]:
    hints = get_type_hints(command, include_extras=True)
    found = []
    for name, parameter in inspect.signature(command).parameters.items():
        hint = hints[name]
        annotated = next(each for each in (hint, *get_args(hint)) if hasattr(each, "__metadata__"))
        (info,) = annotated.__metadata__
        default = "required" if parameter.default is parameter.empty else parameter.default
        if isinstance(info, ArgumentInfo):
            written = info.metavar or name.upper()
        else:
            written, default = option(name, info, get_args(annotated)[0], default)
        is_said = default is not None and default is not False
        shown = "" if not is_said else default if default == "required" else code(default)
        found.append(Parameter(written, shown, info.help, isinstance(info, ArgumentInfo)))
    return found


def option(name: str, info: OptionInfo, kind: Any, default: Any) -> tuple[str, Any]:
    """Write an option with the place-holder of its value; a switch that is on has itself as default."""
    # Typer keeps the first of the names that an option declares where its default would stand.
    declared = [*([info.default] if isinstance(info.default, str) else []), *(info.param_decls or ())]
    given = "/".join(declared) or "--" + name.replace("_", "-")
    if kind is bool:
        return (given, default) if declared else (f"{given}/--no-{given[2:]}", given)
    if info.metavar:
        return f"{given} {info.metavar}", default
    choices = [each for each in get_args(kind) if isinstance(each, str)]
    whole = int in (kind, *get_args(kind))
    return f"{given} {'|'.join(choices) or ('N' if whole else 'TEXT')}", default


def prose(text: str) -> list[str]:
    """Write the text of a command; a paragraph that a backspace marks, examples, keeps its lines."""
    lines = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            lines += ["```", *(line.strip() for line in paragraph.splitlines()[1:]), "```", ""]
        else:
            lines += [" ".join(paragraph.split()), ""]
    return lines[:-1]


def reference() -> str:
    """Write the whole reference."""
    keys = Keys(json_schema())
    contents = [f"- [{title}](#{anchor})" for title, anchor in CONTENTS]
    parts = [
        scenario_keys(keys), distributions(keys), rules(), kinds(), scenarios(), retry_policies(keys),
        checks(), measures(), files(), commands(),
    ]  # fmt: skip
    lines = [*INTRODUCTION.splitlines(), "", *contents, ""]
    for part in parts:
        lines += [*part, ""]
    text = "\n".join(line.rstrip() for line in lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip() + "\n"


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(reference(), "utf-8")
    print(PATH)
