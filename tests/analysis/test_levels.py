"""Levels over time: from records to series to means, and Little's law on every one of them."""

import math

import numpy as np
import pandas as pd
import pytest

from sim.analysis.levels import (
    EXECUTIONS,
    IN_FLIGHT,
    STORE,
    Line,
    levels,
    little,
    series_table,
    window_levels,
)
from sim.levels import Level
from tests.actors.little import simulate
from tests.scenarios.record import short_run

EDGES = np.array([0, 10, 30, 40])
S = 1_000_000


def table_of(*lines, arm="a", replication=0, edges=EDGES, window_us=(10, 40)):
    frame = series_table(lines, edges, window_us).to_pandas()
    return frame.assign(arm=arm, replication=replication)


def level_of(begins, ends, edges=EDGES):
    level = Level(edges)
    level.add(begins, ends)
    return level


def test_a_row_is_a_bin_of_a_line():
    busy = Line.of(STORE, "0", level_of([5, 25], [15, 40]), capacity=2)
    counted = Line("contentions", "lease_conflict", np.array([1, 0, 2]))
    columns = (
        "series",
        "label",
        "from_us",
        "to_us",
        "begun",
        "ended",
        "integral_us",
        "capacity",
        "in_window",
    )
    rows = [
        tuple(row[name] for name in columns)
        for row in series_table([busy, counted], EDGES, (10, 40)).to_pylist()
    ]
    assert rows == [
        ("store", "0", 0, 10, 1, 0, 5, 2, False),
        ("store", "0", 10, 30, 1, 1, 10, 2, True),
        ("store", "0", 30, 40, 0, 0, 10, 2, True),
        ("contentions", "lease_conflict", 0, 10, 1, None, None, None, False),
        ("contentions", "lease_conflict", 10, 30, 0, None, None, None, True),
        ("contentions", "lease_conflict", 30, 40, 2, None, None, None, True),
    ]  # fmt: skip


def test_the_level_of_the_window_is_integrated_from_zero():
    """One thing from 5 to 15 and one from 25 to 40, in a window from 10 to 40: (5 + 15) / 30."""
    rows = window_levels(table_of(Line.of(STORE, "0", level_of([5, 25], [15, 40]), capacity=2)))
    (row,) = rows.to_dict("records")
    assert row["level"] == pytest.approx(20 / 30)
    assert row["utilisation"] == pytest.approx(10 / 30)
    assert (row["begun"], row["per_s"]) == (1, pytest.approx(S / 30))


def test_a_level_over_time_is_the_mean_over_replications_and_a_line_that_is_missing_counts_as_zero():
    first = table_of(Line.of(EXECUTIONS, "work", level_of([0], [40])))
    second = table_of(Line.of(IN_FLIGHT, "", level_of([0], [40])), replication=1)
    table = levels(pd.concat([first, second]), EXECUTIONS)
    assert table.columns.tolist() == ["arm", "label", "from_s", "to_s", "level", "per_s", "utilisation"]
    assert table["level"].tolist() == [0.5, 0.5, 0.5]
    assert table["to_s"].tolist() == [10 / S, 30 / S, 40 / S]
    assert table["utilisation"].isna().all()


def test_what_takes_no_time_has_a_rate_and_no_level():
    table = levels(table_of(Line("contentions", "lease_conflict", np.array([1, 0, 2]))), "contentions")
    assert table["level"].isna().all()
    assert table["per_s"].tolist() == pytest.approx([S / 10, 0, 2 * S / 10])


# --- Little's law ----------------------------------------------------------------------------------


def test_little_by_hand():
    """One from 0 to 20 (10 of it inside), one from 15 to 25, one from 30 to 60 (10 inside)."""
    found = little([0, 15, 30], [20, 25, 60], (10, 40))
    assert found.level == pytest.approx((10 + 10 + 10) / 30)
    assert (found.rate_per_s, found.time_s) == (pytest.approx(2 * S / 30), pytest.approx(20 / S))
    assert found.edge_items == pytest.approx((30 - 40) / 30)
    assert found.level == pytest.approx(found.rate_per_s * found.time_s + found.edge_items)


