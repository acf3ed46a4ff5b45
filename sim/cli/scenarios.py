"""Commands about scenarios and what they can name: nothing is run."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import EXIT_MISTAKE, SetOption, user_mistakes


def validate(
    scenarios: Annotated[
        list[str], typer.Argument(metavar="SCENARIO...", help="Files, or names of shipped scenarios.")
    ],
    set_: SetOption = None,
) -> None:
    """Check scenarios without running them; exit 2 when one has a mistake.

    \b
    Examples:
      contention-sim validate mine.yaml
      contention-sim validate claim_storm --set workers.count=128
    """
    mistakes = 0
    for scenario in scenarios:
        try:
            with user_mistakes():
                from sim.scenario import load

                loaded = load(scenario, list(set_ or []))
        except typer.Exit:
            mistakes += 1
        else:
            print(f"{scenario}: valid ({loaded.about.strip()})")
    if mistakes:
        raise typer.Exit(EXIT_MISTAKE)


def schema() -> None:
    """Print the JSON Schema of a scenario, for completion in editors.

    Scenarios name it in their first line: # yaml-language-server: $schema=scenario.schema.json

    \b
    Examples:
      contention-sim schema > scenario.schema.json
    """
    from sim.scenario import json_schema

    print(json.dumps(json_schema(), indent=2))


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The file to write.")] = Path(
        "scenario.yaml"
    ),
) -> None:
    """Write a commented starter scenario; never over an existing file.

    \b
    Examples:
      contention-sim init mine.yaml
    """
    with user_mistakes():
        from sim.scenario import ScenarioError, starter

        try:
            with file.open("x", encoding="utf-8") as stream:
                stream.write(starter())
        except FileExistsError:
            raise ScenarioError([f"{file}: exists already; give another name"]) from None
        except OSError as error:
            raise ScenarioError([f"{file}: cannot be written: {error.strerror}"]) from None
        print(f"{file}: written. Try: contention-sim run {file}")


def list_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT", help="kinds, policies, measures, scenarios, distributions, rules or checks."
        ),
    ],
) -> None:
    """List what there is: kinds, policies, measures, scenarios, distributions, rules, checks.

    The same, with every key of a scenario and every column of the results, stands in docs/reference.md.

    \b
    Examples:
      contention-sim list kinds
      contention-sim list policies
    """
    with user_mistakes():
        from sim import listing

        if what not in listing.LISTS:
            raise typer.BadParameter(f"{what!r} is not one of {', '.join(listing.LISTS)}")
        listing.print_listing(*listing.LISTS[what]())
