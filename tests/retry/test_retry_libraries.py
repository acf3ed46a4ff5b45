"""Each library's own code beside this project's model of it, retry by retry.

Mean, p5, p50, p95 and the share of waits at the longest wait, for retries 1 to 12. A quantile of one
sample is looked up by its rank in the other, so no scale is needed; tolerances are five standard errors of
two samples. The libraries draw from Python's own module ``random``, which is seeded here and put back.
"""

from statistics import fmean, stdev

import pytest

from sim.retry import Action
from tests.retry import library_waits as library
from tests.retry.helpers import K, build, observed, refusal, seeded, waits_of
from tests.retry.library_waits import RETRIES

INTENTS = 2_000
TOLERANCE = 5 * (2 * 0.25 / INTENTS) ** 0.5


@pytest.fixture
def seeded_random():
    with library.seeded_library():
        yield


def compare(backoff, library_waits):
    """Compare a model with ``library_waits()``, which gives one call's waits in seconds."""
    policy = build({"backoff": backoff, "limits": {"attempts": None}}, seeded(str(backoff)))
    ours = zip(*(waits_of(policy, RETRIES) for _ in range(INTENTS)), strict=True)
    theirs = zip(*(library_waits() for _ in range(INTENTS)), strict=True)
    for retry, (our, their) in enumerate(zip(ours, theirs, strict=True), start=1):
        agree([wait / 1e6 for wait in our], list(their), f"{backoff}, retry {retry}")


def agree(ours, theirs, what):
    error = ((stdev(ours) ** 2 + stdev(theirs) ** 2) / INTENTS) ** 0.5
    assert abs(fmean(ours) - fmean(theirs)) <= 5 * error + 2e-6, what
    # Microseconds are rounded down here: a rank is looked up with two of them to spare.
    for p in (0.05, 0.5, 0.95):
        quantile = sorted(theirs)[int(p * INTENTS)]
        assert sum(wait < quantile - 2e-6 for wait in ours) / INTENTS <= p + TOLERANCE, (what, p)
        assert sum(wait <= quantile + 2e-6 for wait in ours) / INTENTS >= p - TOLERANCE, (what, p)
    longest = max(theirs)
    at_cap = [sum(wait >= longest - 2e-6 for wait in waits) / INTENTS for waits in (ours, theirs)]
    assert abs(at_cap[0] - at_cap[1]) <= TOLERANCE, (what, at_cap)


TENACITY = [
    ({"tenacity_fixed": {"delay": "3s"}}, "wait_fixed", {"wait": 3}),
    ({"tenacity_random": {"min": "1s", "max": "4s"}}, "wait_random", {"min": 1, "max": 4}),
    ("tenacity_exponential", "wait_exponential", {}),
    ({"tenacity_exponential": {"multiplier": "2s", "exp_base": 3, "min": "5s", "max": "60s"}},
     "wait_exponential", {"multiplier": 2, "exp_base": 3, "min": 5, "max": 60}),
    ("tenacity_random_exponential", "wait_random_exponential", {}),
    ({"tenacity_random_exponential": {"multiplier": "500ms", "min": "1s", "max": "20s"}},
     "wait_random_exponential", {"multiplier": 0.5, "min": 1, "max": 20}),
    ("tenacity_exponential_jitter", "wait_exponential_jitter", {}),
    ({"tenacity_exponential_jitter": {"multiplier": "2s", "max": "10s", "jitter": "3s", "min": "4s"}},
     "wait_exponential_jitter", {"multiplier": 2, "max": 10, "jitter": 3, "min": 4}),
    ("tenacity_incrementing", "wait_incrementing", {}),
    ({"tenacity_incrementing": {"start": "1s", "increment": "2s", "max": "9s"}},
     "wait_incrementing", {"start": 1, "increment": 2, "max": 9}),
]  # fmt: skip


def chain():
    """A chain in both: a fixed wait, a drawn one, then full jitter."""
    import tenacity

    theirs = library.tenacity(
        "wait_chain",
        tenacity.wait_fixed(1), tenacity.wait_random(1, 3), tenacity.wait_random_exponential(max=30),
    )  # fmt: skip
    ours = {"chain": {"waits": [
        {"constant": {"delay": "1s"}}, {"tenacity_random": {"min": "1s", "max": "3s"}},
        {"tenacity_random_exponential": {"max": "30s"}},
    ]}}  # fmt: skip
    return ours, theirs


@pytest.mark.parametrize(("backoff", "strategy", "arguments"), TENACITY)
@pytest.mark.usefixtures("seeded_random")
def test_tenacity(backoff, strategy, arguments):
    compare(backoff, library.tenacity(strategy, **arguments))


