"""Same inputs, same bytes: in another process, with another hash seed, with any number of jobs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pyarrow.parquet as pq
import pytest

import sim.retry

SHORT = [f"horizon.{part}" for part in ("warmup=1s", "run=4s", "drain=2s")]


def run_study(scenario, out, hash_seed, jobs, *more, verb="run"):
    command = [sys.executable, "-m", "sim", verb, scenario, "--json", "--jobs", str(jobs), "--out", str(out)]
    command += ["--replications", "3", *more]
    for change in SHORT:
        command += ["--set", change]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def content(folder):
    files = {path.relative_to(folder): path for path in sorted(Path(folder).rglob("*")) if path.is_file()}
    return {str(name): path.read_bytes() for name, path in files.items() if name.name != "host.json"}


@pytest.mark.parametrize("scenario", ["claim_storm", "worker_crashes"])
def test_processes_hash_seeds_and_jobs_leave_no_trace(scenario, tmp_path):
    one = run_study(scenario, tmp_path / "a", "0", jobs=1)
    two = run_study(scenario, tmp_path / "b", "1", jobs=2)
    assert one["fingerprint"] == two["fingerprint"]
    first, second = content(tmp_path / "a"), content(tmp_path / "b")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert {Path(name).name for name in first} >= {
        "study.json", "frequency.csv", "recovery.csv", "contentions.parquet", "intents.parquet",
        "executions.parquet", "rivals.csv", "frequency.png", "recovery.png", "rivals.png", "race_windows.png",
    }  # fmt: skip


def example_of_the_documentation():
    """The policy that the documentation of sim.retry shows."""
    lines = (sim.retry.__doc__ or "").splitlines()
    first = lines.index("    from sim.retry import Action, Decision")
    last = max(place for place, line in enumerate(lines) if line.startswith("    "))
    return dedent("\n".join(lines[first : last + 1]))


def test_a_class_of_ones_own_leaves_no_trace_either(tmp_path, monkeypatch):
    """Its draws come from the client's own stream, whatever the process and its hash seed."""
    (tmp_path / "mine.py").write_text(example_of_the_documentation())
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    scenario = "kinds/stale_graph_revision"  # which costs little, and retries much
    more = ("--no-plots", "--policy", "mine:Halfway")
    one = run_study(scenario, tmp_path / "a", "0", 1, *more)
    two = run_study(scenario, tmp_path / "b", "1", 2, *more)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert one["fingerprint"] == two["fingerprint"]
    # It was asked, and it drew.
    (manifest,) = (tmp_path / "a").rglob("study.json")
    (arm,) = json.loads(manifest.read_text())["arms"]
    assert arm["policy"]["class"] == "mine:Halfway"
    (contentions,) = (tmp_path / "a").rglob("contentions.parquet")
    delays = pq.read_table(contentions, columns=["delay_us"])["delay_us"].to_pylist()
    assert len(set(delays)) > 100


def test_another_seed_gives_other_records(tmp_path):
    reference = run_study("claim_storm", tmp_path / "a", "0", jobs=1)
    other = run_study("claim_storm", tmp_path / "b", "0", 1, "--seed", "4")
    assert other["fingerprint"] != reference["fingerprint"]
    assert other["study_id"] != reference["study_id"]


def test_a_comparison_leaves_the_same_bytes(tmp_path):
    """Verdicts, intervals from a bootstrap and all: twice, with other jobs and another hash seed."""
    policies = "documented,full_jitter,decorrelated,no_jitter,naive"
    more = ("--policies", policies, "--set", "workload.arrivals.burst.count=300", "--no-plots")
    one = run_study("claim_storm", tmp_path / "a", "0", 1, *more, verb="compare")
    two = run_study("claim_storm", tmp_path / "b", "1", 2, *more, verb="compare")
    first, second = content(tmp_path / "a"), content(tmp_path / "b")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert {Path(name).name for name in first} >= {"study.json", "paired.csv", "pareto.csv", "frequency.csv"}
    assert [arm["arm"] for arm in one["arms"]] == policies.split(",")
    assert one | {"directory": ""} == two | {"directory": ""}
    assert any(verdict["finding"] == "different" for verdict in one["comparison"]["verdicts"])
