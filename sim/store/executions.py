"""Operations on an execution's life: creation, the worker's verdicts, cancellation, expiry, replay.

Guards stand in the engine's order. Guards that no state of the model can reach are left out: a runnable
execution is unowned, has no outcome and no running attempt, by the vectors of :mod:`sim.store.state`.
"""

# Every operation takes the instant and the arguments of the engine, whether it looks at them or not.
# ruff: noqa: ARG001

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sim.store.capabilities import fault_of_required
from sim.store.fences import OPERATOR_OVERRIDE, check_epoch, check_fence
from sim.store.flows import reset_dependencies
from sim.store.outcome import Ok, Refused
from sim.store.partition import (
    blocked_index,
    clear_lease,
    discard_everywhere,
    end_in_terminal,
    give_lease_back,
    make_eligible,
    not_a_number,
    not_active,
    release_lease,
)
from sim.store.records import Execution, Policy
from sim.store.state import (
    BACKING_OFF,
    CANCELLED_AS,
    COMPLETED,
    CREATED,
    CREATED_DELAYED,
    DELAYED,
    ELIGIBLE_AS,
    EXPIRED_AS,
    FAILED,
    REVOKED,
    WAITING_CHILDREN_AS,
    AttemptState,
    Eligibility,
    Phase,
    TerminalOutcome,
)
from sim.store.waitpoints import close_suspension, close_suspension_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.store.index import Index
    from sim.store.outcome import Outcome
    from sim.store.partition import Partition
    from sim.store.records import Id

PRIORITY_MAX: Final = 9000
CREATION_KEY_TTL_MS: Final = 86_400_000
DEFAULT_REPLAYS_MAX: Final = 10

_COMPLETED_OK: Final = Ok({"outcome": "completed"})
_FAILED_OK: Final = Ok({"outcome": "terminal_failed"})
_ALREADY_TERMINAL: Final = Ok({"outcome": "already_terminal"})
_NOT_FOUND_CLEANED: Final = Ok({"outcome": "not_found_cleaned"})
_CANCELLED_FROM: Final = {phase: Ok({"outcome": "cancelled", "from_phase": phase.value}) for phase in Phase}
_EXPIRED_FROM: Final = {phase: Ok({"outcome": "expired", "from_phase": phase.value}) for phase in Phase}
_OK: Final = Ok()
_NO_DEPENDENCIES: Final = Ok({"unsatisfied": 0})


def create_execution(
    store: Partition,
    now_ms: int,
    execution: Id,
    lane: Id,
    priority: int = 0,
    delay_until: int | None = None,
    idempotency_key: Id | None = None,
    policy: Mapping[str, Any] | str | None = None,
    deadline_at: int | None = None,
    admission: Id | None = None,
) -> Outcome:
    """Create an execution: eligible at once, or delayed until an instant.

    Parameters
    ----------
    priority
        Clamped to 0..9000.
    delay_until
        An instant (ms). Not after now: the execution is eligible by its state, but stands among the
        delayed ones, where nobody finds it (the engine's own behaviour).
    idempotency_key
        Remembered for 24 hours, the last millisecond included.
    policy
        ``max_reclaim_count``, ``max_replay_count``, ``required_capabilities``; or the engine's JSON text.
    deadline_at
        When a reconciler may expire it (ms).
    admission
        The quota that admitted it at its submission. Where slots are held by leases, the slot is its own
        until its first lease ends, or until it ends without one.
    """
    if type(priority) is not int:
        refused = not_a_number("create_execution", "priority", priority)
        if refused is not None:
            return refused
        priority = int(float(priority))
    if idempotency_key is not None:
        remembered = store.creation_keys.get(idempotency_key)
        if remembered is not None and now_ms <= remembered[1]:
            return Ok({"execution": remembered[0]}, "DUPLICATE")
    if execution in store.executions or store.find(execution) is not None:
        return Ok({"execution": execution}, "DUPLICATE")
    if policy:
        refused = _set_policy(store, execution, policy)
        if refused is not None:
            return refused
    if not 0 <= priority <= PRIORITY_MAX:
        priority = min(max(priority, 0), PRIORITY_MAX)
    home = store.lanes.get(lane) or store.lane(lane)
    ex = store.executions[execution] = Execution(execution, home, CREATED, priority, now_ms, store.stamp)
    if idempotency_key is not None:
        store.creation_keys[idempotency_key] = (execution, now_ms + CREATION_KEY_TTL_MS)
    if deadline_at is not None:
        store.deadlines.add(execution, deadline_at)
    if admission is not None and store.holds_slots:
        ex.reserved = admission
    if delay_until is None:
        home.eligible.add(execution, ex.score)
    elif delay_until > now_ms:
        ex.state = CREATED_DELAYED
        ex.delay_until = delay_until
        home.delayed.add(execution, delay_until)
    else:
        # The index is chosen by whether a delay was given, the score by whether it lies ahead.
        home.delayed.add(execution, ex.score)
    return Ok({"execution": execution, "public_state": ex.state.words["public_state"]})


