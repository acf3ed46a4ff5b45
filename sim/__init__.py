"""contention-sim: contention in lease-based job engines, simulated.

>>> import sim
>>> study = sim.run("claim_storm", replications=3)      # doctest: +SKIP
>>> study.frequency(), study.recovery()                 # doctest: +SKIP
>>> sim.compare("claim_storm", policies=["documented", "naive"]).paired()  # doctest: +SKIP

The public names are loaded when they are first used: who only reads results needs no simulator.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim import plot
    from sim.api import compare, run, sweep
    from sim.conformance import conform
    from sim.contention import ContentionKind
    from sim.listing import catalogue
    from sim.results import Study
    from sim.scenario import load
    from sim.sweep_results import Sweep, open  # noqa: A004 - sim.open is the public name

_HOMES = {
    "catalogue": "sim.listing",
    "compare": "sim.api",
    "conform": "sim.conformance",
    "run": "sim.api",
    "sweep": "sim.api",
    "open": "sim.sweep_results",
    "Study": "sim.results",
    "Sweep": "sim.sweep_results",
    "load": "sim.scenario",
    "ContentionKind": "sim.contention",
}

_MODULES = ("plot",)

__all__ = [
    "ContentionKind", "Study", "Sweep", "catalogue", "compare", "conform", "load", "open", "plot", "run",
    "sweep",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"sim.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
