"""How many replications give a mean that is known well enough.

The algorithm of Hoad, Robinson and Davies ("Automated selection of the number of replications for a
discrete-event simulation", Journal of the Operational Research Society 61, 2010): replications are added
until the half-width of Student's interval is within a share of the mean, and stays there while a look-ahead
of further replications is added, so that a half-width that is small by chance ends nothing.

Where there are several arms they get the same number of replications, as pairs need them: what counts is the
arm whose half-width is widest. The answer depends on the values in the order of their replications alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from sim.analysis.statistics import LEVEL, t_quantiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

FEWEST: Final = 3
"""With how many replications the algorithm begins (Hoad et al., section 5)."""

_LOOK_AHEAD: Final = 5
_LOOK_AHEAD_GROWS_FROM: Final = 100


class Precision(NamedTuple):
    """How well a measure is to be known.

    Attributes
    ----------
    share : float
        The half-width, as a share of the mean: 0.05 for 5 %.
    measure : str
        One of :data:`sim.analysis.outcomes.UNITS`, or a kind of contention: its rate per second.
    max_replications : int
        How many replications there may be, precise or not.
    """

    share: float
    measure: str = "goodput_per_s"
    max_replications: int = 100

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON."""
        return self._asdict()


def look_ahead(replications: int) -> int:
    """Give how many further replications must confirm a precision: 5, from 100 replications on 5 %."""
    if replications <= _LOOK_AHEAD_GROWS_FROM:
        return _LOOK_AHEAD
    return _LOOK_AHEAD * replications // _LOOK_AHEAD_GROWS_FROM


def half_widths(values: ArrayLike, level: float = LEVEL) -> NDArray[np.float64]:
    """Give the half-width of the mean of the first n replications as a share of the mean, for every n.

    Parameters
    ----------
    values
        One value a replication, in their order; NaN (a replication without a value) is left out.
    level
        Confidence level.

    Returns
    -------
    numpy.ndarray
        NaN while there are fewer than two values, and where the mean is 0.
    """
    given = np.asarray(values, dtype=float)
    present = ~np.isnan(given)
    filled = np.where(present, given, 0.0)
    count = np.cumsum(present)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.cumsum(filled) / count
        # Squares around the first value, so that what comes later changes nothing of what comes before.
        centre = given[present][0] if present.any() else 0.0
        around = np.where(present, given - centre, 0.0)
        squares = np.cumsum(around**2) - np.cumsum(around) ** 2 / count
        deviation = np.sqrt(np.maximum(squares, 0.0) / (count - 1))
        shares = t_quantiles(level, count - 1) * deviation / np.sqrt(count) / np.abs(mean)
    shares[(count < 2) | (mean == 0)] = np.nan
    return np.asarray(shares, dtype=np.float64)


def replications_needed(arms: Sequence[ArrayLike], precision: Precision) -> tuple[int, bool]:
    """Give how many replications there must be at least, and whether they are known to be enough.

    Parameters
    ----------
    arms
        The values of each arm, one a replication, equally many.
    precision
        What is asked for.

    Returns
    -------
    tuple of int and bool
        A number and True: so many are enough, the look-ahead included. A number and False: before there are
        so many there is no knowing; when it is no more than there are, the bound is reached.
    """
    made = len(np.asarray(arms[0])) if arms else 0
    if made == 0:
        return min(FEWEST + look_ahead(FEWEST), precision.max_replications), False
    widest = np.max([half_widths(values) for values in arms], axis=0)  # NaN if any is
    within = widest <= precision.share
    since = FEWEST
    for number in range(FEWEST, made + 1):
        if not within[number - 1]:
            since = number + 1
        elif number >= since + look_ahead(since):
            return number, True
    return min(since + look_ahead(since), precision.max_replications), False
