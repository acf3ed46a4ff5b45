"""How long to wait before a retry: what well-known libraries and systems do, quirks included.

Names, defaults, first-retry index and the place of jitter and cap are those of the cited source; where a
library counts attempts or past retries, its counter is written here in terms of n, the number of the
retry. Libraries that count in whole seconds or milliseconds draw whole units here too; their unit is a
parameter, so that a scenario can bring minutes down to its own scale. Formulas as in
:mod:`sim.retry.backoff`.

Left out: which errors a library retries, which is routing, and how often, which is limits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from sim.retry.backoff import Backoff, Growing, capped, ceilings, drawn_below, tabulated
from sim.retry.parts import Factor  # noqa: TC001 - pydantic reads the annotations
from sim.schema import Duration, Interval, Share, field
from sim.units import MAX_DURATION_US, US_PER_MS, US_PER_S

if TYPE_CHECKING:
    from sim.retry.parts import Setting
    from sim.retry.policy import Refusal, Wait


_BEYOND_EVERY_CAP = 64
"""From this retry on, a microsecond that doubled each time has become more than ten years."""


class TenacityRandom(Backoff):
    """A wait drawn from a fixed range.

    Formula: U(min, max)
    Scope: none
    Source: wait_random of tenacity 9.2.1 (tenacity/wait.py)
    """

    key: ClassVar[str] = "tenacity_random"

    min: Duration = field("0s", "The shortest wait.")
    max: Duration = field("1s", "The longest wait.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        uniform, low, width = setting.uniform, self.min, self.max - self.min

        def wait(_: Refusal) -> int:
            return int(low + uniform() * width)

        return wait


class TenacityGrowing(Backoff):
    """What tenacity's exponential waits have in common."""

    multiplier: Duration = field("1s", "The first wait before the limits.")
    exp_base: Factor = field(2.0, "By how much the wait grows from retry to retry.")
    min: Duration = field("0s", "The shortest wait.")
    max: Duration | None = field(None, "The longest wait; null for none.")

    def table(self) -> list[float]:
        """Tabulate min(multiplier * exp_base^(n-1), max)."""
        return ceilings(self.multiplier, self.exp_base, capped(self.max))


class TenacityExponential(TenacityGrowing):
    """A wait that doubles, between two limits, without jitter.

    Formula: max(min, min(multiplier * exp_base^(n-1), max))
    Scope: none
    Source: wait_exponential of tenacity 9.2.1 (tenacity/wait.py)
    """

    key: ClassVar[str] = "tenacity_exponential"

    def build(self, setting: Setting) -> Wait:  # noqa: ARG002 - the same for every client
        """Wait as the formula says."""
        return tabulated([max(self.min, ceiling) for ceiling in self.table()])


class TenacityRandomExponential(TenacityGrowing):
    """Full jitter with a floor.

    Formula: U(min, max(min, min(multiplier * exp_base^(n-1), max)))
    Scope: none
    Source: wait_random_exponential of tenacity 9.2.1 (tenacity/wait.py); before it the draw began at 0
        (#487)
    """

    key: ClassVar[str] = "tenacity_random_exponential"

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        low = self.min
        above = drawn_below(setting.uniform, [max(0.0, ceiling - low) for ceiling in self.table()])

        def wait(refusal: Refusal) -> int:
            return low + above(refusal)

        return wait


