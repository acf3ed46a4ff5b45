"""The distributions of durations that a scenario can name.

Each family is a small frozen model with the parameters that people know, and one function, its quantile.
A draw takes one uniform U from the caller's stream and returns the quantile of U, rounded to whole
microseconds. So every value costs the stream exactly one uniform, whatever the family, its parameters or
the size of the block in which it is drawn: a scenario that changes one distribution leaves all other
draws of the stream in place and moves its own values monotonically (common random numbers). ``gamma``
alone draws natively from numpy, because its quantile costs ten times the draw.

Values are never negative, never NaN and never above ten years (:data:`sim.units.MAX_DURATION_US`):
families with a tail beyond that, or below zero, are cut there. ``mean_us`` is the mean before rounding
and before the upper cut; it is ``math.inf`` where the family has none.

Left out: dependence between draws, and distributions that change with time. The formulas are those of
Johnson, Kotz and Balakrishnan, *Continuous Univariate Distributions*; z(q) is the standard normal
quantile, and "a percentile" is one of p90, p95, p99 and p999 (of 100, and of 1,000 the last).
"""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from itertools import pairwise, repeat
from pathlib import Path
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self, get_args

from pydantic import Field, RootModel, Strict, ValidationInfo, model_serializer, model_validator
from typing_extensions import TypeAliasType

from sim.csv_rows import MAX_ROWS, read_rows
from sim.lazy import LazyModule
from sim.schema import FROZEN, Choice, Duration, Interval, OneOf, Part, field, suggest
from sim.units import MAX_DURATION_US, UNITS_US, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import SerializerFunctionWrapHandler

    Floats = NDArray[np.float64]
else:
    np = LazyModule("numpy")  # a fifth of what reading a scenario would cost

