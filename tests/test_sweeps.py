"""Sweeps as a user meets them: one table, the same bytes, killed and gone on, questions and mistakes."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import sim
from sim import results
from sim import study as studies
from sim.analysis.sweeps import MEASURES, RUN_MEASURES
from sim.cli import app
from sim.output import ResultsError, StudyFailed
from sim.replication import run as run_replication
from sim.sweep_results import Sweep
from tests.small import FRAGILE, arguments

SHORT = [
    "horizon.warmup=0s", "horizon.run=3s", "horizon.drain=1s", "workload.arrivals.poisson.rate=40/s",
]  # fmt: skip
SET = [word for change in SHORT for word in ("--set", change)]


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def content(folder):
    files = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name != "host.json"}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("sweeps")


@pytest.fixture(scope="module")
def swept(out):
    grid = {"workers.count": [2, 4], "workers.poll": "100ms..200ms*2"}
    return sim.sweep(
        "steady", grid, policies=["documented", "naive"], replications=2, overrides=SHORT, out=out
    )


# --- what is in it --------------------------------------------------------------------------------


def test_a_sweep_is_one_tidy_table_of_every_point_arm_and_measure(swept):
    table = swept.table()
    assert list(table.columns) == [
        "point", "workers.count", "workers.poll", "arm", "measure", "unit", "mean", "ci_low", "ci_high", "n",
        "interval",
    ]  # fmt: skip
    points = table[["point", "workers.count", "workers.poll"]].drop_duplicates().to_numpy().tolist()
    assert points == [[0, 2, "100ms"], [1, 2, "200ms"], [2, 4, "100ms"], [3, 4, "200ms"]]
    assert len(table) == 4 * 2 * len(MEASURES)
    assert table["arm"].unique().tolist() == ["documented", "naive"]
    assert table["workers.count"].dtype.kind == "i"


def test_the_table_says_what_the_study_of_each_point_says(swept):
    for point in range(4):
        study = swept.study(point)
        assert study.scenario["workers"]["count"] == swept.points["workers.count"][point]
        mine = swept.table().loc[lambda t, point=point: t["point"] == point].set_index(["arm", "measure"])
        for row in study.summary().to_dict("records"):
            found = mine.loc[(row["arm"], row["measure"])]
            assert found[["mean", "ci_low", "ci_high"]].tolist() == pytest.approx(
                [row["mean"], row["ci_low"], row["ci_high"]], nan_ok=True
            )
        for row in study.frequency().to_dict("records"):
            assert mine.loc[(row["arm"], f"rate of {row['kind']}"), "mean"] == pytest.approx(row["mean"])
        for row in study.recovery().to_dict("records"):
            found = mine.loc[(row["arm"], f"recovery_p90 of {row['kind']}"), "mean"]
            assert found == pytest.approx(row["p90"], nan_ok=True)


def test_all_points_and_arms_face_the_same_workload(swept):
    """Common random numbers: the instants of creation of a replication are the same everywhere."""
    created = set()
    for study in (swept.study(point) for point in range(4)):
        executions = study.executions(["arm", "replication", "created_us"])
        for arm in swept.arms:
            mine = executions.loc[(executions["arm"] == arm) & (executions["replication"] == 0)]
            created.add(tuple(mine["created_us"]))
    assert len(created) == 1
    assert len(created.pop()) > 80


def test_a_sweep_is_opened_as_what_it_is_and_so_are_its_studies(swept):
    again = sim.open(swept.directory)
    assert isinstance(again, Sweep)
    pd.testing.assert_frame_equal(again.table(), swept.table())
    grid = "workers.count (2) x workers.poll (2)"
    assert repr(again) == f"<Sweep steady/{swept.sweep_id}: {grid}; documented, naive; 2 replications>"
    assert isinstance(sim.open(swept.study(0).directory), results.Study)
    with pytest.raises(ResultsError, match="is not a study but holds"):
        results.open(swept.directory)


def test_questions_after_what_there_is_not_are_refused(swept):
    for ask, message in (
        (lambda: swept.curve("speed"), "there is no measure 'speed'"),
        (lambda: swept.target("speed < 3"), "there is no measure 'speed'"),
        (
            lambda: swept.target("sojourn_p99 < 2s", along="workers.slots"),
            "'workers.slots' is no parameter of the grid",
        ),
        (lambda: swept.break_even("documented", "wild", "attempts"), "there is no arm 'wild'"),
        (
            lambda: swept.break_even("documented", "naive", "recovery_p50 of lease_conflict"),
            "there is no measure",
        ),
    ):
        with pytest.raises(ResultsError) as caught:
            ask()
        assert message in str(caught.value)


def test_questions_are_answered_along_either_parameter(swept):
    (a, b, c, d) = swept.target("sojourn_p99 < 1h")
    assert {(each.arm, each.fixed["workers.poll"]) for each in (a, b, c, d)} == {
        (arm, poll) for arm in ("documented", "naive") for poll in ("100ms", "200ms")
    }
    assert [each.value for each in swept.target("sojourn_p99 < 1h", along="workers.poll")] == ["100ms"] * 4
    ranked = swept.influence("sojourn_mean")
    assert set(ranked["input"]) == {"workers.count", "workers.poll", "policy"}
    assert len(swept.break_even("documented", "naive", "attempts", along="workers.poll")) == 2


# --- where it lies --------------------------------------------------------------------------------


def test_the_number_of_jobs_leaves_no_trace_and_a_finished_sweep_is_not_run_again(tmp_path):
    arguments = ("sweep", "steady", "--grid", "workers.count=2,4", "--replications", 2, *SET, "--json")
    one = json.loads(command(*arguments, "--out", tmp_path / "a").stdout)
    two = json.loads(command(*arguments, "--jobs", 2, "--out", tmp_path / "b").stdout)
    assert one["sweep_id"] == two["sweep_id"]
    first = content(tmp_path / "a")
    assert first == content(tmp_path / "b")
    assert {Path(name).name for name in first} >= {
        "sweep.json",
        "table.csv",
        "runs.csv",
        "curves.png",
        "study.json",
    }
    when = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.parquet")}
    again = json.loads(command(*arguments, "--out", tmp_path / "a").stdout)
    assert again == one
    assert {path: path.stat().st_mtime_ns for path in when} == when


def test_a_killed_sweep_goes_on_and_leaves_what_one_never_interrupted_leaves(tmp_path):
    """SIGKILL in the second point: its study is finished from its parts, the first one is not run again."""
    arguments = [
        "sweep",
        "steady",
        "--grid",
        "workers.count=2,3",
        "--replications",
        "3",
        *SET,
        "--no-plots",
    ]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "sim", *arguments, "--out", str(killed)],
        env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    under_way = "steady/*.partial/points/steady"
    until = time.monotonic() + 120
    while not (
        list(killed.glob(f"{under_way}/*/study.json"))
        and list(killed.glob(f"{under_way}/*.partial/parts/[!.]*"))
    ):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    (partial,) = (killed / "steady").iterdir()
    assert partial.name.endswith(".partial")
    (first,) = [path.parent for path in killed.glob(f"{under_way}/*/study.json")]
    host = (first / "host.json").read_bytes()

    assert command(*arguments, "--out", killed).exit_code == 0
    assert command(*arguments, "--out", whole).exit_code == 0
    (place,) = (killed / "steady").iterdir()
    assert place.name == partial.name.removesuffix(".partial")
    assert (place / "points" / "steady" / first.name / "host.json").read_bytes() == host
    assert content(killed) == content(whole)


def fails_at(monkeypatch, workers):
    """Let every replication fail at the point with so many workers."""

    def run(scenario, *arguments, **options):
        if scenario.workers.count == workers:
            raise ZeroDivisionError
        return run_replication(scenario, *arguments, **options)

    monkeypatch.setattr(studies, "run_replication", run)


def test_a_point_without_results_ends_the_sweep_and_says_where(tmp_path, monkeypatch):
    fails_at(monkeypatch, 3)
    with pytest.raises(StudyFailed, match="no replication of documented came to its end") as failed:
        sim.sweep("steady", {"workers.count": [2, 3]}, replications=2, overrides=SHORT, out=tmp_path)
    told = [(each["replication"], each["error"], each["overrides"]) for each in failed.value.failures]
    assert told == [(number, "ZeroDivisionError", ["workers.count=3"]) for number in range(2)]


def test_a_study_of_another_format_in_an_unfinished_sweep_is_run_again_and_goes(tmp_path, monkeypatch):
    """As after an update of the program: only what the finished sweep is made of stays in its folder."""

    def sweep(out):
        return sim.sweep(
            "steady", {"workers.count": [2, 3]}, replications=2, overrides=SHORT, out=tmp_path / out
        )

    fails_at(monkeypatch, 3)
    with pytest.raises(StudyFailed):
        sweep("a")
    (finished,) = (tmp_path / "a").glob("steady/*.partial/points/steady/*/study.json")
    document = json.loads(finished.read_text()) | {"versions": {"contention-sim": "0.0.9", "format": 1}}
    finished.write_text(json.dumps(document))
    finished.parent.rename(finished.parent.with_name("earlier"))
    fails_at(monkeypatch, None)
    swept = sweep("a")
    assert not list((tmp_path / "a").rglob("earlier"))
    assert content(swept.directory) == content(sweep("b").directory)


def test_progress_is_that_of_all_points_together(tmp_path):
    """Each of two points begins with what is done, counts its two runs, and ends; four runs in all."""
    calls = []
    sim.sweep(
        "steady", {"workers.count": [2, 3]}, replications=2, overrides=SHORT, out=tmp_path,
        on_progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert calls == [(done, 4) for done in (0, 1, 2, 2, 2, 3, 4, 4)]


def test_what_is_not_a_sweep_is_not_replaced(tmp_path):
    arguments = ("sweep", "steady", "--grid", "workers.count=2", "--replications", 1, *SET, "--no-plots")
    document = json.loads(command(*arguments, "--out", tmp_path / "a", "--json").stdout)
    (tmp_path / "b" / "steady" / document["sweep_id"]).mkdir(parents=True)
    result = command(*arguments, "--out", tmp_path / "b")
    assert result.exit_code == 2
    assert "is not replaced" in result.stderr


# --- the command ----------------------------------------------------------------------------------


def test_the_command_prints_the_answers_and_the_places(out, swept):
    result = command(
        "sweep", "steady", "--grid", "workers.count=2,4", "--grid", "workers.poll=100ms,200ms", "--policies",
        "documented,naive", "--replications", 2, *SET, "--out", out, "--target", "sojourn_mean < 1h",
    )  # fmt: skip
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    assert "4 points, 2 arms, 2 replications each, all with the same seed" in words
    assert "documented, workers.poll = 100ms: sojourn_mean < 60.0 min: workers.count = 2 meets it" in words
    assert "naive beats documented in sojourn_mean at workers.count" in words
    assert "What moves it: share of the variance" in words
    assert f"Files: {swept.directory}" in words
    drawn = {path.name for path in (swept.directory / "plots").iterdir()}
    assert drawn == {
        "curves.png", "influence.png", "heat-sojourn_mean.png", "heat-sojourn_p99.png",
        "heat-goodput_per_s.png", "heat-amplification.png",
    }  # fmt: skip


def test_json_holds_the_table_and_every_answer(out, swept):
    result = command(
        "sweep", "steady", "--grid", "workers.count=2,4", "--grid", "workers.poll=100ms,200ms", "--policies",
        "documented,naive", "--replications", 2, *SET, "--out", out, "--target", "goodput_per_s > 0",
        "--measure", "sojourn_mean", "--json", "--no-plots",
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert document["directory"] == str(swept.directory)
    assert document["grid"] == {"workers.count": [2, 4], "workers.poll": ["100ms", "200ms"]}
    assert len(document["table"]) == len(swept.table())
    answers = {(each["arm"], each["fixed"]["workers.poll"]): each["value"] for each in document["targets"]}
    curve = swept.curve("goodput_per_s").set_index(["arm", "workers.poll", "workers.count"])["ci_low"]
    assert answers == {
        (arm, poll): next((count for count in (2, 4) if curve[arm, poll, count] > 0), None)
        for arm in swept.arms for poll in ("100ms", "200ms")
    }  # fmt: skip
    assert any(answers.values())
    assert {answer["measure"] for answer in document["break_even"]} == {"goodput_per_s", "sojourn_mean"}
    assert {row["input"] for row in document["influence"]} == {"workers.count", "workers.poll", "policy"}
    assert set(RUN_MEASURES) < {row["measure"] for row in document["table"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grid", "workers.cuont=2"], "--grid workers.cuont: unknown key (did you mean 'count'?)"),
        (["--grid", "workers.count=2,x"], "--grid workers.count: 'x' is not a whole number"),
        (["--grid", "workers.count"], "--grid workers.count: write it as PATH=VALUE"),
        (["--grid", "workers.count=2", "--target", "speed < 3"], "--target 'speed < 3': there is no measure"),
        (["--grid", "workers.count=2", "--measure", "speed"], "there is no measure 'speed'"),
        (["--grid", "workers.count=2", "--policies", "wild"], "there is no policy 'wild'"),
        (["--grid", "workers.count=2", "--policies", "naive,naive"], "--policies: 'naive' stands twice"),
        (
            ["--grid", "store.dialect=contract,valkey", "--target", "attempts < 3"],
            "the grid has no parameter with two or more values that are numbers of one unit",
        ),
    ],
)
def test_a_mistake_ends_before_anything_is_run(tmp_path, arguments, message):
    result = command("sweep", "steady", *arguments, *SET, "--out", tmp_path)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_swept_policy_of_the_scenarios_own_is_one_arm(tmp_path):
    swept = sim.sweep(
        "steady", {"retry": ["documented", "naive"]}, replications=1, overrides=SHORT, out=tmp_path
    )
    assert swept.arms == ["own"]
    assert swept.study(0).policies != swept.study(1).policies


def test_fit_prints_yaml_that_loads_and_leaves_a_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"claim_execution,{0.05 + i / 1000}" for i in range(100)]
    Path("log.csv").write_text("op,ms\n" + "\n".join(rows) + "\n")
    result = command("fit", "log.csv")
    assert result.exit_code == 0
    assert list(sim_loads(result.stdout)["store"]["service"]) != ["exponential"]
    assert Path("results/fit/log.png").read_bytes().startswith(b"\x89PNG")
    written = command("fit", "log.csv", "--out", "own.yaml", "--no-plots")
    assert written.exit_code == 0
    assert Path("own.yaml").read_text() == result.stdout
    assert "scenario: own.yaml" in written.stdout
    again = command("fit", "log.csv", "--out", "own.yaml", "--no-plots")
    assert (again.exit_code, "it is not replaced" in again.stderr) == (2, True)
    document = json.loads(command("fit", "log.csv", "--json", "--no-plots").stdout)
    assert [part["times"] for part in document["parts"]] == [100]
    assert command("fit", "none.csv").exit_code == 2


def sim_loads(text):
    from sim.scenario import loads

    return loads(text).resolved()


def test_a_replication_that_fails_at_a_point_is_told_of_with_what_was_set_there(tmp_path):
    """Exit 3; the command given carries the point's values, and fails in the same way."""
    options = ["--grid", "schedulers.grant_ttl=20ms,30ms", "--replications", 3, "--out", tmp_path]
    result = command("sweep", "claim_storm", *arguments(FRAGILE), *options, "--no-plots", "--json")
    assert result.exit_code == 3
    points = json.loads(result.stdout)["points"]
    failed = [[failure["replication"] for failure in point["failed"]] for point in points]
    assert failed[0] == [2]
    again = next(line for line in result.stderr.splitlines() if "again: " in line)
    words = shlex.split(again.partition("again: ")[2])
    assert words[-2:] == ["--set", "schedulers.grant_ttl=20ms"]
    replayed = command(*words[1:], "--no-plots", "--out", tmp_path)
    assert replayed.exit_code == 3
    assert "failed: own, replication 2: ZeroDivisionError" in replayed.stderr
