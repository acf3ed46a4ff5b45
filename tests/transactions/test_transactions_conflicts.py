"""Sessions, row locks, first updater wins, dangerous structures, deadlocks: exact instants."""

import pytest

from sim.store import POSTGRES, StoreRules
from tests.transactions.bench import Bench, end, renewal, signal, suspension

PARTITION = StoreRules(transactions="serializable", conflict_granularity="partition")


# --- sessions ------------------------------------------------------------------------------------------


def test_a_transaction_waits_for_a_session_first_come_first_served():
    bench = Bench(connections=2)
    bench.create(1, 2, 3)
    for execution in (1, 2, 3):
        bench.send(0, "change_priority", execution, 5)
    bench.send(10, "describe", 1)
    # Three statements each; the third begins when a session is free, the read after the next commit.
    assert bench.answers() == [(300, "OK"), (300, "OK"), (600, "OK"), (400, "OK")]


def test_a_session_is_free_during_the_pause_before_another_attempt():
    bench = Bench(connections=2)
    bench.create(1)
    bench.send(0, "change_priority", 1, 5)
    bench.send(0, "change_priority", 1, 6)
    bench.send(10, "describe", 1)
    bench.send(300, "describe", 1)
    # The second loses at 300 and pauses for 5 ms: both sessions serve reads meanwhile.
    assert bench.answers() == [(300, "OK"), (5600, "OK"), (400, "OK"), (400, "OK")]


def test_an_operation_takes_effect_at_its_commit():
    bench = Bench(request="10us", reply="20us")
    bench.lease(1)
    bench.send(0, "complete_execution", *end(1))
    assert bench.run() == [(0, "complete_execution", 0, 430, "OK")]
    assert bench.ledger.finished_us[1] == 410
    assert bench.store.find(1).changed[2] == 410


def test_a_caller_gives_up_at_its_time_out_and_the_transaction_goes_on():
    bench = Bench(timeout="350us")
    bench.lease(1, 2)
    bench.send(0, "complete_execution", *end(1))
    bench.send(100, "describe", 1)
    bench.send(0, "renew_lease", *renewal(2))
    bench.send(0, "complete_execution", *end(2))
    assert bench.answers() == [(350, "unknown"), (200, "OK"), (350, "unknown"), (350, "unknown")]
    phases = [bench.store.dimensions(execution)["lifecycle_phase"] for execution in (1, 2)]
    assert phases == ["terminal", "terminal"]


def test_a_request_later_than_its_callers_time_out_is_carried_out_all_the_same():
    bench = Bench(request="400us", timeout="350us")
    bench.create(1)
    bench.send(0, "change_priority", 1, 5)
    assert bench.answers() == [(350, "unknown")]
    assert bench.store.executions[1].priority == 5


def test_a_reply_later_than_the_time_out_is_none():
    bench = Bench(reply="100us", timeout="350us")
    bench.create(1)
    bench.send(0, "change_priority", 1, 5)
    assert bench.answers() == [(350, "unknown")]


# --- first updater wins ----------------------------------------------------------------------------------


def test_who_waited_for_a_row_that_was_changed_is_aborted_and_tried_again():
    bench = Bench()
    bench.create(1)
    bench.send(0, "change_priority", 1, 5)
    bench.send(50, "change_priority", 1, 6)
    # Aborted at the rival's commit (300), again 5 ms later, three statements.
    assert bench.answers() == [(300, "OK"), (5600, "OK")]
    assert bench.store.executions[1].priority == 6


def test_who_waited_for_a_row_that_was_only_locked_goes_on():
    bench = Bench()
    bench.suspend(1)
    bench.send(0, "deliver_signal", *signal(1, 1))
    bench.send(0, "deliver_signal", *signal(1, 2))
    # The waitpoint was only locked: the second goes on at 500, reads the key, and finds at 700 that the
    # suspension was changed. Without a pause: five statements from there.
    assert bench.answers() == [(500, "OK"), (1200, "OK")]


def test_who_waited_for_a_refused_operation_goes_on():
    bench = Bench()
    bench.lease(1)
    bench.send(0, "change_priority", 1, 5)
    bench.send(50, "revoke_lease", 1)
    assert bench.answers() == [(300, "execution_not_eligible"), (800, "OK")]


