"""What a sweep answers: a tidy table, the smallest value that meets a bound, break-even, influence.

All points of a sweep have the same seed, so that a replication is the same workload everywhere (common random
numbers): differences between points and arms are taken replication by replication, and the unit of every
interval is the whole replication. Leaves out models of the response (regression, Gaussian processes): between
two swept values a curve is a straight line, beyond them nothing is said.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from sim.analysis.frequency import KIND_NAMES, RUN
from sim.analysis.outcomes import UNITS
from sim.analysis.recovery import QUANTILES
from sim.analysis.statistics import LEVEL, t_interval, t_quantiles
from sim.analysis.text import amount, duration
from sim.schema import suggest
from sim.units import UNITS_US, US_PER_MS, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

RATES: Final = {f"rate of {kind}": "1/s" for kind in KIND_NAMES}
"""The frequency of each kind, as a measure of a run."""

RECOVERIES: Final = {f"recovery_{q} of {kind}": "ms" for kind in KIND_NAMES for q in QUANTILES}
"""The quantiles of recovery from each kind, which only all replications together have."""

RUN_MEASURES: Final = UNITS | RATES
"""What every run has a value of, with units: what can be compared replication by replication."""

MEASURES: Final = RUN_MEASURES | RECOVERIES
"""All measures of a sweep's table, with their units."""

MORE_IS_BETTER: Final = ("goodput_per_s", "completed", "recovered", "fairness")
"""The measures of which one wants more; of all others less."""

TABLE_COLUMNS: Final = ("arm", "measure", "unit", "mean", "ci_low", "ci_high", "n", "interval")

POLICY: Final = "policy"
"""What the arms are called among the inputs of an answer."""

SMALL_SHARE: Final = 0.001
"""Shares below it are told as such."""

_BOUND: Final = re.compile(r"\s*(.+?)\s*(<=|>=|<|>)\s*(.+?)\s*")


def run_values(outcomes: pd.DataFrame, attempts: pd.DataFrame, window_s: float) -> pd.DataFrame:
    """Give the measures of each run, the rate of each kind among them.

    Parameters
    ----------
    outcomes
        One row a run: ``arm, replication`` and the measures of :data:`sim.analysis.outcomes.UNITS`.
    attempts
        Aggregated attempts: ``arm, replication, kind, count``.
    window_s
        Length of the window in simulated seconds.
    """
    refused = attempts.loc[attempts["kind"].notna()].groupby([*RUN, "kind"], observed=True)["count"].sum()
    counts = refused.unstack("kind").reindex(columns=KIND_NAMES)
    keys = pd.MultiIndex.from_frame(outcomes[RUN])
    rates = (counts.reindex(keys).fillna(0) / window_s).add_prefix("rate of ").reset_index(drop=True)
    measures = [name for name in UNITS if name in outcomes]
    return pd.concat([outcomes[[*RUN, *measures]].reset_index(drop=True), rates], axis=1)


def point_table(
    summary: pd.DataFrame, frequency: pd.DataFrame, recovery: pd.DataFrame, runs: pd.DataFrame
) -> pd.DataFrame:
    """Put the tables of one study below each other, a row for each arm and measure.

    Parameters
    ----------
    summary
        ``arm, measure, unit, mean, ci_low, ci_high, interval``.
    frequency
        ``arm, kind, mean, ci_low, ci_high, interval``.
    recovery
        ``arm, kind, recovered, open, p50, p50_low, p50_high, ...``.
    runs
        From :func:`run_values`.

    Returns
    -------
    pandas.DataFrame
        The columns :data:`TABLE_COLUMNS`. ``n``: replications with a value; for quantiles of recovery the
        episodes that the curve is made of.
    """
    present = runs.groupby("arm", sort=False).count()
    measures = summary.assign(
        n=[int(present.loc[a, m]) for a, m in zip(summary["arm"], summary["measure"], strict=True)]
    )
    rates = frequency.assign(
        measure="rate of " + frequency["kind"], unit="1/s", n=frequency["arm"].map(present["replication"])
    )
    quantiles = [
        pd.DataFrame({
            "arm": recovery["arm"], "measure": f"recovery_{q} of " + recovery["kind"], "unit": "ms",
            "mean": recovery[q], "ci_low": recovery[f"{q}_low"], "ci_high": recovery[f"{q}_high"],
            "n": recovery["recovered"] + recovery["open"],
            "interval": np.where(recovery[f"{q}_low"].notna(), "bootstrap", "none"),
        })
        for q in QUANTILES
    ]  # fmt: skip
    parts = [each[list(TABLE_COLUMNS)] for each in (measures, rates, *quantiles)]
    return pd.concat(parts, ignore_index=True)


