"""From measured times of operations to distributions of a scenario.

A log says how long operations took; what part of a scenario an operation is evidence for is told by its
name (:func:`parts_of`). Five families that a scenario knows are fitted to the times of a part by maximum
likelihood and compared by an information criterion. The best one is tested: Kolmogorov-Smirnov's distance,
with a p-value from a parametric bootstrap, because the textbook's holds for parameters that were known
beforehand only (Lilliefors, "On the Kolmogorov-Smirnov test for normality with mean and variance unknown",
Journal of the American Statistical Association 62, 1967). Leaves out dependence between operations, trends,
mixtures and shifted families: the plot shows where one is needed, and the measured times can stand in the
scenario themselves.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from sim.csv_rows import iter_rows
from sim.distributions import Distribution
from sim.mistakes import UserMistake
from sim.schema import plain_message, suggest
from sim.store import OPERATIONS
from sim.units import MAX_DURATION_US, US_PER_MS, format_duration, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST: Final = 20
"""Fewer measured times of a part are no ground to fit a distribution on."""

MOST_ROWS: Final = 1_000_000
MOST_TESTED: Final = 20_000
"""Above so many times no p-value is given: the bootstrap would take long, and any family is rejected."""

DRAWS: Final = 499
"""Samples of the parametric bootstrap: the smallest p-value is 1 / 500."""

MOST_VALUES: Final = 1_000
"""An empirical distribution is written as so many quantiles of the measured times, or as all of fewer."""

CRITERIA: Final = ("aic", "bic")
WORDS: Final = ("link", "request", "reply", "service", "statement", "work", "work.CLASS", "skip")
"""What an operation can be evidence for; each is also the name of an operation of its own."""

_DEFAULT_CLASS: Final = "default"
_MOST_LINES: Final = 20
_COARSE: Final = 0.5
_MOST_ZEROS: Final = 0.01


class LogError(UserMistake, ValueError):
    """A log that cannot be used; the message names file, line and what would be right."""


class Sample(NamedTuple):
    """Measured times, in microseconds: of which parts of a scenario, and how many of which operation."""

    paths: tuple[str, ...]
    times_us: Floats
    operations: dict[str, int]

    @property
    def name(self) -> str:
        """The parts in words."""
        return " and ".join(self.paths)


class Candidate(NamedTuple):
    """A family fitted to a sample.

    Attributes
    ----------
    family : str
    written : dict
        As a scenario has it: ``{"lognormal": {"median": "312us", "sigma": 0.83}}``.
    frozen : object
        The distribution of ``scipy.stats``, of microseconds.
    log_likelihood, aic, bic : float
    distance : float
        Kolmogorov-Smirnov's: the largest distance between the measured and the fitted share.
    """

    family: str
    written: dict[str, Any]
    frozen: Any
    log_likelihood: float
    aic: float
    bic: float
    distance: float


class Fitted(NamedTuple):
    """What came of one part.

    Attributes
    ----------
    sample : Sample
    candidates : tuple of Candidate
        The best first.
    left_out : dict
        Why a family is no candidate.
    p_value : float or None
        How probable a distance at least as large is if the best family is true, its parameters being fitted;
        not corrected for its being the best of several.
    notes : tuple of str
        What to know before the numbers are trusted.
    """

    sample: Sample
    candidates: tuple[Candidate, ...]
    left_out: dict[str, str]
    p_value: float | None
    notes: tuple[str, ...]

    @property
    def best(self) -> Candidate:
        """The family with the best criterion."""
        return self.candidates[0]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON; what a constant has no value of is null."""
        values = ("log_likelihood", "aic", "bic", "distance")
        return {
            "parts": list(self.sample.paths),
            "times": self.sample.times_us.size,
            "operations": self.sample.operations,
            "distribution": self.best.written,
            "p_value": self.p_value,
            "candidates": [
                {"family": each.family, "distribution": each.written}
                | {name: v if math.isfinite(v := getattr(each, name)) else None for name in values}
                for each in self.candidates
            ],
            "left_out": self.left_out,
            "notes": list(self.notes),
        }


