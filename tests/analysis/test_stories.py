"""Stories tell what the records hold: every refusal, its rival, the wait and the end, in order."""

import pytest
from typer.testing import CliRunner

import sim
from sim.analysis.stories import WIDTH, explain_execution, explain_kind, pick
from sim.cli import app
from tests.actors.little import EXACT
from tests.analysis.build import MS, Builder, S, write_study

CONFLICT, EXPIRED, LIMIT, EMPTY = (
    "lease_conflict", "claim_grant_expired", "rate_limit_exceeded", "no_eligible_execution",
)  # fmt: skip


def lease_race():
    """worker/3 is refused execution 7 and gets 8 after 40 ms; one gives up; a dispatch is relayed."""
    build = Builder(window_us=(0, 60 * S))
    wants = build.intent(
        S, S + 60 * MS, goal="acquire", actor="worker/3", execution=8, attempts=2, resolution="recovered"
    )
    build.contention(
        CONFLICT, S + 10 * MS, wants, actor="worker/3", sent_us=S + 8 * MS, execution=7,
        action="other_execution", delay_us=40 * MS, rival_actor="worker/5", rival_op="claim_execution",
        rival_age_us=1500,
    )  # fmt: skip
    gives_up = build.intent(2 * S, 3 * S, "abandoned", actor="worker/4", cause="crash")
    build.contention(CONFLICT, 2 * S + MS, gives_up, actor="worker/4", action="other_execution", delay_us=0)
    asks = build.intent(4 * S, 5 * S, actor="worker/6", execution=9)
    for start, end, resolution in ((4 * S, 4 * S + MS, "relayed"), (4 * S + 101 * MS, 5 * S, "recovered")):
        build.intent(start, end, resolution, goal="dispatch", actor="scheduler/0",
                     actor_kind="scheduler", root=asks, execution=9)  # fmt: skip
    build.contention(LIMIT, 4 * S + MS, 3, root=asks, actor="scheduler/0", op="check_admission_and_record",
                     code="RATE_EXCEEDED", execution=9)  # fmt: skip
    build.contention(EMPTY, 6 * S, actor="reconciler/0", op="read_eligible")
    for _ in range(9):
        build.execution(0, 5 * S)
    return build


