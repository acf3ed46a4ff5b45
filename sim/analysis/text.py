"""Numbers and durations as people read them, in tables and pictures."""

from __future__ import annotations

import math
from typing import Final

_UNITS_MS: Final = (("us", 1e-3, 1000.0), ("ms", 1.0, 1000.0), ("s", 1e3, 600.0), ("min", 6e4, math.inf))


def duration(ms: float) -> str:
    """Write a duration in three digits that count; whole microseconds below a millisecond.

    Parameters
    ----------
    ms
        Milliseconds, from 0 on.

    Examples
    --------
    >>> [duration(ms) for ms in (0, 0.0473, 66.005, 999.7, 1071.8, 95_000, 7_300_000)]
    ['0 s', '47 us', '66.0 ms', '1.00 s', '1.07 s', '95.0 s', '122 min']
    """
    if ms == 0:
        return "0 s"
    for unit, size, limit in _UNITS_MS:
        if float(f"{ms / size:.3g}") < limit:
            return f"{ms / size:.0f} us" if unit == "us" else f"{number(ms / size)} {unit}"
    raise ValueError(f"{ms} ms is no duration")


def number(value: float) -> str:
    """Write a number in three digits that count, thousands apart, never with an exponent; ``-`` for NaN.

    Examples
    --------
    >>> [number(value) for value in (0, 0.003333, 4.219, 95.209, 999.7, 1234.5, float("nan"))]
    ['0', '0.00333', '4.22', '95.2', '1,000', '1,234', '-']
    """
    if math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(float(f"{value:.3g}")))))
    return f"{value:,.{decimals}f}"


def amount(value: float, unit: str) -> str:
    """Write a value of a measure with its unit; ``-`` for NaN.

    Examples
    --------
    >>> [amount(1500, "ms"), amount(-2, "ms"), amount(0.25, "1/s"), amount(3, ""), amount(1.5, "1/n to 1")]
    ['1.50 s', '-2.00 ms', '0.250/s', '3.00', '1.50']
    """
    if math.isnan(value):
        return "-"
    if unit == "ms":
        return f"-{duration(-value)}" if value < 0 else duration(value)
    return f"{number(value)}/s" if unit == "1/s" else number(value)
