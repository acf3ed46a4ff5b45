"""What arrives, and what each execution will do: drawn by its number, never by when it is needed.

Two policies therefore face the same workload, attempt by attempt. Columns are drawn in blocks of
executions, one stream a purpose; what is rarely needed (the second and later attempts of an execution, the
delays of its signals) comes from a counter-based generator keyed by execution, attempt and resumption.

Executions come from up to three origins: arrivals, flows, and parents that wait for children. Their numbers
are interleaved, so that adding flows to a scenario changes nothing of what its arrivals do.
"""

from __future__ import annotations

import math
from array import array
from itertools import count, repeat, takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sim.scenario.schedule import Schedule
from sim.scenario.workload import Burst, Closed, Deterministic, OnOff, Phases, Poisson
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sim.rng import Streams
    from sim.scenario.flows import Flows
    from sim.scenario.workload import WorkClass
    from sim.scenario.workload import Workload as WorkloadSpec

_BLOCK: Final = 4096
_ARRIVALS, _FLOWS, _CHILDREN = range(3)


class Script(NamedTuple):
    """How one stretch of work of an execution goes, from its lease to its end.

    Attributes
    ----------
    work_us : int
        How long the worker works.
    end : str
        What the worker then does: ``complete``, ``fail``, ``delay``, ``suspend`` or ``children``.
    wait_us : int
        For ``delay``: how long the execution is put off. For ``suspend``: how long the worker goes on
        between handing the token out and suspending.
    signals_us : tuple of int
        For ``suspend``: after how long each of its signals is sent.
    """

    work_us: int
    end: str
    wait_us: int = 0
    signals_us: tuple[int, ...] = ()


class Origin:
    """Executions that come from one place, numbered from 0: their classes and first scripts.

    Parameters
    ----------
    prefix
        Of the names of its streams.
    classes
        Every class of the scenario, by name.
    streams
        The replication's streams.
    class_of
        Gives the classes of the next so many executions.
    """

    def __init__(
        self,
        prefix: str,
        classes: dict[str, WorkClass],
        streams: Streams,
        class_of: Callable[[int, int], list[int]],
    ) -> None:
        self._specs = list(classes.values())
        self._class_of = class_of
        self._streams = {
            purpose: [streams.of(f"{prefix}/{purpose}/{name}") for name in classes]
            for purpose in ("work", "end", "delay")
        }
        self.classes = array("i")
        # What an execution of each number draws, packed: a long run has millions of them.
        self._work_us = array("q")
        self._luck = array("d")
        self._delay_us = array("q")

    def reach(self, number: int) -> None:
        """Draw blocks until execution ``number`` has been drawn."""
        while number >= len(self.classes):
            classes = np.asarray(self._class_of(len(self.classes), _BLOCK), np.int32)
            work_us, delay_us = np.zeros(len(classes), np.int64), np.zeros(len(classes), np.int64)
            luck = np.zeros(len(classes))
            for class_number, spec in enumerate(self._specs):
                mine = classes == class_number
                size = int(mine.sum())
                if size == 0:
                    continue
                streams = {purpose: of_class[class_number] for purpose, of_class in self._streams.items()}
                work_us[mine] = spec.work.draw(streams["work"], size)
                luck[mine] = streams["end"].random(size)
                if spec.delays is not None:
                    delay_us[mine] = spec.delays.by.draw(streams["delay"], size)
            self.classes.frombytes(classes.tobytes())
            self._work_us.frombytes(work_us.tobytes())
            self._luck.frombytes(luck.tobytes())
            self._delay_us.frombytes(delay_us.tobytes())

    def script(self, number: int) -> Script:
        """Give the first script of an execution that has been reached."""
        spec = self._specs[self.classes[number]]
        return _script(spec, self._work_us[number], self._luck[number], self._delay_us[number], parks=True)


