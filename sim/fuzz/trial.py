"""One scenario of the fuzzer, run with all checks: what became of it."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

from sim.checks import CheckFailed
from sim.replication import run
from sim.scenario import ScenarioError, loads

if TYPE_CHECKING:
    from sim.scenario import Scenario

_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_PACKAGE: Final = Path(__file__).parents[1]


class Failure(NamedTuple):
    """How a scenario failed.

    Attributes
    ----------
    sort : str
        What failed, in words that stay the same while the scenario is made smaller: the check, or the type
        of the error and the place in the code.
    message : str
        What happened.
    """

    sort: str
    message: str


class Trial(NamedTuple):
    """What became of a scenario: its fingerprint, or how it failed."""

    fingerprint: str | None
    failure: Failure | None


def as_yaml(document: dict[str, Any]) -> str:
    """Write a scenario as its file has it."""
    return yaml.dump(document, Dumper=_DUMPER, sort_keys=False, width=110, default_flow_style=None)


def try_text(text: str) -> Trial:
    """Load and run a scenario with all checks."""
    try:
        scenario = loads(text)
    except ScenarioError as error:
        return Trial(None, Failure("ScenarioError", str(error)))
    return try_scenario(scenario)


def try_scenario(scenario: Scenario) -> Trial:
    """Run the first replication of a scenario with all checks."""
    try:
        result = run(scenario, "own", scenario.retry, check=True)
    except CheckFailed as error:
        return Trial(None, Failure(error.check, str(error)))
    except Exception as error:  # whatever it is, it is what we are looking for
        return Trial(None, _failure(error))
    return Trial(result.fingerprint, None)


def _failure(error: Exception) -> Failure:
    """Tell an error by its type and by the last place in the simulator's own code."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)]
    place = f"{Path(own[-1].filename).relative_to(_PACKAGE).as_posix()}:{own[-1].name}" if own else "?"
    return Failure(f"{type(error).__name__} in {place}", f"{type(error).__name__}: {error}")
