"""What one partition of the store holds, and the steps that many operations share.

Operations are functions of a :class:`Partition`; :class:`sim.store.Store` gathers them. An operation
changes an execution and every index it is in within one call, as one script of the engine does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.store.finished import FinishedExecutions
from sim.store.index import Index
from sim.store.outcome import Refused
from sim.store.quota_table import QuotaTable
from sim.store.records import Lane
from sim.store.rules import CONTRACT
from sim.store.state import LAPSED, LEASED, Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.store.outcome import Ok
    from sim.store.records import (
        Budget,
        Condition,
        Dependencies,
        Execution,
        Flow,
        Grant,
        Id,
        Policy,
        Signals,
        Suspension,
        Waitpoint,
    )
    from sim.store.rules import StoreRules

    SlotEffect = Callable[[int, Id, Id], None]


class Partition:
    """The records and indexes of one partition, all lanes of it.

    Parameters
    ----------
    rules
        The dialect.

    Attributes
    ----------
    stamp : object
        Who does what, and when: set by the caller before an operation, opaque here. An operation that
        changes an execution (or flow, waitpoint, quota) leaves it there as ``changed``, and a
        refusal carries the ``changed`` of what refused it as its rival.
    release_slot, take_slot : Callable
        What to do when a lease that holds a slot of a quota ends, or is reclaimed: called with
        (now_ms, quota, execution). By default the quotas of this partition; a simulation with several
        partitions replaces them, so that the effect reaches the quota's own.
    """

    __slots__ = (
        "budgets",
        "cancel_backlog",
        "conditions",
        "creation_keys",
        "deadlines",
        "dependencies",
        "drops_expired_grants",
        "executions",
        "fences_by_epoch",
        "finished",
        "flows",
        "granted_leave",
        "granted_pends",
        "holds_slots",
        "lanes",
        "lapsing_grants",
        "lease_expiry",
        "policies",
        "quotas",
        "release_slot",
        "results",
        "rules",
        "signal_ids",
        "signals",
        "stamp",
        "suspend_outcomes",
        "suspension_timeouts",
        "suspensions",
        "take_slot",
        "usage_keys",
        "waitpoint_expiry",
        "waitpoints",
    )

    def __init__(self, rules: StoreRules = CONTRACT) -> None:
        self.rules = rules
        # The rules that every claim meets, as flags.
        self.drops_expired_grants = rules.expired_grant == "dropped"
        self.granted_leave = rules.granted_execution == "leaves_eligible_set"
        self.granted_pends = rules.granted_execution == "pending_claim"
        self.fences_by_epoch = rules.fence_mismatch == "lease_conflict"
        self.holds_slots = rules.concurrency_release == "lease_end"
        self.stamp: object = None
        self.executions: dict[Id, Execution] = {}
        self.finished = FinishedExecutions()
        self.lanes: dict[Id, Lane] = {}
        self.lease_expiry = Index()
        self.lapsing_grants = Index()
        self.suspension_timeouts = Index()
        self.waitpoint_expiry = Index()
        self.deadlines = Index()
        self.cancel_backlog = Index()
        self.creation_keys: dict[Id, tuple[Id, int]] = {}
        self.policies: dict[Id, Policy] = {}
        self.results: set[Id] = set()
        self.waitpoints: dict[Id, Waitpoint] = {}
        self.conditions: dict[Id, Condition] = {}
        self.signals: dict[Id, Signals] = {}
        self.signal_ids: dict[Id, set[Id]] = {}
        self.suspensions: dict[Id, Suspension] = {}
        self.suspend_outcomes: dict[tuple[Id, Id], tuple[Ok, int | None]] = {}
        self.flows: dict[Id, Flow] = {}
        self.dependencies: dict[Id, Dependencies] = {}
        self.quotas = QuotaTable()
        self.budgets: dict[Id, Budget] = {}
        self.usage_keys: dict[Id, int] = {}
        self.release_slot: SlotEffect = self.quotas.release_slot
        self.take_slot: SlotEffect = self.quotas.take_slot

    def find(self, execution: Id) -> Execution | None:
        """Find an execution that is not among the whole ones: make it whole again, if it is finished."""
        found = self.finished.take(execution)
        if found is not None:
            self.executions[execution] = found
        return found

    def compact(self, execution: Id) -> bool:
        """Move a finished execution to the columns. Every later answer stays the same.

        Returns
        -------
        bool
            Whether it was moved: not when it is unfinished, or has a leftover of a lease, grant or delay.
        """
        found = self.executions.get(execution)
        if found is None or not self.finished.accepts(found):
            return False
        del self.executions[execution]
        self.finished.put(found)
        return True

    def forget_executions(self) -> None:
        """Forget every execution: for when nothing more is asked, and their room is needed."""
        self.executions = {}
        self.finished = FinishedExecutions()

    def dimensions(self, execution: Id) -> dict[str, str] | None:
        """Give the seven dimensions of an execution in the engine's words; None when there is none."""
        found = self.executions.get(execution) or self.find(execution)
        return found.state.words if found is not None else None

    def lane(self, lane: Id) -> Lane:
        """Give a lane; it comes into being with its first execution."""
        found = self.lanes.get(lane)
        if found is None:
            found = self.lanes[lane] = Lane(lane)
        return found


