"""Suspensions and signals: who suspends, who signals, and what happens when the two meet."""

import pytest

from tests.actors.little import contentions, executions, intents, simulate, story

ONE = "workload.arrivals.burst.count=1"
LEASED = [
    ("submitter/0", "create_execution", 0, 350, "OK"),
    ("scheduler/0", "issue_claim_grant", 0, 800, "OK"),
    ("worker/0", "claim_execution", 0, 1250, "OK"),
]


def suspending(*more, run="16ms", poll="2ms", **spec):
    """One execution works 2 ms, suspends, is signalled 3 ms after the hand-out, works 2 ms, completes."""
    keys = {"probability": 1.0, "signal_after": "3ms"} | spec
    text = ", ".join(f"{key}: {str(value).lower()}" for key, value in keys.items())
    suspends = f"workload.classes.job={{work: 2ms, suspends: {{{text}}}}}"
    return simulate(ONE, suspends, f"horizon.run={run}", f"workers.poll={poll}", *more)


def of_goal(result, goal):
    return [row for row in intents(result) if row[0] == goal]


def ends(result):
    return [row[3:] for row in executions(result)]


# --- fresh -----------------------------------------------------------------------------------------


def test_a_fresh_waitpoint_is_handed_out_after_the_suspension_and_its_signal_resumes_the_execution():
    result = suspending()
    assert story(result) == [
        *LEASED,
        ("worker/0", "suspend_execution", 0, 3600, "OK"),
        # Handed out at 3,600 us, there at 3,700; the signal is sent 3 ms later.
        ("signaler/0", "deliver_signal", 0, 7050, "OK"),
        # Its slot went on to look for work meanwhile, and finds the same execution.
        ("scheduler/0", "issue_claim_grant", 0, 9500, "OK"),
        ("worker/0", "claim_resumed_execution", 0, 9950, "OK"),
        ("worker/0", "complete_execution", 0, 12_300, "OK"),
    ]
    assert of_goal(result, "park") == [("park", "worker/0", 0, 3250, 3600, "recovered", None, 1)]
    assert of_goal(result, "signal") == [("signal", "signaler/0", 0, 6700, 7050, "recovered", None, 1)]
    assert executions(result) == [(0, 100, 1000, 12_050, "success", 2)]


def test_a_waitpoint_of_two_signals_is_satisfied_by_the_second():
    result = suspending(signals=2)
    delivered = [row for row in story(result) if row[1] == "deliver_signal"]
    assert [row[3:] for row in delivered] == [(7050, "OK"), (7100, "OK")]
    resumed = next(row for row in story(result) if row[1] == "claim_resumed_execution")
    assert resumed[3] > 7100
    assert ends(result) == [(resumed[3] + 2000 + 100, "success", 2)]


def test_a_suspension_that_nobody_signals_lasts():
    result = suspending(signal_after="1min")
    assert story(result)[-1] == ("worker/0", "suspend_execution", 0, 3600, "OK")
    assert executions(result) == [(0, 100, 1000, None, None, 1)]


# --- pending_first ---------------------------------------------------------------------------------


def test_a_signal_before_the_suspension_is_buffered_and_satisfies_it_at_once():
    result = suspending(waitpoint="pending_first", prepare="5ms", signal_after="1ms", run="12ms")
    assert story(result) == [
        *LEASED,
        ("worker/0", "create_pending_waitpoint", 0, 3600, "OK"),
        # The token is out at 3,700 us; the worker prepares until 8,600.
        ("signaler/0", "deliver_signal", 0, 5050, "waitpoint_pending_use_buffer_script"),
        ("signaler/0", "buffer_signal_for_pending_waitpoint", 0, 5400, "OK"),
        ("worker/0", "suspend_execution", 0, 8950, "ALREADY_SATISFIED"),
        # The same lease goes on: no second claim.
        ("worker/0", "complete_execution", 0, 11_300, "OK"),
    ]
    (refused,) = [row for row in contentions(result) if row[1] == "signaler/0"]
    assert refused[4:] == ("waitpoint_pending_use_buffer_script", 1, "redispatch", 0)
    assert of_goal(result, "signal") == [("signal", "signaler/0", 0, 4700, 5400, "recovered", None, 2)]
    assert of_goal(result, "park") == [("park", "worker/0", 0, 3250, 8950, "recovered", None, 2)]
    assert executions(result) == [(0, 100, 1000, 11_050, "success", 1)]


def test_a_signal_after_the_suspension_finds_the_pending_waitpoint_open():
    result = suspending(waitpoint="pending_first", prepare="2ms", run="18ms")
    assert story(result)[3:6] == [
        ("worker/0", "create_pending_waitpoint", 0, 3600, "OK"),
        ("worker/0", "suspend_execution", 0, 5950, "OK"),
        ("signaler/0", "deliver_signal", 0, 7050, "OK"),
    ]
    assert ends(result) == [(11_850, "success", 2)]


