"""Every check can fail: each of these breaks one thing on purpose, and the check that watches it says so."""

import pickle
from itertools import repeat
from types import SimpleNamespace

import pytest

import sim.store.scheduling
from sim.checks import CheckFailed, Checks
from sim.checks.base import Step
from sim.checks.leases import FencesHold, LeaseSeen
from sim.ledger import stage_of
from sim.limits import Limits
from sim.record import Recorder
from sim.replication import run
from sim.scenario import loads
from sim.scenario.promises import ALWAYS, EVENTUALLY
from sim.store import Ok, Refused, Store
from sim.store.quota_table import QuotaTable

PAUSED = """
about: Workers stand still for longer than their leases, which are taken over, and then wake up.
horizon: {warmup: 0s, run: 2s, drain: 2s}
store: {partitions: 1, service: 50us}
link: {request: 100us, reply: 200us, timeout: 50ms}
workload: {arrivals: {burst: {count: 5, every: 400ms}}, classes: {job: {work: 300ms}}}
workers: {count: 8, poll: 20ms, lease_ttl: 200ms}
reconcilers: {count: 1, lease_expiry: 50ms, grants: 50ms, delayed: 50ms}
faults: [{pause: {workers: 5, at: 250ms, for: 1s}}]
"""
LIMITED = """
about: More arrivals than the limits let in.
horizon: {warmup: 0s, run: 1s, drain: 1s}
store: {partitions: 2, service: 50us}
link: {request: 100us, reply: 200us, timeout: 50ms}
workload: {arrivals: {burst: {count: 20}}, classes: {job: {work: 30ms}}}
workers: {count: 8, poll: 20ms}
schedulers: {count: 1}
reconcilers: {count: 1}
quotas: {api: {window: 1500ms, rate: 6}}
"""
DELAYED = """
about: Every execution is put off once.
horizon: {warmup: 0s, run: 500ms, drain: 1s}
store: {partitions: 1, service: 50us}
link: {request: 100us, reply: 200us, timeout: 50ms}
workload:
  arrivals: {burst: {count: 4}}
  classes: {job: {work: 10ms, delays: {probability: 1.0, by: 50ms}}}
workers: {count: 4, poll: 20ms}
reconcilers: {count: 1, lease_expiry: 50ms, grants: 50ms, delayed: 50ms}
"""
CRASHED = "faults=[{crash: {workers: 8, at: 500ms, down: 1h}}]"


def failure(text, *overrides):
    scenario = loads(text, overrides)
    with pytest.raises(CheckFailed) as caught:
        run(scenario, "own", scenario.retry, check=True)
    return caught.value


def passes(text, *overrides):
    scenario = loads(text, overrides)
    return run(scenario, "own", scenario.retry, check=True)


def wrapped(monkeypatch, name, change):
    """Put something around an operation of every store."""
    original = getattr(Store, name)
    monkeypatch.setattr(Store, name, lambda *arguments, **more: change(original, *arguments, **more))


# --- nothing is wrong with them as they are ----------------------------------------------------------------


@pytest.mark.parametrize("text", [PAUSED, LIMITED, DELAYED])
def test_without_a_broken_part_all_checks_hold(text):
    passes(text, f"expect={{always: [{', '.join(ALWAYS)}]}}")


# --- always ------------------------------------------------------------------------------------------------


def test_a_store_without_its_fence_is_caught(monkeypatch):
    """A paused holder whose execution was taken over writes late, and the store lets it."""
    monkeypatch.setattr("sim.store.executions.check_fence", lambda *_: None)
    monkeypatch.setattr("sim.store.leases._refuse_renewal", lambda *_: Refused("renew_lease", "stale_lease"))
    error = failure(PAUSED)
    assert error.check == "fences_hold"
    assert error.message.startswith("complete_execution of e-")
    assert "was accepted at" in error.message


HELD = {"lease_id": 17, "lease_epoch": 5}