def _set_policy(store: Partition, execution: Id, policy: Mapping[str, Any] | str) -> Refused | None:
    op = "create_execution"
    if isinstance(policy, str):
        decoded = _decode_policy(policy)
        if isinstance(decoded, str):
            return Refused(op, "invalid_policy_json", values={"detail": decoded})
        policy = decoded
    required = policy.get("required_capabilities", ())
    fault = fault_of_required(required)
    if fault is not None:
        return Refused(op, "invalid_capabilities", values={"detail": f"required:{fault}"})
    store.policies[execution] = Policy(
        tuple(sorted(set(required))), policy.get("max_reclaim_count"), policy.get("max_replay_count")
    )
    return None


def _decode_policy(text: str) -> dict[str, Any] | str:
    """Decode the engine's JSON text of a policy, or say what is wrong with it."""
    try:
        policy = json.loads(text)
    except ValueError:
        return "malformed"
    if not isinstance(policy, dict):
        return {}
    routing = policy.get("routing_requirements", {})
    if not isinstance(routing, dict):
        return "routing_requirements:not_object"
    return {**policy, "required_capabilities": routing.get("required_capabilities", ())}


def complete_execution(
    store: Partition,
    now_ms: int,
    execution: Id,
    lease_id: Id | None,
    lease_epoch: int | None,
    attempt_id: Id | None,
    result: object = None,
    source: str | None = None,
) -> Outcome:
    """End an execution with success; its worker says so, or an operator (``operator_override``)."""
    op = "complete_execution"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    refused = check_fence(store, op, ex, now_ms, lease_id, lease_epoch, attempt_id, source)
    if refused is not None:
        if store.fences_by_epoch and ex.state is COMPLETED and ex.epoch == lease_epoch:
            return _COMPLETED_OK
        return refused
    if result:
        store.results.add(execution)
    give_lease_back(store, ex, now_ms)
    ex.lease_revoked_at = None
    ex.state = COMPLETED
    store.deadlines.discard(execution)
    end_in_terminal(store, ex, now_ms)
    return _COMPLETED_OK


def fail_execution(
    store: Partition,
    now_ms: int,
    execution: Id,
    lease_id: Id | None,
    lease_epoch: int | None,
    attempt_id: Id | None,
    retry_policy: Mapping[str, Any] | None = None,
    source: str | None = None,
) -> Outcome:
    """Fail the attempt: the execution backs off for a retry, or ends when its retries are used up."""
    op = "fail_execution"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    refused = check_fence(store, op, ex, now_ms, lease_id, lease_epoch, attempt_id, source)
    if refused is not None:
        return refused
    give_lease_back(store, ex, now_ms)
    if retry_policy is not None and ex.retry_count < retry_policy.get("max_retries", 0):
        delay_ms = _backoff_ms(retry_policy.get("backoff"), ex.retry_count)
        ex.retry_count += 1
        ex.attempt_id = None
        ex.delay_until = now_ms + delay_ms
        ex.state = BACKING_OFF
        ex.changed = store.stamp
        ex.lane.delayed.add(execution, ex.delay_until)
        return Ok({
            "outcome": "retry_scheduled", "delay_until": ex.delay_until, "retry_delay_ms": delay_ms,
        })  # fmt: skip
    ex.state = FAILED
    store.deadlines.discard(execution)
    end_in_terminal(store, ex, now_ms)
    return _FAILED_OK


