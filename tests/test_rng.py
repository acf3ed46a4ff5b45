"""Streams belong to their names: nothing but seed, replication and name decides what they give."""

import math

import pytest

from sim.rng import Streams


def test_a_stream_depends_on_seed_replication_and_name_alone():
    def first(seed, replication, name):
        return Streams(seed, replication).of(name).integers(1 << 62)

    reference = first(1, 0, "worker/3/retry")
    assert first(1, 0, "worker/3/retry") == reference
    others = [first(2, 0, "worker/3/retry"), first(1, 1, "worker/3/retry"), first(1, 0, "worker/4/retry")]
    assert len({reference, *others}) == 4


def test_another_stream_created_before_changes_nothing():
    alone = Streams(7, 0).uniform("b")
    streams = Streams(7, 0)
    streams.uniform("a")()
    beside = streams.uniform("b")
    assert [alone() for _ in range(100)] == [beside() for _ in range(100)]


def test_drawing_in_blocks_gives_the_streams_own_sequence():
    uniform = Streams(7, 0).uniform("x")
    assert [uniform() for _ in range(10_000)] == Streams(7, 0).of("x").random(10_000).tolist()


def test_the_first_draws_are_recorded():
    # Guards the derivation of streams: were it changed, every recorded fingerprint would change with it.
    uniform = Streams(20261123, 3).uniform("worker/0/retry")
    assert [round(uniform(), 9) for _ in range(3)] == RECORDED


RECORDED = [0.665163381, 0.083926796, 0.393688628]


def test_events_come_one_draw_each():
    """The first trial that succeeds is the geometric quantile of a draw; so is the distance to the next."""
    uniforms = Streams(7, 0).uniform("x")
    distances = [1 + int(math.log1p(-uniforms()) / math.log1p(-0.3)) for _ in range(500)]
    expected = [trial == distance for distance in distances for trial in range(1, distance + 1)]
    events = Streams(7, 0).events("x", 0.3)
    assert [next(events) for _ in expected] == expected


@pytest.mark.parametrize(("probability", "always"), [(0.0, False), (1e-300, False), (1.0, True)])
def test_the_impossible_and_the_certain(probability, always):
    events = Streams(7, 0).events("x", probability)
    assert {next(events) for _ in range(1000)} == {always}