# --- the parameter along which one asks ----------------------------------------------------------------


class Scale(NamedTuple):
    """A parameter on an axis: its values as numbers of one unit (``""``, ``"us"``, ``"1/s"``)."""

    unit: str
    at: tuple[float, ...]


def scale_of(values: Sequence[Any]) -> Scale | None:
    """Give the values of a parameter as numbers; None where they are not, or not of one unit."""
    read = [quantity(value) for value in values]
    known = [each for each in read if each is not None]
    units = {unit for _, unit in known}
    if len(known) < len(read) or len(units) != 1:
        return None
    return Scale(units.pop(), tuple(number for number, _ in known))


def written(value: float, unit: str) -> str:
    """Write a number of a scale for people."""
    if unit == "us":
        return duration(value / US_PER_MS)
    return f"{value:.4g}/s" if unit else f"{value:.4g}"


# --- the smallest value that meets a bound ------------------------------------------------------------


class Bound(NamedTuple):
    """What a measure is to stay below or above: ``sojourn_p99 < 2s``."""

    measure: str
    sign: str
    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.measure} {self.sign} {amount(self.value, self.unit)}"

    @property
    def above(self) -> bool:
        """Whether more is wanted."""
        return self.sign.startswith(">")


def parse_bound(text: str, measures: Mapping[str, str] = MEASURES) -> Bound:
    """Read ``sojourn_p99 < 2s``, ``rate of lease_conflict < 0.1/s`` or ``goodput_per_s >= 100/s``.

    Parameters
    ----------
    text
        A measure, one of ``< <= > >=`` and a value with the unit of the measure. An interval either lies
        beyond the value or does not, so ``<`` and ``<=`` ask the same.
    measures
        The measures there are, with their units.

    Raises
    ------
    ValueError
        When it is no such bound; the message says what would be right.
    """
    match = _BOUND.fullmatch(text)
    if match is None:
        raise ValueError("write it as 'MEASURE < VALUE' (try 'sojourn_p99 < 2s')")
    measure, sign, value = match.groups()
    check_measure(measure, measures)
    return Bound(measure, sign, _amount_of(value, measures[measure], measure), measures[measure])


