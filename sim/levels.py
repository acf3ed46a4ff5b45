"""Levels over time: how many of something there are, integrated exactly over the bins of a grid.

A level is a step function of simulated time that goes up by one when something begins and down by one when
it ends. It is integrated from the first instant of the run, so that whatever began before a window counts in
it; the window is cut out of the bins afterwards. All sums are integers: item-microseconds, without rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Ints = NDArray[np.int64]

BINS_MAX: Final = 240
"""At most so many bins of equal width in a run, besides those that a window's edges cut in two."""


def grid(window_us: tuple[int, int], end_us: int) -> Ints:
    """Give the edges of the bins of a run: equal widths from 0 to its end, and the edges of the window.

    The width is 1, 2 or 5 times a power of ten microseconds, the smallest that needs no more than
    :data:`BINS_MAX` bins. A window whose edges are multiples of it cuts no bin.

    Parameters
    ----------
    window_us
        Start and end of the window that tables take: [start, end).
    end_us
        End of the run, in microseconds.
    """
    width = next(
        step * 10**power for power in range(19) for step in (1, 2, 5) if end_us <= BINS_MAX * step * 10**power
    )
    edges = np.append(np.arange(0, end_us, width, dtype=np.int64), [*window_us, end_us])
    return np.unique(np.clip(edges, 0, end_us))


class Level:
    """One level, integrated block by block.

    Parameters
    ----------
    edges
        Edges of the bins, strictly increasing, from 0 on: shape (n + 1,).
    """

    __slots__ = ("_edges", "_inner", "begun", "ended")

    def __init__(self, edges: Ints) -> None:
        bins = edges.size - 1
        self._edges = edges
        self._inner = np.zeros(bins, np.int64)
        self.begun = np.zeros(bins, np.int64)
        self.ended = np.zeros(bins, np.int64)

    def add(self, begins_us: ArrayLike, ends_us: ArrayLike) -> None:
        """Add things that begin and things that end, in any order; what never ends has no end."""
        self._cross(np.asarray(begins_us, np.int64), self.begun, 1)
        self._cross(np.asarray(ends_us, np.int64), self.ended, -1)

    def _cross(self, at_us: Ints, counts: Ints, step: int) -> None:
        bins = counts.size
        place = np.searchsorted(self._edges, at_us, side="right") - 1
        inside = place < bins
        place, at_us = place[inside], at_us[inside]
        crossed = np.bincount(place, minlength=bins)
        # Sum of (edge - instant) within each bin. Exact: far below the 2**53 that a float holds.
        instants = np.bincount(place, at_us - self._edges[place], minlength=bins).astype(np.int64)
        counts += crossed
        self._inner += step * (crossed * np.diff(self._edges) - instants)

    @property
    def integral_us(self) -> Ints:
        """The level integrated over each bin, in item-microseconds."""
        net = self.begun - self.ended
        before = np.cumsum(net) - net
        integral_us: Ints = before * np.diff(self._edges) + self._inner
        return integral_us
