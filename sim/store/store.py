"""The store's operations in one place: each an attribute of :class:`Store`, each a function of its family."""

from __future__ import annotations

from typing import Final

from sim.store import budgets, executions, flows, grants, leases, quotas, reads, scheduling, waitpoints
from sim.store.partition import Partition


class Store(Partition):
    """One partition of the engine, with all its operations.

    Every operation is ``store.<name>(now_ms, ...) -> Ok | Refused``: arguments in the engine's order,
    ``now_ms`` whole milliseconds that never go back. Nothing else happens in between: no clock, no chance.
    """

    __slots__ = ()

    create_execution = executions.create_execution
    complete_execution = executions.complete_execution
    fail_execution = executions.fail_execution
    cancel_execution = executions.cancel_execution
    expire_execution = executions.expire_execution
    delay_execution = executions.delay_execution
    move_to_waiting_children = executions.move_to_waiting_children
    update_progress = executions.update_progress
    replay_execution = executions.replay_execution

    issue_claim_grant = grants.issue_claim_grant
    issue_grant_and_claim = grants.issue_grant_and_claim
    issue_reclaim_grant = grants.issue_reclaim_grant
    requeue_lapsed_grant = grants.requeue_lapsed_grant

    claim_execution = leases.claim_execution
    claim_resumed_execution = leases.claim_resumed_execution
    claim_next = leases.claim_next
    renew_lease = leases.renew_lease
    mark_lease_expired_if_due = leases.mark_lease_expired_if_due
    revoke_lease = leases.revoke_lease
    reclaim_execution = leases.reclaim_execution

    change_priority = scheduling.change_priority
    promote_delayed = scheduling.promote_delayed
    block_execution_for_admission = scheduling.block_execution_for_admission
    unblock_execution = scheduling.unblock_execution

    create_pending_waitpoint = waitpoints.create_pending_waitpoint
    suspend_execution = waitpoints.suspend_execution
    deliver_signal = waitpoints.deliver_signal
    buffer_signal_for_pending_waitpoint = waitpoints.buffer_signal_for_pending_waitpoint
    expire_suspension = waitpoints.expire_suspension
    resume_execution = waitpoints.resume_execution
    close_waitpoint = waitpoints.close_waitpoint

    create_flow = flows.create_flow
    add_execution_to_flow = flows.add_execution_to_flow
    stage_dependency_edge = flows.stage_dependency_edge
    apply_dependency_to_child = flows.apply_dependency_to_child
    resolve_dependency = flows.resolve_dependency
    evaluate_flow_eligibility = flows.evaluate_flow_eligibility
    promote_blocked_to_eligible = flows.promote_blocked_to_eligible
    cancel_flow = flows.cancel_flow
    ack_cancel_member = flows.ack_cancel_member

    create_quota_policy = quotas.create_quota_policy
    check_admission_and_record = quotas.check_admission_and_record
    release_admission = quotas.release_admission
    reconcile_quota = quotas.reconcile_quota
    create_budget = budgets.create_budget
    report_usage_and_check = budgets.report_usage_and_check
    reset_budget = budgets.reset_budget

    read_eligible = reads.read_eligible
    read_leases = reads.read_leases
    read_lapsed_leases = reads.read_lapsed_leases
    read_lapsed_grants = reads.read_lapsed_grants
    read_due_delayed = reads.read_due_delayed
    read_blocked = reads.read_blocked
    read_due_suspensions = reads.read_due_suspensions
    read_due_waitpoints = reads.read_due_waitpoints
    read_due_deadlines = reads.read_due_deadlines
    read_cancel_backlog = reads.read_cancel_backlog
    read_unresolved = reads.read_unresolved
    read_downstream = reads.read_downstream
    read_flow = reads.read_flow
    read_open_flows = reads.read_open_flows
    read_quota = reads.read_quota
    read_budget = reads.read_budget
    describe = reads.describe
    eligible_set = reads.eligible_set
    delayed_set = reads.delayed_set
    lease_expiry_set = reads.lease_expiry_set


OPERATIONS: Final[tuple[str, ...]] = tuple(name for name in vars(Store) if not name.startswith("__"))
"""The names of all operations and reads, in the order of :class:`Store`."""
