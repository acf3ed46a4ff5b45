"""The commands that ask whether the model can be trusted: --check, fuzz, list checks."""

from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

import sim.study
from sim.cli import app
from sim.scenario import load
from sim.scenario.promises import ALWAYS, EVENTUALLY
from sim.store import Refused
from sim.study import Means, StudyOptions, arm_of, run_study
from tests.determinism.test_same_bytes import content

SHORT = [
    "--set", "horizon.warmup=0s", "--set", "horizon.run=3s", "--set", "horizon.drain=1s",
    "--replications", "2",
]  # fmt: skip


@pytest.fixture
def command():
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_check_that_fails_is_told_with_what_happened_and_the_command_that_replays_it(
    command, tmp_path, monkeypatch
):
    """A store without its fence: exit code 3, and no study."""
    monkeypatch.setattr("sim.store.executions.check_fence", lambda *_: None)
    monkeypatch.setattr("sim.store.leases._refuse_renewal", lambda *_: Refused("renew_lease", "stale_lease"))
    short = ["--set", "workers.lease_ttl=20ms", "--set", "reconcilers.lease_expiry=20ms", "--seed", "5"]
    result = command("run", "claim_storm", *SHORT, *short, "--check", "--no-plots", "--out", tmp_path)
    assert result.exit_code == 3
    first, again, *records = result.stderr.splitlines()
    assert first.startswith("CheckFailed: complete_execution of e-")
    assert first.endswith("(documented, replication 0) [fences_hold]")
    assert again.startswith("    again: contention-sim run claim_storm --replication 0 --seed 5 --set ")
    assert again.endswith(" --check")
    assert 1 < len(records) < 20
    assert not list(tmp_path.rglob("study.json"))


def test_checks_leave_no_trace_in_the_files(command, tmp_path):
    for name, more in (("plain", []), ("checked", ["--check"])):
        assert command("run", "steady", *SHORT, *more, "--no-plots", "--out", tmp_path / name).exit_code == 0
    assert content(tmp_path / "plain") == content(tmp_path / "checked")


def test_replications_that_were_finished_without_checks_are_checked(tmp_path, monkeypatch):
    """An interrupted study goes on with --check: what was not watched is run again."""
    overrides = [*SHORT[1:6:2], "replications=1"]
    loaded = load("steady", overrides)
    done = []
    original = sim.study.run_replication
    monkeypatch.setattr(
        sim.study, "run_replication", lambda *a, **more: done.append(more["check"]) or original(*a, **more)
    )
    monkeypatch.setattr(sim.study.output, "assemble", lambda *_, **__: 1 / 0)
    for check in (False, False, True, True):
        with pytest.raises(ZeroDivisionError):
            run_study(loaded, [arm_of(loaded)], "steady", StudyOptions(check=check), Means(tmp_path))
    assert done == [False, True]


def test_who_watches_the_progress_cannot_end_a_study(tmp_path):
    calls = []

    def observe(done, total):
        calls.append(done)
        raise OSError("the terminal is gone")

    loaded = load("steady", [*SHORT[1:6:2], "replications=2"])
    means = Means(tmp_path, on_progress=observe)
    with pytest.warns(RuntimeWarning, match="the terminal is gone"):
        study = run_study(loaded, [arm_of(loaded)], "steady", means=means)
    assert study.replications == 2
    assert calls == [0]


def test_fuzz_says_what_it_did(command, tmp_path, monkeypatch):
    monkeypatch.setattr("sim.fuzz.campaign.others", nullcontext)
    monkeypatch.setattr("sim.fuzz.campaign.AGAIN_EVERY", 10**9)
    monkeypatch.setattr("sim.fuzz.campaign.MOST_TRIES", 3)
    result = command("fuzz", "--runs", "2", "--seed", "129", "--out", tmp_path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "2 scenarios of seed 129, 0 of them in three processes: 0 failed\n"
    monkeypatch.setattr("sim.store.executions.check_fence", lambda *_: None)
    result = command("fuzz", "--runs", "1", "--seed", "129", "--out", tmp_path)
    assert result.exit_code == 3
    kept = tmp_path / "seed-129-number-0.yaml"
    assert f"    again: contention-sim run {kept} --check" in result.stdout
    assert result.stdout.endswith("1 scenarios of seed 129, 0 of them in three processes: 1 failed\n")
    replayed = command("run", kept, "--check", "--no-plots", "--out", tmp_path / "results")
    assert replayed.exit_code == 3
    assert "[fences_hold]" in replayed.stderr


def test_a_run_that_is_not_deterministic_is_exit_code_4(command, tmp_path, monkeypatch):
    class Liars:
        def fingerprints(self, text):
            return ["a" * 64, "b" * 64]

    monkeypatch.setattr("sim.fuzz.campaign.others", lambda: nullcontext(Liars()))
    result = command("fuzz", "--runs", "1", "--out", tmp_path)
    assert result.exit_code == 4
    assert "not deterministic" in result.stdout


def test_checks_are_listed_with_what_they_claim_and_where_they_hold(command):
    result = command("list", "checks")
    assert result.exit_code == 0
    for name, promise in {**ALWAYS, **EVENTUALLY}.items():
        assert name in result.stdout
        assert promise.claim.split()[0] in result.stdout
