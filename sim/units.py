"""Integer time and the units that a scenario may write.

The clock of a run counts whole microseconds from 0: ties are exact, boundaries are exact, and no
result depends on how a platform rounds. The store sees whole milliseconds, as the engine's server
clock does (``now_us // 1000``).

Numbers are read as exact fractions and converted once, so ``0.07s`` is 70,000 us and every value
that :func:`format_duration` or :func:`format_rate` writes is read back as the same value.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Callable

US_PER_MS = 1_000
US_PER_S = 1_000_000
US_PER_MIN = 60 * US_PER_S
US_PER_H = 3_600 * US_PER_S

MAX_DURATION_US = 10 * 365 * 24 * US_PER_H
"""The longest duration that a scenario may name or a distribution may yield: ten years."""

MAX_RATE_PER_S = 1e6
"""The highest rate that a scenario may name: one event for each tick of the clock."""

MIN_RATE_PER_S = 1e-9
"""The lowest rate above 0: one event in thirty years."""

UNITS_US = {"us": 1, "ms": US_PER_MS, "s": US_PER_S, "min": US_PER_MIN, "h": US_PER_H}
_NUMBER = r"([0-9]{1,40}(?:\.[0-9]{1,40})?)"
DURATION_PATTERN = rf"{_NUMBER}\s*(us|ms|s|min|h)"
RATE_PATTERN = rf"{_NUMBER}\s*/\s*(us|ms|s|min|h)"
_LOOSE_DURATION = re.compile(r"\s*(-?)\s*([0-9]+(?:[.,][0-9]+)?)\s*([a-zA-Zµμ]*)\s*")
_LOOSE_RATE = re.compile(r"\s*(-?)\s*([0-9]+(?:[.,][0-9]+)?)\s*(?:/|\s|p|per\s)\s*([a-zA-Zµμ]*)\s*")
_NICKNAMES = {
    "µs": "us", "μs": "us", "usec": "us", "usecs": "us", "micros": "us", "microsecond": "us",
    "microseconds": "us",
    "msec": "ms", "msecs": "ms", "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "m": "min", "mins": "min", "minute": "min", "minutes": "min",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
}  # fmt: skip


def parse_duration_us(text: object) -> int:
    """Read a duration such as ``60us``, ``250ms``, ``1.5s``, ``5min`` or ``2h``.

    Parameters
    ----------
    text
        What the user wrote. The number ``0`` is a duration without a unit.

    Returns
    -------
    int
        Microseconds, from 0 to :data:`MAX_DURATION_US`.

    Raises
    ------
    ValueError
        When it is not a duration, is not a whole number of microseconds, or is too long; the message
        says what would be right.
    """
    if _is_number(text) and text == 0:
        return 0
    match = re.fullmatch(DURATION_PATTERN, text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{quoted(text)} is not a duration ({_suggest_duration(text)})")
    value_us = Fraction(match[1]) * UNITS_US[match[2]]
    if value_us.denominator != 1:
        nearest = f"{math.ceil(value_us)}us"
        raise ValueError(f"{quoted(text)} is finer than the clock's microsecond (try '{nearest}')")
    if value_us > MAX_DURATION_US:
        raise ValueError(f"{quoted(text)} is longer than ten years, the longest that can be simulated")
    return int(value_us)


def parse_rate_per_s(text: object) -> float:
    """Read a rate such as ``50/s``, ``0.2/s`` or ``10/min``.

    Parameters
    ----------
    text
        What the user wrote. The number ``0`` is a rate without a unit.

    Returns
    -------
    float
        Events per second: 0, or from :data:`MIN_RATE_PER_S` to :data:`MAX_RATE_PER_S`.

    Raises
    ------
    ValueError
        When it is not a rate, too high or too low; the message says what would be right.
    """
    if _is_number(text) and text == 0:
        return 0.0
    per_s = _per_s(text) if isinstance(text, str) else None
    if per_s is None:
        raise ValueError(f"{quoted(text)} is not a rate ({_suggest_rate(text)})")
    if per_s > MAX_RATE_PER_S:
        raise ValueError(f"{quoted(text)} is more than one event a microsecond, the tick of the clock")
    if 0 < per_s < MIN_RATE_PER_S:
        raise ValueError(f"{quoted(text)} is less than one event in thirty years (for none: '0/s')")
    return per_s


def format_duration(us: int) -> str:
    """Write microseconds in the largest unit that keeps them whole, as a scenario would.

    >>> format_duration(1_500_000), format_duration(250_000), format_duration(0)
    ('1500ms', '250ms', '0s')
    """
    for unit in ("h", "min", "s", "ms"):
        if us % UNITS_US[unit] == 0:
            return "0s" if us == 0 else f"{us // UNITS_US[unit]}{unit}"
    return f"{us}us"


def format_rate(per_s: float) -> str:
    """Write events per second as a scenario would, without loss.

    >>> format_rate(120.0), format_rate(1 / 6), format_rate(0.25)
    ('120/s', '10/min', '0.25/s')
    """
    for unit in ("s", "min", "h"):
        text = f"{_decimal(round(per_s * UNITS_US[unit] / US_PER_S, 6))}/{unit}"
        if len(text) <= 8 and _per_s(text) == per_s:
            return text
    return f"{_decimal(per_s)}/s"


def quantity(value: object) -> tuple[float, str] | None:
    """Read any amount that a scenario may hold, with the unit of the number that is given back.

    Parameters
    ----------
    value
        A number, a duration or a rate, as a scenario holds it.

    Returns
    -------
    tuple of float and str, or None
        The amount and ``""`` (a plain number), ``"us"`` or ``"1/s"``; None for anything else.

    Examples
    --------
    >>> quantity(8), quantity("1.5ms"), quantity("30/min"), quantity("valkey"), quantity(True)
    ((8.0, ''), (1500.0, 'us'), (0.5, '1/s'), None, None)
    """
    if _is_number(value):
        return float(value), ""
    readers: tuple[tuple[Callable[[object], float], str], ...] = (
        (parse_duration_us, "us"),
        (parse_rate_per_s, "1/s"),
    )
    for parse, unit in readers:
        try:
            return float(parse(value)), unit
        except ValueError:
            continue
    return None


def quoted(value: object) -> str:
    """Show in a message what a user wrote, as YAML has it and cut where it is too long to be read."""
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"


def _per_s(text: str) -> float | None:
    match = re.fullmatch(RATE_PATTERN, text)
    return None if match is None else float(Fraction(match[1]) * US_PER_S / UNITS_US[match[2]])


def _decimal(number: float) -> str:
    """Write a number without an exponent, as short as reading it back allows."""
    return f"{Decimal(repr(float(number))):f}".removesuffix(".0")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _suggest_duration(text: object) -> str:
    if _is_number(text):
        if not math.isfinite(text) or text < 0:
            return "durations are finite and not negative: try '250ms'"
        return f"durations carry a unit: try '{_plain(text)}s' or '{_plain(text)}ms'"
    match = _LOOSE_DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return "try '250ms', '1.5s' or '5min'"
    minus, number, word = match.groups()
    unit = _unit_of(word)
    if minus:
        return "durations are not negative"
    if not word:
        return f"durations carry a unit: try '{number}s' or '{number}ms'"
    if unit is None:
        return "the units are us, ms, s, min and h"
    return f"try '{number.replace(',', '.')}{unit}'"


def _suggest_rate(text: object) -> str:
    if _is_number(text):
        if not math.isfinite(text) or text < 0:
            return "rates are finite and not negative: try '50/s'"
        return f"rates carry a unit: try '{_plain(text)}/s'"
    match = _LOOSE_RATE.fullmatch(text) if isinstance(text, str) else None
    unit = _unit_of(match[3]) if match is not None else None
    if match is None or unit is None:
        return "try '50/s' or '10/min'"
    if match[1]:
        return "rates are not negative"
    return f"try '{match[2].replace(',', '.')}/{unit}'"


def _unit_of(word: str) -> str | None:
    word = word.lower()
    return word if word in UNITS_US else _NICKNAMES.get(word)


def _plain(number: float) -> str:
    return f"{number:g}"
