"""The parts that every model of a scenario is made of.

A scenario is closed data: models are frozen and strict, unknown keys are refused, numbers are finite, and
each key carries one sentence that says what it means (the JSON Schema, the reference and the help show
it). Attributes have the names of the YAML keys; durations are held as whole microseconds, rates as events
per second.

Where YAML says "one of these" (``{poisson: {rate: 5/s}}``, ``{crash: {...}}``), the models are a union of
classes with a :class:`Choice` key, annotated with :class:`OneOf`. To add a choice is to add a class to
the union.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema
from typing_extensions import TypeAliasType

from sim.units import (
    DURATION_PATTERN,
    RATE_PATTERN,
    US_PER_MS,
    format_duration,
    format_rate,
    parse_duration_us,
    parse_rate_per_s,
    quoted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import ErrorDetails

MANY: Final = 12
"""More legal words than this are not listed in a message."""

FROZEN: Final = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, validate_default=True)
"""What all models share; :class:`Part` refuses unknown keys besides."""


class Part(BaseModel):
    """A mapping of a scenario: frozen, strict, without unknown keys."""

    model_config = ConfigDict(**FROZEN, extra="forbid")


def field(default: Any, says: str, **limits: Any) -> Any:
    """Declare a key: its default as a scenario would write it (``...`` for none), and what it means."""
    return Field(default, description=says, **limits)


def suggest(word: object, legal: Iterable[str]) -> str:
    """Say which legal word was probably meant, or list them all where they are few.

    >>> suggest("cuont", ["count", "slots"]), suggest("x", ["count", "slots"])
    ("did you mean 'count'?", 'legal here: count, slots')
    """
    words, given = sorted(legal), str(word)[:100]
    near = difflib.get_close_matches(given, words, n=1, cutoff=0.6)
    if not near and len(given) >= 3:
        near = [each for each in words if each.startswith(given)]
    if near:
        return f"did you mean '{near[0]}'?"
    if len(words) > MANY:
        return f"{len(words)} names are legal here, and none is like it"
    return f"legal here: {', '.join(words)}" if words else "nothing is legal here"


def plain_message(error: ErrorDetails) -> str:
    """Say in plain words what pydantic found wrong with a value.

    An unknown key is for the caller to explain, who knows which keys there are.
    """
    kind, given, context = error["type"], quoted(error["input"]), error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in _NOT_A:
        return f"{given} is not {_NOT_A[kind]}"
    if kind == "literal_error":
        legal = [word.strip(" '") for word in context["expected"].replace(" or ", ",").split(",")]
        return f"{given} is not possible here ({suggest(error['input'], legal)})"
    for limit, template in _LIMITS.items():
        if limit in context:
            bound = context[limit]
            return template.format(
                given=given, bound=f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
            )
    return _OTHERS.get(kind, error["msg"])


_NOT_A: Final[Mapping[str, str]] = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_pattern_mismatch": "a name (letters, digits, _ and -, a letter first, 64 at most)",
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    **dict.fromkeys(
        ("mapping_type", "dict_type", "model_type", "model_attributes_type"), "a mapping of keys"
    ),
}
_LIMITS: Final[Mapping[str, str]] = {
    "ge": "{given} is too small: at least {bound}",
    "gt": "{given} is too small: it must be above {bound}",
    "le": "{given} is too large: at most {bound}",
    "lt": "{given} is too large: it must be below {bound}",
    "min_length": "must not be empty",
    "max_length": "is longer than {bound}",
}
_OTHERS: Final[Mapping[str, str]] = {"missing": "this key is required"}


Problem = tuple[tuple[str | int, ...], str]
"""The path of a mistake, relative to the model that finds it, and what is wrong there."""


def refusal(problems: Iterable[Problem]) -> ValidationError:
    """Build the error to be raised when a check finds mistakes at other places than where it runs.

    Parameters
    ----------
    problems
        The mistakes, at least one.
    """
    lines: list[InitErrorDetails] = [
        {
            "type": PydanticCustomError("mistake", "{message}", {"message": message}),
            "loc": path,
            "input": None,
        }
        for path, message in problems
    ]
    return ValidationError.from_exception_data("scenario", lines)


def _positive(us: int) -> int:
    if us == 0:
        raise ValueError("must be longer than 0")
    return us


def _whole_ms(us: int) -> int:
    if us % US_PER_MS:
        raise ValueError(f"{format_duration(us)} is finer than the store's clock, which counts milliseconds")
    return us


def _parse_signed_us(text: object) -> int:
    written = str(text)
    return -parse_duration_us(written[1:]) if written.startswith("-") else parse_duration_us(text)


def _written(pattern: str, *examples: str) -> WithJsonSchema:
    """Build the JSON Schema of a quantity: text with a unit, or a bare 0."""
    text = {"type": "string", "pattern": f"^{pattern}$"}
    return WithJsonSchema({"anyOf": [text, {"const": 0}], "examples": list(examples)})


Duration = TypeAliasType(
    "Duration",
    Annotated[
        int,
        BeforeValidator(parse_duration_us),
        PlainSerializer(format_duration, return_type=str),
        _written(DURATION_PATTERN, "250ms", "1.5s", "5min"),
    ],
)
"""Whole microseconds, written as a duration such as ``250ms``."""

SignedDuration = TypeAliasType(
    "SignedDuration",
    Annotated[
        int,
        BeforeValidator(_parse_signed_us),
        PlainSerializer(format_duration, return_type=str),
        _written("-?" + DURATION_PATTERN, "-200ms", "50ms"),
    ],
)
"""Whole microseconds before (negative) or after, written as a duration such as ``-200ms``."""

Interval = Annotated[Duration, AfterValidator(_positive)]
"""A duration longer than 0."""

StoreInterval = Annotated[Duration, AfterValidator(_whole_ms), AfterValidator(_positive)]
"""A duration longer than 0 that the store keeps, whose clock counts milliseconds; held as microseconds."""

Rate = TypeAliasType(
    "Rate",
    Annotated[
        float,
        BeforeValidator(parse_rate_per_s),
        PlainSerializer(format_rate, return_type=str),
        _written(RATE_PATTERN, "50/s", "10/min"),
    ],
)
"""Events per second, written as a rate such as ``50/s``."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A probability or fraction, from 0 to 1."""

