"""What each operation locks, reads and writes as a transaction: the table itself, and who may omit what."""

from itertools import groupby

import pytest

from sim.store import OPERATIONS, Ok, Refused, Store
from sim.store.footprints import PARAMETERS, PLANS, has_written
from sim.store.records import Condition

PLAN = dict(zip(OPERATIONS, PLANS, strict=True))
LETTERS = {"lock": "L", "read": "R", "write": "W", "insert": "I"}


def shown(plan):
    """Write a plan as its source does: what is conditional in brackets, a predicate with a star."""
    parts = []
    for when, steps in groupby(plan.steps, key=lambda step: step.when):
        words = " · ".join(
            f"{LETTERS[step.access]} {step.table}{'*' if step.keys is None and step.table else ''}".rstrip()
            for step in steps
        )
        parts.append(words if when is None else f"[{words}]")
    return " · ".join(parts)


@pytest.mark.parametrize(
    ("op", "statements"),
    [
        ("suspend_execution", "[R suspend_dedup] · L attempt · R hmac · [R waitpoint] · W waitpoint · "
         "W suspension · W exec · W attempt · R exec · [W suspend_dedup]"),
        ("deliver_signal", "L waitpoint · R hmac · L suspension · W suspension · "
         "[W exec · W waitpoint · I] · R exec"),
        ("cancel_flow", "L flow · W flow · W backlog · R exec* · I backlog_member · W exec · I"),
        ("ack_cancel_member", "W backlog_member · R backlog_member* · W backlog"),
        ("cancel_execution", "L exec · W exec · [W attempt · R exec]"),
        ("revoke_lease", "L exec · L attempt · W attempt · W exec · I"),
        ("replay_execution", "L exec · L attempt · [R edge* · W edge_group] · W exec · W attempt · I"),
        ("change_priority", "L exec · W exec · I"),
        ("resolve_dependency", "L edge_group · W edge_group · [W exec · I]"),
        ("check_admission_and_record", "L quota_admitted · R quota_window* · R quota_window* · "
         "L quota_policy · I quota_window · W quota_admitted · [W quota_policy]"),
        ("reclaim_execution", "L grant · L exec · W attempt · W exec · W grant · I"),
        ("complete_execution", "L attempt · W attempt · W exec · I"),
    ],
)  # fmt: skip
def test_statements(op, statements):
    assert shown(PLAN[op]) == statements


def test_isolation_and_pauses():
    serializable = {op: plan.pauses_us for op, plan in PLAN.items() if plan.serializable}
    paused = (5_000, 10_000)
    assert serializable == {
        "suspend_execution": (0, 0),
        "deliver_signal": (0, 0),
        **dict.fromkeys(
            ("cancel_flow", "ack_cancel_member", "cancel_execution", "revoke_lease", "change_priority",
             "replay_execution", "issue_reclaim_grant", "reclaim_execution", "resolve_dependency"), paused),
        "check_admission_and_record": (),
        "reset_budget": (),
    }  # fmt: skip
    assert all(plan.pauses_us == () for plan in PLANS if not plan.serializable)


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_key_is_an_argument_of_its_operation(op):
    arguments = dict.fromkeys(PARAMETERS[OPERATIONS.index(op)], 1)
    store = Store()
    assert PLAN[op].steps
    for step in PLAN[op].steps:
        assert all(table == step.table for table, _ in step.rows(store, arguments))
        if step.when is not None:
            step.when(store, arguments)


def test_reads_lock_and_write_nothing():
    reads = [op for op in OPERATIONS if op.startswith("read_") or op in ("describe", "eligible_set")]
    assert {shown(PLAN[op]) for op in reads} == {"R exec*"}


@pytest.mark.parametrize(
    ("op", "outcome", "written"),
    [
        ("complete_execution", Ok({"outcome": "completed"}), True),
        ("complete_execution", Refused("complete_execution", "stale_lease"), False),
        ("complete_execution", Refused("complete_execution", "lease_expired"), True),
        ("reclaim_execution", Refused("reclaim_execution", "max_retries_exhausted"), True),
        ("create_execution", Ok({"execution": 1}, "DUPLICATE"), False),
        ("deliver_signal", Ok({"signal": 1}, "DUPLICATE"), False),
        ("suspend_execution", Ok({"suspension": 1}, "ALREADY_SATISFIED"), True),
        ("create_flow", Ok({"flow": 1}, "ALREADY_SATISFIED"), False),
        ("check_admission_and_record", Ok(code="ADMITTED"), True),
        ("check_admission_and_record", Ok(code="ALREADY_ADMITTED"), False),
        ("promote_delayed", Ok({"outcome": "not_yet_due"}), False),
        ("promote_delayed", Ok({"outcome": "promoted"}), True),
        ("resolve_dependency", Ok({"resolution": "already_resolved"}), False),
        ("resolve_dependency", Ok({"resolution": "satisfied"}), True),
        ("apply_dependency_to_child", Ok({"already_applied": True}), False),
        ("apply_dependency_to_child", Ok({"already_applied": False}), True),
        ("expire_suspension", Ok({"outcome": "no_active_suspension_cleaned"}), False),
        ("report_usage_and_check", Ok(code="SOFT_BREACH"), True),
        ("report_usage_and_check", Ok(code="HARD_BREACH"), False),
    ],
)
def test_whether_an_outcome_has_written(op, outcome, written):
    assert has_written(op, outcome) is written


@pytest.mark.parametrize(
    ("names", "mode", "min_count", "name", "would_do"),
    [
        (["go"], "all", 1, "go", True),
        (["go"], "all", 1, "other", False),
        (["go", "on"], "all", 1, "go", False),
        (["go", "on"], "any", 1, "on", True),
        ([], "any", 1, "whatever", True),
        (["", "go"], "count", 2, "go", False),
    ],
)
def test_a_condition_is_asked_what_it_then_does(names, mode, min_count, name, would_do):
    condition = Condition(names, mode, min_count)
    assert condition.is_met_with(name) is would_do
    condition.feed(name)
    assert condition.is_met is would_do
