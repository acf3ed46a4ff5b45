"""Budgets, quotas at submission, capabilities: who is held back, where, and until when."""

from tests.actors.little import attempts, contentions, executions, intents, simulate, story

THREE = "workload.arrivals.burst.count=3"
QUICK = "workload.classes.job.work=1ms"
TWO_AT_MOST = [THREE, QUICK, "budgets={cap: {limit: 2}}", "workers.poll=8ms"]


def of_execution_2(result):
    return [row for row in executions(result) if row[0] == 2]


def budget_reads(result, actor):
    rows = attempts(result, "actor", "op", "sent_us")
    return [row[2] for row in rows if row[:2] == (actor, "read_budget")]


# --- budgets ---------------------------------------------------------------------------------------


def test_a_completion_reports_its_cost_as_part_of_the_same_intent():
    result = simulate(*TWO_AT_MOST, "horizon.run=4ms")
    assert story(result, 0)[2:] == [
        ("worker/0", "claim_execution", 0, 1650, "OK"),
        ("worker/0", "complete_execution", 0, 3000, "OK"),
        ("worker/0", "report_usage_and_check", 0, 3350, "OK"),
    ]
    assert [row[3:] for row in intents(result) if row[0] == "finish"] == [(2650, 3350, "recovered", None, 2)]
    # The scheduler looked at the budget between its read (500 us) and its grant (850 us).
    assert budget_reads(result, "scheduler/0")[0] == 500


def test_what_is_under_a_used_up_budget_is_skipped():
    result = simulate(*TWO_AT_MOST, "horizon.run=60ms")
    assert [row[4] for row in executions(result)] == ["success", "success", None]
    assert of_execution_2(result) == [(2, 200, None, None, None, 0)]
    # It is looked at at every poll and granted at none; the worker is told that there is nothing.
    assert len(budget_reads(result, "scheduler/0")) > 5
    assert [row[1] for row in story(result, 2)] == ["create_execution"]


def test_a_reset_makes_room_again():
    reset = ["budgets.cap.reset=20ms", "reconcilers={count: 1, budgets: 5ms}"]
    result = simulate(*TWO_AT_MOST, *reset, "horizon.run=39ms")
    (reset_us,) = [row[3] - 250 for row in story(result) if row[1] == "reset_budget"]
    assert 20_000 <= reset_us < 25_100
    ((_, _, leased_us, _, outcome, _),) = of_execution_2(result)
    assert outcome == "success"
    assert leased_us > reset_us


def test_where_the_rules_block_it_waits_for_the_unblock_scan():
    blocked = ["store.dialect=valkey", "budgets.cap.reset=20ms"]
    scans = "reconcilers={count: 1, budgets: 5ms, unblock: 6ms}"
    result = simulate(*TWO_AT_MOST, *blocked, scans, "horizon.run=39ms")
    assert [row[:2] for row in story(result, 2)] == [
        ("submitter/0", "create_execution"),
        ("scheduler/0", "block_execution_for_admission"),
        ("reconciler/0", "unblock_execution"),
        ("scheduler/0", "issue_claim_grant"),
        ("worker/0", "claim_execution"),
        ("worker/0", "complete_execution"),
        ("worker/0", "report_usage_and_check"),
    ]
    (reset_us,) = [row[3] for row in story(result) if row[1] == "reset_budget"]
    unblocked_us = next(row[3] for row in story(result) if row[1] == "unblock_execution")
    # The scan looks at the budget each time, and frees nothing while it is used up.
    looks = budget_reads(result, "reconciler/0")
    assert len([at_us for at_us in looks if at_us < reset_us]) >= 2
    assert reset_us < unblocked_us <= reset_us + 6000 + 1000


def test_a_report_whose_reply_was_lost_counts_once():
    """The attempt's id is the key: the store knows the repetition."""
    lost = "faults=[{loss: {from: 2900us, to: 3200us, replies: 1.0}}]"
    again = ["retry={backoff: {constant: {delay: 1ms}}}", "link.timeout=2ms"]
    result = simulate(*TWO_AT_MOST, lost, *again, "horizon.run=9ms")
    reports = [row[4] for row in story(result, 0) if row[1] == "report_usage_and_check"]
    assert reports == ["unknown", "ALREADY_APPLIED"]


# --- quotas at submission --------------------------------------------------------------------------

