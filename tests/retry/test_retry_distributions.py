"""How waits are spread, for the backoffs that no package on PyPI can be asked about.

Where one draw makes one wait, a stream that always yields q gives the q-quantile, so quantiles are exact.
Where waits build on each other, means are held against theory and against published figures.
"""

from statistics import fmean, stdev

import pytest

from tests.retry.helpers import build, delays, seeded, waits_of

INTENTS = 4_000
RETRIES = 12

ONE_DRAW = {
    "full_jitter": ({"full_jitter": {"base": "10ms", "cap": "2s"}}, 10, 2000, lambda c, u: u * c),
    "equal_jitter": ({"equal_jitter": {"base": "10ms", "cap": "2s"}}, 10, 2000, lambda c, u: (1 + u) * c / 2),
    "grpc": ("grpc", 100, 1000, lambda c, u: (0.8 + 0.4 * u) * c),
    "envoy": ("envoy", 25, 250, lambda c, u: u * c // 1),
    "temporal_rpc": (
        {"temporal": {"rpc": True, "initial_interval": "50ms", "maximum_interval": "10s"}},
        50, 10_000, lambda c, u: (0.8 + 0.2 * u) * c,
    ),
    "retry_on_conflict": ("retry_on_conflict", 10, 10, lambda c, u: (1 + 0.1 * u) * c),
    "exponential": ({"exponential": {"base": "10ms", "cap": "2s"}}, 10, 2000, lambda c, u: c),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_DRAW)
@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.95])
def test_quantiles_of_backoffs_with_one_draw(name, quantile):
    backoff, base_ms, cap_ms, wait_ms = ONE_DRAW[name]
    ceilings_ms = [min(cap_ms, base_ms * 2 ** (n - 1)) for n in range(1, RETRIES + 1)]
    expected = [wait_ms(ceiling, quantile) * 1000 for ceiling in ceilings_ms]
    assert delays(backoff, lambda: quantile) == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("name", ONE_DRAW)
def test_means_of_backoffs_with_one_draw(name):
    backoff, base_ms, cap_ms, wait_ms = ONE_DRAW[name]
    for n, waits in enumerate(sampled(backoff), start=1):
        ceiling_ms = min(cap_ms, base_ms * 2 ** (n - 1))
        expected = fmean(wait_ms(ceiling_ms, (step + 0.5) / 1000) for step in range(1000))
        assert fmean(waits) == pytest.approx(expected / 1000, abs=5 * error(waits) + 1e-5), n


def sampled(backoff, intents=INTENTS):
    """Give, for each retry, the waits of many intents in seconds."""
    policy = build({"backoff": backoff, "limits": {"attempts": None}}, seeded(str(backoff)))
    rows = [waits_of(policy, RETRIES) for _ in range(intents)]
    return [[wait / 1e6 for wait in column] for column in zip(*rows, strict=True)]


def error(waits):
    return stdev(waits) / len(waits) ** 0.5


def at_cap(waits, cap_s):
    return sum(wait >= cap_s - 2e-6 for wait in waits) / len(waits)


def test_decorrelated_jitter_grows_by_half_of_itself_before_the_cap():
    """E[next] = (base + 3 E[previous]) / 2 from base: 2, 3.5, 5.75, ... times the base."""
    waits = sampled({"decorrelated_jitter": {"base": "10ms", "cap": None}})
    mean = 0.01
    for each in waits[:6]:
        mean = (0.01 + 3 * mean) / 2
        assert fmean(each) == pytest.approx(mean, abs=5 * error(each))


def test_a_hard_clamp_piles_waits_up_at_the_cap_and_a_soft_one_does_not():
    """From the cap itself: a hard clamp repeats it with probability 1 - (cap - base)/(3 cap - base) = 2/3."""
    hard, soft = (
        sampled({"decorrelated_jitter": {"base": "5ms", "cap": "100ms", "clamp": clamp}})[-1]
        for clamp in ("hard", "soft")
    )
    assert 0.3 < at_cap(hard, 0.1) < 0.5
    assert at_cap(soft, 0.1) < 0.01
    assert fmean(soft) < fmean(hard)


def test_polly_v2_has_its_published_means():
    """Mean of retries 1 to 4 at a median of 1 s: 0.87, 1.16, 2.07, 4.13."""
    waits = sampled({"polly_v2": {"median_first": "1s"}})
    for each, published in zip(waits, (0.87, 1.16, 2.07, 4.13), strict=False):
        assert fmean(each) == pytest.approx(published, abs=5 * error(each) + 0.01)


def test_redis_exponential_with_jitter_is_mostly_its_cap():
    """Three quarters of the draws are exactly the cap by the eighth failure."""
    waits = sampled({"redis_py": {"shape": "exponential_with_jitter"}})
    assert at_cap(waits[7], 0.512) == pytest.approx(0.75, abs=0.035)


def test_envoys_older_code_puts_a_third_of_late_waits_at_the_cap():
    """A range of 375 ms, cut at 250."""
    waits = sampled({"envoy": {"version": "clipped"}})
    assert at_cap(waits[-1], 0.25) == pytest.approx(1 / 3, abs=0.04)


def test_finagles_jitter_dies_at_the_cap():
    for shape in ("exponential", "equal"):
        waits = sampled({"finagle": {"shape": shape}})
        assert at_cap(waits[0], 0.05) == 1.0
        assert at_cap(waits[-1], 5.0) > 0.95


def test_sidekiq_takes_three_weeks_for_its_25_retries():
    policy = build({"backoff": "sidekiq", "limits": {"attempts": None}}, seeded())
    total_s = sum(waits_of(policy, 25)) / 1e6
    assert 20 < total_s / 86_400 < 22
