"""The experiment of the AWS blog on this project's parts does what the published program does."""

import numpy as np
import pytest

from sim.replication import run
from sim.scenario import load
from tests.reference import aws_backoff
from tests.reference.aws_backoff import CLIENTS, POLICIES, REPLICATIONS, scenario_with, table, trial, z_values

SEED = 20150304
"""The seed that was stated before the first run, the day on which the blog's article came out."""
ARMS = list(POLICIES.values())


def test_the_scenario_is_the_experiment():
    scenario = load("aws_backoff")
    assert (scenario.seed, list(scenario.policies)) == (SEED, ARMS)
    assert scenario.link.request == scenario.link.reply
    delay = scenario.link.request
    assert (delay.mean, delay.sd, delay.below_zero) == (10_000, 2_000, "fold")
    assert (scenario.link.lose_request, scenario.link.lose_reply, scenario.link.fifo) == (0, 0, False)
    assert scenario.store.service.mean_us() == scenario.workload.flows.think.mean_us() == 0
    assert {policy.limits.attempts for policy in scenario.policies.values()} == {None}
    for exponential in ARMS[1:4]:
        backoff = scenario.policies[exponential].backoff
        # min(2,000, 5 * 2^n) ms, and the first retry has n = 1.
        assert [backoff.table()[n] for n in (1, 2, 8, 9)] == [10_000, 20_000, 1_280_000, 2_000_000]
    decorrelated = scenario.policies["decorrelated_jitter"].backoff
    assert (decorrelated.base, decorrelated.cap, decorrelated.clamp) == (5_000, 2_000_000, "hard")


@pytest.mark.parametrize("arm", ARMS)
def test_one_client_needs_one_call_and_four_messages(arm):
    result = run(scenario_with(1), arm, scenario_with(1).policies[arm], keep_attempts=True)
    rows = [row for row in result.attempt_rows.to_pylist() if row["actor"] == "flow_builder/0"]
    assert [(row["op"], row["code"]) for row in rows] == [
        ("read_flow", "OK"),
        ("stage_dependency_edge", "OK"),
    ]
    read, write = rows
    assert read["sent_us"] < read["arrived_us"] < read["done_us"] == write["sent_us"] < write["arrived_us"]
    assert trial(scenario_with(1), arm, 0) == (1, (write["done_us"] - read["sent_us"]) / 1000)


@pytest.mark.parametrize("arm", ARMS)
def test_invariants_of_every_trial(arm):
    """As many successes as clients and as the record's version says; as many reads as writes."""
    result = run(scenario_with(7), arm, scenario_with(7).policies[arm], keep_attempts=True)
    rows = [row for row in result.attempt_rows.to_pylist() if row["actor"].startswith("flow_builder")]
    reads, writes = (
        [row for row in rows if row["op"] == op] for op in ("read_flow", "stage_dependency_edge")
    )
    assert len(reads) == len(writes)
    assert [row["code"] for row in writes].count("OK") == 7
    assert {row["code"] for row in writes} == {"OK", "stale_graph_revision"}
    assert trial(scenario_with(7), arm, 0).calls == len(writes)


def test_idle_builders_change_nothing():
    """The scenario has builders for up to 200 clients; the table is made with one for each."""
    as_shipped = load("aws_backoff", ["workload.flows.shape.fan_out=5"])
    assert as_shipped.workload.flows.builders == 200
    for arm in ARMS:
        assert trial(as_shipped, arm, 3) == trial(scenario_with(5), arm, 3)


def check(found):
    """What must hold of any table: the exact cells, and of the others that none is far off."""
    calls = found.set_index(["policy", "clients"])[["calls_min", "calls_max", "calls_mean"]]
    for arm in found["policy"].unique():
        assert tuple(calls.loc[(arm, 1)]) == (1, 1, 1)
        assert tuple(calls.loc[(arm, 2)]) == (3, 3, 3)
        assert 5.9 <= calls.loc[(arm, 3), "calls_mean"] <= 6
    z = z_values(found)
    assert z.abs().max() < 4.5
    return z


def test_a_part_of_the_table():
    """30 trials of two policies: a correct program fails this once in some thousand seeds."""
    z = check(table((1, 2, 3, 10), 30, arms=("none", "full_jitter")))
    assert len(z) == 10
    assert np.sqrt((z**2).mean()) < 2


@pytest.mark.slow
def test_the_table():
    """65 cells beside the published ones: a correct program fails this once in a thousand seeds."""
    z = check(table(CLIENTS, REPLICATIONS))
    assert len(z) == 65
    assert np.sqrt((z**2).mean()) < 1.4


def test_the_table_and_the_pictures_are_written(tmp_path, monkeypatch, capsys):
    command = ["aws_backoff", "--clients", "2,4", "--replications", "2", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", command)
    aws_backoff.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "aws_backoff-calls.png", "aws_backoff-time.png", "aws_backoff.csv",
    ]  # fmt: skip
    rows = (tmp_path / "aws_backoff.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * len(ARMS)
    assert "5 cells: largest |z|" in capsys.readouterr().out
