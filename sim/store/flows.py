"""Flows: executions that depend on each other.

An edge is staged in its flow (optimistically: with the revision that its builder read), applied to its
child, and resolved when its upstream ends. The three are separate steps, and nothing holds them together.
Left out: groups that wait for some of their edges only.
"""

# Every operation takes the instant and the arguments of the engine, whether it looks at them or not.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.store.outcome import Ok, Refused
from sim.store.partition import (
    blocked_index,
    drop_grant,
    free_reserved_slot,
    free_slots,
    give_slot_back,
    leave_eligible,
    make_eligible,
)
from sim.store.records import Dependencies, Dependency, Flow
from sim.store.state import (
    ELIGIBLE_AS,
    LEASED,
    SKIPPED_AS,
    WAITING_CHILDREN_AS,
    AttemptState,
    Eligibility,
    Phase,
)

if TYPE_CHECKING:
    from sim.store.outcome import Outcome
    from sim.store.partition import Partition
    from sim.store.records import Execution, Id

CANCEL_GRACE_MS: Final = 30_000
REACHABLE_MAX: Final = 1000

_BLOCKED: Final = Eligibility.BY_DEPENDENCIES.value
_OK: Final = Ok()
_ALREADY_APPLIED: Final = Ok({"already_applied": True})
_ALREADY_RESOLVED: Final = Ok({"resolution": "already_resolved"})


def create_flow(store: Partition, now_ms: int, flow: Id) -> Outcome:
    """Create a flow, open, at revision 0."""
    if flow in store.flows:
        return Ok({"flow": flow}, "ALREADY_SATISFIED")
    store.flows[flow] = Flow(store.stamp)
    return Ok({"flow": flow})


def add_execution_to_flow(store: Partition, now_ms: int, flow: Id, execution: Id) -> Outcome:
    """Make an execution a member of a flow. A new member raises the graph's revision."""
    op = "add_execution_to_flow"
    record = store.flows.get(flow)
    if record is None:
        return Refused(op, "flow_not_found")
    if record.state != "open":
        return Refused(op, "flow_already_terminal", record.changed)
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    if ex.flow is not None and ex.flow != flow:
        return Refused(op, "already_member_of_different_flow", ex.changed, values={"flow": ex.flow})
    if execution in record.members:
        return Ok({"execution": execution, "node_count": len(record.members)}, "ALREADY_SATISFIED")
    record.members[execution] = None
    record.graph_revision += 1
    record.changed = store.stamp
    ex.flow = flow
    ex.changed = store.stamp
    return Ok({"execution": execution, "node_count": len(record.members)})


def stage_dependency_edge(
    store: Partition,
    now_ms: int,
    flow: Id,
    edge: Id,
    upstream: Id,
    downstream: Id,
    expected_graph_revision: int,
) -> Outcome:
    """Stage an edge between two members, if the graph is still as its builder read it."""
    op = "stage_dependency_edge"
    if upstream == downstream:
        return Refused(op, "self_referencing_edge")
    record = store.flows.get(flow)
    if record is None:
        return Refused(op, "flow_not_found")
    if record.state != "open":
        return Refused(op, "flow_already_terminal", record.changed)
    if record.graph_revision != expected_graph_revision:
        return Refused(op, "stale_graph_revision", record.changed)
    if upstream not in record.members or downstream not in record.members:
        return Refused(op, "execution_not_in_flow")
    if _reaches(record, downstream, upstream):
        return Refused(op, "cycle_detected", record.changed)
    if edge in record.edges:
        return Refused(op, "dependency_already_exists", record.changed)
    record.edges[edge] = (upstream, downstream)
    record.outgoing.setdefault(upstream, []).append(edge)
    record.incoming.setdefault(downstream, []).append(edge)
    record.graph_revision += 1
    record.changed = store.stamp
    return Ok({"edge": edge, "graph_revision": record.graph_revision})