def read_log(path: Path, mapping: Mapping[str, str] | None = None) -> list[Sample]:
    """Read measured times from a CSV file with the columns ``op`` and ``ms``.

    Parameters
    ----------
    path
        The file; further columns do not count. A row is one operation: its name and how many milliseconds it
        took.
    mapping
        What operations stand for (:data:`WORDS`), where their name does not say it.

    Returns
    -------
    list of Sample
        One for each part of a scenario that the log is evidence for, in the order of a scenario; parts with
        the same times are one sample.

    Raises
    ------
    LogError
        With the mistakes, one line each, or when a part has fewer than :data:`FEWEST` times.
    """
    words = dict(mapping or {})
    times: dict[str, list[float]] = {}
    counts: dict[str, dict[str, int]] = {}
    mistakes: list[str] = []
    parts: dict[str, tuple[str, ...]] = {}
    try:
        for line, row in iter_rows(path, ("op", "ms"), MOST_ROWS):
            op = (row["op"] or "").strip()
            try:
                if op not in parts:
                    parts[op] = ()  # told once, however many rows it has
                    parts[op] = parts_of(words.get(op, op))
                time_us = _time_us(row["ms"])
            except ValueError as error:
                mistakes.append(f"{path}:{line}: {error}")
                continue
            for part in parts[op]:
                times.setdefault(part, []).append(time_us)
                of_part = counts.setdefault(part, {})
                of_part[op] = of_part.get(op, 0) + 1
    except ValueError as error:
        raise LogError(str(error)) from error
    unused = [op for op in words if op not in parts]
    mistakes += [f"{path}: no row has the operation {quoted(op)}, which --map names" for op in unused]
    for part, measured in times.items():
        if len(measured) < FEWEST:
            few = f"{len(measured)} measured times, and {FEWEST} are the least to fit a distribution to"
            mistakes.append(f"{path}: {part} has {few} (leave an operation out with --map OP=skip)")
    if mistakes:
        more = len(mistakes) - _MOST_LINES
        raise LogError(
            "\n".join(mistakes[:_MOST_LINES] + ([f"... and {more:,} more mistakes"] if more > 0 else []))
        )
    if not times:
        raise LogError(f"{path}: every operation is left out")
    alike: dict[tuple[str, ...], list[str]] = {}
    for part in sorted(times, key=_place):
        alike.setdefault(tuple(counts[part]), []).append(part)
    return [Sample(tuple(same), np.array(times[same[0]]), counts[same[0]]) for same in alike.values()]


def parts_of(word: str) -> tuple[str, ...]:
    """Give the parts of a scenario that an operation is evidence for.

    ``link`` is the one-way delay in both directions, ``request`` and ``reply`` in one. An operation of the
    store by its name (``claim_execution``), or ``service``, is the time that the store is busy with it; all
    of them are one distribution, mixed as they were measured. ``statement`` is a statement of a serializable
    transaction. ``work`` is the work of the class ``default``, ``work.NAME`` that of another. ``skip``:
    nothing.

    Raises
    ------
    ValueError
        When it is none of these.

    Examples
    --------
    >>> parts_of("link"), parts_of("claim_execution"), parts_of("work.human")
    (('link.request', 'link.reply'), ('store.service',), ('workload.classes.human.work',))
    """
    known = {
        "link": ("link.request", "link.reply"),
        "request": ("link.request",),
        "reply": ("link.reply",),
        "service": ("store.service",),
        "statement": ("store.statement",),
        "work": (f"workload.classes.{_DEFAULT_CLASS}.work",),
        "skip": (),
    }
    if word in known:
        return known[word]
    if word in OPERATIONS:
        return known["service"]
    start, dot, name = word.partition(".")
    if start == "work" and dot and name.isidentifier():
        return (f"workload.classes.{name}.work",)
    near = suggest(word, [*known, *OPERATIONS])
    hint = f"{near} " if near.startswith("did") else ""
    raise ValueError(
        f"{quoted(word)} is no operation of the store and none of {', '.join(WORDS)} ({hint}Say what it "
        "stands for with --map OP=WORD)"
    )


