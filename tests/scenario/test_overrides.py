"""``--set PATH=VALUE`` replaces single values before the scenario is checked, and names its own mistakes."""

import pytest

from sim.scenario import ScenarioError, loads
from tests.scenario.told import told

TEXT = """\
about: x
workload: {arrivals: {poisson: {rate: 5/s}}}
workers: {count: 4}
faults:
- crash: {workers: 1, at: 1s}
store: {rules: {expired_grant: dropped}}
"""


def load(*overrides):
    return loads(TEXT, overrides, source="own.yaml")


def refused(*overrides):
    with pytest.raises(ScenarioError) as caught:
        load(*overrides)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("override", "get", "value"),
    [
        ("workers.count=64", lambda s: s.workers.count, 64),
        (" workers.count = 64", lambda s: s.workers.count, 64),
        ("schedulers.count=3", lambda s: s.schedulers.count, 3),
        ("workload.arrivals.poisson.rate=9/s", lambda s: s.workload.arrivals.rate, 9.0),
        ("workload.arrivals={burst: {count: 3}}", lambda s: s.workload.arrivals.count, 3),
        ("faults.0.crash.down=5s", lambda s: s.faults[0].down.mean_us(), 5_000_000),
        ("faults=[]", lambda s: len(s.faults), 0),
        ("faults.1={pause: {workers: 1, at: 1s, for: 2s}}", lambda s: len(s.faults), 2),
        ("expect.never.0=lease_conflict", lambda s: len(s.expect.never), 1),
        ("store.rules={}", lambda s: s.store.rules.expired_grant, "kept"),
        ("about=a=b", lambda s: s.about, "a=b"),
        ("link.fifo=true", lambda s: s.link.fifo, True),
    ],
)
def test_a_value_is_replaced(override, get, value):
    assert get(load(override)) == value


def test_later_overrides_build_on_earlier_ones():
    assert load("workers={slots: 2}", "workers.count=7", "workers.count=8").workers.count == 8
    assert load("workers={slots: 2}", "workers.count=7").workers.slots == 2


def test_an_override_repairs_the_file():
    assert loads("about: x\nworkload: 3\n", ["workload={arrivals: {burst: {count: 1}}}"]).about == "x"
    assert loads("", ["about=x", "workload.arrivals.burst.count=1"]).about == "x"


def test_overriding_an_aliased_value_leaves_its_origin():
    text = "link: {request: &d {uniform: {from: 0s, to: 1s}}, reply: *d}\n"
    scenario = loads(TEXT + text, ["link.reply.uniform.to=9s"])
    assert (scenario.link.request.to, scenario.link.reply.to) == (1_000_000, 9_000_000)


@pytest.mark.parametrize(("override", "line"), told("overrides.txt"))
def test_a_mistake_names_the_override(override, line):
    assert refused(override) == [line]


def test_mistakes_of_the_file_come_before_those_of_overrides():
    text = TEXT.replace("count: 4", "cuont: 4")
    with pytest.raises(ScenarioError) as caught:
        loads(text, ["seed=-1", "workers.slots=0"], source="own.yaml")
    assert str(caught.value).splitlines() == [
        "own.yaml:3: workers.cuont: unknown key (did you mean 'count'?)",
        "--set seed: -1 is too small: at least 0",
        "--set workers.slots: 0 is too small: at least 1",
    ]


def test_a_key_of_the_file_that_an_override_makes_wrong_is_told_at_its_line():
    """The lane stands in no document, so the nearest key of the file is named."""
    assert refused("workers.lanes=[other]") == [
        "own.yaml:2: workload.classes.default.lane: no worker serves the lane 'main' (workers.lanes: other)"
    ]
