"""What schedulers, scanners and builders read. Reads change nothing."""

import pytest

from sim.store import OPERATIONS, PRESETS, VALKEY, Store
from tests.store.cases import eligible, grant, lease, skipped_child, suspend
from tests.store.snapshot import snapshot


@pytest.fixture(params=PRESETS.values(), ids=PRESETS)
def store(request):
    return Store(request.param)


def test_the_head_of_the_eligible_set_says_who_was_interrupted(store):
    store.create_execution(0, "e2", "A")
    store.create_execution(0, "e3", "A", priority=1)
    store.delay_execution(0, "e1", *lease(store, 0), 0)
    store.promote_delayed(0, "e1")
    assert store.read_eligible(0, "A", 9).values["candidates"] == [("e3", False), ("e1", True), ("e2", False)]
    assert store.read_eligible(0, "A", 1).values["candidates"] == [("e3", False)]


def test_nothing_eligible_is_refused_on_the_last_read_of_a_scan_only(store):
    assert store.read_eligible(0, "A", 9).values["candidates"] == []
    refused = store.read_eligible(0, "A", 9, None, True)
    assert (refused.code, refused.kind.value) == ("no_eligible_execution", "no_eligible_execution")
    store.create_execution(0, "e1", "A")
    assert store.read_eligible(0, "A", 9, None, True).ok


def test_due_indexes_are_read_in_order_and_bounded(store):
    for number in range(5):
        store.create_execution(0, f"e{number}", "A", delay_until=20 - number)
    assert store.read_due_delayed(18, "A", 2).values["due"] == ["e4", "e3"]
    assert store.read_due_delayed(18, "A", 9).values["due"] == ["e4", "e3", "e2"]
    assert store.read_due_delayed(18, "B", 9).values["due"] == []


def test_leases_come_by_their_end(store):
    for number in (1, 2, 3):
        lease(store, 0, f"e{number}", ttl_ms=40 - 10 * number)
    assert store.read_leases(0, 2).values["due"] == ["e3", "e2"]
    assert store.read_lapsed_leases(10, 2).values["due"] == ["e3"]


def test_open_flows_come_newest_first(store):
    for flow in ("f1", "f2", "f3"):
        store.create_flow(0, flow)
    store.cancel_flow(0, "f2")
    assert store.read_open_flows(0, 9).values["flows"] == ["f3", "f1"]
    assert store.read_open_flows(0, 1).values["flows"] == ["f3"]


def test_open_flows_are_looked_for_among_the_newest_thousand(store):
    for flow in range(1001):
        store.create_flow(0, flow)
    for flow in range(2, 1001):
        store.cancel_flow(0, flow)
    assert store.read_open_flows(0, 9).values["flows"] == [1]


def test_blocked_executions_come_longest_blocked_first(store):
    for number in (1, 2, 3):
        store.create_execution(0, f"e{number}", "A")
    for now_ms, execution in ((3, "e1"), (1, "e2"), (2, "e3")):
        store.block_execution_for_admission(now_ms, execution, "waiting_for_budget")
    assert store.read_blocked(9, "A", "blocked_by_budget", 2).values["due"] == ["e2", "e3"]
    assert store.read_blocked(9, "A", "blocked_by_quota", 2).values["due"] == []
    assert store.read_blocked(9, "B", "blocked_by_quota", 2).values["due"] == []


def test_marked_leases_stay_in_front_of_newer_lapses_in_the_library():
    store = Store(VALKEY)
    for number in (1, 2, 3):
        lease(store, number, f"e{number}", ttl_ms=10, lease_id=f"ls{number}", attempt_id=f"at{number}")
    store.mark_lease_expired_if_due(99, "e1")
    assert store.read_lapsed_leases(99, 2).values["due"] == ["e1", "e2"]
    store.cancel_execution(99, "e1")
    assert store.read_lapsed_leases(99, 2).values["due"] == ["e2", "e3"]


def test_unresolved_dependencies_are_those_whose_upstream_has_ended(store):
    store.create_flow(0, "f1")
    for execution in ("e1", "e2", "e3", "e4"):
        store.create_execution(0, execution, "A")
        store.add_execution_to_flow(0, "f1", execution)
    for edge, upstream in (("ed1", "e1"), ("ed2", "e2"), ("ed3", "e3")):
        store.apply_dependency_to_child(0, "f1", edge, upstream, "e4")
    assert store.read_unresolved(0, "A", 9, 9).values["due"] == []
    store.cancel_execution(0, "e1")
    store.expire_execution(0, "e3")
    assert store.read_unresolved(0, "A", 9, 9).values["due"] == [
        ("f1", "ed1", "e1", "e4", "cancelled"), ("f1", "ed3", "e3", "e4", "expired"),
    ]  # fmt: skip
    assert store.read_unresolved(0, "A", 9, 1).values["due"] == [("f1", "ed1", "e1", "e4", "cancelled")]
    assert store.compact("e1")
    assert store.read_unresolved(0, "A", 9, 1).values["due"] == [("f1", "ed1", "e1", "e4", "cancelled")]
    assert store.read_unresolved(0, "B", 9, 9).values["due"] == []


def test_an_upstream_that_never_existed_is_no_news(store):
    store.create_execution(0, "e1", "A")
    store.apply_dependency_to_child(0, "f1", "ed1", "e9", "e1")
    assert store.read_unresolved(0, "A", 9, 9).values["due"] == []


