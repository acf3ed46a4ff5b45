"""Random scenarios with all checks on: what nobody thought of writing a test for.

A seed and a number draw a scenario (:mod:`sim.fuzz.draw`); it is written out, run with every check, and now
and then run again in processes with other hash seeds (:mod:`sim.fuzz.again`). What fails is made smaller
while it fails in the same way (:mod:`sim.fuzz.shrink`) and kept as a file that ``contention-sim run``
replays.
"""

from sim.fuzz.campaign import Finding, Report, fuzz

__all__ = ["Finding", "Report", "fuzz"]
