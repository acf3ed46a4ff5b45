"""Operators: what they do to targets that they read a while before."""

from tests.actors.little import attempts, contentions, executions, intents, simulate, story

ONE = "workload.arrivals.burst.count=1"
# With this seed the operator looks for the first time at 3,940 us when it cancels, at 2,612 when it revokes.
CANCELS = ["operators={cancel: 100/s}", "seed=5", "horizon.run=16ms"]
REVOKES = ["seed=3", "horizon.run=16ms", "horizon.drain=60ms"]


def of_operator(result):
    rows = attempts(result, "actor", "op", "execution", "sent_us", "done_us", "code")
    return [row[1:] for row in rows if row[0] == "operator/0"]


def deeds(result):
    return [row[2:] for row in intents(result) if row[1] == "operator/0"]


# --- cancel ----------------------------------------------------------------------------------------


def test_what_waits_can_be_cancelled():
    result = simulate(ONE, *CANCELS, "workers.count=0")
    assert of_operator(result) == [
        ("read_eligible", None, 3940, 4290, "OK"),
        ("read_leases", None, 4290, 4640, "OK"),
        ("cancel_execution", 0, 4640, 4990, "OK"),
    ]
    assert deeds(result) == [(0, 4640, 4990, "recovered", None, 1)]
    assert executions(result) == [(0, 100, None, 4740, "cancelled", 0)]


def test_what_is_worked_on_can_be_cancelled_and_its_worker_finds_out_at_the_end():
    result = simulate(ONE, *CANCELS)
    assert story(result, 0)[-2:] == [
        ("operator/0", "cancel_execution", 0, 4990, "OK"),
        ("worker/0", "complete_execution", 0, 11_600, "execution_not_active"),
    ]
    finish = [row[3:] for row in intents(result) if row[0] == "finish"]
    assert finish == [(11_250, 11_600, "satisfied", None, 1)]
    (late,) = [row for row in result.contentions.to_pylist() if row["actor"] == "worker/0"]
    assert (late["rival_actor"], late["rival_op"], late["rival_age_us"]) == (
        "operator/0", "cancel_execution", 11_350 - 4740,
    )  # fmt: skip
    assert executions(result) == [(0, 100, 1000, 4740, "cancelled", 1)]


def test_a_target_that_ended_while_the_operator_thought_is_skipped():
    result = simulate(ONE, *CANCELS, "operators.think=2ms", "workload.classes.job.work=4ms")
    assert of_operator(result)[2] == ("cancel_execution", 0, 4640 + 2000, 6990, "execution_not_active")
    assert deeds(result)[0] == (0, 6640, 6990, "satisfied", None, 1)
    refused = [row for row in contentions(result) if row[1] == "operator/0"]
    assert refused[0][4:] == ("execution_not_active", 1, "skip", 0)
    assert executions(result) == [(0, 100, 1000, 5350, "success", 1)]


def test_where_there_is_nothing_nothing_is_done():
    result = simulate("workload.arrivals.burst.count=0", *CANCELS)
    assert {row[0] for row in of_operator(result)} == {"read_eligible", "read_leases"}
    assert deeds(result) == []


# --- revoke ----------------------------------------------------------------------------------------


def test_a_revoked_execution_is_handed_to_an_idle_slot_which_reclaims_it():
    result = simulate(
        ONE, "operators={revoke: 100/s}", *REVOKES, "workers={count: 2, poll: 20ms}",
        "reconcilers={count: 1, lease_expiry: 2ms}", "schedulers.grant_ttl=4ms",
    )  # fmt: skip
    assert of_operator(result)[:2] == [
        ("read_leases", None, 2612, 2962, "OK"),
        ("revoke_lease", 0, 2962, 3312, "OK"),
    ]
    taken = [(actor, op, code) for actor, op, _, _, code in story(result, 0)]
    after = taken.index(("operator/0", "revoke_lease", "OK"))
    assert taken[after + 1 : after + 3] == [
        ("reconciler/0", "issue_reclaim_grant", "OK"),
        ("worker/1", "reclaim_execution", "OK"),
    ]
    # The worker that was revoked works on, and learns of it by its completion.
    assert [(actor, code) for actor, op, code in taken if op == "complete_execution"] == [
        ("worker/0", "stale_lease"),
        ("worker/1", "OK"),
    ]
    assert executions(result)[0][4:] == ("success", 2)


