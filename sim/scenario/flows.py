"""What a scenario says of flows: executions that wait for others, in the shape of a directed graph.

The members of a flow are numbered from 0, and every edge leads from a lower to a higher number, so no
shape has a cycle. To add a shape is to add a class to :data:`Shape`.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import Field, GetJsonSchemaHandler, RootModel, Strict, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from sim.csv_rows import MAX_ROWS
from sim.distributions import Distribution
from sim.schema import FROZEN, Choice, Duration, Name, OneOf, Part, Positive, Rate, Share, field

MAX_NODES: Final = 200
"""Members of a flow at most, where each may wait for many."""

MAX_LEAVES: Final = 1_000
"""Members beside the one root or sink of a flow, at most: nothing is searched in such a graph."""

Edges = list[tuple[int, int]]
"""Pairs (upstream, downstream): the second member waits for the first."""

Uniform = Callable[[], float]
"""Gives the next U of 0 <= U < 1."""

Nodes = Annotated[int, Field(ge=2, le=MAX_NODES)]
Leaves = Annotated[int, Field(ge=1, le=MAX_LEAVES)]


class Chain(Part, Choice):
    """Each member waits for the one before; ``chain: 5`` says the same as ``chain: {nodes: 5}``."""

    key: ClassVar[str] = "chain"

    nodes: Nodes = field(..., "How many members the chain has.")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: Any) -> Any:
        return {"nodes": value} if isinstance(value, int) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the bare number to what may be written."""
        return {"anyOf": [{"type": "integer", "minimum": 2, "maximum": MAX_NODES}, handler(schema)]}

    def edges(self, uniform: Uniform) -> Edges:  # noqa: ARG002 - nothing is left to chance
        """Give the edges, by their upstream member."""
        return list(pairwise(range(self.nodes)))


class FanOut(RootModel[Leaves], Choice):
    """One member that all others, that many, wait for."""

    model_config = FROZEN
    key: ClassVar[str] = "fan_out"

    @property
    def nodes(self) -> int:
        """How many members there are: the root, 0, and its children."""
        return self.root + 1

    def edges(self, uniform: Uniform) -> Edges:  # noqa: ARG002 - nothing is left to chance
        """Give the edges, by their downstream member."""
        return [(0, child) for child in range(1, self.nodes)]


class FanIn(RootModel[Leaves], Choice):
    """One member that waits for all others, that many."""

    model_config = FROZEN
    key: ClassVar[str] = "fan_in"

    @property
    def nodes(self) -> int:
        """How many members there are: the parents, and their child, which is the last."""
        return self.root + 1

    def edges(self, uniform: Uniform) -> Edges:  # noqa: ARG002 - nothing is left to chance
        """Give the edges, by their upstream member."""
        return [(parent, self.root) for parent in range(self.root)]


class RandomDag(Part, Choice):
    """Every pair of members is an edge, independently of the others, with the same probability."""

    key: ClassVar[str] = "random_dag"

    nodes: Nodes = field(..., "How many members the flow has.")
    edges_: Share = field(..., "How probable each of the possible edges is.", alias="edges")

    def edges(self, uniform: Uniform) -> Edges:
        """Draw the edges, by their upstream member: one uniform for each of the n (n - 1) / 2 pairs."""
        pairs = ((low, high) for low in range(self.nodes) for high in range(low + 1, self.nodes))
        return [pair for pair in pairs if uniform() < self.edges_]


Shape = Annotated[Chain | FanOut | FanIn | RandomDag, OneOf("shape of flows")]


class Flows(Part):
    """Flows that arrive besides the single executions: at random like ``poisson`` arrivals, or when told."""

    rate: Rate | None = field(
        None, "Mean number of flows that begin in a unit of time; 0/s for none. Give this or `at`."
    )
    at: Annotated[tuple[Duration, ...], Strict(False)] = field(
        (), "The instants at which flows begin, from the start of the run. Give this or `rate`.",
        max_length=MAX_ROWS,
    )  # fmt: skip
    shape: Shape = field(..., "Who waits for whom: chain, fan_out, fan_in or random_dag.")
    builders: Positive = field(
        1,
        "Processes that stage the edges of a flow, all at the same time, each its share; those that are more "
        "than the edges do nothing.",
    )
    think: Distribution = field(
        "0s", "Time of a builder between reading the graph's revision and staging an edge on it."
    )
    apply: bool = field(
        True,
        "Whether a builder applies each edge that it has staged to its child; an edge that is staged alone "
        "makes nobody wait, and there is nothing to resolve when its upstream ends.",
    )
    dispatch_delay: Distribution = field(
        "5ms", "Time from the end of a member until the edges that lead from it are resolved."
    )
    lose_dispatch: Share = field(
        0.0, "How probable it is that an edge is not resolved then, but left to the dependency scan."
    )
    class_: Name | None = field(
        None, "The class of the members; null for the first of the classes.", alias="class"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.rate is None) == (not self.at):
            raise ValueError("flows take rate, or at with an instant for each flow")
        return self
