"""How intents end: the table of intents and their resolutions, row by row."""

from collections import Counter

import pytest

from tests.actors.little import contentions, executions, intents, simulate
from tests.scenarios.record import short_run

ONE = "workload.arrivals.burst.count=1"
LOST_REPLIES = "link={request: 100us, reply: 200us, timeout: 5ms, lose_reply: 0.3}"

_OF_A_WORKER = {("recovered", None), ("open", None), ("abandoned", "policy"), ("abandoned", "crash")}
_UNDER_A_LEASE = _OF_A_WORKER | {("satisfied", None), ("abandoned", "superseded")}
_PLAIN = {("recovered", None), ("satisfied", None), ("abandoned", "policy"), ("open", None)}
TABLE = {
    "submit": _PLAIN - {("satisfied", None)},
    "acquire": _OF_A_WORKER,
    "dispatch": {("recovered", None), ("relayed", None), ("open", None)},
    **dict.fromkeys(("hold", "finish", "park"), _UNDER_A_LEASE),
    **dict.fromkeys(
        ("signal", "link", "resolve", "cancel", "revoke", "reprioritise", "repair"), _PLAIN
    ),
}  # fmt: skip
BUSY = ["atlas", "worker_crashes", "field/store_outage", "field/paused_worker", "kinds/execution_not_active"]


def ends(result, goal):
    return [row[5:7] for row in intents(result) if row[0] == goal]


# --- in the records of whole scenarios -------------------------------------------------------------


@pytest.mark.parametrize("name", BUSY)
def test_no_intent_ends_in_a_way_that_its_row_does_not_have(name):
    rows = short_run(name).intents.to_pylist()
    seen = {(row["goal"], (row["resolution"], row["cause"])) for row in rows}
    assert {(goal, end) for goal, end in seen if end not in TABLE[goal]} == set()


@pytest.mark.parametrize("name", BUSY)
def test_only_a_dispatch_has_another_root_which_is_the_acquire_that_it_serves(name):
    rows = short_run(name).intents.to_pylist()
    goals = {row["intent"]: row["goal"] for row in rows}
    assert {row["goal"] for row in rows if row["root"] != row["intent"]} <= {"dispatch"}
    assert {goals[row["root"]] for row in rows if row["goal"] == "dispatch"} <= {"acquire"}


@pytest.mark.parametrize("name", BUSY)
def test_the_ends_of_intents_are_true_of_the_executions(name):
    """Submitted ones exist, acquired ones were leased, ends that came too late are another's."""
    result = short_run(name)
    outcome = {row["execution"]: row["outcome"] for row in result.executions.to_pylist()}
    leases = {row["execution"]: row["leases"] for row in result.executions.to_pylist()}
    acquired = Counter()
    for row in result.intents.to_pylist():
        execution, end = row["execution"], (row["goal"], row["resolution"])
        if end == ("submit", "recovered") and execution is not None:
            assert execution in outcome
        if end == ("acquire", "recovered"):
            acquired[execution] += 1
        if end in {("finish", "satisfied"), ("cancel", "satisfied")} and execution is not None:
            assert outcome[execution] is not None
    assert acquired.total() > 0
    assert [execution for execution, count in acquired.items() if count > leases[execution]] == []


def test_a_renewal_that_its_own_end_overtook_has_nothing_left_to_do_and_another_one_lost_its_lease():
    """Of all renewals that were refused: it counts whether the holder's last end of the lease was taken.

    One that was taken, whose reply is still under way and which somebody else's change covers already, the
    holder cannot know of: it may then take its lease for lost, rightly by all it knows.
    """
    result = short_run("atlas")
    rows = result.intents.to_pylist()
    tries = {}
    for row in rows:
        if row["goal"] in ("finish", "park"):
            tries.setdefault((row["actor"], row["execution"]), []).append(row)
    hold = {row["intent"]: row["resolution"] for row in rows if row["goal"] == "hold"}
    seen = Counter()
    for row in result.contentions.to_pylist():
        if row["op"] == "renew_lease" and row["code"] == "execution_not_active":
            mine = tries.get((row["actor"], row["execution"]), ())
            last = [each for each in mine if each["start_us"] <= row["done_us"]][-1:]
            # Who crashed while it waited for the reply may have ended it, too.
            taken = [each for each in last if each["resolution"] == "recovered" or each["cause"] == "crash"]
            known = any(each["end_us"] <= row["done_us"] for each in taken)
            seen["known" if known else "taken" if taken else "lost", hold[row["intent"]]] += 1
    assert seen["known", "satisfied"] > 0
    assert seen["taken", "satisfied"] > 0
    assert seen["lost", "abandoned"] > 0
    assert (seen["known", "abandoned"], seen["lost", "satisfied"]) == (0, 0)


# --- row by row ------------------------------------------------------------------------------------


