"""A grid: values in lists and ranges, with units, and every combination of them checked before it is run."""

import pytest

from sim.scenario import ScenarioError
from sim.scenario.grid import MOST_POINTS, label, load_points, make_axis, parse_axis


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("workers.count=8,16,32", (8, 16, 32)),
        ("workers.lease_ttl=500ms, 1s", ("500ms", "1s")),
        ("workers.count=8..32:8", (8, 16, 24, 32)),
        ("workers.count=8..30:8", (8, 16, 24)),
        ("workers.count=8..64*2,100", (8, 16, 32, 64, 100)),
        ("workers.lease_ttl=500ms..4s*2", ("500ms", "1s", "2s", "4s")),
        ("operators.cancel=10/min..30/min:10/min", ("10/min", "20/min", "0.5/s")),
        ("link.lose_reply=0.1..0.5:0.1", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("store.dialect=contract,valkey", ("contract", "valkey")),
        (
            "store.service={constant: 80us},{uniform: {from: 1us, to: 2us}}",
            ({"constant": "80us"}, {"uniform": {"from": "1us", "to": "2us"}}),
        ),
        ("workload.flows=null,[1, 2],true", (None, [1, 2], True)),
    ],
)
def test_values_stand_in_lists_and_ranges(text, values):
    assert parse_axis(text).values == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workers.count", "--grid workers.count: write it as PATH=VALUE,VALUE,..."),
        ("workers.count=", "write it as"),
        ("workers..count=3", "--grid workers..count: write it as"),
        ("workers.count=[3", "not YAML"),
        ("workers.count=8,16,8", "--grid workers.count: 8 stands twice"),
        ("workers.count=8..64", "a range needs a step or a factor (try '8..64:8' or '8..64*2')"),
        ("workers.count=64..8:8", "a range goes up"),
        ("workers.count=8..64:0", "a range goes up"),
        ("workers.count=8..64*1", "a range goes up"),
        ("workers.count=0..64*2", "a range goes up"),
        ("workers.lease_ttl=1s..5s:1", "have the same unit"),
        ("workers.lease_ttl=1s..5s*2s", "have the same unit"),
        ("workers.lease_ttl=1sec..5sec:1sec", "numbers, durations or rates"),
        (
            "replications=3,4",
            "--grid replications: all points have the same number of them (try --replications)",
        ),
    ],
)
def test_a_mistake_in_a_grid_is_told_with_what_would_be_right(text, message):
    with pytest.raises(ScenarioError) as caught:
        parse_axis(text)
    assert message in str(caught.value)


def test_points_are_the_product_with_the_last_parameter_fastest():
    axes = [parse_axis("workers.count=4,8"), parse_axis("workers.lease_ttl=1s,2s")]
    points = load_points("steady", axes, ["workers.slots=3"])
    assert [tuple(point.parameters.values()) for point in points] == [
        (4, "1s"), (4, "2s"), (8, "1s"), (8, "2s"),
    ]  # fmt: skip
    assert [(p.scenario.workers.count, p.scenario.workers.lease_ttl) for p in points] == [
        (4, 1_000_000), (4, 2_000_000), (8, 1_000_000), (8, 2_000_000),
    ]  # fmt: skip
    assert {point.scenario.workers.slots for point in points} == {3}


def test_all_mistakes_of_all_points_are_told_once_and_name_the_option():
    axes = [parse_axis("workers.count=4,-1"), parse_axis("workers.cuont=1,2")]
    with pytest.raises(ScenarioError) as caught:
        load_points("steady", axes)
    assert sorted(caught.value.lines) == [
        "--grid workers.count: -1 is too small: at least 0",
        "--grid workers.cuont: unknown key (did you mean 'count'?)",
    ]


def test_a_path_through_a_number_is_refused_with_the_option():
    with pytest.raises(
        ScenarioError, match=r"^--grid workers\.count\.x: workers\.count is 20, which holds no key"
    ):
        load_points("steady", [parse_axis("workers.count.x=1")])


def test_set_keeps_its_own_name_beside_a_grid():
    with pytest.raises(ScenarioError, match=r"^--set workers.slots: "):
        load_points("steady", [parse_axis("workers.count=4")], ["workers.slots=many"])


def test_the_same_scenario_twice_is_refused():
    with pytest.raises(ScenarioError, match=r"workers\.poll=1s and workers\.poll=1000ms are the same"):
        load_points("steady", [parse_axis("workers.poll=1s,1000ms")])


def test_a_parameter_twice_or_too_many_points_are_refused():
    twice = [parse_axis("workers.count=4"), parse_axis("workers.count=8")]
    with pytest.raises(ScenarioError, match=r"--grid workers\.count: the parameter stands twice"):
        load_points("steady", twice)
    many = make_axis("workers.count", range(1, MOST_POINTS + 2))
    with pytest.raises(ScenarioError, match="that makes 1,001 points, and 1,000 is the most"):
        load_points("steady", [many])
    with pytest.raises(ScenarioError, match="--grid is needed"):
        load_points("steady", [])
    with pytest.raises(ScenarioError, match=r"^--grid workers\.count: no value is given; write it as PATH="):
        make_axis("workers.count", [])


def test_labels_are_words_and_numbers():
    assert [label(v) for v in (8, 0.5, "1s", True, None, {"constant": "1s"}, [1, "a"])] == [
        8, 0.5, "1s", "true", "null", "{constant: 1s}", "[1, a]",
    ]  # fmt: skip
