"""Random operations on a store in every dialect; what must hold holds after every step.

Exceptions that the engine makes itself are stated in :mod:`tests.store.watch`.
"""

import copy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from sim.conformance import read_steps
from sim.store import PRESETS
from tests.store.snapshot import snapshot
from tests.store.watch import Watch

TRACES = Path(__file__).parents[1] / "data" / "traces"
EXECUTIONS = st.sampled_from(["e1", "e1", "e1", "e2", "e2", "e3"])
WORKERS = st.sampled_from(["w1", "w2"])
LANES = st.sampled_from(["A", "A", "A", "B"])
QUOTAS = st.sampled_from(["q1", "q2"])
WAITPOINTS = st.sampled_from(["wp1", "wp2"])
TTLS = st.sampled_from([0, 1, 5, 20])
WHICH = st.sampled_from(["own", "own", "own", "older", "wrong", "none", "part"])
SOURCES = st.sampled_from([None, None, "operator_override"])
CONDITIONS = st.builds(
    lambda names, mode, count: {"names": names, "mode": mode, "min_count": count},
    st.lists(st.sampled_from(["go", "ok"]), max_size=2),
    st.sampled_from(["any", "all", "count"]),
    st.integers(1, 2),
)
RETRIES = st.sampled_from([None, {"max_retries": 2, "backoff": {"type": "fixed", "delay_ms": 3}}])
REASONS = st.sampled_from(
    ["waiting_for_quota", "waiting_for_budget", "waiting_for_capable_worker", "paused_by_policy", "none"]
)
OUTCOMES = st.sampled_from(["success", "success", "failed"])