def test_without_edges_the_law_is_exact():
    found = little([0, 5, 7], [20, 25, 9], (0, 40))
    assert found.edge_items == 0
    assert found.level == pytest.approx(found.rate_per_s * found.time_s)


def test_nothing_began():
    found = little([], [], (0, 40))
    assert (found.level, found.rate_per_s) == (0, 0)
    assert math.isnan(found.time_s)


def items_of(run):
    """The items of the levels whose records tell when each began and ended."""
    end_us = int(run.series.to_pandas()["to_us"].max())
    intents = run.intents.to_pandas()
    attempts = run.attempt_rows.to_pandas()
    executions = run.executions.to_pandas()
    ended_us = executions["finished_us"].fillna(end_us).astype("int64")
    for goal, mine in intents.groupby("goal", observed=True):
        yield "intents", (goal,), mine["start_us"], mine["end_us"]
    yield (
        EXECUTIONS,
        ("waiting", "granting", "contention", "work", "redone", "suspended"),
        executions["created_us"],
        ended_us,
    )
    yield IN_FLIGHT, ("",), attempts["sent_us"], attempts["done_us"]


def test_every_level_of_a_run_obeys_littles_law():
    """L of the recorded levels, in the window, against lambda W of the records; the run drains to the end."""
    run = simulate(
        "workload.arrivals={poisson: {rate: 60/s}}", "horizon={warmup: 1s, run: 5s, drain: 5s}",
        "workers.count=3", "reconcilers={count: 1}",
    )  # fmt: skip
    window_us = (S, 6 * S)
    recorded = window_levels(run.series.to_pandas()).set_index(["series", "label"])["level"]
    checked = set()
    for series, labels, begins_us, ends_us in items_of(run):
        law = little(begins_us, ends_us, window_us)
        level = sum(recorded[series, label] for label in labels)
        assert level == pytest.approx(law.rate_per_s * law.time_s + law.edge_items), (series, labels)
        checked.add(labels[0])
    assert checked >= {"submit", "acquire", "dispatch", "finish", "waiting", ""}


def test_a_partitions_level_is_the_service_it_gave():
    """Constant service of 50 us: utilisation is arrivals times that."""
    run = simulate("horizon.run=40ms")
    attempts = run.attempt_rows.to_pandas()
    (store,) = window_levels(run.series.to_pandas()).query("series == 'store'").to_dict("records")
    served = attempts["arrived_us"].notna().sum()
    assert store["utilisation"] == pytest.approx(served * 50 / 40_000, abs=2 * 50 / 40_000)


@pytest.mark.parametrize("name", ["claim_storm", "field/store_outage", "kinds/retry_exhausted"])
def test_levels_are_never_negative_and_never_above_their_capacity(name):
    """Transactions too: a session is taken or free."""
    series = short_run(name).series.to_pandas()
    timed = series.loc[series["integral_us"].notna()]
    assert (timed["integral_us"] >= 0).all()
    bounded = timed.loc[timed["capacity"].notna()]
    assert set(bounded["series"]) == {"store", "workers_at_work"}
    assert (bounded["integral_us"] <= bounded["capacity"] * (bounded["to_us"] - bounded["from_us"])).all()
    assert bounded.loc[bounded["series"] == "store", "integral_us"].sum() > 0


def test_attempts_in_flight_include_those_that_are_never_answered():
    """Sent, lost, and not given up by the end of the run."""
    run = simulate(
        "workload.arrivals.burst.count=1", "workers.count=0", "horizon.run=10ms",
        "link={request: 100us, reply: 200us, timeout: 50ms, lose_request: 0.999999}",
    )  # fmt: skip
    assert run.attempt_rows.num_rows == 0
    (row,) = window_levels(run.series.to_pandas()).query("series == 'attempts_in_flight'").to_dict("records")
    assert row["level"] == 1.0