@pytest.mark.parametrize(
    ("held", "given", "now_ms", "why"),
    [
        (False, HELD, 150, "nobody ever held a lease of it"),
        (True, HELD | {"lease_epoch": 4}, 150, "the lease is worker/3's, epoch 5"),
        (True, HELD | {"lease_id": 16}, 150, "the lease of that epoch is 17"),
        (True, HELD, 200, "that lease lapsed at 0.200000 s"),
        (True, HELD, 199, None),
    ],
    ids=["never", "taken over", "another", "lapsed", "held"],
)
def test_a_write_is_accepted_from_the_holder_of_the_lease_alone(held, given, now_ms, why):
    """The lease of e-7: id 17, epoch 5, worker/3, up to 200 ms, at which it is over."""
    lease = LeaseSeen(3, 17, 5, 200)
    checks = SimpleNamespace(
        leases=SimpleNamespace(latest={7: lease} if held else {}), fences_by_epoch=False,
        name_of=lambda worker: f"worker/{worker}", records_of=lambda _: (),
    )  # fmt: skip
    step = Step(now_ms * 1000, now_ms, 9, "complete_execution", given, None, Ok(), 7)
    if why is None:
        FencesHold(checks).after(step)
        lease.ended, why = True, "that lease was ended before"
    with pytest.raises(CheckFailed) as caught:
        FencesHold(checks).after(step)
    assert caught.value.message == (
        f"complete_execution of e-7 by worker/9 was accepted at {now_ms / 1000:.6f} s under epoch "
        f"{given['lease_epoch']}: {why}"
    )


def test_a_renewal_without_its_fence_is_caught(monkeypatch):
    monkeypatch.setattr("sim.store.leases._refuse_renewal", lambda *_: None)
    error = failure(PAUSED)
    assert error.check == "fences_hold"
    assert error.message.startswith("renew_lease of e-")


def test_a_lease_that_is_taken_before_it_lapses_is_caught(monkeypatch):
    """The reconciler finds every lease, and the store marks it as if its time were over."""
    wrapped(monkeypatch, "mark_lease_expired_if_due", lambda mark, store, _, ex: mark(store, 1 << 50, ex))
    wrapped(monkeypatch, "read_lapsed_leases", lambda _, store, *more: store.read_leases(*more))
    error = failure(PAUSED)
    assert error.check == "one_live_lease"
    assert error.message.startswith("two live leases of e-")
    assert "(worker/" in error.message and "epoch 1" in error.message and "epoch 2)" in error.message


def test_an_epoch_that_does_not_grow_is_caught(monkeypatch):
    def stuck(claim, store, *arguments):
        outcome = claim(store, *arguments)
        return Ok({**outcome.values, "lease_epoch": 1}) if outcome.ok else outcome

    wrapped(monkeypatch, "reclaim_execution", stuck)
    assert failure(PAUSED).check == "epochs_grow"


def test_a_window_that_lets_one_more_in_is_caught(monkeypatch):
    def generous(admit, store, now_ms, quota, execution, window_seconds, rate, cap):
        return admit(store, now_ms, quota, execution, window_seconds, rate + 1, cap)

    wrapped(monkeypatch, "check_admission_and_record", generous)
    error = failure(LIMITED)
    assert error.check == "rate_kept"
    assert "quota api has let 7 executions in within its window of 1500ms" in error.message


def test_a_window_that_is_too_short_is_caught(monkeypatch):
    def hasty(admit, store, now_ms, quota, execution, window_seconds, rate, cap):
        return admit(store, now_ms, quota, execution, 1, rate, cap)

    wrapped(monkeypatch, "check_admission_and_record", hasty)
    assert failure(LIMITED, "quotas.api.rate=2").check == "rate_kept"


def test_a_cap_that_lets_one_more_in_is_caught(monkeypatch):
    def generous(admit, store, now_ms, quota, execution, window_seconds, rate, cap):
        return admit(store, now_ms, quota, execution, window_seconds, rate, cap + 1)

    wrapped(monkeypatch, "check_admission_and_record", generous)
    error = failure(LIMITED, "quotas.api={concurrency: 3}")
    assert error.check == "cap_kept"
    assert error.message.endswith("as number 4; its cap is 3")


def test_an_execution_that_no_index_leads_to_is_caught(monkeypatch):
    """Promotion makes it eligible, and forgets to put it into the eligible set."""
    monkeypatch.setattr(sim.store.scheduling, "make_eligible", lambda *_: None)
    error = failure(DELAYED)
    assert error.check == "accounted_for"
    assert "is lost at" in error.message and "runnable, unowned, eligible_now" in error.message
    assert "promote_delayed" in error.records[-1]


def _ended(words):
    return words["public_state"] == "completed"


def test_records_that_disagree_with_the_store_are_caught(monkeypatch):
    failed = {"public_state": "failed"}
    monkeypatch.setattr("sim.link.stage_of", lambda words: stage_of(failed if _ended(words) else words))
    error = failure(DELAYED)
    assert error.check == "accounted_for"
    assert "is completed in the store (stage 7), in the records stage 8" in error.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda records: records.pop(2), "e-2 is in the store, and not in the records"),
        (lambda records: records.update({9: (0, 0)}), "the records have 5 executions, and the store has 4"),
    ],
    ids=["one less", "one more"],
)
def test_executions_that_only_the_records_or_only_the_store_has_are_caught(monkeypatch, change, message):
    recorded = Checks.recorded

    def changed(checks):
        records = dict(recorded(checks))
        change(records)
        return records

    monkeypatch.setattr(Checks, "recorded", changed)
    error = failure(DELAYED)
    assert (error.check, error.message) == ("accounted_for", message)


