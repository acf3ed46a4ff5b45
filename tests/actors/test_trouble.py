"""What goes wrong, told by records: each story with its exact times, or with what must hold of all of it."""

from collections import Counter
from itertools import pairwise

import pytest

from sim.actors.reconciler import Reconciler
from tests.actors.little import attempts, contentions, executions, intents, simulate, story

ONE = "workload.arrivals.burst.count=1"


def of_execution(result, execution, *columns):
    names = columns or ("actor", "op", "done_us", "code")
    rows = attempts(result, "execution", *names)
    return [row[1:] for row in rows if row[0] == execution]


def test_of_two_schedulers_with_one_snapshot_the_later_grant_is_refused_and_names_its_rival():
    result = simulate(ONE, "workers.count=2", "schedulers.count=2", "horizon.run=3ms")
    # Both read at 200 us and 250 us (one waits its turn), both choose execution 0, both grants arrive.
    assert of_execution(result, 0) == [
        ("submitter/0", "create_execution", 350, "OK"),
        ("scheduler/0", "issue_claim_grant", 800, "OK"),
        ("scheduler/1", "issue_claim_grant", 850, "execution_not_in_eligible_set"),
        ("worker/0", "claim_execution", 1250, "OK"),
    ]
    row = result.contentions.to_pylist()[0]
    assert (row["kind"], row["actor"], row["action"], row["delay_us"]) == (
        "execution_not_in_eligible_set", "scheduler/1", "skip", 0,
    )  # fmt: skip
    assert (row["rival_actor"], row["rival_op"], row["rival_age_us"]) == (
        "scheduler/0",
        "issue_claim_grant",
        50,
    )


def test_a_worker_that_pauses_past_its_grant_is_told_so_and_asks_for_another():
    pause = "faults=[{pause: {workers: 1, at: 850us, for: 5ms}}]"
    grants = ["schedulers.grant_ttl=1ms", "reconcilers={count: 1, grants: 2ms}", "workers.poll=1ms"]
    result = simulate(ONE, pause, *grants, "horizon.run=100ms")
    assert [row for row in of_execution(result, 0) if row[2] < 7000] == [
        ("submitter/0", "create_execution", 350, "OK"),
        ("scheduler/0", "issue_claim_grant", 800, "OK"),
        # Granted at 0 ms for 1 ms: usable at 1 ms, lapsed at 2; the next sweep puts the execution back.
        ("reconciler/0", "requeue_lapsed_grant", 3486, "OK"),
        # The grant reached the worker in its pause; it claims when that is over.
        ("worker/0", "claim_execution", 6200, "claim_grant_expired"),
    ]
    assert contentions(result)[0][1:7] == (
        "worker/0", "claim_execution", "claim_grant_expired", "claim_grant_expired", 1, "new_grant",
    )  # fmt: skip
    assert executions(result)[0][4:] == ("success", 1)


@pytest.fixture(scope="module")
def paused_holder():
    """Worker 0 stands still from 2 ms to 14 ms under a lease of 6 ms; worker 1 is idle."""
    return simulate(
        ONE, "workers={count: 2, lease_ttl: 6ms, renew_at: 0.5, poll: 2ms}", "schedulers.grant_ttl=4ms",
        "faults=[{pause: {workers: 1, at: 2ms, for: 12ms}}]", "reconcilers={count: 1, lease_expiry: 2ms}",
        "horizon.run=60ms", "seed=5",
    )  # fmt: skip


def test_a_lapsed_lease_is_marked_handed_to_an_idle_slot_and_reclaimed(paused_holder):
    assert paused_holder.faults[0].worker == 0
    story = [(actor, op, code) for actor, op, _, code in of_execution(paused_holder, 0)]
    claimed = story.index(("worker/0", "claim_execution", "OK"))
    assert story[claimed + 1 : claimed + 4] == [
        ("reconciler/0", "mark_lease_expired_if_due", "OK"),
        ("reconciler/0", "issue_reclaim_grant", "OK"),
        ("worker/1", "reclaim_execution", "OK"),
    ]
    assert executions(paused_holder)[0][4:] == ("success", 2)


