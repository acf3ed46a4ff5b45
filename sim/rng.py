"""Named random streams: the only place that creates a generator.

Every draw has an owner: ``streams.of("worker/3/retry")``. A stream depends on the seed, the replication and
its name alone, never on the order of creation, so an actor more or another policy leaves all other
streams as they were. That is what makes common random numbers work between the arms of a comparison.

The generator is Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), keyed by a
SHA-256 of that triple; being counter-based, it gives independent streams for distinct keys.
"""

from __future__ import annotations

import math
from array import array
from hashlib import sha256
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.random import Generator, Philox
from numpy.random.bit_generator import ISeedSequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FIRST_BLOCK: Final = 32
_BLOCK_GROWTH: Final = 8
LAST_BLOCK: Final = 256
"""Blocks grow from the first size to the last: who draws little stays cheap, and a fleet of ten thousand,
each with streams of its own, holds no more than it will soon use."""


NEVER: Final = 1 << 62
"""More trials than any run makes."""


def in_blocks(begin: Callable[[], Callable[[int], np.ndarray]]) -> Iterator[Any]:
    """Give the values of a stream one by one, without end, drawn in growing blocks.

    ``begin()`` gives, when the first value is wanted, what draws a block of a size: many streams never are.
    A scalar draw from a generator costs ten times as much as its share of a block. Blocks are packed: as
    a list of numbers each would be five times as large, and in a large fleet that is what misses the cache.
    """

    def blocks() -> Iterator[array[Any]]:
        size = _FIRST_BLOCK
        draw = begin()
        while True:
            yield _packed(draw(size))
            size = min(_BLOCK_GROWTH * size, LAST_BLOCK)

    return chain.from_iterable(blocks())


def _packed(values: np.ndarray) -> array[Any]:
    return array(values.dtype.char, values.tobytes())


class _Digest(ISeedSequence):
    """Gives a generator the digest of a name as its key (numpy would fetch entropy for an unused seed)."""

    def __init__(self, name: bytes) -> None:
        self._digest = sha256(name).digest()

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return np.frombuffer(self._digest, dtype)[:n_words]


class Streams:
    """The random streams of one replication.

    Parameters
    ----------
    seed
        The study's seed, any integer from 0 on.
    replication
        Which replication; its streams share nothing with another's.
    """

    __slots__ = ("_prefix",)

    def __init__(self, seed: int, replication: int) -> None:
        self._prefix = f"{seed}/{replication}/"

    def of(self, name: str) -> Generator:
        """Give a new generator at the start of the stream ``name``."""
        return Generator(Philox(_Digest((self._prefix + name).encode())))  # type: ignore[arg-type]  # numpy takes any ISeedSequence

    def uniform(self, name: str) -> Callable[[], float]:
        """Give a function that draws U[0, 1) from the stream ``name``, in growing blocks."""
        return in_blocks(lambda: self.of(name).random).__next__

    def events(self, name: str, probability: float) -> Iterator[bool]:
        """Tell trial by trial, without end, whether something of that probability happens.

        How many trials it takes is geometric, drawn by inversion, 1 + floor(ln(1 - u) / ln(1 - p)): one draw
        an event instead of one a trial.
        """
        if probability < 1.0 / NEVER:
            return repeat(False)
        if probability == 1.0:
            return repeat(True)
        scale = 1.0 / math.log1p(-probability)
        uniforms = in_blocks(lambda: self.of(name).random)
        trials = (min(1 + int(math.log1p(-uniform) * scale), NEVER) for uniform in uniforms)
        return chain.from_iterable(chain(repeat(False, needed - 1), (True,)) for needed in trials)