def test_a_refusal_that_changes_something_is_caught(monkeypatch):
    def meddling(complete, store, now_ms, execution, *more):
        outcome = complete(store, now_ms, execution, *more)
        if not outcome.ok:
            store.executions[execution].priority += 1
        return outcome

    wrapped(monkeypatch, "complete_execution", meddling)
    error = failure(PAUSED)
    assert error.check == "refused_unchanged"
    assert "changed priority of the execution" in error.message


def test_a_reply_from_the_future_is_caught(monkeypatch):
    """A reply that leaves before its request arrived: an event in the past."""
    scenario = loads(PAUSED, ["link.reply={exponential: {mean: 200us}}"])
    monkeypatch.setattr(type(scenario.link.reply), "draws", lambda self, stream: repeat(-1_000_000))
    with pytest.raises(CheckFailed) as caught:
        run(scenario, "own", scenario.retry, check=True)
    assert caught.value.check == "no_past_events"
    assert "an event is due at" in caught.value.message


def test_a_store_whose_clock_goes_back_is_caught(monkeypatch):
    """Each operation takes less than no time, so that what queues behind it begins before it."""
    import sim.replication

    original = sim.replication.servers_of

    def backwards(*arguments):
        servers = original(*arguments)
        lengths = iter([3000, -2500] * 10_000)
        for server in servers:
            server.service = lengths
        return servers

    monkeypatch.setattr(sim.replication, "servers_of", backwards)
    error = failure(LIMITED, "store.partitions=1")
    assert error.check == "no_past_events"
    assert "took effect at" in error.message


def test_a_clock_that_stands_still_is_caught():
    """Nothing takes any time, and a refused admission is asked for again at once, for ever."""
    instant = [
        "store.service=0s",
        "link={request: 0s, reply: 0s}",
        "retry={backoff: {none: {}}, limits: {attempts: null}}",
    ]
    stuck = ["quotas.api={concurrency: 1, at: submit}", "retry.per_kind={rate_limit_exceeded: {none: {}}}"]
    error = failure(LIMITED, *instant, *stuck)
    assert error.check == "time_goes_on"
    assert error.message.endswith("events, and it is still 0.000000 s")


# --- after the drain ---------------------------------------------------------------------------------------


def test_work_that_takes_longer_than_the_drain_is_not_drained():
    error = failure(DELAYED, "workload.classes.job.work=10s", "expect={eventually: [drained]}")
    assert error.check == "drained"
    assert error.message == (
        "after the drain e-0 has not ended: it waits for its worker, or a reclaim, and 3 more"
    )


def test_leases_that_nobody_is_left_to_take_over_are_told():
    error = failure(PAUSED, CRASHED, "expect={eventually: [lapsed_leases_repaired]}")
    assert error.check == "lapsed_leases_repaired"
    assert "and nobody took it over" in error.message


def test_leases_that_are_never_marked_are_told(monkeypatch):
    monkeypatch.setattr(Store, "read_lapsed_leases", lambda *_: Ok({"due": []}))
    error = failure(
        PAUSED, CRASHED, "store.rules.lapsed_lease=marked", "expect={eventually: [lapsed_leases_repaired]}"
    )
    assert "and nobody marked it" in error.message


def test_grants_that_are_never_requeued_are_told(monkeypatch):
    monkeypatch.setattr(Store, "read_lapsed_grants", lambda *_: Ok({"due": []}))
    lapsing = ["schedulers.grant_ttl=1ms", "link.request=2ms"]
    error = failure(PAUSED, *lapsing, "expect={eventually: [lapsed_grants_repaired]}")
    assert error.check == "lapsed_grants_repaired"
    passes(PAUSED, "schedulers.grant_ttl=1s", "expect={eventually: [lapsed_grants_repaired]}")


