"""Scenarios: what a user says is to be simulated, checked and complete.

:func:`load` reads a file, or a scenario that ships with the package, and gives a frozen :class:`Scenario`
with every default filled in, or a :class:`ScenarioError` that says where each mistake stands and what
would be right. Nothing here runs a simulation.
"""

from sim.scenario.errors import ScenarioError
from sim.scenario.library import find, shipped, starter
from sim.scenario.loader import load, loads
from sim.scenario.model import Scenario
from sim.scenario.reference import json_schema

__all__ = ["Scenario", "ScenarioError", "find", "json_schema", "load", "loads", "shipped", "starter"]