def fit_sample(sample: Sample, generator: np.random.Generator, criterion: str = "aic") -> Fitted:
    """Fit every family to the times of one part and test the best one.

    The criteria are Akaike's, ``2 k - 2 ln L`` (1974), and Schwarz's, ``k ln n - 2 ln L`` (1978), with k
    parameters fitted to n times.

    Parameters
    ----------
    sample
        The measured times.
    generator
        For the parametric bootstrap.
    criterion
        ``aic`` or ``bic``.
    """
    times = sample.times_us
    if float(times.min()) == float(times.max()):
        return Fitted(sample, (_constant(sample),), {}, None, ("all measured times are equal",))
    times, notes = _above_zero(times)
    candidates, left_out = [], {}
    for family, fit in _FAMILIES.items():
        try:
            candidates.append(_candidate(family, fit, times))
        except ValueError as error:
            left_out[family] = str(error)
    ranked = tuple(sorted(candidates, key=lambda each: (getattr(each, criterion), each.family)))
    if np.unique(times).size < _COARSE * times.size:
        notes.append("many measured times are equal (a coarse clock?): the p-value comes out too small")
    if times.size > MOST_TESTED:
        notes.append(
            f"no p-value above {MOST_TESTED:,} times, where any family is rejected: see the distance"
        )
        return Fitted(sample, ranked, left_out, None, tuple(notes))
    return Fitted(sample, ranked, left_out, p_value(ranked[0].family, times, generator), tuple(notes))


def p_value(family: str, times_us: Floats, generator: np.random.Generator, draws: int = DRAWS) -> float:
    """Test a family whose parameters are fitted to the same times.

    Kolmogorov-Smirnov's distance against those of samples drawn from the fitted distribution, to each of
    which the family is fitted anew (:func:`scipy.stats.goodness_of_fit`). The distance is the same for any
    monotone transformation, so that lognormal is tested as normal, weibull as Gumbel and pareto as a shifted
    exponential distribution of the logarithms.
    """
    from scipy import stats

    logarithms = family in ("lognormal", "weibull", "pareto")
    tested = {
        "exponential": (stats.expon, {"loc": 0}),
        "gamma": (stats.gamma, {"loc": 0}),
        "lognormal": (stats.norm, {}),
        "weibull": (stats.gumbel_l, {}),
        "pareto": (stats.expon, {}),
    }
    distribution, known = tested[family]
    scaled = times_us / float(np.median(times_us))
    result = stats.goodness_of_fit(
        distribution, np.log(scaled) if logarithms else scaled, known_params=known, statistic="ks",
        n_mc_samples=draws, rng=generator,
    )  # fmt: skip
    return float(result.pvalue)


def empirical(sample: Sample) -> dict[str, Any]:
    """Write the measured times themselves as a distribution: all, or evenly spaced quantiles of many."""
    values = np.sort(sample.times_us)
    if values.size > MOST_VALUES:
        levels = (np.arange(MOST_VALUES) + 0.5) / MOST_VALUES
        values = np.quantile(values, levels, method="inverted_cdf")
    return {"empirical": {"unit": "us", "values": [round(value) for value in values.tolist()]}}


def parse_mapping(texts: Iterable[str]) -> dict[str, str]:
    """Read ``OP=WORD`` each: what an operation of a log stands for.

    Raises
    ------
    LogError
        When one is no such assignment, or its word means nothing.
    """
    mapping = {}
    for text in texts:
        op, equals, word = (part.strip() for part in text.partition("="))
        if not equals or not op:
            raise LogError(f"--map {text}: write it as OP=WORD (the words: {', '.join(WORDS)})")
        try:
            parts_of(word)
        except ValueError as error:
            raise LogError(f"--map {text}: {error}") from error
        mapping[op] = word
    return mapping


