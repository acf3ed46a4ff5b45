"""Scheduling: priority, promotion of delayed executions, blocks at admission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.store.executions import PRIORITY_MAX
from sim.store.outcome import Ok, Refused
from sim.store.partition import (
    blocked_index,
    give_slot_back,
    leave_eligible,
    make_eligible,
    not_a_number,
    not_active,
)
from sim.store.state import BLOCKED_AS, ELIGIBLE_AS, Eligibility, Phase

if TYPE_CHECKING:
    from sim.store.outcome import Outcome
    from sim.store.partition import Partition
    from sim.store.records import Id

_RUNNABLE: Final = Phase.RUNNABLE
_PROMOTED: Final = {
    word: Ok({"outcome": word})
    for word in (
        "promoted", "not_yet_due", "not_runnable_cleaned", "not_delayed_cleaned", "not_found_cleaned",
    )
}  # fmt: skip
_BLOCKED: Final = Ok({"outcome": "blocked"})
_UNBLOCKED: Final = Ok({"outcome": "unblocked"})
_UNBLOCKABLE: Final = (
    Eligibility.BY_BUDGET, Eligibility.BY_QUOTA, Eligibility.BY_ROUTE, Eligibility.BY_OPERATOR,
)  # fmt: skip


def change_priority(store: Partition, now_ms: int, execution: Id, priority: int) -> Outcome:
    """Change the place of an eligible execution; priority is clamped to 0..9000.

    One that is missing from the eligible set is put into it.
    """
    op = "change_priority"
    if type(priority) is not int:
        refused = not_a_number(op, "new_priority", priority)
        if refused is not None:
            return refused
        priority = int(float(priority))
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    if ex.state.eligibility is not Eligibility.ELIGIBLE_NOW:
        return Refused(op, "execution_not_eligible", ex.changed)
    old = ex.priority
    ex.priority = min(max(priority, 0), PRIORITY_MAX)
    ex.changed = store.stamp
    make_eligible(store, ex, now_ms)
    return Ok({"old_priority": old, "new_priority": ex.priority})


def promote_delayed(store: Partition, now_ms: int, execution: Id) -> Outcome:
    """Make a delayed execution eligible once it is due, at its due millisecond.

    One whose due time was never recorded (a resumption with a delay, where the rule loses it) cannot be
    compared: the engine's script raises.
    """
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return _PROMOTED["not_found_cleaned"]
    delayed = ex.lane.delayed
    state = ex.state
    if state.phase is not _RUNNABLE:
        delayed.discard(execution)
        return _PROMOTED["not_runnable_cleaned"]
    if state.eligibility is not Eligibility.NOT_UNTIL_TIME:
        delayed.discard(execution)
        return _PROMOTED["not_delayed_cleaned"]
    if ex.delay_until is None:
        return Refused("promote_delayed", "script_error", ex.changed)
    if now_ms < ex.delay_until:
        return _PROMOTED["not_yet_due"]
    ex.delay_until = None
    ex.state = ELIGIBLE_AS[state.attempt]
    ex.changed = store.stamp
    delayed.discard(execution)
    make_eligible(store, ex, now_ms)
    return _PROMOTED["promoted"]


def block_execution_for_admission(store: Partition, now_ms: int, execution: Id, reason: str) -> Outcome:
    """Block a runnable execution, whatever it waits for; its other index entries stay."""
    op = "block_execution_for_admission"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    state = ex.state
    if state.phase is Phase.TERMINAL:
        return not_active(op, ex)
    if state.phase is not _RUNNABLE:
        return Refused(op, "execution_not_eligible", ex.changed)
    blocked = BLOCKED_AS.get(reason)
    if blocked is None:
        return Refused(op, "invalid_blocking_reason")
    ex.state = blocked[state.attempt]
    ex.changed = store.stamp
    leave_eligible(store, ex)
    give_slot_back(store, ex, now_ms)
    blocked_index(ex, ex.state.words["eligibility_state"]).add(execution, now_ms)
    return _BLOCKED


def unblock_execution(
    store: Partition, now_ms: int, execution: Id, expected_reason: str | None = None
) -> Outcome:
    """Make a blocked execution eligible again. A pause by policy cannot be undone so."""
    op = "unblock_execution"
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return Refused(op, "execution_not_found")
    state = ex.state
    if state.eligibility not in _UNBLOCKABLE:
        return Refused(op, "execution_not_eligible", ex.changed)
    if expected_reason is not None and expected_reason != state.words["blocking_reason"]:
        return Refused(op, "execution_not_eligible", ex.changed)
    ex.state = ELIGIBLE_AS[state.attempt]
    ex.changed = store.stamp
    blocked_index(ex, state.words["eligibility_state"]).discard(execution)
    make_eligible(store, ex, now_ms)
    return _UNBLOCKED