class StoreMachine(RuleBasedStateMachine):
    """Operations with arguments that fit often, and do not fit often."""

    dialect = PRESETS["contract"]

    def __init__(self):
        super().__init__()
        self.watch = Watch(self.dialect)
        self.store = self.watch.store
        self.now_ms = 0
        self.serial = 0
        self.fences = {}

    @initialize(delay=st.sampled_from([None, None, 5]))
    def begin(self, delay):
        for execution in ("e1", "e2"):
            self.do("create_execution", execution, "A", 0, delay)

    def do(self, op, *args, **more):
        """Carry out an operation under watch; take down the lease that it gave."""
        outcome = self.watch.do(op, self.now_ms, *args, **more)
        if outcome.ok and "lease_epoch" in outcome.values and op != "revoke_lease":
            ex = self.store.executions[outcome.values.get("execution", args[0])]
            self.fences.setdefault(ex.id, []).append((ex.lease_id, ex.epoch, ex.attempt_id))
        return outcome

    def _index(self, execution):
        ex = self.store.executions.get(execution)
        return 0 if ex is None or ex.attempt_index is None else ex.attempt_index

    def _fence(self, execution, which):
        held = self.fences.get(execution, [("ls0", 0, "at0")])
        lease_id, epoch, attempt_id = held[0] if which == "older" else held[-1]
        return {
            "wrong": ("ls99", epoch, attempt_id),
            "none": (None, None, None),
            "part": (lease_id, None, attempt_id),
        }.get(which, (lease_id, epoch, attempt_id))

    @rule(by=st.sampled_from([1, 4, 5, 20, 1000]))
    def wait(self, by):
        self.now_ms += by

    @rule(
        execution=EXECUTIONS,
        lane=LANES,
        priority=st.sampled_from([0, 0, 3, 9999]),
        delay=st.sampled_from([None, None, -5, 0, 5]),
        policy=st.sampled_from([None, None, {"max_reclaim_count": 1}, {"required_capabilities": [""]}]),
    )
    def create(self, execution, lane, priority, delay, policy):
        delay_until = None if delay is None else self.now_ms + delay
        self.do("create_execution", execution, lane, priority, delay_until, None, policy)

    @rule(execution=EXECUTIONS, worker=WORKERS, lane=LANES, ttl=TTLS, quota=st.none() | QUOTAS)
    def grant(self, execution, worker, lane, ttl, quota):
        admitted = quota is not None and self._admit(quota, execution, 1, 2, 2).code == "ADMITTED"
        granted = self.do("issue_claim_grant", execution, worker, lane, ttl, (), quota if admitted else None)
        if admitted and not granted.ok:
            self.do("release_admission", quota, execution)

    @rule(execution=EXECUTIONS, quota=st.none() | QUOTAS, ttl=st.sampled_from([5, 20, 1000]))
    def work(self, execution, quota, ttl):
        """Do what a scheduler and a worker do when nothing is in their way."""
        self.do("promote_delayed", execution)
        self.grant(execution, "w1", "A", 20, quota)
        self.claim(execution, "w1", ttl)

    @rule(execution=EXECUTIONS, waitpoint=WAITPOINTS, condition=CONDITIONS)
    def park(self, execution, waitpoint, condition):
        """Suspend with the fence that the worker holds."""
        self.suspend(execution, "own", waitpoint, condition, 5, "fail", False, None)

    @rule(execution=EXECUTIONS, upstream=EXECUTIONS)
    def depend(self, execution, upstream):
        """Do what a flow builder does when nothing is in its way."""
        for member in (execution, upstream):
            self.join_flow("f1", member)
        self.stage(f"{upstream}-{execution}", upstream, execution, 0)
        self.apply(f"{upstream}-{execution}", upstream, execution)

    @rule(execution=EXECUTIONS, upstream=EXECUTIONS, outcome=OUTCOMES)
    def dispatch(self, execution, upstream, outcome):
        """Do what a dispatcher does when an upstream ends."""
        self.resolve(f"{upstream}-{execution}", upstream, execution, outcome)

    @rule(execution=EXECUTIONS, worker=WORKERS, ttl=TTLS)
    def claim(self, execution, worker, ttl):
        self.serial += 1
        outcome = self.do("claim_execution", execution, worker, f"ls{self.serial}", ttl, f"at{self.serial}")
        if outcome.code == "use_claim_resumed_execution":
            self.claim_resumed(execution, worker, ttl)

    @rule(execution=EXECUTIONS, worker=WORKERS, ttl=TTLS)
    def claim_resumed(self, execution, worker, ttl):
        self.do("claim_resumed_execution", execution, worker, f"ls{self.serial}", ttl)

    @rule(execution=EXECUTIONS, lane=LANES, ttl=TTLS)
    def grant_and_claim(self, execution, lane, ttl):
        self.serial += 1
        lease_id, attempt_id = f"ls{self.serial}", f"at{self.serial}"
        self.do("issue_grant_and_claim", execution, "w1", lane, lease_id, ttl, attempt_id)

    @rule(worker=WORKERS, ttl=TTLS, skip=st.sets(EXECUTIONS, max_size=1))
    def claim_next(self, worker, ttl, skip):
        self.serial += 1
        lease_id, attempt_id = f"ls{self.serial}", f"at{self.serial}"
        outcome = self.do("claim_next", worker, "A", lease_id, ttl, attempt_id, skip=skip)
        if outcome.ok:
            assert outcome.values["execution"] not in skip

    @rule(execution=EXECUTIONS, worker=WORKERS, ttl=TTLS, lease_ttl=TTLS)
    def reclaim(self, execution, worker, ttl, lease_ttl):
        self.do("mark_lease_expired_if_due", execution)
        self.do("issue_reclaim_grant", execution, worker, ttl)
        self.serial += 1
        lease_id, attempt_id = f"ls{self.serial}", f"at{self.serial}"
        self.do("reclaim_execution", execution, worker, lease_id, lease_ttl, attempt_id, 3)

    @rule(execution=EXECUTIONS, which=WHICH, ttl=TTLS)
    def renew(self, execution, which, ttl):
        lease_id, epoch, attempt_id = self._fence(execution, which)
        self.do("renew_lease", execution, self._index(execution), attempt_id, lease_id, epoch, ttl)

    @rule(execution=EXECUTIONS, which=WHICH, source=SOURCES)
    def complete(self, execution, which, source):
        self.do("complete_execution", execution, *self._fence(execution, which), "r", source)

    @rule(execution=EXECUTIONS, which=WHICH, source=SOURCES, retry=RETRIES)
    def fail(self, execution, which, source, retry):
        self.do("fail_execution", execution, *self._fence(execution, which), retry, source)

    @rule(execution=EXECUTIONS, which=WHICH, source=SOURCES, by=st.sampled_from([-1, 0, 5]))
    def delay(self, execution, which, source, by):
        self.do("delay_execution", execution, *self._fence(execution, which), self.now_ms + by, source)

    @rule(execution=EXECUTIONS, which=WHICH, source=SOURCES)
    def wait_for_children(self, execution, which, source):
        self.do("move_to_waiting_children", execution, *self._fence(execution, which), source)

    @rule(execution=EXECUTIONS, which=WHICH)
    def progress(self, execution, which):
        self.do("update_progress", execution, *self._fence(execution, which)[:2], 50)

    @rule(op=st.sampled_from([
        "mark_lease_expired_if_due", "expire_execution", "replay_execution", "promote_delayed",
        "revoke_lease", "requeue_lapsed_grant", "expire_suspension", "promote_blocked_to_eligible",
        "evaluate_flow_eligibility", "unblock_execution", "cancel_execution",
    ]), execution=EXECUTIONS)  # fmt: skip
    def scan_or_operate(self, op, execution):
        self.do(op, execution)

    @rule(execution=EXECUTIONS, priority=st.sampled_from([0, 7, "high"]))
    def reprioritise(self, execution, priority):
        self.do("change_priority", execution, priority)

    @rule(execution=EXECUTIONS, reason=REASONS)
    def block(self, execution, reason):
        self.do("block_execution_for_admission", execution, reason)

    @rule(execution=EXECUTIONS, waitpoint=WAITPOINTS, ttl=TTLS)
    def create_waitpoint(self, execution, waitpoint, ttl):
        index = self._index(execution)
        self.do("create_pending_waitpoint", execution, index, waitpoint, self.now_ms + ttl)

    @rule(
        execution=EXECUTIONS,
        which=WHICH,
        waitpoint=WAITPOINTS,
        condition=CONDITIONS,
        timeout=st.sampled_from([None, 0, 5]),
        behavior=st.sampled_from(["fail", "cancel", "expire", "auto_resume_with_timeout_signal", "escalate"]),
        use_pending=st.booleans(),
        key=st.sampled_from([None, None, "k1"]),
    )
    def suspend(self, execution, which, waitpoint, condition, timeout, behavior, use_pending, key):
        lease_id, epoch, attempt_id = self._fence(execution, which)
        timeout_at = None if timeout is None else self.now_ms + timeout
        index = self._index(execution)
        self.do(
            "suspend_execution", execution, index, attempt_id, lease_id, epoch, "su1", waitpoint,
            copy.deepcopy(condition), "waiting_for_approval", timeout_at, behavior, use_pending, key,
            None if key is None else 10,
        )  # fmt: skip

    @rule(
        execution=EXECUTIONS,
        waitpoint=WAITPOINTS,
        name=st.sampled_from(["go", "ok"]),
        token=st.sampled_from([True, True, True, False, None]),
        key=st.sampled_from([None, "k1"]),
        delay=st.sampled_from([0, 0, 5]),
        limit=st.sampled_from([0, 3]),
        buffered=st.booleans(),
    )
    def signal(self, execution, waitpoint, name, token, key, delay, limit, buffered):
        arguments = (execution, waitpoint, f"sg{self.serial}", name, token, key, 10)
        if buffered:
            self.do("buffer_signal_for_pending_waitpoint", *arguments, limit)
        else:
            self.do("deliver_signal", *arguments, delay, limit)

    @rule(execution=EXECUTIONS, delay=st.sampled_from([0, 5]))
    def resume(self, execution, delay):
        self.do("resume_execution", execution, delay)

    @rule(waitpoint=WAITPOINTS)
    def close_waitpoint(self, waitpoint):
        self.do("close_waitpoint", waitpoint)

    @rule(flow=st.sampled_from(["f1", "f2"]), execution=EXECUTIONS)
    def join_flow(self, flow, execution):
        self.do("create_flow", flow)
        self.do("add_execution_to_flow", flow, execution)

    @rule(
        edge=st.sampled_from(["ed1", "ed2"]),
        upstream=EXECUTIONS,
        child=EXECUTIONS,
        off=st.sampled_from([0, 0, 1]),
    )
    def stage(self, edge, upstream, child, off):
        flow = self.store.flows.get("f1")
        revision = 0 if flow is None else flow.graph_revision - off
        self.do("stage_dependency_edge", "f1", edge, upstream, child, revision)

    @rule(edge=st.sampled_from(["ed1", "ed2"]), upstream=EXECUTIONS, child=EXECUTIONS)
    def apply(self, edge, upstream, child):
        self.do("apply_dependency_to_child", "f1", edge, upstream, child, True)

    @rule(edge=st.sampled_from(["ed1", "ed2"]), upstream=EXECUTIONS, child=EXECUTIONS, outcome=OUTCOMES)
    def resolve(self, edge, upstream, child, outcome):
        self.do("resolve_dependency", "f1", edge, upstream, child, outcome)

    @rule(policy=st.sampled_from(["cancel_all", "flow_only"]), execution=EXECUTIONS)
    def cancel_flow(self, policy, execution):
        self.do("cancel_flow", "f2", policy)
        self.do("ack_cancel_member", "f2", execution)

    def _admit(self, quota, execution, window, rate, cap):
        return self.do("check_admission_and_record", quota, execution, window, rate, cap)

    @rule(quota=QUOTAS)
    def repair_quota(self, quota):
        self.do("create_quota_policy", quota, 1, 2, 1)
        self.do("reconcile_quota", quota)

    @rule(usage=st.integers(0, 6), key=st.sampled_from([None, "u1"]))
    def spend(self, usage, key):
        self.do("create_budget", "b1", [("tokens", 10, 5)])
        self.do("report_usage_and_check", "b1", [("tokens", usage)], key)

    @rule(execution=EXECUTIONS)
    def compact(self, execution):
        before = snapshot(self.store)
        self.store.compact(execution)
        assert snapshot(self.store) == before
        self.store.find(execution)

    @invariant()
    def slots_are_held_by_leases_and_grants_alone(self):
        self.watch.check_slots()


@pytest.mark.parametrize("dialect", PRESETS)
def test_what_must_hold_holds_after_every_step(dialect):
    machine = type("Machine", (StoreMachine,), {"dialect": PRESETS[dialect]})
    run_state_machine_as_test(
        machine,
        settings=settings(
            derandomize=True,
            max_examples=100,
            stateful_step_count=80,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("dialect", PRESETS)
def test_what_must_hold_holds_over_recorded_operations(dialect):
    """The operations of recordings reach deeper than chance does, in any dialect."""
    for recording in sorted(TRACES.glob("*.jsonl.gz"))[::3]:
        watch = Watch(PRESETS[dialect])
        for step in read_steps(recording):
            watch.do(step["op"], step["t_ms"], **step["args"])
