"""Every place of a scenario, read off its JSON Schema, with a hostile value put there."""

import math
from copy import deepcopy
from itertools import pairwise

import yaml

from sim.distributions import catalogue
from sim.scenario import json_schema

HOSTILE = (
    0, -1, 1, 1e308, -1e308, math.nan, math.inf, -math.inf, 10**30, 2**63, 1_000_000_000, 0.0, -0.0, 5e-324,
    None, True, "", "nan", "inf", "-5ms", "0s", "0us", "1us", "1e999s", "9" * 40 + "h", "3650d", "0/s",
    "1e300/s", "1/0s", "ten", "\u0661\u0662ms", "1_0ms", "x" * 20_000,
    [], [[]], {}, {"": 1}, {"a": {"b": [{}]}}, [None] * 50,
)  # fmt: skip

BASE = {"about": "hostile", "workload": {"arrivals": {"burst": {"count": 2}}}}

# Parameters of a distribution come in pairs, which the schema does not say: the examples do.
_DISTRIBUTIONS = {name: yaml.safe_load(example)[name] for name, example, _ in catalogue()}
_DISTRIBUTIONS["empirical"] = {"values": ["1ms", "2ms"]}
_EXAMPLES = {"string": "a", "integer": 1, "number": 0.5, "boolean": True, "null": None}


class Places:
    """Walks a schema: every key of every model once, each with a document in which its siblings are valid."""

    def __init__(self, schema):
        self.definitions = schema["$defs"]
        self.seen = set()
        self.found = []
        self.walk(schema, deepcopy(BASE), (), "Scenario")

    def walk(self, schema, document, path, model):
        schema, model = self.resolved(schema, model)
        for name, below in schema.get("properties", {}).items():
            if (model, name) in self.seen:
                continue
            self.seen.add((model, name))
            here = (*path, name)
            # Of a choice only one key may stand there.
            without = self.put(document, path, {}) if schema.get("maxProperties") == 1 else document
            example = _DISTRIBUTIONS.get(name) if "of one" in model or "|" in model else None
            grown = self.put(without, here, self.sample(below) if example is None else example)
            self.found.append((here, grown))
            self.walk(below, grown, here, f"{model}.{name}")
        for number, choice in enumerate(schema.get("anyOf", ())):
            self.walk(choice, self.put(document, path, self.sample(choice)), path, f"{model}|{number}")
        for named in (schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()):
            if isinstance(named, dict):
                here = (*path, "some")
                grown = self.put(document, here, self.sample(named))
                self.found.append((here, grown))
                self.walk(named, grown, here, f"{model}.*")
        items = schema.get("items")
        if isinstance(items, dict):
            here = (*path, 0)
            grown = self.put(document, here, self.sample(items))
            self.found.append((here, grown))
            self.walk(items, grown, here, f"{model}.0")

    def resolved(self, schema, model):
        while "$ref" in schema:
            model = schema["$ref"].rpartition("/")[2]
            schema = self.definitions[model]
        return schema, model

    def sample(self, schema, depth=0):
        """Give the smallest valid value, as far as the schema says what is valid."""
        schema, _ = self.resolved(schema, "")
        if depth > 6:
            return None
        for key, take in (("const", lambda v: v), ("enum", lambda v: v[0]), ("examples", lambda v: v[0])):
            if key in schema:
                return deepcopy(take(schema[key]))
        if "anyOf" in schema:
            return self.sample(schema["anyOf"][0], depth + 1)
        properties = schema.get("properties")
        if properties:
            wanted = schema.get("required") or (list(properties)[:1] if schema.get("minProperties") else [])
            return {name: self.sample(properties[name], depth + 1) for name in wanted}
        sort = schema.get("type")
        if sort == "array":
            return [self.sample(schema["items"], depth + 1)]
        if sort == "object":
            return {}
        if "minimum" in schema:
            return max(schema["minimum"], 1)
        return _EXAMPLES.get(sort if isinstance(sort, str) else "null")

    def put(self, document, path, value):
        """Give the document with a value at a path, and what leads there."""
        grown = deepcopy(document)
        place = grown
        for step, following in pairwise(path):
            fresh = [] if following == 0 else {}
            if isinstance(place, list):
                place[:] = place or [fresh]
                if type(place[0]) is not type(fresh):
                    place[0] = fresh
                place = place[0]
            else:
                if type(place.get(step)) is not type(fresh):
                    place[step] = fresh
                place = place[step]
        if isinstance(place, list):
            place[:] = [value]
        else:
            place[path[-1]] = value
        return grown


PLACES = Places(json_schema())


def written(document, path, value):
    """Write the scenario with a hostile value at a place, as YAML."""
    return yaml.dump(PLACES.put(document, path, value), Dumper=yaml.SafeDumper, allow_unicode=True)
