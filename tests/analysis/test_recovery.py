"""Latencies by hand, curves against published ones."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import CensoredData, ecdf

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.recovery import (
    episodes,
    incidence_curve,
    quantile,
    quantile_draws,
    recovery,
    recovery_curve,
    recovery_intervals,
)
from sim.rng import Streams
from tests.analysis.build import MS, Builder, S, write_study

CONFLICT, EXPIRED = "lease_conflict", "claim_grant_expired"


def episodes_of(build):
    frames = build.frames()
    return episodes(frames["contentions"], frames["intents"])


def made(latencies_ms, end="recovered", replication=0, kind=CONFLICT):
    return pd.DataFrame({
        "arm": "documented", "replication": replication, "kind": kind,
        "latency_us": [round(ms * MS) for ms in latencies_ms], "end": end,
    })  # fmt: skip


def row_of(*tables):
    return recovery(pd.concat(tables), ["documented"]).set_index("kind").loc[CONFLICT]


# --- episodes -------------------------------------------------------------------------------------


def test_latency_runs_from_the_first_refusal_to_the_end_of_the_intent():
    build = Builder()
    intent = build.intent(start_us=50, end_us=9_000)
    for done_us in (1_000, 4_000, 8_000):
        build.contention(CONFLICT, done_us, intent)
    table = episodes_of(build)
    assert table[["kind", "root", "since_us", "until_us", "latency_us", "end"]].to_numpy().tolist() == [
        [CONFLICT, intent, 1_000, 9_000, 8_000, "recovered"]
    ]


def test_an_intent_that_meets_two_kinds_is_an_episode_of_each():
    build = Builder()
    intent = build.intent(end_us=9_000)
    build.contention(CONFLICT, 1_000, intent)
    build.contention(EXPIRED, 3_000, intent)
    assert dict(episodes_of(build)[["kind", "latency_us"]].to_numpy().tolist()) == {
        CONFLICT: 8_000,
        EXPIRED: 6_000,
    }


def test_a_refused_dispatch_recovers_when_the_acquire_it_serves_does():
    """Two dispatches serve one acquire; their refusals are one episode, that of the root."""
    build = Builder()
    acquire = build.intent(end_us=7_000)
    for done_us in (2_000, 3_000):
        dispatch = build.intent(
            end_us=done_us, resolution="relayed", root=acquire, goal="dispatch", actor_kind="scheduler"
        )
        build.contention("execution_not_eligible", done_us, dispatch, actor_kind="scheduler")
    table = episodes_of(build)
    assert table[["root", "goal", "actor_kind", "latency_us", "end"]].to_numpy().tolist() == [
        [acquire, "acquire", "worker", 5_000, "recovered"]
    ]


def test_an_episode_belongs_to_the_window_in_which_it_begins():
    """The first refusal decides: a second one in the window does not make a new episode."""
    build = Builder(window_us=(S, 2 * S))
    before, within, after = build.intent(end_us=3 * S), build.intent(end_us=3 * S), build.intent(end_us=3 * S)
    build.contention(CONFLICT, S - 1, before)
    build.contention(CONFLICT, S + 5, before)
    build.contention(CONFLICT, S, within)
    build.contention(CONFLICT, 2 * S, after)
    assert episodes_of(build)["root"].tolist() == [within]


def test_a_refusal_without_an_intent_is_no_episode():
    build = Builder()
    build.contention("no_eligible_execution", 5)
    assert len(episodes_of(build)) == 0


def test_the_same_intent_number_in_two_runs_is_two_intents():
    builders = [Builder(replication=0), Builder(replication=1)]
    for build, end_us in zip(builders, (100, 300), strict=True):
        build.contention(CONFLICT, 50, build.intent(end_us=end_us))
    frames = [build.frames() for build in builders]
    both = {name: pd.concat([f[name] for f in frames]) for name in ("contentions", "intents")}
    assert episodes(both["contentions"], both["intents"])["latency_us"].tolist() == [50, 250]


def test_a_root_that_is_no_intent_is_an_error():
    build = Builder()
    build.contention(CONFLICT, 5, build.intent(), root=99)
    with pytest.raises(ValueError, match="not in the table of intents"):
        episodes_of(build)


# --- curves ---------------------------------------------------------------------------------------

# Freireich et al., Blood 21, 1963: weeks of remission under 6-MP, the classic example of the estimate.
REMISSION_ENDED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
STILL_IN_REMISSION = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]


def test_the_curve_is_the_published_one():
    table = pd.concat([made(REMISSION_ENDED), made(STILL_IN_REMISSION, "open")])
    curve = recovery_curve(table)
    survival = {at: 1 - share for at, share in zip(curve.at_us / MS, curve.share, strict=True)}
    published = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482, 35: 0.4482}
    assert {at: survival[at] for at in published} == pytest.approx(published, abs=5e-5)
    assert quantile(curve, 0.5, 21) == (23 * MS, "ok")


def test_the_curve_is_that_of_scipy_to_the_last_bit():
    generator = np.random.default_rng(20261127)
    for _ in range(50):
        size = generator.integers(1, 300)
        latencies = generator.integers(0, generator.integers(2, 500), size)
        table = pd.DataFrame({"latency_us": latencies, "end": generator.choice(["recovered", "open"], size)})
        recovered, still_open = (latencies[table["end"] == end] for end in ("recovered", "open"))
        survival = ecdf(CensoredData(uncensored=recovered, right=still_open)).sf
        curve = recovery_curve(table)
        assert curve.at_us.tolist() == survival.quantiles.tolist()
        assert curve.share.tolist() == (1 - survival.probabilities).tolist()


def test_competing_ends_share_out_the_incidence():
    """n = 5, 4, 3 at the first three instants, 1 at the last: 0.2, 0.2, 0.6/3 and the 0.4 that is left."""
    table = pd.concat([made([1, 3]), made([2], "abandoned"), made([4], "open"), made([5], "satisfied")])
    last = {end: incidence_curve(table, end).share[-1] for end in ("recovered", "abandoned", "satisfied")}
    assert last == pytest.approx({"recovered": 0.4, "abandoned": 0.2, "satisfied": 0.4})
    assert incidence_curve(table).share == pytest.approx([0.2, 0.2, 0.4, 0.4, 0.4])


def test_without_competing_ends_the_incidence_is_the_curve():
    table = pd.concat([made(REMISSION_ENDED), made(STILL_IN_REMISSION, "open")])
    assert incidence_curve(table).share[-1] == pytest.approx(1 - 0.4482, abs=5e-5)


# --- the table ------------------------------------------------------------------------------------


def test_ends_are_counted_and_shared():
    row = row_of(made([1, 2, 3]), made([4], "satisfied"), made([5, 6], "abandoned"), made([7, 8], "open"))
    assert row[["episodes", "recovered", "satisfied", "abandoned", "open"]].tolist() == [8, 3, 1, 2, 2]
    assert (row["recovered_share"], row["incidence"]) == (0.5, pytest.approx(3 / 8))


def test_the_median_of_ten_is_the_fifth():
    """Exactly half have recovered by then, though ten factors of the curve do not multiply to exactly 0.5."""
    row = row_of(made(range(1, 11)))
    assert (row["p50"], row["p50_status"]) == (5.0, "ok")


def test_abandoned_and_satisfied_do_not_move_the_curve():
    plain = row_of(made(range(1, 11)))
    beside = row_of(made(range(1, 11)), made([1] * 40, "abandoned"), made([1] * 40, "satisfied"))
    assert beside["p50"] == plain["p50"]


@pytest.mark.parametrize(
    ("n", "statuses"),
    [
        (9, ["too few", "too few", "too few"]),
        (10, ["ok", "too few", "too few"]),
        (49, ["ok", "too few", "too few"]),
        (50, ["ok", "ok", "too few"]),
        (499, ["ok", "ok", "too few"]),
        (500, ["ok", "ok", "ok"]),
    ],
)
def test_a_quantile_needs_five_observations_beyond_it(n, statuses):
    row = row_of(made(range(1, n + 1)))
    assert row[["p50_status", "p90_status", "p99_status"]].tolist() == statuses
    assert [math.isnan(row[q]) for q in ("p50", "p90", "p99")] == [status != "ok" for status in statuses]


def test_a_curve_that_ends_below_a_quantile_does_not_reach_it():
    """Twelve open at the end of the run beside eight recovered: less than half is known to recover."""
    row = row_of(made(range(1, 9)), made([100] * 12, "open"))
    assert (row["p50_status"], math.isnan(row["p50"])) == ("not reached", True)


def test_only_competing_ends_leave_no_curve():
    row = row_of(made([1, 2], "abandoned"))
    assert (row["p50_status"], row["incidence"], row["recovered_share"]) == ("none", 0.0, 0.0)


def test_every_kind_of_every_arm_has_a_row():
    table = recovery(made([1]), ["documented", "naive"])
    assert table["kind"].tolist() == KIND_NAMES * 2
    never = table.set_index(["arm", "kind"]).loc["naive", CONFLICT]
    assert (never["episodes"], never["p50_status"]) == (0, "none")
    assert math.isnan(never["incidence"])


# --- intervals ------------------------------------------------------------------------------------


def intervals_of(tables, replications, draws=200):
    runs = pd.DataFrame({"arm": "documented", "replication": range(replications)})
    table = recovery_intervals(pd.concat(tables), runs, Streams(7, 0).of("bootstrap"), draws=draws)
    return table.set_index("kind").loc[CONFLICT]


def test_replications_that_are_alike_leave_no_doubt():
    row = intervals_of([made(range(1, 11), replication=r) for r in range(4)], 4)
    assert (row["p50_low"], row["p50_high"]) == (5.0, 5.0)
    assert math.isnan(row["p90_low"])


def test_whole_replications_are_drawn():
    """One of two is slow: a draw takes it never, once or twice, so the median is 5 ms, 10 ms or 505 ms."""
    slow = made([500 + ms for ms in range(1, 11)], replication=1)
    row = intervals_of([made(range(1, 11)), slow], 2)
    assert (row["p50_low"], row["p50_high"]) == (5.0, 505.0)


def test_equal_seeds_give_equal_intervals():
    noise = np.random.default_rng(3)
    tables = [made(noise.exponential(100, 30), replication=r) for r in range(5)]
    assert intervals_of(tables, 5).equals(intervals_of(tables, 5))


def test_an_end_that_draws_do_not_reach_is_missing():
    tables = [made(range(1, 21), replication=0), made([100] * 19, "open", replication=1)]
    row = intervals_of(tables, 2)
    assert row["p50_low"] == 10.0
    assert math.isnan(row["p50_high"])


def test_one_replication_has_no_interval():
    row = intervals_of([made(range(1, 21))], 1)
    assert math.isnan(row["p50_low"])


def test_open_intents_of_a_drawn_replication_count_as_often_as_it_is_drawn():
    """With every replication drawn once, the weighted curve is the plain one."""
    table = pd.concat([made(REMISSION_ENDED), made(STILL_IN_REMISSION, "open")])
    drawn = quantile_draws(table, np.array([0]), np.array([[1], [3]]), [0.5, 0.9])
    assert drawn.tolist() == [[23 * MS, math.inf], [23 * MS, math.inf]]


def test_beyond_so_many_distinct_latencies_a_level_is_off_by_the_grid_at_most():
    noise = np.random.default_rng(5)
    table = pd.concat([made(noise.lognormal(3, 1, 9000)), made(noise.lognormal(3, 1, 1000), "open")])
    exact = [quantile(recovery_curve(table), q, len(table))[0] for q in (0.5, 0.5003, 0.9, 0.9003)]
    ((median, p90),) = quantile_draws(table, np.array([0]), np.array([[1]]), [0.5, 0.9])
    assert exact[0] <= median <= exact[1]
    assert exact[2] <= p90 <= exact[3]


def test_a_replication_without_contention_does_not_stop_a_study(tmp_path):
    """Its episodes have no rows, hence no types of their own."""
    build = Builder()
    build.contention("lease_conflict", S, build.intent(S, S + MS))
    study = write_study(tmp_path, [build.run(), Builder(replication=1).run()])
    assert study.episodes()["latency_us"].tolist() == [MS]
