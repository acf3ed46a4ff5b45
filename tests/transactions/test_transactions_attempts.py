"""How often each serializable operation is tried, with which pauses, and what its caller is told then."""

import pytest

from sim.store import POSTGRES
from tests.transactions.bench import Bench, renewal, signal, suspension

START_US = 1000

# What is tried; a rival that is made anew for each attempt, how long before it begins; how long after its
# beginning the attempt is aborted (when the rival commits, or at the first row that was changed since).
RENEWAL = ("renew_lease", lambda _: renewal(1), 250, 150)
THREE_ATTEMPTS = [
    (("cancel_execution", 1), RENEWAL),
    (("revoke_lease", 1), RENEWAL),
    (("change_priority", 1, 5), RENEWAL),
    (("replay_execution", 1), RENEWAL),
    (("issue_reclaim_grant", 1, 9, 10), RENEWAL),
    (("reclaim_execution", 1, 9, 500, 10, 501), RENEWAL),
    (("cancel_flow", 50), ("add_execution_to_flow", lambda k: (50, 20 + k), 250, 50)),
    (("ack_cancel_member", 50, 11), ("ack_cancel_member", lambda k: (50, 20 + k), 150, 200)),
    (
        ("resolve_dependency", 50, 900, 10, 11, "success"),
        ("apply_dependency_to_child", lambda k: (50, 901 + k, 10, 11), 250, 150),
    ),
]


def prepared():
    bench = Bench()
    bench.lease(1)
    bench.flow(50, 10, 11)
    bench.store.apply_dependency_to_child(0, 50, 900, 10, 11)
    bench.create(20, 21, 22)
    return bench


def instants(aborted_after_us):
    """Beginnings of three attempts that are aborted so long after they began: 5 ms and 10 ms between them."""
    second = START_US + aborted_after_us + 5_000
    return [START_US, second, second + aborted_after_us + 10_000]


@pytest.mark.parametrize(("tried", "rival"), THREE_ATTEMPTS, ids=lambda case: case[0])
def test_three_attempts_with_pauses_of_5_and_10_ms_then_retry_exhausted(tried, rival):
    op, arguments, lead_us, aborted_after_us = rival
    bench = prepared()
    victim = bench.send(START_US, *tried)
    begins = instants(aborted_after_us)
    for number, begins_us in enumerate(begins):
        bench.send(begins_us - lead_us, op, *arguments(number))
    bench.run()
    assert [row[4] for row in bench.log if row[0] != victim] == ["OK"] * 3
    assert bench.log[-1][:1] + bench.log[-1][3:] == (victim, begins[2] + aborted_after_us, "retry_exhausted")
    (named,) = bench.rivals()
    assert named[1:3] == ("caller/3", op)  # the one that it lost against last


@pytest.mark.parametrize(("tried", "rival"), THREE_ATTEMPTS, ids=lambda case: case[0])
def test_after_two_aborts_the_third_attempt_counts(tried, rival):
    op, arguments, lead_us, aborted_after_us = rival
    bench = prepared()
    victim = bench.send(START_US, *tried)
    begins = instants(aborted_after_us)
    for number, begins_us in enumerate(begins[:2]):
        bench.send(begins_us - lead_us, op, *arguments(number))
    bench.run()
    caller, _, _, answered_us, code = bench.log[-1]
    assert caller == victim and code != "retry_exhausted"
    assert answered_us > begins[2]


@pytest.mark.parametrize(
    ("tried", "rival", "begin", "lasts_us", "rival_arguments"),
    [
        # A renewal holds the attempt's row for 400 us, a buffered signal the waitpoint's for 300 us. The
        # rivals queue up so that each begins when the one before commits and the victim starts anew.
        (("suspend_execution", *suspension(1)), "renew_lease", (0, 100, 500), 400, renewal(1)),
        (
            ("deliver_signal", *signal(1, 1)),
            "buffer_signal_for_pending_waitpoint",
            (0, 100, 400),
            300,
            signal(1, 2),
        ),
    ],
    ids=["suspend_execution", "deliver_signal"],
)
def test_three_attempts_without_a_pause_then_retry_exhausted(tried, rival, begin, lasts_us, rival_arguments):
    bench = Bench()
    if rival == "renew_lease":
        bench.lease(1)
    else:
        bench.suspend(1)
    victim = bench.send(50, *tried)
    for at_us in begin:
        bench.send(at_us, rival, *rival_arguments)
    bench.run()
    # Aborted at the commit of each of the three rivals.
    mine = [row for row in bench.log if row[0] == victim]
    assert mine == [(victim, tried[0], 50, 3 * lasts_us, "retry_exhausted")]
    assert bench.rivals() == [("caller/0", "caller/3", rival, 0)]


@pytest.mark.parametrize(
    ("tried", "rival", "lead_us", "aborted_after_us"),
    [
        (("check_admission_and_record", 8, 1, 1, 10, 0), ("release_admission", 8, 2), -150, 350),
        (("reset_budget", 8), ("report_usage_and_check", 8, [("tokens", 1)]), 50, 150),
    ],
    ids=["check_admission_and_record", "reset_budget"],
)
def test_one_attempt_and_the_conflict_leaks_out(tried, rival, lead_us, aborted_after_us):
    bench = Bench()
    bench.send(START_US, *tried)
    bench.send(START_US - lead_us, *rival)
    assert bench.answers()[0] == (START_US + aborted_after_us, "lease_conflict")
    assert bench.rivals() == [("caller/0", "caller/1", rival[0], 0)]


def test_two_admissions_at_once_conflict_even_where_nothing_is_counted():
    bench = Bench()
    bench.send(0, "check_admission_and_record", 8, 1, 1, 10, 0)
    bench.send(0, "check_admission_and_record", 8, 2, 1, 10, 0)
    # Without a cap the quota's row is only locked; but each read the window that the other added to.
    assert bench.answers() == [(600, "ADMITTED"), (900, "lease_conflict")]


def test_two_admissions_at_once_under_a_cap_conflict_over_the_count():
    bench = Bench()
    bench.send(0, "check_admission_and_record", 8, 1, 1, 10, 5)
    bench.send(0, "check_admission_and_record", 8, 2, 1, 10, 5)
    assert bench.answers() == [(700, "ADMITTED"), (700, "lease_conflict")]


def test_a_stale_epoch_costs_three_suspensions_where_the_store_calls_it_a_conflict():
    bench = Bench(POSTGRES)
    bench.lease(1)
    bench.send(0, "suspend_execution", *suspension(1, epoch=2))
    assert bench.answers() == [(2100, "retry_exhausted")]


def test_a_stale_epoch_is_a_refusal_like_others_where_the_store_calls_it_stale():
    bench = Bench()
    bench.lease(1)
    bench.send(0, "suspend_execution", *suspension(1, epoch=2))
    assert bench.answers() == [(700, "stale_lease")]


def test_what_is_exhausted_has_written_nothing():
    bench = Bench()
    bench.suspend(1, names=("go",) * 4)
    for number in range(4):
        bench.send(0, "deliver_signal", *signal(1, number, "go"))
    codes = [code for _, code in bench.answers()]
    assert codes == ["OK", "OK", "OK", "retry_exhausted"]
    assert bench.store.conditions[301].satisfied == 3
    assert len(bench.store.signals[301].names) == 3
