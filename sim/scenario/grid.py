"""``--grid PATH=VALUES``: the same scenario at every combination of some of its values.

Values stand in a list, ``workers.count=8,16,32``, or in a range with a step, ``8..64:8``, or with a factor,
``8..64*2``; amounts carry units as in a scenario (``1s..16s*2``, ``10/s..50/s:10/s``), and a value may be
whatever YAML writes in a list (``store.service={constant: 80us},{exponential: {mean: 80us}}``). A range holds
its first value and goes up to its last, which it holds if a step ends there.
"""

from __future__ import annotations

import itertools
import math
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.scenario.document import DocumentError, read
from sim.scenario.errors import ScenarioError
from sim.scenario.loader import load
from sim.scenario.overrides import Override
from sim.units import format_duration, format_rate, quantity, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sim.scenario.model import Scenario

MOST_POINTS: Final = 1_000
"""A grid of more points is refused: its product was hardly meant."""

_OPTION: Final = "--grid"
_TRY: Final = f"write it as PATH=VALUE,VALUE,... (try '{_OPTION} workers.count=8,16,32')"
_RANGE: Final = re.compile(r"\s*([0-9.]+\s*[a-zA-Z/]*)\.\.([0-9.]+\s*[a-zA-Z/]*)(?:([:*])(\S.*))?")
_ALONE: Final = ("replications",)


class Axis(NamedTuple):
    """One parameter of a grid: its path, as ``--set`` takes it, and its values in the order given."""

    path: str
    values: tuple[Any, ...]


class Point(NamedTuple):
    """One combination: the value of each parameter, by path, and the scenario with them."""

    parameters: dict[str, Any]
    scenario: Scenario


def parse_axis(text: str) -> Axis:
    """Read ``workers.count=8,16,32`` or ``workers.lease_ttl=1s..16s*2``.

    Raises
    ------
    ScenarioError
        When it is no such assignment.

    Examples
    --------
    >>> parse_axis("workers.lease_ttl=1s..8s*2, 30s").values
    ('1s', '2s', '4s', '8s', '30s')
    """
    path, equals, values = text.partition("=")
    if not equals or not values.strip():
        raise ScenarioError([f"{_OPTION} {text}: {_TRY}"])
    try:
        listed = read(f"[{values}]").value
    except DocumentError as error:
        raise ScenarioError([f"{_OPTION} {path.strip()}: {values!r} is {error}"]) from error
    return make_axis(path.strip(), listed)


def make_axis(path: str, values: Iterable[Any]) -> Axis:
    """Make a parameter of its path and its values, in which text such as ``8..64:8`` is a range.

    Raises
    ------
    ScenarioError
        When there is no path or no value, a value stands twice, or a range makes no sense.
    """
    if not all(path.split(".")):
        raise ScenarioError([f"{_OPTION} {path}: {_TRY}"])
    if path in _ALONE:
        raise ScenarioError([f"{_OPTION} {path}: all points have the same number of them (try --{path})"])
    listed = [each for value in values for each in _expanded(path, value)]
    if not listed:
        raise ScenarioError([f"{_OPTION} {path}: no value is given; {_TRY}"])
    for place, value in enumerate(listed):
        if value in listed[:place]:
            raise ScenarioError([f"{_OPTION} {path}: {quoted(value)} stands twice"])
    return Axis(path, tuple(listed))


def load_points(
    scenario: str | Path, axes: Sequence[Axis], overrides: Iterable[str | Override] = ()
) -> list[Point]:
    """Load a scenario at every combination, the last parameter varying fastest.

    Parameters
    ----------
    scenario
        As for :func:`sim.scenario.load`.
    axes
        The parameters.
    overrides
        What is changed at every point, before the parameters.

    Raises
    ------
    ScenarioError
        With the mistakes of all points, each once.
    """
    _check(axes)
    changed = list(overrides)
    points: list[Point] = []
    lines: list[str] = []
    for values in itertools.product(*(axis.values for axis in axes)):
        parameters = {axis.path: value for axis, value in zip(axes, values, strict=True)}
        replaced = [Override(tuple(path.split(".")), value, _OPTION) for path, value in parameters.items()]
        try:
            points.append(Point(parameters, load(scenario, [*changed, *replaced])))
        except ScenarioError as error:
            lines += [line for line in error.lines if line not in lines]
    if lines:
        raise ScenarioError(lines)
    _refuse_twins(points)
    return points


