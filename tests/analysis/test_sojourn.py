"""Where the time of an execution goes, by hand and in every shipped scenario."""

import numpy as np
import pytest

from sim.analysis.sojourn import PARTS, sojourns
from sim.ledger import BLOCKED, ENDED, GRANTED, LEASED, LOST, PARKED, REFUSED, WAITING, ExecutionLedger
from sim.levels import Level
from sim.link import OPS
from sim.scenario import shipped
from sim.store import OPERATIONS
from tests.scenarios.record import short_run

OP = {op.name: op.index for op in OPS}
CREATE, CLAIM, RECLAIM = OP["create_execution"], OP["claim_execution"], OP["reclaim_execution"]
CLAIM_RESUMED, CLAIM_NEXT = OP["claim_resumed_execution"], OP["claim_next"]
COMPLETE, FAIL, SUSPEND = OP["complete_execution"], OP["fail_execution"], OP["suspend_execution"]
GRANT, RECLAIM_GRANT, REQUEUE = (
    OP["issue_claim_grant"], OP["issue_reclaim_grant"], OP["requeue_lapsed_grant"],
)  # fmt: skip
BLOCK, UNBLOCK, ADMIT = (
    OP["block_execution_for_admission"], OP["unblock_execution"], OP["check_admission_and_record"],
)  # fmt: skip
MARK, CANCEL = OP["mark_lease_expired_if_due"], OP["cancel_execution"]
PROMOTE, SIGNAL = OP["promote_delayed"], OP["deliver_signal"]
SUCCESS, CANCELLED = ENDED, ENDED + 2


def split(changes, work=(), end_us=1000, execution=1):
    """Give the parts of one execution that are not 0, and all else that is known of it."""
    ledger = ExecutionLedger()
    for at_us, stage, op, *attempt in changes:
        if op == CREATE:
            ledger.created(execution, at_us, stage, op)
        else:
            ledger.changed(execution, at_us, stage, op, *attempt)
    for stretch in work:
        ledger.worked(execution, *stretch)
    found = sojourns(ledger.changes(end_us), ledger.stretches(), OPERATIONS, end_us)
    parts = dict(zip(PARTS, found.parts_us.sum(axis=0).tolist(), strict=True))
    return {part: time for part, time in parts.items() if time}, found


def test_a_quiet_life_waits_is_granted_and_worked_on():
    parts, found = split(
        [(10, WAITING, CREATE), (40, GRANTED, GRANT), (45, LEASED, CLAIM, 0), (95, SUCCESS, COMPLETE, 0)],
        [(1, 0, 50, 90)],
    )
    assert parts == {"waiting": 30, "granting": 5, "work": 50}
    assert (found.created_us[0], found.leased_us[0], found.finished_us[0]) == (10, 45, 95)
    assert (found.leases[0], found.outcome[0], found.worked_us[0], found.wasted_us[0]) == (1, 0, 40, 0)


def test_grants_that_come_to_nothing_are_contention_up_to_the_one_that_leads_to_the_lease():
    parts, _ = split([
        (0, WAITING, CREATE), (10, GRANTED, GRANT), (30, WAITING, REQUEUE), (60, GRANTED, GRANT),
        (62, GRANTED, GRANT), (65, LEASED, CLAIM, 0), (100, SUCCESS, COMPLETE, 0),
    ])  # fmt: skip
    assert parts == {"waiting": 10, "contention": 20 + 30 + 2, "granting": 3, "work": 35}


def test_a_refused_admission_is_contention_and_one_for_what_is_granted_already_is_not():
    parts, _ = split([
        (0, WAITING, CREATE), (10, REFUSED, ADMIT), (25, REFUSED, ADMIT), (30, GRANTED, GRANT),
        (31, REFUSED, ADMIT), (35, LEASED, CLAIM, 0), (36, REFUSED, ADMIT), (100, SUCCESS, COMPLETE, 0),
    ])  # fmt: skip
    assert parts == {"waiting": 10, "contention": 20, "granting": 5, "work": 65}


def test_an_admission_refused_before_the_creation_is_none_of_the_sojourn():
    parts, found = split([(5, REFUSED, ADMIT), (10, WAITING, CREATE), (30, CANCELLED, CANCEL)])
    assert (parts, found.created_us[0]) == ({"waiting": 20}, 10)
    _, nothing = split([(5, REFUSED, ADMIT)])
    assert nothing.execution.size == 0


