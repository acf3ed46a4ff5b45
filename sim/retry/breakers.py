"""Circuit breakers: whether anything is sent at all.

A closed breaker lets everything through and counts. When it opens it rejects every attempt for a while;
then, half open, it lets a few probes through and rejects the rest, and their answers decide. Answers to
what was sent before it opened count in the state that they find, as in the cited sources. Probes that
are not answered within another such while are written off and new ones let through.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, get_args

from pydantic import Field

from sim.retry.guards import Counts, Guard, GuardSpec, SlidingSum, is_failure
from sim.retry.parts import Named
from sim.retry.policy import REJECT
from sim.schema import Interval, OneOf, field

if TYPE_CHECKING:
    from sim.retry.policy import Observed, Uniform

Calls = Annotated[int, Field(ge=1, le=1_000_000)]


class ConsecutiveFailures(GuardSpec):
    """Opens after so many failures in a row.

    Formula: closed until `failures` in a row; open for `open`; then `probes` are let through: a failure
        opens it again, as many successes close it
    Scope: per client, or the fleet (pybreaker: per instance)
    Source: pybreaker 1.4: 5 failures, 60 s, 1 success
    """

    key: ClassVar[str] = "consecutive_failures"
    aliases: ClassVar[tuple[str, ...]] = ("pybreaker",)

    failures: Calls = field(5, "Failures in a row that open it.")
    open: Interval = field("60s", "How long it stays open.")
    probes: Calls = field(1, "Attempts that are let through when it is half open.")
    counts: Counts = field("any", "Which answers are failures.")

    def make(self) -> Guard:
        """Make a closed breaker."""
        return _Consecutive(self)


class FailureRatio(GuardSpec):
    """Opens when too large a share of the last calls failed.

    Formula: closed until failures >= ratio of the last `calls` (or of those in the last `window`), at least
        `minimum`; open for `open`; then `probes` are let through, and the same ratio of their answers
        decides
    Scope: per client, or the fleet (resilience4j: per instance)
    Source: resilience4j CircuitBreakerConfig.java: 100 calls, 50 %, 60 s, 10 probes; Polly v8's is
        polly_breaker
    """

    key: ClassVar[str] = "failure_ratio"
    aliases: ClassVar[tuple[str, ...]] = ("resilience4j",)

    ratio: Annotated[float, Field(gt=0, le=1)] = field(0.5, "The share of failures that opens it.")
    calls: Calls = field(100, "How many answers back it looks, when there is no window.")
    window: Interval | None = field(None, "How far back it looks instead; null to count calls.")
    minimum: Calls = field(100, "Answers below which it does not judge.")
    open: Interval = field("60s", "How long it stays open.")
    probes: Calls = field(10, "Attempts that are let through when it is half open.")
    counts: Counts = field("any", "Which answers are failures.")

    def make(self) -> Guard:
        """Make a closed breaker."""
        return _Ratio(self)


class PollyBreaker(FailureRatio):
    """Polly's circuit breaker: a failure ratio over a window, one probe.

    Formula: as failure_ratio, over a window
    Scope: per client, or the fleet (Polly: per instance)
    Source: App-vNext/Polly CircuitBreakerConstants.cs: 10 % of at least 100 in 30 s, 5 s, 1 probe
    """

    key: ClassVar[str] = "polly_breaker"
    aliases: ClassVar[tuple[str, ...]] = ()

    ratio: Annotated[float, Field(gt=0, le=1)] = field(0.1, "The share of failures that opens it.")
    window: Interval | None = field("30s", "How far back it looks instead; null to count calls.")
    open: Interval = field("5s", "How long it stays open.")
    probes: Calls = field(1, "Attempts that are let through when it is half open.")


class _Circuit(Guard):
    """The three states that all breakers share; a subclass counts while it is closed."""

    def __init__(self, spec: ConsecutiveFailures | FailureRatio) -> None:
        self._open_us = spec.open
        self._probes = spec.probes
        self._counts: Counts = spec.counts
        self.state = "closed"
        self._since_us = 0
        self._sent = self._answered = self._failed = 0

    def before_send(self, now_us: int, uniform: Uniform) -> int:  # noqa: ARG002
        if self.state == "closed":
            return 0
        # Both an open breaker and probes that nobody answers are over after the same while.
        if now_us >= self._since_us + self._open_us:
            self._enter("half_open", now_us)
        if self.state == "open" or self._sent == self._probes:
            return REJECT
        self._sent += 1
        return 0

    def observe(self, observed: Observed, retried: bool) -> None:  # noqa: ARG002
        failed = is_failure(observed, self._counts)
        if self.state == "closed":
            if self._trips(observed.now_us, failed):
                self._enter("open", observed.now_us)
        elif self.state == "half_open":
            self._answered += 1
            self._failed += failed
            self._judge(observed.now_us)

    def _enter(self, state: str, now_us: int) -> None:
        self.state = state
        self._since_us = now_us
        self._sent = self._answered = self._failed = 0
        self._reset()

    @abstractmethod
    def _trips(self, now_us: int, failed: bool) -> bool:
        """Count an answer while closed; tell whether it opens the circuit."""

    @abstractmethod
    def _judge(self, now_us: int) -> None:
        """Decide on the answers to the probes so far."""

    @abstractmethod
    def _reset(self) -> None:
        """Forget what was counted while closed."""


class _Consecutive(_Circuit):
    def __init__(self, spec: ConsecutiveFailures) -> None:
        super().__init__(spec)
        self._limit = spec.failures
        self._in_a_row = 0

    def _trips(self, now_us: int, failed: bool) -> bool:  # noqa: ARG002
        self._in_a_row = self._in_a_row + 1 if failed else 0
        return self._in_a_row >= self._limit

    def _judge(self, now_us: int) -> None:
        if self._failed:
            self._enter("open", now_us)
        elif self._answered >= self._probes:
            self._enter("closed", now_us)

    def _reset(self) -> None:
        self._in_a_row = 0


class _Ratio(_Circuit):
    _SLICES: Final = 10

    def __init__(self, spec: FailureRatio) -> None:
        super().__init__(spec)
        self._ratio, self._calls, self._window_us = spec.ratio, spec.calls, spec.window
        # More answers than are kept can never be waited for.
        self._minimum = min(spec.minimum, spec.calls) if spec.window is None else spec.minimum
        self._reset()

    def _trips(self, now_us: int, failed: bool) -> bool:
        if self._window_us is None:
            if len(self._last) == self._calls:
                self._failed_of_last -= self._last[0]
            self._last.append(failed)
            self._failed_of_last += failed
            total, failures = len(self._last), self._failed_of_last
        else:
            self._answers.add(now_us, 1)
            self._failures.add(now_us, int(failed))
            total, failures = self._answers.total, self._failures.total
        return total >= self._minimum and failures >= self._ratio * total

    def _judge(self, now_us: int) -> None:
        if self._answered >= self._probes:
            tripped = self._failed >= self._ratio * self._answered
            self._enter("open" if tripped else "closed", now_us)

    def _reset(self) -> None:
        self._last: deque[bool] = deque(maxlen=self._calls)
        self._failed_of_last = 0
        window_us = self._window_us or 1
        self._answers = SlidingSum(window_us, self._SLICES)
        self._failures = SlidingSum(window_us, self._SLICES)


_Breakers = ConsecutiveFailures | FailureRatio | PollyBreaker

AnyBreaker = Annotated[_Breakers, OneOf("breaker"), Named()]
"""A breaker as a key of a policy."""

BREAKERS: Final[dict[str, type[GuardSpec]]] = {choice.key: choice for choice in get_args(_Breakers)}
"""Every breaker by name."""
