"""The clock and the light processes of a simulation.

:class:`Kernel` is a SimPy environment whose heap holds calls: ``(time, priority, sequence, function,
argument)``. To process one of SimPy's events is such a call too. All share one heap and one sequence
counter, so the order is SimPy's: by time, then priority, then by the order in which things were scheduled.
That is the documented rule for ties.

:class:`Process` is a generator that such calls resume. It arranges exactly one wake-up before each
``yield`` (an attempt's reply, a timer, a message) and costs a third of a ``simpy.Process``. What is rare
or wants SimPy's resources can use plain SimPy in the same kernel.

Time is an integer number of microseconds throughout.

Calls that are far off wait in buckets, a four-millisecond stretch of time each, and come into the heap when
their stretch begins: most of a fleet sleeps, and a heap is the quicker the less is in it. The order is that
of one heap, because it is total and a bucket is emptied before anything in its stretch happens.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from simpy import Environment
from simpy.core import EmptySchedule

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from simpy import Event

_SIMPYS, _FIRST, _URGENT, _NORMAL = -2, -1, 0, 1

_BUCKET_BITS: Final = 12
"""A bucket is 2**12 microseconds wide: longer than most delays of a link, shorter than most sleeps."""


class HorizonReached(Exception):  # noqa: N818 - a signal, not an error
    """Ends :meth:`Kernel.run_until`, at its horizon or because of :meth:`Kernel.stop`."""


def _reach_horizon(_: object) -> None:
    raise HorizonReached


class Kernel(Environment):
    """SimPy's environment on integer microseconds, with calls in its heap."""

    _now: int

    def __init__(self) -> None:
        super().__init__(0)
        # Environment binds its factories (timeout, process, ...) only where they stand in the very class.
        for factory in ("process", "timeout", "event", "all_of", "any_of"):
            setattr(self, factory, getattr(self, factory))
        self._far_off: dict[int, list[Any]] = {}
        self._buckets: list[int] = []  # a heap; the beginning of the first of them stands among the calls

    @property
    def now_us(self) -> int:
        """The instant, in microseconds since the run began."""
        return self._now

    def call_at(self, at_us: int, function: Callable[[Any], object], argument: Any = None) -> None:
        """Call ``function(argument)`` at an instant that is not in the past."""
        entry: Any = (at_us, _NORMAL, next(self._eid), function, argument)
        bucket = at_us >> _BUCKET_BITS
        waiting = self._far_off.get(bucket)
        if waiting is not None:
            waiting.append(entry)
        elif bucket > self._now >> _BUCKET_BITS:
            self._far_off[bucket] = [entry]
            heappush(self._buckets, bucket)
            if bucket == self._buckets[0]:
                self._announce(bucket)
        elif at_us >= self._now:
            heappush(self._queue, entry)
        else:
            raise ValueError(f"an event in the past: {at_us} us, and it is {self._now} us")

    def _announce(self, bucket: int) -> None:
        begins: Any = (bucket << _BUCKET_BITS, _FIRST, next(self._eid), self._come_near, bucket)
        heappush(self._queue, begins)

    def _come_near(self, bucket: int) -> None:
        if bucket not in self._far_off:
            return  # announced twice, because for a while an earlier one was the first
        for entry in self._far_off.pop(bucket):
            heappush(self._queue, entry)
        heappop(self._buckets)
        if self._buckets:
            self._announce(self._buckets[0])

    def arguments(self) -> Iterator[Any]:
        """Give the arguments of the calls that are still to come, in no order."""
        entries: Iterator[Any] = chain(self._queue, *self._far_off.values())
        return (argument for _, priority, _, _, argument in entries if priority == _NORMAL)

    def schedule(self, event: Event, priority: Any = _NORMAL, delay: float = 0) -> None:
        """Schedule one of SimPy's events, as SimPy does."""
        entry: Any = (self._now + delay, priority, next(self._eid), self._process, event)
        heappush(self._queue, entry)

    def _process(self, event: Event) -> None:
        """Let SimPy process its event, which for this moment stands in the heap as SimPy has put it there."""
        entry: Any = (self._now, _SIMPYS, 0, event)
        heappush(self._queue, entry)
        super().step()

    def step(self) -> None:
        """Do what is next."""
        queue: Any = self._queue
        if not queue:
            raise EmptySchedule
        self._now, _, _, function, argument = heappop(queue)
        function(argument)

    def stop(self) -> None:
        """End :meth:`run_until` as soon as what happens now is carried through, and leave the clock here."""
        self._end_at(self._now)

    def run_until(self, horizon_us: int) -> None:
        """Process everything that happens before ``horizon_us`` and leave the clock there."""
        if horizon_us <= self._now:
            return
        self._end_at(horizon_us)
        queue: Any = self._queue
        pop = heappop
        try:
            while True:  # step(), as fast as can be: every event of a run passes here
                self._now, _, _, function, argument = pop(queue)
                function(argument)
        except HorizonReached:
            pass

    def _end_at(self, at_us: int) -> None:
        entry: Any = (at_us, _URGENT, next(self._eid), _reach_horizon, None)
        heappush(self._queue, entry)


class Process:
    """One running story of an actor.

    A wake-up carries the generation in which it was arranged. A timer or a message that wakes the process
    starts a new generation, so a timer that lost against a message finds itself out of date and does nothing.

    Parameters
    ----------
    kernel
        The clock.
    owner
        The actor: its ``paused_until_us`` says until when nothing of it moves.
    story
        Called with this process; returns the generator to run.
    """

    __slots__ = ("_kernel", "_story", "alive", "generation", "owner", "send")

    def __init__(
        self, kernel: Kernel, owner: Any, story: Callable[[Process], Generator[None, Any, None]]
    ) -> None:
        self._kernel = kernel
        self.owner = owner
        self.generation = 0
        self.alive = True
        self._story = story(self)
        self.send = self._story.send

    def start(self) -> None:
        """Run up to the first wait, now."""
        self.resume(None)

    def resume(self, value: Any) -> None:
        """Go on with ``value`` as what the process waited for. The caller has seen that it may."""
        send = self.send
        try:
            send(value)
        except StopIteration:
            self.alive = False

    def sleep(self, delay_us: int) -> None:
        """Arrange to be woken after ``delay_us``; a message may come first (see :meth:`interrupt`)."""
        kernel = self._kernel
        kernel.call_at(kernel._now + delay_us, self._wake, (self.generation, None))

    def interrupt(self, value: Any) -> None:
        """Wake the process with ``value`` instead of what it waits for."""
        self._wake((self.generation, value))

    def kill(self) -> None:
        """End the process where it stands."""
        self.alive = False
        self._story.close()

    def _wake(self, wake: tuple[int, Any]) -> None:
        generation, value = wake
        if generation != self.generation or not self.alive:
            return
        if self.owner.paused_until_us > self._kernel._now:
            self._kernel.call_at(self.owner.paused_until_us, self._wake, wake)
            return
        self.generation = generation + 1
        self.resume(value)