def check_measure(measure: str, measures: Mapping[str, str]) -> None:
    """Refuse a measure that there is not.

    Raises
    ------
    ValueError
        With what was probably meant, and all measures.
    """
    if measure in measures:
        return
    near = suggest(measure, measures)
    hint = f"{near} " if near.startswith("did") else ""
    plain = ", ".join(name for name in measures if " of " not in name)
    kinds = [
        f"'{start} of KIND'" for start in dict.fromkeys(n.split(" of ")[0] for n in measures if " of " in n)
    ]
    more = f", and of each kind {', '.join(kinds)}" if kinds else ""
    raise ValueError(f"there is no measure {measure!r} ({hint}The measures are {plain}{more})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetAnswer:
    """The smallest value of a parameter that meets a bound.

    Attributes
    ----------
    arm : str
    fixed : dict
        The values of the other parameters.
    bound : str
    value : object
        The smallest swept value whose whole interval lies beyond the bound; None where there is none.
    missed : object
        The largest swept value below it whose whole interval lies on the wrong side; None where there is
        none. The smallest value that would do lies in (``missed``, ``value``].
    until : object
        The largest value up to which all from ``value`` on meet the bound with confidence.
    monotone : bool
        Whether all greater values meet it too.
    mean, ci_low, ci_high : float
        The measure at ``value``, or at the value that comes nearest where none meets the bound.
    words : str
        All that as a sentence.
    """

    arm: str
    fixed: dict[str, Any]
    bound: str
    value: Any
    missed: Any
    until: Any
    monotone: bool
    mean: float
    ci_low: float
    ci_high: float
    words: str

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON; NaN becomes null."""
        return {name: _json(getattr(self, name)) for name in self.__slots__}


def target(table: pd.DataFrame, bound: Bound, along: str, values: Sequence[Any]) -> list[TargetAnswer]:
    """Find the smallest value of one parameter that meets a bound with confidence.

    A value *meets* the bound when its whole 95 % interval lies beyond it, *misses* it when the whole interval
    lies on the wrong side, and is *undecided* in between. The interval of the answer is the inverse of the
    band of intervals: values neither of which is refuted. Where greater values meet the bound as well, no
    correction for the number of values is due, as the hypotheses are ordered (Hsu and Berger, "Stepwise
    confidence intervals without multiplicity adjustment for dose-response and toxicity studies", Journal of
    the American Statistical Association 94, 1999); where they do not, the answer says so.

    Parameters
    ----------
    table
        Rows of a sweep's table for the bound's measure.
    bound
        What is to be met.
    along
        The parameter, whose values are numbers of one unit.
    values
        Its swept values.

    Returns
    -------
    list of TargetAnswer
        One for each combination of the other parameters and each arm.
    """
    order = ordered(values)
    others = [name for name in table.columns if name not in ("point", along, *TABLE_COLUMNS)]
    answers = []
    for key, group in table.groupby([*others, "arm"], sort=False):
        *fixed, arm = key
        rows = {row[along]: row for row in group.to_dict("records")}
        along_rows = [(value, rows[value]) for value in order if value in rows]
        answers.append(_answer(along_rows, bound, along, str(arm), dict(zip(others, fixed, strict=True))))
    return answers


def _answer(
    rows: list[tuple[Any, dict[Any, Any]]], bound: Bound, along: str, arm: str, fixed: dict[str, Any]
) -> TargetAnswer:
    sign = -1 if bound.above else 1
    worst, best = ("ci_low", "ci_high") if bound.above else ("ci_high", "ci_low")
    states = []
    for _, row in rows:
        met = sign * row[worst] < sign * bound.value
        states.append("met" if met else "missed" if sign * row[best] >= sign * bound.value else "undecided")
    first = states.index("met") if "met" in states else None
    run = (
        0
        if first is None
        else next((i for i, s in enumerate(states[first:]) if s != "met"), len(states) - first)
    )
    below = states if first is None else states[:first]
    missed = max((place for place, state in enumerate(below) if state == "missed"), default=None)
    nearest = min(range(len(rows)), key=lambda i: (math.isnan(rows[i][1]["mean"]), sign * rows[i][1]["mean"]))
    shown = rows[nearest if first is None else first]
    values = [value for value, _ in rows]
    return TargetAnswer(
        arm=arm, fixed=fixed, bound=str(bound), value=None if first is None else values[first],
        missed=None if missed is None else values[missed],
        until=None if first is None else values[first + run - 1],
        monotone=first is not None and first + run == len(rows),
        mean=shown[1]["mean"], ci_low=shown[1]["ci_low"], ci_high=shown[1]["ci_high"],
        words=_words(bound, along, rows, states, shown),
    )  # fmt: skip


def _words(
    bound: Bound,
    along: str,
    rows: list[tuple[Any, dict[Any, Any]]],
    states: list[str],
    shown: tuple[Any, dict[Any, Any]],
) -> str:
    """Say which value answers a target, how sure that is, and what greater values do."""
    at = f"{bound.measure} is {_with_interval(shown[1], bound.unit)} at {shown[0]}"
    if "met" not in states:
        undecided = [
            str(value) for (value, _), state in zip(rows, states, strict=True) if state == "undecided"
        ]
        why = f"undecided at {', '.join(undecided)}" if undecided else "all miss it with confidence"
        return f"{bound}: no swept {along} meets it with confidence ({why}; nearest: {at})"
    first = states.index("met")
    refuted = [place for place in range(first) if states[place] == "missed"]
    if first == 0:
        where = f"{rows[0][0]} is the smallest that was swept"
    elif refuted:
        where = f"the smallest that meets it lies in ({rows[refuted[-1]][0]}, {rows[first][0]}]"
    else:
        where = f"smaller ones are undecided: it may be {rows[0][0]} or less"
    words = f"{bound}: {along} = {rows[first][0]} meets it with confidence ({at}); {where}"
    fails = [f"{rows[i][0]} ({states[i]})" for i in range(first + 1, len(rows)) if states[i] != "met"]
    return f"{words}; not monotone: it is not met at {', '.join(fails)}" if fails else words


def _with_interval(row: Mapping[Any, Any], unit: str) -> str:
    ends = f"{amount(row['ci_low'], unit)} to {amount(row['ci_high'], unit)}"
    return f"{amount(row['mean'], unit)} ({'no interval' if math.isnan(row['ci_low']) else ends})"


def _amount_of(text: str, unit: str, measure: str) -> float:
    """Read a value in the unit of a measure."""
    number = _plain_number(text)
    read = (number, "") if number is not None else quantity(text)
    if read is not None:
        value, of = read
        if of == "us" and unit in UNITS_US:
            return value / UNITS_US[unit]
        if of == "1/s" and unit == "1/s":
            return value
        if of == "" and (value == 0 or unit not in (*UNITS_US, "1/s")):
            return value
    example = "2s" if unit in UNITS_US else "0.1/s" if unit == "1/s" else "1.5"
    what = {"1/s": "a rate"}.get(unit, "a duration" if unit in UNITS_US else "a number")
    raise ValueError(f"{text!r} is not {what}, as {measure} is (try '{example}')")


def _plain_number(text: str) -> float | None:
    share = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return None
    return (number / 100 if share else number) if math.isfinite(number) else None


# --- break-even -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """From which value of a parameter on one arm beats another.

    Attributes
    ----------
    first, second : str
        The arms; the question is where the second is better.
    measure : str
    fixed : dict
        The values of the other parameters.
    verdict : str
        From what is known with confidence (Student's interval of the paired difference) at each value:
        ``always`` or ``never`` at every one; ``from`` a value on or ``up to`` a value, where the values at
        which the second is better all lie on one side of the others; ``several`` where it is better and
        worse in turns; ``undecided`` otherwise.
    at : tuple of float
        Where the mean difference crosses zero between those sides, in the unit of the parameter
        (microseconds for durations, per second for rates); none where it does so beyond the range.
    low, high : float or None
        The interval of the crossing; None where it reaches the end of the range, so that the crossing may
        lie beyond it, and where there is no verdict ``from`` or ``up to``.
    differences : pandas.DataFrame
        ``x, mean, ci_low, ci_high`` of second minus first at each swept value.
    words : str
        All that as a sentence.
    """

    first: str
    second: str
    measure: str
    fixed: dict[str, Any]
    verdict: str
    at: tuple[float, ...]
    low: float | None
    high: float | None
    differences: pd.DataFrame
    words: str

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON; NaN becomes null."""
        values = {name: _json(getattr(self, name)) for name in self.__slots__ if name != "differences"}
        return values | {"differences": records(self.differences)}


def break_even(
    runs: pd.DataFrame, first: str, second: str, measure: str, along: str, values: Sequence[Any]
) -> list[BreakEven]:
    """Find where along a parameter the second arm begins to beat the first.

    Of each replication the difference of the arms is taken at every value and joined by straight lines. The
    crossing is where the mean difference is zero; its interval is what is left when every place is excluded
    at which Student's interval of the paired difference excludes zero (Fieller, "Some problems in interval
    estimation", Journal of the Royal Statistical Society B 16, 1954). Between two values the difference is
    linear in the replications' differences, so the ends solve a quadratic equation exactly. No resampling,
    and valid from two replications on.

    Parameters
    ----------
    runs
        One row a run: the parameters, ``arm, replication`` and the measure.
    first, second
        The arms.
    measure
        One of :data:`RUN_MEASURES`; more is better for those of :data:`MORE_IS_BETTER`.
    along
        The parameter, whose values are numbers of one unit.
    values
        Its swept values.

    Returns
    -------
    list of BreakEven
        One for each combination of the other parameters.

    Raises
    ------
    ValueError
        When fewer than two replications have the measure at every value in both arms.
    """
    scale = scale_of(values)
    assert scale is not None, "the caller asks along numbers"
    place = dict(zip(values, scale.at, strict=True))
    others = [c for c in runs.columns if c not in ("point", along, *RUN, *RUN_MEASURES)]
    groups = runs.groupby(others, sort=False) if others else [((), runs)]
    answers = []
    for key, group in groups:
        wide = group.assign(x=group[along].map(place)).pivot(
            index="replication", columns=["arm", "x"], values=measure
        )
        paired = pd.DataFrame(wide[second] - wide[first]).dropna().sort_index(axis=1)
        if len(paired) < 2 or paired.shape[1] < 2:
            raise ValueError(
                f"a break-even of {measure} needs two values of {along} and two replications that have it at "
                f"every value, not {paired.shape[1]} and {len(paired)}"
            )
        fixed = dict(zip(others, key, strict=True))
        answers.append(_cross(paired, scale.unit, (first, second), measure, along, fixed))
    return answers


class _Zone(NamedTuple):
    """Where the sign changes with confidence: the indices of the values on both sides, and the verdict."""

    verdict: str
    first: int
    last: int


def _cross(
    paired: pd.DataFrame, unit: str, arms: tuple[str, str], measure: str, along: str, fixed: dict[str, Any]
) -> BreakEven:
    """Answer for one row of values; a gain is a difference in the direction that is better."""
    x = paired.columns.to_numpy(dtype=float)
    sign = 1.0 if measure in MORE_IS_BETTER else -1.0
    gains = sign * paired.to_numpy(dtype=float)
    intervals = [t_interval(column) for column in gains.T]
    states = ["better" if each.low > 0 else "worse" if each.high < 0 else "" for each in intervals]
    zone = _zone(states)
    low = high = None
    at: tuple[float, ...] = ()
    if zone.verdict in ("from", "up to"):
        inside = slice(zone.first, zone.last + 1)
        low, high = _undecided(x[inside], gains[:, inside])
        at = tuple(_zeros(x[inside], gains[:, inside].mean(axis=0)))
    differences = pd.DataFrame(
        {
            "x": x,
            "mean": [sign * each.mean for each in intervals],
            "ci_low": [min(sign * each.low, sign * each.high) for each in intervals],
            "ci_high": [max(sign * each.low, sign * each.high) for each in intervals],
        }
    )
    labels = [written(each, unit) for each in x]
    text = f"{arms[1]} beats {arms[0]} in {measure} at {along}: "
    if zone.verdict in ("from", "up to"):
        ends = (
            f"below {labels[0]}" if low is None else written(low, unit),
            f"above {labels[-1]}" if high is None else written(high, unit),
        )
        about = ", ".join(written(each, unit) for each in at) or "beyond what was swept"
        text += f"{zone.verdict} {about}{' on' if zone.verdict == 'from' else ''}"
        text += f" (95 % interval {ends[0]} to {ends[1]})"
    else:
        text += (
            f"{zone.verdict} from {labels[0]} to {labels[-1]}"
            if zone.verdict != "several"
            else "here and there"
        )
        text += f" ({_told(states, labels, arms)})"
    return BreakEven(
        first=arms[0], second=arms[1], measure=measure, fixed=fixed, verdict=zone.verdict, at=at, low=low,
        high=high, differences=differences, words=text,
    )  # fmt: skip


def _zone(states: Sequence[str]) -> _Zone:
    """Find the one place where the sign changes, from what is known with confidence at each value."""
    last = len(states) - 1
    better = [place for place, state in enumerate(states) if state == "better"]
    worse = [place for place, state in enumerate(states) if state == "worse"]
    if len(better) == len(states):
        return _Zone("always", 0, last)
    if len(worse) == len(states):
        return _Zone("never", 0, last)
    if better and worse:
        if worse[-1] < better[0]:
            return _Zone("from", worse[-1], better[0])
        if better[-1] < worse[0]:
            return _Zone("up to", better[-1], worse[0])
        return _Zone("several", 0, last)
    if better == list(range(last + 1 - len(better), last + 1)) and better:
        return _Zone("from", 0, better[0])
    if better == list(range(len(better))) and better:
        return _Zone("up to", better[-1], last)
    return _Zone("undecided", 0, last)


def _told(states: Sequence[str], labels: Sequence[str], arms: tuple[str, str]) -> str:
    """Say at which values which arm is better with confidence."""
    words = []
    for arm, state in ((arms[1], "better"), (arms[0], "worse")):
        places = [label for label, each in zip(labels, states, strict=True) if each == state]
        if len(places) == len(labels):
            return f"with confidence at every value {arm} is better"
        if places:
            words.append(f"{arm} is better with confidence at {', '.join(places)}")
    return "; ".join(words) or "no value shows a difference with confidence"


def _zeros(x: NDArray[np.float64], means: NDArray[np.float64]) -> list[float]:
    """Give where a line through the means crosses zero."""
    found = []
    for (a, b), (u, v) in zip(pairwise(x), pairwise(means), strict=True):
        if u * v < 0:
            found.append(float(a + (b - a) * u / (u - v)))
        elif v == 0 and u != 0:
            found.append(float(b))
    return found


def _undecided(x: NDArray[np.float64], gains: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Give the ends of what is not decided; None for an end at the end of the range, or for none."""
    inside: list[float] = []
    factor = float(t_quantiles(LEVEL, len(gains) - 1)) ** 2 / len(gains)
    for (a, b), (left, right) in zip(pairwise(x), pairwise(gains.T), strict=True):
        step = right - left
        cross = float(np.cov(left, step)[0, 1])
        square = float(step.mean()) ** 2 - factor * float(step.var(ddof=1))
        middle = 2 * (float(left.mean()) * float(step.mean()) - factor * cross)
        rest = float(left.mean()) ** 2 - factor * float(left.var(ddof=1))
        ends = np.roots([square, middle, rest])
        solved = [float(w) for w in ends[np.isreal(ends)].real if 0 <= w <= 1]
        solved += [w for w in (0.0, 1.0) if square * w * w + middle * w + rest <= 0]
        inside += [a + (b - a) * w for w in solved]
    if not inside:
        return None, None
    low, high = min(inside), max(inside)
    return (None if low <= x[0] else low), (None if high >= x[-1] else high)


# --- influence ------------------------------------------------------------------------------------------


def influence(runs: pd.DataFrame, factors: Mapping[str, Sequence[Any]], measure: str) -> pd.DataFrame:
    """Rank the inputs by how far they move a measure over the grid.

    The sweep is a full factorial design. ``share`` is the main effect's part of the variance of the means of
    the grid's points: the first-order sensitivity index (Saltelli et al., *Global Sensitivity Analysis: The
    Primer*, 2008, section 4.5), for each value equally likely. What the shares lack to 1 is interaction and
    sampling noise. ``effect`` is the mean at an input's last value minus that at its first, over all values
    of the others; its interval is Student's, of the effects of the replications (Law, *Simulation Modeling
    and Analysis*, 5th ed., section 12.2).

    Parameters
    ----------
    runs
        One row a run: the parameters, ``arm, replication`` and the measure.
    factors
        The inputs with their values, from the first to the last; :data:`POLICY` for the arms.
    measure
        One of :data:`RUN_MEASURES`.

    Returns
    -------
    pandas.DataFrame
        ``input, measure, unit, from, to, share, effect, ci_low, ci_high, effect_share``, the most
        influential input first; ``effect_share`` is the effect over the mean of the grid. NaN where no
        replication has the measure at every point, and ``share`` also where nothing varies.
    """
    inputs = {name: list(values) for name, values in factors.items() if len(values) > 1}
    table = runs.rename(columns={"arm": POLICY}).pivot(
        index="replication", columns=list(factors), values=measure
    )
    complete = table.dropna()  # a replication counts where every point has its value: the design is balanced
    cells = complete.mean()
    grand, total = float(cells.mean()), float(cells.var(ddof=0))
    rows = []
    for name, values in inputs.items():
        share = float(cells.groupby(level=name).mean().var(ddof=0)) / total if total > 0 else math.nan
        each = complete.T.groupby(level=name).mean().T
        effect = t_interval(each[values[-1]] - each[values[0]])
        relative = effect.mean / abs(grand) if grand else math.nan
        rows.append(
            (name, measure, RUN_MEASURES[measure], values[0], values[-1], share, *effect[:3], relative)
        )
    columns = [
        "input",
        "measure",
        "unit",
        "from",
        "to",
        "share",
        "effect",
        "ci_low",
        "ci_high",
        "effect_share",
    ]
    ranked = pd.DataFrame(rows, columns=columns)
    return ranked.sort_values("share", ascending=False, kind="stable").reset_index(drop=True)


def ordered(values: Sequence[Any]) -> list[Any]:
    """Give a parameter's values from the smallest to the largest; in the order given where they are words."""
    scale = scale_of(values)
    if scale is None:
        return list(values)
    key: Callable[[int], float] = scale.at.__getitem__
    return [values[place] for place in sorted(range(len(values)), key=key)]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows of a table as JSON: NaN becomes null."""
    return [{str(name): _json(value) for name, value in row.items()} for row in table.to_dict("records")]


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
