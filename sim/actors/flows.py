"""Flows: who creates them, who writes their graphs, who resolves their edges.

At each arrival of a flow the flow submitter creates it and its members and adds them; then the builders stage
the edges, all of them at once if there are several, each its share. A member can be claimed before an edge is
applied to it: then it runs with an unmet dependency, as in the engine.

When a member ends, the dispatcher learns of it after ``dispatch_delay`` and resolves the edges that lead
from it; a dispatch that is lost is found by the reconciler's dependency scan.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim.actors.base import Actor
from sim.actors.linking import Edge, Linker
from sim.link import OP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.actors.base import Story, World
    from sim.kernel import Process
    from sim.record import Intent, Op
    from sim.scenario.flows import Flows

_CREATE_FLOW: Final = OP["create_flow"]
_CREATE: Final = OP["create_execution"]
_ADD: Final = OP["add_execution_to_flow"]
_READ_DOWNSTREAM: Final = OP["read_downstream"]
_RESOLVE: Final = OP["resolve_dependency"]


class FlowSubmitter(Actor):
    """Creates flows and their members, and sets the builders to work.

    Parameters
    ----------
    world, number
        See :class:`Actor`.
    flows
        The scenario's flows.
    builders
        Who writes the graphs.
    until_us
        No arrivals from this instant on.
    """

    kind = "flow_submitter"

    def __init__(
        self, world: World, number: int, flows: Flows, builders: Sequence[FlowBuilder], until_us: int
    ) -> None:
        super().__init__(world, number)
        self._flows = flows
        self._builders = builders
        self._until_us = until_us

    def start(self) -> None:
        """Begin with the arrivals."""
        self.spawn(self._arrivals)

    def _arrivals(self, process: Process) -> Story:
        for flow, at_us in enumerate(self.world.workload.flow_arrivals_us(self._flows)):
            if at_us >= self._until_us:
                return
            process.sleep(at_us - self.now_us)
            yield
            self.spawn(partial(self._submit, flow))

    def _submit(self, number: int, process: Process) -> Story:
        """Create a flow, then its members one after the other: each step waits for the one before."""
        workload = self.world.workload
        members = [workload.member(number, node) for node in range(self._flows.shape.nodes)]
        flow, partition = flow_id(number), workload.partition_of(members[0])
        intent = self.begin("submit")
        steps: list[tuple[Op, tuple[Any, ...], int]] = [(_CREATE_FLOW, (flow,), -1)]
        for member in members:
            steps += [
                (_CREATE, self.world.creation(member, self.now_us), member),
                (_ADD, (flow, member), member),
            ]
        for op, arguments, execution in steps:
            _, stopped = yield from self.carry_out(process, intent, op, partition, arguments, execution)
            if stopped is not None:
                self.end(intent, "abandoned", "policy")
                return
        self.end(intent, "recovered")
        uniform = self.world.streams.uniform(f"workload/flow/{number}")
        edges = [
            Edge(flow, partition, edge, members[upstream], members[downstream])
            for edge, (upstream, downstream) in enumerate(self._flows.shape.edges(uniform))
        ]
        for share, builder in enumerate(self._builders):
            builder.build(edges[share :: len(self._builders)])


class FlowBuilder(Linker):
    """Stages edges, and applies them where the scenario says so."""

    kind = "flow_builder"

    def __init__(self, world: World, number: int, flows: Flows) -> None:
        super().__init__(world, number)
        self._think = flows.think.sampler(world.streams.of(f"{self.name}/think"))
        self._write = self.link_edge if flows.apply else self.stage_edge

    def build(self, edges: Sequence[Edge]) -> None:
        """Write these edges, one after the other."""
        self.spawn(partial(self._build, edges))

    def _build(self, edges: Sequence[Edge], process: Process) -> Story:
        for edge in edges:
            intent = self.begin("link", edge.downstream)
            if (yield from self._write(process, intent, edge, self._think)):
                self.end(intent, "recovered")
            else:
                self.end(intent, "abandoned", "policy")


class Dispatcher(Actor):
    """Resolves the edges that lead from an execution that has ended."""

    kind = "dispatcher"

    def __init__(self, world: World, number: int, flows: Flows | None) -> None:
        super().__init__(world, number)
        self._delay = (
            None if flows is None else flows.dispatch_delay.sampler(world.streams.of(f"{self.name}/delay"))
        )
        self._lost = world.streams.events(f"{self.name}/lost", 0.0 if flows is None else flows.lose_dispatch)

    def ended(self, execution: int, at_us: int) -> None:
        """Hear that a member of a flow has ended; the message may be lost."""
        if next(self._lost):
            return
        delay_us = 0 if self._delay is None else self._delay()
        self.world.kernel.call_at(at_us + delay_us, self._start, execution)

    def _start(self, execution: int) -> None:
        self.spawn(partial(self._dispatch, execution))

    def _dispatch(self, execution: int, process: Process) -> Story:
        """Read how it ended and who waits for it, and tell them."""
        partition = self.world.partition_of(execution)
        self.send(process, _READ_DOWNSTREAM, partition, (execution,), None, execution)
        found = yield
        if not found.ok or found.values["outcome"] == "none":
            return  # No answer: the dependency scan will find it. Not ended: it was replayed meanwhile.
        flow, outcome = found.values["flow"], found.values["outcome"]
        for edge, downstream in found.values["edges"]:
            intent = self.begin("resolve", downstream)
            arguments = (flow, edge, execution, downstream, outcome)
            yield from self._resolve(process, intent, partition, arguments)

    def _resolve(self, process: Process, intent: Intent, partition: int, arguments: tuple[Any, ...]) -> Story:
        downstream = arguments[3]
        outcome, stopped = yield from self.carry_out(
            process, intent, _RESOLVE, partition, arguments, downstream
        )
        if stopped is not None:
            self.end(intent, "abandoned", "policy")
        elif outcome.values["resolution"] == "already_resolved":
            self.end(intent, "satisfied")
        else:
            self.end(intent, "recovered")


def flow_id(number: int) -> int:
    """Give the id of a flow that arrived; odd ids are families of parents and children."""
    return 2 * number


def family_id(parent: int) -> int:
    """Give the id of the flow that a parent and its children make."""
    return 2 * parent + 1
