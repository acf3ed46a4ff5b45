"""Faults: what is drawn, what is written, and what each does to a little simulation, to the microsecond."""

from itertools import repeat

import pytest

from sim.faults import draw_windows
from sim.rng import Streams
from sim.scenario import loads
from sim.trouble import scaled
from tests.actors.little import EXACT, attempts, executions, intents, simulate, story

ONE = "workload.arrivals.burst.count=1"
NOBODY = "workers.count=0"
ARRIVALS_EVERY_MS = "workload.arrivals={deterministic: {every: 1ms}}"
ONCE = "retry={limits: {attempts: 1}}"
PATIENT = "retry={backoff: {constant: {delay: 1ms}}}"


def windows_of(faults, workers=10, replication=0, seed=1):
    scenario = loads(EXACT, [f"faults={faults}", f"workers.count={workers}"])
    return draw_windows(scenario, Streams(seed, replication), 23_000)


def creations(result):
    """Instants of the attempts to create: sent, arrived, known, code."""
    rows = attempts(result, "op", "sent_us", "arrived_us", "done_us", "code")
    return [row[1:] for row in rows if row[0] == "create_execution"]


# --- what is drawn ---------------------------------------------------------------------------------


def test_every_sort_of_fault_has_its_windows_in_the_order_of_their_beginning():
    faults = """[{crash: {workers: 1, at: 5ms, down: 2ms}}, {pause: {workers: 1, at: 3ms, for: 1ms}},
        {partition: {workers: 1, at: 4ms, for: 1ms}}, {store_outage: {from: 6ms, to: 7ms}},
        {store_outage: {from: 8ms, to: 9ms, partition: 0}},
        {slow: {what: link, factor: 2, from: 1ms, to: 2ms}},
        {slow: {what: service, factor: 2, from: 2ms, to: 3ms}}, {loss: {from: 10ms, to: 11ms, requests: 0.5}},
        {skew: {workers: 1, offset: 1ms}}]"""
    told = [window.as_dict() for window in windows_of(faults, workers=1)]
    assert [(row["fault"], row["target"], row["from_us"], row["to_us"]) for row in told] == [
        ("skew", "worker/0", 0, 23_000),
        ("slow", "link", 1000, 2000),
        ("slow", "store", 2000, 3000),
        ("pause", "worker/0", 3000, 4000),
        ("partition", "worker/0", 4000, 5000),
        ("crash", "worker/0", 5000, 7000),
        ("store_outage", "store", 6000, 7000),
        ("store_outage", "store/0", 8000, 9000),
        ("loss", "link", 10_000, 11_000),
    ]


def test_a_window_reads_as_a_sentence():
    (window,) = windows_of("[{crash: {workers: 1, at: 5ms, down: 2s}}]", workers=1)
    assert str(window) == "crash of worker/0 from 5ms to 2005ms"


@pytest.mark.parametrize(("workers", "met"), [("3", 3), ("0.25", 2), ("1.0", 10), ("20", 10), ("0", 0)])
def test_as_many_different_workers_are_met_as_the_scenario_says(workers, met):
    windows = windows_of(f"[{{pause: {{workers: {workers}, at: 1ms, for: 1ms}}}}]")
    assert len({window.worker for window in windows}) == len(windows) == met


def test_who_when_and_how_long_come_from_the_faults_own_streams():
    """One more fault further down changes nothing; another replication changes everything."""
    pause = "{pause: {workers: 5, at: {uniform: {from: 0ms, to: 20ms}}, for: {exponential: {mean: 3ms}}}}"
    alone, again = windows_of(f"[{pause}]"), windows_of(f"[{pause}]")
    assert alone == again
    longer = windows_of(f"[{pause}, {{crash: {{workers: 4, at: 2ms}}}}]")
    assert [window for window in longer if window.fault.key == "pause"] == alone
    assert windows_of(f"[{pause}]", replication=1) != alone
    assert len({window.from_us for window in alone}) == len({w.to_us - w.from_us for w in alone}) == 5


def test_a_run_tells_the_windows_that_it_met():
    result = simulate("faults=[{crash: {workers: 1, at: 5ms, down: 2ms}}]")
    assert [str(window) for window in result.faults] == ["crash of worker/0 from 5ms to 7ms"]


# --- partitions ------------------------------------------------------------------------------------


def cut(direction):
    fault = f"faults=[{{partition: {{workers: 1, at: 850us, for: 1ms, direction: {direction}}}}}]"
    return simulate(ONE, fault, PATIENT, "link.timeout=2ms", "horizon.run=5ms")


@pytest.mark.parametrize(("direction", "arrives_us"), [("both", None), ("requests", None), ("replies", 1000)])
def test_what_is_cut_off_is_unknown_at_the_time_out(direction, arrives_us):
    """The claim is sent at 900 us, in the window: without its request it never happened, else it has."""
    result = cut(direction)
    claim = [row for row in attempts(result) if row[1] == "claim_execution"]
    assert claim == [("worker/0", "claim_execution", 0, 900, arrives_us, 2900, "unknown")]
    assert executions(result) == [(0, 100, arrives_us, None, None, int(arrives_us is not None))]


