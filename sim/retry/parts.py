"""What the parts of a policy have in common: a name, parameters, facts for the catalogue.

A backoff, budget or breaker is a small frozen model, written ``{name: {parameters}}``. A bare name stands
for all defaults, and an alias for its name. The catalogue reads formula, scope and source from the lines
of a model's docstring that begin with those words, so they are written once.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NamedTuple, TypeVar, get_args

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import core_schema

from sim.schema import Choice, Part, refusal, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

    from sim.retry.policy import Uniform, Wait

State = TypeVar("State")

_FACTS: Final = ("Formula", "Scope", "Source")


class Facts(NamedTuple):
    """One line of the catalogue.

    Attributes
    ----------
    name : str
    aliases : tuple of str
        Other names for it.
    formula, defaults, scope, source : str
        The rule, its parameters as a scenario writes them, what its state belongs to, and where both
        come from.
    """

    name: str
    aliases: tuple[str, ...]
    formula: str
    defaults: str
    scope: str
    source: str


class Keyed(Part):
    """A mapping whose unknown keys are told together with what was probably meant."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: object) -> object:
        if isinstance(value, Mapping):
            legal = [declared.alias or name for name, declared in cls.model_fields.items()]
            unknown = [key for key in value if key not in legal]
            if unknown:
                raise refusal([((str(key),), f"unknown key ({suggest(key, legal)})") for key in unknown])
        return value


class Component(Keyed, Choice):
    """A named part of a policy with parameters."""

    aliases: ClassVar[tuple[str, ...]] = ()

    def facts(self) -> Facts:
        """Give its line of the catalogue, with the parameters that it has."""
        stated = dict.fromkeys(_FACTS, "")
        label = ""
        for line in (inspect.getdoc(type(self)) or "").splitlines():
            word, colon, rest = line.partition(": ")
            if colon and word in stated:
                label, line = word, rest
            if label:
                stated[label] = f"{stated[label]} {line.strip()}".strip().replace("``", "")
        written = self.model_dump(mode="json")
        parameters = ", ".join(f"{key}: {as_text(value)}" for key, value in written.items())
        return Facts(self.key, self.aliases, stated["Formula"], parameters, stated["Scope"], stated["Source"])


def as_text(value: object) -> str:
    """Write a value in one line, as YAML would without quotes."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value).replace("'", "")


class Named:
    """Annotation of a union of components: a bare name, or an alias, may stand for ``{name: {}}``."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        choices: tuple[type[Component], ...] = get_args(source)
        meant = {word: choice.key for choice in choices for word in (choice.key, *choice.aliases)}

        def read(value: object) -> object:
            if isinstance(value, str):
                return {meant.get(value, value): {}}
            if isinstance(value, Mapping) and len(value) == 1:
                return {meant.get(key, key): parameters for key, parameters in value.items()}
            return value

        return core_schema.no_info_before_validator_function(
            read, handler(source), metadata={"words": list(meant)}
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        words = schema["metadata"]["words"]
        return {"anyOf": [handler(schema), {"enum": words}]}


class Setting(NamedTuple):
    """What a part of a policy is built with, for one client.

    Attributes
    ----------
    uniform : Uniform
        The client's own stream of draws from U[0, 1).
    poll_us : int
        How long a worker that found nothing waits.
    slot : str
        Where in an intent's memory this part keeps its state: unique within the policy.
    main : Wait or None
        The policy's own backoff, for a part that falls back on it; None within that backoff itself.
    """

    uniform: Uniform
    poll_us: int
    slot: str
    main: Wait | None = None


class Fleet:
    """State that all clients of a fleet share: one object a run, handed to every ``build``."""

    def __init__(self) -> None:
        self._states: dict[Hashable, Any] = {}

    def share(self, key: Hashable, make: Callable[[], State]) -> State:
        """Give the one state for ``key``, made at its first use."""
        if key not in self._states:
            self._states[key] = make()
        state: State = self._states[key]
        return state


def _steep_enough(factor: float) -> float:
    if 1 < factor < 1.01:
        raise ValueError("must be 1, or at least 1.01")
    return factor


Factor = Annotated[float, Field(ge=1, le=1000), AfterValidator(_steep_enough)]
"""By how much a delay grows from retry to retry."""