def _reaches(flow: Flow, start: Id, goal: Id) -> bool:
    """Whether edges lead from one member to another; a search that grows too large counts as yes."""
    seen = {start: None}
    front = [start]
    while front:
        member = front.pop()
        if member == goal or len(seen) > REACHABLE_MAX:
            return True
        for edge in flow.outgoing.get(member, ()):
            downstream = flow.edges[edge][1]
            if downstream not in seen:
                seen[downstream] = None
                front.append(downstream)
    return False


def apply_dependency_to_child(
    store: Partition,
    now_ms: int,
    flow: Id,
    edge: Id,
    upstream: Id,
    downstream: Id,
    data_passing: bool = False,
) -> Outcome:
    """Make a child wait for an edge. A runnable child is blocked, whatever it waits for already.

    Neither the flow's existence or state nor the edge's staging is looked at; a child that is under way
    goes on.

    Parameters
    ----------
    data_passing
        The upstream's result becomes the child's payload once it is satisfied.
    """
    op = "apply_dependency_to_child"
    ex = store.executions.get(downstream) or store.find(downstream)
    if ex is None:
        return Refused(op, "execution_not_found")
    if ex.flow is not None and ex.flow != flow:
        return Refused(op, "execution_already_in_flow", ex.changed)
    dependencies = store.dependencies.get(downstream)
    if dependencies is None:
        dependencies = store.dependencies[downstream] = Dependencies()
    if edge in dependencies.edges:
        return _ALREADY_APPLIED
    dependencies.edges[edge] = Dependency(flow, upstream, data_passing=data_passing)
    dependencies.unresolved[edge] = None
    dependencies.unsatisfied += 1
    ex.changed = store.stamp
    if ex.state.phase is Phase.RUNNABLE:
        ex.state = WAITING_CHILDREN_AS[ex.state.attempt]
        leave_eligible(store, ex)
        give_slot_back(store, ex, now_ms)
        blocked_index(ex, _BLOCKED).add(downstream, ex.created_at)
    return Ok({"already_applied": False, "unsatisfied": dependencies.unsatisfied})


def resolve_dependency(
    store: Partition, now_ms: int, flow: Id, edge: Id, upstream: Id, downstream: Id, outcome: str
) -> Outcome:
    """Tell a child how an upstream ended: it may become eligible, or be skipped.

    Parameters
    ----------
    outcome
        ``success``, ``failed``, ``cancelled``, ``expired`` or ``skipped``, as the caller says.
    """
    op = "resolve_dependency"
    ex = store.executions.get(downstream) or store.find(downstream)
    dependencies = store.dependencies.get(downstream)
    if ex is None or dependencies is None or edge not in dependencies.edges:
        return Refused(op, "invalid_dependency", ex.changed if ex is not None else None)
    dependency = dependencies.edges[edge]
    if dependency.state != "unsatisfied":
        return _ALREADY_RESOLVED
    dependencies.unresolved.pop(edge, None)
    dependencies.unsatisfied -= 1
    if outcome == "success":
        dependency.state = "satisfied"
        injected = (
            dependency.data_passing and ex.state.phase is not Phase.TERMINAL and upstream in store.results
        )
        if dependencies.unsatisfied == 0 and ex.state.eligibility is Eligibility.BY_DEPENDENCIES:
            _unblock_child(store, ex, now_ms)
        return Ok({"resolution": "satisfied", "data_injected": injected})
    dependency.state = "impossible"
    dependencies.impossible += 1
    skipped = ex.state.phase is not Phase.TERMINAL
    if skipped:
        _skip_child(store, ex, now_ms)
    return Ok({"resolution": "impossible", "child_skipped": skipped})


def _unblock_child(store: Partition, ex: Execution, now_ms: int) -> None:
    ex.state = ELIGIBLE_AS[ex.state.attempt]
    ex.changed = store.stamp
    blocked_index(ex, _BLOCKED).discard(ex.id)
    make_eligible(store, ex, now_ms)


