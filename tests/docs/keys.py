"""The keys of a scenario, read off its JSON Schema: path, type, default and meaning of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sim.analysis.frequency import KIND_NAMES

Schema = Mapping[str, Any]
Row = list[str]

QUANTITIES = {"Duration": "duration", "SignedDuration": "duration, negative too", "Rate": "rate"}
DISTRIBUTION, COMPOSED, OWN = "Distribution", "ComposedSpec", "OwnSpec"
TYPES = {
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "integer": "whole number",
    "number": "number",
}
FEW = 12
"""More words than these are not listed as a type."""


class Keys:
    """The keys that a JSON Schema knows.

    Parameters
    ----------
    schema
        Of a scenario.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.definitions = schema["$defs"]
        # Where each union stands that has been written out: a backoff can be made of backoffs.
        self.told: dict[tuple[str, ...], str] = {}

    def of_scenario(self) -> list[Row]:
        """Give a row for each key of a scenario; those of distributions and policies stand apart."""
        return list(self._rows(self.schema, ""))

    def of_distributions(self) -> list[Row]:
        """Give a row for each parameter of a distribution."""
        families = self.definitions[DISTRIBUTION]["anyOf"][1]
        return list(self._below(families, ""))

    def of_policy(self) -> list[Row]:
        """Give a row for each key of a policy, the parameters of its parts among them."""
        return [*self._rows(self.definitions[COMPOSED], ""), *self._rows(self.definitions[OWN], "")]

    def _rows(self, model: Schema, path: str) -> Iterator[Row]:
        required = model.get("required", [])
        for name, declared in model.get("properties", {}).items():
            key = f"{path}.{name}" if path else name
            yield self._row(key, declared, "required" if name in required else None)
            yield from self._below(declared, key)

    def _row(self, path: str, declared: Schema, default: str | None = None) -> Row:
        if default is None:
            default = f"`{self._default(declared)}`" if "default" in declared else ""
        return [f"`{path}`", self._type(declared), default, self._meaning(declared)]

    def _meaning(self, declared: Schema) -> str:
        if "description" in declared:
            return declared["description"]
        if "$ref" in declared:
            return self._resolved(declared).get("description", "")
        return ""

    def _default(self, declared: Schema) -> str:
        value = declared["default"]
        return value if isinstance(value, str) else json.dumps(value)

    def _resolved(self, declared: Schema) -> Schema:
        return self.definitions[self._name(declared)] if "$ref" in declared else declared

    @staticmethod
    def _name(declared: Schema) -> str:
        return declared.get("$ref", "").rpartition("/")[2]

    def _below(self, declared: Schema, path: str) -> Iterator[Row]:
        """Give the rows of what a key holds: the keys of a mapping, each choice of a union, each item."""
        if self._name(declared) in (*QUANTITIES, DISTRIBUTION, COMPOSED, OWN):
            return
        for option in declared.get("anyOf", ()):
            yield from self._below(option, path)
        model = self._resolved(declared)
        if model is not declared and "anyOf" in model:
            yield from self._below(model, path)
        elif _is_union(model):
            if self._place_of(model, path) != path:
                return
            for key, choice in model["properties"].items():
                place = f"{path}.{key}" if path else key
                held = self._resolved(choice)
                yield [f"`{place}`", self._type(choice), "", _first_paragraph(held.get("description", ""))]
                yield from self._below(choice, place)
        elif "properties" in model:
            yield from self._rows(model, path)
        elif "items" in model:
            yield from self._below(model["items"], f"{path}[]")
        for entry in model.get("patternProperties", {}).values():
            if self._name(entry) or "properties" in entry:
                yield from self._below(entry, f"{path}.NAME")

    def _type(self, declared: Schema) -> str:
        name = self._name(declared)
        if name in QUANTITIES:
            return QUANTITIES[name]
        if name == DISTRIBUTION:
            return "distribution"
        model = self._resolved(declared)
        if name in (COMPOSED, OWN):
            return "policy"
        if "$ref" in model:
            return self._type({"$ref": model["$ref"]})
        if "const" in model:
            return f"`{json.dumps(model['const'])}`"
        if model.get("enum") == KIND_NAMES:
            return "kind of contention"
        if len(model.get("enum", ())) > FEW:
            return "a name of one"
        if "enum" in model:
            return " or ".join(f"`{value}`" for value in model["enum"])
        if "anyOf" in model:
            return " or ".join(dict.fromkeys(self._type(option) for option in model["anyOf"]))
        return self._plain_type(model)

    def _place_of(self, union: Schema, path: str) -> str:
        """Give the path at which a union is written out: this one, or an earlier one."""
        return self.told.setdefault(tuple(union["properties"]), path)

    def _plain_type(self, model: Schema) -> str:
        kind = model.get("type", "any")
        if isinstance(kind, list):
            return " or ".join(TYPES[each] for each in kind)
        if kind == "array":
            items = self._type(model["items"]) if "items" in model else "any"
            return f"list of {items}"
        if _is_union(model):
            told = self.told.get(tuple(model["properties"]))
            return "one of the keys below" if told is None else f"as `{told}`"
        if kind == "object":
            return "mapping by name" if "patternProperties" in model else "mapping"
        if kind == "string" and "pattern" in model:
            return "name"
        return f"{TYPES.get(kind, kind)}{_range(model)}"


def _is_union(model: Schema) -> bool:
    return model.get("maxProperties") == 1 and "properties" in model


def _range(model: Schema) -> str:
    low, high = model.get("minimum"), model.get("maximum")
    if low is not None and high is not None:
        return f", {_number(low)} to {_number(high)}"
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    told = [f"{word} {_number(model[limit])}" for limit, word in words.items() if limit in model]
    return f", {', '.join(told)}" if told else ""


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:,}"


def _first_paragraph(text: str) -> str:
    return text.split("\n\n")[0]
