"""Budgets: usage by dimension, checked when it is reported. Exceeding is strictly more than a limit."""

# Every operation takes the instant and the arguments of the engine, whether it looks at them or not.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.store.outcome import Ok
from sim.store.records import Budget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.store.outcome import Outcome
    from sim.store.partition import Partition
    from sim.store.records import Id

USAGE_KEY_TTL_MS: Final = 86_400_000
_OK: Final = Ok()
_ALREADY_APPLIED: Final = Ok(code="ALREADY_APPLIED")


def create_budget(
    store: Partition, now_ms: int, budget: Id, limits: Sequence[tuple[str, int, int]]
) -> Outcome:
    """Define a budget: (dimension, hard limit, soft limit) each, 0 for none.

    One that was reported to before is there already, and has no limits ever.
    """
    if budget in store.budgets:
        return Ok({"budget": budget}, "ALREADY_SATISFIED")
    store.budgets[budget] = Budget(
        hard={dimension: hard for dimension, hard, _ in limits},
        soft={dimension: soft for dimension, _, soft in limits},
    )
    return Ok({"budget": budget})


def report_usage_and_check(
    store: Partition,
    now_ms: int,
    budget: Id,
    usage: Sequence[tuple[str, int]],
    dedup_key: Id | None = None,
) -> Outcome:
    """Add usage, unless it would exceed a hard limit: then nothing is added. A soft limit only tells.

    Parameters
    ----------
    usage
        (dimension, delta) each; of several soft limits exceeded the first is told.
    dedup_key
        Remembered for 24 hours, whatever the budget.
    """
    if dedup_key is not None and now_ms <= store.usage_keys.get(dedup_key, now_ms - 1):
        return _ALREADY_APPLIED
    record = store.budgets.get(budget)
    if record is None:
        record = store.budgets[budget] = Budget()
    for dimension, delta in usage:
        limit, current = record.hard.get(dimension, 0), record.usage.get(dimension, 0)
        if 0 < limit < current + delta:
            return Ok({"dimension": dimension, "current": current, "limit": limit}, "HARD_BREACH")
    breached = None
    for dimension, delta in usage:
        current = record.usage[dimension] = record.usage.get(dimension, 0) + delta
        if breached is None and 0 < record.soft.get(dimension, 0) < current:
            breached = dimension
    if dedup_key is not None:
        store.usage_keys[dedup_key] = now_ms + USAGE_KEY_TTL_MS
    if breached is None:
        return _OK
    values = {"dimension": breached, "current": record.usage[breached], "limit": record.soft[breached]}
    return Ok(values, "SOFT_BREACH")


def reset_budget(store: Partition, now_ms: int, budget: Id) -> Outcome:
    """Set all usage to zero; the limits stay, and a budget that was not there is now."""
    record = store.budgets.get(budget)
    if record is None:
        record = store.budgets[budget] = Budget()
    record.usage.clear()
    return Ok({"next_reset": 0})