def test_who_waited_for_an_operation_that_found_its_work_done_goes_on():
    bench = Bench()
    bench.lease(1)
    bench.send(0, "mark_lease_expired_if_due", 1)
    bench.send(250, "revoke_lease", 1)
    assert bench.answers() == [(400, "ALREADY_SATISFIED"), (900, "OK")]


def test_a_row_changed_since_the_snapshot_aborts_at_once():
    bench = Bench()
    bench.lease(1)
    bench.send(0, "renew_lease", *renewal(1))
    bench.send(350, "reclaim_execution", 1, 9, 1, 10, 2)
    # Its snapshot is of 350, the renewal's commit of 400; it comes to the execution's row at 450, which
    # nobody holds. The second attempt takes six statements from 5450 on.
    assert bench.answers() == [(400, "OK"), (6050, "execution_not_reclaimable")]


def test_waiters_get_a_row_in_the_order_in_which_they_came():
    bench = Bench()
    bench.lease(1)
    for at_us in (0, 20, 10):
        bench.send(at_us, "renew_lease", *renewal(1))
    assert bench.run() == [
        (0, "renew_lease", 0, 400, "OK"),
        (2, "renew_lease", 10, 800, "OK"),
        (1, "renew_lease", 20, 1200, "OK"),
    ]


def test_read_committed_waits_and_sees_what_is_there():
    bench = Bench()
    bench.flow(50, 1, 2, 3)
    revision = bench.store.flows[50].graph_revision
    bench.send(0, "stage_dependency_edge", 50, 900, 1, 2, revision)
    bench.send(10, "stage_dependency_edge", 50, 901, 2, 3, revision)
    assert bench.answers() == [(300, "OK"), (600, "stale_graph_revision")]
    assert bench.rivals() == [("caller/1", "caller/0", "stage_dependency_edge", 300)]


def test_read_committed_changes_abort_serializable_ones():
    bench = Bench()
    bench.lease(1)
    bench.send(0, "renew_lease", *renewal(1))
    bench.send(50, "suspend_execution", *suspension(1))
    # Aborted at 400, at once again, seven statements.
    assert bench.answers() == [(400, "OK"), (1100, "OK")]


# --- dangerous structures --------------------------------------------------------------------------------


def test_predicates_make_two_overlapping_cancels_of_flows_conflict():
    bench = Bench()
    bench.flow(50, 1)
    bench.flow(51, 2)
    bench.send(0, "cancel_flow", 50)
    bench.send(10, "cancel_flow", 51)
    # Both read every execution of the partition and write their own: the later committer pauses 5 ms.
    assert bench.answers() == [(700, "OK"), (6410, "OK")]


def test_the_same_one_after_the_other_do_not():
    bench = Bench()
    bench.flow(50, 1)
    bench.flow(51, 2)
    bench.send(0, "cancel_flow", 50)
    bench.send(700, "cancel_flow", 51)
    assert bench.answers() == [(700, "OK"), (1400, "OK")]


def test_reads_and_writes_one_way_only_are_no_danger():
    bench = Bench()
    bench.flow(50, 1)
    bench.create(2)
    bench.send(0, "cancel_flow", 50)  # reads every execution
    bench.send(10, "change_priority", 2, 5)  # writes one, and reads none that the other writes
    assert bench.answers() == [(700, "OK"), (310, "OK")]


def test_what_a_commit_read_is_no_danger_to_who_reads_nothing_of_it():
    bench = Bench()
    bench.flow(50, 1)
    bench.create(2)
    bench.send(0, "cancel_flow", 50)
    bench.send(600, "change_priority", 2, 5)  # writes what the other, which commits first, has read
    assert bench.answers() == [(700, "OK"), (900, "OK")]


def test_what_was_committed_before_the_snapshot_is_no_conflict_however_long_it_is_remembered():
    bench = Bench(PARTITION)
    bench.lease(1)
    bench.create(2, 3)
    bench.send(0, "change_priority", 3, 5)
    bench.send(10, "suspend_execution", *suspension(1))  # begun before that, it keeps the memory of it
    bench.send(320, "change_priority", 3, 6)
    bench.send(320, "revoke_lease", 1)
    assert bench.answers()[2] == (620, "OK")


def test_nothing_is_remembered_that_nobody_can_conflict_with():
    bench = Bench(PARTITION)
    bench.lease(1)
    bench.create(2, 3)
    for number, execution in enumerate((2, 3, 2, 3)):
        bench.send(50 * number, "change_priority", execution, number)
        bench.send(50 * number, "renew_lease", *renewal(1))
    bench.run()
    assert not bench.server._history and not bench.server._newest
    assert not bench.server._holders and not bench.server._waiting


