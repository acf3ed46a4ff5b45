"""The modelled store: a pure state machine of the engine.

One :class:`Store` is one partition. Every operation takes the instant as its first argument and answers
:class:`Ok` or :class:`Refused`; :class:`StoreRules` says which dialect of the engine it speaks.
"""

from sim.store.outcome import Ok, Outcome, Refused
from sim.store.rules import CONTRACT, POSTGRES, PRESETS, RULES, VALKEY, StoreRules, preset
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
