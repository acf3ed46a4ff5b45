"""Invariants that are watched while a run goes on, and what must hold at its end.

A :class:`Checks` stands between the link and the partitions of the store: it sees every operation as it takes
effect, with its outcome, and keeps its own account of leases, admissions and slots beside the store's. It
draws nothing and changes nothing, so a run that is watched gives the same records as one that is not; and one
that is not watched has nothing of it in its path.

A check that fails ends the run with :class:`CheckFailed`. What each check claims, and the rules under which
it holds, stands in :mod:`sim.scenario.promises`.
"""

from sim.checks.base import CheckFailed
from sim.checks.checks import Checks
from sim.checks.clock import CheckedKernel, most_in_an_instant

__all__ = ["CheckFailed", "CheckedKernel", "Checks", "most_in_an_instant"]