def _backoff_ms(backoff: Mapping[str, Any] | None, retry_count: int) -> int:
    """Delay before a retry; the figures are the engine's defaults, ``retry_count`` counts earlier retries."""
    if backoff is None:
        return 1000
    if backoff.get("type") == "exponential":
        delay_ms = backoff.get("initial_delay_ms", 1000) * backoff.get("multiplier", 2) ** retry_count
        return int(min(delay_ms, backoff.get("max_delay_ms", 60_000)))
    return int(backoff.get("delay_ms", 1000)) if backoff.get("type") == "fixed" else 1000


def delay_execution(
    store: Partition,
    now_ms: int,
    execution: Id,
    lease_id: Id | None,
    lease_epoch: int | None,
    attempt_id: Id | None,
    delay_until: int,
    source: str | None = None,
) -> Outcome:
    """Put the execution aside until an instant; its attempt goes on when it is claimed again."""
    op = "delay_execution"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    refused = check_fence(store, op, ex, now_ms, lease_id, lease_epoch, attempt_id, source)
    if refused is not None:
        return refused
    give_lease_back(store, ex, now_ms)
    ex.delay_until = delay_until
    ex.state = DELAYED
    ex.changed = store.stamp
    ex.lane.delayed.add(execution, delay_until)
    return Ok({"delay_until": delay_until})


def move_to_waiting_children(
    store: Partition,
    now_ms: int,
    execution: Id,
    lease_id: Id | None,
    lease_epoch: int | None,
    attempt_id: Id | None,
    source: str | None = None,
) -> Outcome:
    """Put the execution aside until its dependencies are satisfied."""
    op = "move_to_waiting_children"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    refused = check_fence(store, op, ex, now_ms, lease_id, lease_epoch, attempt_id, source)
    if refused is not None:
        return refused
    give_lease_back(store, ex, now_ms)
    ex.state = WAITING_CHILDREN_AS[AttemptState.INTERRUPTED]
    ex.changed = store.stamp
    blocked_index(ex, Eligibility.BY_DEPENDENCIES.value).add(execution, ex.created_at)
    return _OK


def update_progress(
    store: Partition,
    now_ms: int,
    execution: Id,
    lease_id: Id | None,
    lease_epoch: int | None,
    progress_pct: int,
) -> Outcome:
    """Report progress. The attempt is not compared, and a lapsed lease is not marked."""
    op = "update_progress"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    if store.fences_by_epoch:
        refused = check_epoch(op, ex, lease_epoch)
        if refused is not None:
            return refused
    elif ex.state.phase is not Phase.ACTIVE:
        return not_active(op, ex)
    elif ex.state is REVOKED:
        return Refused(op, "lease_revoked", ex.changed)
    elif ex.lease_expires_at <= now_ms:  # type: ignore[operator]
        return Refused(op, "lease_expired", ex.changed)
    elif ex.lease_id != lease_id or ex.epoch != lease_epoch:
        return Refused(op, "stale_lease", ex.changed)
    ex.changed = store.stamp
    return _OK