class TenacityExponentialJitter(TenacityGrowing):
    """Exponential plus a little: once the cap is reached, every wait is exactly ``max`` (#703).

    Formula: max(min, min(multiplier * exp_base^(n-1) + U(0, jitter), max))
    Scope: none
    Source: wait_exponential_jitter of tenacity 9.2.1 (tenacity/wait.py)
    """

    key: ClassVar[str] = "tenacity_exponential_jitter"

    jitter: Duration = field("1s", "The longest addition.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        plus = _plus_jitter(setting, self.table(), self.jitter, capped(self.max))
        low = self.min

        def wait(refusal: Refusal) -> int:
            return max(low, plus(refusal))

        return wait


class TenacityIncrementing(Backoff):
    """A wait that grows by the same step at every retry: 100 s unless told otherwise.

    Formula: min(start + increment * (n - 1), max)
    Scope: none
    Source: wait_incrementing of tenacity 9.2.1 (tenacity/wait.py)
    """

    key: ClassVar[str] = "tenacity_incrementing"

    start: Duration = field("0s", "The first wait.")
    increment: Duration = field("100s", "By how much each further wait is longer.")
    max: Duration | None = field(None, "The longest wait; null for none.")

    def build(self, setting: Setting) -> Wait:  # noqa: ARG002 - the same for every client
        """Wait as the formula says."""
        start, increment, longest = self.start, self.increment, capped(self.max)

        def wait(refusal: Refusal) -> int:
            return min(start + increment * (refusal.nth - 1), longest)

        return wait


class Stamina(Backoff):
    """tenacity's exponential plus jitter with stamina's parameters: from the 7th retry exactly 5 s.

    Formula: min(wait_max, wait_initial * wait_exp_base^(n-1) + U(0, wait_jitter))
    Scope: none
    Source: stamina 26.1 (stamina/_core.py), which also has 10 attempts and a time-out of 45 s
    """

    key: ClassVar[str] = "stamina"

    wait_initial: Duration = field("100ms", "The first wait before jitter.")
    wait_max: Duration = field("5s", "The longest wait.")
    wait_jitter: Duration = field("1s", "The longest addition.")
    wait_exp_base: Factor = field(2.0, "By how much the wait grows from retry to retry.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        table = ceilings(self.wait_initial, self.wait_exp_base, self.wait_max)
        return _plus_jitter(setting, table, self.wait_jitter, self.wait_max)


class LitlBackoff(Backoff):
    """The decorators of the PyPI package ``backoff``: exponential with full jitter by default.

    Formula: v = min(max_value, factor * base^(n-1)); full: U(0, v); random: v + U(0, 1 s); none: v
    Scope: none
    Source: expo, full_jitter and random_jitter of backoff 2.2.1 (backoff/_wait_gen.py, backoff/_jitter.py)
    """

    key: ClassVar[str] = "backoff_expo"
    aliases: ClassVar[tuple[str, ...]] = ("backoff", "litl_backoff")

    base: Factor = field(2.0, "By how much the wait grows from retry to retry.")
    factor: Duration = field("1s", "The first wait before jitter.")
    max_value: Duration | None = field(None, "The longest wait before jitter; null for none.")
    jitter: Literal["full", "random", "none"] = field("full", "Which of the library's jitters.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        table = ceilings(self.factor, self.base, capped(self.max_value))
        match self.jitter:
            case "full":
                return drawn_below(setting.uniform, table)
            case "random":
                return _plus_jitter(setting, table, US_PER_S, MAX_DURATION_US)
            case "none":
                return tabulated(table)


class GoogleApiCore(Backoff):
    """Full jitter, as in Google's client libraries.

    Formula: U(0, min(maximum, initial * multiplier^(n-1)))
    Scope: none
    Source: google-api-core 2.44 (google/api_core/retry/retry_base.py), which also has a time-out of 120 s
    """

    key: ClassVar[str] = "google_api_core"

    initial: Duration = field("1s", "The longest that the first wait can be.")
    maximum: Duration = field("60s", "The longest wait.")
    multiplier: Factor = field(2.0, "By how much the wait grows from retry to retry.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        return drawn_below(setting.uniform, ceilings(self.initial, self.multiplier, self.maximum))


class Urllib3(Backoff):
    """Nothing before the first retry, then exponential; jitter is added before the cap.

    Formula: 0 for n = 1, then min(backoff_max, backoff_factor * 2^(n-1) + U(0, backoff_jitter))
    Scope: none
    Source: Retry of urllib3 2.8 (urllib3/util/retry.py); the factor's own default of 0 means no wait at all
    """

    key: ClassVar[str] = "urllib3"

    backoff_factor: Duration = field("0s", "Half of the second wait.")
    backoff_max: Duration = field("120s", "The longest wait.")
    backoff_jitter: Duration = field("0s", "The longest addition.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        table = ceilings(self.backoff_factor, 2.0, self.backoff_max)
        later = _plus_jitter(setting, table, self.backoff_jitter, self.backoff_max)

        def wait(refusal: Refusal) -> int:
            return 0 if refusal.nth <= 1 else later(refusal)

        return wait


class RedisPy(Backoff):
    """redis-py's five: they count failures from 1, so the first ceiling is twice the base.

    ``exponential_with_jitter`` draws before the cap, so most late waits are exactly the cap.
    ``decorrelated`` starts from a previous wait of 0, so everybody's first wait is exactly the base.

    Formula: c = min(cap, base * 2^n); equal: c/2 + U(0, c/2); full: U(0, c); exponential: c;
        exponential_with_jitter: min(cap, U(0, 1) * base * 2^n); decorrelated: min(cap, U(base, max(base, 3
        * previous)))
    Scope: none; decorrelated: per intent (the previous wait)
    Source: redis 8.1 (redis/backoff.py)
    """

    key: ClassVar[str] = "redis_py"

    shape: Literal["equal", "full", "exponential", "exponential_with_jitter", "decorrelated"] = field(
        "equal", "Which of the library's backoffs; equal is its default."
    )
    base: Duration = field("8ms", "The base, half of the first ceiling.")
    cap: Duration = field("512ms", "The longest wait.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        uniform = setting.uniform
        table = ceilings(2 * self.base, 2.0, self.cap)
        match self.shape:
            case "full":
                return drawn_below(uniform, table)
            case "exponential":
                return tabulated(table)
            case "equal":
                half = drawn_below(uniform, [ceiling / 2 for ceiling in table])
                floor = tabulated([ceiling / 2 for ceiling in table])
                return lambda refusal: floor(refusal) + half(refusal)
            case "exponential_with_jitter":
                uncapped = drawn_below(uniform, ceilings(2 * self.base, 2.0, MAX_DURATION_US))
                return lambda refusal: min(self.cap, uncapped(refusal))
            case "decorrelated":
                return self._decorrelated(setting)

    def _decorrelated(self, setting: Setting) -> Wait:
        uniform, slot, base, cap = setting.uniform, setting.slot, self.base, self.cap

        def wait(refusal: Refusal) -> int:
            memory = refusal.remembered()
            highest = max(base, 3 * memory.get(slot, 0))
            delay = memory[slot] = min(cap, int(base + uniform() * (highest - base)))
            return delay

        return wait


class Polly(Backoff):
    """Polly v8's constant and linear waits, with jitter if asked for (off by default).

    Formula: d = delay (constant) or delay * n (linear); with jitter d + U(0, d/2); then min(max_delay)
    Scope: none
    Source: App-vNext/Polly src/Polly.Core/Retry/RetryHelper.cs, RetryConstants.cs, which also has 3 retries
    """

    key: ClassVar[str] = "polly"

    backoff_type: Literal["constant", "linear"] = field(
        "constant", "The shape; see polly_v2 for the exponential one."
    )
    delay: Duration = field("2s", "The first wait before jitter.")
    use_jitter: bool = field(False, "Whether up to half of the wait is added.")
    max_delay: Interval | None = field(None, "The longest wait; null for none.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        uniform, delay, cap = setting.uniform, self.delay, capped(self.max_delay)
        linear, jitter = self.backoff_type == "linear", self.use_jitter

        def wait(refusal: Refusal) -> int:
            d = delay * refusal.nth if linear else delay
            return min(cap, int(d + uniform() * d / 2) if jitter else d)

        return wait


class PollyV2(Backoff):
    """Polly's exponential backoff with jitter (DecorrelatedJitterBackoffV2): smooth, and without peaks.

    Formula: (F(t_n) - F(t_(n-1))) / 1.4 * median_first, t_n = n - 1 + U(0, 1), F(t) = 2^t * tanh(sqrt(4
        t)), F(t_0) = 0
    Scope: per intent (the previous F)
    Source: App-vNext/Polly src/Polly.Core/Retry/RetryHelper.cs; Polly.Contrib.WaitAndRetry
        Backoff.DecorrelatedJitterV2.cs
    """

    key: ClassVar[str] = "polly_v2"

    median_first: Duration = field("2s", "The median of the first wait.")
    max_delay: Interval | None = field(None, "The longest wait; null for none.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says, and remember F for the intent."""
        uniform, slot, cap = setting.uniform, setting.slot, capped(self.max_delay)
        scale = self.median_first / 1.4

        def wait(refusal: Refusal) -> int:
            if refusal.nth > _BEYOND_EVERY_CAP:
                return cap if scale else 0
            memory = refusal.remembered()
            t = refusal.nth - 1 + uniform()
            value = 2.0**t * math.tanh(math.sqrt(4 * t))
            delay = (value - memory.get(slot, 0.0)) * scale
            memory[slot] = value
            return int(min(cap, delay))

        return wait


class Grpc(Growing):
    """gRPC's transparent retries: jitter of 20 % either way, outside the cap.

    Formula: min(cap, base * factor^(n-1)) * U(1 - jitter, 1 + jitter)
    Scope: none
    Source: grpc/proposal A6-client-retries.md: initialBackoff, backoffMultiplier, maxBackoff of its example
    """

    key: ClassVar[str] = "grpc"

    base: Duration = field("100ms", "The first wait before jitter (initialBackoff).")
    cap: Interval | None = field("1s", "The longest wait before jitter (maxBackoff); null for none.")
    jitter: Share = field(0.2, "The share by which a wait varies.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        uniform, table, jitter = setting.uniform, self.table(), self.jitter
        last = len(table) - 1

        def wait(refusal: Refusal) -> int:
            return int(table[min(refusal.nth, last)] * (1 - jitter + 2 * jitter * uniform()))

        return wait


class Envoy(Backoff):
    """Envoy's route retries, in whole milliseconds.

    ``clipped`` is the older code: it draws from a range that is not capped, then cuts, so that a third of
    late waits are exactly the cap.

    Formula: full: U(0, min(max_interval, base_interval * 2^(n-1))); clipped: min(max_interval, U(0, (2^n -
        1) * base_interval)) where the range stops growing once it is above max_interval
    Scope: none
    Source: source/common/common/backoff_strategy.cc of envoyproxy/envoy (clipped); its BackoffStrategy
        proto docs (full)
    """

    key: ClassVar[str] = "envoy"

    base_interval: Interval = field("25ms", "The longest that the first wait can be.")
    max_interval: Interval = field("250ms", "The longest wait: ten times the base unless set.")
    version: Literal["full", "clipped"] = field("full", "Which code: newer or older.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        cap = self.max_interval
        table = ceilings(self.base_interval, 2.0, cap)
        if self.version == "clipped":
            table = [self.base_interval] * 2
            while table[-1] <= cap:
                table.append(2 * table[-1] + self.base_interval)
        drawn = drawn_below(setting.uniform, table)
        return lambda refusal: min(cap, drawn(refusal) // US_PER_MS * US_PER_MS)


class Finagle(Backoff):
    """Finagle's jittered backoffs: the first wait is ``start`` for everybody, at the cap jitter ends.

    ``exponential`` doubles the exponent and scales its own previous draw by it; ``decorrelated`` never
    goes below its previous wait.

    Formula: p = the previous wait, start at first; exponential: U(0, p * 2^(n-1)); equal: h + U(0, h) with
        h = start * 2^(n-2); decorrelated: U(p, min(maximum, 3 p)); constant at maximum from where the range
        or the wait reaches it
    Scope: per intent (the previous wait)
    Source: finagle-core Backoff.scala of twitter/finagle (@4feb34c)
    """

    key: ClassVar[str] = "finagle"

    shape: Literal["exponential", "equal", "decorrelated"] = field("exponential", "Which jittered backoff.")
    start: Interval = field("50ms", "The first wait.")
    maximum: Interval = field("5s", "The longest wait.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says, and remember it for the intent."""
        uniform, slot, shape, start, maximum = (
            setting.uniform,
            setting.slot,
            self.shape,
            self.start,
            self.maximum,
        )

        def following(previous: int, nth: int) -> int:
            if shape == "decorrelated":
                highest = min(maximum, 3 * previous)
                return int(previous + uniform() * (highest - previous))
            if shape == "equal":
                half = start << min(nth - 2, 62)
                if half >= maximum:
                    return maximum
                return min(maximum, int(half + uniform() * half))
            highest = previous << min(nth - 1, 62)
            return maximum if highest >= maximum else int(uniform() * highest)

        def wait(refusal: Refusal) -> int:
            memory = refusal.remembered()
            previous = memory.get(slot)
            if previous is None:
                delay = min(start, maximum)
            elif previous == maximum:
                delay = maximum
            else:
                delay = following(previous, max(refusal.nth, 2))
            memory[slot] = delay
            return delay

        return wait


class Celery(Backoff):
    """Celery's ``autoretry_for`` with ``retry_backoff``: whole seconds, 0 included.

    Formula: c = min(retry_backoff_max, retry_backoff * 2^(n-1)); with jitter a whole number of units from 0
        to c, both included
    Scope: none
    Source: celery 5.7 (celery/utils/time.py, celery/app/autoretry.py); Task.retry alone waits 180 s; both
        have 3 retries
    """

    key: ClassVar[str] = "celery"

    retry_backoff: Interval = field("1s", "The longest that the first wait can be.")
    retry_backoff_max: Interval = field("600s", "The longest wait.")
    retry_jitter: bool = field(True, "Whether the wait is drawn.")
    unit: Interval = field("1s", "What waits are whole numbers of.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        uniform, unit, jitter = setting.uniform, self.unit, self.retry_jitter
        table = ceilings(self.retry_backoff, 2.0, self.retry_backoff_max)
        units = [int(ceiling) // unit for ceiling in table]
        last = len(units) - 1

        def wait(refusal: Refusal) -> int:
            highest = units[min(refusal.nth, last)]
            return unit * (int(uniform() * (highest + 1)) if jitter else highest)

        return wait


class Sidekiq(Backoff):
    """Sidekiq's fourth power: about three weeks for its 25 retries.

    Formula: k = n - 1; (k^4 + 15 + j) units, j a whole number from 0 to 10 (k + 1) - 1; older: j = (k + 1)
        * (0 to 29)
    Scope: none
    Source: sidekiq lib/sidekiq/job_retry.rb @1bb4aa0 (current), @010f5f8 (older)
    """

    key: ClassVar[str] = "sidekiq"

    version: Literal["current", "older"] = field("current", "Which jitter.")
    unit: Interval = field("1s", "What the formula counts in.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        uniform, unit, older = setting.uniform, self.unit, self.version == "older"

        def wait(refusal: Refusal) -> int:
            k = refusal.nth - 1
            jitter = int(uniform() * 30) * (k + 1) if older else int(uniform() * 10 * (k + 1))
            return min(MAX_DURATION_US, (k**4 + 15 + jitter) * unit)

        return wait


class ClientGo(Backoff):
    """The work queue of a Kubernetes controller: per item exponential, and a token bucket over all of them.

    Formula: max(min(max_delay, base_delay * 2^(n-1)), the wait for a token of a bucket of ``burst``, filled
        at ``qps``)
    Scope: per client (the bucket)
    Source: DefaultControllerRateLimiter of kubernetes/client-go (util/workqueue/default_rate_limiters.go)
    """

    key: ClassVar[str] = "client_go"

    base_delay: Interval = field("5ms", "The first wait of an item.")
    max_delay: Interval = field("1000s", "The longest wait of an item.")
    qps: Annotated[float, Field(gt=0, le=1e6)] = field(
        10.0, "Tokens a second, for all items of a client together."
    )
    burst: Annotated[int, Field(ge=1, le=1_000_000)] = field(100, "What the bucket holds; it starts full.")

    def build(self, setting: Setting) -> Wait:  # noqa: ARG002 - it draws nothing
        """Wait as the formula says; each wait takes a token, in advance where there is none."""
        item = tabulated(ceilings(self.base_delay, 2.0, self.max_delay))
        per_us, burst = self.qps / US_PER_S, float(self.burst)
        tokens, filled_us = burst, 0

        def wait(refusal: Refusal) -> int:
            nonlocal tokens, filled_us
            tokens = min(burst, tokens + (refusal.now_us - filled_us) * per_us) - 1
            filled_us = refusal.now_us
            overall = 0 if tokens >= 0 else math.ceil(-tokens / per_us)
            return max(item(refusal), overall)

        return wait


class RetryOnConflict(Backoff):
    """Kubernetes' helper for optimistic writes: 10 ms and a little, five times.

    Formula: d = duration * factor^(n-1); d * (1 + U(0, jitter))
    Scope: none
    Source: DefaultRetry and DefaultBackoff (factor 5, 4 steps) of kubernetes/client-go
        (util/retry/util.go), 5 steps
    """

    key: ClassVar[str] = "retry_on_conflict"

    duration: Interval = field("10ms", "The first wait before jitter.")
    factor: Factor = field(1.0, "By how much the wait grows from retry to retry.")
    jitter: Share = field(0.1, "The share that may be added.")

    def build(self, setting: Setting) -> Wait:
        """Draw as the formula says."""
        uniform, jitter = setting.uniform, self.jitter
        table = ceilings(self.duration, self.factor, MAX_DURATION_US)
        last = len(table) - 1

        def wait(refusal: Refusal) -> int:
            return int(table[min(refusal.nth, last)] * (1 + jitter * uniform()))

        return wait


class Temporal(Backoff):
    """The retry policy of Temporal's activities: kept by the server, which adds no jitter.

    Formula: min(maximum_interval, initial_interval * coefficient^(n-1)); with rpc the server's own calls:
        0.8 d + U(0, 0.2 d)
    Scope: none (n is kept by the server)
    Source: temporalio/common.py; temporalio/temporal service/history/workflow/retry.go; rpc:
        common/backoff/retrypolicy.go
    """

    key: ClassVar[str] = "temporal"

    initial_interval: Interval = field("1s", "The first wait.")
    coefficient: Factor = field(2.0, "By how much the wait grows from retry to retry.")
    maximum_interval: Interval | None = field(None, "The longest wait; null for 100 times the first.")
    rpc: bool = field(False, "Whether up to a fifth is taken off, as in the retries of Temporal's own calls.")

    def build(self, setting: Setting) -> Wait:
        """Wait as the formula says."""
        uniform = setting.uniform
        cap = 100 * self.initial_interval if self.maximum_interval is None else self.maximum_interval
        interval = tabulated(ceilings(self.initial_interval, self.coefficient, cap))
        if not self.rpc:
            return interval

        def wait(refusal: Refusal) -> int:
            return int(interval(refusal) * (0.8 + 0.2 * uniform()))

        return wait


def _plus_jitter(setting: Setting, table: list[float], jitter: int, cap: int) -> Wait:
    """Give a wait min(cap, table[n] + U(0, jitter)); without jitter nothing is drawn."""
    if jitter == 0:
        return tabulated([min(cap, ceiling) for ceiling in table])
    uniform, last = setting.uniform, len(table) - 1

    def wait(refusal: Refusal) -> int:
        return min(cap, int(table[min(refusal.nth, last)] + uniform() * jitter))

    return wait
