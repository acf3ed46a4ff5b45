"""Finished executions in columns: every later answer stays the same."""

import pytest

from sim.store import VALKEY, Store
from tests.store.cases import grant, lease, renew, skipped_child
from tests.store.snapshot import snapshot


def _finish(store, ending, stamp, attempt):
    fence = lease(store, 0, attempt_id=attempt)
    store.stamp = stamp
    if ending == "complete":
        store.complete_execution(7, "e1", *fence, "r")
    elif ending == "fail":
        store.fail_execution(7, "e1", *fence)
    elif ending == "cancel":
        store.cancel_execution(7, "e1")
    else:
        store.expire_execution(7, "e1")
    return fence


LATER = {
    "describe": lambda store, fence: store.describe(9, "e1"),
    "complete": lambda store, fence: store.complete_execution(9, "e1", *fence),
    "renew": lambda store, fence: store.renew_lease(9, "e1", 0, fence.attempt_id, fence.lease_id, 1, 10),
    "claim": lambda store, fence: store.claim_execution(9, "e1", "w1", "ls2", 10, "at2"),
    "cancel": lambda store, fence: store.cancel_execution(9, "e1"),
    "expire": lambda store, fence: store.expire_execution(9, "e1"),
    "create": lambda store, fence: store.create_execution(9, "e1", "A"),
    "signal": lambda store, fence: store.deliver_signal(9, "e1", "wp1", "sg1", "go"),
    "replay": lambda store, fence: store.replay_execution(9, "e1"),
}


# As in recordings; as in simulations, whose rows are numbers; and what only nearly is.
STAMPS = [(("w1", "ends"), "at1"), ((4, 7, 7_000_000), 3), ((4, 7, 1 << 70), 3), ((4, 7, 7.5), 3), (None, 3)]


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
@pytest.mark.parametrize(("stamp", "attempt"), STAMPS, ids=str)
@pytest.mark.parametrize("ending", ["complete", "fail", "cancel", "expire"])
def test_answers_stay_the_same(ending, stamp, attempt, later):
    whole, columns = Store(), Store()
    fences = [_finish(store, ending, stamp, attempt) for store in (whole, columns)]
    assert columns.compact("e1")
    assert "e1" not in columns.executions
    first, second = later(whole, fences[0]), later(columns, fences[1])
    assert (first.code, first.values, first.ok) == (second.code, second.values, second.ok)
    assert getattr(first, "rival", None) == getattr(second, "rival", None)
    assert snapshot(whole) == snapshot(columns)


def test_the_columns_list_whom_they_hold():
    store = Store()
    for execution in ("e2", "e1", "e3"):
        store.create_execution(0, execution, "A")
        store.cancel_execution(0, execution)
        store.compact(execution)
    store.find("e1")
    assert (list(store.finished), len(store.finished)) == (["e2", "e3"], 2)


def test_nothing_is_lost_of_an_execution_with_a_history():
    store = Store()
    store.create_execution(0, "e1", "A", priority=7, policy={"max_replay_count": 3})
    store.create_flow(0, "f1")
    store.add_execution_to_flow(0, "f1", "e1")
    retry = {"max_retries": 1, "backoff": {"type": "fixed", "delay_ms": 0}}
    store.fail_execution(0, "e1", *lease(store, 0), retry)
    store.promote_delayed(0, "e1")
    lease(store, 0, ttl_ms=5, lease_id="ls2", attempt_id="at2")
    store.mark_lease_expired_if_due(5, "e1")
    store.issue_reclaim_grant(5, "e1", "w2", 10)
    store.reclaim_execution(5, "e1", "w2", "ls3", 10, "at3")
    store.complete_execution(6, "e1", "ls3", 3, "at3")
    store.replay_execution(6, "e1")
    store.cancel_execution(6, "e1")
    before = store.describe(6, "e1").values
    counts = ("priority", "retry_count", "replay_count", "lease_reclaim_count", "total_attempt_count")
    assert [before[name] for name in counts] == [7, 1, 1, 1, 3]
    assert store.compact("e1")
    assert store.describe(6, "e1").values == before


def test_rows_are_used_again():
    store = Store()
    for execution in ("e1", "e2"):
        store.complete_execution(0, execution, *lease(store, 0, execution))
        assert store.compact(execution)
    store.replay_execution(0, "e1")
    assert len(store.finished) == 1
    store.cancel_execution(0, "e1")
    store.create_execution(7, "e3", "A")
    store.cancel_execution(7, "e3")
    assert store.compact("e3")
    assert store.compact("e1")
    assert len(store.finished._kinds) == 3
    assert [store.dimensions(e)["public_state"] for e in ("e1", "e2", "e3")] == [
        "cancelled", "completed", "cancelled",
    ]  # fmt: skip
    described = store.describe(7, "e3").values
    assert (described["current_attempt_index"], described["created_at"]) == (None, 7)


def test_what_is_not_finished_or_has_leftovers_stays_whole():
    store = Store(VALKEY)
    assert not store.compact("e9")
    fence = lease(store, 0)
    assert not store.compact("e1")
    renew(store, 0, fence)
    store.apply_dependency_to_child(0, "f9", "ed1", "e0", "e1")
    store.resolve_dependency(0, "f9", "ed1", "e0", "e1", "failed")
    assert store.dimensions("e1")["terminal_outcome"] == "skipped"
    assert not store.compact("e1")
    grant(store, 0, "e2")
    store.cancel_execution(0, "e2")
    assert not store.compact("e2")


def test_an_edge_is_resolved_from_an_upstream_in_the_columns():
    store = Store()
    skipped_child(store, 0)
    store.complete_execution(0, "e1", *lease(store, 0))
    assert store.compact("e1")
    assert store.read_downstream(0, "e1").values["outcome"] == "success"