def test_a_partition_cuts_off_nobody_else_and_ends():
    result = simulate(
        "faults=[{partition: {workers: 1, at: 0ms, for: 5ms}}]",
        "workers={count: 2, claim: direct, poll: 1ms}", "link.timeout=1ms", "horizon.run=30ms", PATIENT,
    )  # fmt: skip
    (met,) = {window.worker for window in result.faults}
    rows = [row for row in attempts(result, "actor", "sent_us", "code") if row[1] > 0]
    lost = [row for row in rows if row[2] == "unknown"]
    assert {row[0] for row in lost} <= {f"worker/{met}"}
    assert all(row[1] < 5000 for row in lost)
    assert [row[4] for row in executions(result)] == ["success", "success"]


# --- outages ---------------------------------------------------------------------------------------


def test_what_arrives_in_an_outage_has_no_effect_and_no_answer():
    result = simulate(
        ARRIVALS_EVERY_MS, NOBODY, "faults=[{store_outage: {from: 1100us, to: 3100us}}]",
        "link.timeout=1500us", "horizon.run=3500us", "horizon.drain=2ms", PATIENT,
    )  # fmt: skip
    # Requests take 100 us: the first arrives as the outage begins, the third as it ends.
    assert creations(result) == [
        (1000, 1100, 2500, "unknown"),
        (3000, 3100, 3350, "OK"),
        (2000, 2100, 3500, "unknown"),
        (3500, 3600, 3850, "OK"),
        (4500, 4600, 4850, "OK"),
    ]
    assert [row[:2] for row in executions(result)] == [(0, 3600), (1, 4600), (2, 3100)]


def test_an_outage_of_one_partition_leaves_the_others_alone():
    fault = "faults=[{store_outage: {from: 0ms, to: 10ms, partition: 1}}]"
    result = simulate(
        ARRIVALS_EVERY_MS, NOBODY, fault, "store.partitions=2", "horizon.run=4500us", "link.timeout=2ms"
    )
    codes = attempts(result, "execution", "code")
    assert {execution: code for execution, code in codes if execution < 2} == {0: "OK", 1: "unknown"}
    assert [row[0] for row in executions(result)] == [0, 2]


def test_of_two_overlapping_outages_the_longer_counts():
    outages = "faults=[{store_outage: {from: 1ms, to: 4ms}}, {store_outage: {from: 2ms, to: 3ms}}]"
    result = simulate(ARRIVALS_EVERY_MS, NOBODY, outages, "horizon.run=6500us", ONCE, "link.timeout=100ms")
    # Of arrivals at 1, 2, ... 6 ms, three meet the outage.
    assert [row[1] for row in executions(result)] == [4100, 5100, 6100]


# --- slowness --------------------------------------------------------------------------------------


def test_a_slow_link_multiplies_requests_and_replies_that_leave_in_the_window():
    fault = "faults=[{slow: {what: link, factor: 3, from: 1500us, to: 3100us}}]"
    result = simulate(ARRIVALS_EVERY_MS, NOBODY, fault, "horizon.run=4500us")
    assert creations(result) == [
        (1000, 1100, 1350, "OK"),
        (2000, 2300, 2950, "OK"),
        # Its request leaves in the window and takes 300 us; its reply leaves after it.
        (3000, 3300, 3550, "OK"),
        (4000, 4100, 4350, "OK"),
    ]


def test_a_slow_service_multiplies_the_time_of_the_store_alone():
    fault = "faults=[{slow: {what: service, factor: 4, from: 1500us, to: 2500us}}]"
    result = simulate(ARRIVALS_EVERY_MS, NOBODY, fault, "horizon.run=3500us")
    assert creations(result) == [(1000, 1100, 1350, "OK"), (2000, 2100, 2500, "OK"), (3000, 3100, 3350, "OK")]


def test_overlapping_slowness_is_multiplied_and_ends_one_by_one():
    faults = (
        "faults=[{slow: {what: link, factor: 3, from: 500us, to: 2500us}}, "
        "{slow: {what: link, factor: 2, from: 1500us, to: 3500us}}]"
    )
    result = simulate(ARRIVALS_EVERY_MS, NOBODY, faults, "horizon.run=4500us")
    assert [arrived - sent for sent, arrived, _, _ in creations(result)] == [300, 600, 200, 100]


def test_a_slow_link_of_some_workers_is_theirs_alone():
    fault = "faults=[{slow: {what: link, factor: 3, from: 500us, to: 20ms, workers: 1}}]"
    result = simulate(fault, "workers={count: 2, claim: direct, poll: 1ms}", "horizon.run=20ms")
    (slow,) = [window.worker for window in result.faults]
    assert result.faults[0].as_dict()["target"] == f"worker/{slow}"
    taken = {f"worker/{number}": set() for number in range(2)}
    for actor, sent_us, arrived_us in attempts(result, "actor", "sent_us", "arrived_us"):
        if actor in taken and sent_us >= 500:
            taken[actor].add(arrived_us - sent_us)
    assert taken == {f"worker/{slow}": {300}, f"worker/{1 - slow}": {100}}


