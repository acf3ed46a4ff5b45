"""Intervals, comparisons and warm-up advice, each with its formula and where it comes from.

Replications are independent; observations inside one are not. Every interval here is therefore one of
per-replication values, or of a count of rare events. Leaves out whatever needs a model of the process
inside a run (spectral estimates, regenerative cycles).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.lazy import LazyModule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from scipy import special
else:
    # Not scipy.stats, which takes most of a second to import; and only where an interval is computed.
    special = LazyModule("scipy.special")

LEVEL = 0.95
"""Confidence level of every interval, unless told otherwise."""

RARE_EVENTS = 30
"""Below so many events in all, a rate gets the exact Poisson interval of the total."""

MSER_BATCH = 5


class Interval(NamedTuple):
    """A point estimate with its interval.

    Attributes
    ----------
    mean : float
        The point.
    low, high : float
        The interval's ends; NaN where there is none.
    method : str
        ``t``, ``fieller``, ``poisson``, ``poisson-one-replication`` (takes events as independent, for want
        of a second replication: too narrow where contention comes in bursts), ``rule-of-three`` or
        ``none``.
    """

    mean: float
    low: float
    high: float
    method: str


class PairedDifference(NamedTuple):
    """The difference of two arms that faced the same replications.

    Attributes
    ----------
    mean, low, high : float
        Mean of ``second - first`` and its interval.
    p_value : float
        Two-sided, of the paired t test; NaN where all differences are equal.
    correlation : float
        Pearson's, between the arms: what common random numbers achieved. NaN where an arm does not vary.
    pairs : int
        How many replications.
    """

    mean: float
    low: float
    high: float
    p_value: float
    correlation: float
    pairs: int


def t_interval(values: ArrayLike, level: float = LEVEL) -> Interval:
    """Give the mean of independent replications with Student's interval.

    ``mean ± t(1 - alpha/2, R - 1) * s / sqrt(R)`` (Law, *Simulation Modeling and Analysis*, 5th ed.,
    equation 4.12, applied to replications as in section 9.4.1).

    Parameters
    ----------
    values
        One value a replication; NaN (a replication without a value) is left out.
    level
        Confidence level.

    Returns
    -------
    Interval
        With method ``none`` and NaN ends below two values.
    """
    sample = _finite(values)
    if sample.size == 0:
        return Interval(np.nan, np.nan, np.nan, "none")
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, np.nan, np.nan, "none")
    half = float(t_quantiles(level, sample.size - 1)) * float(sample.std(ddof=1)) / sample.size**0.5
    return Interval(mean, mean - half, mean + half, "t")


def poisson_interval(count: int, exposure: float, level: float = LEVEL) -> Interval:
    """Give the rate of a Poisson count with its exact interval.

    ``[chi2(alpha/2, 2n) / 2, chi2(1 - alpha/2, 2n + 2) / 2] / exposure`` (Garwood, "Fiducial limits for
    the Poisson distribution", Biometrika 28, 1936). No event gives ``[0, 3 / exposure]``, the rule of
    three (Hanley and Lippman-Hand, JAMA 249, 1983), whatever the level.

    Parameters
    ----------
    count
        Events seen.
    exposure
        What they were seen in, such as simulated seconds of all replications; above 0.
    level
        Confidence level.

    Raises
    ------
    ValueError
        When the exposure is not above 0.
    """
    if exposure <= 0:
        raise ValueError(f"an exposure is above 0, not {exposure}")
    if count == 0:
        return Interval(0.0, 0.0, 3.0 / exposure, "rule-of-three")
    # Half a quantile of chi-square with 2n degrees of freedom is one of the gamma distribution of shape n.
    tail = (1 - level) / 2
    low, high = (float(end) for end in special.gammaincinv([count, count + 1], [tail, 1 - tail]))
    return Interval(count / exposure, low / exposure, high / exposure, "poisson")


def rate_interval(
    counts: Sequence[int] | NDArray[np.int64], exposure: ArrayLike, level: float = LEVEL
) -> Interval:
    """Give a rate of events from counts per replication.

    Student's interval across replications; the exact Poisson interval of the total below
    :data:`RARE_EVENTS` events in all and, marked as such, for a single replication. No lower end is
    below 0.

    Parameters
    ----------
    counts
        Events of each replication, zeros included.
    exposure
        Length of one replication's window, in the unit of the rate (seconds for a rate per second): of all
        alike, or one a replication. A replication that saw nothing of its window (0) is left out.
    level
        Confidence level.
    """
    lengths = np.broadcast_to(np.asarray(exposure, dtype=float), np.shape(counts))
    seen = np.asarray(counts)[lengths > 0]
    lengths = lengths[lengths > 0]
    replications, total = len(seen), int(seen.sum())
    if replications == 0:
        return Interval(np.nan, np.nan, np.nan, "none")
    if total < RARE_EVENTS:
        return poisson_interval(total, float(lengths.sum()), level)
    if replications == 1:
        return poisson_interval(total, float(lengths.sum()), level)._replace(method="poisson-one-replication")
    interval = t_interval(seen / lengths, level)
    return interval._replace(low=max(0.0, interval.low))


def paired_difference(first: ArrayLike, second: ArrayLike, level: float = LEVEL) -> PairedDifference:
    """Compare two arms replication by replication.

    Student's interval of the differences (the paired-t approach of Law, section 10.2.1), which common
    random numbers make short.

    Parameters
    ----------
    first, second
        One value a replication, in the same order; shape (R,).
    level
        Confidence level.

    Raises
    ------
    ValueError
        When the arms have not the same number of replications, or fewer than two.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or a.size < 2:
        raise ValueError(
            f"pairs need two equally long rows of at least 2 values, not {a.shape} and {b.shape}"
        )
    differences = b - a
    interval = t_interval(differences, level)
    varies = float(a.std()) > 0 and float(b.std()) > 0
    correlation = float(np.corrcoef(a, b)[0, 1]) if varies else np.nan
    return PairedDifference(
        interval.mean, interval.low, interval.high, _paired_p_value(differences), correlation, a.size
    )


def ratio_interval(first: ArrayLike, second: ArrayLike, level: float = LEVEL) -> Interval:
    """Give the ratio of two arms' means, ``mean(second) / mean(first)``, from pairs.

    Fieller's interval: every ratio ``r`` for which the paired t test does not tell ``second`` from
    ``r * first`` (Fieller, "Some problems in interval estimation", Journal of the Royal Statistical Society B
    16, 1954). It holds 1 exactly when the interval of :func:`paired_difference` holds 0.

    Parameters
    ----------
    first, second
        One value a replication, in the same order; shape (R,).
    level
        Confidence level.

    Returns
    -------
    Interval
        With method ``fieller``; ``none`` and NaN ends where there are fewer than two pairs or the mean of
        ``first`` cannot be told from 0, which leaves the ratio without bounds. NaN for a ratio to 0.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.size == 0 or a.mean() == 0:
        return Interval(np.nan, np.nan, np.nan, "none")
    point = float(b.mean() / a.mean())
    if a.size < 2:
        return Interval(point, np.nan, np.nan, "none")
    spread = float(t_quantiles(level, a.size - 1)) ** 2 / a.size * np.cov(a, b)
    square, mixed, rest = np.array([a.mean() ** 2, a.mean() * b.mean(), b.mean() ** 2]) - np.array(
        [spread[0, 0], spread[0, 1], spread[1, 1]]
    )
    if square <= 0:
        return Interval(point, np.nan, np.nan, "none")
    half = max(0.0, float(mixed**2 - square * rest)) ** 0.5 / square
    return Interval(point, float(mixed / square - half), float(mixed / square + half), "fieller")


def t_tail(distance: float, degrees: int) -> float:
    """Give the two-sided p-value of so many standard errors, by Student's t."""
    return float(2 * special.stdtr(degrees, -distance))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust the p-values of a family of comparisons.

    The i-th smallest of m is multiplied by ``m - i + 1``, kept monotone and at most 1 (Holm, "A simple
    sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979).

    Returns
    -------
    numpy.ndarray
        Adjusted p-values in the order given; NaN stays NaN and does not count for the family.
    """
    given = np.asarray(p_values, dtype=float)
    adjusted = np.full(given.shape, np.nan)
    present = np.flatnonzero(~np.isnan(given))
    order = present[np.argsort(given[present], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(given[order] * factors))
    return adjusted


def mser5(series: ArrayLike) -> int:
    """Advise how many observations of a series to drop as warm-up.

    Of the means of batches of 5, drop the first d that minimise ``s²(d) / (k - d)``, the squared
    standard error of what is left, with d at most half of them (White, "An effective truncation heuristic
    for bias reduction in simulation output", Simulation 69, 1997; batches of 5 and the bound from White,
    Cobb and Spratt, WSC 2000).

    Parameters
    ----------
    series
        Observations in order, such as a level or a rate per bin; shape (n,).

    Returns
    -------
    int
        Observations to drop, a multiple of 5; 0 for a series too short to say (below 10).
    """
    values = np.asarray(series, dtype=float)
    batches = values.size // MSER_BATCH
    if batches < 2:
        return 0
    means = values[: batches * MSER_BATCH].reshape(batches, MSER_BATCH).mean(axis=1)
    scores = [float(means[drop:].var()) / (batches - drop) for drop in range(batches // 2 + 1)]
    return MSER_BATCH * int(np.argmin(scores))


def jain(values: ArrayLike) -> float:
    """Give Jain's index of fairness, from 1/n (one has everything) to 1 (all the same).

    ``(sum x)² / (n * sum x²)`` (Jain, Chiu and Hawe, DEC-TR-301, 1984). NaN where there is nothing to share.
    """
    x = np.asarray(values, dtype=float)
    squares = float((x**2).sum())
    return float(x.sum()) ** 2 / (x.size * squares) if squares > 0 else float("nan")


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    sample: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    return sample[~np.isnan(sample)]


def t_quantiles(level: float, degrees: ArrayLike) -> NDArray[np.float64]:
    """Give Student's two-sided quantile for each number of degrees of freedom; NaN below 1."""
    return np.asarray(special.stdtrit(np.asarray(degrees, float), (1 + level) / 2), dtype=np.float64)


def _paired_p_value(differences: NDArray[np.float64]) -> float:
    error = float(differences.std(ddof=1)) / differences.size**0.5
    return t_tail(abs(float(differences.mean())) / error, differences.size - 1) if error else float("nan")
