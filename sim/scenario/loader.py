"""From a file or text to a :class:`Scenario`, or to every mistake in it with its line and path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from sim.scenario import overrides as setting
from sim.scenario.document import MAX_BYTES, Document, DocumentError, decode, read
from sim.scenario.errors import Mistake, ScenarioError, dotted, mistakes
from sim.scenario.library import find
from sim.scenario.model import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sim.scenario.document import Path as Keys
    from sim.scenario.overrides import Override

MOST_LINES: Final = 100
"""More mistakes than this are counted, not told."""


def load(path_or_name: str | Path, overrides: Iterable[str | Override] = ()) -> Scenario:
    """Load a scenario from a file, or by the name of one that ships with the package.

    Parameters
    ----------
    path_or_name
        ``scenarios/claim_storm.yaml`` or ``claim_storm``.
    overrides
        Assignments as ``--set`` takes them: ``workers.count=64``; or paths with values already read.

    Raises
    ------
    ScenarioError
        With all mistakes, one line each, in the order of the file.
    """
    path = find(path_or_name)
    try:
        with path.open("rb") as file:
            text = decode(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise ScenarioError([f"{path}: cannot be read ({error.strerror})"]) from error
    except DocumentError as error:
        raise ScenarioError([f"{path}:{error.line}: {error}"]) from error
    return loads(text, overrides, source=str(path), folder=path.parent)


def loads(
    text: str, overrides: Iterable[str | Override] = (), *, source: str = "scenario", folder: str | Path = "."
) -> Scenario:
    """Load a scenario from text.

    Parameters
    ----------
    text
        YAML, hence JSON as well: what :meth:`Scenario.resolved` gives.
    overrides
        As for :func:`load`.
    source
        What messages call the text.
    folder
        Where relative paths in the scenario start.

    Raises
    ------
    ScenarioError
        With all mistakes, one line each, in the order of the text.
    """
    wanted = [setting.parse(each) if isinstance(each, str) else each for each in overrides]
    try:
        document = read(text)
    except DocumentError as error:
        raise ScenarioError([f"{source}:{error.line}: {error}"]) from error
    value, placed = setting.apply(document.value, wanted)
    if not isinstance(value, dict):
        raise ScenarioError(
            [f"{source}:1: a scenario is a mapping that begins with 'about: ...' and 'workload: ...'"]
        )
    try:
        return Scenario.model_validate(value, context={"folder": Path(folder)})
    except ValidationError as error:
        raise ScenarioError(_lines(mistakes(error, Scenario), source, document, placed)) from error


def _lines(
    found: list[Mistake], source: str, document: Document, overridden: Sequence[Override]
) -> list[str]:
    """Say where each mistake stands; those of the file by line, then those of overrides."""
    placed: list[tuple[bool, int, str]] = []
    for path, message in found:
        known = path
        while known not in document.lines:
            known = known[:-1]
        line = document.lines[known]
        shown = f"{dotted(path)}: " if path else ""
        place, mistake = (False, line), f"{source}:{line}: {shown}{message}"
        for nth, override in enumerate(overridden):
            shared = _shared(override.path, path)
            if shared == len(override.path) or shared > len(known):
                shown = "" if path == override.path else f"{dotted(path)}: "
                place = (True, nth)
                mistake = f"{override.option} {dotted(override.path)}: {shown}{message}"
        placed.append((*place, mistake))
    lines = [mistake for _, _, mistake in sorted(placed, key=lambda each: each[:2])]
    more = len(lines) - MOST_LINES
    return lines if more <= 0 else [*lines[:MOST_LINES], f"... and {more:,} more mistakes"]


def _shared(one: Keys, other: Keys) -> int:
    """Count the steps that two paths have in common."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
