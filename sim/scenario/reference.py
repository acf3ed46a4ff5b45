"""The schema of scenarios for editors: completion, descriptions and checks while a user types."""

from __future__ import annotations

from typing import Any

from sim.scenario.model import Scenario

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a scenario.

    It knows keys, types, units and ranges. What needs more than one key (a lane that no worker serves, a
    quota of an unknown class) only :func:`sim.scenario.load` finds.
    """
    schema = Scenario.model_json_schema()
    return {"$schema": DIALECT, "$id": "scenario.schema.json", **schema, "title": "contention-sim scenario"}
