"""The ledger: what was taken down comes out again, and an execution ends once."""

import pytest

from sim.ledger import (
    BLOCKED,
    ENDED,
    LEASED,
    LOST,
    OUTCOMES,
    PARKED,
    WAITING,
    ExecutionLedger,
    stage_of,
)
from sim.store import state


def test_changes_and_work_come_out_as_they_went_in():
    ledger = ExecutionLedger()
    ledger.created(7, 100, WAITING, op=3)
    ledger.changed(7, 120, LEASED, op=4, attempt=0)
    ledger.worked(7, epoch=1, actor=2, from_us=130, to_us=180)
    assert ledger.changes(1000).tolist() == [(7, 100, -1, WAITING, 3), (7, 120, 0, LEASED, 4)]
    assert ledger.stretches().tolist() == [(7, 130, 180, 1, 2)]


def test_who_waits_for_an_end_hears_of_it():
    ledger, heard, ends = ExecutionLedger(), [], []
    ledger.on_end = lambda execution, at_us: ends.append((execution, at_us))
    ledger.watch(2, heard.append)
    for execution in (2, 0):
        ledger.created(execution, 100, WAITING, op=0)
    for execution, at_us in ((2, 230), (0, 250)):
        ledger.changed(execution, at_us, ENDED + 1, op=0)
    assert heard == [230]
    assert ends == [(2, 230), (0, 250)]


def test_what_an_execution_is_can_be_looked_up_at_any_time():
    ledger = ExecutionLedger()
    ledger.created(2, 100, WAITING, op=0)
    ledger.created(0, 150, WAITING, op=0)
    ledger.changed(2, 230, ENDED + OUTCOMES.index("cancelled"), op=1)
    assert ledger.created_us.tolist() == [150, -1, 100]
    assert ledger.finished_us.tolist() == [-1, -1, 230]
    assert ledger.outcome.tolist() == [-1, -1, 2]


@pytest.mark.parametrize(
    ("vector", "stage"),
    [
        (state.CREATED, WAITING),
        (state.RESUMED, WAITING),
        (state.LEASED, LEASED),
        (state.LAPSED, LOST),
        (state.REVOKED, LOST),
        (state.SUSPENDED, PARKED),
        (state.BACKING_OFF, PARKED),
        (state.WAITING_CHILDREN_AS[state.AttemptState.NONE], PARKED),
        (state.BLOCKED_AS["waiting_for_quota"][state.AttemptState.NONE], BLOCKED),
        (state.COMPLETED, ENDED + OUTCOMES.index("success")),
        (state.FAILED, ENDED + OUTCOMES.index("failed")),
        (state.CANCELLED_AS[state.AttemptState.NONE], ENDED + OUTCOMES.index("cancelled")),
        (state.EXPIRED_AS[state.AttemptState.NONE], ENDED + OUTCOMES.index("expired")),
        (state.SKIPPED_AS[state.AttemptState.NONE], ENDED + OUTCOMES.index("skipped")),
    ],
)
def test_a_stage_follows_from_the_seven_dimensions(vector, stage):
    assert stage_of(vector.words) == stage


def test_what_would_happen_after_the_end_of_the_run_is_no_part_of_it():
    """At a busy store an operation arrives before the end and takes effect after it."""
    ledger = ExecutionLedger()
    ledger.changed(7, 99, WAITING, 3)
    ledger.changed(8, 100, WAITING, 3)
    assert ledger.changes(100)["execution"].tolist() == [7]
