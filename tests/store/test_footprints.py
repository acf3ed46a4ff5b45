"""What each operation locks, reads and writes as a transaction: the table itself, and who may omit what."""

from itertools import groupby

import pytest

from sim.store import OPERATIONS, Ok, Refused, Store
from sim.store.footprints import PARAMETERS, PLANS, has_written
from sim.store.records import Condition
from tests.store.cases import grant, lease, skipped_child, suspend

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


def carried_out(store, op, **arguments):
    """Write what a call would do, row by row: the letter, the table, the key."""
    return [
        f"{LETTERS[step.access]} {table} {key}"
        for step in PLAN[op].carried_out(store, arguments)
        for table, key in step.rows(store, arguments)
    ]


SIGNAL = ["L waitpoint wp1", "R hmac 0", "L suspension e1", "W suspension e1", "R exec e1"]


def test_a_signal_writes_its_execution_where_it_resumes_it():
    store = Store()
    call = {"execution": "e1", "waitpoint": "wp1", "name": "go"}
    assert carried_out(store, "deliver_signal", **call) == SIGNAL
    suspend(store, 0, lease(store, 0), condition={"names": ["go"], "mode": "any"})
    assert carried_out(store, "deliver_signal", **{**call, "name": "stop"}) == SIGNAL
    resumed = carried_out(store, "deliver_signal", **call)
    assert resumed == [*SIGNAL[:4], "W exec e1", "W waitpoint wp1", "R exec e1"]
    store.deliver_signal(0, "e1", "wp1", "sg1", "go")
    assert carried_out(store, "deliver_signal", **call) == SIGNAL


def test_a_cancellation_writes_the_attempt_where_there_is_a_lease():
    store = Store()
    assert carried_out(store, "cancel_execution", execution="e1") == ["L exec e1", "W exec e1"]
    grant(store, 0)
    assert carried_out(store, "cancel_execution", execution="e1") == ["L exec e1", "W exec e1"]
    lease(store, 0, "e2")
    assert carried_out(store, "cancel_execution", execution="e2") == [
        "L exec e2", "W exec e2", "W attempt e2", "R exec e2",
    ]  # fmt: skip


def test_a_replay_reads_the_edges_where_a_skipped_member_waits_again():
    store = Store()
    plain = ["L exec e2", "L attempt e2", "W exec e2", "W attempt e2"]
    assert carried_out(store, "replay_execution", execution="e2") == plain
    skipped_child(store, 0)
    skipped = ["L exec e2", "L attempt e2", "R edge None", "W edge_group e2", "W exec e2", "W attempt e2"]
    assert carried_out(store, "replay_execution", execution="e2") == skipped
    assert store.compact("e2")
    assert carried_out(store, "replay_execution", execution="e2") == skipped
    store.cancel_execution(0, "e1")
    assert carried_out(store, "replay_execution", execution="e1") == [
        row.replace("e2", "e1") for row in plain
    ]
    store.create_execution(0, "e3", "A")
    store.apply_dependency_to_child(0, "f1", "ed2", "e1", "e3")
    store.resolve_dependency(0, "f1", "ed2", "e1", "e3", "failed")
    assert store.dimensions("e3")["terminal_outcome"] == "skipped"
    assert carried_out(store, "replay_execution", execution="e3") == [
        row.replace("e2", "e3") for row in plain
    ]


def test_a_resolution_writes_the_child_where_it_decides_about_it():
    store = Store()

    def of(edge, outcome="success"):
        return carried_out(store, "resolve_dependency", downstream="e1", edge=edge, outcome=outcome)

    settled = ["L edge_group e1", "W edge_group e1", "W exec e1"]
    assert of("ed1") == settled[:2]
    store.create_execution(0, "e1", "A")
    for edge in ("ed1", "ed2"):
        store.apply_dependency_to_child(0, "f1", edge, "e0", "e1")
    assert (of("ed1"), of("ed1", "failed"), of("ed9", "failed")) == (settled[:2], settled, settled[:2])
    store.resolve_dependency(0, "f1", "ed1", "e0", "e1", "success")
    assert (of("ed1", "failed"), of("ed2")) == (settled[:2], settled)


@pytest.mark.parametrize("key", [None, "k1"])
@pytest.mark.parametrize("use_pending", [False, True])
def test_a_suspension_reads_its_key_and_its_waitpoint_where_it_has_them(key, use_pending):
    call = {"execution": "e1", "waitpoint": "wp1", "idempotency_key": key, "use_pending": use_pending}
    assert carried_out(Store(), "suspend_execution", **call) == [
        *(["R suspend_dedup ('e1', 'k1')"] if key else []), "L attempt e1", "R hmac 0",
        *(["R waitpoint wp1"] if use_pending else []), "W waitpoint wp1", "W suspension e1", "W exec e1",
        "W attempt e1", "R exec e1", *(["W suspend_dedup ('e1', 'k1')"] if key else []),
    ]  # fmt: skip


@pytest.mark.parametrize(("cap", "counted"), [(0, []), (1, ["W quota_policy q1"])])
def test_an_admission_counts_where_there_is_a_cap(cap, counted):
    call = {"quota": "q1", "execution": "e1", "concurrency_cap": cap}
    assert carried_out(Store(), "check_admission_and_record", **call) == [
        "L quota_admitted e1", "R quota_window None", "R quota_window None", "L quota_policy q1",
        "I quota_window q1", "W quota_admitted e1", *counted,
    ]  # fmt: skip


def test_the_cancellation_of_a_flow_writes_its_members_in_order():
    store = Store()
    assert carried_out(store, "cancel_flow", flow="f1") == [
        "L flow f1", "W flow f1", "W backlog f1", "R exec None",
    ]  # fmt: skip
    store.create_flow(0, "f1")
    for execution in ("e2", "e1"):
        store.create_execution(0, execution, "A")
        store.add_execution_to_flow(0, "f1", execution)
    assert carried_out(store, "cancel_flow", flow="f1")[4:] == [
        "I backlog_member e1", "I backlog_member e2", "W exec e1", "W exec e2",
    ]  # fmt: skip


def test_what_a_caller_is_told_whose_last_attempt_fails():
    assert {op: PLAN[op].code_when_lost for op in ("cancel_flow", "reset_budget")} == {
        "cancel_flow": "retry_exhausted", "reset_budget": "lease_conflict",
    }  # fmt: skip


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