class Workload:
    """Classes, scripts and arrivals of one replication.

    Parameters
    ----------
    spec
        The scenario's workload.
    streams
        The replication's random streams.
    partitions
        Partitions of the store: executions are spread over them evenly, a flow or family stays together.
    """

    def __init__(self, spec: WorkloadSpec, streams: Streams, partitions: int) -> None:
        self.spec = spec
        self.partitions = partitions
        self._streams = streams
        self.names: list[str] = list(spec.classes)
        self.classes: list[WorkClass] = list(spec.classes.values())
        self._siblings = max((c.children.count for c in self.classes if c.children is not None), default=0)
        self._flow_size = spec.flows.shape.nodes if spec.flows is not None else 0
        self._stride = 3 if self._siblings else 2 if self._flow_size else 1
        classes = dict(spec.classes)
        self._origins = [
            Origin("workload", classes, streams, self._arrival_classes()),
            Origin("workload/flows", classes, streams, self._flow_classes),
            Origin("workload/children", classes, streams, self._children_classes),
        ]

    # --- who is who ----------------------------------------------------------------------------------

    def arrival(self, number: int) -> int:
        """Give the execution that is the ``number``-th to arrive."""
        return number * self._stride

    def member(self, flow: int, node: int) -> int:
        """Give the execution that is a node of a flow."""
        return (flow * self._flow_size + node) * self._stride + _FLOWS

    def children(self, parent: int) -> list[int]:
        """Give the executions that a parent waits for."""
        spec = self.class_spec(parent).children
        first = parent // self._stride * self._siblings
        kept = range(spec.count) if spec is not None else ()
        return [(first + child) * self._stride + _CHILDREN for child in kept]

    def partition_of(self, execution: int) -> int:
        """Give the partition of an execution."""
        stride = self._stride
        if stride == 1:
            return execution % self.partitions
        number, origin = divmod(execution, stride)
        family = (1, self._flow_size or 1, self._siblings or 1)[origin]
        return number // family % self.partitions

    def flow_of(self, execution: int) -> int | None:
        """Give the flow of an execution that is a member of one."""
        number, origin = divmod(execution, self._stride)
        return number // self._flow_size if origin == _FLOWS else None

    def class_spec(self, execution: int) -> WorkClass:
        """Give the class of an execution."""
        return self.classes[self._class_number(execution)]

    def class_name(self, execution: int) -> str:
        """Give the name of an execution's class."""
        return self.names[self._class_number(execution)]

    def _class_number(self, execution: int) -> int:
        number, origin = divmod(execution, self._stride)
        drawn = self._origins[origin]
        drawn.reach(number)
        return drawn.classes[number]

    # --- what they do --------------------------------------------------------------------------------

    def script(self, execution: int, attempt_index: int, resumption: int) -> Script:
        """Give what happens from a lease on: in which attempt, after how many interruptions of it.

        An attempt is interrupted once at most: what follows it completes or fails. Only executions that
        arrived singly have children.
        """
        number, origin = divmod(execution, self._stride)
        drawn = self._origins[origin]
        drawn.reach(number)
        spec = self.classes[drawn.classes[number]]
        if attempt_index == 0 and resumption == 0:
            script = drawn.script(number)
        else:
            stream = self._streams.of(f"workload/later/{execution}/{attempt_index}/{resumption}")
            work_us = int(spec.work.draw(stream, 1)[0])
            delay_us = int(spec.delays.by.draw(stream, 1)[0]) if spec.delays is not None else 0
            script = _script(spec, work_us, stream.random(), delay_us, parks=resumption == 0)
        if script.end == "children" and origin != _ARRIVALS:
            return script._replace(end="complete")
        if script.end == "suspend" and spec.suspends is not None:
            stream = self._streams.of(f"workload/signals/{execution}/{attempt_index}")
            after_us = spec.suspends.signal_after.draw(stream, spec.suspends.signals)
            prepare_us = int(spec.suspends.prepare.draw(stream, 1)[0])
            return script._replace(wait_us=prepare_us, signals_us=tuple(after_us.tolist()))
        return script

    # --- when they come ------------------------------------------------------------------------------

    def arrivals_us(self, until_us: int) -> Iterator[int]:
        """Give the instants of open arrivals before ``until_us``, in order."""
        match self.spec.arrivals:
            case Poisson(rate=rate):
                instants = self.poisson_us(rate, "workload/arrivals")
            case Deterministic(period_us=period_us):
                instants = (round(k * period_us) for k in count(1)) if period_us < until_us else iter(())
            case Burst() as burst:
                instants = _burst_us(burst)
            case OnOff() as on_off:
                instants = self._on_off_us(on_off)
            case Phases() as phases:
                instants = self._phases_us(phases)
            case Schedule(at=at):
                instants = iter(at)
            case Closed():
                raise ValueError("closed arrivals have no instants of their own")
        return takewhile(lambda at_us: at_us < until_us, instants)

    def flow_arrivals_us(self, flows: Flows) -> Iterator[int]:
        """Give the instants at which flows begin, in order."""
        if flows.rate is None:
            return iter(sorted(flows.at))
        return self.poisson_us(flows.rate, "workload/flow_arrivals")

    def poisson_us(self, rate_per_s: float, stream_name: str) -> Iterator[int]:
        """Give the instants of a Poisson process, in order, for ever."""
        stream = self._streams.of(stream_name)
        clock_us = 0.0
        while rate_per_s > 0:
            instants = clock_us + np.cumsum(stream.exponential(US_PER_S / rate_per_s, _BLOCK))
            clock_us = float(instants[-1])
            yield from np.rint(instants).astype(np.int64).tolist()

    def _on_off_us(self, on_off: OnOff) -> Iterator[int]:
        """Let a Poisson process run in the on-periods only: its own clock stands still in between."""
        lengths = {
            "on": on_off.on.sampler(self._streams.of("workload/on")),
            "off": on_off.off.sampler(self._streams.of("workload/off")),
        }
        began_us, end_us = 0, lengths["on"]()
        for running_us in self.poisson_us(on_off.rate, "workload/arrivals"):
            while running_us >= end_us:
                began_us += lengths["off"]()
                end_us += max(lengths["on"](), 1)
            yield began_us + running_us

    def _phases_us(self, phases: Phases) -> Iterator[int]:
        """Stretch a Poisson process of one arrival a second so that it runs at each phase's rate in turn.

        Another rate of a phase therefore moves the same arrivals, and draws no others.
        """
        unit_process = self.poisson_us(1.0, "workload/arrivals")
        unit_us = next(unit_process)
        began_us, began_unit_us = 0, 0.0
        for phase in phases.root:
            lasts_us = math.inf if phase.for_ is None else phase.for_
            ends_unit_us = began_unit_us + (phase.rate * lasts_us if phase.rate else 0.0)
            while unit_us < ends_unit_us:
                yield began_us + round((unit_us - began_unit_us) / phase.rate)
                unit_us = next(unit_process)
            if phase.for_ is not None:
                began_us, began_unit_us = began_us + phase.for_, ends_unit_us

    def _arrival_classes(self) -> Callable[[int, int], list[int]]:
        arrivals = self.spec.arrivals
        if isinstance(arrivals, Schedule) and arrivals.classes is not None:
            scheduled = [self.names.index(name) for name in arrivals.classes]
            return lambda first, size: (scheduled[first : first + size] + [0] * size)[:size]
        weights = np.array([each.weight for each in self.classes], float)
        cumulative = np.cumsum(weights / weights.sum())
        stream = self._streams.of("workload/class")

        def draw(_first: int, size: int) -> list[int]:
            drawn = np.searchsorted(cumulative, stream.random(size), side="right")
            classes: list[int] = np.minimum(drawn, len(self.classes) - 1).tolist()
            return classes

        return draw

    def _flow_classes(self, _first: int, size: int) -> list[int]:
        flows = self.spec.flows
        named = flows is not None and flows.class_ is not None
        return [self.names.index(flows.class_) if named else 0] * size  # type: ignore[union-attr, arg-type]

    def _children_classes(self, first: int, size: int) -> list[int]:
        arrivals = self._origins[_ARRIVALS]
        arrivals.reach((first + size) // max(self._siblings, 1))
        return [
            self._class_of_children(arrivals.classes[child // self._siblings])
            for child in range(first, first + size)
        ]

    def _class_of_children(self, parent_class: int) -> int:
        children = self.classes[parent_class].children
        return 0 if children is None else self.names.index(children.class_)


def _burst_us(burst: Burst) -> Iterator[int]:
    at_us = burst.at
    while burst.count:
        yield from repeat(at_us, burst.count)
        if burst.every is None:
            return
        at_us += burst.every


def _script(spec: WorkClass, work_us: int, chance: float, delay_us: int, *, parks: bool) -> Script:
    """Turn one uniform draw into an end: delay, suspension and children on a line, failure of the rest."""
    level = 0.0
    if parks:
        ways: Sequence[tuple[str, float, int]] = (
            ("delay", spec.delays.probability if spec.delays is not None else 0.0, delay_us),
            ("suspend", spec.suspends.probability if spec.suspends is not None else 0.0, 0),
            ("children", spec.children.probability if spec.children is not None else 0.0, 0),
        )
        for end, probability, wait_us in ways:
            level += probability
            if chance < level:
                return Script(work_us, end, wait_us)
    if chance < level + (1.0 - level) * spec.fails:
        return Script(work_us, "fail")
    return Script(work_us, "complete")
