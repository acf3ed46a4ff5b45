"""The shapes of flows: how many members, and who waits for whom."""

from itertools import chain, repeat

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from sim.scenario.flows import Chain, FanIn, FanOut, Flows, RandomDag, Shape

SHAPES = TypeAdapter(Shape)


def never():
    """Stand for chance where nothing is left to it."""
    raise AssertionError("no uniform is wanted here")


@pytest.mark.parametrize(
    ("written", "nodes", "edges"),
    [
        ({"chain": 4}, 4, [(0, 1), (1, 2), (2, 3)]),
        ({"chain": {"nodes": 2}}, 2, [(0, 1)]),
        ({"fan_out": 3}, 4, [(0, 1), (0, 2), (0, 3)]),
        ({"fan_in": 3}, 4, [(0, 3), (1, 3), (2, 3)]),
        ({"fan_in": 1}, 2, [(0, 1)]),
    ],
)
def test_a_shape_without_chance(written, nodes, edges):
    shape = SHAPES.validate_python(written)
    assert shape.nodes == nodes
    assert shape.edges(never) == edges


def test_a_random_graph_takes_one_uniform_for_each_pair():
    uniforms = chain([0.1, 0.5, 0.9, 0.49, 0.2, 0.7])
    shape = RandomDag(nodes=4, edges=0.5)
    assert shape.edges(lambda: next(uniforms)) == [(0, 1), (1, 2), (1, 3)]
    assert next(uniforms, None) is None


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (1.0, 200 * 199 // 2)])
def test_no_edge_and_every_edge(share, count):
    uniforms = repeat(0.0) if share == 0 else repeat(np.nextafter(1.0, 0.0))
    edges = RandomDag(nodes=200, edges=share).edges(lambda: next(uniforms))
    assert len(edges) == count


def test_a_random_graph_has_no_cycle_and_its_share_of_edges():
    """200 graphs of 45 pairs: 2,700 edges are expected, and 4 standard deviations are 131."""
    uniform = np.random.default_rng(1).random
    graphs = [RandomDag(nodes=10, edges=0.3).edges(uniform) for _ in range(200)]
    assert all(0 <= low < high < 10 for edges in graphs for low, high in edges)
    assert abs(sum(map(len, graphs)) - 2700) < 131


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ({"chain": 4}, {"chain": {"nodes": 4}}),
        ({"fan_out": 199}, {"fan_out": 199}),
        ({"fan_in": 1}, {"fan_in": 1}),
        ({"random_dag": {"nodes": 200, "edges": 0.5}}, {"random_dag": {"nodes": 200, "edges": 0.5}}),
    ],
)
def test_a_shape_is_written_so_that_it_is_read_again(written, resolved):
    shape = SHAPES.validate_python(written)
    assert SHAPES.dump_python(shape, mode="json") == resolved
    assert SHAPES.validate_python(resolved) == shape


@pytest.mark.parametrize(
    "make",
    [
        lambda: Chain(nodes=201),
        lambda: FanOut(root=0),
        lambda: RandomDag(nodes=201, edges=0.5),
        lambda: RandomDag(nodes=1, edges=0.5),
    ],
)
def test_a_flow_has_2_to_200_members(make):
    with pytest.raises(ValidationError):
        make()


@pytest.mark.parametrize("shape", [FanIn, FanOut])
def test_a_root_or_a_sink_has_a_thousand_neighbours_at_most(shape):
    assert shape(root=1000).nodes == 1001
    with pytest.raises(ValidationError):
        shape(root=1001)


def test_what_a_flow_does_unless_told_otherwise():
    flows = Flows(rate="2/s", shape={"fan_out": 8})
    assert (flows.rate, flows.shape, flows.builders, flows.class_) == (2.0, FanOut(root=8), 1, None)
    assert (flows.at, flows.apply) == ((), True)
    assert (flows.think.mean_us(), flows.dispatch_delay.mean_us(), flows.lose_dispatch) == (0, 5_000, 0)


@pytest.mark.parametrize("when", [{}, {"rate": "1/s", "at": ["0s"]}, {"at": []}])
def test_a_flow_begins_at_a_rate_or_at_instants(when):
    with pytest.raises(ValidationError, match="flows take rate, or at with an instant for each flow"):
        Flows(shape={"fan_out": 8}, **when)