def test_an_answer_of_another_partition_is_put_where_its_instant_belongs():
    """A quota's partition is busy until later: what is known first happened last."""
    parts, _ = split([
        (0, WAITING, CREATE), (40, REFUSED, ADMIT), (20, GRANTED, GRANT), (30, LEASED, CLAIM, 0),
        (100, SUCCESS, COMPLETE, 0),
    ])  # fmt: skip
    assert parts == {"waiting": 20, "granting": 10, "work": 70}


def test_blocked_at_an_admission_is_contention():
    parts, _ = split([(0, WAITING, CREATE), (10, BLOCKED, BLOCK),
                      (60, WAITING, UNBLOCK), (80, GRANTED, GRANT), (85, LEASED, CLAIM, 0),
                      (100, SUCCESS, COMPLETE, 0)])  # fmt: skip
    assert parts == {"waiting": 10, "contention": 70, "granting": 5, "work": 15}


def test_suspension_is_neither_work_nor_waiting():
    parts, found = split([
        (0, WAITING, CREATE), (10, LEASED, CLAIM, 0), (30, PARKED, SUSPEND, 0), (70, WAITING, SIGNAL, 0),
        (75, LEASED, CLAIM_RESUMED, 0), (90, SUCCESS, COMPLETE, 0),
    ], [(1, 0, 12, 28), (2, 0, 76, 88)])  # fmt: skip
    assert parts == {"waiting": 15, "work": 20 + 15, "suspended": 40}
    assert (found.worked_us[0], found.wasted_us[0]) == (28, 0)


def test_a_suspension_that_is_satisfied_at_once_leaves_the_lease_as_it_is():
    parts, found = split([
        (0, WAITING, CREATE), (10, LEASED, CLAIM, 0), (30, LEASED, SUSPEND, 0), (50, SUCCESS, COMPLETE, 0),
    ], [(1, 0, 12, 28), (1, 0, 31, 48)])  # fmt: skip
    assert (parts, found.leases[0], found.wasted_us[0]) == ({"waiting": 10, "work": 40}, 1, 0)


def test_a_dead_holders_work_is_redone_and_nobody_works_until_its_lease_is_taken_over():
    """Leased at 10, dead at 35, marked at 200, granted at 210, reclaimed at 220."""
    parts, found = split([
        (0, WAITING, CREATE), (10, LEASED, CLAIM, 0), (200, LOST, MARK, 0), (210, GRANTED, RECLAIM_GRANT),
        (220, LEASED, RECLAIM, 1), (300, SUCCESS, COMPLETE, 1),
    ], [(1, 0, 12, 35), (2, 1, 222, 298)])  # fmt: skip
    assert parts == {"waiting": 10 + 165 + 10, "redone": 25, "granting": 10, "work": 80}
    assert (found.worked_us[0], found.wasted_us[0], found.duplicated[0]) == (23 + 76, 23, False)


def test_a_holder_that_works_on_after_its_loss_makes_duplicate_work():
    parts, found = split([
        (0, WAITING, CREATE), (10, LEASED, CLAIM, 0), (200, LOST, MARK, 0), (210, GRANTED, RECLAIM_GRANT),
        (220, LEASED, RECLAIM, 1), (300, SUCCESS, COMPLETE, 1),
    ], [(1, 0, 12, 260), (2, 1, 222, 298)])  # fmt: skip
    assert parts == {"waiting": 10 + 10, "redone": 190, "granting": 10, "work": 80}
    assert (found.wasted_us[0], found.duplicated[0]) == (248, True)


def test_work_before_a_suspension_is_redone_when_the_attempt_is_lost_after_it():
    parts, found = split([
        (0, WAITING, CREATE), (10, LEASED, CLAIM, 0), (30, PARKED, SUSPEND, 0), (40, WAITING, SIGNAL, 0),
        (50, LEASED, CLAIM_RESUMED, 0), (90, LOST, MARK, 0), (95, GRANTED, RECLAIM_GRANT),
        (99, LEASED, RECLAIM, 1), (120, SUCCESS, COMPLETE, 1),
    ], [(1, 0, 10, 30), (2, 0, 50, 90), (3, 0, 99, 120)])  # fmt: skip
    assert parts == {"waiting": 25, "suspended": 10, "redone": 60, "granting": 4, "work": 21}
    assert found.wasted_us[0] == 60


def test_an_attempt_that_failed_and_is_tried_again_has_counted():
    parts, found = split([
        (0, WAITING, CREATE), (10, LEASED, CLAIM, 0), (30, PARKED, FAIL, 0), (50, WAITING, PROMOTE, 0),
        (55, LEASED, CLAIM, 1), (80, SUCCESS, COMPLETE, 1),
    ], [(1, 0, 10, 30), (2, 0, 55, 80)])  # fmt: skip
    assert parts == {"waiting": 15, "work": 45, "suspended": 20}
    assert found.wasted_us[0] == 0


