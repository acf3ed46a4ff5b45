"""What the attempt path is made of: the bytecode instructions that an attempt executes, function by function.

``python -m tests.benchmarks.steps`` prints them for the bare SimPy skeleton and for the whole model, without
its records and with them. No clock is read: the counts are the same on any machine with the same CPython.
They say where the time of :mod:`tests.benchmarks.ladder` goes, to the instruction, where a profiler's own
costs would distort functions as short as these.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager

from sim.kernel import Kernel
from sim.record import Recorder
from sim.scenario import load
from tests.benchmarks.ladder import STORM, UNRECORDED, WORKERS, run_of
from tests.benchmarks.skeleton import simpy_skeleton

FROM_US, TO_US = 3_500_000, 3_600_000
"""A stretch of claim_storm in which the backlog is worked off and most of the fleet polls."""

SHOWN = 16


@contextmanager
def counted(executed: Counter):
    """Count the instructions of every function in the meantime."""

    def trace(frame, event, _):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            executed[frame.f_code.co_qualname] += 1
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


def of_skeleton(operations: int = 20_000) -> tuple[Counter, int]:
    """Give the instructions of the skeleton by function, and how many operations they were for."""
    executed: Counter = Counter()
    with counted(executed):
        simpy_skeleton(WORKERS, operations)
    return executed, operations


def of_model(parts: dict) -> tuple[Counter, int]:
    """Give the instructions of the model by function, and how many attempts they were for."""
    executed: Counter = Counter()
    attempts = []

    class CountedKernel(Kernel):
        def run_until(self, _):
            super().run_until(FROM_US)
            before = len(attempts)
            with counted(executed):
                super().run_until(TO_US)
            del attempts[:before]

    class CountedRecorder(parts.get("Recorder", Recorder)):
        def attempt(self, attempt, outcome):
            attempts.append(outcome.code)
            super().attempt(attempt, outcome)

    scenario = load("claim_storm", STORM)
    run_of(scenario, **parts | {"Kernel": CountedKernel, "Recorder": CountedRecorder})
    del executed[CountedRecorder.attempt.__qualname__]
    return executed, len(attempts)


def main() -> None:
    """Print the tables."""
    tables = {"SimPy": of_skeleton(), "actors": of_model(UNRECORDED), "records": of_model({})}
    for name, (executed, attempts) in tables.items():
        print(f"{name}: {executed.total() / attempts:.0f} instructions an attempt, {attempts} attempts")
        for function, count in executed.most_common(SHOWN):
            print(f"{count / attempts:9.1f}  {function}")


if __name__ == "__main__":
    main()
