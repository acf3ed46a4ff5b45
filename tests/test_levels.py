"""A level over time, integrated exactly."""

import numpy as np
import pytest

from sim.levels import BINS_MAX, Level, grid


def test_bins_are_as_wide_as_a_round_number_and_cut_at_the_window():
    assert grid((10_000_000, 310_000_000), 370_000_000).tolist() == list(range(0, 370_000_001, 2_000_000))
    edges = grid((3_333, 20_000), 23_000).tolist()
    assert edges[:3] == [0, 100, 200]
    assert {3_333, 20_000, 23_000} < set(edges)


@pytest.mark.parametrize("end_us", [1, 240, 241, 599, 86_400_000_000])
def test_there_are_never_many_bins(end_us):
    edges = grid((0, end_us), end_us)
    assert (edges[0], edges[-1]) == (0, end_us)
    assert edges.size - 1 <= BINS_MAX


def test_a_level_counts_from_its_beginning_up_to_its_end():
    """Half open: what ends at an edge has no time in the next bin, what begins there has none before."""
    level = Level(np.array([0, 10, 20, 30]))
    level.add([10, 15], [20, 25])
    assert level.integral_us.tolist() == [0, 15, 5]
    assert level.begun.tolist() == [0, 2, 0]
    assert level.ended.tolist() == [0, 0, 2]


def test_what_begins_before_a_bin_counts_in_it_and_what_never_ends_goes_on():
    level = Level(np.array([0, 10, 20, 30]))
    level.add([5, 7], [])
    assert level.integral_us.tolist() == [8, 20, 20]


def test_a_level_is_the_same_whatever_blocks_it_was_made_of():
    """Microsecond by microsecond, beyond the last edge too."""
    generator = np.random.default_rng(1)
    edges = grid((700, 1300), 2000)
    begins = generator.integers(0, 2500, 500)
    ends = begins + generator.integers(0, 900, 500)
    level = Level(edges)
    level.add(begins[:200], ends[:450])
    level.add(begins[200:], ends[450:])
    instants = np.arange(2000)
    exact = ((begins[:, None] <= instants) & (instants < ends[:, None])).sum(axis=0)
    assert level.integral_us.tolist() == np.add.reduceat(exact, edges[:-1]).tolist()