def as_yaml(fits: Sequence[Fitted], source: str, criterion: str, *, measured: bool = False) -> str:
    """Write distributions as a scenario, with comments that say what they are fitted to and how well.

    Parameters
    ----------
    fits
        What was fitted.
    source
        Name of the log.
    criterion
        What the families were compared by.
    measured
        Write the measured times themselves, not the fitted families.
    """
    import yaml  # only where YAML is written

    chosen = {
        path: empirical(each.sample) if measured else each.best.written
        for each in fits
        for path in each.sample.paths
    }
    times = sum(each.sample.times_us.size for each in fits)
    what = "measured times" if measured else "distributions fitted to the measured times"
    document = scenario_of(chosen, f"The {what} of {source}.")
    head = [
        f"# {times:,} times of {source}, by part of a scenario.",
        *(f"# {line}" for line in summary(fits, criterion)),
    ]
    head.append(
        "# A scenario needs arrivals: replace these, or paste what stands below into one of your own."
    )
    body = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True)
    return "\n".join([*head, body])


def scenario_of(written: Mapping[str, Mapping[str, Any]], about: str) -> dict[str, Any]:
    """Put distributions into the shape of a scenario, complete enough to be loaded.

    Parameters
    ----------
    written
        A distribution, as a scenario has it, by the path of its part.
    about
        What the scenario says of itself.
    """
    document: dict[str, Any] = {"about": about, "workload": {"arrivals": {"poisson": {"rate": "1/s"}}}}
    for path, distribution in written.items():
        *above, last = path.split(".")
        place = document
        for step in above:
            place = place.setdefault(step, {})
        place[last] = copy.deepcopy(dict(distribution))  # YAML would write one object twice as an alias
    return document


def _time_us(text: str | None) -> float:
    try:
        time_ms = float(text or "")
    except ValueError:
        raise ValueError(f"{quoted(text or '')} is not a number of milliseconds") from None
    if not 0 <= time_ms * US_PER_MS <= MAX_DURATION_US:
        raise ValueError(f"{quoted(text)} ms is no time from 0 to ten years")
    return time_ms * US_PER_MS


def _place(path: str) -> tuple[int, str]:
    """Order parts as a scenario has them."""
    starts = ("store.service", "store.statement", "link.request", "link.reply", "workload")
    return next(i for i, start in enumerate(starts) if path.startswith(start)), path


Fit = Callable[[Any], tuple[Any, dict[str, Any]]]
"""Gives the distribution of scipy and the parameters as a scenario writes them."""


def _candidate(family: str, fit: Fit, times: Floats) -> Candidate:
    frozen, parameters = fit(times)
    written = {family: parameters}
    try:
        TypeAdapter(Distribution).validate_python(written)
    except ValidationError as error:
        told = error.errors(include_url=False)[0]
        raise ValueError(
            f"{'.'.join(str(step) for step in told['loc'][1:])}: {plain_message(told)}"
        ) from error
    likelihood = float(np.sum(frozen.logpdf(times)))
    count = 1 if family == "exponential" else 2
    return Candidate(
        family, written, frozen, likelihood, 2 * count - 2 * likelihood,
        count * math.log(times.size) - 2 * likelihood, _distance(frozen, times),
    )  # fmt: skip


def _distance(frozen: Any, times: Floats) -> float:
    from scipy import stats

    return float(stats.ks_1samp(times, frozen.cdf).statistic)


def _constant(sample: Sample) -> Candidate:
    time_us = round(float(sample.times_us[0]))
    written = {"constant": format_duration(time_us)}
    return Candidate("constant", written, None, math.inf, -math.inf, -math.inf, 0.0)


def _exponential(times: Floats) -> tuple[Any, dict[str, Any]]:
    from scipy import stats

    mean = float(times.mean())
    return stats.expon(scale=mean), {"mean": _us(mean)}


