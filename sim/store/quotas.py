"""Quotas: admission by a sliding window and a cap of concurrent executions.

An entry of time t stops counting AT t + window; a guard ("this execution is admitted") still counts then.
Where slots are held by leases (rule ``concurrency_release: lease_end``) guard and slot are one thing, held
until released; otherwise a guard lives as long as the window, and a count apart from it says how many are
active.
"""

# Every operation takes the instant and the arguments of the engine, whether it looks at them or not.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sim.store.outcome import Ok, Refused
from sim.store.partition import not_a_number
from sim.store.records import Quota

if TYPE_CHECKING:
    from sim.store.outcome import Outcome
    from sim.store.partition import Partition
    from sim.store.records import Id

_ADMITTED: Final = Ok(code="ADMITTED")
_ALREADY_ADMITTED: Final = Ok(code="ALREADY_ADMITTED")
_RELEASED: Final = Ok({"outcome": "released"})
_MS_PER_S: Final = 1000


def create_quota_policy(
    store: Partition, now_ms: int, quota: Id, window_seconds: float, rate_limit: int, concurrency_cap: int
) -> Outcome:
    """Define a quota. Admission does not read the definition; the reconciler does. The count starts anew."""
    record = _quota(store, quota)
    if record.is_defined:
        return Ok({"quota": quota}, "ALREADY_SATISFIED")
    record.is_defined = True
    record.window_seconds = window_seconds
    record.rate_limit = rate_limit
    record.concurrency_cap = concurrency_cap
    record.concurrency = 0
    record.changed = store.stamp
    return Ok({"quota": quota})


def check_admission_and_record(
    store: Partition,
    now_ms: int,
    quota: Id,
    execution: Id,
    window_seconds: float,
    rate_limit: int,
    concurrency_cap: int,
) -> Outcome:
    """Admit an execution under limits that the caller gives; 0 means none.

    Refusals carry ``retry_after_ms`` where the rate is exceeded: until the oldest entry leaves the window.
    """
    op = "check_admission_and_record"
    limits: dict[str, Any] = {
        "window_seconds": window_seconds, "rate_limit": rate_limit, "concurrency_cap": concurrency_cap,
    }  # fmt: skip
    for name, limit in limits.items():
        if type(limit) is not int:
            refused = not_a_number(op, name, limit)
            if refused is not None:
                return refused
            limits[name] = float(limit)
    window_seconds, rate_limit, concurrency_cap = limits.values()
    record = _quota(store, quota)
    if _is_guarded(record, execution, now_ms):
        return _ALREADY_ADMITTED
    window_ms = round(window_seconds * _MS_PER_S)
    window = record.window
    while window:
        oldest = next(iter(window.values()))
        if oldest > now_ms - window_ms:
            break
        window.popitem(last=False)
    if 0 < rate_limit <= len(window):
        retry_after_ms = max(0, next(iter(window.values())) + window_ms - now_ms)
        values = {"retry_after_ms": retry_after_ms}
        return Refused(op, "RATE_EXCEEDED", record.changed, values=values, retry_after_ms=retry_after_ms)
    if 0 < concurrency_cap <= active_count(store, record):
        return Refused(op, "CONCURRENCY_EXCEEDED", record.changed)
    window[execution] = now_ms
    window.move_to_end(execution)
    record.changed = store.stamp
    if store.holds_slots:
        record.guards[execution] = None
    else:
        # Without a window the guard lasts no time, but the execution counts among the admitted.
        record.guards[execution] = now_ms + window_ms if window_ms > 0 else now_ms - 1
        if concurrency_cap > 0:
            record.concurrency += 1
    return _ADMITTED


def release_admission(store: Partition, now_ms: int, quota: Id, execution: Id) -> Outcome:
    """Give an admission back. The rate window keeps its entry.

    Where slots are not held by leases a slot is given back even for an execution that was never admitted.
    """
    record = _quota(store, quota)
    record.changed = store.stamp
    if store.holds_slots:
        store.quotas.release_slot(now_ms, quota, execution)
        return _RELEASED
    record.guards.pop(execution, None)
    if record.concurrency > 0:
        record.concurrency -= 1
    return _RELEASED


def reconcile_quota(store: Partition, now_ms: int, quota: Id) -> Outcome:
    """Repair the count of active executions: those whose guard is alive. The reconciler's own step.

    It changes nothing unless the rule ``concurrency_release`` is ``reconciler``.
    """
    record = _quota(store, quota)
    if store.rules.concurrency_release == "reconciler" and record.concurrency_cap > 0:
        for execution in [e for e in record.guards if not _is_guarded(record, e, now_ms)]:
            del record.guards[execution]
        record.concurrency = len(record.guards)
        record.changed = store.stamp
    return Ok({"concurrency": active_count(store, record)})


def active_count(store: Partition, record: Quota) -> int:
    """Count the active executions of a quota: its guards where they are slots, else the engine's counter."""
    return len(record.guards) if store.holds_slots else record.concurrency


def _quota(store: Partition, quota: Id) -> Quota:
    record = store.quotas.get(quota)
    if record is None:
        record = store.quotas[quota] = Quota(store.stamp)
    return record


def _is_guarded(record: Quota, execution: Id, now_ms: int) -> bool:
    if execution not in record.guards:
        return False
    until = record.guards[execution]
    return until is None or now_ms <= until
