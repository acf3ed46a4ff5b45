"""Reads: what schedulers, scanners and builders look at. They change nothing, and may be stale when acted on.

Each answers at most as many items as asked for, in the order of its index.
"""

# Every operation takes the instant and the arguments of the engine, whether it looks at them or not.
# ruff: noqa: ARG001

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sim.store.capabilities import missing_capabilities
from sim.store.outcome import Ok, Refused
from sim.store.quotas import active_count
from sim.store.state import AttemptState, TerminalOutcome

if TYPE_CHECKING:
    from collections.abc import Collection

    from sim.store.index import Index
    from sim.store.outcome import Outcome
    from sim.store.partition import Partition
    from sim.store.records import Id

_INTERRUPTED: Final = AttemptState.INTERRUPTED
_NO_CANDIDATES: Final = Ok({"candidates": []})
_NO_ELIGIBLE: Final = Refused("read_eligible", "no_eligible_execution")
_FLOWS_LOOKED_AT: Final = 1000
_NOTHING_DUE: Final = Ok({"due": []})


def read_eligible(
    store: Partition,
    now_ms: int,
    lane: Id,
    limit: int,
    capabilities: Collection[str] | None = None,
    last: bool = False,
) -> Outcome:
    """Read the head of a lane's eligible set.

    Parameters
    ----------
    capabilities
        Where the rule ``capability_denied`` is ``skipped``: leave out what a worker with these cannot do.
    last
        This is the last read of a claim scan: finding nothing is refused with ``no_eligible_execution``.

    Returns
    -------
    Outcome
        ``candidates``: (execution, whether its attempt was interrupted), best first.
    """
    home = store.lanes.get(lane)
    found: list[Id] = []
    if home is not None and home.eligible.scores:  # a fleet reads empty lanes most of the time
        if capabilities is not None and store.policies and store.rules.capability_denied == "skipped":
            fitting = capabilities

            def accept(execution: Id) -> bool:
                return not missing_capabilities(store, execution, fitting)

            found = home.eligible.first(limit, accept=accept)
        else:
            found = home.eligible.first(limit)
    if not found:
        return _NO_ELIGIBLE if last else _NO_CANDIDATES
    executions = store.executions
    candidates = []
    for execution in found:
        ex = executions.get(execution) or store.find(execution)
        candidates.append((execution, ex is not None and ex.state.attempt is _INTERRUPTED))
    return Ok({"candidates": candidates})


def _due(index: Index | None, limit: int, until: int | None) -> Ok:
    found = index.first(limit, until) if index is not None else []
    return Ok({"due": found}) if found else _NOTHING_DUE


def read_lapsed_leases(store: Partition, now_ms: int, limit: int) -> Outcome:
    """Read executions whose lease is over, those that were marked already included."""
    return _due(store.lease_expiry, limit, now_ms)


def read_leases(store: Partition, now_ms: int, limit: int) -> Outcome:
    """Read executions that are leased, those whose lease ends first before the others."""
    return _due(store.lease_expiry, limit, None)


def read_open_flows(store: Partition, now_ms: int, limit: int) -> Outcome:
    """Read the flows that are open, the newest first."""
    newest = islice(reversed(store.flows), _FLOWS_LOOKED_AT)
    return Ok({"flows": list(islice((flow for flow in newest if store.flows[flow].state == "open"), limit))})


def read_lapsed_grants(store: Partition, now_ms: int, limit: int) -> Outcome:
    """Read executions that a lapsed grant keeps out of the eligible set."""
    return _due(store.lapsing_grants, limit, now_ms - 1)


def read_due_delayed(store: Partition, now_ms: int, lane: Id, limit: int) -> Outcome:
    """Read delayed executions of a lane that are due."""
    home = store.lanes.get(lane)
    return _due(home.delayed if home is not None else None, limit, now_ms)


def read_blocked(store: Partition, now_ms: int, lane: Id, eligibility: str, limit: int) -> Outcome:
    """Read the executions of a lane blocked in one way (``blocked_by_quota``, ...), longest first."""
    home = store.lanes.get(lane)
    return _due(home.blocked.get(eligibility) if home is not None else None, limit, None)


def read_due_suspensions(store: Partition, now_ms: int, limit: int) -> Outcome:
    """Read executions whose suspension has timed out."""
    return _due(store.suspension_timeouts, limit, now_ms)


def read_due_waitpoints(store: Partition, now_ms: int, limit: int) -> Outcome:
    """Read pending waitpoints that have expired."""
    return _due(store.waitpoint_expiry, limit, now_ms)


def read_due_deadlines(store: Partition, now_ms: int, limit: int) -> Outcome:
    """Read executions whose deadline has passed."""
    return _due(store.deadlines, limit, now_ms)


def read_cancel_backlog(store: Partition, now_ms: int, limit: int, members: int) -> Outcome:
    """Read cancelled flows that are due, with members (at most so many each) that are not dealt with."""
    found = store.cancel_backlog.first(limit, now_ms)
    return Ok({"due": [(flow, list(store.flows[flow].pending_cancels)[:members]) for flow in found]})


