import math

import pytest

from sim.analysis.text import duration, number


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0 s"), (0.001, "1 us"), (0.0473, "47 us"), (0.9996, "1.00 ms"), (1, "1.00 ms"),
        (66.005, "66.0 ms"), (999.7, "1.00 s"), (1071.8, "1.07 s"), (95_000, "95.0 s"), (599_000, "599 s"),
        (600_000, "10.0 min"), (7_300_000, "122 min"),
    ],
)  # fmt: skip
def test_durations_have_three_digits_that_count(ms, words):
    assert duration(ms) == words


def test_what_is_no_duration_is_an_error():
    with pytest.raises(ValueError, match="inf"):
        duration(math.inf)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"), (0.003333, "0.00333"), (4.219, "4.22"), (95.209, "95.2"), (99.96, "100"), (999.7, "1,000"),
        (1234.5, "1,234"), (26_583, "26,583"), (-0.05, "-0.0500"), (math.nan, "-"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits_that_count_and_no_exponent(value, words):
    assert number(value) == words