def test_the_holder_that_comes_back_finds_its_lease_gone(paused_holder):
    late = [row for row in paused_holder.contentions.to_pylist() if row["actor"] == "worker/0"]
    refused = [(row["op"], row["code"], row["kind"]) for row in late if row["execution"] == 0]
    assert refused[0] == ("renew_lease", "stale_lease", "execution_not_active")
    assert refused[-1][:2] == ("complete_execution", "stale_lease")
    rival = next(row for row in late if row["op"] == "renew_lease")
    assert rival["rival_actor"] == "worker/1"
    ends = [
        (row[0], row[5], row[6])
        for row in intents(paused_holder)
        if row[1] == "worker/0" and row[0] in ("hold", "finish")
    ]
    assert ends == [("hold", "abandoned", "superseded"), ("finish", "abandoned", "superseded")]


def test_a_worker_that_stops_on_a_lost_lease_ends_its_work_there():
    result = simulate(
        ONE, "workers={count: 2, lease_ttl: 6ms, renew_at: 0.5, poll: 2ms, stop_on_lost_lease: true}",
        "faults=[{pause: {workers: 1, at: 2ms, for: 8ms}}]", "reconcilers={count: 1, lease_expiry: 2ms}",
        "workload.classes.job.work=30ms", "horizon.run=80ms", "seed=5",
    )  # fmt: skip
    mine = [(op, code) for actor, op, _, code in of_execution(result, 0) if actor == "worker/0"]
    assert mine[:2] == [("claim_execution", "OK"), ("renew_lease", "stale_lease")]
    assert ("complete_execution", "stale_lease") not in mine
    assert executions(result)[0][4:] == ("success", 2)


def test_a_crash_ends_what_the_worker_had_in_hand_and_its_execution_is_redone():
    result = simulate(
        ONE, "workers={count: 1, lease_ttl: 6ms, poll: 2ms}",
        "faults=[{crash: {workers: 1, at: 3ms, down: 10ms}}]",
        "reconcilers={count: 1, lease_expiry: 2ms}", "horizon.run=60ms", "schedulers.grant_ttl=4ms",
    )  # fmt: skip
    goals = [row[:7] for row in intents(result) if row[1] == "worker/0"]
    assert goals[0] == ("acquire", "worker/0", 0, 0, 1250, "recovered", None)
    # It held a lease at 3 ms and had no intent open; it starts anew at 13 ms with an acquire.
    assert goals[1][0] == "acquire" and goals[1][3] == 13_000
    assert [code for _, op, _, code in of_execution(result, 0) if op == "reclaim_execution"] == ["OK"]
    assert executions(result)[0][4:] == ("success", 2)


def test_intents_open_at_a_crash_are_abandoned_by_it():
    crash = "faults=[{crash: {workers: 1, at: 1100us, down: 500us}}]"
    result = simulate(ONE, crash, "horizon.run=3ms")
    # Crashed while its claim was under way: the claim has its effect, the answer finds nobody.
    assert of_execution(result, 0)[-1] == ("worker/0", "claim_execution", 1250, "unknown")
    assert executions(result)[0][2] == 1000
    crashed = [row for row in intents(result) if row[6] == "crash"]
    assert crashed == [("acquire", "worker/0", None, 0, 1100, "abandoned", "crash", 1)]


def test_a_renewal_that_outlives_its_lease_dies_with_the_worker():
    """Its answer comes after the crash, to nobody: what it was for has ended with the process."""
    slow = "{slow: {what: link, factor: 20, from: 11200us, to: 11245us}}"
    crash = "{crash: {workers: 1, at: 12ms, down: 5ms}}"
    result = simulate(ONE, "workers={count: 1, lease_ttl: 30ms}", f"faults=[{slow}, {crash}]")
    (hold,) = (row for row in intents(result) if row[0] == "hold")
    assert hold == ("hold", "worker/0", 0, 11_240, 12_000, "abandoned", "crash", 1)
    # Sent before the completion, and carried out after it.
    assert [row for row in of_execution(result, 0) if row[2] > 11_240] == [
        ("worker/0", "complete_execution", 11_600, "OK"),
        ("worker/0", "renew_lease", 13_490, "unknown"),
    ]


