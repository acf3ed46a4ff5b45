"""The command as a user meets it: what it prints, what it leaves, how it fails."""

import gzip
import io
import json
import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from sim.cli import app
from sim.cli.options import progress, tell_estimate, told_failures, user_mistakes
from sim.contention import KINDS
from sim.estimate import Estimate
from tests.small import FRAGILE, arguments

SHORT = [
    "--set",
    "horizon.warmup=0s",
    "--set",
    "horizon.run=3s",
    "--set",
    "horizon.drain=1s",
    "--replications",
    "2",
]


@pytest.fixture
def command():
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_run_prints_a_table_and_leaves_the_files(command, tmp_path):
    result = command("run", "claim_storm", *SHORT, "--out", tmp_path)
    assert result.exit_code == 0
    assert "execution_not_in_eligible_set" in result.stdout
    (study,) = (tmp_path / "claim_storm").iterdir()
    assert {path.name for path in study.iterdir()} == {
        "study.json", "host.json", "frequency.csv", "recovery.csv", "outcomes.csv", "attempts.csv",
        "rivals.csv",
        "contentions.parquet", "intents.parquet", "executions.parquet", "series.parquet", "plots",
        "report.html",
    }  # fmt: skip


def test_attempts_are_kept_on_request(command, tmp_path):
    result = command("run", "steady", *SHORT, "--no-plots", "--keep-attempts", "--out", tmp_path)
    assert result.exit_code == 0
    (study,) = (tmp_path / "steady").iterdir()
    rows = pd.read_parquet(study / "attempts.parquet")
    assert len(rows) == pd.read_csv(study / "attempts.csv")["total"].sum() > 0
    assert rows["in_window"].sum() == pd.read_csv(study / "outcomes.csv")["attempts"].sum()


def test_json_is_one_document_whose_counts_stand_in_the_records(command, tmp_path):
    result = command("run", "claim_storm", *SHORT, "--out", tmp_path, "--json")
    document = json.loads(result.stdout)
    assert document["scenario"] == "claim_storm"
    (arm,) = document["arms"]
    assert [kind["kind"] for kind in arm["kinds"]] == [kind.value for kind in KINDS]
    contentions = pd.read_parquet(f"{document['directory']}/contentions.parquet")
    counted = contentions[contentions["in_window"]].groupby("kind", observed=True).size().to_dict()
    assert {kind["kind"]: kind["count"] for kind in arm["kinds"] if kind["count"]} == counted
    assert sum(counted.values()) > 100


def test_the_policy_can_be_named_and_is_the_arm(command, tmp_path):
    result = command("run", "steady", *SHORT, "--policy", "naive", "--out", tmp_path, "--json", "--no-plots")
    assert [arm["arm"] for arm in json.loads(result.stdout)["arms"]] == ["naive"]


def test_check_fails_when_an_expectation_does(command, tmp_path):
    wrong = ["--set", "expect={sometimes: [stale_graph_revision]}"]
    result = command("run", "steady", *SHORT, *wrong, "--check", "--out", tmp_path, "--no-plots")
    assert result.exit_code == 3
    assert "expected sometimes in documented: stale_graph_revision was seen 0 times" in result.stderr
    assert command("run", "steady", *SHORT, *wrong, "--out", tmp_path, "--no-plots").exit_code == 0


MISTAKES = {
    "a mistyped key": ("workers: {cuont: 3}", ":5: workers.cuont"),
    "a wrong unit": ("workers: {poll: 2 sec}", ":5: workers.poll: '2 sec' is not a duration (try '2s')"),
    "a negative count": ("workers: {count: -3}", ":5: workers.count"),
    "an unknown policy": ("retry: patiently", ":5: retry: there is no policy 'patiently'"),
    "an action without sense": (
        "retry: {routing: {execution_not_in_eligible_set: reread}}",
        ":5: retry.routing.execution_not_in_eligible_set",
    ),
    "an unknown rule": ("store: {rules: {expired_grunt: kept}}", ":5: store.rules.expired_grunt"),
}