def test_factors_that_are_taken_back_leave_the_draws_themselves():
    draws = repeat(100)
    assert scaled(draws, 1.0 / 3.0 * 3.0) is draws
    assert next(scaled(draws, 2.5)) == 250


# --- loss ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lost", "arrives_us"), [("requests: 1.0", None), ("replies: 1.0", 2100)], ids=["requests", "replies"]
)
def test_loss_takes_what_leaves_in_its_window(lost, arrives_us):
    fault = f"faults=[{{loss: {{from: 1500us, to: 2500us, {lost}}}}}]"
    result = simulate(ARRIVALS_EVERY_MS, NOBODY, fault, "horizon.run=3500us", "link.timeout=1ms", ONCE)
    assert creations(result) == [
        (1000, 1100, 1350, "OK"),
        (2000, arrives_us, 3000, "unknown"),
        (3000, 3100, 3350, "OK"),
    ]


def test_loss_comes_on_top_of_the_links_own():
    """Half and half again: three quarters of 4,000 requests are lost, give or take five deviations."""
    result = simulate(
        "workload.arrivals={burst: {count: 4000, at: 1ms}}", NOBODY, "link.lose_request=0.5",
        "link.timeout=1ms",
        "faults=[{loss: {from: 500us, to: 2ms, requests: 0.5}}]", "horizon.run=2ms", "store.service=0us",
    )  # fmt: skip
    reached = result.executions.num_rows
    assert abs(reached - 1000) < 5 * (4000 * 0.25 * 0.75) ** 0.5


# --- clocks ----------------------------------------------------------------------------------------


def renewals(drift):
    result = simulate(
        ONE, f"faults=[{{skew: {{workers: 1.0, drift: {drift}}}}}]",
        "workers={count: 1, lease_ttl: 6ms, renew_at: 0.5}", "horizon.run=12ms",
    )  # fmt: skip
    rows = attempts(result, "op", "sent_us", "code")
    return [row[1:] for row in rows if row[0] == "renew_lease"], result


def test_a_fast_clock_renews_too_often():
    """Twice as fast: every 1.5 ms instead of every 3 ms, from the lease at 1,250 us on."""
    rows, _ = renewals(1.0)
    assert rows == [(1250 + 1500 * tick, "OK") for tick in range(1, 7)]


def test_a_slow_clock_renews_too_late_and_loses_its_lease():
    """Half as fast: the first renewal comes after 6 ms, when the lease has lapsed by the store's clock."""
    rows, result = renewals(-0.5)
    assert rows == [(7250, "lease_expired")]
    ends = [(row[0], row[5], row[6]) for row in intents(result) if row[0] in ("hold", "finish")]
    assert ends == [("hold", "abandoned", "superseded"), ("finish", "abandoned", "superseded")]


def handed_out(offset):
    """A worker whose clock is wrong crashes under a lease; a reconciler hands the execution back to it."""
    crash, skew = (
        "{crash: {workers: 1.0, at: 2ms, down: 3ms}}",
        f"{{skew: {{workers: 1.0, offset: {offset}}}}}",
    )
    faults = f"faults=[{crash}, {skew}]"
    return simulate(
        ONE, faults, "workers={count: 1, lease_ttl: 6ms, poll: 5ms}", "horizon.run=60ms",
        "reconcilers={count: 1, lease_expiry: 2ms}", "schedulers.grant_ttl=4ms",
    )  # fmt: skip


def test_a_worker_whose_clock_is_ahead_takes_hand_outs_for_lapsed():
    def reclaims(result):
        return [row[4] for row in story(result) if row[1] == "reclaim_execution"]

    assert reclaims(handed_out("0ms")) == ["OK"]
    assert reclaims(handed_out("-5ms")) == ["OK"]
    ahead = handed_out("5ms")
    assert reclaims(ahead) == []
    # It is granted again and again, whenever the grant before has lapsed.
    assert len([row for row in story(ahead) if row[1] == "issue_reclaim_grant"]) > 3


# --- pauses and crashes that overlap ---------------------------------------------------------------


def test_of_two_overlapping_pauses_the_later_end_counts():
    pauses = "faults=[{pause: {workers: 1, at: 850us, for: 4ms}}, {pause: {workers: 1, at: 2ms, for: 1ms}}]"
    result = simulate(ONE, pauses, "horizon.run=8ms")
    claim = next(row for row in attempts(result) if row[1] == "claim_execution")
    assert claim[3] == 4850


def test_of_two_overlapping_crashes_the_later_end_starts_the_worker_once():
    crashes = "faults=[{crash: {workers: 1, at: 2ms, down: 6ms}}, {crash: {workers: 1, at: 3ms, down: 1ms}}]"
    result = simulate(ONE, crashes, "horizon.run=10ms")
    acquires = [row[3] for row in intents(result) if row[0] == "acquire" and row[1] == "worker/0"]
    assert acquires == [0, 8000]
