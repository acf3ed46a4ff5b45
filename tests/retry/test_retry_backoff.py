"""Every backoff's formula, retry by retry, on scripted draws: exact microseconds."""

import math

import pytest

from sim.retry.catalogue import BACKOFFS
from sim.units import MAX_DURATION_US
from tests.retry.helpers import POLL_US, K, build, delays, ms, refusal, scripted, seconds, seeded

HALF = lambda: 0.5  # noqa: E731 - a stream that always draws the middle
NONE_OF_IT = lambda: 0.0  # noqa: E731
ALMOST_ALL = lambda: math.nextafter(1.0, 0.0)  # noqa: E731


def test_none():
    assert delays("none", retries=3) == [0, 0, 0]


def test_constant():
    assert delays({"constant": {"delay": "30ms"}}, retries=3) == ms(30, 30, 30)


def test_poll():
    assert delays("poll", retries=2) == [POLL_US, POLL_US]


def test_linear():
    linear = {"linear": {"base": "10ms", "step": "30ms", "cap": "80ms"}}
    assert delays(linear, retries=5) == ms(10, 40, 70, 80, 80)
    assert delays({"linear": {"cap": None}}, retries=3) == ms(50, 100, 150)


def test_exponential_starts_at_its_base():
    exponential = {"exponential": {"base": "10ms", "cap": "100ms"}}
    assert delays(exponential, retries=6) == ms(10, 20, 40, 80, 100, 100)
    assert delays({"exponential": {"factor": 1.5, "cap": None}}, retries=4) == ms(50, 75, 112.5, 168.75)


def test_a_factor_of_one_is_constant_and_a_base_of_zero_is_no_wait():
    assert delays({"exponential": {"factor": 1}}, retries=3) == ms(50, 50, 50)
    assert delays({"exponential": {"base": 0}}, retries=3) == [0, 0, 0]


def test_a_cap_below_the_base_holds_from_the_first_retry():
    assert delays({"exponential": {"base": "10ms", "cap": "4ms"}}, retries=2) == ms(4, 4)


def test_no_wait_is_longer_than_ten_years():
    assert delays({"exponential": {"cap": None}}, retries=80)[-1] == MAX_DURATION_US
    assert delays({"tenacity_incrementing": {"increment": "80000h"}}, retries=3)[-1] == MAX_DURATION_US
    assert delays("sidekiq", NONE_OF_IT, retries=200)[-1] == MAX_DURATION_US
    assert delays("polly_v2", HALF, retries=2000)[-1] == MAX_DURATION_US
    assert delays({"polly_v2": {"median_first": 0}}, HALF, retries=70)[-1] == 0


def test_full_jitter_draws_from_nothing_to_the_ceiling():
    full = {"full_jitter": {"base": "10ms", "cap": "2s"}}
    assert delays(full, HALF, retries=10) == ms(5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000)
    assert delays(full, NONE_OF_IT, retries=2) == [0, 0]
    assert delays(full, ALMOST_ALL, retries=2) == [9_999, 19_999]


def test_equal_jitter_draws_the_upper_half():
    equal = {"equal_jitter": {"base": "10ms", "cap": "60ms"}}
    assert delays(equal, NONE_OF_IT, retries=4) == ms(5, 10, 20, 30)
    assert delays(equal, HALF, retries=4) == ms(7.5, 15, 30, 45)


def test_decorrelated_jitter_with_a_hard_clamp_piles_up_at_the_cap():
    hard = {"decorrelated_jitter": {"base": "5ms", "cap": "20ms"}}
    # U(5,15)=10; U(5,30)=17.5; U(5,52.5)=28.75 -> 20; U(5,60)=5
    assert delays(hard, scripted(0.5, 0.5, 0.5, 0.0), retries=4) == ms(10, 17.5, 20, 5)


def test_decorrelated_jitter_with_a_soft_clamp_narrows_the_draw():
    soft = {"decorrelated_jitter": {"base": "5ms", "cap": "20ms", "clamp": "soft"}}
    # U(5,15)=10; U(5,20)=12.5; U(5,20)=20-
    assert delays(soft, scripted(0.5, 0.5, 0.5), retries=3) == ms(10, 12.5, 12.5)