def test_a_pending_waitpoint_out_of_time_is_closed_and_the_suspension_refused():
    closing = "reconcilers={count: 1, suspension_timeout: null, pending_waitpoints: 2ms}"
    spec = {"waitpoint": "pending_first", "prepare": "9ms", "pending_timeout": "3ms", "signal_after": "6ms"}
    result = suspending(closing, "retry={limits: {attempts: 1}}", run="16ms", **spec)
    told = [(row[0], row[1], row[4]) for row in story(result)[3:]]
    assert told[:4] == [
        ("worker/0", "create_pending_waitpoint", "OK"),
        ("reconciler/0", "close_waitpoint", "OK"),
        ("signaler/0", "deliver_signal", "target_not_signalable"),
        ("worker/0", "suspend_execution", "waitpoint_not_pending"),
    ]
    # It expires 3 ms after 3,250 us: at 6 ms by the store's clock, so the first sweep after that closes it.
    closed = next(row for row in story(result) if row[1] == "close_waitpoint")
    assert 6000 <= closed[3] - 250 < 6000 + 2000 + 700


# --- deterministic ids -----------------------------------------------------------------------------


def test_a_signal_that_overtakes_its_waitpoint_is_delivered_again():
    again = "retry={backoff: {constant: {delay: 1ms}}}"
    result = suspending(again, deterministic_ids=True, signal_after="1ms", run="7250us")
    # The signaler knows the waitpoint from the lease on, at 1,350 us.
    assert story(result)[3:6] == [
        ("signaler/0", "deliver_signal", 0, 2700, "waitpoint_not_found"),
        ("worker/0", "suspend_execution", 0, 3600, "OK"),
        ("signaler/0", "deliver_signal", 0, 4050, "OK"),
    ]
    (refused,) = [row for row in contentions(result) if row[1] == "signaler/0"]
    assert refused[4:] == ("waitpoint_not_found", 1, "retry", 1000)
    assert of_goal(result, "signal") == [("signal", "signaler/0", 0, 2350, 4050, "recovered", None, 2)]
    assert ends(result) == [(7000, "success", 2)]


# --- time-outs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_timeout", "outcome"), [("fail", "failed"), ("cancel", "cancelled"), ("expire", "expired")]
)
def test_a_suspension_out_of_time_ends_the_execution_and_its_signal_comes_too_late(on_timeout, outcome):
    sweeps = "reconcilers={count: 1, suspension_timeout: 2ms}"
    result = suspending(sweeps, timeout="4ms", on_timeout=on_timeout, signal_after="12ms", run="17ms")
    # Suspended at 3,250 us for 4 ms: due at 7 ms of the store's clock, swept every 2 ms.
    expired = next(row for row in story(result) if row[1] == "expire_suspension")
    assert 7000 <= expired[3] - 350 <= 7000 + 2000 + 700
    assert executions(result) == [(0, 100, 1000, expired[3] - 250, outcome, 1)]
    assert story(result)[-1] == ("signaler/0", "deliver_signal", 0, 16_050, "target_not_signalable")
    assert of_goal(result, "signal") == [("signal", "signaler/0", 0, 15_700, 16_050, "satisfied", None, 1)]


def test_a_suspension_out_of_time_can_resume_the_execution():
    sweeps = "reconcilers={count: 1, suspension_timeout: 2ms}"
    result = suspending(sweeps, timeout="4ms", on_timeout="auto_resume", signal_after="1min", run="20ms")
    ops = [row[1] for row in story(result)[4:]]
    assert ops == ["expire_suspension", "issue_claim_grant", "claim_resumed_execution", "complete_execution"]
    assert ends(result)[0][1:] == ("success", 2)


# --- duplicates ------------------------------------------------------------------------------------

LOST = "faults=[{loss: {from: 6500us, to: 7500us, replies: 1.0}}]"


def test_a_signal_whose_reply_was_lost_is_sent_again_and_finds_that_it_has_done_its_work():
    result = suspending(LOST, "link.timeout=2ms", "retry={backoff: {constant: {delay: 500us}}}", run="14ms")
    delivered = [row for row in story(result) if row[1] == "deliver_signal"]
    # Sent at 6,700 us, out of time at 8,700, sent again at 9,200.
    assert [row[3:] for row in delivered] == [(8700, "unknown"), (9550, "target_not_signalable")]
    assert of_goal(result, "signal") == [("signal", "signaler/0", 0, 6700, 9550, "satisfied", None, 2)]
    assert ends(result)[0][1:] == ("success", 2)


def test_a_signal_that_is_sent_twice_counts_once():
    """Of two signals the reply to one is lost; its repetition is a duplicate and satisfies nothing."""
    spec = {"signals": 2, "signal_after": "{empirical: {values: [3000, 30000], unit: us}}"}
    result = suspending(
        LOST, "link.timeout=2ms", "retry={backoff: {constant: {delay: 500us}}}", "seed=5", run="60ms", **spec
    )
    delivered = [row[3:] for row in story(result) if row[1] == "deliver_signal"]
    assert delivered == [(8700, "unknown"), (9550, "DUPLICATE"), (34_050, "OK")]
    resumed = next(row for row in story(result) if row[1] == "claim_resumed_execution")
    assert resumed[3] > 34_050
    assert [row[5:] for row in of_goal(result, "signal")] == [("recovered", None, 2), ("recovered", None, 1)]