def label(value: Any) -> str | int | float:
    """Give what a table shows of a value: numbers and text as they are, anything else as YAML has it."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    return _flow(value)


def _check(axes: Sequence[Axis]) -> None:
    if not axes:
        raise ScenarioError([f"{_OPTION} is needed: {_TRY}"])
    paths = [axis.path for axis in axes]
    twice = next((path for place, path in enumerate(paths) if path in paths[:place]), None)
    if twice is not None:
        raise ScenarioError([f"{_OPTION} {twice}: the parameter stands twice; give its values in one list"])
    total = math.prod(len(axis.values) for axis in axes)
    if total > MOST_POINTS:
        raise ScenarioError([f"{_OPTION}: that makes {total:,} points, and {MOST_POINTS:,} is the most"])


def _refuse_twins(points: Sequence[Point]) -> None:
    """Refuse values that are written differently and mean the same, such as 1s and 1000ms."""
    seen: list[Scenario] = []
    for place, point in enumerate(points):
        if point.scenario in seen:
            twin = points[seen.index(point.scenario)].parameters
            raise ScenarioError([
                f"{_OPTION}: the points {_words(twin)} and {_words(points[place].parameters)} are the same "
                "scenario; leave one of them out"
            ])  # fmt: skip
        seen.append(point.scenario)


def _words(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{path}={label(value)}" for path, value in parameters.items())


def _expanded(path: str, value: Any) -> Iterator[Any]:
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        yield value
        return
    try:
        yield from _range(*match.groups())
    except ValueError as error:
        raise ScenarioError([f"{_OPTION} {path}: {value!r}: {error}"]) from error


def _range(first: str, last: str, sign: str | None, by: str) -> list[Any]:
    """Give the values of a range, in exact arithmetic, as a scenario would write them."""
    if sign is None:
        raise ValueError("a range needs a step or a factor (try '8..64:8' or '8..64*2')")
    ends = [quantity(_scalar(text)) for text in (first, last, by)]
    start, stop, step = (None if each is None else _exact(each[0]) for each in ends)
    if start is None or stop is None or step is None:
        raise ValueError("a range is of numbers, durations or rates (try '8..64:8' or '1s..16s*2')")
    units = [each[1] for each in ends if each is not None]
    unit = units[0]
    if units != [unit, unit, unit if sign == ":" else ""]:
        raise ValueError("the ends of a range and its step have the same unit, a factor has none")
    least = Fraction(0) if sign == ":" else Fraction(1)
    if step <= least or start > stop or (sign == "*" and start == 0):
        raise ValueError("a range goes up: from the lower end, by a step above 0 or a factor above 1")
    values: list[Fraction] = []
    while start <= stop and len(values) <= MOST_POINTS:
        values.append(start)
        start = start + step if sign == ":" else start * step
    return [_written(value, unit) for value in values]


def _exact(number: float) -> Fraction:
    """Give the fraction that was meant: a sixth for 10/min, so that steps of it end where the range does."""
    return Fraction(number).limit_denominator(10**9)


def _written(value: Fraction, unit: str) -> Any:
    if unit == "us":
        return format_duration(round(value))
    if unit:
        return format_rate(float(value))
    return int(value) if value.denominator == 1 else float(value)


def _scalar(text: str) -> Any:
    return read(text.strip()).value


def _flow(value: Any) -> str:
    import yaml  # only where a value is no plain word

    written: str = yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False)
    return written.removesuffix("\n").removesuffix("\n...")