def test_fibonacci():
    assert delays({"fibonacci": {"base": "10ms", "cap": "70ms"}}, retries=7) == ms(10, 10, 20, 30, 50, 70, 70)
    full = {"fibonacci": {"base": "10ms", "cap": None, "jitter": "full"}}
    assert delays(full, HALF, retries=5) == ms(5, 5, 10, 15, 25)
    assert delays({"fibonacci": {"base": 0}}, retries=3) == [0, 0, 0]


def hinted(hint_ms, **parameters):
    policy = build(
        {"backoff": "none", "per_kind": {"rate_limit_exceeded": {"server_hint": parameters}}}, HALF
    )
    return policy.decide(
        refusal(K.RATE_LIMIT_EXCEEDED, "check_admission_and_record", retry_after_ms=hint_ms)
    ).delay_us  # fmt: skip


CONSTANT_40 = {"constant": {"delay": "40ms"}}


@pytest.mark.parametrize(
    ("hint_ms", "parameters", "delay_ms"),
    [
        (100, {}, 100),
        (100, {"up_to": 1.2}, 110),
        (100, {"spread": "60ms"}, 130),
        (100, {"up_to": 1.2, "spread": "60ms"}, 140),
        (100, {"cap": "30ms"}, 30),
        (100, {"mode": "at_least", "without": CONSTANT_40}, 100),
        (10, {"mode": "at_least", "without": CONSTANT_40}, 40),
        (100, {"mode": "at_least", "without": CONSTANT_40, "slack": "20ms"}, 60),
        (50, {"mode": "at_least", "without": CONSTANT_40, "slack": "20ms"}, 50),
        (None, {"without": CONSTANT_40}, 40),
        (None, {}, 0),  # the policy's own backoff, which is none here
    ],
)
def test_server_hint(hint_ms, parameters, delay_ms):
    assert hinted(hint_ms, **parameters) == delay_ms * 1000


def test_server_hint_as_the_main_backoff_falls_back_on_full_jitter():
    assert delays("server_hint", HALF, retries=2) == ms(25, 50)
    assert delays("server_hint", retries=2, retry_after_ms=7) == ms(7, 7)


def test_tenacity_chain():
    chain = {"chain": {"waits": ["none", {"constant": {"delay": "9ms"}}, {"exponential": {"base": "10ms"}}]}}
    assert delays(chain, retries=5) == ms(0, 9, 40, 80, 160)


def test_the_links_of_a_chain_remember_separately():
    link = {"decorrelated_jitter": {"base": "10ms"}}
    assert delays({"chain": {"waits": [link, link]}}, HALF, retries=3) == ms(20, 20, 35)


def test_tenacity_random():
    assert delays({"tenacity_random": {"min": "1s", "max": "3s"}}, HALF, retries=2) == seconds(2, 2)


def test_tenacity_exponential():
    assert delays("tenacity_exponential", retries=4) == seconds(1, 2, 4, 8)
    limits = {"multiplier": "1s", "min": "3s", "max": "10s"}
    assert delays({"tenacity_exponential": limits}, retries=5) == seconds(3, 3, 4, 8, 10)
    # The floor wins over the ceiling.
    assert delays({"tenacity_exponential": {"min": "3s", "max": "2s"}}, retries=2) == seconds(3, 3)


def test_tenacity_random_exponential_draws_above_its_floor():
    limits = {"multiplier": "1s", "min": "2s", "max": "6s"}
    assert delays({"tenacity_random_exponential": limits}, HALF, retries=5) == seconds(2, 2, 3, 4, 4)


def test_tenacity_exponential_jitter_dies_at_the_cap():
    jitter = {"tenacity_exponential_jitter": {"multiplier": "1s", "max": "5s", "min": "2s"}}
    assert delays(jitter, HALF, retries=5) == seconds(2, 2.5, 4.5, 5, 5)


def test_tenacity_incrementing():
    assert delays("tenacity_incrementing", retries=3) == seconds(0, 100, 200)
    steps = {"start": "1s", "increment": "2s", "max": "4s"}
    assert delays({"tenacity_incrementing": steps}, retries=4) == seconds(1, 3, 4, 4)


