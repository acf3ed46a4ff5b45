"""Quantities are read exactly, written so that they read back, and refused with what would be right."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.units import (
    MAX_DURATION_US,
    MAX_RATE_PER_S,
    MIN_RATE_PER_S,
    format_duration,
    format_rate,
    parse_duration_us,
    parse_rate_per_s,
    quoted,
)


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("60us", 60),
        ("250ms", 250_000),
        ("1.5s", 1_500_000),
        ("5min", 300_000_000),
        ("2h", 7_200_000_000),
        ("0s", 0),
        ("250 ms", 250_000),
        ("0.001ms", 1),
        ("87600h", MAX_DURATION_US),
        (0, 0),
        (0.0, 0),
    ],
)
def test_a_duration_is_whole_microseconds(text, us):
    assert parse_duration_us(text) == us


@pytest.mark.parametrize("text", ["0.07s", "1.1s", "2.3min", "4.35s", "0.29ms"])
def test_decimal_fractions_are_exact(text):
    """0.07 * 1e6 is 70000.00000000001 in floating point; a duration must not fail for that."""
    number = text.rstrip("smin")
    unit = {"s": 10**6, "ms": 10**3, "min": 60 * 10**6}[text[len(number) :]]
    assert parse_duration_us(text) == Fraction(number) * unit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 sec", "'2 sec' is not a duration (try '2s')"),
        ("1,5s", "'1,5s' is not a duration (try '1.5s')"),
        ("10m", "'10m' is not a duration (try '10min')"),
        ("3µs", "'3µs' is not a duration (try '3us')"),
        ("5", "'5' is not a duration (durations carry a unit: try '5s' or '5ms')"),
        (5, "5 is not a duration (durations carry a unit: try '5s' or '5ms')"),
        (0.5, "0.5 is not a duration (durations carry a unit: try '0.5s' or '0.5ms')"),
        ("-5s", "'-5s' is not a duration (durations are not negative)"),
        (-5, "-5 is not a duration (durations are finite and not negative: try '250ms')"),
        (float("nan"), "nan is not a duration (durations are finite and not negative: try '250ms')"),
        (float("inf"), "inf is not a duration (durations are finite and not negative: try '250ms')"),
        ("3 days", "'3 days' is not a duration (the units are us, ms, s, min and h)"),
        ("soon", "'soon' is not a duration (try '250ms', '1.5s' or '5min')"),
        ("٣s", "'٣s' is not a duration (try '250ms', '1.5s' or '5min')"),
        ("", "'' is not a duration (try '250ms', '1.5s' or '5min')"),
        (None, "null is not a duration (try '250ms', '1.5s' or '5min')"),
        (True, "true is not a duration (try '250ms', '1.5s' or '5min')"),
        ([1], "[1] is not a duration (try '250ms', '1.5s' or '5min')"),
        ("1.5us", "'1.5us' is finer than the clock's microsecond (try '2us')"),
        ("87600.1h", "'87600.1h' is longer than ten years, the longest that can be simulated"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_fix(text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_duration_us(text)


@given(st.integers(0, MAX_DURATION_US))
def test_a_written_duration_reads_back(us):
    assert parse_duration_us(format_duration(us)) == us


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0s"),
        (1, "1us"),
        (1_000, "1ms"),
        (1_500_000, "1500ms"),
        (60_000_000, "1min"),
        (7_200_000_000, "2h"),
    ],
)
def test_a_duration_is_written_in_its_largest_whole_unit(us, text):
    assert format_duration(us) == text


@pytest.mark.parametrize(
    ("text", "per_s"),
    [
        ("50/s", 50.0),
        ("0.2/s", 0.2),
        ("30/min", 0.5),
        ("1/us", MAX_RATE_PER_S),
        ("0/s", 0.0),
        (0, 0.0),
        ("9 / h", 0.0025),
    ],
)
def test_a_rate_is_events_per_second(text, per_s):
    assert parse_rate_per_s(text) == per_s


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (50, "50 is not a rate (rates carry a unit: try '50/s')"),
        ("50 per second", "'50 per second' is not a rate (try '50/s')"),
        ("50ps", "'50ps' is not a rate (try '50/s')"),
        ("-5/s", "'-5/s' is not a rate (rates are not negative)"),
        (-5, "-5 is not a rate (rates are finite and not negative: try '50/s')"),
        (float("nan"), "nan is not a rate (rates are finite and not negative: try '50/s')"),
        ("fast", "'fast' is not a rate (try '50/s' or '10/min')"),
        (True, "true is not a rate (try '50/s' or '10/min')"),
        ("0.000001/h", "'0.000001/h' is less than one event in thirty years (for none: '0/s')"),
        ("2/us", "'2/us' is more than one event a microsecond, the tick of the clock"),
    ],
)
def test_what_is_no_rate_is_refused_with_the_fix(text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_rate_per_s(text)


@given(st.floats(MIN_RATE_PER_S, MAX_RATE_PER_S))
def test_a_written_rate_reads_back(per_s):
    assert parse_rate_per_s(format_rate(per_s)) == per_s


@pytest.mark.parametrize(
    ("per_s", "text"), [(120.0, "120/s"), (1 / 6, "10/min"), (0.25, "0.25/s"), (1 / 720, "5/h")]
)
def test_a_rate_is_written_short(per_s, text):
    assert format_rate(per_s) == text


def test_long_values_are_cut_in_messages():
    assert quoted("x" * 1000) == "'" + "x" * 49 + "... (1002 characters)"
    assert quoted(None) == "null"