@pytest.mark.usefixtures("seeded_random")
def test_tenacity_chain():
    compare(*chain())


@pytest.mark.usefixtures("seeded_random")
def test_stamina():
    compare("stamina", library.stamina())


@pytest.mark.parametrize("jitter", ["full", "random", "none"])
@pytest.mark.usefixtures("seeded_random")
def test_backoff(jitter):
    ours = {"backoff_expo": {"max_value": "300s", "jitter": jitter}}
    compare(ours, library.backoff("expo", jitter, max_value=300))


@pytest.mark.parametrize("jitter", ["full", "none"])
@pytest.mark.usefixtures("seeded_random")
def test_backoff_fibonacci(jitter):
    ours = {"fibonacci": {"base": "1s", "cap": "60s", "jitter": jitter}}
    compare(ours, library.backoff("fibo", jitter, max_value=60))


@pytest.mark.usefixtures("seeded_random")
def test_google_api_core():
    compare("google_api_core", library.google_api_core())


@pytest.mark.parametrize(("factor", "maximum", "jitter"), [(0, 120, 0), (0.5, 120, 0), (0.5, 20, 2)])
@pytest.mark.usefixtures("seeded_random")
def test_urllib3(factor, maximum, jitter):
    parameters = {
        "backoff_factor": f"{round(factor * 1000)}ms", "backoff_max": f"{maximum}s",
        "backoff_jitter": f"{jitter}s",
    }  # fmt: skip
    compare({"urllib3": parameters}, library.urllib3(factor, maximum, jitter))


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ("equal", "EqualJitterBackoff"), ("full", "FullJitterBackoff"), ("exponential", "ExponentialBackoff"),
        ("exponential_with_jitter", "ExponentialWithJitterBackoff"),
        ("decorrelated", "DecorrelatedJitterBackoff"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("seeded_random")
def test_redis(shape, name):
    compare({"redis_py": {"shape": shape}}, library.redis(name))


@pytest.mark.parametrize("jitter", [True, False])
@pytest.mark.usefixtures("seeded_random")
def test_celery(jitter):
    compare({"celery": {"retry_jitter": jitter}}, library.celery(jitter))


class FakeClock:
    """botocore's clock, standing still until it is moved."""

    now_s = 0.0

    def current_time(self):
        return self.now_s


def test_botocore_adaptive():
    """The rate after each of 500 answers, of which every seventh is a throttling error."""
    adaptive = pytest.importorskip("botocore.retries.adaptive")
    throttling = pytest.importorskip("botocore.retries.throttling")
    bucket = pytest.importorskip("botocore.retries.bucket")
    clock = FakeClock()

    class Detector:
        def is_throttling_error(self, throttled):
            return throttled

    limiter = adaptive.ClientRateLimiter(
        rate_adjustor=throttling.CubicCalculator(starting_max_rate=0, start_time=0.0),
        rate_clocker=adaptive.RateClocker(clock),
        token_bucket=bucket.TokenBucket(max_rate=1, clock=clock),
        throttling_detector=Detector(),
        clock=clock,
    )
    policy = build("aws_adaptive")
    guard = policy._guards[0]
    uniform = seeded()
    now_us = 0
    for answer in range(500):
        now_us += int(uniform() * 200_000)
        clock.now_s = now_us / 1e6
        throttled = answer % 7 == 3
        limiter.on_receiving_response(throttled=throttled)
        policy.observe(observed(not throttled, K.RATE_LIMIT_EXCEEDED if throttled else None, now_us=now_us))
        assert guard.rate == pytest.approx(limiter._token_bucket.max_rate, rel=1e-9), answer
        assert guard._tokens == pytest.approx(limiter._token_bucket.available_capacity, rel=1e-9)


def test_botocore_quota():
    """What is left after each of 2,000 retries and successes."""
    quota = pytest.importorskip("botocore.retries.quota")
    theirs = quota.RetryQuota()
    policy = build({"backoff": "none", "limits": {"attempts": None}, "budget": "aws_standard_2026"})
    guard, uniform, memory = policy._guards[0], seeded(), None
    cost = 1
    for _ in range(2_000):
        if uniform() < 0.25:
            kind, price = (K.RATE_LIMIT_EXCEEDED, 5) if uniform() < 0.5 else (K.LEASE_CONFLICT, 14)
            asked = refusal(kind, memory=memory)
            policy.observe(observed(False, kind, memory=memory))
            allowed = policy.decide(asked).action is not Action.GIVE_UP
            memory = asked.memory if allowed else None
            assert allowed == theirs.acquire(price)
            cost = price if allowed else 1
        else:
            policy.observe(observed(memory=memory))
            theirs.release(cost)
            memory, cost = None, 1
        assert guard.available == theirs.available_capacity
