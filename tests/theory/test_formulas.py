"""The formulas that the simulator is held against, held against numbers that are known otherwise."""

from math import exp, factorial

import numpy as np
import pytest

from tests.theory.formulas import collision, erlang_b, erlang_c, lapse, mg1_wait, mmc_wait


@pytest.mark.parametrize("servers", [1, 2, 5, 50])
@pytest.mark.parametrize("load", [0.3, 1.0, 4.5, 60.0])
def test_erlang_b_is_the_truncated_poisson_distribution(servers, load):
    weights = [load**n / factorial(n) for n in range(servers + 1)]
    assert erlang_b(servers, load) == pytest.approx(weights[-1] / sum(weights), rel=1e-12)


def test_erlang_c_by_hand():
    """M/M/1: the utilisation. M/M/2 with one Erlang: a third."""
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)


def test_for_one_server_and_exponential_work_both_waits_are_one():
    assert mmc_wait(1, 0.8, 1.0) == pytest.approx(mg1_wait(0.8, 1.0, 1.0)) == pytest.approx(4.0)
    assert mg1_wait(0.8, 1.0, 0.0) == pytest.approx(2.0)


@pytest.mark.parametrize("claimers", [2, 3, 5])
def test_the_collision_probability_is_what_phases_on_a_circle_give(claimers):
    """The integral over the first phase x of k (1 - x - w)^(k-1): nobody else before x + w."""
    window = 0.05
    x = np.linspace(0, 1 - window, 20_001)
    alone = np.trapezoid(claimers * (1 - x - window) ** (claimers - 1), x)
    assert collision(claimers, 1.0, window) == pytest.approx(1 - alone, abs=1e-7)


def test_two_claimers_collide_when_their_phases_are_close():
    """|X - Y| < w for two uniforms: 1 - (1 - w)^2."""
    assert collision(2, 100, 10) == pytest.approx(0.19)


def test_the_lapse_probability_is_the_mean_over_the_slack():
    since_renewal = np.linspace(0, 10, 20_001)
    late = np.trapezoid(np.exp(-(30 - since_renewal) / 7), since_renewal) / 10
    assert lapse(30, 10, 7) == pytest.approx(late, rel=1e-7)
    assert lapse(30, 1e-6, 7) == pytest.approx(exp(-30 / 7))