PERCENTILES: Final[Mapping[str, float]] = {"p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
_BELOW_ONE: Final = math.nextafter(1.0, 0.0)
_LEAST_UNIFORM: Final = 2.0**-54
"""Half the least uniform above 0 that a generator gives."""


class Family(Choice):
    """What every distribution can do. Durations are microseconds."""

    example: ClassVar[str]

    @abstractmethod
    def quantile(self, uniform: Floats) -> Floats:
        """Give the values below which a share ``uniform`` (0 <= u < 1) of all draws lies; not yet rounded."""

    @abstractmethod
    def mean_us(self) -> float:
        """Give the mean; ``math.inf`` where there is none."""

    def draw(self, generator: np.random.Generator, n: int) -> NDArray[np.int64]:
        """Draw ``n`` values as whole microseconds.

        Drawing 8 and then 16 values gives the same values as drawing 24.
        """
        return _whole_us(self.quantile(generator.random(n)))

    def sampler(self, generator: np.random.Generator) -> Callable[[], int]:
        """Give a function that returns the next of :meth:`draws` at each call."""
        return self.draws(generator).__next__

    def draws(self, generator: np.random.Generator) -> Iterator[int]:
        """Give values one by one, without end.

        They are drawn in blocks, so the generator must belong to this iterator alone.
        """
        from sim.rng import in_blocks  # it needs numpy, which reading a scenario does not

        return in_blocks(lambda: partial(self.draw, generator))


class Constant(RootModel[Duration], Family):
    """Always the same duration; ``50ms`` alone says the same."""

    model_config = FROZEN
    key: ClassVar[str] = "constant"
    example: ClassVar[str] = "{constant: 50ms}"

    def quantile(self, uniform: Floats) -> Floats:
        """Q(u) = the constant."""
        return np.full(len(uniform), float(self.root))

    def mean_us(self) -> float:
        """Give the constant."""
        return float(self.root)

    def draw(self, generator: np.random.Generator, n: int) -> NDArray[np.int64]:  # noqa: ARG002 - takes nothing from the stream
        """Repeat the constant; nothing is taken from the stream."""
        return np.full(n, self.root, dtype=np.int64)

    def draws(self, generator: np.random.Generator) -> Iterator[int]:  # noqa: ARG002 - takes nothing from the stream
        """Give the constant again and again."""
        return repeat(self.root)


class Uniform(Part, Family):
    """Evenly spread between two durations."""

    key: ClassVar[str] = "uniform"
    example: ClassVar[str] = "{uniform: {from: 1ms, to: 5ms}}"

    from_: Duration = field(..., "The shortest duration.", alias="from")
    to: Duration = field(..., "The longest duration.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ascending({"from": self.from_, "to": self.to})
        return self

    def quantile(self, uniform: Floats) -> Floats:
        """Q(u) = from + u (to - from)."""
        return self.from_ + uniform * (self.to - self.from_)

    def mean_us(self) -> float:
        """(from + to) / 2."""
        return (self.from_ + self.to) / 2


class Triangular(Part, Family):
    """A least, a most likely and a greatest duration."""

    key: ClassVar[str] = "triangular"
    example: ClassVar[str] = "{triangular: {min: 1ms, mode: 2ms, max: 9ms}}"

    min: Duration = field(..., "The shortest duration.")
    mode: Duration = field(..., "The most likely duration.")
    max: Duration = field(..., "The longest duration.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ascending({"min": self.min, "mode": self.mode, "max": self.max})
        return self

    def quantile(self, uniform: Floats) -> Floats:
        """Below the mode min + sqrt(u (max-min)(mode-min)), then max - sqrt((1-u)(max-min)(max-mode))."""
        width = self.max - self.min
        rising = self.min + np.sqrt(uniform * width * (self.mode - self.min))
        falling = self.max - np.sqrt((1 - uniform) * width * (self.max - self.mode))
        return np.where(uniform * width < self.mode - self.min, rising, falling)

    def mean_us(self) -> float:
        """(min + mode + max) / 3."""
        return (self.min + self.mode + self.max) / 3


Ways = Mapping[tuple[str, ...], Callable[..., tuple[float, float]]]


class _Solved(Part, Family):
    """A family with a scale and a shape, which a scenario may give by several pairs of parameters.

    ``ways`` maps each legal combination of keys to the function that turns their values into (scale, shape);
    ``tail`` stands for one of the percentiles, and its value is a pair (q, microseconds).
    """

    ways: ClassVar[Ways]
    shape_limits: ClassVar[tuple[str, float, float]]

    @cached_property
    def parameters(self) -> tuple[float, float]:
        """Scale in microseconds, and shape."""
        given = self._given()
        known: dict[str, Any] = {name: value for name, value in given.items() if name not in PERCENTILES}
        tails = [(PERCENTILES[name], value) for name, value in given.items() if name in PERCENTILES]
        if tails:
            known["tail"] = tails[0]
        for way, solve in self.ways.items():
            if known.keys() == set(way) and len(tails) <= 1:
                scale, shape = solve(**known)
                return float(scale), float(shape)
        raise ValueError(f"{self.key} takes {self._legal_ways()}, not {' and '.join(given) or 'nothing'}")

    def _given(self) -> dict[str, float]:
        """Give the parameters that the scenario gives, percentiles last."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: values[name]
            for name in sorted(values, key=PERCENTILES.__contains__)
            if values[name] is not None
        }

    @model_validator(mode="after")
    def _check(self) -> Self:
        name, low, high = self.shape_limits
        shape = self.parameters[1]
        if not low <= shape <= high:
            raise ValueError(f"{name} would be {shape:.4g}, outside {low:g} to {high:g}")
        return self

    @model_serializer(mode="wrap")
    def _write_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written = handler(self)
        return {name: written[name] for name in self._given()}

    @classmethod
    def _legal_ways(cls) -> str:
        percentile = f"a percentile ({', '.join(PERCENTILES)})"
        ways = [" and ".join(percentile if name == "tail" else name for name in way) for way in cls.ways]
        return ", or ".join(ways)


class _WithTail(_Solved):
    p90: Interval | None = field(None, "The duration that 90 of 100 draws stay below.")
    p95: Interval | None = field(None, "The duration that 95 of 100 draws stay below.")
    p99: Interval | None = field(None, "The duration that 99 of 100 draws stay below.")
    p999: Interval | None = field(None, "The duration that 999 of 1,000 draws stay below.")


class Exponential(_WithTail):
    """Memoryless: waits between independent events.

    Q(u) = -mean ln(1 - u). Given the median: mean = median / ln 2; given a percentile q with value x:
    mean = x / -ln(1 - q).
    """

    key: ClassVar[str] = "exponential"
    example: ClassVar[str] = "{exponential: {mean: 80us}}"

    mean: Interval | None = field(None, "The mean.")
    median: Interval | None = field(None, "The median.")

    shape_limits: ClassVar[tuple[str, float, float]] = ("shape", 1, 1)
    ways: ClassVar[Ways] = {
        ("mean",): lambda mean: (mean, 1),
        ("median",): lambda median: (median / math.log(2), 1),
        ("tail",): lambda tail: (tail[1] / -math.log1p(-tail[0]), 1),
    }

    def quantile(self, uniform: Floats) -> Floats:
        """Q(u) = -mean ln(1 - u)."""
        return -self.parameters[0] * np.log1p(-uniform)

    def mean_us(self) -> float:
        """Give the mean."""
        return self.parameters[0]


class LogNormal(_WithTail):
    """The logarithm is normal: what networks and work usually look like.

    Q(u) = median exp(sigma z(u)). The other parameters give sigma and median by

    - percentile q with value x: sigma = ln(x / median) / z(q)
    - mean = median exp(sigma^2 / 2)
    - cv (standard deviation / mean): sigma^2 = ln(1 + cv^2); sd = cv mean
    - mean and percentile: the smaller root of sigma^2 / 2 - z(q) sigma + ln(x / mean) = 0
    """

    key: ClassVar[str] = "lognormal"
    example: ClassVar[str] = "{lognormal: {median: 300us, p99: 3ms}}"

    median: Interval | None = field(None, "The median.")
    mean: Interval | None = field(None, "The mean.")
    sigma: float | None = field(None, "Standard deviation of the logarithm.", ge=0, le=10)
    cv: float | None = field(None, "Coefficient of variation: standard deviation over mean.", ge=0, le=1e6)
    sd: Duration | None = field(None, "Standard deviation.")

    shape_limits: ClassVar[tuple[str, float, float]] = ("sigma", 0, 10)
    ways: ClassVar[Ways] = {
        ("median", "tail"): lambda median, tail: (median, _sigma_of_tail(median, tail)),
        ("median", "sigma"): lambda median, sigma: (median, sigma),
        ("median", "mean"): lambda median, mean: (median, _sigma_of_mean(median, mean)),
        ("mean", "sigma"): lambda mean, sigma: _lognormal_of_mean(mean, sigma),
        ("mean", "cv"): lambda mean, cv: _lognormal_of_mean(mean, math.sqrt(math.log1p(cv**2))),
        ("mean", "sd"): lambda mean, sd: _lognormal_of_mean(mean, math.sqrt(math.log1p((sd / mean) ** 2))),
        ("mean", "tail"): lambda mean, tail: _lognormal_of_mean(mean, _sigma_of_mean_and_tail(mean, tail)),
    }

    def quantile(self, uniform: Floats) -> Floats:
        """Q(u) = median exp(sigma z(u))."""
        from scipy.special import ndtri  # costs 0.2 s, which reading a scenario need not pay

        median, sigma = self.parameters
        if sigma == 0:
            return np.full(len(uniform), median)  # 0 z(0) is not a number
        return median * np.exp(sigma * np.asarray(ndtri(uniform), dtype=np.float64))

    def mean_us(self) -> float:
        """Median exp(sigma^2 / 2)."""
        median, sigma = self.parameters
        return median * math.exp(sigma**2 / 2)


class Normal(Part, Family):
    """The bell curve; durations have no negative part, so what falls there is cut to 0 or folded back.

    With sd well below the mean there is next to nothing to cut: at 5 standard deviations 3 draws in 10
    million.
    """

    key: ClassVar[str] = "normal"
    example: ClassVar[str] = "{normal: {mean: 10ms, sd: 2ms}}"

    mean: Duration = field(..., "The mean, before anything is cut or folded.")
    sd: Interval = field(..., "The standard deviation, before anything is cut or folded.")
    below_zero: Literal["cut", "fold"] = field(
        "cut", "What becomes of values below 0: 0 itself, or the same value without its sign."
    )

    def quantile(self, uniform: Floats) -> Floats:
        """Q(u) = max(0, mean + sd z(u)); folded: |mean + sd z(u)|, no quantile but so distributed."""
        from scipy.special import ndtri  # costs 0.2 s, which reading a scenario need not pay

        if self.below_zero == "cut":
            return np.maximum(0.0, self.mean + self.sd * np.asarray(ndtri(uniform), dtype=np.float64))
        # z(0) is minus infinity, which folded would be an endless duration.
        inside = np.maximum(uniform, _LEAST_UNIFORM)
        return np.abs(self.mean + self.sd * np.asarray(ndtri(inside), dtype=np.float64))

    def mean_us(self) -> float:
        """With r = mean / sd: mean Phi(r) + sd phi(r); folded: mean (2 Phi(r) - 1) + 2 sd phi(r)."""
        standard, r = NormalDist(), self.mean / self.sd
        if self.below_zero == "cut":
            return self.mean * standard.cdf(r) + self.sd * standard.pdf(r)
        return self.mean * (2 * standard.cdf(r) - 1) + 2 * self.sd * standard.pdf(r)


class Gamma(_Solved):
    """A sum of ``shape`` exponential steps, for any shape above 0.

    Q(u) = scale P^-1(shape, u), with P the regularised lower incomplete gamma function. mean = shape scale;
    cv = 1 / sqrt(shape); sd = cv mean.
    """

    key: ClassVar[str] = "gamma"
    example: ClassVar[str] = "{gamma: {shape: 2, mean: 10ms}}"

    shape: float | None = field(None, "Shape: 1 is exponential, large is nearly constant.", ge=0.01, le=1e6)
    scale: Interval | None = field(None, "Scale.")
    mean: Interval | None = field(None, "The mean.")
    cv: float | None = field(None, "Coefficient of variation: standard deviation over mean.", ge=1e-3, le=10)
    sd: Interval | None = field(None, "Standard deviation.")

    shape_limits: ClassVar[tuple[str, float, float]] = ("shape", 0.01, 1e6)
    ways: ClassVar[Ways] = {
        ("shape", "scale"): lambda shape, scale: (scale, shape),
        ("shape", "mean"): lambda shape, mean: (mean / shape, shape),
        ("mean", "cv"): lambda mean, cv: (mean * cv**2, cv**-2),
        ("mean", "sd"): lambda mean, sd: (sd**2 / mean, (mean / sd) ** 2),
    }

    def quantile(self, uniform: Floats) -> Floats:
        """Q(u) = scale P^-1(shape, u)."""
        from scipy.special import gammaincinv  # costs 0.2 s, which reading a scenario need not pay

        scale, shape = self.parameters
        return scale * np.asarray(gammaincinv(shape, uniform), dtype=np.float64)

    def draw(self, generator: np.random.Generator, n: int) -> NDArray[np.int64]:
        """Draw natively (see the module): the stream gives a varying number of uniforms a value."""
        scale, shape = self.parameters
        return _whole_us(scale * generator.standard_gamma(shape, n))

    def mean_us(self) -> float:
        """Shape times scale."""
        scale, shape = self.parameters
        return scale * shape


class Weibull(_WithTail):
    """Times to failure.

    Q(u) = scale (-ln(1 - u))^(1/shape); mean = scale Gamma(1 + 1/shape). A percentile q (the median: 0.5)
    with value x gives scale = x (-ln(1 - q))^(-1/shape), and two of them give
    shape = ln(ln(1 - q) / ln(1/2)) / ln(x / median).
    """

    key: ClassVar[str] = "weibull"
    example: ClassVar[str] = "{weibull: {shape: 0.7, mean: 30s}}"

    shape: float | None = field(
        None, "Shape: below 1 early failures, 1 exponential, above 1 wear.", ge=0.05, le=1000
    )
    scale: Interval | None = field(None, "Scale: 63 of 100 draws stay below it.")
    mean: Interval | None = field(None, "The mean.")
    median: Interval | None = field(None, "The median.")

    shape_limits: ClassVar[tuple[str, float, float]] = ("shape", 0.05, 1000)
    ways: ClassVar[Ways] = {
        ("shape", "scale"): lambda shape, scale: (scale, shape),
        ("shape", "mean"): lambda shape, mean: (mean / math.gamma(1 + 1 / shape), shape),
        ("shape", "median"): lambda shape, median: _weibull_of_percentile(shape, (0.5, median)),
        ("shape", "tail"): lambda shape, tail: _weibull_of_percentile(shape, tail),
        ("median", "tail"): lambda median, tail: _weibull_of_percentile(
            math.log(-math.log1p(-tail[0]) / math.log(2)) / _log_ratio(median, tail), tail
        ),
    }

    def quantile(self, uniform: Floats) -> Floats:
        """Q(u) = scale (-ln(1 - u))^(1/shape)."""
        scale, shape = self.parameters
        return scale * (-np.log1p(-uniform)) ** (1 / shape)

    def mean_us(self) -> float:
        """Scale Gamma(1 + 1/shape)."""
        scale, shape = self.parameters
        return scale * math.gamma(1 + 1 / shape)


class Pareto(_WithTail):
    """A heavy tail (type I).

    Q(u) = min (1 - u)^(-1/alpha); mean = min alpha / (alpha - 1) for alpha > 1, infinite otherwise. A
    percentile q (the median: 0.5) with value x gives min = x (1 - q)^(1/alpha), and two of them give
    alpha = ln((1/2) / (1 - q)) / ln(x / median).
    """

    key: ClassVar[str] = "pareto"
    example: ClassVar[str] = "{pareto: {alpha: 1.5, min: 10ms}}"

    alpha: float | None = field(
        None, "Tail index: the smaller, the heavier; no mean at 1 or below.", ge=0.1, le=1000
    )
    min: Interval | None = field(None, "The shortest duration.")
    mean: Interval | None = field(None, "The mean (alpha above 1).")
    median: Interval | None = field(None, "The median.")

    shape_limits: ClassVar[tuple[str, float, float]] = ("alpha", 0.1, 1000)
    ways: ClassVar[Ways] = {
        ("alpha", "min"): lambda alpha, min: (min, alpha),  # noqa: A006 - the key's own name
        ("alpha", "mean"): lambda alpha, mean: (_pareto_min_of_mean(alpha, mean), alpha),
        ("alpha", "median"): lambda alpha, median: _pareto_of_percentile(alpha, (0.5, median)),
        ("alpha", "tail"): lambda alpha, tail: _pareto_of_percentile(alpha, tail),
        ("median", "tail"): lambda median, tail: _pareto_of_percentile(
            math.log(0.5 / (1 - tail[0])) / _log_ratio(median, tail), tail
        ),
    }

    def quantile(self, uniform: Floats) -> Floats:
        """Q(u) = min (1 - u)^(-1/alpha)."""
        least, alpha = self.parameters
        return least * (1 - uniform) ** (-1 / alpha)

    def mean_us(self) -> float:
        """Min alpha / (alpha - 1), or infinite."""
        least, alpha = self.parameters
        return least * alpha / (alpha - 1) if alpha > 1 else math.inf


class Component(Part):
    """One part of a mixture."""

    weight: float = field(1.0, "How often this part is drawn, relative to the other weights.", ge=0, le=1e9)
    of: Distribution = field(..., "The part: a duration or a distribution.")


class Mixture(RootModel[Annotated[tuple[Component, ...], Strict(False), Field(max_length=100)]], Family):
    """Several distributions by weight.

    One uniform chooses the part and, stretched to (0, 1) again, draws from it. So the function below is
    no quantile of the whole (its parts are not ordered), but its values have the mixture's distribution.
    """

    model_config = FROZEN
    key: ClassVar[str] = "mixture"
    example: ClassVar[str] = "{mixture: [{weight: 9, of: 10ms}, {weight: 1, of: {exponential: {mean: 1s}}}]}"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not any(part.weight for part in self.root):
            raise ValueError("at least one part needs a weight above 0")
        return self

    @cached_property
    def _bounds(self) -> list[float]:
        total = math.fsum(part.weight for part in self.root)
        return [math.fsum(part.weight for part in self.root[: i + 1]) / total for i in range(len(self.root))]

    def quantile(self, uniform: Floats) -> Floats:
        """Part i of weight w_i where W_(i-1) <= u < W_i, at its own Q((u - W_(i-1)) / w_i)."""
        values = np.empty(len(uniform))
        low = 0.0
        for part, high in zip(self.root, self._bounds, strict=True):
            chosen = (low <= uniform) & (uniform < high)
            if chosen.any():
                stretched = (uniform[chosen] - low) / (high - low)
                values[chosen] = part.of.quantile(np.minimum(stretched, _BELOW_ONE))
            low = high
        return values

    def mean_us(self) -> float:
        """Give the weighted mean of the parts."""
        total = math.fsum(part.weight for part in self.root)
        return math.fsum(part.weight / total * part.of.mean_us() for part in self.root if part.weight)


class Empirical(Part, Family):
    """Measured durations, resampled.

    Q(u) = the floor(u n)-th of the n sorted values. The path is relative to the scenario's file. The values
    are read when the scenario is loaded and stand in the resolved scenario, so that results say what was
    simulated and can be repeated without the file.
    """

    key: ClassVar[str] = "empirical"
    example: ClassVar[str] = "{empirical: {csv: claims.csv, column: ms, unit: ms}}"

    csv: str | None = field(
        None, "A CSV file with a header, relative to the scenario; read when it is loaded."
    )
    column: str | None = field(None, "The column of the CSV file that holds the durations.")
    unit: Literal["us", "ms", "s", "min", "h"] = field("ms", "The unit of the numbers.")
    values: Annotated[tuple[float, ...], Strict(False)] = field(
        (), "The durations themselves, in place of a file.", max_length=MAX_ROWS
    )
    source: str | None = field(None, "Where the values come from; filled in when a file is read.")

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> Self:
        if self.csv is None and self.values and self.column is None:
            numbers, source = list(self.values), self.source
        elif self.csv is not None and self.column is not None and not self.values:
            folder = Path((info.context or {}).get("folder", "."))
            path = folder / self.csv
            numbers = [_number(row[self.column], path, line) for line, row in read_rows(path, self.column)]
            source = f"{self.csv}, column {self.column}"
        else:
            raise ValueError("empirical takes csv and column, or values")
        canonical = {"csv": None, "column": None, "unit": "us", "source": source,
                     "values": _sorted_us(numbers, self.unit)}  # fmt: skip
        self.__dict__.update(canonical)  # the one place where a frozen model is completed while it is built
        return self

    @model_serializer(mode="plain")
    def _write(self) -> dict[str, Any]:
        written: dict[str, Any] = {"unit": self.unit, "values": list(self.values)}
        return written if self.source is None else {"source": self.source, **written}

    @cached_property
    def _packed(self) -> bytes:
        return np.array(self.values, dtype=np.float64).tobytes()  # bytes, so that models can be compared

    def quantile(self, uniform: Floats) -> Floats:
        """Q(u) = the floor(u n)-th of the n sorted values."""
        values = np.frombuffer(self._packed)
        return values[(uniform * len(values)).astype(np.int64)]

    def mean_us(self) -> float:
        """Give the mean of the values."""
        return fmean(self.values)


class Scipy(Part, Family):
    """Any continuous distribution of ``scipy.stats``.

    What lies below 0 is cut to 0, and so is a value that scipy cannot compute; the mean is that of the cut
    distribution.
    """

    key: ClassVar[str] = "scipy"
    example: ClassVar[str] = "{scipy: {name: burr12, args: {c: 2, d: 1}, scale: 1ms}}"

    name: str = field(..., "The name of the distribution in scipy.stats.")
    args: Mapping[str, float] = field({}, "Its shape parameters, by the names that scipy gives them.")
    scale: Interval = field(..., "The duration that stands for 1 of the standard distribution.")
    loc: Duration = field("0s", "What is added to every value.")

    @cached_property
    def _standard(self) -> Any:
        from scipy import stats

        families = {name for name in dir(stats) if isinstance(getattr(stats, name), stats.rv_continuous)}
        if self.name not in families:
            hint = suggest(self.name, families)
            hint = hint if hint.startswith("did") else "see the continuous distributions of scipy.stats"
            raise ValueError(f"scipy.stats has no continuous distribution {quoted(self.name)} ({hint})")
        family = getattr(stats, self.name)
        shapes = family.shapes.split(", ") if family.shapes else []
        if sorted(shapes) != sorted(self.args):
            wanted = ", ".join(shapes) or "no args"
            raise ValueError(f"{self.name} takes {wanted}, not {', '.join(self.args) or 'nothing'}")
        return family(**self.args)

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            undefined = bool(np.isnan(self._ppf(np.linspace(0.02, 0.98, 25))).any())
        except (ArithmeticError, RuntimeError, TypeError) as error:
            raise ValueError(f"scipy cannot compute {self.name} here ({error})") from error
        if undefined:
            shown = ", ".join(f"{name}={value:g}" for name, value in self.args.items())
            raise ValueError(f"{self.name} is not defined for {shown}")
        return self

    def _ppf(self, uniform: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return np.asarray(self._standard.ppf(uniform), dtype=np.float64)

    def quantile(self, uniform: Floats) -> Floats:
        """Q(u) = max(0, loc + scale ppf(u))."""
        return np.fmax(0.0, self.loc + self.scale * self._ppf(uniform))  # fmax: 0 for what is no number

    def mean_us(self) -> float:
        """Loc + scale mean; integrated numerically where the support reaches below 0."""
        mean = float(self._standard.mean())
        if not math.isfinite(mean):
            return math.inf
        zero = -self.loc / self.scale
        if self._standard.support()[0] < zero:
            from scipy.integrate import quad

            return float(self.scale * quad(self._standard.sf, zero, math.inf)[0])
        return self.loc + self.scale * mean


AnyFamily = (
    Constant
    | Uniform
    | Triangular
    | Exponential
    | LogNormal
    | Normal
    | Gamma
    | Weibull
    | Pareto
    | Mixture
    | Empirical
    | Scipy
)
Distribution = TypeAliasType(
    "Distribution", Annotated[AnyFamily, OneOf("distribution", shorthand=Constant.key)]
)
"""A duration that may vary: a duration string, or one family by name."""

FAMILIES: Final[tuple[type[Family], ...]] = get_args(AnyFamily)
"""Every family that a scenario can name, in the order in which they are listed."""

Component.model_rebuild()
Mixture.model_rebuild(force=True)


def catalogue() -> list[tuple[str, str, str]]:
    """Give name, example and quantile of every family."""
    return [(each.key, each.example, (inspect.getdoc(each.quantile) or "").rstrip(".")) for each in FAMILIES]


def _whole_us(values: Floats) -> NDArray[np.int64]:
    """Round to the clock and keep to its range."""
    return np.rint(np.minimum(values, MAX_DURATION_US)).astype(np.int64)


def _ascending(durations: dict[str, int]) -> None:
    for low, high in pairwise(durations):
        if durations[low] > durations[high]:
            raise ValueError(f"{low} is above {high}")


def _log_ratio(low_us: int, tail: tuple[float, int]) -> float:
    if tail[1] <= low_us:
        raise ValueError("the percentile must lie above the median")
    return math.log(tail[1] / low_us)


def _z(q: float) -> float:
    return NormalDist().inv_cdf(q)


def _sigma_of_tail(median: int, tail: tuple[float, int]) -> float:
    return _log_ratio(median, tail) / _z(tail[0])


def _sigma_of_mean(median: int, mean: int) -> float:
    if mean < median:
        raise ValueError("the mean of a lognormal is at least its median")
    return math.sqrt(2 * math.log(mean / median))


def _sigma_of_mean_and_tail(mean: int, tail: tuple[float, int]) -> float:
    z = _z(tail[0])
    discriminant = z * z - 2 * math.log(tail[1] / mean)
    if tail[1] <= mean or discriminant < 0:
        most = math.exp(z * z / 2)
        raise ValueError(
            f"this percentile of a lognormal lies between its mean and {most:.3g} times its mean"
        )
    return z - math.sqrt(discriminant)


def _lognormal_of_mean(mean: float, sigma: float) -> tuple[float, float]:
    return mean * math.exp(-(sigma**2) / 2), sigma


def _weibull_of_percentile(shape: float, percentile: tuple[float, int]) -> tuple[float, float]:
    q, value = percentile
    return value * (-math.log1p(-q)) ** (-1 / shape), shape


def _pareto_of_percentile(alpha: float, percentile: tuple[float, int]) -> tuple[float, float]:
    q, value = percentile
    return value * (1 - q) ** (1 / alpha), alpha


def _pareto_min_of_mean(alpha: float, mean: int) -> float:
    if alpha <= 1:
        raise ValueError("a pareto has a mean only where alpha is above 1")
    return mean * (alpha - 1) / alpha


def _sorted_us(numbers: list[float], unit: str) -> tuple[int, ...]:
    values = [number * UNITS_US[unit] for number in numbers]
    for number, value in zip(numbers, values, strict=True):
        if not 0 <= value <= MAX_DURATION_US:
            raise ValueError(f"{number:g} {unit} is not a duration from 0 to ten years")
    return tuple(sorted(round(value) for value in values))


def _number(text: str | None, path: Path, line: int) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise ValueError(f"{path}:{line}: {quoted(text)} is not a number") from None
