"""The modelled store: a pure state machine of the engine.

One :class:`Store` is one partition. Every operation takes the instant as its first argument and answers
:class:`Ok` or :class:`Refused`; :class:`StoreRules` says which dialect of the engine it speaks. The
operations are loaded when the store is first used: who only reads a scenario's rules does without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.store.outcome import Ok, Outcome, Refused
from sim.store.rules import CONTRACT, POSTGRES, PRESETS, RULES, VALKEY, StoreRules, preset

if TYPE_CHECKING:
    from sim.store.store import OPERATIONS, Store

__all__ = [
    "CONTRACT",
    "OPERATIONS",
    "POSTGRES",
    "PRESETS",
    "RULES",
    "VALKEY",
    "Ok",
    "Outcome",
    "Refused",
    "Store",
    "StoreRules",
    "preset",
]


def __getattr__(name: str) -> Any:
    if name not in ("OPERATIONS", "Store"):
        raise AttributeError(f"module 'sim.store' has no attribute {name!r}")
    from sim.store import store

    return getattr(store, name)
