"""Counts made by hand, found again."""

import math

import pandas as pd
import pytest

from sim.analysis.frequency import (
    KIND_NAMES,
    count_contentions,
    count_met,
    frequency,
    frequency_by,
    frequency_over_time,
)
from tests.analysis.build import Builder, S

CONFLICT, EMPTY = "lease_conflict", "no_eligible_execution"


def table_of(builders, runs):
    frames = [builder.frames() for builder in builders]
    counts = pd.concat([count_contentions(f["contentions"]) for f in frames])
    met = pd.concat([count_met(f["contentions"], f["intents"]) for f in frames])
    return frequency(counts, pd.DataFrame(runs), 10.0, met).set_index(["arm", "kind"])


def totals(replication, arm="documented", attempts=0, completed=0, intents=0):
    return {
        "arm": arm,
        "replication": replication,
        "attempts": attempts,
        "completed": completed,
        "intents": intents,
    }


def storm(replication, conflicts):
    build = Builder(replication=replication)
    for number in range(conflicts):
        build.contention(CONFLICT, number + 1, build.intent())
    return build


def test_a_kind_has_its_count_its_rate_and_its_ratios():
    runs = [
        totals(0, attempts=300, completed=20, intents=50),
        totals(1, attempts=500, completed=30, intents=50),
    ]
    row = table_of([storm(0, 16), storm(1, 24)], runs).loc["documented", CONFLICT]
    assert (row["count"], row["mean"], row["interval"]) == (40, 2.0, "t")
    assert row["ci_low"] == 0.0
    assert row["ci_high"] == pytest.approx(2 + 12.706205 * 0.4, abs=1e-5)
    assert (row["per_1000_attempts"], row["per_execution"]) == (50.0, 0.8)
    assert (row["intents_met"], row["share_of_intents"]) == (40, 0.4)


def test_every_kind_has_a_row_in_the_order_of_the_enum():
    table = table_of([storm(0, 1)], [totals(0, attempts=10)])
    assert table.index.tolist() == [("documented", kind) for kind in KIND_NAMES]


def test_a_kind_never_seen_has_zeros_and_an_upper_bound():
    """Two replications of 10 s without an event bound the rate by 3 / 20 s."""
    row = table_of([storm(0, 0), storm(1, 1)], [totals(0), totals(1)]).loc["documented", EMPTY]
    assert (row["count"], row["mean"], row["ci_low"], row["ci_high"]) == (0, 0.0, 0.0, 0.15)
    assert row["interval"] == "rule-of-three"


def test_a_ratio_to_nothing_is_missing():
    row = table_of([storm(0, 2)], [totals(0)]).loc["documented", CONFLICT]
    assert math.isnan(row["per_1000_attempts"])
    assert math.isnan(row["per_execution"])


def test_what_lies_outside_the_window_is_not_counted():
    """The window is half open: its first microsecond counts, its end does not."""
    build = Builder(window_us=(2 * S, 12 * S))
    for done_us in (2 * S - 1, 2 * S, 12 * S - 1, 12 * S):
        build.contention(CONFLICT, done_us)
    assert count_contentions(build.frames()["contentions"])["count"].tolist() == [2]


def test_an_intent_is_met_once_however_often_it_is_refused():
    """Of three intents begun in the window one meets the kind twice, one only after the window."""
    build = Builder(window_us=(S, 11 * S))
    twice, late, never, early = (build.intent(start_us=at) for at in (S, 2 * S, 3 * S, 0))
    for intent, done_us in ((twice, 4 * S), (twice, 5 * S), (late, 11 * S), (early, 6 * S)):
        build.contention(CONFLICT, done_us, intent)
    build.contention(EMPTY, 7 * S, never)
    build.contention(CONFLICT, 8 * S)
    met = count_met(build.frames()["contentions"], build.frames()["intents"])
    assert dict(zip(met["kind"], met["intents_met"], strict=True)) == {CONFLICT: 2, EMPTY: 1}


def test_arms_keep_the_order_of_the_study_and_share_nothing():
    builders = [storm(0, 3), Builder("aggressive", 0)]
    table = table_of(builders, [totals(0, attempts=100), totals(0, "aggressive", attempts=200)])
    assert table.index.get_level_values("arm").unique().tolist() == ["documented", "aggressive"]
    assert table["count"].xs(CONFLICT, level="kind").tolist() == [3, 0]


def test_groups_are_stated_per_attempt_of_the_same_operation():
    build = Builder()
    for done_us in (1, 2, 3):
        build.contention(CONFLICT, done_us, op="claim_execution")
    build.contention(EMPTY, 4, op="read_eligible", actor_kind="scheduler")
    build.attempt("claim_execution", count=27)
    build.attempt("read_eligible", count=9, actor_kind="scheduler")
    frames, runs = build.frames(), pd.DataFrame([totals(0)])
    by_op = frequency_by(
        count_contentions(frames["contentions"], ["op"]), runs, frames["attempts"], 10.0, ["op"]
    )
    assert by_op[["op", "count", "per_1000_attempts"]].to_numpy().tolist() == [
        ["claim_execution", 3, 100.0],
        ["read_eligible", 1, 100.0],
    ]
    by_actor = frequency_by(
        count_contentions(frames["contentions"], ["actor_kind", "kind"]), runs, frames["attempts"], 10.0,
        ["actor_kind", "kind"],
    )  # fmt: skip
    assert by_actor["actor_kind"].tolist() == ["worker", "scheduler"]
    assert by_actor["mean"].tolist() == [0.3, 0.1]


def test_over_time_bins_are_half_open_and_rates_are_means_of_replications():
    build = Builder()
    for done_us in (0, S - 1, S, 25 * S):
        build.contention(CONFLICT, done_us)
    table = frequency_over_time(build.frames()["contentions"], pd.DataFrame([totals(0), totals(1)]), 1.0)
    assert table[["from_s", "count", "per_s"]].to_numpy().tolist() == [[0, 2, 1.0], [1, 1, 0.5], [25, 1, 0.5]]


def test_a_bin_has_a_width():
    with pytest.raises(ValueError, match="wider than 0 s"):
        frequency_over_time(Builder().frames()["contentions"], pd.DataFrame([totals(0)]), 0)