def test_submit_recovers_when_the_execution_is_known_to_exist_and_is_open_before():
    result = simulate("workload.arrivals.burst.count=20", LOST_REPLIES, "horizon.run=200ms")
    assert ends(result, "submit") == [("recovered", None)] * 20
    late = [row for row in intents(result) if row[0] == "submit" and row[7] > 1]
    assert late and all(row[4] - row[3] > 5000 for row in late)
    assert ends(simulate(ONE, "horizon.run=200us"), "submit") == [("open", None)]


def test_a_dispatch_that_grants_nothing_is_relayed_and_its_root_goes_on():
    result = simulate(ONE, "workload.arrivals={burst: {count: 1, at: 2ms}}", "horizon.run=12ms")
    assert Counter(ends(result, "dispatch")) == {("relayed", None): 2, ("recovered", None): 1}
    assert ends(result, "acquire")[0] == ("recovered", None)


def test_an_acquire_that_the_policy_gives_up_is_abandoned():
    gives_up = "retry={routing: {no_eligible_execution: give_up}}"
    result = simulate("workload.arrivals.burst.count=0", "horizon.run=5ms", gives_up)
    found = ends(result, "acquire")
    assert len(found) > 1
    assert set(found[:-1]) == {("abandoned", "policy")}


GIVES_UP = "{routing: {execution_not_active: give_up}}"


@pytest.mark.parametrize("policy", ["documented", GIVES_UP])
def test_an_end_of_what_another_ended_is_satisfied_whatever_the_policy_makes_of_it(policy):
    """The operator cancels at 4,740 us; the worker learns that when it completes."""
    cancels = ["operators={cancel: 100/s}", "seed=5", "horizon.run=16ms"]
    result = simulate(ONE, *cancels, f"retry={policy}")
    assert executions(result)[0][3:5] == (4740, "cancelled")
    (finish,) = ends(result, "finish")
    assert finish == ("satisfied", None)


def test_an_end_of_ones_own_whose_reply_was_lost_is_recovered_when_it_is_reconciled():
    replies = ["seed=4", LOST_REPLIES, "workload.arrivals.burst.count=30", "horizon.run=2s"]
    result = simulate(*replies)
    confirmed = [row for row in intents(result) if row[0] == "finish" and row[7] > 1]
    assert confirmed
    assert {row[5:7] for row in confirmed} == {("recovered", None)}
    refused = [row for row in contentions(result) if row[2] == "complete_execution"]
    assert {row[3] for row in refused} == {"execution_not_active"}


def test_an_end_of_ones_own_that_is_not_reconciled_is_given_up():
    replies = ["seed=4", LOST_REPLIES, "workload.arrivals.burst.count=30", "horizon.run=2s"]
    replies += [f"retry={GIVES_UP}"]
    result = simulate(*replies)
    assert set(ends(result, "finish")) == {("recovered", None), ("abandoned", "policy")}
    assert "superseded" not in {row[6] for row in intents(result)}


def test_of_two_reconcilers_that_repair_one_item_the_later_is_satisfied():
    """Both read the lapsed grant; the second is told that it is not eligible for that any more."""
    pause = "faults=[{pause: {workers: 1, at: 850us, for: 5ms}}]"
    sweeps = "reconcilers={count: 40, grants: 2ms}"
    result = simulate(ONE, pause, sweeps, "schedulers.grant_ttl=1ms", "horizon.run=7ms")
    found = Counter(ends(result, "repair"))
    assert found["recovered", None] == 1
    assert found["satisfied", None] > 0
    assert found.keys() == {("recovered", None), ("satisfied", None)}


def test_a_mark_that_finds_the_lease_marked_repairs_nothing():
    """Nobody is idle, so nobody reclaims: every pass finds the lease lapsed, the first alone marks it."""
    pause = "faults=[{pause: {workers: 1, at: 2ms, for: 100ms}}]"
    result = simulate(
        ONE, pause, "workers.lease_ttl=5ms", "reconcilers={count: 1, lease_expiry: 4ms}", "horizon.run=60ms"
    )
    found = ends(result, "repair")
    assert found[0] == ("recovered", None)
    assert len(found) > 2
    assert set(found[1:]) == {("satisfied", None)}


@pytest.mark.parametrize("policy", ["documented", GIVES_UP])
def test_operators_who_come_too_late_are_satisfied_whatever_the_policy(policy):
    cancels = ["operators={cancel: 100/s, think: 2ms}", "seed=5", "workload.classes.job.work=4ms"]
    result = simulate(ONE, *cancels, "horizon.run=16ms", f"retry={policy}")
    assert ends(result, "cancel")[0] == ("satisfied", None)


def test_what_goes_on_at_the_end_of_the_run_is_open_and_lasts_until_then():
    result = simulate(ONE, "horizon.run=11ms")
    still = [(row[0], row[4]) for row in intents(result) if row[5] == "open"]
    assert still == []
    result = simulate(ONE, "horizon.run=11500us")
    assert [(row[0], row[4]) for row in intents(result) if row[5] == "open"] == [("finish", 11_500)]
