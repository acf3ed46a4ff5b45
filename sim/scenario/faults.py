"""What a scenario says of faults. Their windows are drawn before the run, from these models.

To add a fault is to add a class to :data:`Fault`.
"""

import math
from typing import Annotated, ClassVar

from pydantic import PlainValidator, WithJsonSchema
from typing_extensions import TypeAliasType

from sim.distributions import Distribution
from sim.schema import Choice, OneOf, Part, field
from sim.units import quoted

MAX_AFFECTED = 1_000_000


def _parse_several(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{quoted(value)} is neither a count (3) nor a fraction (0.1)")
    limit = MAX_AFFECTED if isinstance(value, int) else 1
    if not math.isfinite(value) or not 0 <= value <= limit:
        raise ValueError(
            f"{quoted(value)} is neither a count (0 to {MAX_AFFECTED}) nor a fraction (0.0 to 1.0)"
        )
    return value


Several = TypeAliasType(
    "Several",
    Annotated[
        int | float,
        PlainValidator(_parse_several),
        WithJsonSchema({
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_AFFECTED},
                {"type": "number", "minimum": 0, "maximum": 1},
            ]
        }),
    ],
)  # fmt: skip
"""How many of a fleet: a whole number is a count, a number with a decimal point a fraction of all."""


def how_many(several: float, total: int) -> int:
    """Give the number that a count or fraction stands for, in a fleet of ``total``.

    >>> how_many(3, 2), how_many(0.1, 64), how_many(1.0, 64)
    (2, 6, 64)
    """
    return min(several, total) if isinstance(several, int) else round(several * total)


class Crash(Part, Choice):
    """Processes that are killed with all that they hold in memory, and start again later."""

    key: ClassVar[str] = "crash"

    workers: Several = field(..., "How many workers are hit: a count, or a fraction of all.")
    at: Distribution = field(..., "When each of them is hit, from the start of the run.")
    down: Distribution = field("10s", "How long it is gone until it starts again, with nothing in memory.")


class Pause(Part, Choice):
    """Processes that stand still and then go on with what they believed."""

    key: ClassVar[str] = "pause"

    workers: Several = field(..., "How many workers are hit: a count, or a fraction of all.")
    at: Distribution = field(..., "When each of them is hit, from the start of the run.")
    for_: Distribution = field(..., "How long it stands still.", alias="for")


Fault = Annotated[Crash | Pause, OneOf("fault")]