def test_work_that_a_cancel_cuts_off_is_wasted_but_not_redone():
    parts, found = split(
        [(0, WAITING, CREATE), (10, LEASED, CLAIM, 0), (50, CANCELLED, CANCEL, 0)], [(1, 0, 12, 90)]
    )
    assert parts == {"waiting": 10, "work": 40}
    assert (found.worked_us[0], found.wasted_us[0]) == (78, 78)


def test_a_lapsed_lease_that_was_put_back_is_wasted_though_its_attempt_goes_on():
    """Postgres: the same attempt, resumed under the next lease."""
    parts, found = split([
        (0, WAITING, CREATE), (10, LEASED, CLAIM_NEXT, 0), (50, WAITING, MARK, 0),
        (60, LEASED, CLAIM_NEXT, 0), (90, SUCCESS, COMPLETE, 0),
    ], [(1, 0, 12, 40), (2, 1, 61, 88)])  # fmt: skip
    assert parts == {"waiting": 10 + 10 + 10, "redone": 30, "work": 30}
    assert found.wasted_us[0] == 28


def test_what_goes_on_at_the_end_of_the_run_is_split_up_to_there():
    parts, found = split([(0, WAITING, CREATE), (10, LEASED, CLAIM, 0)], [(1, 0, 12, 1000)])
    assert parts == {"waiting": 10, "work": 990}
    assert (found.finished_us[0], found.outcome[0], found.wasted_us[0]) == (-1, -1, 0)


def test_two_slots_of_one_worker_are_not_two_workers():
    changes = [(0, WAITING, CREATE), (10, LEASED, CLAIM, 0), (20, LOST, MARK, 0), (30, LEASED, RECLAIM, 1)]
    for second, duplicated in ((0, False), (1, True)):
        _, found = split(changes, [(1, 0, 12, 40), (2, second, 32, 60)])
        assert found.duplicated[0] == duplicated
    _, after_another = split(changes, [(1, 0, 12, 40), (2, 1, 40, 60)])
    assert not after_another.duplicated[0]


def test_no_executions_give_an_empty_table():
    ledger = ExecutionLedger()
    found = sojourns(ledger.changes(10), ledger.stretches(), OPERATIONS, 10)
    assert found.parts_us.shape == (0, len(PARTS))


def test_executions_are_independent_of_one_another_and_of_the_chunks(monkeypatch):
    """The rows of many executions, interleaved, in chunks of a few rows: as each by itself."""
    ledger = ExecutionLedger()
    for number in range(20):
        ledger.created(number, number, WAITING, CREATE)
    for number in range(20):
        ledger.changed(number, 20 + number, LEASED, CLAIM, 0)
    for number in range(20):
        ledger.changed(number, 30 + 2 * number, SUCCESS, COMPLETE, 0)
    monkeypatch.setattr("sim.analysis.sojourn._CHUNK_ROWS", 7)
    levels = [Level(np.array([0, 100])) for _ in PARTS]
    found = sojourns(ledger.changes(100), ledger.stretches(), OPERATIONS, 100, levels)
    assert found.parts_us.tolist() == [[20, 0, 0, 10 + number, 0, 0] for number in range(20)]
    assert [int(level.integral_us.sum()) for level in levels] == found.parts_us.sum(axis=0).tolist()


@pytest.mark.parametrize("name", shipped())
def test_the_parts_of_every_execution_sum_to_its_sojourn(name):
    """To the microsecond, in every shipped scenario; and every level is that of the records."""
    run = short_run(name)
    rows, series = run.executions.to_pandas(), run.series.to_pandas()
    end_us = int(series["to_us"].max())
    parts = rows[[f"{part}_us" for part in PARTS]]
    until_us = rows["finished_us"].fillna(end_us).astype("int64")
    assert (parts >= 0).all(axis=None)
    assert (parts.sum(axis=1) == until_us - rows["created_us"]).all()
    assert (rows["wasted_us"] <= rows["worked_us"]).all()
    integrals = series.groupby(["series", "label"], observed=True)["integral_us"].sum()
    assert [integrals["executions", part] for part in PARTS] == parts.sum().tolist()
    assert integrals["workers_at_work", ""] == rows["worked_us"].sum()
    intents = run.intents.to_pandas()
    assert integrals["intents"].sum() == (intents["end_us"] - intents["start_us"]).sum()
