"""Mistakes in scenarios, told so that they can be mended: where, what is wrong, what would be right."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, RootModel
from typing_extensions import TypeAliasType

from sim.mistakes import UserMistake
from sim.schema import SHORTHAND, Choice, plain_message, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError

    from sim.scenario.document import Path


class Mistake(NamedTuple):
    """One mistake: the path of the key that is to be changed, and what is wrong with it."""

    path: Path
    message: str


class ScenarioError(UserMistake, ValueError):
    """A scenario that cannot be loaded.

    Attributes
    ----------
    lines : tuple[str, ...]
        One mistake a line, in the order of the file: ``file:line: path: what is wrong (what is right)``.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def dotted(path: Path) -> str:
    """Write a path as ``--set`` takes it."""
    return ".".join(str(step)[:64] for step in path)


MOST_SUGGESTIONS: Final = 1000
"""Who makes more mistakes than this wants no help: looking for what was meant takes time."""

_NOT_WRITTEN: Final = (SHORTHAND, "[key]")
"""Steps of pydantic's paths that stand for no key of the document."""


def mistakes(error: ValidationError, model: type[BaseModel]) -> list[Mistake]:
    """Say in plain words what pydantic found wrong with the data of a model."""
    found: list[Mistake] = []
    for each in error.errors(include_url=False):
        path = tuple(step for step in each["loc"] if step not in _NOT_WRITTEN)
        if each["type"] == "extra_forbidden":
            message = "unknown key"
            if len(found) < MOST_SUGGESTIONS:
                message += f" ({suggest(path[-1], legal_keys(model, path[:-1]))})"
        else:
            message = plain_message(each)
        found.append(Mistake(path, message))
    return found


def legal_keys(model: type[BaseModel], path: Path = ()) -> list[str]:
    """Give the keys that may stand in the mapping at a path below a model; none where they are free.

    >>> from sim.scenario import Scenario
    >>> legal_keys(Scenario, ("link", "request", "uniform"))
    ['from', 'to']
    """
    places: list[Any] = [model]
    for step in path:
        places = [below for place in places for below in _below(place, step)]
    return list(dict.fromkeys(key for place in places for key in _keys(place)))


def _keys(place: Any) -> Iterable[str]:
    return place if isinstance(place, dict) else _fields(place)


def _fields(place: Any) -> dict[str, Any]:
    if not (isinstance(place, type) and issubclass(place, BaseModel)):
        return {}
    return {field.alias or name: field.annotation for name, field in place.model_fields.items()}


def _below(place: Any, step: str | int) -> list[Any]:
    """Give what may stand one step below a place."""
    if isinstance(place, dict):
        return _places(place.get(step))
    held = [argument for argument in get_args(place) if argument is not ...]
    return _places(held[-1] if held else _fields(place).get(str(step)))


def _places(annotation: Any) -> list[Any]:
    """Take an annotation apart: into models, choices by key (a dict), and lists and mappings."""
    arguments = get_args(annotation)
    if isinstance(annotation, TypeAliasType):
        return _places(annotation.__value__)
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _places(annotation.model_fields["root"].annotation)
    if get_origin(annotation) is Annotated:
        return _places(arguments[0])
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation]
    if all(isinstance(each, type) and issubclass(each, Choice) for each in arguments):
        return [{choice.key: choice for choice in arguments}]
    return [place for argument in arguments for place in _places(argument)]
