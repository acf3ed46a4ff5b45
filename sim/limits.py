"""What bounds a run: so many attempts, so much memory.

A run that reaches a limit ends there and gives its results so far. The number of attempts is part of what a
run is: the same limit ends the same run at the same instant. Memory is a property of the machine, so where a
run that reached it ends is not reproducible; it is looked at whenever the recorder packs a block of attempts,
never per attempt.
"""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.mistakes import UserMistake
from sim.units import quoted

if TYPE_CHECKING:
    from sim.record import Recorder

_UNITS: Final = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE: Final = re.compile(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z]+)\s*")
_MOST_BYTES: Final = 2**60
_STATM: Final = Path("/proc/self/statm")


class OptionError(UserMistake):
    """An option of a run or a study is wrong; the message is for the user and says what would be right."""


class Limits(NamedTuple):
    """What a run may use.

    Attributes
    ----------
    attempts : int or None
        It ends with the attempt of this number.
    memory_bytes : int or None
        It ends when the process holds more, looked at once in some ten thousand attempts.
    """

    attempts: int | None = None
    memory_bytes: int | None = None

    def as_dict(self) -> dict[str, int]:
        """Give the limits that are set, as JSON."""
        named = {"max_attempts": self.attempts, "max_memory_bytes": self.memory_bytes}
        return {name: value for name, value in named.items() if value is not None}


class Truncation(NamedTuple):
    """Where a run ended before its time.

    Attributes
    ----------
    limit : str
        ``attempts`` or ``memory``.
    at_us : int
        The instant, in simulated microseconds.
    attempts : int
        How many had been made.
    """

    limit: str
    at_us: int
    attempts: int

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON."""
        return self._asdict()


class Watch:
    """Ends a run that reaches a limit.

    Parameters
    ----------
    limits
        What the run may use.
    kernel
        What is to be ended: it has ``now_us`` and ``stop()``.
    recorder
        Counts the attempts, and calls back with each block.

    Attributes
    ----------
    truncation : Truncation or None
        Where the run ended, when it reached a limit.
    """

    def __init__(self, limits: Limits, kernel: Any, recorder: Recorder) -> None:
        self.truncation: Truncation | None = None
        self._limits, self._kernel, self._recorder = limits, kernel, recorder
        if limits != Limits():
            recorder.on_block = self._look
            self._bound_block()

    def _look(self) -> None:
        """See whether a limit is reached; the attempt that reached it is still carried through."""
        limits, made = self._limits, self._recorder.attempts_made
        if limits.attempts is not None and made >= limits.attempts:
            self._end("attempts")
        elif limits.memory_bytes is not None and resident_bytes() > limits.memory_bytes:
            self._end("memory")
        else:
            self._bound_block()

    def _end(self, limit: str) -> None:
        if self.truncation is None:
            self.truncation = Truncation(limit, self._kernel.now_us, self._recorder.attempts_made)
            self._kernel.stop()

    def _bound_block(self) -> None:
        """Let a block end with the last attempt that may be made."""
        if self._limits.attempts is not None:
            self._recorder.end_block_after(self._limits.attempts - self._recorder.attempts_made)


def resident_bytes() -> int:
    """Give how much memory this process holds; where the system does not tell, the most it ever held."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:
        return peak_bytes()
    import resource

    return pages * resource.getpagesize()


def peak_bytes() -> int:
    """Give the most memory that this process ever held; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def parse_bytes(text: str) -> int:
    """Read a size such as ``500MB``, ``1.5GB`` or ``2GiB``.

    Raises
    ------
    OptionError
        When it is none; the message says what would be right.
    """
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise OptionError(f"{quoted(text)} is not a size of memory (try '500MB' or '2GB')")
    size = int(Fraction(match[1]) * unit)
    if not 0 < size < _MOST_BYTES:
        raise OptionError(f"{quoted(text)} is no size that a memory has (try '500MB' or '2GB')")
    return size


def parse_share(text: str) -> float:
    """Read a share such as ``5%`` or ``0.05``.

    Raises
    ------
    OptionError
        When it is none between 0 and 100 %.
    """
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise OptionError(f"{quoted(text)} is no share of a mean (try '5%' or '0.05')")
    return share


def format_bytes(size: float) -> str:
    """Write a size in the largest decimal unit that leaves at least one, in two digits or more.

    >>> format_bytes(1_480_000_000), format_bytes(96_500_000)
    ('1.5 GB', '96 MB')
    """
    for unit in ("GB", "MB"):
        value = size / _UNITS[unit]
        if value >= 1:
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{size / _UNITS['KB']:.0f} kB"
