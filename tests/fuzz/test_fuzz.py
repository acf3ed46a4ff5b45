"""The fuzzer itself: it draws the same scenarios again, finds what is broken, and makes it small."""

import io
import json
from contextlib import nullcontext

import pytest
import yaml

from sim.checks import CheckFailed
from sim.fuzz import fuzz
from sim.fuzz.again import others, serve
from sim.fuzz.draw import draw
from sim.fuzz.shrink import candidates, shrink
from sim.fuzz.trial import as_yaml, try_text
from sim.replication import run
from sim.scenario import load, loads
from sim.store import Store


def test_a_seed_and_a_number_draw_the_same_scenario_again():
    assert draw(7, 3) == draw(7, 3)
    assert draw(7, 3) != draw(7, 4)
    assert draw(8, 3) != draw(7, 3)


def test_scenarios_are_valid_and_differ_in_what_they_leave_out():
    """Swarm: every feature is there in some and not in others."""
    documents = [draw(1, number) for number in range(120)]
    for document in documents:
        assert loads(as_yaml(document)).about == document["about"]
    keys = ["operators", "quotas", "budgets", "retry"]
    parts = {key: {key in document for document in documents} for key in keys}
    faults = {fault for document in documents for each in document["faults"] for fault in each}
    arrivals = {next(iter(document["workload"]["arrivals"])) for document in documents}
    dialects = {document["store"]["dialect"] for document in documents}
    assert all(found == {True, False} for found in parts.values())
    assert faults == {"crash", "pause", "partition", "store_outage", "slow", "loss", "skew"}
    assert arrivals == {"poisson", "deterministic", "burst", "on_off", "closed"}
    assert dialects == {"contract", "valkey", "postgres"}


def test_a_campaign_finds_nothing_in_a_model_that_is_whole(tmp_path):
    """The first of its scenarios in three processes with three hash seeds."""
    seen = []
    report = fuzz(8, 3, tmp_path, lambda done, total: seen.append((done, total)))
    assert report.findings == []
    assert (report.runs, report.repeated) == (8, 1)
    assert seen[-1] == (8, 8)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def quick(monkeypatch):
    """Let a campaign start no other processes, and not try for long to make things smaller."""
    monkeypatch.setattr("sim.fuzz.campaign.AGAIN_EVERY", 10**9)
    monkeypatch.setattr("sim.fuzz.campaign.MOST_TRIES", 25)
    monkeypatch.setattr("sim.fuzz.campaign.others", nullcontext)


def test_a_campaign_finds_a_store_without_its_fence_and_keeps_a_small_scenario(tmp_path, monkeypatch, quick):
    monkeypatch.setattr("sim.store.executions.check_fence", lambda *_: None)
    (finding,) = fuzz(1, 129, tmp_path).findings
    assert finding.failure.sort == "fences_hold"
    text = finding.path.read_text("utf-8")
    assert text.startswith("# fences_hold\n# ")
    assert finding.command == f"contention-sim run {finding.path} --check"
    scenario = load(finding.path)
    assert len(as_yaml(yaml.safe_load(text))) < len(as_yaml(draw(129, 0)))
    with pytest.raises(CheckFailed):
        run(scenario, "own", scenario.retry, check=True)


def test_what_is_kept_is_no_longer_a_failure_once_the_fault_is_mended(tmp_path, monkeypatch, quick):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(Store, "complete_execution", broken)
    (finding,) = fuzz(1, 129, tmp_path).findings
    assert finding.failure.sort == "ZeroDivisionError in checks/checks.py:carry_out"
    monkeypatch.undo()
    assert try_text(finding.path.read_text("utf-8")).failure is None


def test_shrinking_leaves_what_the_failure_needs_and_nothing_else():
    """It fails while there are four workers and a crash: all the rest goes."""
    document = draw(1, 0) | {"faults": [{"crash": {"workers": 1, "at": "1s"}}, {"skew": {"workers": 1}}]}
    document["workers"] = document["workers"] | {"count": 8}

    def fails(smaller):
        crash = any("crash" in each for each in smaller.get("faults", []))
        return crash and smaller["workers"].get("count", 10) >= 4

    small = shrink(document, fails)
    assert small["faults"] == [{"crash": {"workers": 1, "at": "1s"}}]
    assert small["workers"] == {"count": 4}
    assert small.keys() == {
        "about",
        "seed",
        "horizon",
        "replications",
        "store",
        "workload",
        "workers",
        "faults",
    }
    assert fails(small)
    assert not any(fails(smaller) for smaller in candidates(small))


def test_shrinking_leaves_what_it_is_told_to():
    document = draw(1, 0)
    small = shrink(document, lambda smaller: True, 200, ("horizon", "workers"))
    assert small["horizon"] == document["horizon"]
    assert small["workers"] == document["workers"]
    assert "link" not in small


def test_shrinking_ends_with_its_tries():
    tried = []
    shrink(draw(1, 0), lambda smaller: bool(tried.append(smaller)) or True, tries=5)
    assert len(tried) == 5


def test_other_processes_have_other_hash_seeds_and_give_the_same_fingerprints():
    text = as_yaml(draw(1, 2))
    with others() as processes:
        answers = processes.fingerprints(text)
        assert processes.fingerprints("about: nothing") == [None, None]
    assert answers == [try_text(text).fingerprint] * 2


class Liars:
    def fingerprints(self, text):
        return ["a" * 64, "b" * 64]


def test_a_run_that_comes_out_otherwise_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("sim.fuzz.campaign.others", lambda: nullcontext(Liars()))
    report = fuzz(1, 3, tmp_path)
    assert not report.is_deterministic
    (finding,) = report.findings
    assert finding.failure.sort == "not deterministic"
    assert "aaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbb" in finding.failure.message
    assert try_text(finding.path.read_text("utf-8")).failure is None


def test_as_yaml_reads_back():
    document = draw(5, 5)
    assert json.loads(json.dumps(loads(as_yaml(document)).resolved()))["about"] == document["about"]


def test_a_scenario_with_a_mistake_is_a_failure_of_that_sort():
    trial = try_text("about: x\nworkers: {cuont: 3}\n")
    assert (trial.fingerprint, trial.failure.sort) == (None, "ScenarioError")
    assert "workers.cuont: unknown key (did you mean 'count'?)" in trial.failure.message


def test_another_process_answers_each_line_with_a_fingerprint_or_none(monkeypatch):
    """What is asked of it in the pipe, asked here: a scenario that runs, and one with a mistake."""
    text = as_yaml(draw(7, 3))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{json.dumps(text)}\n{json.dumps('about: x')}\n"))
    monkeypatch.setattr("sys.stdout", answers := io.StringIO())
    serve()
    assert [json.loads(line) for line in answers.getvalue().splitlines()] == [
        try_text(text).fingerprint,
        None,
    ]
    assert try_text(text).fingerprint is not None