def test_a_completion_whose_reply_was_lost_is_confirmed_by_its_replay():
    result = simulate(
        ONE, "link.lose_reply=0.25", "link.timeout=2ms", "horizon.run=400ms", "seed=50", "workers.poll=10ms"
    )
    finish = [(op, code) for _, op, _, code in of_execution(result, 0) if op == "complete_execution"]
    assert finish == [("complete_execution", "unknown"), ("complete_execution", "execution_not_active")]
    ends = [row for row in intents(result) if row[0] == "finish"]
    assert [(row[5], row[6], row[7]) for row in ends] == [("recovered", None, 2)]
    (refused,) = [row for row in contentions(result) if row[2] == "complete_execution"]
    assert refused[5:] == (1, "reconcile", 0)
    assert executions(result)[0][4:] == ("success", 1)


def test_a_lost_request_has_no_effect_and_a_late_one_has():
    lost = simulate(ONE, "link.lose_request=1.0", "link.timeout=1ms", "horizon.run=1500us", "workers.count=0")
    assert attempts(lost) == [("submitter/0", "create_execution", 0, 0, None, 1000, "unknown")]
    assert executions(lost) == []
    late = simulate(ONE, "link.timeout=120us", "horizon.run=200us", "workers.count=0")
    assert attempts(late) == [("submitter/0", "create_execution", 0, 0, 100, 120, "unknown")]
    assert executions(late) == [(0, 100, None, None, None, 0)]


def test_clients_of_closed_arrivals_have_one_execution_each_at_a_time():
    result = simulate(
        "workload.arrivals={closed: {clients: 3, think: 2ms}}", "workload.classes.job.work=1ms",
        "workers.count=2", "horizon.run=40ms", "horizon.drain=40ms",
    )  # fmt: skip
    rows = executions(result)
    assert len(rows) > 9
    for client in range(3):
        mine = sorted(row for row in rows if row[0] % 3 == client)
        for earlier, later in pairwise(mine):
            # The end becomes known a reply (200 us) later; then come thinking and a request (100 us).
            assert later[1] - earlier[3] == 200 + 2000 + 100
    assert all(row[4] == "success" for row in rows)


QUOTA = "quotas={api: {window: 1s, rate: 2, classes: [job]}}"


def test_a_full_window_is_answered_with_the_time_to_wait_and_that_is_waited_exactly():
    result = simulate(
        QUOTA, "workload.arrivals.burst.count=3", "workload.classes.job.work=1ms", "horizon.run=1100ms"
    )
    refused = [row for row in result.contentions.to_pylist() if row["kind"] == "rate_limit_exceeded"]
    # Admitted twice at 0 ms and at 3 ms (store's clock): the window has room again at 1000 ms.
    assert len(refused) == 1
    (answer,) = [row for row in attempts(result) if row[6] == "RATE_EXCEEDED"]
    hint_ms = 1000 - answer[4] // 1000
    assert (refused[0]["actor"], refused[0]["action"]) == ("scheduler/0", None)
    # The worker learns it a message (100 us) after the scheduler, waits the hint, asks (100 us).
    asked_again = min(row[3] for row in attempts(result) if row[1] == "read_eligible" and row[3] > answer[5])
    assert asked_again == answer[5] + 100 + hint_ms * 1000 + 100
    assert Counter(row[4] for row in executions(result)) == {"success": 3}


def test_a_concurrency_cap_is_never_exceeded_and_slots_come_back_with_the_lease():
    result = simulate(
        "quotas={api: {window: 1s, concurrency: 2, classes: [job]}}", "workload.arrivals.burst.count=12",
        "workers={count: 6, poll: 1ms}", "horizon.run=400ms", "workload.classes.job.work=5ms",
    )  # fmt: skip
    rows = executions(result)
    assert all(row[4] == "success" for row in rows)
    held = sorted([(row[2], 1) for row in rows] + [(row[3], -1) for row in rows])
    level, highest = 0, 0
    for _, change in held:
        level += change
        highest = max(highest, level)
    assert highest == 2
    assert any(row[4] == "concurrency_limit_exceeded" for row in contentions(result))


def test_in_the_valkey_dialect_a_denied_execution_is_blocked_until_the_unblock_scan():
    result = simulate(
        "store.dialect=valkey", "quotas={api: {window: 1s, rate: 1, classes: [job]}}", "workers.poll=5ms",
        "reconcilers={count: 1, unblock: 20ms}", "workload.classes.job.work=1ms", "horizon.run=1500ms",
    )  # fmt: skip
    ops = Counter((row[0].split("/")[0], row[1]) for row in attempts(result) if row[2] == 1)
    assert ops["scheduler", "block_execution_for_admission"] >= 2
    assert ops["reconciler", "unblock_execution"] == ops["scheduler", "block_execution_for_admission"]
    assert Counter(row[4] for row in executions(result)) == {"success": 2}


