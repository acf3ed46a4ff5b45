"""Waitpoints, suspensions and signals.

A waitpoint, its condition, its signals and the suspension bound to it are separate records that can
disagree, as in the engine: a waitpoint that is closed may leave its condition open, and signals of an
earlier life of an id count for a later one. A suspended execution has an open suspension, always.
Left out: payloads, token secrets (a token is valid or not) and composite conditions.
"""

# Every operation takes the instant and the arguments of the engine, whether it looks at them or not.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sim.store.fences import check_fence
from sim.store.outcome import Ok, Refused
from sim.store.partition import end_in_terminal, give_lease_back, make_eligible, not_active
from sim.store.records import Condition, Signals, Suspension, Waitpoint
from sim.store.state import (
    CANCELLED_AS,
    ESCALATED,
    EXPIRED_AS,
    FAILED,
    LEASED,
    RESUMED,
    RESUMED_DELAYED,
    SUSPENDED,
    SUSPENDED_FOR,
    AttemptState,
    Phase,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.store.outcome import Outcome
    from sim.store.partition import Partition
    from sim.store.records import Execution, Id

SIGNAL_KEY_TTL_MS: Final = 86_400_000
SIGNALS_MAX: Final = 10_000

_CLOSED: Final = Ok({"outcome": "closed"})
_ALREADY_CLOSED: Final = Ok({"outcome": "already_closed"})
_CLEANED: Final = {
    word: Ok({"outcome": word}) for word in ("not_found_cleaned", "not_suspended_cleaned", "not_yet_due")
}
_AUTO_RESUME: Final = frozenset({"auto_resume_with_timeout_signal", "auto_resume"})
_TIMED_OUT: Final = {
    "fail": FAILED,
    "cancel": CANCELLED_AS[AttemptState.TERMINAL],
    "expire": EXPIRED_AS[AttemptState.TERMINAL],
}


def create_pending_waitpoint(
    store: Partition, now_ms: int, execution: Id, attempt_index: int, waitpoint: Id, expires_at: int
) -> Outcome:
    """Create a waitpoint before suspending on it, so that its token can be handed out early.

    Neither the lease's identity nor its expiry is looked at.
    """
    op = "create_pending_waitpoint"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    if ex.state.phase is not Phase.ACTIVE:
        return not_active(op, ex)
    if ex.state is not LEASED:
        return Refused(op, "no_active_lease", ex.changed)
    if ex.attempt_index != attempt_index:
        return Refused(op, "stale_lease", ex.changed)
    record = store.waitpoints.get(waitpoint)
    if record is not None and record.state != "closed":
        return Refused(op, "waitpoint_already_exists", record.changed)
    store.waitpoints[waitpoint] = Waitpoint(execution, attempt_index, "pending", expires_at, store.stamp)
    store.waitpoint_expiry.add(waitpoint, expires_at)
    return Ok({"waitpoint": waitpoint})


def suspend_execution(
    store: Partition,
    now_ms: int,
    execution: Id,
    attempt_index: int,
    attempt_id: Id | None,
    lease_id: Id | None,
    lease_epoch: int | None,
    suspension: Id,
    waitpoint: Id,
    resume_condition: Mapping[str, Any],
    reason_code: str = "waiting_for_signal",
    timeout_at: int | None = None,
    timeout_behavior: str = "fail",
    use_pending: bool = False,
    idempotency_key: Id | None = None,
    dedup_ttl_ms: int | None = None,
) -> Outcome:
    """Suspend an active execution until signals satisfy a condition.

    Parameters
    ----------
    resume_condition
        ``names`` (none: any signal), ``mode`` (``any``, ``all``, ``count``), ``min_count``.
    timeout_at
        An instant (ms), possibly past.
    timeout_behavior
        ``fail``, ``cancel``, ``expire``, ``auto_resume_with_timeout_signal`` or ``escalate``.
    use_pending
        The waitpoint is a pending one: signals buffered for it count, and may satisfy the condition at
        once (ALREADY_SATISFIED; the execution stays active). Otherwise a new one replaces what has its id.
    idempotency_key, dedup_ttl_ms
        A repetition with the key gets the first outcome again, before anything is checked; for so long
        (None: for ever).
    """
    op = "suspend_execution"
    if idempotency_key is not None:
        stored = store.suspend_outcomes.get((execution, idempotency_key))
        if stored is not None and (stored[1] is None or now_ms <= stored[1]):
            return stored[0]
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    refused = check_fence(store, op, ex, now_ms, lease_id, lease_epoch, attempt_id)
    if refused is None:
        refused = _refuse_suspension(store, ex, now_ms, attempt_index, waitpoint if use_pending else None)
    if refused is not None:
        return refused
    condition = Condition(
        resume_condition["names"], resume_condition.get("mode", "any"), resume_condition.get("min_count", 1)
    )
    store.conditions[waitpoint] = condition
    if use_pending:
        satisfied = _activate(store, waitpoint, condition)
    else:
        store.waitpoints[waitpoint] = Waitpoint(execution, attempt_index, "active", None, store.stamp)
        satisfied = False
    if not satisfied:
        give_lease_back(store, ex, now_ms)
        ex.state = SUSPENDED_FOR.get(reason_code, SUSPENDED)
        _open_suspension(store, ex, Suspension(suspension, waitpoint, timeout_at, timeout_behavior))
    values = {"suspension": suspension, "waitpoint": waitpoint}
    outcome = Ok(values, "ALREADY_SATISFIED" if satisfied else "OK")
    if idempotency_key is not None:
        until = now_ms + dedup_ttl_ms if dedup_ttl_ms else None
        store.suspend_outcomes[execution, idempotency_key] = (outcome, until)
    return outcome


def _open_suspension(store: Partition, ex: Execution, suspension: Suspension) -> None:
    ex.suspension = suspension.id
    ex.waitpoint = suspension.waitpoint
    ex.changed = store.stamp
    store.suspensions[ex.id] = suspension
    if suspension.timeout_at is not None:
        store.suspension_timeouts.add(ex.id, suspension.timeout_at)


def _refuse_suspension(
    store: Partition, ex: Execution, now_ms: int, attempt_index: int, pending: Id | None
) -> Refused | None:
    op = "suspend_execution"
    if ex.attempt_index != attempt_index:
        return Refused(op, "invalid_lease_for_suspend", ex.changed)
    current = store.suspensions.get(ex.id)
    if current is not None and current.is_open:
        return Refused(op, "already_suspended", ex.changed)
    if pending is None:
        return None
    record = store.waitpoints.get(pending)
    if record is None:
        return Refused(op, "waitpoint_not_found")
    if record.state != "pending":
        return Refused(op, "waitpoint_not_pending", record.changed)
    if record.execution != ex.id or record.attempt_index != attempt_index:
        return Refused(op, "invalid_waitpoint_for_execution", record.changed)
    if record.expires_at is not None and record.expires_at <= now_ms:
        return Refused(op, "pending_waitpoint_expired", record.changed)
    return None


def _activate(store: Partition, waitpoint: Id, condition: Condition) -> bool:
    """Activate a pending waitpoint and feed it every signal of its id so far; say whether they suffice."""
    record = store.waitpoints[waitpoint]
    record.state = "active"
    record.changed = store.stamp
    store.waitpoint_expiry.discard(waitpoint)
    signals = store.signals.get(waitpoint)
    if signals is None or not signals.names:
        return False
    for name in signals.names:
        condition.feed(name)
    if condition.is_met:
        record.state = "closed"
        return True
    return False


def deliver_signal(
    store: Partition,
    now_ms: int,
    execution: Id,
    waitpoint: Id,
    signal: Id,
    name: str,
    token_valid: bool | None = True,
    idempotency_key: Id | None = None,
    dedup_ttl_ms: int = SIGNAL_KEY_TTL_MS,
    resume_delay_ms: int = 0,
    max_signals: int = SIGNALS_MAX,
) -> Outcome:
    """Deliver a signal to an active waitpoint; it may resume the execution.

    Parameters
    ----------
    token_valid
        Whether the sender's token is right; None when it has none.
    resume_delay_ms
        How long after the resumption the execution becomes eligible.
    max_signals
        How many distinct signals the execution may get in all; 0 for no limit.
    """
    op = "deliver_signal"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    record = store.waitpoints.get(waitpoint)
    if record is None:
        return Refused(op, store.rules.missing_waitpoint, cause="missing")
    if not token_valid:
        return _refuse_token(op, token_valid)
    phase = ex.state.phase
    if phase is Phase.TERMINAL:
        return Refused(op, "target_not_signalable", ex.changed)
    if phase is not Phase.SUSPENDED:
        if record.state == "pending":
            return Refused(op, "waitpoint_pending_use_buffer_script", record.changed)
        if record.state != "active":
            return Refused(op, "target_not_signalable", record.changed)
    condition = store.conditions.get(waitpoint)
    if condition is None:
        return Refused(op, "waitpoint_not_found", record.changed)
    if condition.closed:
        return Refused(op, "waitpoint_closed", record.changed)
    answer = _accept(
        store, op, now_ms, ex, waitpoint, signal, name, idempotency_key, dedup_ttl_ms, max_signals
    )
    if answer is not None:
        return answer
    if not condition.feed(name):
        return Ok({"signal": signal, "effect": "no_op"})
    if not condition.is_met:
        return Ok({"signal": signal, "effect": "appended_to_waitpoint"})
    condition.closed = True
    record.state = "closed"
    record.changed = store.stamp
    close_suspension(store, ex)
    if phase is Phase.SUSPENDED:
        _resume(store, ex, now_ms, resume_delay_ms)
    return Ok({"signal": signal, "effect": "resume_condition_satisfied"})


def buffer_signal_for_pending_waitpoint(
    store: Partition,
    now_ms: int,
    execution: Id,
    waitpoint: Id,
    signal: Id,
    name: str,
    token_valid: bool | None = True,
    idempotency_key: Id | None = None,
    dedup_ttl_ms: int = SIGNAL_KEY_TTL_MS,
    max_signals: int = SIGNALS_MAX,
) -> Outcome:
    """Keep a signal for a waitpoint that nobody is suspended on yet.

    Accepted for an active waitpoint too, and for a terminal execution: then nobody ever looks at it.
    """
    op = "buffer_signal_for_pending_waitpoint"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    record = store.waitpoints.get(waitpoint)
    if record is None:
        return Refused(op, "waitpoint_not_found")
    if not token_valid:
        return _refuse_token(op, token_valid)
    if record.state == "closed":
        return Refused(op, "waitpoint_closed", record.changed)
    answer = _accept(
        store, op, now_ms, ex, waitpoint, signal, name, idempotency_key, dedup_ttl_ms, max_signals
    )
    if answer is not None:
        return answer
    return Ok({"signal": signal, "effect": "buffered_for_pending_waitpoint"})


def _refuse_token(op: str, token_valid: bool | None) -> Refused:
    if token_valid is None:
        return Refused(op, "missing_token")
    return Refused(op, "invalid_token", cause="wrong")


def _accept(
    store: Partition,
    op: str,
    now_ms: int,
    ex: Execution,
    waitpoint: Id,
    signal: Id,
    name: str,
    idempotency_key: Id | None,
    dedup_ttl_ms: int,
    max_signals: int,
) -> Outcome | None:
    """Record a signal, unless the execution has too many or its key is known; None when it is recorded."""
    ids = store.signal_ids.get(ex.id)
    if ids is None:
        ids = store.signal_ids[ex.id] = set()
    if 0 < max_signals <= len(ids):
        return Refused(op, "signal_limit_exceeded", ex.changed)
    signals = store.signals.get(waitpoint)
    if signals is None:
        signals = store.signals[waitpoint] = Signals()
    if idempotency_key is not None and dedup_ttl_ms > 0:
        known = signals.keys.get(idempotency_key)
        if known is not None and now_ms <= known[1]:
            return Ok({"signal": known[0]}, "DUPLICATE")
        signals.keys[idempotency_key] = (signal, now_ms + dedup_ttl_ms)
    signals.names.append(name)
    ids.add(signal)
    return None


def _resume(store: Partition, ex: Execution, now_ms: int, resume_delay_ms: int) -> None:
    """Make a suspended execution runnable: eligible at once, or after a delay."""
    ex.suspension = None
    ex.waitpoint = None
    ex.changed = store.stamp
    if resume_delay_ms > 0:
        ex.state = RESUMED_DELAYED
        if store.rules.resume_delay == "recorded":
            ex.delay_until = now_ms + resume_delay_ms
        ex.lane.delayed.add(ex.id, now_ms + resume_delay_ms)
    else:
        ex.state = RESUMED
        make_eligible(store, ex, now_ms)


def resume_execution(store: Partition, now_ms: int, execution: Id, resume_delay_ms: int = 0) -> Outcome:
    """Resume a suspended execution, whatever its condition; that condition stays open."""
    op = "resume_execution"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    if ex.state.phase is not Phase.SUSPENDED:
        return Refused(op, "execution_not_suspended", ex.changed)
    _close_waitpoint_record(store, store.suspensions[execution].waitpoint)
    close_suspension(store, ex)
    _resume(store, ex, now_ms, resume_delay_ms)
    return Ok({"public_state": ex.state.words["public_state"]})


def expire_suspension(store: Partition, now_ms: int, execution: Id) -> Outcome:
    """Carry out what a suspension's time-out means, at its due millisecond."""
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return _CLEANED["not_found_cleaned"]
    if ex.state.phase is not Phase.SUSPENDED:
        store.suspension_timeouts.discard(execution)
        return _CLEANED["not_suspended_cleaned"]
    current = store.suspensions[execution]
    if current.timeout_at is None:
        return Refused("expire_suspension", "script_error", ex.changed)
    if now_ms < current.timeout_at:
        return _CLEANED["not_yet_due"]
    behavior = current.timeout_behavior
    if behavior == "escalate":
        current.timeout_at = None
        store.suspension_timeouts.discard(execution)
        ex.state = ESCALATED
        ex.changed = store.stamp
    elif behavior in _AUTO_RESUME:
        behavior = "auto_resume"
        close_suspension_of(store, ex)
        _resume(store, ex, now_ms, 0)
    else:
        close_suspension_of(store, ex)
        ex.suspension = None
        ex.waitpoint = None
        ex.state = _TIMED_OUT.get(behavior, FAILED)
        end_in_terminal(store, ex, now_ms)
    return Ok({"outcome": behavior, "public_state": ex.state.words["public_state"]})


def close_waitpoint(store: Partition, now_ms: int, waitpoint: Id) -> Outcome:
    """Close a waitpoint, pending or active; its condition, and who waits on it, stay as they are."""
    record = store.waitpoints.get(waitpoint)
    if record is None:
        return Refused("close_waitpoint", "waitpoint_not_found")
    if record.state == "closed":
        return _ALREADY_CLOSED
    record.state = "closed"
    record.changed = store.stamp
    store.waitpoint_expiry.discard(waitpoint)
    return _CLOSED


def close_suspension(store: Partition, ex: Execution) -> None:
    """Close the suspension of an execution alone, and forget its time-out."""
    current = store.suspensions.get(ex.id)
    if current is not None:
        current.is_open = False
    store.suspension_timeouts.discard(ex.id)


def close_suspension_of(store: Partition, ex: Execution) -> None:
    """Close the suspension of a suspended execution with its waitpoint and condition."""
    waitpoint = store.suspensions[ex.id].waitpoint
    _close_waitpoint_record(store, waitpoint)
    store.conditions[waitpoint].closed = True
    close_suspension(store, ex)


def _close_waitpoint_record(store: Partition, waitpoint: Id) -> None:
    record = store.waitpoints[waitpoint]
    record.state = "closed"
    record.changed = store.stamp