def test_stamina_is_five_seconds_for_everybody_from_the_seventh_retry():
    assert delays("stamina", HALF, retries=8) == seconds(0.6, 0.7, 0.9, 1.3, 2.1, 3.7, 5, 5)
    assert delays("stamina", NONE_OF_IT, retries=7) == seconds(0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5)


@pytest.mark.parametrize(
    ("jitter", "expected"),
    [("full", (0.5, 1, 2, 2.5)), ("random", (1.5, 2.5, 4.5, 5.5)), ("none", (1, 2, 4, 5))],
)
def test_backoff_expo(jitter, expected):
    parameters = {"max_value": "5s", "jitter": jitter}
    assert delays({"backoff_expo": parameters}, HALF, retries=4) == seconds(*expected)


def test_google_api_core():
    assert delays("google_api_core", HALF, retries=8) == seconds(0.5, 1, 2, 4, 8, 16, 30, 30)


def test_urllib3_never_waits_before_the_first_retry():
    assert delays("urllib3", retries=3) == [0, 0, 0]
    parameters = {"backoff_factor": "1s", "backoff_max": "5s", "backoff_jitter": "1s"}
    assert delays({"urllib3": parameters}, HALF, retries=4) == seconds(0, 2.5, 4.5, 5)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("exponential", (16, 32, 64, 128, 256, 512, 512)),
        ("full", (8, 16, 32, 64, 128, 256, 256)),
        ("equal", (12, 24, 48, 96, 192, 384, 384)),
        ("exponential_with_jitter", (8, 16, 32, 64, 128, 256, 512)),
    ],
)
def test_redis_py_counts_its_first_failure_as_one(shape, expected):
    assert delays({"redis_py": {"shape": shape}}, HALF, retries=7) == ms(*expected)


def test_redis_py_decorrelated_waits_exactly_its_base_first():
    shape = {"redis_py": {"shape": "decorrelated"}}
    # max(8, 0) = 8 -> 8; U(8,24)=16; U(8,48)=28
    assert delays(shape, HALF, retries=3) == ms(8, 16, 28)
    assert delays(shape, ALMOST_ALL, retries=6)[-1] == 512_000


def test_polly():
    assert delays("polly", retries=2) == seconds(2, 2)
    linear = {"polly": {"backoff_type": "linear", "max_delay": "5s"}}
    assert delays(linear, retries=4) == seconds(2, 4, 5, 5)
    assert delays({"polly": {"use_jitter": True}}, HALF, retries=1) == seconds(2.5)


def test_polly_v2_is_the_difference_of_two_draws_of_its_curve():
    def curve(t):
        return 2**t * math.tanh(math.sqrt(4 * t))

    drawn = [curve(0.25), curve(1.5), curve(2.75)]
    expected = [drawn[0], drawn[1] - drawn[0], drawn[2] - drawn[1]]
    waits = delays({"polly_v2": {"median_first": "1s"}}, scripted(0.25, 0.5, 0.75), retries=3)
    assert waits == [int(each / 1.4 * 1_000_000) for each in expected]
    assert delays({"polly_v2": {"median_first": "1s", "max_delay": "1s"}}, HALF, retries=6)[-1] == 1_000_000


def test_grpc_jitters_outside_the_cap():
    assert delays("grpc", NONE_OF_IT, retries=6) == ms(80, 160, 320, 640, 800, 800)
    assert delays("grpc", HALF, retries=5) == ms(100, 200, 400, 800, 1000)
    assert delays("grpc", lambda: 0.999999, retries=5)[-1] == 1_199_999


def test_envoy_draws_whole_milliseconds():
    assert delays("envoy", HALF, retries=6) == ms(12, 25, 50, 100, 125, 125)
    assert delays("envoy", NONE_OF_IT, retries=1) == [0]


def test_envoys_older_code_cuts_after_the_draw():
    # Ranges of 25, 75, 175 and 375 ms; the last is above the cap, so it stays.
    older = {"envoy": {"version": "clipped"}}
    assert delays(older, HALF, retries=6) == ms(12, 37, 87, 187, 187, 187)
    assert delays(older, lambda: 0.9, retries=5) == ms(22, 67, 157, 250, 250)


