"""What budgets and breakers are made of.

A guard watches attempts and their answers, and says whether a retry or an attempt may be made. Its state
belongs to one client, or to the fleet when its ``scope`` says so.

What counts as a *request*, in the words of the cited sources, is an operation of an intent together with
its repetitions: a claim that is refused, answered by a new grant and then claimed again is one request
that was retried once. A retry is paid for when it is decided; the next answer to that operation is its
answer. An empty read (``no_eligible_execution``) is an answer like any other, for the engine reports it
as a success, and polling again is no retry.

An answer is accounted for when it arrives, also where a source counts a request as it is sent.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, Literal

from sim.contention import ContentionKind
from sim.retry.parts import Component
from sim.schema import field

if TYPE_CHECKING:
    from sim.retry.policy import Observed, Refusal, Uniform

_THROTTLED: Final = (ContentionKind.RATE_LIMIT_EXCEEDED, ContentionKind.CONCURRENCY_LIMIT_EXCEEDED)

Counts = Literal["any", "overload", "unknown"]
"""Which answers are failures: every refusal and missing answer; only missing ones and those of a quota
that is full; only missing ones."""


def is_throttled(kind: ContentionKind | None) -> bool:
    """Tell whether a refusal says that a quota is full."""
    return kind in _THROTTLED


def is_failure(observed: Observed, counts: Counts) -> bool:
    """Tell whether an answer counts as a failure."""
    if observed.ok or observed.kind is ContentionKind.NO_ELIGIBLE_EXECUTION:
        return False
    if observed.kind is None or counts == "any":
        return True
    return counts == "overload" and is_throttled(observed.kind)


class Guard:
    """The state of a budget or breaker. Each method may be left as it is."""

    def before_send(self, now_us: int, uniform: Uniform) -> int:  # noqa: ARG002
        """Say how long an attempt must wait before it is sent, or :data:`~sim.retry.policy.REJECT`."""
        return 0

    def observe(self, observed: Observed, retried: bool) -> None:
        """Take note of an answer; ``retried`` says that the attempt was a retry."""

    def may_retry(self, refusal: Refusal) -> bool:  # noqa: ARG002
        """Say whether a retry may be made, and pay for it."""
        return True

    def dropped(self, memory: dict[str, Any]) -> None:
        """Take note that a retry which was paid for will never be answered."""


class GuardSpec(Component):
    """A budget or breaker as data."""

    scope: Literal["client", "fleet"] = field(
        "client", "Who shares its state: one client's intents, or all clients."
    )

    @abstractmethod
    def make(self) -> Guard:
        """Make its state, as at the beginning of a run."""


class SlidingSum:
    """A sum over the last while, in slices that are dropped whole.

    Parameters
    ----------
    window_us
        How far back it reaches: between ``window_us`` less one slice and ``window_us``.
    slices
        Into how many equal slices the window is cut.
    """

    __slots__ = ("_newest", "_slice_us", "_sums", "total")

    def __init__(self, window_us: int, slices: int) -> None:
        self._slice_us = max(1, window_us // slices)
        self._sums = [0] * slices
        self._newest = 0
        self.total = 0

    def advance(self, now_us: int) -> None:
        """Drop what is too old at ``now_us``; afterwards ``total`` holds for that instant."""
        newest = now_us // self._slice_us
        slices = len(self._sums)
        for index in range(max(self._newest + 1, newest - slices + 1), newest + 1):
            self.total -= self._sums[index % slices]
            self._sums[index % slices] = 0
        self._newest = max(self._newest, newest)

    def add(self, now_us: int, amount: int) -> None:
        """Add an amount at ``now_us``."""
        self.advance(now_us)
        self._sums[self._newest % len(self._sums)] += amount
        self.total += amount
