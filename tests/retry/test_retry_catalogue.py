"""The defaults of every registered policy: those of the cited sources, written out once more."""

import pytest

from sim.retry import policies

# What a name stands for, a part a line. Changing a default changes what a name means in old scenarios.
DEFAULTS = {
    "documented": [
        "backoff full_jitter (base: 50ms, factor: 2.0, cap: 5s)",
        "limits (attempts: 12)",
    ],
    "naive": [
        "backoff full_jitter (base: 50ms, factor: 2.0, cap: 5s)",
        "limits (attempts: 12, acquire: true)",
    ],
    "none": [
        "backoff none",
        "limits (attempts: 12)",
    ],
    "constant": [
        "backoff constant (delay: 50ms)",
        "limits (attempts: 12)",
    ],
    "linear": [
        "backoff linear (base: 50ms, step: 50ms, cap: 5s)",
        "limits (attempts: 12)",
    ],
    "exponential": [
        "backoff exponential (base: 50ms, factor: 2.0, cap: 5s)",
        "limits (attempts: 12)",
    ],
    "full_jitter": [
        "backoff full_jitter (base: 50ms, factor: 2.0, cap: 5s)",
        "limits (attempts: 12)",
    ],
    "equal_jitter": [
        "backoff equal_jitter (base: 50ms, factor: 2.0, cap: 5s)",
        "limits (attempts: 12)",
    ],
    "decorrelated_jitter": [
        "backoff decorrelated_jitter (base: 50ms, cap: 5s, clamp: hard)",
        "limits (attempts: 12)",
    ],
    "fibonacci": [
        "backoff fibonacci (base: 50ms, cap: 5s, jitter: none)",
        "limits (attempts: 12)",
    ],
    "poll": [
        "backoff poll",
        "limits (attempts: 12)",
    ],
    "server_hint": [
        "backoff server_hint (mode: exact, up_to: 1.0, spread: 0s, slack: null, cap: null, without: "
        "null)",
        "limits (attempts: 12)",
    ],
    "tenacity_chain": [
        "backoff tenacity_chain (waits: [{none: {}}, {full_jitter: {base: 50ms, factor: 2.0, cap: "
        "5s}}])",
        "limits (attempts: null)",
    ],
    "tenacity_random": [
        "backoff tenacity_random (min: 0s, max: 1s)",
        "limits (attempts: null)",
    ],
    "tenacity_exponential": [
        "backoff tenacity_exponential (multiplier: 1s, exp_base: 2.0, min: 0s, max: null)",
        "limits (attempts: null)",
    ],
    "tenacity_random_exponential": [
        "backoff tenacity_random_exponential (multiplier: 1s, exp_base: 2.0, min: 0s, max: null)",
        "limits (attempts: null)",
    ],
    "tenacity_exponential_jitter": [
        "backoff tenacity_exponential_jitter (multiplier: 1s, exp_base: 2.0, min: 0s, max: null, "
        "jitter: 1s)",
        "limits (attempts: null)",
    ],
    "tenacity_incrementing": [
        "backoff tenacity_incrementing (start: 0s, increment: 100s, max: null)",
        "limits (attempts: null)",
    ],
    "stamina": [
        "backoff stamina (wait_initial: 100ms, wait_max: 5s, wait_jitter: 1s, wait_exp_base: 2.0)",
        "limits (attempts: 10, elapsed: 45s)",
    ],
    "backoff_expo": [
        "backoff backoff_expo (base: 2.0, factor: 1s, max_value: null, jitter: full)",
        "limits (attempts: null)",
    ],
    "google_api_core": [
        "backoff google_api_core (initial: 1s, maximum: 1min, multiplier: 2.0)",
        "limits (attempts: null, deadline: 2min)",
    ],
    "urllib3": [
        "backoff urllib3 (backoff_factor: 0s, backoff_max: 2min, backoff_jitter: 0s)",
        "limits (attempts: 11)",
    ],
    "redis_py": [
        "backoff redis_py (shape: exponential_with_jitter, base: 10ms, cap: 1s)",
        "limits (attempts: 11)",
    ],
    "polly": [
        "backoff polly (backoff_type: constant, delay: 2s, use_jitter: false, max_delay: null)",
        "limits (attempts: 4)",
    ],
    "polly_v2": [
        "backoff polly_v2 (median_first: 2s, max_delay: null)",
        "limits (attempts: 4)",
    ],
    "grpc": [
        "backoff grpc (base: 100ms, factor: 2.0, cap: 1s, jitter: 0.2)",
        "budget grpc_throttling (scope: client, max_tokens: 10, token_ratio: 0.1, counts: any)",
        "limits (attempts: 4)",
    ],
    "envoy": [
        "backoff envoy (base_interval: 25ms, max_interval: 250ms, version: full)",
        "budget envoy (scope: client, budget_percent: 0.2, min_retry_concurrency: 3)",
        "limits (attempts: 2)",
    ],
    "finagle": [
        "backoff finagle (shape: exponential, start: 50ms, maximum: 5s)",
        "budget finagle (scope: client, ttl: 10s, min_retries_per_s: 10.0, percent_can_retry: 0.2)",
        "limits (attempts: 12)",
    ],
    "celery": [
        "backoff celery (retry_backoff: 1s, retry_backoff_max: 10min, retry_jitter: true, unit: 1s)",
        "limits (attempts: 4)",
    ],
    "sidekiq": [
        "backoff sidekiq (version: current, unit: 1s)",
        "limits (attempts: 26)",
    ],
    "client_go": [
        "backoff client_go (base_delay: 5ms, max_delay: 1000s, qps: 10.0, burst: 100)",
        "limits (attempts: null)",
    ],
    "retry_on_conflict": [
        "backoff retry_on_conflict (duration: 10ms, factor: 1.0, jitter: 0.1)",
        "limits (attempts: 5)",
    ],
    "temporal": [
        "backoff temporal (initial_interval: 1s, coefficient: 2.0, maximum_interval: null, rpc: "
        "false)",
        "limits (attempts: null)",
    ],
    "aws_standard": [
        "backoff full_jitter (base: 1s, factor: 2.0, cap: 20s)",
        "budget aws_standard (scope: client, capacity: 500, cost: 5, timeout_cost: 10, "
        "throttled_cost: 5)",
        "limits (attempts: 3)",
    ],
    "aws_standard_2026": [
        "backoff full_jitter (base: 50ms, factor: 2.0, cap: 20s)",
        "budget aws_standard_2026 (scope: client, capacity: 500, cost: 14, timeout_cost: 14, "
        "throttled_cost: 5)",
        "limits (attempts: 3)",
    ],
    "aws_adaptive": [
        "backoff full_jitter (base: 1s, factor: 2.0, cap: 20s)",
        "budget aws_adaptive (scope: client, capacity: 500, cost: 5, timeout_cost: 10, "
        "throttled_cost: 5)",
        "limits (attempts: 3)",
    ],
    "grpc_throttling": [
        "backoff full_jitter (base: 50ms, factor: 2.0, cap: 5s)",
        "budget grpc_throttling (scope: client, max_tokens: 10, token_ratio: 0.1, counts: any)",
        "limits (attempts: 12)",
    ],
    "google_sre": [
        "backoff full_jitter (base: 50ms, factor: 2.0, cap: 5s)",
        "budget google_sre (scope: client, k: 2.0, window: 2min, counts: overload)",
        "limits (attempts: 3)",
    ],
    "token_bucket": [
        "backoff none",
        "budget token_bucket (scope: client, capacity: 5, fill: 0.1, fills: first_try)",
        "limits (attempts: null)",
    ],
    "consecutive_failures": [
        "backoff full_jitter (base: 50ms, factor: 2.0, cap: 5s)",
        "breaker consecutive_failures (scope: client, failures: 5, open: 1min, probes: 1, counts: "
        "any)",
        "limits (attempts: 12)",
    ],
    "failure_ratio": [
        "backoff full_jitter (base: 50ms, factor: 2.0, cap: 5s)",
        "breaker failure_ratio (scope: client, ratio: 0.5, calls: 100, window: null, minimum: 100, "
        "open: 1min, probes: 10, counts: any)",
        "limits (attempts: 12)",
    ],
    "polly_breaker": [
        "backoff full_jitter (base: 50ms, factor: 2.0, cap: 5s)",
        "breaker polly_breaker (scope: client, ratio: 0.1, calls: 100, window: 30s, minimum: 100, "
        "open: 5s, probes: 1, counts: any)",
        "limits (attempts: 12)",
    ],
}  # fmt: skip


def test_the_catalogue_lists_these_policies_in_this_order():
    assert [listed.name for listed in policies()] == list(DEFAULTS)


@pytest.mark.parametrize("listed", policies(), ids=lambda listed: listed.name)
def test_the_defaults_of_a_policy(listed):
    assert listed.defaults.split("; ") == DEFAULTS[listed.name]