POLICY = {
    "backoff": {"full_jitter": {"base": "50ms", "cap": "5s"}}, "routing": "documented",
    "per_kind": {LIMIT: {"server_hint": {"mode": "exact", "spread": "0s"}}},
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = write_study(tmp_path_factory.mktemp("race"), [lease_race().run()], name="race")
    study.document["arms"] = [{"arm": "documented", "policy": POLICY}]
    return study


def test_a_story_has_times_from_the_first_refusal_rival_and_policy(study):
    assert explain_kind(study, CONFLICT, "documented")[4:16] == [
        "a median of 1 recovered: worker/3 wants a lease on any execution (documented,",
        "replication 0, intent 0).",
        "  It began 10.0 ms before its first lease_conflict, which came at 1.010000 s of",
        "  the run; 1 refusal in 2 attempts; recovered 50.0 ms after it.",
        "",
        "  -10.0 ms  worker/3 begins: it wants a lease on any execution",
        "       0 s  worker/3: claim_execution of execution 7, sent 2.00 ms ago, is",
        "              refused: lease_conflict",
        "              in between: worker/5 did claim_execution, 1.50 ms before it took",
        "                effect",
        "              policy (documented routing): other execution after 40.0 ms, by",
        "                full_jitter (base 50ms, cap 5s)",
    ]
    assert "  +50.0 ms  worker/3 holds the lease (execution 8)" in explain_kind(study, CONFLICT, "documented")


def test_an_abandoned_episode_tells_why(study):
    lines = explain_kind(study, CONFLICT, "documented")
    assert "a median of 1 abandoned: worker/4 wants a lease on any execution (documented," in lines
    assert "              policy (documented routing): other execution, at once" in lines
    assert lines[-1] == "   +999 ms  worker/4 gives up acquire: it crashed"


def test_a_refusal_that_a_scheduler_hands_on_tells_when_the_worker_asks_again(study):
    """The wait by the server's hint is the worker's; the records show when its next request came."""
    lines = explain_kind(study, LIMIT, "documented")
    told = " ".join(line.strip() for line in lines)
    assert "is refused: rate_limit_exceeded (RATE_EXCEEDED)" in told
    assert (
        "scheduler/0 hands the refusal on to the worker (execution 9), which asks again 100 ms later "
        "(by server_hint (mode exact))"
    ) in told
    assert "+999 ms  scheduler/0 has issued a grant (execution 9)" in told


def test_a_kind_that_no_intent_met_says_so(study):
    assert explain_kind(study, EMPTY, "documented")[-1].startswith("  Met, but by no intent")


def test_no_line_is_wider_than_a_terminal(study):
    for kind in (CONFLICT, LIMIT, EMPTY):
        assert max(len(line) for line in explain_kind(study, kind, "documented")) <= WIDTH


def test_median_and_percentile_are_the_observed_ones():
    """Of 600 latencies 1..600 the median is the 300th and the 99th percentile the 594th."""
    build = Builder(window_us=(0, 60 * S))
    for number in range(600):
        build.contention(CONFLICT, S, build.intent(S, S + number + 1))
    for number in range(3):
        build.contention(CONFLICT, S, build.intent(S, S + 7 * (number + 1), "abandoned"))
    episodes = episodes_of(build)
    assert [(each.title, each.latency_us) for each in pick(episodes)] == [
        ("a median of 600 recovered", 300),
        ("a 99th percentile of 600 recovered", 594),
        ("a median of 3 abandoned", 14),
    ]
    assert [each.latency_us for each in pick(episodes.iloc[:499])] == [250, 499]
    assert pick(episodes.iloc[:499])[1].title == "the longest of them"


def test_where_nothing_recovers_the_satisfied_stand_for_them():
    build = Builder()
    for end in ("satisfied", "open"):
        build.contention(CONFLICT, S, build.intent(S, 2 * S, end))
    assert [each.title for each in pick(episodes_of(build))] == ["a median of 1 satisfied"]


def test_the_middle_of_a_long_story_is_summed_up_unless_all_is_asked_for(tmp_path):
    build = Builder(window_us=(0, 60 * S))
    wants = build.intent(S, 40 * S)
    for number in range(30):
        build.contention(CONFLICT, (number + 2) * S, wants, action="other_execution", delay_us=0)
    study = write_study(tmp_path, [build.run()])
    short, full = (explain_kind(study, CONFLICT, "documented", full=each) for each in (False, True))
    assert "            ... 18 more in 19.0 s (--full tells them)" in short
    assert sum("is refused" in line or "refused:" in line for line in full) == 30


def test_the_life_of_an_execution_is_told_from_its_creation(study):
    lines = explain_execution(study, 7, "documented")
    assert " ".join(lines[:2]) == (
        "Execution 7 (short; documented, replication 0) was created at 0.000000 s of the run, leased once, "
        "and ended after 5.00 s: success."
    )
    assert "   +1.01 s  worker/3: claim_execution of execution 7, sent 2.00 ms ago, is" in lines


def test_what_is_not_there_is_refused_in_one_line(study):
    runner = CliRunner()
    for arguments, message in (
        (["--kind", "lease_conflct"], "there is no kind 'lease_conflct'; the kinds met here are lease_conf"),
        (["--kind", "retry_exhausted"], "retry_exhausted was not met; the kinds met here are lease_conflict"),
        (["--arm", "naive"], "there is no arm 'naive'; the arms are documented"),
        (["--execution", "99"], "there is no execution 99 in replication 0 of documented"),
    ):
        result = runner.invoke(app, ["explain", str(study.directory), *arguments])
        assert result.exit_code == 2
        assert result.stderr.startswith(message) and result.stderr.count("\n") == 1


def test_the_command_tells_every_kind_that_was_met(study):
    result = CliRunner().invoke(app, ["explain", str(study.directory)])
    assert result.exit_code == 0
    assert [line for line in result.output.splitlines() if line in (CONFLICT, LIMIT, EMPTY, EXPIRED)] == [
        CONFLICT, EMPTY, LIMIT,
    ]  # fmt: skip


def episodes_of(build):
    from sim.analysis.recovery import episodes

    frames = build.frames()
    return episodes(frames["contentions"], frames["intents"])


def test_where_attempts_were_kept_what_was_accepted_is_told_too(tmp_path):
    """One execution at constant delays: every accepted attempt stands at the instant of its reply."""
    scenario = tmp_path / "little.yaml"
    scenario.write_text(EXACT)
    study = sim.run(
        scenario,
        overrides=["workload.arrivals.burst.count=1"],
        replications=1,
        keep_attempts=True,
        out=tmp_path,
    )
    result = CliRunner().invoke(app, ["explain", str(study.directory), "--execution", "0"])
    assert (result.exit_code, result.stdout.splitlines()) == (0, [
        "Execution 0 (job; documented, replication 0) was created at 0.000100 s of the",
        "run, leased once, and ended after 11.2 ms: success.",
        "",
        "   +250 us  submitter/0: create_execution of execution 0, sent 350 us ago, is",
        "              accepted",
        "   +250 us  submitter/0 submit: recovered (execution 0)",
        "   +700 us  scheduler/0: issue_claim_grant of execution 0, sent 350 us ago, is",
        "              accepted",
        "   +700 us  scheduler/0 has issued a grant (execution 0)",
        "  +1.15 ms  worker/0: claim_execution of execution 0, sent 350 us ago, is",
        "              accepted",
        "  +1.15 ms  worker/0 holds the lease (execution 0)",
        "  +11.5 ms  worker/0: complete_execution of execution 0, sent 350 us ago, is",
        "              accepted",
        "  +11.5 ms  worker/0 has ended the execution (execution 0)",
    ])  # fmt: skip