def _skip_child(store: Partition, ex: Execution, now_ms: int) -> None:
    """End a child whose upstream did not succeed. Its lease, suspension and eligible entry stay."""
    attempt = ex.state.attempt
    was_at_work = attempt is AttemptState.RUNNING or attempt is AttemptState.INTERRUPTED
    if ex.state is LEASED:
        free_slots(store, ex, now_ms)
    ex.admission = None
    free_reserved_slot(store, ex, now_ms)
    if store.granted_leave:
        drop_grant(store, ex, now_ms)
    ex.state = SKIPPED_AS[AttemptState.TERMINAL if was_at_work else AttemptState.NONE]
    ex.changed = store.stamp
    blocked_index(ex, _BLOCKED).discard(ex.id)


def reset_dependencies(store: Partition, ex: Execution) -> int:
    """Make a replayed child wait again for edges that are staged, applied and not satisfied; count them."""
    dependencies = store.dependencies[ex.id]
    count = 0
    for edge in store.flows[ex.flow].incoming.get(ex.id, ()):
        dependency = dependencies.edges.get(edge)
        if dependency is not None and dependency.state != "satisfied":
            dependency.state = "unsatisfied"
            dependencies.unresolved[edge] = None
            count += 1
    dependencies.unsatisfied = count
    dependencies.impossible = 0
    return count


def evaluate_flow_eligibility(store: Partition, now_ms: int, execution: Id) -> Outcome:
    """Say what its dependencies mean for an execution, and nothing else: it changes nothing."""
    return Ok({"eligibility": _eligibility(store, execution)})


def _eligibility(store: Partition, execution: Id) -> str:
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return "not_found"
    if ex.state.phase is not Phase.RUNNABLE:
        return "not_runnable"
    dependencies = store.dependencies.get(execution)
    if dependencies is None:
        return "eligible"
    if dependencies.impossible > 0:
        return "impossible"
    return "blocked_by_dependencies" if dependencies.unsatisfied > 0 else "eligible"


def promote_blocked_to_eligible(store: Partition, now_ms: int, execution: Id) -> Outcome:
    """Make an execution eligible that is blocked by dependencies and has none to wait for."""
    op = "promote_blocked_to_eligible"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    if ex.state.phase is not Phase.RUNNABLE:
        return Refused(op, "not_runnable", ex.changed)
    if ex.state.eligibility is not Eligibility.BY_DEPENDENCIES:
        return Refused(op, "not_blocked_by_deps", ex.changed)
    dependencies = store.dependencies.get(execution)
    if dependencies is not None and (dependencies.unsatisfied > 0 or dependencies.unresolved):
        values = {"unsatisfied": dependencies.unsatisfied, "unresolved": len(dependencies.unresolved)}
        return Refused(op, "deps_not_satisfied", ex.changed, values=values)
    _unblock_child(store, ex, now_ms)
    return _OK


def cancel_flow(store: Partition, now_ms: int, flow: Id, policy: str = "cancel_all") -> Outcome:
    """Cancel a flow; its members are cancelled one by one afterwards, by others.

    Parameters
    ----------
    policy
        ``cancel_all`` puts the members on the backlog of the reconciler, due after the grace period.
    """
    op = "cancel_flow"
    record = store.flows.get(flow)
    if record is None:
        return Refused(op, "flow_not_found")
    if record.state != "open":
        return Refused(op, "flow_already_terminal", record.changed)
    record.state = "cancelled"
    record.changed = store.stamp
    members = sorted(record.members)
    if policy == "cancel_all" and members:
        record.pending_cancels = dict.fromkeys(members)
        store.cancel_backlog.add(flow, now_ms + CANCEL_GRACE_MS)
    return Ok({"policy": policy, "members": members})


def ack_cancel_member(store: Partition, now_ms: int, flow: Id, execution: Id) -> Outcome:
    """Note that a member of a cancelled flow is dealt with; the last one clears the backlog."""
    record = store.flows.get(flow)
    if record is not None:
        record.pending_cancels.pop(execution, None)
        record.changed = store.stamp
    if record is None or not record.pending_cancels:
        store.cancel_backlog.discard(flow)
    return _OK