def test_finagle_exponential_scales_its_own_previous_draw_and_ends_constant():
    # start; U(0, 2*50); U(0, 4*50); U(0, 8*100)=400; 16*400 >= 5000 -> constant
    assert delays("finagle", HALF, retries=6) == ms(50, 50, 100, 400, 5000, 5000)
    assert delays("finagle", NONE_OF_IT, retries=3) == ms(50, 0, 0)


def test_finagle_equal():
    shape = {"finagle": {"shape": "equal", "start": "50ms", "maximum": "500ms"}}
    # start; 50+U(0,50); 100+U(0,100); 200+U(0,200); 400+U(0,400)=600 -> 500; constant
    assert delays(shape, HALF, retries=6) == ms(50, 75, 150, 300, 500, 500)


def test_finagle_decorrelated_never_goes_below_its_previous_wait():
    shape = {"finagle": {"shape": "decorrelated", "start": "50ms", "maximum": "200ms"}}
    # start; U(50,150)=100; U(100,200)=150; U(150,200)=175
    assert delays(shape, HALF, retries=4) == ms(50, 100, 150, 175)
    assert delays(shape, NONE_OF_IT, retries=3) == ms(50, 50, 50)


def test_celery_draws_whole_seconds_both_ends_included():
    celery = {"celery": {"retry_backoff_max": "5s"}}
    assert delays(celery, NONE_OF_IT, retries=2) == [0, 0]
    assert delays(celery, ALMOST_ALL, retries=4) == seconds(1, 2, 4, 5)
    assert delays(celery, HALF, retries=4) == seconds(1, 1, 2, 3)
    assert delays({"celery": {"retry_jitter": False}}, retries=4) == seconds(1, 2, 4, 8)


def test_sidekiq():
    # k^4 + 15 + 0..(10(k+1) - 1)
    assert delays("sidekiq", NONE_OF_IT, retries=4) == seconds(15, 16, 31, 96)
    assert delays("sidekiq", ALMOST_ALL, retries=4) == seconds(15 + 9, 16 + 19, 31 + 29, 96 + 39)
    older = {"sidekiq": {"version": "older", "unit": "1ms"}}
    assert delays(older, ALMOST_ALL, retries=3) == ms(15 + 29, 16 + 58, 31 + 87)


def test_client_go_waits_for_the_item_and_for_the_bucket_of_the_whole_client():
    policy = build({"backoff": {"client_go": {"qps": 10, "burst": 2}}, "limits": {"attempts": None}})

    def wait_us(nth, now_us):
        return policy.decide(refusal(nth=nth, now_us=now_us)).delay_us

    assert [wait_us(nth, 0) for nth in (1, 2)] == ms(5, 10)  # two tokens
    assert [wait_us(1, 0), wait_us(1, 0)] == ms(100, 200)  # two intents in advance of tokens
    assert wait_us(7, 0) == 320_000  # the item waits longer than the bucket: max(320, 300)
    assert wait_us(1, 350_000) == 50_000  # 3.5 tokens came in, 3 were owed: half of one is missing
    assert wait_us(1, 400_000) == 100_000  # half of one came in, which was owed, and a whole one is missing
    assert wait_us(1, 700_000) == 5_000  # 3 came in
    assert wait_us(40, 10_000_000) == 1_000_000_000


def test_retry_on_conflict():
    assert delays("retry_on_conflict", HALF, retries=3) == ms(10.5, 10.5, 10.5)
    assert delays({"retry_on_conflict": {"factor": 5}}, NONE_OF_IT, retries=4) == ms(10, 50, 250, 1250)


def test_temporal_keeps_to_a_hundred_times_its_first_interval():
    assert delays("temporal", retries=9) == seconds(1, 2, 4, 8, 16, 32, 64, 100, 100)
    assert delays({"temporal": {"maximum_interval": "3s"}}, retries=3) == seconds(1, 2, 3)
    assert delays({"temporal": {"rpc": True}}, HALF, retries=2) == seconds(0.9, 1.8)
    assert delays({"temporal": {"rpc": True}}, NONE_OF_IT, retries=2) == seconds(0.8, 1.6)


@pytest.mark.parametrize("name", BACKOFFS)
def test_waits_are_whole_non_negative_and_repeat_with_the_stream(name):
    waits = delays(name, seeded(name), retries=40)
    assert waits == delays(name, seeded(name), retries=40)
    assert all(type(wait) is int and wait >= 0 for wait in waits)