def read_unresolved(store: Partition, now_ms: int, lane: Id, limit: int, edges: int) -> Outcome:
    """Read dependencies whose upstream has ended, of the oldest executions that wait for some.

    Parameters
    ----------
    limit
        How many executions are looked at.
    edges
        How many of the unresolved edges of each.

    Returns
    -------
    Outcome
        ``due``: (flow, edge, upstream, downstream, outcome).
    """
    home = store.lanes.get(lane)
    blocked = home.blocked.get("blocked_by_dependencies") if home is not None else None
    due: list[tuple[Id, Id, Id, Id, str]] = []
    for child in blocked.first(limit) if blocked is not None else ():
        dependencies = store.dependencies.get(child)
        for edge in list(dependencies.unresolved)[:edges] if dependencies is not None else ():
            dependency = dependencies.edges[edge]  # type: ignore[union-attr]
            upstream = store.executions.get(dependency.upstream) or store.find(dependency.upstream)
            if upstream is not None and upstream.state.outcome is not TerminalOutcome.NONE:
                due.append(
                    (
                        dependency.flow,
                        edge,
                        dependency.upstream,
                        child,
                        upstream.state.words["terminal_outcome"],
                    )
                )
    return Ok({"due": due})


def read_downstream(store: Partition, now_ms: int, execution: Id) -> Outcome:
    """Read the staged edges that leave an execution, and how it ended: what a dispatcher resolves.

    Returns
    -------
    Outcome
        ``outcome`` (``none`` when it has not ended), ``flow`` and ``edges``: (edge, downstream).
    """
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused("read_downstream", "execution_not_found")
    flow = store.flows.get(ex.flow)
    edges = []
    if flow is not None:
        edges = [(edge, flow.edges[edge][1]) for edge in flow.outgoing.get(execution, ())]
    return Ok({"outcome": ex.state.words["terminal_outcome"], "flow": ex.flow, "edges": edges})


def read_flow(store: Partition, now_ms: int, flow: Id) -> Outcome:
    """Read a flow's state, graph revision, number of members and edges."""
    record = store.flows.get(flow)
    if record is None:
        return Refused("read_flow", "flow_not_found")
    return Ok({
        "state": record.state,
        "graph_revision": record.graph_revision,
        "node_count": len(record.members),
        "edge_count": len(record.edges),
    })  # fmt: skip


def read_quota(store: Partition, now_ms: int, quota: Id) -> Outcome:
    """Read a quota's count of active executions and its defined limits (0 where it is not defined)."""
    record = store.quotas.get(quota)
    if record is None:
        return Ok({"concurrency": 0, "window_seconds": 0, "rate_limit": 0, "concurrency_cap": 0})
    return Ok({
        "concurrency": active_count(store, record),
        "window_seconds": record.window_seconds,
        "rate_limit": record.rate_limit,
        "concurrency_cap": record.concurrency_cap,
    })  # fmt: skip


def read_budget(store: Partition, now_ms: int, budget: Id) -> Outcome:
    """Read whether a budget is used up: some usage has reached its hard limit."""
    record = store.budgets.get(budget)
    if record is None:
        return Ok({"used_up": False, "usage": {}})
    used_up = any(0 < limit <= record.usage.get(dimension, 0) for dimension, limit in record.hard.items())
    return Ok({"used_up": used_up, "usage": dict(record.usage)})


def describe(store: Partition, now_ms: int, execution: Id) -> Outcome:
    """Read all of an execution: the seven dimensions, then its fields by the engine's names."""
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused("describe", "execution_not_found")
    values: dict[str, Any] = {
        **ex.state.words,
        "lane": ex.lane.id,
        "priority": ex.priority,
        "created_at": ex.created_at,
        "current_attempt_index": ex.attempt_index,
        "total_attempt_count": ex.total_attempts,
        "current_lease_epoch": ex.epoch,
        "lease_expires_at": ex.lease_expires_at,
        "lease_revoked_at": ex.lease_revoked_at,
        "retry_count": ex.retry_count,
        "replay_count": ex.replay_count,
        "lease_reclaim_count": ex.reclaim_count,
        "delay_until": ex.delay_until,
        "current_attempt_id": ex.attempt_id,
        "current_lease_id": ex.lease_id,
        "current_worker_id": ex.worker,
        "current_suspension_id": ex.suspension,
        "current_waitpoint_id": ex.waitpoint,
        "flow_id": ex.flow,
    }
    return Ok(values)


def eligible_set(store: Partition, now_ms: int, lane: Id) -> Outcome:
    """Read the whole eligible set of a lane, in claim order."""
    return Ok({"members": [execution for execution, _ in store.lane(lane).eligible.items()]})


def delayed_set(store: Partition, now_ms: int, lane: Id) -> Outcome:
    """Read the whole delayed set of a lane: (execution, instant)."""
    return Ok({"members": [list(item) for item in store.lane(lane).delayed.items()]})


def lease_expiry_set(store: Partition, now_ms: int) -> Outcome:
    """Read the whole index of leases by expiry: (execution, instant)."""
    return Ok({"members": [list(item) for item in store.lease_expiry.items()]})
