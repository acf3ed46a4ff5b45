"""What a scenario says of faults. Their windows are drawn before the run, from these models.

To add a fault is to add a class to :data:`Fault`.
"""

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import PlainValidator, WithJsonSchema, model_validator
from typing_extensions import TypeAliasType

from sim.distributions import Distribution
from sim.schema import Choice, Count, Duration, OneOf, Part, Share, SignedDuration, field, refusal
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


class _OfWorkers(Part):
    """A fault that some of the workers meet, each at its own instant."""

    workers: Several = field(..., "How many workers are hit: a count, or a fraction of all.")
    at: Distribution = field(..., "When each of them is hit, from the start of the run.")


class Crash(_OfWorkers, Choice):
    """Processes that are killed with all that they hold in memory, and start again later."""

    key: ClassVar[str] = "crash"

    down: Distribution = field("10s", "How long it is gone until it starts again, with nothing in memory.")


class Pause(_OfWorkers, Choice):
    """Processes that stand still and then go on with what they believed."""

    key: ClassVar[str] = "pause"

    for_: Distribution = field(..., "How long it stands still.", alias="for")


class Partition(_OfWorkers, Choice):
    """Workers that the network parts from the store."""

    key: ClassVar[str] = "partition"

    for_: Distribution = field(..., "How long it is cut off.", alias="for")
    direction: Literal["both", "requests", "replies"] = field(
        "both", "What does not get through: its requests, the replies to it, or both."
    )


class _Window(Part):
    """A fault that lasts from one instant to another."""

    from_: Duration = field(..., "When it begins, from the start of the run.", alias="from")
    to: Duration = field(..., "When it is over, from the start of the run.")

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if self.from_ >= self.to:
            raise ValueError("from must be before to")
        return self


class StoreOutage(_Window, Choice):
    """A store that answers nothing."""

    key: ClassVar[str] = "store_outage"

    partition: Count | None = field(None, "The partition that is out, counted from 0; null for all of them.")


class Slow(_Window, Choice):
    """A network or a store that takes longer than usual."""

    key: ClassVar[str] = "slow"

    what: Literal["link", "service"] = field(
        ..., "What is slow: delays of requests and replies, or the time that the store needs."
    )
    factor: float = field(..., "How many times as long as usual it takes.", gt=1, le=1e6)
    workers: Several | None = field(
        None, "How many workers have the slow link: a count, or a fraction; null for every actor."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.what == "service" and self.workers is not None:
            raise refusal([(("workers",), "a slow service is slow for every actor (leave workers out)")])
        return self


class Loss(_Window, Choice):
    """A network that loses more than usual."""

    key: ClassVar[str] = "loss"

    requests: Share = field(0.0, "How probable it is that a request is lost, besides link.lose_request.")
    replies: Share = field(0.0, "How probable it is that a reply is lost, besides link.lose_reply.")


class Skew(Part, Choice):
    """Workers whose clocks are wrong for the whole run; the store's clock is always right."""

    key: ClassVar[str] = "skew"

    workers: Several = field(..., "How many workers are hit: a count, or a fraction of all.")
    offset: SignedDuration = field("0s", "How far their clocks are ahead (or behind: -200ms) at the start.")
    drift: float = field(
        0.0, "How much faster than time their clocks run: 0.01 for one per cent.", gt=-0.9, lt=10
    )


Fault = Annotated[Crash | Pause | Partition | StoreOutage | Slow | Loss | Skew, OneOf("fault")]