def test_downstream_edges_and_the_outcome_that_they_wait_for(store):
    skipped_child(store, 0)
    assert store.read_downstream(0, "e1").values == {
        "outcome": "none", "flow": "f1", "edges": [("ed1", "e2")],
    }  # fmt: skip
    store.cancel_execution(0, "e1")
    assert store.read_downstream(0, "e1").values["outcome"] == "cancelled"
    assert store.read_downstream(0, "e2").values["edges"] == []
    assert store.read_downstream(0, "e9").code == "execution_not_found"
    store.create_execution(0, "e3", "A")
    assert store.read_downstream(0, "e3").values == {"outcome": "none", "flow": None, "edges": []}


def test_a_flow_is_read_with_its_revision(store):
    assert store.read_flow(0, "f1").code == "flow_not_found"
    skipped_child(store, 0)
    assert store.read_flow(0, "f1").values == {
        "state": "open", "graph_revision": 3, "node_count": 2, "edge_count": 1,
    }  # fmt: skip


def test_the_cancel_backlog_names_members_that_are_not_dealt_with(store):
    skipped_child(store, 0)
    assert store.cancel_flow(0, "f1").values == {"policy": "cancel_all", "members": ["e1", "e2"]}
    assert store.read_cancel_backlog(30_000, 9, 1).values["due"] == [("f1", ["e1"])]
    store.ack_cancel_member(30_000, "f1", "e1")
    assert store.read_cancel_backlog(30_000, 9, 9).values["due"] == [("f1", ["e2"])]
    store.ack_cancel_member(30_000, "f1", "e2")
    assert store.read_cancel_backlog(30_000, 9, 9).values["due"] == []
    assert store.ack_cancel_member(30_000, "f9", "e2").code == "OK"


def test_a_flow_cancelled_by_itself_has_no_backlog(store):
    skipped_child(store, 0)
    assert store.cancel_flow(0, "f1", "flow_only").values == {"policy": "flow_only", "members": ["e1", "e2"]}
    assert store.read_cancel_backlog(10**9, 9, 9).values["due"] == []


def test_a_quota_or_budget_that_nobody_used_reads_empty(store):
    assert set(store.read_quota(0, "q1").values.values()) == {0}
    assert store.read_budget(0, "b1").values == {"used_up": False, "usage": {}}
    store.create_quota_policy(0, "q1", 60, 5, 3)
    assert store.read_quota(0, "q1").values == {
        "concurrency": 0, "window_seconds": 60, "rate_limit": 5, "concurrency_cap": 3,
    }  # fmt: skip


def test_a_budget_is_used_up_at_its_hard_limit_until_it_is_reset(store):
    store.create_budget(0, "b1", [["tokens", 5, 0], ["cost", 0, 0]])
    store.report_usage_and_check(0, "b1", [["tokens", 4], ["cost", 99]])
    assert not store.read_budget(0, "b1").values["used_up"]
    store.report_usage_and_check(0, "b1", [["tokens", 1]])
    assert store.read_budget(0, "b1").values["used_up"]
    assert store.reset_budget(0, "b1").values == {"next_reset": 0}
    assert store.read_budget(0, "b1").values == {"used_up": False, "usage": {}}
    store.reset_budget(0, "b2")
    assert store.create_budget(0, "b2", [["tokens", 1, 0]]).code == "ALREADY_SATISFIED"


READS = [name for name in OPERATIONS if name.startswith("read_")] + [
    "describe", "eligible_set", "delayed_set", "lease_expiry_set", "evaluate_flow_eligibility",
]  # fmt: skip

ARGUMENTS = {
    "read_eligible": ("A", 2, ["gpu"]),
    "read_leases": (2,),
    "read_lapsed_leases": (2,),
    "read_lapsed_grants": (2,),
    "read_due_delayed": ("A", 2),
    "read_blocked": ("A", "blocked_by_quota", 2),
    "read_due_suspensions": (2,),
    "read_due_waitpoints": (2,),
    "read_due_deadlines": (2,),
    "read_cancel_backlog": (2, 2),
    "read_unresolved": ("A", 2, 2),
    "read_downstream": ("e1",),
    "read_flow": ("f1",),
    "read_open_flows": (2,),
    "read_quota": ("q1",),
    "read_budget": ("b1",),
    "describe": ("e1",),
    "eligible_set": ("A",),
    "delayed_set": ("A",),
    "lease_expiry_set": (),
    "evaluate_flow_eligibility": ("e1",),
}


@pytest.mark.parametrize("read", READS)
def test_a_read_changes_nothing(store, read):
    skipped_child(store, 0)
    suspend(store, 0, lease(store, 0, "e3"), "e3", timeout_at=5)
    lease(store, 0, "e4", ttl_ms=5)
    grant(store, 0, "e5", ttl_ms=5)
    store.create_execution(0, "e6", "A", delay_until=5, deadline_at=5)
    store.check_admission_and_record(0, "q1", "e6", 1, 1, 1)
    store.create_execution(0, "e7", "A", policy={"required_capabilities": ["big"]})
    store.block_execution_for_admission(0, "e7", "waiting_for_quota")
    before = snapshot(store)
    getattr(store, read)(50, *ARGUMENTS[read])
    getattr(store, read)(50_000, *ARGUMENTS[read])
    assert snapshot(store) == before


def test_the_whole_sets_are_read_in_their_order(store):
    store.create_execution(3, "e1", "A")
    store.create_execution(1, "e2", "A")
    store.create_execution(1, "e3", "A", delay_until=9)
    lease(store, 1, "e4", ttl_ms=7)
    assert eligible(store) == ["e2", "e1"]
    assert store.delayed_set(1, "A").values["members"] == [["e3", 9]]
    assert store.lease_expiry_set(1).values["members"] == [["e4", 8]]
    assert store.eligible_set(1, "B").values["members"] == []
