"""Whatever stands in a scenario: it is valid, or every mistake is told in one line."""

import time

import pytest

from sim.replication import run
from sim.scenario import ScenarioError, loads
from tests.scenario.hostile import BASE, HOSTILE, PLACES, written

TAKEN = 1
"""How many hostile values the quick test tries at each place; all of them are tried at one or another."""

LONGEST_S = 5.0
"""Of processor time. Far above what a load takes (milliseconds), far below what a hang does."""


def mistakes(text):
    """Load: the lines of its mistakes, none when it is valid. Any other error goes through."""
    began = time.process_time()
    try:
        loads(text)
    except ScenarioError as error:
        return error.lines
    finally:
        assert time.process_time() - began < LONGEST_S
    return ()


def check(document, path, value):
    for line in mistakes(written(document, path, value)):
        assert line.startswith("scenario:"), (path, value)
        assert "\n" not in line and len(line) < 600, (path, value)


def test_the_schema_leads_to_every_corner():
    paths = {".".join(str(step) for step in path) for path, _ in PLACES.found}
    assert len(paths) > 400
    assert paths >= {
        "workers.count", "link.timeout", "quotas.some.rate", "faults.0.crash.at", "budgets.some.limit",
        "workload.arrivals.closed.clients", "workload.flows.shape.random_dag.edges",
        "store.rules.lapsed_lease", "workload.classes.some.suspends.timeout",
    }  # fmt: skip


def test_a_hostile_value_at_any_place_is_refused_in_a_line_or_valid():
    for number, (path, document) in enumerate(PLACES.found):
        for turn in range(TAKEN):
            check(document, path, HOSTILE[(TAKEN * number + turn) % len(HOSTILE)])


@pytest.mark.slow
def test_every_hostile_value_at_every_place_is_refused_in_a_line_or_valid():
    for path, document in PLACES.found:
        for value in HOSTILE:
            check(document, path, value)


NESTED = "about: x\nworkload: " + "{a: " * 5000 + "1" + "}" * 5000
LAUGHS = "\n".join(
    ["about: x", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
)
LAUGHING_KEYS = "\n".join(
    ["about: x", "a0: &a0 {a: 1, b: 2, c: 3}"]
    + [f"a{n}: &a{n} {{a: *a{n - 1}, b: *a{n - 1}, c: *a{n - 1}}}" for n in range(1, 40)]
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LAUGHS, "more than 200000 values"),
        (LAUGHING_KEYS, "more than 200000 values"),
        (NESTED, "nested more than 50 deep"),
        ("a: &a [*a]", "*a names nothing that was anchored before"),
        ("about: x\nabout: y", "the key 'about' stands twice"),
        ("[" * 100_000, "nested more than 50 deep"),
        ("about: " + "x" * (1 << 22), "larger than 4,194,304 bytes"),
        ("about: x\nworkload: !!python/object/apply:os.system [id]", "tags such as"),
        ("- " * 100, "nested more than 50 deep"),
        ("about: x\n" + "\n".join(f"k{n}: 1" for n in range(30_000)), "and 29,901 more mistakes"),
    ],
)
def test_bombs_are_told_apart(text, told):
    lines = mistakes(text)
    assert any(told in line for line in lines), lines[:3]
    assert len(lines) <= 101


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("workers.count", "1_000_000_000", "not a whole number"),
        ("workers.count", "1000000000", "too large: at most 1,000,000"),
        ("workload.arrivals.burst.count", "1000000000", "too large: at most 1,000,000"),
        ("workload.arrivals", "{closed: {clients: 1000000000}}", "too large: at most 1,000,000"),
        ("workload.arrivals", "{poisson: {rate: 1e300/s}}", "not a rate"),
        ("workload.arrivals", "{on_off: {rate: 1/s, 'on': 0s, 'off': 0s}}", "on and off must not both be 0"),
        ("horizon.run", "100000000h", "longer than ten years"),
        ("horizon.run", ".nan", "not a duration"),
        ("horizon.run", ".inf", "not a duration"),
        ("horizon.run", "-5s", "not a duration"),
        ("link.lose_reply", ".nan", "not a finite number"),
        ("link.lose_reply", "-.inf", "not a finite number"),
        ("store.service", "{scipy: {name: norm, scale: .inf}}", "scale"),
        ("store.partitions", "0", "too small: at least 1"),
        ("seed", "-1", "too small: at least 0"),
        ("replications", "1.5", "not a whole number"),
        ("workload.flows", "{rate: 1/s, shape: {chain: 1000000000}}", "too large: at most 200"),
        ("workload.flows", "{rate: 1/s, shape: {fan_out: 0}}", "too small: at least 1"),
        ("workload.flows", "{rate: 1/s, shape: {cycle: 3}}", "there is no shape of flows 'cycle'"),
    ],
)
def test_a_billion_of_anything_nothing_and_what_is_no_number_are_told(path, value, told):
    with pytest.raises(ScenarioError) as caught:
        loads(written(BASE, ("about",), "x"), [f"{path}={value}"])
    assert told in str(caught.value)
    assert len(caught.value.lines) == 1


NO_MEAN = (
    "{pareto: {alpha: 0.5, min: 1ms}}",
    "{pareto: {alpha: 1, min: 1us}}",
    "{scipy: {name: cauchy, scale: 1ms}}",
)


@pytest.mark.parametrize(
    "path", ["store.service", "link.request", "link.reply", "workload.classes.default.work"]
)
@pytest.mark.parametrize("distribution", NO_MEAN)
def test_a_distribution_without_a_mean_makes_a_run_that_ends(path, distribution):
    """Its draws are finite, and none is longer than what can be simulated."""
    short = ["horizon={warmup: 0s, run: 50ms, drain: 50ms}", "workload.classes={default: {}}"]
    scenario = loads(written(BASE, ("about",), "x"), [*short, f"{path}={distribution}"])
    run(scenario, "own", scenario.retry, check=True)


@pytest.mark.parametrize("path", ["workload.arrivals.on_off.on", "workload.arrivals.on_off.off"])
@pytest.mark.parametrize("distribution", NO_MEAN)
def test_phases_without_a_mean_make_a_run_that_ends(path, distribution):
    phases = "workload.arrivals={on_off: {rate: 100/s, 'on': 10ms, 'off': 10ms}}"
    scenario = loads(
        written(BASE, ("about",), "x"),
        ["horizon={warmup: 0s, run: 50ms, drain: 0s}", phases, f"{path}={distribution}"],
    )
    run(scenario, "own", scenario.retry, check=True)


def test_children_whose_class_has_children_are_told_so_that_no_family_is_endless():
    classes = "{a: {children: {probability: 1.0, class: b}}, b: {children: {probability: 1.0, class: a}}}"
    with pytest.raises(ScenarioError, match="has children of its own"):
        loads(written(BASE, ("about",), "x"), [f"workload.classes={classes}"])


@pytest.mark.parametrize(
    "data", [b"about: \xff\xfe", b"\x00\x01\x02", b"about: \xed\xa0\x80", b"%!PS-Adobe-3.0"]
)
def test_bytes_that_are_no_text_are_told(tmp_path, data):
    from sim.scenario import load

    path = tmp_path / "binary.yaml"
    path.write_bytes(data)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:1: ")
