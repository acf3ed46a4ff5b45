"""Staging and applying an edge of a flow: what flow builders do, and workers that wait for children.

The graph is written optimistically: the revision is read, the edge is staged on that revision, and if another
builder was faster the revision is read again. A staged edge blocks nobody yet; applying it to the child does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.actors.base import Actor
from sim.link import OP
from sim.retry import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from sim.kernel import Process
    from sim.record import Intent

_READ_FLOW: Final = OP["read_flow"]
_STAGE: Final = OP["stage_dependency_edge"]
_APPLY: Final = OP["apply_dependency_to_child"]


class Edge(NamedTuple):
    """One edge of a flow: which flow, where it lies, its number there, who waits for whom."""

    flow: int
    partition: int
    number: int
    upstream: int
    downstream: int


class Linker(Actor):
    """An actor that writes the graphs of flows."""

    def link_edge(
        self, process: Process, intent: Intent, edge: Edge, think: Callable[[], int]
    ) -> Generator[None, Any, bool]:
        """Stage an edge and apply it; False when the policy gave up."""
        if not (yield from self.stage_edge(process, intent, edge, think)):
            return False
        arguments = (edge.flow, (edge.flow, edge.number), edge.upstream, edge.downstream)
        _, stopped = yield from self.carry_out(
            process, intent, _APPLY, edge.partition, arguments, edge.downstream
        )
        return stopped is None

    def stage_edge(
        self, process: Process, intent: Intent, edge: Edge, think: Callable[[], int]
    ) -> Generator[None, Any, bool]:
        """Read the revision and stage the edge on it, again and again while others are faster.

        False when the policy gave up.
        """
        while True:
            graph, stopped = yield from self.carry_out(
                process, intent, _READ_FLOW, edge.partition, (edge.flow,), edge.downstream
            )
            if stopped is not None:
                return False
            process.sleep(think())
            yield
            arguments = (
                edge.flow, (edge.flow, edge.number), edge.upstream, edge.downstream,
                graph.values["graph_revision"],
            )  # fmt: skip
            staged, stopped = yield from self.carry_out(
                process, intent, _STAGE, edge.partition, arguments, edge.downstream
            )
            # After a lost reply the edge is found there, put by this very builder.
            if stopped is None or staged.code == "dependency_already_exists":
                return True
            if stopped is not Action.REREAD:
                return False
