"""Known values: published tables, textbook examples, other implementations."""

import math

import numpy as np
import pytest
from scipy import stats

from sim.analysis import statistics
from sim.analysis.statistics import Interval


def test_t_interval_is_that_of_the_table():
    """t(0.975, 4) = 2.776 in every table; s = 1.5811 and R = 5 make the half-width 1.9632."""
    interval = statistics.t_interval([1, 2, 3, 4, 5])
    assert interval.method == "t"
    assert (interval.mean, interval.low, interval.high) == pytest.approx((3, 1.036757, 4.963243), abs=1e-6)


def test_t_interval_leaves_out_replications_without_a_value():
    assert statistics.t_interval([1, math.nan, 3]) == statistics.t_interval([1, 3])


@pytest.mark.parametrize(("values", "mean"), [([], math.nan), ([2.5], 2.5)])
def test_t_interval_needs_two_values(values, mean):
    interval = statistics.t_interval(values)
    assert interval == pytest.approx((mean, math.nan, math.nan, "none"), nan_ok=True)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(1, 0.0253, 5.5716), (5, 1.6235, 11.6683), (10, 4.7954, 18.3904), (29, 19.4219, 41.6490)],
)
def test_poisson_interval_is_garwoods(count, low, high):
    """Garwood's table of 1936, as reprinted in every handbook of rates."""
    interval = statistics.poisson_interval(count, exposure=2.0)
    assert interval.method == "poisson"
    assert interval[:3] == pytest.approx((count / 2, low / 2, high / 2), abs=1e-4)


def test_no_event_gives_the_rule_of_three():
    assert statistics.poisson_interval(0, exposure=60.0) == Interval(0.0, 0.0, 0.05, "rule-of-three")


def test_an_exposure_of_nothing_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        statistics.poisson_interval(3, exposure=0)


def test_a_rate_is_poisson_below_thirty_events_and_students_from_thirty_on():
    few, enough = statistics.rate_interval([14, 15], 10), statistics.rate_interval([14, 16], 10)
    assert few == pytest.approx((1.45, 19.42189 / 20, 41.64896 / 20, "poisson"), abs=1e-5)
    assert enough.method == "t"
    assert enough[:3] == pytest.approx((1.5, 1.5 - 12.706205 * 0.1, 1.5 + 12.706205 * 0.1), abs=1e-6)


def test_a_rate_has_no_negative_lower_end():
    interval = statistics.rate_interval([0, 0, 0, 60], 1)
    assert (interval.mean, interval.low, interval.method) == (15, 0.0, "t")
    assert interval.high == pytest.approx(15 + 3.182446 * 15, abs=1e-4)


def test_one_replication_is_marked():
    """Student's interval needs two; the exact Poisson one takes its place and says so."""
    interval = statistics.rate_interval([100], 10)
    assert interval.method == "poisson-one-replication"
    assert interval[:3] == pytest.approx((10, 8.13638, 12.16270), abs=1e-4)


def test_no_replication_has_no_rate():
    assert math.isnan(statistics.rate_interval([], 10).mean)


def test_paired_difference_is_that_of_scipy():
    a, b = [10.0, 12.0, 9.0, 14.0], [11.0, 14.0, 9.5, 16.5]
    known = stats.ttest_rel(b, a)
    low, high = known.confidence_interval(0.95)
    paired = statistics.paired_difference(a, b)
    assert paired[:4] == pytest.approx((1.5, low, high, known.pvalue))
    assert paired.correlation == pytest.approx(stats.pearsonr(a, b).statistic)
    assert paired.pairs == 4


def test_arms_that_differ_by_a_constant_have_no_p_value():
    paired = statistics.paired_difference([1, 1, 1], [3, 3, 3])
    assert paired[:3] == (2, 2, 2)
    assert math.isnan(paired.p_value)
    assert math.isnan(paired.correlation)


@pytest.mark.parametrize(("first", "second"), [([1, 2], [1, 2, 3]), ([1], [1])])
def test_pairs_have_to_be_pairs(first, second):
    with pytest.raises(ValueError, match="equally long"):
        statistics.paired_difference(first, second)


def test_holm_is_that_of_r():
    """``p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`` in R."""
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stays_at_one_and_leaves_out_what_is_missing():
    assert statistics.holm([0.6, math.nan, 0.7]) == pytest.approx([1, math.nan, 1], nan_ok=True)


def test_mser5_drops_the_transient():
    series = [100.0] * 12 + [0.0, 1.0] * 44
    assert statistics.mser5(series) == 15


def test_mser5_keeps_a_stationary_series_and_a_short_one():
    assert statistics.mser5([0.0, 1.0] * 50) == 0
    assert statistics.mser5([9.0, 1.0, 1.0]) == 0


def test_mser5_never_drops_more_than_half():
    assert statistics.mser5(np.arange(100.0)) <= 50


@pytest.mark.parametrize(("values", "index"), [([2, 2, 2, 2], 1), ([5, 0, 0, 0], 0.25), ([1, 2, 3], 36 / 42)])
def test_jain(values, index):
    assert statistics.jain(values) == pytest.approx(index)


def test_nothing_to_share_is_neither_fair_nor_unfair():
    assert math.isnan(statistics.jain([0, 0]))
    assert math.isnan(statistics.jain([]))


def test_the_ratio_has_fiellers_interval():
    """Its ends are where the paired t test turns: ``b - r a`` is told from 0 beyond, and not within."""
    a, b = np.array([10.0, 12.0, 9.0, 14.0]), np.array([11.0, 14.0, 9.5, 16.5])
    ratio = statistics.ratio_interval(a, b)
    assert (ratio.mean, ratio.method) == (pytest.approx(51 / 45), "fieller")
    p_values = [stats.ttest_1samp(b - end * a, 0).pvalue for end in (ratio.low, ratio.high)]
    assert p_values == pytest.approx([0.05, 0.05])


@pytest.mark.parametrize(
    ("first", "second", "mean"), [([0, 0], [1, 2], math.nan), ([1], [3], 3), ([-9, 10], [1, 3], 4)]
)
def test_a_ratio_to_what_may_be_nothing_has_no_bounds(first, second, mean):
    ratio = statistics.ratio_interval(first, second)
    assert ratio.mean == pytest.approx(mean, nan_ok=True)
    assert (math.isnan(ratio.low), ratio.method) == (True, "none")