def _lognormal(times: Floats) -> tuple[Any, dict[str, Any]]:
    from scipy import stats

    middle, sigma = stats.norm.fit(_logarithms(times))
    return stats.lognorm(sigma, scale=math.exp(middle)), {
        "median": _us(math.exp(middle)),
        "sigma": _short(sigma),
    }


def _gamma(times: Floats) -> tuple[Any, dict[str, Any]]:
    from scipy import stats

    _logarithms(times)
    unit = float(np.median(times))
    shape, _, scale = stats.gamma.fit(times / unit, floc=0)
    frozen = stats.gamma(shape, scale=scale * unit)
    return frozen, {"shape": _short(shape), "mean": _us(shape * scale * unit)}


def _weibull(times: Floats) -> tuple[Any, dict[str, Any]]:
    from scipy import stats

    # The logarithm of a Weibull time has Gumbel's distribution of minima, whose likelihood scipy solves.
    place, width = stats.gumbel_l.fit(_logarithms(times))
    shape, scale = 1 / width, math.exp(place)
    return stats.weibull_min(shape, scale=scale), {"shape": _short(shape), "scale": _us(scale)}


def _pareto(times: Floats) -> tuple[Any, dict[str, Any]]:
    from scipy import stats

    # The logarithm of a Pareto time is exponential from the logarithm of the least one on.
    place, width = stats.expon.fit(_logarithms(times))
    alpha, least = 1 / width, math.exp(place)
    return stats.pareto(alpha, scale=float(times.min())), {"alpha": _short(alpha), "min": _us(least)}


_FAMILIES: Final[dict[str, Fit]] = {
    "exponential": _exponential, "lognormal": _lognormal, "gamma": _gamma, "weibull": _weibull,
    "pareto": _pareto,
}  # fmt: skip


def _above_zero(times: Floats) -> tuple[Floats, list[str]]:
    """Put a few times of 0, which a clock could not resolve, to half the least time above it.

    The substitution of Hornung and Reed ("Estimation of average concentration in the presence of
    nondetectable values", Applied Occupational and Environmental Hygiene 5, 1990). Where there are more of
    them, families that need logarithms are left out instead.
    """
    zeros = int(np.count_nonzero(times == 0))
    if not 0 < zeros <= _MOST_ZEROS * times.size:
        return times, []
    least = float(times[times > 0].min())
    told = f"{zeros:,} times of 0 are taken as half the least time above 0 ({_us(least)})"
    return np.where(times == 0, least / 2, times), [told]


def _logarithms(times: Floats) -> Floats:
    if times.min() <= 0:
        raise ValueError("more than one measured time in 100 is 0, which has no logarithm (a coarse clock?)")
    return np.log(times)


def _us(value: float) -> str:
    return format_duration(round(value))


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def summary(fits: Sequence[Fitted], criterion: str) -> Iterable[str]:
    """Say what was fitted to what, and how well, a line a fact."""
    for each in fits:
        operations = ", ".join(f"{op} {count:,}" for op, count in each.sample.operations.items())
        best = each.best
        count = each.sample.times_us.size
        yield f"{each.sample.name}: {best.family}, fitted to {count:,} times ({operations})"
        if len(each.candidates) > 1:
            ranked = [
                f"{c.family} {getattr(c, criterion) - getattr(best, criterion):.1f}" for c in each.candidates
            ]
            yield f"  {criterion.upper()} above the best: {', '.join(ranked)}"
        for family, why in each.left_out.items():
            yield f"  left out: {family}: {why}"
        tested = (
            ""
            if each.p_value is None
            else f", p = {each.p_value:.3f} (parametric bootstrap, {DRAWS} samples)"
        )
        if best.frozen is not None:
            yield f"  Kolmogorov-Smirnov distance {best.distance:.4f}{tested}"
        if each.p_value is not None and each.p_value < 0.05:
            yield f"  {best.family} does not describe these times: see the plot, or try --empirical"
        yield from (f"  {note}" for note in each.notes)
