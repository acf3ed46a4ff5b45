"""Comparisons whose answer is known: from scipy, by hand, or from how the arms were made."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sim.analysis.comparison import (
    DETAILS,
    DIFFERENT,
    EQUAL,
    FREQUENCY,
    MAIN,
    MEASURES,
    NOT_EVERYWHERE,
    NOT_SHOWN,
    PAIRED_COLUMNS,
    RECOVERY,
    TAILS,
    TOO_FEW_EVENTS,
    TOO_FEW_PAIRS,
    UNCERTAIN,
    compare_arms,
    pareto,
)
from sim.analysis.frequency import KIND_NAMES
from sim.analysis.outcomes import UNITS
from sim.analysis.recovery import NONE_SEEN, TOO_FEW
from sim.analysis.statistics import holm
from sim.rng import Streams

CONFLICT, EXPIRED = "lease_conflict", "claim_grant_expired"
WINDOW_S = 10.0


def runs_of(arm, **measures):
    """One row a replication; measures that are not named are 1 everywhere."""
    replications = len(next(iter(measures.values())))
    table = pd.DataFrame({"arm": arm, "replication": range(replications)} | dict.fromkeys(UNITS, 1.0))
    return table.assign(**{name: np.asarray(values, dtype=float) for name, values in measures.items()})


def counts_of(arm, counts, kind=CONFLICT):
    rows = [(arm, r, kind, count) for r, count in enumerate(counts) if count]
    return pd.DataFrame(rows, columns=["arm", "replication", "kind", "count"])


def episodes_of(arm, latencies_ms, end="recovered", kind=CONFLICT):
    """Latencies of each replication."""
    rows = [
        (arm, r, kind, round(ms * 1000), end) for r, row in enumerate(latencies_ms) for ms in np.asarray(row)
    ]
    return pd.DataFrame(rows, columns=["arm", "replication", "kind", "latency_us", "end"])


def compared(runs, counts=(), episodes=(), baseline="a"):
    runs = pd.concat(runs)
    nothing_counted, nothing_met = counts_of("a", []), episodes_of("a", [])
    return compare_arms(
        runs,
        pd.concat([*counts, nothing_counted]),
        pd.concat([*episodes, nothing_met]),
        WINDOW_S,
        Streams(7, 0).of("test"),
        baseline=baseline,
        arms=[arm for arm in dict.fromkeys(runs["arm"]) if arm != baseline],
    )


def row_of(table, measure, kind=None, arm="b"):
    same = (table["measure"] == measure) & (table["arm"] == arm)
    same &= table["kind"].isna() if kind is None else table["kind"] == kind
    (row,) = table.loc[same].to_dict("records")
    return row


A = [100.0, 110.0, 95.0, 120.0, 105.0]
B = [104.0, 116.0, 98.0, 124.0, 111.0]


def test_a_measure_is_compared_by_the_paired_t_test():
    row = row_of(compared([runs_of("a", completed=A), runs_of("b", completed=B)]), "completed")
    known = stats.ttest_rel(B, A)
    low, high = known.confidence_interval(0.95)
    assert (row["baseline"], row["family"], row["unit"], row["pairs"]) == ("a", MEASURES, "", 5)
    assert (row["baseline_value"], row["arm_value"], row["difference"]) == pytest.approx((106, 110.6, 4.6))
    assert (row["ci_low"], row["ci_high"], row["p_value"]) == pytest.approx((low, high, known.pvalue))
    assert row["correlation"] == pytest.approx(stats.pearsonr(A, B).statistic)
    assert row["percent"] == pytest.approx(100 * 4.6 / 106)
    assert row["percent_low"] < row["percent"] < row["percent_high"]
    assert row["finding"] == DIFFERENT


def test_every_arm_has_a_row_for_every_measure_and_kind():
    table = compared([runs_of(arm, completed=A) for arm in "abc"])
    assert list(table.columns) == PAIRED_COLUMNS
    of_b = table.loc[table["arm"] == "b"]
    assert of_b.loc[of_b["family"] == MEASURES, "measure"].tolist() == list(MAIN)
    assert set(of_b.loc[of_b["family"] == DETAILS, "measure"]) == set(UNITS) - set(MAIN)
    assert of_b.loc[of_b["family"] == FREQUENCY, "kind"].tolist() == KIND_NAMES
    assert of_b.loc[of_b["family"] == RECOVERY, "kind"].tolist() == KIND_NAMES
    assert set(of_b.loc[of_b["family"] == TAILS, "measure"]) == {"recovery_p90", "recovery_p99"}
    assert len(table) == 2 * len(of_b)


def test_p_values_are_corrected_over_all_arms_of_a_family_and_over_no_other():
    noisy = [101.0, 109.0, 97.0, 119.0, 106.5]
    table = compared([
        runs_of("a", completed=A, attempts=A, intents=A),
        runs_of("b", completed=B, attempts=noisy, intents=B),
        runs_of("c", completed=noisy, attempts=B, intents=A),
    ])  # fmt: skip
    keys = [("completed", "b"), ("attempts", "b"), ("completed", "c"), ("attempts", "c")]
    rows = [row_of(table, measure, arm=arm) for measure, arm in keys]
    assert [row["p_holm"] for row in rows] == pytest.approx(holm([row["p_value"] for row in rows]))
    assert [row["tests"] for row in rows] == [4] * 4
    detail = row_of(table, "intents")
    assert (detail["family"], detail["tests"], detail["p_holm"]) == (DETAILS, 1, detail["p_value"])


def test_what_is_shown_before_the_correction_need_not_be_after_it():
    """p is 0.02 alone and above 0.05 among six such tests."""
    barely = [100.5, 112.0, 95.4, 121.0, 107.5]
    names = ("completed", "attempts", "contentions", "amplification", "sojourn_mean", "sojourn_p99")
    alone = row_of(compared([runs_of("a", completed=A), runs_of("b", completed=barely)]), "completed")
    table = compared([runs_of("a", **dict.fromkeys(names, A)), runs_of("b", **dict.fromkeys(names, barely))])
    among = row_of(table, "completed")
    assert (alone["finding"], among["finding"]) == (DIFFERENT, NOT_SHOWN)
    assert alone["p_value"] == among["p_value"] < 0.05 <= among["p_holm"]
    assert among["ci_low"] > 0


def test_arms_without_any_difference_are_equal_and_no_test():
    row = row_of(compared([runs_of("a", completed=A), runs_of("b", completed=A)]), "completed")
    assert (row["finding"], row["difference"], row["tests"]) == (EQUAL, 0.0, 0)
    assert math.isnan(row["p_value"])


def test_a_run_that_never_drained_is_not_left_out_of_its_arms_mean():
    """The runs that drained would flatter their arm: there is no mean, and no test."""
    table = compared([runs_of("a", drain_s=A), runs_of("b", drain_s=[1.0, 1.0, math.nan, 1.0, 1.0])])
    row = row_of(table, "drain_s")
    assert (row["finding"], row["pairs"], row["baseline_value"]) == (NOT_EVERYWHERE, 4, 106.0)
    assert math.isnan(row["arm_value"])
    assert math.isnan(row["p_value"])


def test_one_replication_has_values_and_no_test():
    row = row_of(compared([runs_of("a", completed=[100]), runs_of("b", completed=[104])]), "completed")
    assert (row["finding"], row["difference"], row["pairs"]) == (TOO_FEW_PAIRS, 4.0, 1)


def test_only_replications_that_both_arms_have_are_pairs():
    missing = runs_of("b", completed=B).drop(index=1)
    row = row_of(compared([runs_of("a", completed=A), missing]), "completed")
    kept = [0, 2, 3, 4]
    assert row["pairs"] == 4
    assert row["difference"] == pytest.approx(np.mean(np.array(B)[kept] - np.array(A)[kept]))


def test_kinds_are_compared_per_second_and_zero_where_not_met():
    table = compared(
        [runs_of("a", completed=A), runs_of("b", completed=A)],
        counts=[counts_of("a", [20, 30, 0, 10, 40]), counts_of("b", [25, 32, 4, 15, 46])],
    )
    row = row_of(table, "contentions", CONFLICT)
    assert (row["unit"], row["baseline_value"], row["arm_value"]) == pytest.approx(("1/s", 2.0, 2.44))
    assert row["p_value"] == pytest.approx(stats.ttest_1samp([5, 2, 4, 5, 6], 0).pvalue)
    assert row_of(table, "contentions", EXPIRED)["finding"] == EQUAL


def test_a_handful_of_events_is_no_ground_for_a_test():
    table = compared(
        [runs_of("a", completed=A), runs_of("b", completed=A)],
        counts=[counts_of("a", [1, 1, 1, 1, 1]), counts_of("b", [4, 5, 5, 5, 5])],
    )
    row = row_of(table, "contentions", CONFLICT)
    assert (row["finding"], row["tests"]) == (TOO_FEW_EVENTS, 0)


# --- recovery ---------------------------------------------------------------------------------------


def noisy_latencies(generator, effects, count=200):
    """Each replication has its own level: what pairing is for."""
    return [generator.exponential(100, count) * effect for effect in effects]


LEVELS = [0.5, 1.0, 2.0, 0.7, 1.5, 3.0, 0.4, 1.2]


def recovered(first, second, *more):
    runs = [runs_of("a", completed=LEVELS), runs_of("b", completed=LEVELS)]
    return compared(runs, episodes=[episodes_of("a", first), episodes_of("b", second), *more])


def test_recovery_that_is_twice_as_fast_in_every_run_is_so_exactly():
    """Half of every latency is half of the quantile in every draw: pairing leaves no doubt at all."""
    slow = noisy_latencies(np.random.default_rng(1), LEVELS)
    slow = [np.round(row) * 2 for row in slow]
    row = row_of(recovered(slow, [row / 2 for row in slow]), "recovery_p50", CONFLICT)
    assert (row["percent"], row["percent_low"], row["percent_high"]) == pytest.approx((-50, -50, -50))
    assert row["correlation"] == pytest.approx(1)


def test_the_interval_of_recovery_holds_the_factor_and_is_shorter_for_pairs():
    generator = np.random.default_rng(2)
    first = noisy_latencies(generator, LEVELS)
    paired = row_of(
        recovered(first, noisy_latencies(generator, 3 * np.array(LEVELS))), "recovery_p50", CONFLICT
    )
    shuffled = noisy_latencies(generator, 3 * np.array(LEVELS[::-1]))
    apart = row_of(recovered(first, shuffled), "recovery_p50", CONFLICT)
    assert paired["percent_low"] < 200 < paired["percent_high"]
    assert paired["finding"] == DIFFERENT
    assert paired["correlation"] > 0.8 > apart["correlation"]
    width, wide = (
        np.log1p(row["percent_high"] / 100) - np.log1p(row["percent_low"] / 100) for row in (paired, apart)
    )
    assert width < wide / 2


@pytest.mark.slow
def test_intervals_of_recovery_cover_the_known_factor():
    """Arms alike: of 200 comparisons the 95 % interval misses 'no difference' about ten times."""
    generator, missed = np.random.default_rng(3), 0
    for _ in range(200):
        levels = generator.lognormal(0, 0.5, 8)
        pair = [episodes_of(arm, noisy_latencies(generator, levels, 40)) for arm in "ab"]
        row = row_of(recovered([], [], *pair), "recovery_p50", CONFLICT)
        missed += not row["percent_low"] <= 0 <= row["percent_high"]
    assert 2 <= missed <= 20


def test_open_intents_make_recovery_slower():
    """The same recoveries, and as many that were still waiting after 250 ms."""
    latencies = [np.arange(1, 201) for _ in LEVELS]
    waiting = episodes_of("b", [np.full(60 + r, 250.0) for r in range(8)], "open")
    row = row_of(recovered(latencies, latencies, waiting), "recovery_p50", CONFLICT)
    assert (row["baseline_value"], row["arm_value"]) == (100.0, pytest.approx(132, abs=2))
    assert (row["finding"], row["percent_low"] > 0) == (DIFFERENT, True)


def test_a_quantile_that_some_draws_do_not_reach_has_no_interval():
    """Half recover in all, but a draw may hold more of the replications in which few do."""
    few = [np.arange(1, 61 if r % 2 else 21) for r in range(8)]
    waiting = episodes_of("b", [np.full(20 if r % 2 else 50, 250.0) for r in range(8)], "open")
    row = row_of(recovered([np.arange(1, 61)] * 8, few, waiting), "recovery_p50", CONFLICT)
    assert row["finding"] == UNCERTAIN
    assert math.isnan(row["percent_low"])


def test_quantiles_that_cannot_be_shown_say_why():
    table = recovered([[1.0]] * 8, [[1.0] * 20] * 8)
    assert row_of(table, "recovery_p50", CONFLICT)["finding"] == TOO_FEW
    assert row_of(table, "recovery_p50", EXPIRED)["finding"] == NONE_SEEN


def test_equal_recoveries_are_equal():
    row = row_of(recovered([np.arange(1, 61)] * 8, [np.arange(1, 61)] * 8), "recovery_p50", CONFLICT)
    assert (row["finding"], row["percent"]) == (EQUAL, 0.0)


def test_equal_seeds_give_equal_tables():
    latencies = [noisy_latencies(np.random.default_rng(n), LEVELS) for n in (4, 5)]
    pd.testing.assert_frame_equal(recovered(*latencies), recovered(*latencies))


# --- work against time -------------------------------------------------------------------------------


def front(table, work="amplification", time="sojourn_mean"):
    rows = table.loc[(table["work"] == work) & (table["time"] == time)]
    return {
        row["arm"]: (row["on_front"], row["dominated_by"], row["shown"]) for row in rows.to_dict("records")
    }


def test_an_arm_that_is_worse_in_both_is_dominated():
    quick = runs_of("quick", amplification=B, sojourn_mean=A)
    cheap = runs_of("cheap", amplification=A, sojourn_mean=B)
    bad = runs_of("bad", amplification=[x + 20 for x in B], sojourn_mean=[x * 1.5 for x in B])
    assert front(pareto(pd.concat([quick, cheap, bad]), ["quick", "cheap", "bad"])) == {
        "quick": (True, "", ""),
        "cheap": (True, "", ""),
        "bad": (False, "quick, cheap", "quick, cheap"),
    }


def test_what_is_dominated_by_its_means_alone_is_not_shown():
    noisy = [90.0, 120.0, 95.0, 125.0, 106.0]
    one = runs_of("one", amplification=A, sojourn_mean=A)
    other = runs_of("other", amplification=noisy, sojourn_mean=noisy)
    table = pareto(pd.concat([one, other]), ["one", "other"])
    assert front(table)["other"] == (False, "one", "")


def test_one_shown_difference_of_two_does_not_show_that_an_arm_is_beaten():
    """Less work for certain, less time perhaps: that is no domination that is shown, in either order."""
    noisy = [90.0, 120.0, 95.0, 125.0, 106.0]
    sure = runs_of("sure", amplification=A, sojourn_mean=A, attempts=A)
    perhaps = runs_of("perhaps", amplification=[x + 20 for x in B], sojourn_mean=noisy, attempts=noisy)
    table = pareto(pd.concat([sure, perhaps.assign(drain_s=[x + 20 for x in B])]), ["sure", "perhaps"])
    assert front(table)["perhaps"] == (False, "sure", "")
    assert front(table, work="attempts", time="drain_s")["perhaps"] == (False, "sure", "")
    assert front(table, work="amplification", time="drain_s")["perhaps"] == (False, "sure", "sure")


def test_an_arm_is_beaten_when_one_difference_is_shown_and_the_other_is_nil():
    one = runs_of("one", amplification=A, sojourn_mean=A)
    other = runs_of("other", amplification=B, sojourn_mean=A)
    table = pareto(pd.concat([one, other]), ["one", "other"])
    assert front(table)["other"] == (False, "one", "one")


def test_an_arm_that_does_not_drain_is_on_no_front():
    never = runs_of("never", amplification=A, drain_s=[1.0, math.nan, 1.0, 1.0, 1.0])
    table = pareto(pd.concat([never, runs_of("other", amplification=B, drain_s=B)]), ["never", "other"])
    assert front(table, time="drain_s") == {"never": (False, "", ""), "other": (True, "", "")}
