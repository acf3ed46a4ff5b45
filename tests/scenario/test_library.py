"""The scenarios that ship, the starter, and the schema for editors: all right, all documented."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from sim.scenario import ScenarioError, find, json_schema, library, load, loads, shipped, starter
from sim.scenario.errors import legal_keys
from sim.scenario.model import Scenario

ARRIVALS = {"arrivals": {"poisson": {"rate": "5/s"}}}


@pytest.fixture(scope="module")
def schema():
    found = json_schema()
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def test_the_first_three_ship():
    assert {"steady", "claim_storm", "worker_crashes"} <= set(shipped())


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_is_right_and_round(name, schema):
    scenario = load(name)
    assert load(shipped()[name]) == scenario
    resolved = scenario.resolved()
    assert loads(json.dumps(resolved)) == scenario
    schema.validate(resolved)
    schema.validate(yaml.safe_load(shipped()[name].read_text(encoding="utf-8")))
    assert len(scenario.about) > 80, "about: tells what happens here and what to look at"


def test_the_starter_is_right_and_explains_itself(schema):
    text = starter()
    scenario = loads(text)
    schema.validate(yaml.safe_load(text))
    assert loads(json.dumps(scenario.resolved())) == scenario
    for key in (
        "about",
        "horizon",
        "store",
        "link",
        "workload",
        "workers",
        "faults",
        "retry",
        "policies",
        "expect",
    ):
        assert f"\n{key}:" in text
    assert text.count("#") > 20
    assert max(map(len, text.splitlines())) <= 110


def test_names_may_have_folders(tmp_path, monkeypatch):
    (tmp_path / "kinds").mkdir()
    text = "about: x\nworkload: {arrivals: {burst: {count: 1}}}\n"
    (tmp_path / "kinds" / "lease_conflict.yaml").write_text(text)
    (tmp_path / "atlas.yaml").write_text(text)
    monkeypatch.setattr(library, "_FOLDERS", (tmp_path / "absent", tmp_path))
    assert list(shipped()) == ["atlas", "kinds/lease_conflict"]
    assert find("kinds/lease_conflict") == tmp_path / "kinds" / "lease_conflict.yaml"
    with pytest.raises(ScenarioError, match="did you mean 'kinds/lease_conflict'"):
        find("kinds/lease_conflct")


def test_a_file_comes_before_a_shipped_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("steady").write_text("about: mine\n")
    assert find("steady") == Path("steady")


def test_a_folder_does_not_hide_a_shipped_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("steady").mkdir()
    assert find("steady") == shipped()["steady"]


@pytest.mark.parametrize("name", ["claim_strom", "scenarios/claim_strom.yaml", "claim_storm.yaml"])
def test_a_missing_file_is_told_with_the_nearest_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioError) as caught:
        find(name)
    said = "there is no such file, and no scenario of that name (did you mean 'claim_storm'?)"
    assert str(caught.value) == f"{name}: {said}"


def test_a_folder_is_no_scenario(tmp_path):
    with pytest.raises(ScenarioError, match="is a folder, not a scenario"):
        find(tmp_path)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_what_cannot_be_a_path_is_refused(name):
    with pytest.raises(ScenarioError):
        find(name)


def test_an_installation_without_scenarios_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "_FOLDERS", (tmp_path / "absent",))
    with pytest.raises(ScenarioError, match="nothing is legal here"):
        find("steady")


@pytest.mark.parametrize(
    "broken",
    [
        {"workers": {"cuont": 3}},
        {"workers": {"count": -1}},
        {"workers": {"poll": "2 sec"}},
        {"link": {"request": {"lognormal": {"median": 3}}}},
        {"link": {"request": {"constant": "1s", "uniform": {}}}},
        {"store": {"rules": {"expired_grant": "drop"}}},
        {"expect": {"never": ["lease_conflct"]}},
        {"faults": [{"crash": {"workers": 1}}]},
        {"faults": [{"slow": {"what": "link", "factor": 2, "from": "1s"}}]},
        {"faults": [{"skew": {"workers": 1, "offset": "+1s"}}]},
        {"workload": {**ARRIVALS, "flows": {"rate": "1/s", "shape": {"chain": 1}}}},
        {"workload": {**ARRIVALS, "flows": {"rate": "1/s", "shape": {"chain": {"nodes": 1}}}}},
        {"workload": {**ARRIVALS, "flows": {"rate": "1/s", "shape": {"fan_out": 0}}}},
        {"policies": {"a": {"backof": {}}}},
    ],
)
def test_the_schema_finds_mistakes_while_one_types(broken, schema):
    right = {"about": "x", "workload": ARRIVALS}
    schema.validate(right)
    assert list(schema.iter_errors({**right, **broken}))


@pytest.mark.parametrize("shape", [{"chain": 5}, {"chain": {"nodes": 5}}, {"fan_out": 8}, {"fan_in": 8}])
def test_the_schema_knows_the_short_forms_of_shapes(shape, schema):
    flows = {"rate": "1/s", "shape": shape}
    schema.validate({"about": "x", "workload": {**ARRIVALS, "flows": flows}})


def models(model: type[BaseModel], seen: dict[type, None]) -> dict[type, None]:
    """Collect every model of the scenario's own package that can be reached from one."""
    if model in seen:
        return seen
    seen[model] = None
    for field in model.model_fields.values():
        todo: list[Any] = [field.annotation]
        while todo:
            annotation = todo.pop()
            todo += getattr(annotation, "__args__", ())
            todo += [annotation.__value__] if hasattr(annotation, "__value__") else []
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                models(annotation, seen)
    return seen


def test_every_key_says_what_it_means():
    """The descriptions feed the schema, the reference and the help."""
    for model in models(Scenario, {}):
        assert model.__doc__, model
        for name, field in model.model_fields.items():
            if name != "root" and model.__module__.startswith(("sim.scenario", "sim.distributions")):
                assert field.description, f"{model.__name__}.{name}"
                assert field.description.endswith("."), f"{model.__name__}.{name}"


def test_no_value_is_converted_silently():
    for model in models(Scenario, {}):
        assert model.model_config.get("strict"), model
        assert model.model_config.get("frozen"), model


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        (("horizon",), ["warmup", "run", "drain"]),
        (("faults", 0), ["crash", "pause", "partition", "store_outage", "slow", "loss", "skew"]),
        (("faults", 3, "pause"), ["workers", "at", "for"]),
        (("faults", 3, "slow"), ["from", "to", "what", "factor", "workers"]),
        (("workload", "flows", "shape"), ["chain", "fan_out", "fan_in", "random_dag"]),
        (("workload", "flows", "shape", "random_dag"), ["nodes", "edges"]),
        (("workload", "flows", "shape", "fan_out"), []),
        (("workload", "classes", "any", "children"), ["probability", "count", "class"]),
        (("workload", "classes", "any", "retries", "backoff", "fixed"), ["delay"]),
        (("workload", "classes", "any", "work", "mixture", 1), ["weight", "of"]),
        (("workload", "classes", "any", "work", "mixture", 1, "of", "uniform"), ["from", "to"]),
        (("workload", "classes"), []),
        (("seed",), []),
        (("nowhere", "at", "all"), []),
    ],
)
def test_legal_keys_are_found_at_every_place(path, keys):
    assert legal_keys(Scenario, path) == keys