def test_by_row_two_executions_are_strangers_and_by_partition_they_are_not():
    for rules, second in ((None, (310, "OK")), (PARTITION, (5610, "OK"))):
        bench = Bench(rules)
        bench.create(1, 2)
        bench.send(0, "change_priority", 1, 5)
        bench.send(10, "change_priority", 2, 5)
        assert bench.answers() == [(300, "OK"), second]


def test_read_committed_ones_are_in_no_dangerous_structure():
    bench = Bench(PARTITION)
    bench.create(1, 2)
    bench.send(0, "issue_claim_grant", 1, 7, "main", 10)  # locks and writes among the executions
    bench.send(250, "change_priority", 2, 5)
    assert bench.answers() == [(300, "OK"), (550, "OK")]


# --- deadlock --------------------------------------------------------------------------------------------


def test_a_deadlock_that_read_committed_closes_comes_out_after_a_second():
    bench = Bench()
    bench.lease(1)
    bench.send(0, "complete_execution", *end(1))  # attempt, then at 200 exec
    bench.send(50, "revoke_lease", 1)  # exec, then at 150 attempt
    assert bench.answers() == [(1_000_200, "lease_conflict"), (1_000_600, "OK")]
    # The rival is who holds the row, since it began.
    assert bench.rivals() == [("caller/0", "caller/1", "revoke_lease", 1_000_150)]


def test_a_deadlock_that_serializable_closes_is_tried_again():
    bench = Bench()
    bench.lease(1)
    bench.send(0, "complete_execution", *end(1))
    bench.send(150, "revoke_lease", 1)  # exec at 150, wanted by the other at 200; attempt at 250
    assert bench.answers() == [(1_000_450, "OK"), (1_005_750, "execution_not_active")]


def test_waiting_long_is_no_deadlock():
    bench = Bench(statement=iter([2_000_000] * 4 + [100] * 4))
    bench.lease(1)
    bench.send(0, "renew_lease", *renewal(1))
    bench.send(10, "renew_lease", *renewal(1))
    assert bench.answers() == [(8_000_000, "OK"), (8_000_400, "OK")]


def test_who_waits_for_a_deadlock_of_others_gets_the_row_in_turn():
    bench = Bench()
    bench.lease(1)
    bench.send(0, "complete_execution", *end(1))
    bench.send(50, "revoke_lease", 1)
    bench.send(300, "promote_delayed", 1)  # exec, held by revoke_lease
    assert bench.answers()[2] == (1_000_800, "OK")


# --- claim_next ------------------------------------------------------------------------------------------


def test_claim_next_passes_over_what_is_locked():
    bench = Bench(POSTGRES)
    bench.create(1, 2, 3)
    bench.send(350, "change_priority", 1, 0)  # holds execution 1 from 350 to 650
    for lease, at_us in ((100, 0), (101, 100), (102, 200), (103, 300)):
        bench.send(at_us, "claim_next", 7, "main", lease, 10_000, 200 + lease)
    assert [code for _, code in bench.answers()] == ["OK", "OK", "OK", "no_eligible_execution", "OK"]
    taken = [bench.outcomes[caller].values["execution"] for caller in (1, 2, 4)]
    assert taken == [2, 3, 1]


def test_what_claim_next_leased_has_changed():
    bench = Bench(POSTGRES)
    bench.create(1)
    bench.send(0, "claim_next", 7, "main", 100, 10_000, 200)
    bench.send(350, "reclaim_execution", 1, 9, 1, 10, 2)  # comes to the execution's row at 450
    bench.run()
    assert bench.log[1][3:] == (6050, "execution_not_reclaimable")


@pytest.mark.parametrize("connections", [1, 3])
def test_claims_side_by_side_lease_different_executions(connections):
    bench = Bench(POSTGRES, connections=connections)
    bench.create(1, 2)
    for lease in (100, 101, 102):
        bench.send(0, "claim_next", 7, "main", lease, 10_000, 200 + lease)
    bench.run()
    assert [bench.outcomes[caller].values.get("execution") for caller in (0, 1, 2)] == [1, 2, None]
    assert bench.outcomes[2].code == "no_eligible_execution"
