"""Schedules: arrivals at instants that a file gives."""

import json

import pytest
from pydantic import ValidationError

from sim.scenario import ScenarioError, load, loads
from sim.scenario.schedule import Schedule

TEXT = """\
about: x
workload:
  arrivals: {schedule: {file: day.csv}}
  classes: {short: {}, long: {}}
"""


def scheduled(folder, content):
    (folder / "day.csv").write_text(content, encoding="utf-8")
    return loads(TEXT, folder=folder)


def refused(folder, content):
    with pytest.raises(ScenarioError) as caught:
        scheduled(folder, content)
    return str(caught.value).replace(str(folder / "day.csv"), "day.csv")


def test_instants_are_durations_or_seconds_in_any_order(tmp_path):
    content = "at,what\n1.5,x\n250ms,y\n0,z\n1e-6,v\n2 min,w\n 3 ,u\n"
    schedule = scheduled(tmp_path, content).workload.arrivals
    assert schedule.at == (0, 1, 250_000, 1_500_000, 3_000_000, 120_000_000)
    assert schedule.classes is None
    assert schedule.source == "day.csv"


def test_classes_go_with_their_instants_and_ties_keep_their_order(tmp_path):
    schedule = scheduled(tmp_path, "class,at\nlong,2\nshort,1\nlong,1\nshort,1\n").workload.arrivals
    assert schedule.at == (1_000_000, 1_000_000, 1_000_000, 2_000_000)
    assert schedule.classes == ("short", "long", "short", "long")


def test_the_resolved_scenario_needs_no_file(tmp_path):
    (tmp_path / "own.yaml").write_text(TEXT, encoding="utf-8")
    scheduled(tmp_path, "at,class\n2,long\n250ms,short\n")
    scenario = load(tmp_path / "own.yaml")
    (tmp_path / "day.csv").unlink()
    resolved = scenario.resolved()
    assert resolved["workload"]["arrivals"] == {
        "schedule": {"at": ["250ms", "2s"], "classes": ["short", "long"], "source": "day.csv"}
    }
    assert loads(json.dumps(resolved)) == scenario


def test_the_longest_schedule_is_read_again_from_the_resolved_scenario(tmp_path):
    rows = "".join(f"{nth * 0.073101:.6f},short\n" for nth in range(50_000))
    scenario = scheduled(tmp_path, f"at,class\n{rows}")
    assert len(scenario.workload.arrivals.at) == 50_000
    assert loads(json.dumps(scenario.resolved())) == scenario


def test_a_schedule_may_stand_in_the_scenario_itself():
    schedule = Schedule(at=["2s", "1s"], classes=["b", "a"])
    assert (schedule.at, schedule.classes, schedule.file) == ((1_000_000, 2_000_000), ("a", "b"), None)
    assert schedule == Schedule(**schedule.model_dump(mode="json"))


def test_classes_of_a_schedule_are_those_that_occur(tmp_path):
    """The weights mean nothing then: nobody has to serve the lane of a class that never comes."""
    (tmp_path / "day.csv").write_text("at,class\n1,long\n2,long\n", encoding="utf-8")
    scenario = loads(TEXT, ["workload.classes.short.lane=side"], folder=tmp_path)
    assert scenario.workload.scheduled == ("long",)
    assert scenario.workload.occurring == ("long",)
    with pytest.raises(ScenarioError, match="no worker serves the lane 'side'"):
        loads(TEXT, ["workload.classes.long={weight: 0, lane: side}"], folder=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "day.csv has no column 'at' (nothing is legal here)"),
        ("when\n1\n", "day.csv has no column 'at' (legal here: when)"),
        ("at\n", "day.csv has no rows"),
        ("at\n1\n2 sec\n", "day.csv:3: '2 sec' is not a duration (try '2s')"),
        ("at,class\n1,short\n,short\n", "day.csv:3: '' is not a duration (try '250ms', '1.5s' or '5min')"),
        ("at\n-1\n", "day.csv:2: -1 s is not an instant from 0 to ten years"),
        ("at\n1e9\n", "day.csv:2: 1e9 s is not an instant from 0 to ten years"),
        ("at\ninf\n", "day.csv:2: 'inf' is not a duration (try '250ms', '1.5s' or '5min')"),
        ("at\nnan\n", "day.csv:2: 'nan' is not a duration (try '250ms', '1.5s' or '5min')"),
        ("at,class\n1,short\n2\n", "day.csv:3: this row has no class"),
        ("at,class\n1,shrt\n", "there is no class 'shrt' (did you mean 'short'?)"),
        ("at\n" + "1\n" * 50_001, "day.csv has more than 50000 rows; keep a sample of them"),
    ],
)
def test_a_file_that_is_no_schedule_is_refused(tmp_path, content, message):
    assert refused(tmp_path, content) == f"scenario:3: workload.arrivals.schedule: {message}"


def test_every_unknown_class_is_told_once(tmp_path):
    lines = refused(tmp_path, "at,class\n1,a\n2,b\n3,a\n").splitlines()
    assert lines == [
        f"scenario:3: workload.arrivals.schedule: there is no class '{name}' (legal here: long, short)"
        for name in ("a", "b")
    ]


@pytest.mark.parametrize("keys", [{"at": ["1s"], "file": "a.csv"}, {}, {"at": ["1s"], "classes": []}])
def test_a_schedule_is_given_in_one_way(keys):
    with pytest.raises(ValidationError):
        Schedule(**keys)
