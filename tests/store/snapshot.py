"""A deep picture of everything that a store knows, to compare before and after."""

from dataclasses import fields, is_dataclass
from typing import Any

from sim.store import Store
from sim.store.index import Index
from sim.store.partition import Partition
from sim.store.records import Condition, Execution, Grant, Lane
from sim.store.state import StateVector

_NOT_KNOWLEDGE = {"rules", "stamp", "release_slot", "take_slot", "finished"}


def snapshot(store: Store) -> dict[str, Any]:
    """Picture a store. Lanes and quotas without content count as absent: looking at them creates them."""
    picture = {
        name: _picture(getattr(store, name)) for name in Partition.__slots__ if name not in _NOT_KNOWLEDGE
    }
    picture["lanes"] = {lane: held for lane, held in picture["lanes"].items() if any(held.values())}
    picture["executions"] |= {
        execution: _picture(_peek(store, execution)) for execution in list(store.finished._rows)
    }
    return picture


def _peek(store: Store, execution: Any) -> Execution:
    whole = store.finished.take(execution)
    store.finished.put(whole)
    return whole


def _picture(value: Any) -> Any:
    match value:
        case StateVector():
            return repr(value)
        case Index():
            return dict(value.scores)
        case Lane():
            return {
                "eligible": _picture(value.eligible),
                "delayed": _picture(value.delayed),
                "blocked": {name: _picture(index) for name, index in value.blocked.items() if index.scores},
            }
        case Execution():
            held = {name: getattr(value, name) for name in Execution.__slots__}
            return {**held, "lane": value.lane.id, "state": repr(value.state), "grant": _picture(value.grant)}
        case Grant() | Condition():
            return {name: _picture(getattr(value, name)) for name in value.__slots__}
        case dict():
            return {key: _picture(item) for key, item in value.items()}
        case list() | tuple():
            return [_picture(item) for item in value]
        case set():
            return set(value)
    if is_dataclass(value):
        return {field.name: _picture(getattr(value, field.name)) for field in fields(value)}
    return value
