"""How long to wait before a retry: the formulas that have no library of their own.

n counts the failures of the intent, so n = 1 is the first retry; U(a, b) is a uniform draw from the
client's stream. ``base`` is the first delay everywhere. The experiment of the AWS blog ("Exponential
Backoff And Jitter", awslabs/aws-arch-backoff-simulator) has base 5 ms and starts at 5 * 2^1: here that is
``base: 10ms`` for its exponential, full and equal jitter, and ``base: 5ms`` for decorrelated jitter,
whose first draw is U(base, 3 * base) in both. Delays are whole microseconds, rounded down where they are
drawn, to the nearest where they are not; none is above ten years.

What libraries do, quirks included, is in :mod:`sim.retry.library`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from sim.retry.parts import Component, Factor
from sim.schema import Duration, Interval, field
from sim.units import MAX_DURATION_US

if TYPE_CHECKING:
    from sim.retry.parts import Setting
    from sim.retry.policy import Refusal, Uniform, Wait

_LONGEST_TABLE: Final = 4096


class Backoff(Component):
    """What every backoff can do."""

    @abstractmethod
    def build(self, setting: Setting) -> Wait:
        """Give a function from a refusal to the microseconds to wait, for one client."""


def ceilings(base: float, factor: float, cap: float) -> list[float]:
    """Tabulate min(cap, base * factor^(n-1)) for n = 1, 2, ...; the last entry holds for every later n.

    Entry 0 stands for n = 1 too, so that a table is indexed by n itself.
    """
    table = [min(base, cap)] * 2
    value = base
    while 0 < value < cap and factor > 1 and len(table) < _LONGEST_TABLE:
        value *= factor
        table.append(min(value, cap))
    return table


def drawn_below(uniform: Uniform, table: list[float]) -> Wait:
    """Give a wait U(0, table[n])."""
    last = len(table) - 1

    def wait(refusal: Refusal) -> int:
        nth = refusal.nth
        return int(uniform() * table[nth if nth < last else last])

    return wait


def tabulated(table: list[float]) -> Wait:
    """Give a wait of exactly table[n]."""
    delays = [round(delay) for delay in table]
    last = len(delays) - 1

    def wait(refusal: Refusal) -> int:
        nth = refusal.nth
        return delays[nth if nth < last else last]

    return wait


def capped(cap: int | None) -> int:
    """Give the cap in force: ten years where a policy has none."""
    return MAX_DURATION_US if cap is None else cap


class NoWait(Backoff):
    """No wait at all.

    Formula: 0
    Scope: none
    Source: the policy "None" of the AWS blog, Exponential Backoff And Jitter
    """

    key: ClassVar[str] = "none"
    aliases: ClassVar[tuple[str, ...]] = ("immediate",)

    def build(self, setting: Setting) -> Wait:  # noqa: ARG002 - the same for every client
        """Wait nothing."""
        return tabulated([0])


class Constant(Backoff):
    """The same wait every time, without jitter.

    Formula: delay
    Scope: none
    Source: the default of Polly v8 (RetryConstants.cs) and of tenacity's wait_fixed
    """

    key: ClassVar[str] = "constant"
    aliases: ClassVar[tuple[str, ...]] = ("fixed", "tenacity_fixed")

    delay: Duration = field("50ms", "The wait.")

    def build(self, setting: Setting) -> Wait:  # noqa: ARG002 - the same for every client
        """Wait ``delay``."""
        return tabulated([self.delay])


class Poll(Backoff):
    """The worker's own poll interval.

    Formula: workers.poll
    Scope: none
    Source: claim_poll_interval of the engine's worker SDK (ff-sdk/src/config.rs): fixed, without jitter
    """

    key: ClassVar[str] = "poll"

    def build(self, setting: Setting) -> Wait:
        """Wait the poll interval."""
        return tabulated([setting.poll_us])


class Linear(Backoff):
    """A wait that grows by the same step at every retry, without jitter.

    Formula: min(cap, base + step * (n - 1))
    Scope: none
    Source: Linear of Polly v8 (RetryHelper.cs), where step = base
    """

    key: ClassVar[str] = "linear"

    base: Duration = field("50ms", "The first wait.")
    step: Interval = field("50ms", "By how much each further wait is longer.")
    cap: Interval | None = field("5s", "The longest wait; null for none.")

    def build(self, setting: Setting) -> Wait:  # noqa: ARG002 - the same for every client
        """Wait as the formula says."""
        base, step, cap = self.base, self.step, capped(self.cap)

        def wait(refusal: Refusal) -> int:
            return min(cap, base + step * (refusal.nth - 1))

        return wait


class Growing(Backoff):
    """What the exponential family has in common."""

    base: Duration = field("50ms", "The first wait, or the longest that the first can be.")
    factor: Factor = field(2.0, "By how much the wait grows from retry to retry.")
    cap: Interval | None = field("5s", "The longest wait; null for none.")

    def table(self) -> list[float]:
        """Tabulate min(cap, base * factor^(n-1))."""
        return ceilings(self.base, self.factor, capped(self.cap))


class Exponential(Growing):
    """A wait that doubles, without jitter: who collides once collides again.

    Formula: min(cap, base * factor^(n-1))
    Scope: none
    Source: "Exponential" of the AWS blog; Temporal's and client-go's are of the same shape
    """

    key: ClassVar[str] = "exponential"
    aliases: ClassVar[tuple[str, ...]] = ("no_jitter",)

    def build(self, setting: Setting) -> Wait:  # noqa: ARG002 - the same for every client
        """Wait as the formula says."""
        return tabulated(self.table())


class FullJitter(Growing):
    """Anywhere between nothing and the exponential ceiling.

    Formula: U(0, min(cap, base * factor^(n-1)))
    Scope: none
    Source: "FullJitter" of the AWS blog and simulator
    """

    key: ClassVar[str] = "full_jitter"
    aliases: ClassVar[tuple[str, ...]] = ("full",)

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        return drawn_below(setting.uniform, self.table())


class EqualJitter(Growing):
    """Half of the exponential ceiling for sure, the other half drawn.

    Formula: c/2 + U(0, c/2) with c = min(cap, base * factor^(n-1))
    Scope: none
    Source: "EqualJitter" of the AWS blog and simulator
    """

    key: ClassVar[str] = "equal_jitter"
    aliases: ClassVar[tuple[str, ...]] = ("equal",)

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        uniform = setting.uniform
        halves = [ceiling / 2 for ceiling in self.table()]
        last = len(halves) - 1

        def wait(refusal: Refusal) -> int:
            half = halves[min(refusal.nth, last)]
            return int(half + uniform() * half)

        return wait


class DecorrelatedJitter(Backoff):
    """Up to three times the previous wait of the same intent.

    The hard clamp cuts what was drawn, as the AWS simulator does, and piles waits up at the cap. The soft
    clamp cuts the range before the draw, as Polly.Contrib does because of that pile.

    Formula: hard: min(cap, U(base, 3 * previous)); soft: U(base, min(cap, 3 * previous)); previous = base
        at first
    Scope: per intent (the previous wait)
    Source: "Decorr" of the AWS blog and simulator; Polly.Contrib.WaitAndRetry AwsDecorrelatedJitterBackoff
    """

    key: ClassVar[str] = "decorrelated_jitter"
    aliases: ClassVar[tuple[str, ...]] = ("decorrelated",)

    base: Duration = field("50ms", "The shortest wait.")
    cap: Interval | None = field("5s", "The longest wait; null for none.")
    clamp: Literal["hard", "soft"] = field(
        "hard", "Whether the cap cuts the drawn wait or the range of the draw."
    )

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says, and remember it for the intent."""
        uniform, slot = setting.uniform, setting.slot
        base, cap, hard = self.base, capped(self.cap), self.clamp == "hard"

        def wait(refusal: Refusal) -> int:
            memory = refusal.remembered()
            highest = 3 * memory.get(slot, base)
            if not hard:
                highest = max(base, min(cap, highest))
            delay = memory[slot] = min(cap, int(base + uniform() * (highest - base)))
            return delay

        return wait


class Fibonacci(Backoff):
    """A wait that grows like the Fibonacci numbers.

    Formula: min(cap, base * F(n)) with F = 1, 1, 2, 3, 5, ...; U(0, that) with full jitter
    Scope: none
    Source: fibo of the PyPI package backoff 2.2.1 (backoff/_wait_gen.py), whose default jitter is full
    """

    key: ClassVar[str] = "fibonacci"

    base: Duration = field("50ms", "The first wait.")
    cap: Interval | None = field("5s", "The longest wait; null for none.")
    jitter: Literal["none", "full"] = field(
        "none", "Whether the wait is drawn from below the formula's value."
    )

    def build(self, setting: Setting) -> Wait:
        """Wait as the formula says."""
        cap = capped(self.cap)
        before, value = 0, self.base
        table: list[float] = [min(cap, self.base)]
        while 0 < value < cap:
            table.append(value)
            before, value = value, before + value
        table.append(min(cap, value))
        return drawn_below(setting.uniform, table) if self.jitter == "full" else tabulated(table)