def test_a_revoked_execution_whose_hand_out_was_dropped_is_handed_out_again():
    """The slot asks a scheduler when the hand-out comes, so it is not idle; no index leads there again."""
    result = simulate(
        ONE, "operators={revoke: 100/s}", *REVOKES, "workers={count: 2, poll: 2ms}",
        "reconcilers={count: 1, lease_expiry: 2ms}", "schedulers.grant_ttl=4ms",
    )  # fmt: skip
    assert executions(result)[0][4:] == ("success", 2)


def test_a_lease_that_ended_while_the_operator_thought_is_not_revoked():
    result = simulate(ONE, "operators={revoke: 100/s, think: 20ms}", *REVOKES)
    assert of_operator(result)[-1] == ("revoke_lease", 0, 22_962, 23_312, "execution_not_active")
    assert deeds(result) == [(0, 22_962, 23_312, "satisfied", None, 1)]
    assert executions(result) == [(0, 100, 1000, 11_350, "success", 1)]


# --- reprioritise ----------------------------------------------------------------------------------


def test_a_higher_priority_goes_first():
    """Without the operator execution 0 is first, as it was created first."""
    late = "faults=[{pause: {workers: 1.0, at: 0ms, for: 4ms}}]"
    result = simulate("operators={reprioritise: 100/s}", "seed=1", late, "horizon.run=10ms")
    assert of_operator(result) == [
        ("read_eligible", None, 1470, 1820, "OK"),
        ("change_priority", 1, 1820, 2170, "OK"),
    ]
    # The scheduler had been asked before the pause and granted 0; from then on the order counts.
    untouched = simulate("seed=1", late, "horizon.run=40ms", "workload.classes.job.work=1ms",
                         "workload.arrivals.burst.count=3")  # fmt: skip
    changed = simulate("seed=1", late, "horizon.run=40ms", "workload.classes.job.work=1ms",
                       "workload.arrivals.burst.count=3", "operators={reprioritise: 30/s}")  # fmt: skip
    assert [row[2] for row in story(untouched) if row[1] == "claim_execution"] == [0, 1, 2]
    (target,) = {row[1] for row in of_operator(changed) if row[0] == "change_priority"} - {None}
    assert [row[2] for row in story(changed) if row[1] == "claim_execution"][1] == target == 2


# --- cancel_flow -----------------------------------------------------------------------------------


def test_the_members_of_a_cancelled_flow_are_cancelled_by_the_backlog_scan_after_the_grace_period():
    """The engine leaves the members alone for 30 s; here nobody works, so they are all still there."""
    others = "lease_expiry: null, grants: null, delayed: null, dependencies: null"
    scans = f"reconcilers={{count: 1, {others}, cancels: 5s}}"
    result = simulate(
        "workload.arrivals.burst.count=0", "workload.flows={rate: 100/s, shape: {chain: 2}}",
        "operators={cancel_flow: 100/s}", "seed=2", "horizon.run=10ms", "horizon.drain=40s", scans,
        "workers.count=0",
    )  # fmt: skip
    assert of_operator(result) == [
        ("read_open_flows", None, 3514, 3864, "OK"),
        ("cancel_flow", None, 3864, 4214, "OK"),
    ]
    assert deeds(result) == [(None, 3864, 4214, "recovered", None, 1)]
    swept = [row for row in story(result) if row[0] == "reconciler/0"]
    assert [(op, execution, code) for _, op, execution, _, code in swept] == [
        ("cancel_execution", 1, "OK"),
        ("ack_cancel_member", 1, "OK"),
        ("cancel_execution", 3, "OK"),
        ("ack_cancel_member", 3, "OK"),
    ]
    assert 30_003_000 <= swept[0][3] - 700 < 35_004_000
    assert [row[3:] for row in executions(result)] == [
        (swept[0][3] - 250, "cancelled", 0), (swept[2][3] - 250, "cancelled", 0),
    ]  # fmt: skip
    repairs = [row for row in result.intents.to_pylist() if row["goal"] == "repair"]
    assert [row["resolution"] for row in repairs] == ["recovered", "recovered"]
