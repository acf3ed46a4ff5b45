"""Retry policies inside a scenario: the one place that knows how :mod:`sim.retry` reads them."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticOmit, core_schema

from sim.retry import ComposedSpec, OwnSpec, PolicyError, PolicySpec, parse_policy, policies
from sim.schema import Name, refusal, suggest
from sim.units import quoted


class _ByName:
    """Adds to the JSON Schema of a policy what it may be besides a mapping: a name, or nothing."""

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": ["string", "null"]}, *handler(schema)["anyOf"]]}


def _parse(value: object, arm: str | None = None) -> PolicySpec:
    try:
        return parse_policy(value, arm)
    except PolicyError as error:
        path = error.path if arm is None else (arm, *error.path)
        raise refusal([(path, error.message)]) from None


def _parse_arms(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: _parse(policy, name) for name, policy in value.items()}


def _parse_choice(value: object, info: ValidationInfo) -> PolicySpec:
    if not isinstance(value, str):
        return _parse(value)
    arms: Mapping[str, PolicySpec] | None = info.data.get("policies")
    if arms is None:
        raise PydanticOmit  # nothing can be said of a name while the policies themselves are wrong
    if value in arms:
        return arms[value]
    try:
        return parse_policy(value)
    except PolicyError as error:
        if ":" in value:  # a class of the user's own
            raise ValueError(error.message) from None
        hint = suggest(value, [*arms, *(each.name for each in policies())])
        raise ValueError(f"there is no policy {quoted(value)} ({hint})") from None


Arms = Annotated[
    Mapping[Name, Annotated[ComposedSpec | OwnSpec, _ByName()]],
    BeforeValidator(_parse_arms),
]
"""Policies by name; one that says nothing (``full_jitter: {}``) is the one that ships under that name."""

PolicyChoice = Annotated[ComposedSpec | OwnSpec, _ByName(), BeforeValidator(_parse_choice)]
"""A name (of the scenario's own policies, or of one that ships), or the parts of a policy."""