@pytest.mark.parametrize(("line", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gives_one_message_exit_code_2_and_no_file(line, message, command, tmp_path):
    scenario = tmp_path / "mine.yaml"
    scenario.write_text(f"about: mine\nworkload:\n  arrivals: {{poisson: {{rate: 5/s}}}}\n\n{line}\n")
    for verb in (["run", scenario, "--out", tmp_path / "results"], ["validate", scenario]):
        result = command(*verb)
        assert result.exit_code == 2
        assert str(scenario) + message in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_missing_file_names_what_was_probably_meant(command, tmp_path):
    result = command("run", "claim_strom", "--out", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "claim_storm" in result.stderr


def test_an_unknown_policy_on_the_command_line_is_a_mistake(command, tmp_path):
    result = command("run", "steady", "--policy", "docmented", "--out", tmp_path)
    assert result.exit_code == 2
    assert "documented" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_mistake(command, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    result = command("run", "steady", *SHORT, "--out", tmp_path / "file")
    assert result.exit_code == 2
    assert "file" in result.stderr
    assert "Traceback" not in result.stderr


def test_init_writes_a_scenario_that_runs_and_never_overwrites(command, tmp_path):
    assert command("init", tmp_path / "new.yaml").exit_code == 0
    assert command("validate", tmp_path / "new.yaml").exit_code == 0
    again = command("init", tmp_path / "new.yaml")
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)


def test_init_says_why_it_cannot_write(command, tmp_path):
    result = command("init", tmp_path / "none" / "new.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        result.stderr == f"{tmp_path / 'none' / 'new.yaml'}: cannot be written: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("kinds", "waitpoint_pending_use_buffer_script"),
        ("policies", "full_jitter"),
        ("scenarios", "worker_crashes"),
        ("distributions", "lognormal"),
        ("rules", "granted_execution"),
    ],
)
def test_list_shows_what_there_is(what, shown, command):
    result = command("list", what)
    assert result.exit_code == 0
    assert shown in result.stdout


def test_list_of_something_else_says_what_can_be_listed(command):
    result = command("list", "animals")
    assert result.exit_code == 2
    assert "kinds, policies, measures, scenarios, distributions, rules, checks" in result.stderr


def test_the_schema_is_json(command):
    assert json.loads(command("schema").stdout)["properties"].keys() >= {"workers", "workload", "store"}


# --- replications that fail, limits, precision ----------------------------------------------------


def test_a_replication_that_fails_is_told_of_with_the_command_that_runs_it_again(command, tmp_path):
    """Exit 3, the study of the others on standard output; the command given fails in the same way, alone."""
    out = ["--out", tmp_path, "--no-plots"]
    result = command("run", "claim_storm", *arguments(FRAGILE), "--replications", 5, "--json", *out)
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert [failure["replication"] for failure in document["failed"]] == [2, 4]
    assert "failed: own, replication 2: ZeroDivisionError: by a fragile policy" in result.stderr
    assert "    at tests/fragile.py:" in result.stderr
    (again, _) = [line for line in result.stderr.splitlines() if "again: " in line]
    words = shlex.split(again.partition("again: ")[2])
    assert words[:5] == ["contention-sim", "run", "claim_storm", "--replication", "2"]
    replayed = command(*words[1:], *out)
    assert (replayed.exit_code, replayed.stdout) == (3, "")
    assert "failed: own, replication 2: ZeroDivisionError" in replayed.stderr
    assert "no replication of own came to its end" in replayed.stderr


def test_of_many_failures_ten_are_told_and_the_rest_counted(capsys):
    with told_failures(lambda failure: f"again {failure['replication']}") as tell:
        failed = [
            {"arm": "own", "replication": n, "error": "KeyError", "at": ["own.py:1"]} for n in range(12)
        ]
        assert not tell([])
        assert tell(failed)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-4:] == [
        "failed: own, replication 9: KeyError",
        "    at own.py:1",
        "    again: again 9",
        "... and 2 more that failed",
    ]
    assert len(lines) == 31


def test_an_interruption_says_that_the_same_command_goes_on(capsys):
    with pytest.raises(typer.Exit) as left, user_mistakes():
        raise KeyboardInterrupt
    assert left.value.exit_code == 130
    assert capsys.readouterr() == (
        "",
        "interrupted; what is finished is kept, the same command goes on from there\n",
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_and_a_pipe_does_not(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", Terminal())
    with progress(quiet=True) as report:
        assert report is None
    with progress(quiet=False, what="scenarios") as report:
        report(3, 10)
    assert re.search(r"scenarios .* 3/10\b", sys.stderr.getvalue())
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with progress(quiet=False) as report:
        assert report is None


def test_an_estimate_is_told_on_a_terminal_and_elsewhere_where_it_is_long(monkeypatch):
    short = Estimate(runs=2, jobs=1, attempts=100.0, run_s=1.0, memory_bytes=1e8, seen_us=1_000_000)
    long = short._replace(run_s=31.0)
    for stream, told in ((io.StringIO(), [long]), (Terminal(), [short, long])):
        monkeypatch.setattr("sys.stderr", stream)
        tell_estimate(short)
        tell_estimate(long)
        assert stream.getvalue() == "".join(f"{each}\n" for each in told)


def test_the_table_says_what_is_missing_from_it(command, tmp_path):
    changes = arguments(FRAGILE)
    result = command(
        "run", "claim_storm", *changes, "--replications", 3, "--max-attempts", 500, "--out", tmp_path,
        "--no-plots",
    )  # fmt: skip
    text = " ".join(result.stdout.split())
    assert "1 of 3 runs failed and are missing from every table: own/2" in text
    assert "2 of 3 runs were ended early by --max-attempts, the first at " in text
    assert "own/0, own/1. Rates are over what each run saw of the window" in text


def test_pairs_are_those_of_replications_that_finished_in_both_arms(command, tmp_path):
    """Replications 2 and 4 of one arm fail: three pairs are left, and the command to see one fail is told."""
    arms = 'policies={documented: {}, fragile: {class: "tests.fragile:Fragile", params: {of: 100}}}'
    options = ["--replications", 5, "--out", tmp_path, "--no-plots", "--json"]
    result = command("compare", "claim_storm", *arguments(arms), *options)
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert [(run["arm"], run["replication"]) for run in document["failed"]] == [
        ("fragile", 2),
        ("fragile", 4),
    ]
    paired = pd.read_csv(Path(document["directory"]) / "paired.csv")
    assert set(paired.loc[paired["measure"] == "attempts", "pairs"]) == {3}
    assert "again: contention-sim run claim_storm --replication 2 --policy fragile --set" in result.stderr


def test_a_precision_is_reported(command, tmp_path):
    options = ["--precision", "2%", "--measure", "attempts", "--max-replications", 3]
    result = command("run", "claim_storm", *arguments(), *options, "--out", tmp_path, "--no-plots")
    assert result.exit_code == 0
    assert "Precision not reached with --max-replications 3: attempts to within 2.00 % of its mean" in (
        " ".join(result.stdout.split())
    )


def test_a_precision_that_is_reached_is_reported_so(command, tmp_path):
    options = ["--precision", "99%", "--measure", "attempts", "--max-replications", 9]
    result = command("run", "claim_storm", *arguments(), *options, "--out", tmp_path, "--no-plots")
    assert "Precision reached: attempts to within 99.0 % of its mean (" in " ".join(result.stdout.split())


def test_a_trace_is_written_and_told_of(command, tmp_path):
    window = ["--trace-window", "0s,500ms"]
    result = command(
        "run", "claim_storm", *arguments(), *window, "--replications", 1, "--no-plots", "--out", tmp_path
    )
    (trace,) = tmp_path.glob("claim_storm/*/trace.json.gz")
    assert result.exit_code == 0
    assert str(trace) in result.stderr
    instants = [
        event["ts"]
        for event in json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
        if "ts" in event
    ]
    assert 0 <= min(instants) <= max(instants) <= 500_000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--precision", "five"], "'five' is no share of a mean (try '5%' or '0.05')"),
        (["--precision", "5%", "--measure", "goodput"], "did you mean 'goodput_per_s'?"),
        (["--precision", "5%", "--replications", "4"], "a precision finds their number"),
        (["--replication", "1", "--replications", "4"], "a single one is run"),
        (["--max-memory", "2"], "is not a size of memory (try '500MB' or '2GB')"),
        (["--executor", "spark"], "'spark' is no executor (try 'joblib', 'dask' or"),
    ],
)
def test_an_option_that_makes_no_sense_is_a_mistake(command, tmp_path, options, words):
    result = command("run", "steady", *options, "--out", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert not list(tmp_path.glob("**/study.json"))


TRACES = Path(__file__).parent / "data" / "traces"


def test_conform_counts_steps_and_agreements(command):
    result = command("conform", TRACES / "core-01.jsonl.gz", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["files"], document["first_difference"]) == (0, 1, None)
    assert document["agreed"] == document["steps"] > 100


def test_conform_shows_the_first_difference_and_exits_with_3(command, tmp_path):
    lines = gzip.decompress((TRACES / "core-01.jsonl.gz").read_bytes()).decode().splitlines()
    step = json.loads(lines[1])
    step["result"]["code"] = "DUPLICATE"
    forged = tmp_path / "forged.jsonl.gz"
    forged.write_bytes(gzip.compress("\n".join([lines[0], json.dumps(step), *lines[2:]]).encode()))
    result = command("conform", forged)
    assert result.exit_code == 3
    assert "DUPLICATE" in result.stdout and "create_execution" in result.stdout


def test_conform_of_what_is_no_recording_is_a_mistake(command, tmp_path):
    result = command("conform", tmp_path / "missing")
    assert result.exit_code == 2
    assert "missing" in result.stderr


def test_compare_tells_what_differs_and_leaves_the_tables(command, tmp_path):
    options = ("--policies", "documented, full, naive", "--no-plots", "--out", tmp_path)
    result = command("compare", "steady", *SHORT, *options)
    assert result.exit_code == 0
    assert "Compared with documented, replication by replication" in result.stdout
    assert "full and documented are the same policy here." in result.stdout
    assert "Work against time" in result.stdout
    (study,) = (tmp_path / "steady").iterdir()
    paired = pd.read_csv(study / "paired.csv")
    assert paired["arm"].unique().tolist() == ["full", "naive"]
    assert (study / "pareto.csv").is_file()


def test_compare_takes_the_scenarios_own_policies_and_any_of_them_as_the_baseline(command, tmp_path):
    result = command(
        "compare", "claim_storm", *SHORT, "--set", "workload.arrivals.burst.count=50", "--replications", "1",
        "--baseline", "naive", "--no-plots", "--out", tmp_path, "--json",
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert [arm["arm"] for arm in document["arms"]] == [
        "naive",
        "documented",
        "constant",
        "full_jitter",
        "none",
    ]
    assert document["comparison"]["baseline"] == "naive"
    assert {row["finding"] for row in document["comparison"]["paired"]} >= {"fewer than two pairs"}


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ("naive", "policies: 'naive' is alone; a comparison takes at least two"),
        ("naive,documented,naive", "policies: 'naive' is named twice"),
        ("naive,docmented", "'docmented'"),
    ],
)
def test_policies_that_cannot_be_compared_are_a_mistake(command, tmp_path, policies, message):
    result = command("compare", "steady", "--policies", policies, "--out", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not any(tmp_path.iterdir())
