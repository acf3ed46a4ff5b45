"""What arrives, and what each execution will do: drawn by its index, never by when it is needed.

Two policies therefore face the same workload, attempt by attempt. Columns are drawn in blocks of
executions, one stream a purpose; what is rarely needed (the second and later attempts of an execution)
comes from a counter-based generator keyed by execution, attempt and resumption.
"""

from __future__ import annotations

from collections import Counter
from itertools import count, repeat, takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sim.scenario.workload import Burst, Closed, Deterministic, Poisson
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.rng import Streams
    from sim.scenario.workload import WorkClass
    from sim.scenario.workload import Workload as WorkloadSpec

_BLOCK: Final = 4096


class Script(NamedTuple):
    """How one stretch of work of an execution goes, from its lease to its end.

    Attributes
    ----------
    work_us : int
        How long the worker works.
    end : str
        ``complete``, ``fail`` or ``delay``: which operation the worker then calls.
    delay_us : int
        For ``delay``: how long the execution waits before it may be resumed.
    """

    work_us: int
    end: str
    delay_us: int = 0


class Workload:
    """Classes, scripts and arrivals of one replication.

    Parameters
    ----------
    spec
        The scenario's workload.
    streams
        The replication's random streams.
    """

    def __init__(self, spec: WorkloadSpec, streams: Streams) -> None:
        self.spec = spec
        self._streams = streams
        self.names: list[str] = list(spec.classes)
        self.classes: list[WorkClass] = list(spec.classes.values())
        weights = np.array([c.weight for c in self.classes], float)
        self._cumulative = np.cumsum(weights / weights.sum())
        self._class_stream = streams.of("workload/class")
        self._class_streams = {
            purpose: [streams.of(f"workload/{purpose}/{name}") for name in self.names]
            for purpose in ("work", "end", "delay")
        }
        self.class_of: list[int] = []
        self._scripts: list[Script] = []

    def class_spec(self, execution: int) -> WorkClass:
        """Give the class of an execution."""
        while execution >= len(self.class_of):
            self._draw_block()
        return self.classes[self.class_of[execution]]

    def script(self, execution: int, attempt_index: int, resumption: int) -> Script:
        """Give what happens from a lease on: in which attempt, after how many resumptions of it."""
        while execution >= len(self.class_of):
            self._draw_block()
        if attempt_index == 0 and resumption == 0:
            return self._scripts[execution]
        chosen = self.classes[self.class_of[execution]]
        stream = self._streams.of(f"workload/later/{execution}/{attempt_index}/{resumption}")
        work_us = int(chosen.work.draw(stream, 1)[0])
        # A stretch after a delay does not delay again: one park an attempt.
        if chosen.delays is None or resumption > 0:
            return _script(work_us, stream.random(), chosen.fails, 0.0, 0)
        delay_us = int(chosen.delays.by.draw(stream, 1)[0])
        return _script(work_us, stream.random(), chosen.fails, chosen.delays.probability, delay_us)

    def arrivals_us(self, until_us: int) -> Iterator[int]:
        """Give the instants of open arrivals before ``until_us``, in order."""
        match self.spec.arrivals:
            case Poisson(rate=rate):
                instants = self._poisson_us(rate)
            case Deterministic(period_us=period_us):
                instants = (round(k * period_us) for k in count(1)) if period_us < until_us else iter(())
            case Burst() as burst:
                instants = _burst_us(burst)
            case Closed():
                raise ValueError("closed arrivals have no instants of their own")
        return takewhile(lambda at_us: at_us < until_us, instants)

    def _poisson_us(self, rate_per_s: float) -> Iterator[int]:
        stream = self._streams.of("workload/arrivals")
        clock_us = 0.0
        while rate_per_s > 0:
            instants = clock_us + np.cumsum(stream.exponential(US_PER_S / rate_per_s, _BLOCK))
            clock_us = float(instants[-1])
            yield from np.rint(instants).astype(np.int64).tolist()

    def _draw_block(self) -> None:
        drawn = np.searchsorted(self._cumulative, self._class_stream.random(_BLOCK), side="right")
        classes = np.minimum(drawn, len(self.classes) - 1).tolist()
        columns: list[Iterator[Script]] = [
            self._block_scripts(number, Counter(classes)[number]) for number in range(len(self.classes))
        ]
        self.class_of.extend(classes)
        self._scripts.extend(next(columns[number]) for number in classes)

    def _block_scripts(self, number: int, size: int) -> Iterator[Script]:
        spec = self.classes[number]
        work, end, delay = (self._class_streams[purpose][number] for purpose in ("work", "end", "delay"))
        if size == 0:
            return
        works = spec.work.draw(work, size).tolist()
        luck = end.random(size).tolist()
        delays, probability = [0] * size, 0.0
        if spec.delays is not None:
            delays, probability = spec.delays.by.draw(delay, size).tolist(), spec.delays.probability
        for work_us, chance, delay_us in zip(works, luck, delays, strict=True):
            yield _script(work_us, chance, spec.fails, probability, delay_us)


def _burst_us(burst: Burst) -> Iterator[int]:
    at_us = burst.at
    while burst.count:
        yield from repeat(at_us, burst.count)
        if burst.every is None:
            return
        at_us += burst.every


def _script(work_us: int, chance: float, fails: float, delays: float, delay_us: int) -> Script:
    """Turn one uniform draw into an end: a delay, a failure or a completion, in that order of the line."""
    if chance < delays:
        return Script(work_us, "delay", delay_us)
    if chance < delays + (1.0 - delays) * fails:
        return Script(work_us, "fail")
    return Script(work_us, "complete")
