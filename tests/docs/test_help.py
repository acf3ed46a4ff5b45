"""What --help shows can be typed: every example is one that the command takes."""

import shlex

import pytest
import typer

from sim.cli import app
from sim.scenario import load
from sim.scenario.grid import load_points, parse_axis

COMMANDS = typer.main.get_command(app).commands
SIMULATE = ("run", "compare", "sweep")


def examples(name):
    """Give the examples of a command's help, as arguments."""
    _, mark, text = COMMANDS[name].callback.__doc__.partition("Examples:\n")
    lines = [shlex.split(line, comments=True) for line in text.splitlines() if line.strip()]
    return [line for line in lines if mark]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_it_takes(name):
    """They begin with the command itself, and its own parser reads the rest."""
    assert examples(name)
    for program, command, *arguments in examples(name):
        assert (program, command) == ("contention-sim", name)
        arguments = arguments[: arguments.index(">")] if ">" in arguments else arguments
        COMMANDS[name].make_context(name, list(arguments))


@pytest.mark.parametrize("name", SIMULATE)
def test_examples_name_scenarios_and_values_that_there_are(name):
    """The scenario ships, and its values can be set so."""
    for _, _, *arguments in examples(name):
        given = COMMANDS[name].make_context(name, list(arguments)).params
        changes = list(given["set_"] or [])
        changes += [f"retry={given['policy']}"] if given.get("policy") else []
        load(given["scenario"], changes)
        if name == "sweep":
            assert load_points(given["scenario"], [parse_axis(each) for each in given["grid"]], [])


def test_the_overview_cuts_no_text_short():
    """What a command does stands there to its end."""
    for name, command in COMMANDS.items():
        assert command.short_help.endswith("."), name
        assert len(command.short_help) < 80