def test_in_the_valkey_dialect_a_slot_comes_back_when_the_reconciler_finds_its_guard_gone():
    """The guard of the first admission lasts from 0.55 to 10.55 ms; the next scan comes at 14.27 ms."""
    result = simulate(
        "store={dialect: valkey, partitions: 1, service: 50us}", "horizon.run=18ms",
        "quotas={api: {window: 10ms, rate: 10, concurrency: 1}}",
        "reconcilers={count: 1, quota: 5ms, unblock: 2ms}",
    )  # fmt: skip
    assert story(result) == [
        ("submitter/0", "create_execution", 0, 350, "OK"),
        ("submitter/0", "create_execution", 1, 400, "OK"),
        ("scheduler/0", "check_admission_and_record", 0, 800, "ADMITTED"),
        ("scheduler/0", "issue_claim_grant", 0, 1150, "OK"),
        ("worker/0", "claim_execution", 0, 1600, "OK"),
        ("reconciler/0", "reconcile_quota", None, 4519, "OK"),
        ("reconciler/0", "reconcile_quota", None, 9519, "OK"),
        ("worker/0", "complete_execution", 0, 11950, "OK"),
        ("scheduler/0", "check_admission_and_record", 1, 12750, "CONCURRENCY_EXCEEDED"),
        ("scheduler/0", "block_execution_for_admission", 1, 13100, "OK"),
        ("reconciler/0", "reconcile_quota", None, 14519, "OK"),
        ("reconciler/0", "unblock_execution", 1, 14964, "OK"),
        ("scheduler/0", "check_admission_and_record", 1, 16564, "ADMITTED"),
        ("scheduler/0", "issue_claim_grant", 1, 16914, "OK"),
        ("worker/0", "claim_execution", 1, 17364, "OK"),
    ]
    repairs = [row[3:7] for row in intents(result) if row[0] == "repair" and row[2] is None]
    assert repairs == [(at_us, at_us + 350, "recovered", None) for at_us in (4169, 9169, 14169)]


def test_a_delayed_execution_is_promoted_and_resumed_as_the_same_attempt():
    result = simulate(
        ONE, "workload.classes.job={work: 2ms, delays: {probability: 1.0, by: 5ms}}", "horizon.run=40ms",
        "reconcilers={count: 1, delayed: 2ms}", "workers.poll=2ms",
    )  # fmt: skip
    story = [(op, code) for _, op, _, code in of_execution(result, 0)]
    assert story == [
        ("create_execution", "OK"),
        ("issue_claim_grant", "OK"),
        ("claim_execution", "OK"),
        ("delay_execution", "OK"),
        ("promote_delayed", "OK"),
        ("issue_claim_grant", "OK"),
        # The grant said that the attempt was interrupted, so the claim resumes it.
        ("claim_resumed_execution", "OK"),
        ("complete_execution", "OK"),
    ]
    assert [row[0] for row in intents(result) if row[1] == "worker/0"][:4] == [
        "acquire",
        "park",
        "acquire",
        "finish",
    ]


def test_a_reconciler_forgets_what_it_handed_out_when_that_lapses(monkeypatch):
    """What was handed out and lapsed may be handed out again: nothing is kept of it."""
    made = []

    class Watched(Reconciler):
        def __init__(self, world, number):
            super().__init__(world, number)
            made.append(self)

    monkeypatch.setattr("sim.replication.Reconciler", Watched)
    result = simulate(
        "workload.arrivals={poisson: {rate: 200/s}}", "workers={count: 40, poll: 1ms, lease_ttl: 4ms}",
        "reconcilers={count: 1, lease_expiry: 2ms}", "schedulers.grant_ttl=2ms", "horizon.run=3s",
        "faults=[{pause: {workers: 0.9, at: {uniform: {from: 100ms, to: 2s}}, for: 20ms}}]",
    )  # fmt: skip
    grants = [row for row in attempts(result, "op", "code") if row == ("issue_reclaim_grant", "OK")]
    (reconciler,) = made
    assert len(grants) > 10
    assert len(reconciler._handed_out) < 3