def not_a_number(op: str, argument: str, value: object) -> Refused | None:
    """Refuse an argument that is no number, as the engine does before it reads anything."""
    try:
        int(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        detail = f"{argument} must be a number, got: {value}"
        return Refused(op, "invalid_input", values={"detail": detail})
    return None


def not_active(op: str, ex: Execution) -> Refused:
    """Refuse because the execution is not active, with the four facts that a caller reconciles by."""
    words = ex.state.words
    values = {
        "terminal_outcome": words["terminal_outcome"],
        "lease_epoch": ex.epoch,
        "lifecycle_phase": words["lifecycle_phase"],
        "attempt_id": ex.attempt_id,
    }
    return Refused(op, "execution_not_active", ex.changed, values=values)


def live_grant(ex: Execution, now_ms: int) -> Grant | None:
    """Give the grant of an execution while it may be used: up to and including its last millisecond."""
    grant = ex.grant
    return grant if grant is not None and now_ms <= grant.expires_at else None


def drop_grant(store: Partition, ex: Execution, now_ms: int) -> None:
    """Drop the grant of an execution, and give back the slot that went with it."""
    grant = ex.grant
    if grant is None:
        return
    ex.grant = None
    store.lapsing_grants.discard(ex.id)
    if grant.admission is not None:
        store.release_slot(now_ms, grant.admission, ex.id)


def give_slot_back(store: Partition, ex: Execution, now_ms: int) -> None:
    """Give back the slot that goes with a grant; the grant itself stays, to be told that it is of no use."""
    grant = ex.grant
    if grant is not None and grant.admission is not None:
        store.release_slot(now_ms, grant.admission, ex.id)
        grant.admission = None


def make_eligible(store: Partition, ex: Execution, now_ms: int) -> None:
    """Put an execution into the eligible set at its place, unless a live grant keeps it out of it."""
    if store.granted_leave:
        grant = live_grant(ex, now_ms)
        if grant is not None:
            store.lapsing_grants.add(ex.id, grant.expires_at)
            return
        store.lapsing_grants.discard(ex.id)
    ex.lane.eligible.add(ex.id, ex.score)


def leave_eligible(store: Partition, ex: Execution) -> None:
    """Take an execution out of the eligible set, or from among those that a lapsed grant keeps out of it."""
    ex.lane.eligible.discard(ex.id)
    store.lapsing_grants.discard(ex.id)


def release_lease(store: Partition, ex: Execution, now_ms: int) -> None:
    """End what a lease holds, before the state changes: a slot of a quota, its place in the expiry index."""
    if ex.state is LEASED:
        free_slots(store, ex, now_ms)
    ex.admission = None
    store.lease_expiry.discard(ex.id)


def free_slots(store: Partition, ex: Execution, now_ms: int) -> None:
    """Give back the slots that end with a lease: that of its grant, and one taken at submission."""
    if ex.admission is not None:
        store.release_slot(now_ms, ex.admission, ex.id)
    free_reserved_slot(store, ex, now_ms)


def free_reserved_slot(store: Partition, ex: Execution, now_ms: int) -> None:
    """Give back the slot that was taken at submission and that no lease took over."""
    if ex.reserved is not None:
        store.release_slot(now_ms, ex.reserved, ex.id)
        ex.reserved = None


def clear_lease(ex: Execution) -> None:
    """Forget who holds an execution; the epoch stays, and so does the stamp of a revocation."""
    ex.lease_id = None
    ex.worker = None
    ex.lease_expires_at = None


def give_lease_back(store: Partition, ex: Execution, now_ms: int) -> None:
    """End a lease by its holder's own doing, before the state changes."""
    release_lease(store, ex, now_ms)
    clear_lease(ex)
    if ex.state.phase is Phase.RUNNABLE:
        # Requeued after a lapse, and yet its old holder still has a say (fences by epoch alone).
        leave_eligible(store, ex)


def mark_lapsed(store: Partition, ex: Execution, now_ms: int) -> None:
    """Mark a lapsed lease, if it is not marked yet. It stays in the expiry index."""
    if ex.state is LAPSED:
        return
    free_slots(store, ex, now_ms)
    ex.state = LAPSED
    ex.changed = store.stamp


def end_in_terminal(store: Partition, ex: Execution, now_ms: int) -> None:
    """Do what every terminal transition does where a grant takes an execution out of the eligible set."""
    if store.granted_leave:
        drop_grant(store, ex, now_ms)
    free_reserved_slot(store, ex, now_ms)
    ex.changed = store.stamp


def discard_everywhere(store: Partition, ex: Execution) -> None:
    """Take an execution out of every index that could schedule it."""
    lane = ex.lane
    leave_eligible(store, ex)
    lane.delayed.discard(ex.id)
    for index in lane.blocked.values():
        index.discard(ex.id)
    store.suspension_timeouts.discard(ex.id)
    store.deadlines.discard(ex.id)


def blocked_index(ex: Execution, eligibility: str) -> Index:
    """Give the index of the executions of this lane that are blocked in one way."""
    blocked = ex.lane.blocked
    index = blocked.get(eligibility)
    if index is None:
        index = blocked[eligibility] = Index()
    return index
