"""Named random streams: the only place that creates a generator.

Every draw has an owner: ``streams.of("worker/3/retry")``. A stream depends on the seed, the replication and
its name alone, never on the order of creation, so an actor more or another policy leaves all other
streams as they were. That is what makes common random numbers work between the arms of a comparison.

The generator is Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), keyed by a
SHA-256 of that triple; being counter-based, it gives independent streams for distinct keys.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING

from numpy.random import Generator, Philox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FIRST_BLOCK, _LAST_BLOCK = 8, 4096


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
        digest = sha256((self._prefix + name).encode()).digest()
        return Generator(Philox(key=int.from_bytes(digest[:16], "little")))

    def uniform(self, name: str) -> Callable[[], float]:
        """Give a function that draws U[0, 1) from the stream ``name``, in growing blocks."""
        generator = self.of(name)

        def blocks() -> Iterator[list[float]]:
            size = _FIRST_BLOCK
            while True:
                yield generator.random(size).tolist()
                size = min(2 * size, _LAST_BLOCK)

        return chain.from_iterable(blocks()).__next__