def cancel_execution(
    store: Partition,
    now_ms: int,
    execution: Id,
    source: str | None = None,
    lease_id: Id | None = None,
    lease_epoch: int | None = None,
) -> Outcome:
    """Cancel an unfinished execution. Only an active one's lease is compared, and only if given."""
    op = "cancel_execution"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    phase = ex.state.phase
    if phase is Phase.TERMINAL:
        return not_active(op, ex)
    if phase is Phase.ACTIVE and source != OPERATOR_OVERRIDE:
        if ex.state is REVOKED:
            return Refused(op, "lease_revoked", ex.changed)
        if lease_id is not None and (ex.lease_id != lease_id or ex.epoch != lease_epoch):
            return Refused(op, "stale_lease", ex.changed)
    if phase is Phase.SUSPENDED:
        close_suspension_of(store, ex)
    _end_from_outside(store, ex, now_ms)
    discard_everywhere(store, ex)
    ex.state = CANCELLED_AS[_attempt_at_end(ex)]
    end_in_terminal(store, ex, now_ms)
    return _CANCELLED_FROM[phase]


def _end_from_outside(store: Partition, ex: Execution, now_ms: int) -> None:
    """Take away whatever lease or suspension an execution has."""
    release_lease(store, ex, now_ms)
    clear_lease(ex)
    ex.suspension = None
    ex.waitpoint = None


def _attempt_at_end(ex: Execution) -> AttemptState:
    """Give the state of the attempt at the end: an execution that never had one keeps what it waited for."""
    return ex.state.attempt if ex.attempt_index is None else AttemptState.TERMINAL


def expire_execution(store: Partition, now_ms: int, execution: Id) -> Outcome:
    """End an execution because its time is up. Whether it is, nobody checks."""
    store.deadlines.discard(execution)
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return _NOT_FOUND_CLEANED
    phase = ex.state.phase
    if phase is Phase.TERMINAL:
        return _ALREADY_TERMINAL
    if phase is Phase.SUSPENDED:
        close_suspension(store, ex)
    elif phase is Phase.RUNNABLE:
        for index in _indexes_of_runnable(ex):
            index.discard(execution)
    _end_from_outside(store, ex, now_ms)
    ex.state = EXPIRED_AS[_attempt_at_end(ex)]
    end_in_terminal(store, ex, now_ms)
    return _EXPIRED_FROM[phase]


def _indexes_of_runnable(ex: Execution) -> list[Index]:
    """List the indexes that a runnable execution is in, by its state: stale entries elsewhere stay."""
    lane = ex.lane
    match ex.state.eligibility:
        case Eligibility.ELIGIBLE_NOW | Eligibility.PENDING_CLAIM:
            return [lane.eligible]
        case Eligibility.NOT_UNTIL_TIME:
            return [lane.delayed]
        case Eligibility.BY_LANE_STATE:
            return [lane.eligible, lane.delayed, *lane.blocked.values()]
        case eligibility:
            return [blocked_index(ex, eligibility.value)]


def replay_execution(store: Partition, now_ms: int, execution: Id) -> Outcome:
    """Start a finished execution again. Its counters of retries, reclaims and attempts go on."""
    op = "replay_execution"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    state = ex.state
    if state.phase is not Phase.TERMINAL:
        return Refused(op, "execution_not_terminal", ex.changed)
    policy = store.policies.get(execution)
    replays_max = policy.max_replay_count if policy is not None else None
    if ex.replay_count >= (DEFAULT_REPLAYS_MAX if replays_max is None else replays_max):
        return Refused(op, "max_replays_exhausted", ex.changed)
    ex.replay_count += 1
    ex.changed = store.stamp
    if state.outcome is TerminalOutcome.SKIPPED and ex.flow is not None:
        unsatisfied = reset_dependencies(store, ex)
        ex.state = WAITING_CHILDREN_AS[AttemptState.PENDING_REPLAY]
        blocked_index(ex, Eligibility.BY_DEPENDENCIES.value).add(execution, ex.created_at)
        return Ok({"unsatisfied": unsatisfied})
    ex.state = ELIGIBLE_AS[AttemptState.PENDING_REPLAY]
    make_eligible(store, ex, now_ms)
    return _NO_DEPENDENCIES
