"""Whether a retry may be made at all: budgets, quotas and throttles.

See :mod:`sim.retry.guards` for what a request, a retry and a failure are here. Counters that the sources
keep as fractions are kept in whole thousandths, so that sums are exact.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import Field

from sim.retry.guards import Counts, Guard, GuardSpec, SlidingSum, is_failure, is_throttled
from sim.retry.parts import Named
from sim.retry.policy import REJECT
from sim.schema import Interval, OneOf, Share, field
from sim.units import US_PER_S

if TYPE_CHECKING:
    from sim.retry.policy import Observed, Refusal, Uniform

_MILLI: Final = 1000
_NEVER: Final = 1 << 62

Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
Cost = Annotated[int, Field(ge=0, le=1_000_000)]


class AwsStandard(GuardSpec):
    """The retry quota of the AWS SDKs before 2026: retries stop when the quota is used up, without a wait.

    A success gives back 1 if it was never retried, and otherwise the last retry's cost; failures give
    nothing back.

    Formula: quota 500; a retry costs 5, after a time-out 10; a success returns 1 or the last cost, up to
        the capacity
    Scope: per client, or the fleet (botocore: per client object)
    Source: botocore 1.35 (botocore/retries/quota.py, standard.py), with 3 attempts and U(0, 1) * min(2^i,
        20 s)
    """

    key: ClassVar[str] = "aws_standard"

    capacity: Tokens = field(500, "What the quota holds; it starts full.")
    cost: Cost = field(5, "What a retry costs.")
    timeout_cost: Cost = field(10, "What a retry after a missing answer costs.")
    throttled_cost: Cost = field(5, "What a retry costs after a refusal because a quota is full.")

    def make(self) -> Guard:
        """Make a full quota."""
        return _AwsQuota(self)


class AwsStandard2026(AwsStandard):
    """The retry quota of the AWS SDKs from 2026 on ("retries 2.1"): dearer retries.

    Formula: quota 500; a retry costs 14, after a throttling error 5; a success returns 1 or the last cost
    Scope: per client, or the fleet (botocore: per client object)
    Source: botocore 1.44.5 (botocore/retries/standard.py); aws/aws-sdk-js-v3#8037, aws-sdk-go-v2#3416
    """

    key: ClassVar[str] = "aws_standard_2026"

    cost: Cost = field(14, "What a retry costs.")
    timeout_cost: Cost = field(14, "What a retry after a missing answer costs.")


class AwsAdaptive(AwsStandard):
    """The standard quota, and a limit on the rate of *all* sends from the first throttling error on.

    The rate falls to 0.7 of what was measured at an error of throttling and grows back along a cubic
    curve. Sends wait for a token; one that waits holds its place, and a later change of the rate does
    not shorten its wait.

    Formula: m = EWMA (0.8) of answers over 0.5 s; error: w = min(m, rate), rate = 0.7 w, K = cbrt(0.3 w /
        0.4); otherwise rate = 0.4 (t - K)^3 + w; then min(rate, 2 m), at least 0.5/s; bucket of max(1,
        rate) tokens
    Scope: per client, or the fleet (botocore: per client object)
    Source: botocore 1.44.5 (botocore/retries/adaptive.py, throttling.py, bucket.py)
    """

    key: ClassVar[str] = "aws_adaptive"

    def make(self) -> Guard:
        """Make a full quota, and a rate limiter that is not yet enabled."""
        return _AwsRateLimiter(self)


class _AwsQuota(Guard):
    def __init__(self, spec: AwsStandard) -> None:
        self._spec = spec
        self.available = spec.capacity

    def may_retry(self, refusal: Refusal) -> bool:
        spec = self._spec
        if refusal.kind is None:
            cost = spec.timeout_cost
        else:
            cost = spec.throttled_cost if is_throttled(refusal.kind) else spec.cost
        if cost > self.available:
            return False
        self.available -= cost
        refusal.remembered()["budget"] = cost
        return True

    def observe(self, observed: Observed, retried: bool) -> None:
        if not is_failure(observed, "any"):
            returned = observed.memory["budget"] if retried else 1
            self.available = min(self._spec.capacity, self.available + returned)


class _AwsRateLimiter(_AwsQuota):
    _BUCKET_S: Final = 0.5
    _SMOOTHING: Final = 0.8
    _BETA: Final = 0.7
    _SCALE: Final = 0.4
    _RATE_MIN: Final = 0.5

    def __init__(self, spec: AwsStandard) -> None:
        super().__init__(spec)
        self.enabled = False
        self.rate = 1.0
        self._tokens, self._capacity, self._filled_s = 0.0, 1.0, 0.0
        self._measured, self._counted, self._bucket_s = 0.0, 0, 0.0
        self._w_max, self._k, self._failed_s = 0.0, 0.0, 0.0

    def before_send(self, now_us: int, uniform: Uniform) -> int:  # noqa: ARG002
        if not self.enabled:
            return 0
        self._refill(now_us / US_PER_S)
        self._tokens -= 1
        return 0 if self._tokens >= 0 else math.ceil(-self._tokens / self.rate * US_PER_S)

    def observe(self, observed: Observed, retried: bool) -> None:
        super().observe(observed, retried)
        now_s = observed.now_us / US_PER_S
        measured = self._measure(now_s)
        if is_throttled(observed.kind):
            self._w_max = min(measured, self.rate) if self.enabled else measured
            self._k = math.cbrt(self._w_max * (1 - self._BETA) / self._SCALE)
            self._failed_s = now_s
            self.enabled = True
            rate = self._w_max * self._BETA
        else:
            rate = self._SCALE * (now_s - self._failed_s - self._k) ** 3 + self._w_max
        self._set_rate(now_s, min(rate, 2 * measured))

    def _measure(self, now_s: float) -> float:
        bucket_s = math.floor(now_s / self._BUCKET_S) * self._BUCKET_S
        self._counted += 1
        if bucket_s > self._bucket_s:
            rate = self._counted / (bucket_s - self._bucket_s)
            self._measured = rate * self._SMOOTHING + self._measured * (1 - self._SMOOTHING)
            self._counted, self._bucket_s = 0, bucket_s
        return self._measured

    def _set_rate(self, now_s: float, rate: float) -> None:
        self._refill(now_s)
        self.rate = max(rate, self._RATE_MIN)
        self._capacity = max(1.0, rate)
        self._tokens = min(self._tokens, self._capacity)

    def _refill(self, now_s: float) -> None:
        self._tokens = min(self._capacity, self._tokens + (now_s - self._filled_s) * self.rate)
        self._filled_s = now_s


class GrpcThrottling(GuardSpec):
    """gRPC's retry throttling: retries only while more than half of the tokens are left, no waiting.

    Formula: tokens start at max_tokens; a failure takes 1, a success gives token_ratio; retry while tokens
        > max_tokens / 2
    Scope: per client, or the fleet (gRPC: per channel, by server name)
    Source: grpc/proposal A6-client-retries.md, retryThrottling
    """

    key: ClassVar[str] = "grpc_throttling"

    max_tokens: Tokens = field(10, "What the bucket holds; it starts full.")
    token_ratio: Annotated[float, Field(gt=0, le=1000)] = field(0.1, "What a success gives.")
    counts: Counts = field("any", "Which answers are failures.")

    def make(self) -> Guard:
        """Make a full bucket."""
        return _GrpcBucket(self)


class _GrpcBucket(Guard):
    def __init__(self, spec: GrpcThrottling) -> None:
        self._counts: Counts = spec.counts
        self._max = spec.max_tokens * _MILLI
        self._gain = round(spec.token_ratio * _MILLI)
        self.tokens = self._max

    def observe(self, observed: Observed, retried: bool) -> None:  # noqa: ARG002
        if is_failure(observed, self._counts):
            self.tokens = max(0, self.tokens - _MILLI)
        else:
            self.tokens = min(self._max, self.tokens + self._gain)

    def may_retry(self, refusal: Refusal) -> bool:  # noqa: ARG002
        return 2 * self.tokens > self._max


class FinagleBudget(GuardSpec):
    """A leaky bucket: a share of the requests of the last while may be retried, and a few more.

    Linkerd 2 has the same shape and defaults.

    Formula: a request deposits 1000, a retry withdraws 1000 / percent_can_retry; both are forgotten after
        ttl; the reserve is min_retries_per_s * ttl retries
    Scope: per client, or the fleet (Finagle: per client, shared by its filters)
    Source: finagle-core RetryBudget.scala of twitter/finagle; its LeakyBucket forgets in tenths of the ttl
    """

    key: ClassVar[str] = "finagle"

    ttl: Interval = field("10s", "How long a deposit or withdrawal counts.")
    min_retries_per_s: Annotated[float, Field(ge=0, le=1e6)] = field(10.0, "Retries a second that are free.")
    percent_can_retry: Annotated[float, Field(ge=0, le=1000)] = field(
        0.2, "Retries for each request; 0.2 is 20 %."
    )

    def make(self) -> Guard:
        """Make a bucket with nothing but its reserve."""
        return _FinagleBucket(self)


class _FinagleBucket(Guard):
    _SLICES: Final = 10

    def __init__(self, spec: FinagleBudget) -> None:
        self._deposit = _MILLI if spec.percent_can_retry else 0
        share = spec.percent_can_retry
        self._withdrawal = int(min(_MILLI / share, _NEVER)) if share else 1
        self._reserve = int(spec.min_retries_per_s * spec.ttl / US_PER_S) * self._withdrawal
        self._sum = SlidingSum(spec.ttl, self._SLICES)

    def observe(self, observed: Observed, retried: bool) -> None:
        if not retried:
            self._sum.add(observed.now_us, self._deposit)

    def may_retry(self, refusal: Refusal) -> bool:
        self._sum.advance(refusal.now_us)
        if self._sum.total + self._reserve < max(1, self._withdrawal):
            return False
        self._sum.add(refusal.now_us, -self._withdrawal)
        return True


class EnvoyBudget(GuardSpec):
    """A bound on retries at one time, waiting ones included: a share of the attempts under way.

    With a share of 0 it is Envoy's older circuit breaker, max_retries (3 by default).

    Formula: retries that wait or are under way < max(min_retry_concurrency, budget_percent * attempts under
        way)
    Scope: per client, or the fleet (Envoy: per cluster and process)
    Source: circuit_breaker.proto of envoyproxy/envoy (20 %, 3); that waiting retries count: envoy#30205
    """

    key: ClassVar[str] = "envoy"

    budget_percent: Share = field(0.2, "Retries for each attempt under way; 0.2 is 20 %.")
    min_retry_concurrency: Annotated[int, Field(ge=0, le=1_000_000)] = field(
        3, "Retries that are always allowed."
    )

    def make(self) -> Guard:
        """Make it with nothing under way."""
        return _EnvoyConcurrency(self)


class _EnvoyConcurrency(Guard):
    def __init__(self, spec: EnvoyBudget) -> None:
        self._share = spec.budget_percent
        self._least = spec.min_retry_concurrency
        self.active = 0
        self.retries = 0

    def before_send(self, now_us: int, uniform: Uniform) -> int:  # noqa: ARG002
        self.active += 1
        return 0

    def observe(self, observed: Observed, retried: bool) -> None:  # noqa: ARG002
        self.active -= 1
        self.retries -= retried

    def may_retry(self, refusal: Refusal) -> bool:  # noqa: ARG002
        if self.retries >= max(self._least, self._share * self.active):
            return False
        self.retries += 1
        return True

    def dropped(self, memory: dict[str, Any]) -> None:  # noqa: ARG002
        self.retries -= 1


class GoogleSre(GuardSpec):
    """Client-side throttling: what the backend would probably not accept is not sent.

    Formula: reject before sending with p = max(0, (requests - k * accepts) / (requests + 1)), both over the
        last window; rejected ones count as requests
    Scope: per client, or the fleet (Google: per client task)
    Source: Site Reliability Engineering (Google), chapter Handling Overload: K = 2, two minutes
    """

    key: ClassVar[str] = "google_sre"
    aliases: ClassVar[tuple[str, ...]] = ("adaptive_throttling",)

    k: Annotated[float, Field(ge=1, le=1000)] = field(
        2.0, "How many requests are sent for each that is accepted."
    )
    window: Interval = field("2min", "How far back requests and accepts are counted.")
    counts: Counts = field("overload", "Which answers are not accepts.")

    def make(self) -> Guard:
        """Make it with nothing counted."""
        return _GoogleThrottle(self)


class _GoogleThrottle(Guard):
    _SLICES: Final = 120

    def __init__(self, spec: GoogleSre) -> None:
        self._k = spec.k
        self._counts: Counts = spec.counts
        self._requests = SlidingSum(spec.window, self._SLICES)
        self._accepts = SlidingSum(spec.window, self._SLICES)

    def before_send(self, now_us: int, uniform: Uniform) -> int:
        self._requests.advance(now_us)
        self._accepts.advance(now_us)
        requests = self._requests.total
        excess = requests - self._k * self._accepts.total
        self._requests.add(now_us, 1)
        return REJECT if excess > 0 and uniform() < excess / (requests + 1) else 0

    def observe(self, observed: Observed, retried: bool) -> None:  # noqa: ARG002
        if not is_failure(observed, self._counts):
            self._accepts.add(observed.now_us, 1)


class BrookerBucket(GuardSpec):
    """A bucket of retries that first tries fill: load grows by a tenth at most, in the long run.

    Formula: bucket 5, full at first; + 0.1 at each first try (or success), up to 5; retry while bucket > 1,
        which takes 1
    Scope: per client, or the fleet (Brooker: per client)
    Source: mbrooker/simulator_example retry_sim/retry_strategy.py (first tries); his blog says successes:
        Fixing retries with token buckets and circuit breakers, 2022-02-28; neither has a limit of attempts
    """

    key: ClassVar[str] = "token_bucket"
    aliases: ClassVar[tuple[str, ...]] = ("brooker",)

    capacity: Tokens = field(5, "What the bucket holds; it starts full.")
    fill: Annotated[float, Field(ge=0, le=1000)] = field(0.1, "What a first try, or a success, adds.")
    fills: Literal["first_try", "success"] = field("first_try", "What fills the bucket.")

    def make(self) -> Guard:
        """Make a full bucket."""
        return _RetryBucket(self)


class _RetryBucket(Guard):
    def __init__(self, spec: BrookerBucket) -> None:
        self._capacity = spec.capacity * _MILLI
        self._fill = round(spec.fill * _MILLI)
        self._by_success = spec.fills == "success"
        self.tokens = self._capacity

    def observe(self, observed: Observed, retried: bool) -> None:
        fills = not is_failure(observed, "any") if self._by_success else not retried
        if fills:
            self.tokens = min(self._capacity, self.tokens + self._fill)

    def may_retry(self, refusal: Refusal) -> bool:  # noqa: ARG002
        if self.tokens <= _MILLI:
            return False
        self.tokens -= _MILLI
        return True


_Budgets = (
    AwsStandard | AwsStandard2026 | AwsAdaptive | GrpcThrottling | FinagleBudget | EnvoyBudget | GoogleSre
    | BrookerBucket
)  # fmt: skip

AnyBudget = Annotated[_Budgets, OneOf("budget"), Named()]
"""A budget as a key of a policy."""

BUDGETS: Final[dict[str, type[GuardSpec]]] = {choice.key: choice for choice in get_args(_Budgets)}
"""Every budget by name."""