Count = Annotated[int, Field(ge=0, le=1_000_000)]
"""A whole number of things, up to a million."""

Positive = Annotated[int, Field(ge=1, le=10_000)]
"""A number of things of which there must be one: slots, candidates, partitions, a batch."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
"""What a user calls a class, a lane, a quota or a policy: letters, digits, ``_`` and ``-``."""

Names = Annotated[tuple[Name, ...], Strict(False)]
"""A list of names."""


class Choice:
    """One of several things that a scenario can name by a key: ``{key: {...}}``."""

    key: ClassVar[str]


SHORTHAND: Final = "(shorthand)"
"""A step in the path of pydantic's errors that stands for no key: the value was given without one."""


class OneOf:
    """Annotation of a union of :class:`Choice` models, written as a mapping with exactly one of their keys.

    Parameters
    ----------
    what
        What the union is, for messages: ``distribution``.
    shorthand
        The key that anything but a mapping stands for: ``50ms`` for ``{constant: 50ms}``.
    """

    def __init__(self, what: str, shorthand: str | None = None) -> None:
        self.what = what
        self.shorthand = shorthand

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        classes = {choice.key: choice for choice in get_args(source)}

        def check(value: object) -> object:
            if isinstance(value, tuple(classes.values())):
                return value
            if not isinstance(value, Mapping) and self.shorthand is not None:
                return {SHORTHAND: value}
            self._check_keys(value, classes)
            return value

        def tag(value: Any) -> str:
            return value.key if isinstance(value, Choice) else next(iter(value))

        def body(value: Any) -> object:
            return value if isinstance(value, Choice) else next(iter(value.values()))

        def write(value: Any, info: core_schema.SerializationInfo) -> dict[str, Any]:
            return {value.key: value.model_dump(mode=info.mode, by_alias=True)}

        tagged = classes if self.shorthand is None else {**classes, SHORTHAND: classes[self.shorthand]}
        union = core_schema.tagged_union_schema(
            {
                key: core_schema.no_info_before_validator_function(body, handler.generate_schema(choice))
                for key, choice in tagged.items()
            },
            discriminator=tag,
        )
        return core_schema.no_info_before_validator_function(
            check,
            union,
            serialization=core_schema.plain_serializer_function_ser_schema(write, info_arg=True),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        union: Any = schema
        while union["type"] != "tagged-union":
            union = union["schema"]
        choices = dict(union["choices"])
        short = choices.pop(SHORTHAND, None)
        written: JsonSchemaValue = {
            "type": "object",
            "properties": {key: handler(choice) for key, choice in choices.items()},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        return written if short is None else {"anyOf": [handler(short), written]}

    def _check_keys(self, value: object, legal: Iterable[str]) -> None:
        if not isinstance(value, Mapping):
            raise ValueError(f"{quoted(value)} is not a mapping with one key ({suggest(value, legal)})")
        for key in value:
            if key not in legal:
                raise ValueError(f"there is no {self.what} {quoted(key)} ({suggest(key, legal)})")
        if len(value) != 1:
            given = " and ".join(str(key)[:60] for key in value) or "nothing"
            raise ValueError(f"a {self.what} has exactly one key, not {given}")