@pytest.mark.parametrize(
    ("text", "blind", "overrides", "why"),
    [
        (DELAYED, "read_due_delayed", ["horizon.run=700ms"], "is delayed past its time"),
        (DELAYED, "read_due_deadlines", ["workload.classes.job={work: 10s, deadline: 20ms}"], "its deadline"),
        (
            DELAYED,
            "read_due_suspensions",
            ["workload.classes.job={suspends: {probability: 1.0, signal_after: 1h, timeout: 20ms}}"],
            "is suspended past its time-out",
        ),
        (
            DELAYED,
            "read_unresolved",
            ["workload.flows={rate: 4/s, shape: {chain: 2}, lose_dispatch: 1.0}", "horizon.run=2s"],
            "which ended at",
        ),
        (PAUSED, "read_lapsed_leases", [CRASHED], "nobody marked it"),
    ],
)
def test_what_is_overdue_is_an_orphan(monkeypatch, text, blind, overrides, why):
    """The scan that should find it is blind."""
    monkeypatch.setattr(Store, blind, lambda *_: Ok({"due": []}))
    scans = [
        "reconcilers.dependencies=50ms",
        "reconcilers.deadlines=50ms",
        "reconcilers.suspension_timeout=50ms",
    ]
    error = failure(text, *scans, *overrides, "expect={eventually: [no_orphans]}")
    assert error.check == "no_orphans"
    assert why in error.message


def test_slots_that_are_never_given_back_are_told(monkeypatch):
    monkeypatch.setattr(QuotaTable, "release_slot", lambda *_: None)
    error = failure(LIMITED, "quotas.api={concurrency: 3}", "expect={eventually: [slots_returned]}")
    assert error.check == "slots_returned"
    assert "a slot of quota api is held by e-" in error.message


def test_intents_that_never_come_to_an_end_are_told():
    outage = ["faults=[{store_outage: {from: 100ms, to: 1h}}]", "retry={limits: {attempts: null}}"]
    error = failure(PAUSED, *outage, "expect={eventually: [intents_settled]}")
    assert error.check == "intents_settled"
    assert "is still at the intent to" in error.message


# --- what it is all about ----------------------------------------------------------------------------------


def test_a_failure_tells_what_happened_to_the_execution_and_survives_its_way_between_processes(monkeypatch):
    monkeypatch.setattr("sim.store.executions.check_fence", lambda *_: None)
    error = failure(PAUSED)
    execution = int(error.message.partition(" of e-")[2].partition(" ")[0])
    assert all(f"({execution}, " in record or f"({execution})" in record for record in error.records)
    assert error.records[-1].split("  ")[1].startswith("worker/")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.check, again.records) == (str(error), error.check, error.records)


def test_a_run_that_is_not_checked_has_no_checks_in_its_path(monkeypatch):
    """Neither are the checks made, nor is any operation or the kernel exchanged."""
    import sim.replication

    monkeypatch.setattr(sim.replication, "Checks", None)
    monkeypatch.setattr(sim.replication, "CheckedKernel", None)
    scenario = loads(PAUSED)
    run(scenario, "own", scenario.retry)


@pytest.mark.parametrize("text", [PAUSED, LIMITED, DELAYED])
def test_checks_change_nothing(text):
    scenario = loads(text)
    plain = run(scenario, "own", scenario.retry)
    assert passes(text).fingerprint == plain.fingerprint


def test_a_run_that_a_limit_ends_is_checked_as_far_as_it_came():
    """What must hold after the drain is not looked for: there was none."""
    scenario = loads(PAUSED, ["expect={eventually: [drained]}"])
    limited = run(scenario, "own", scenario.retry, check=True, limits=Limits(attempts=40))
    plain = run(scenario, "own", scenario.retry, limits=Limits(attempts=40))
    assert limited.truncation == plain.truncation
    assert limited.truncation.attempts == 40
    assert limited.fingerprint == plain.fingerprint


def test_a_promise_that_the_rules_do_not_make_is_not_looked_for():
    """Where lapsed leases are marked only, nobody promises that they are taken over."""
    passes(PAUSED, CRASHED, "store.rules.lapsed_lease=marked", "expect={eventually: [no_orphans, drained]}")


def test_every_promise_has_a_check_and_every_check_a_promise():
    from sim.checks import after_drain
    from sim.checks.base import Check
    from sim.checks.checks import Leases

    watching = {check.name for check in Check.__subclasses__() if check is not Leases}
    assert watching | {"time_goes_on"} == set(ALWAYS)  # that one is the kernel's
    assert set(after_drain.EVENTUALLY) == set(EVENTUALLY)


def test_recorder_tells_open_intents():
    recorder = Recorder([], [], (0, 1))
    first, second = recorder.begin("submit", 0, 5), recorder.begin("finish", 0, 6)
    recorder.end(first, 7, "recovered")
    assert recorder.open_intents == [second]