AT_SUBMISSION = [THREE, QUICK, "quotas={api: {window: 1s, rate: 2, at: submit}}"]


def test_a_submission_over_the_quota_waits_exactly_the_hint_and_is_then_created():
    result = simulate(*AT_SUBMISSION, "workers.count=0", "horizon.run=1200ms")
    assert story(result, 2) == [
        ("submitter/0", "check_admission_and_record", 2, 450, "RATE_EXCEEDED"),
        ("submitter/0", "check_admission_and_record", 2, 1_000_800, "ADMITTED"),
        ("submitter/0", "create_execution", 2, 1_001_150, "OK"),
    ]
    (refused,) = contentions(result)
    assert refused[4:] == ("rate_limit_exceeded", 1, "retry", 1_000_000)
    submits = [row[2:] for row in intents(result)]
    assert submits[2] == (2, 0, 1_001_150, "recovered", None, 3)
    assert [row[1] for row in executions(result)] == [450, 500, 1_000_900]


def test_a_submission_that_the_policy_gives_up_is_lost():
    result = simulate(
        *AT_SUBMISSION, "workers.count=0", "horizon.run=1200ms", "retry={limits: {attempts: 1}}"
    )
    assert [row[0] for row in executions(result)] == [0, 1]
    assert [row[2:] for row in intents(result)][2][3:] == ("abandoned", "policy", 1)


def test_a_slot_taken_at_submission_comes_back_with_the_end_of_the_lease():
    result = simulate(
        "workload.arrivals.burst.count=2", QUICK, "quotas={api: {window: 1s, concurrency: 1, at: submit}}",
        "retry={backoff: {constant: {delay: 500us}}}", "horizon.run=30ms",
    )  # fmt: skip
    first, second = executions(result)
    assert (first[4], second[4]) == ("success", "success")
    assert second[1] > first[3]
    admissions = [row for row in story(result, 1) if row[1] == "check_admission_and_record"]
    assert {row[4] for row in admissions[:-1]} == {"CONCURRENCY_EXCEEDED"}
    assert admissions[-1][4] == "ADMITTED"


def test_so_does_one_whose_worker_granted_itself():
    result = simulate(
        "workload.arrivals.burst.count=2", QUICK, "quotas={api: {window: 1s, concurrency: 1, at: submit}}",
        "retry={backoff: {constant: {delay: 500us}}}", "horizon.run=30ms", "workers.claim=direct",
    )  # fmt: skip
    assert [row[4] for row in executions(result)] == ["success", "success"]


# --- capabilities ----------------------------------------------------------------------------------

TWO_CLASSES = (
    "workload={arrivals: {schedule: {at: [0ms, 0ms], classes: [gpu, job]}}, "
    "classes: {gpu: {work: 1ms, capabilities: [gpu]}, job: {work: 1ms}}}"
)


def test_what_a_worker_is_not_capable_of_is_skipped():
    result = simulate(TWO_CLASSES, "horizon.run=9ms", "workers.poll=4ms")
    assert [row[1] for row in story(result, 0)] == ["create_execution"]
    assert executions(result) == [(0, 100, None, None, None, 0), (1, 150, 1000, 2350, "success", 1)]
    assert {row[4] for row in contentions(result)} == {"no_eligible_execution"}


def test_a_capable_worker_takes_both_in_order():
    result = simulate(TWO_CLASSES, "horizon.run=9ms", "workers.capabilities=[gpu]")
    assert [row[2] for row in story(result) if row[1] == "claim_execution"] == [0, 1]


def test_where_the_rules_block_the_mismatch_is_met_and_the_execution_put_aside_for_good():
    """The unblock scan frees what some worker could take; here none can."""
    result = simulate(
        TWO_CLASSES, "store.dialect=valkey", "horizon.run=30ms", "workers.poll=4ms",
        "reconcilers={count: 1, unblock: 6ms}",
    )  # fmt: skip
    assert [row[:2] + row[4:] for row in story(result, 0)] == [
        ("submitter/0", "create_execution", "OK"),
        ("scheduler/0", "issue_claim_grant", "capability_mismatch"),
        ("scheduler/0", "block_execution_for_admission", "OK"),
    ]
    refused = [row[3:] for row in contentions(result) if row[3] == "capability_mismatch"]
    assert refused == [("capability_mismatch", "execution_not_eligible", 1, "skip", 0)]
    assert executions(result)[1][4] == "success"
