"""Little's law, L = lambda W, on every level of every shipped scenario, exactly.

L is the mean of a level, in the series of the run and as it was counted while the run went on; lambda W the
sum of the stays that the records tell, over the length of the window, with each stay cut where it crosses the
window's ends, and stays without an end until the window's last (Little, "A
proof for the queueing formula L = lambda W", Operations Research 9, 1961; for a finite window: Little and
Graves, "Little's Law", in *Building Intuition*, 2008).
"""

import numpy as np
import pytest

from sim.analysis.levels import AT_WORK, IN_FLIGHT, INTENTS
from sim.analysis.levels import EXECUTIONS as PARTS_OF
from sim.analysis.sojourn import PARTS
from sim.scenario import load, shipped
from tests.scenarios.record import HORIZON, OVERRIDES
from tests.theory.watched import EXECUTIONS, UNLEASED, run_watched

FAST = ("steady", "worker_crashes", "kinds/waitpoint_not_found")
"""Run with the default suite: the plain case, faults, suspensions."""


def column(table, name, missing=-1):
    return table[name].fill_null(missing).to_numpy() if table[name].null_count else table[name].to_numpy()


def stays_us(starts_us, ends_us, window_us):
    """Sum the stays within a window; an end that is missing comes after it."""
    start_us, end_us = window_us
    ends_us = np.where(ends_us < 0, end_us, ends_us)
    inside = np.minimum(ends_us, end_us) - np.maximum(starts_us, start_us)
    return int(np.maximum(inside, 0).sum())


def unanswered_since(result, levels, scenario):
    """Give when the attempts that are out at the end were sent, which stand in no record.

    Each has a reason: its caller is paused at the end, or its time-out comes later.
    """
    end_us = scenario.horizon.end_us
    paused = {
        window.worker for window in result.faults if window.fault.key == "pause" and window.to_us > end_us
    }
    out = list(levels.unanswered.elements())
    assert all(count >= 0 for count in levels.unanswered.values())
    late = [each for each in out if each[2] < end_us - scenario.link.timeout]
    assert len({actor for actor, _, _ in late}) <= len(paused)
    return np.array([sent_us for _, _, sent_us in out], np.int64)


def stays_by_level(result, window_us):
    """Give the sum of the stays of every level that the records know."""
    executions, intents, attempts = result.executions, result.intents, result.attempt_rows
    created, leased, finished = (
        column(executions, name) for name in ("created_us", "leased_us", "finished_us")
    )
    stays = {
        EXECUTIONS: stays_us(created, finished, window_us),
        UNLEASED: stays_us(created, np.where(leased < 0, finished, leased), window_us),
        "attempts": stays_us(column(attempts, "sent_us"), column(attempts, "done_us"), window_us),
    }
    goals = np.array(intents["goal"].to_pylist())
    for goal in np.unique(goals).tolist():
        of_goal = goals == goal
        starts, ends = column(intents, "start_us")[of_goal], column(intents, "end_us")[of_goal]
        stays[f"intents: {goal}"] = stays_us(starts, ends, window_us)
    return stays


def recorded_levels(result):
    """Integrate the levels of the run's own series over the window, named as those that were counted."""
    series = result.series.to_pandas()
    inside = series[series["in_window"]].groupby(["series", "label"], observed=True)["integral_us"].sum()
    found = {"attempts": int(inside[IN_FLIGHT].sum()), EXECUTIONS: int(inside[PARTS_OF].sum())}
    return found | {f"intents: {goal}": int(value) for goal, value in inside[INTENTS].items()}


def check(name, monkeypatch):
    scenario = load(name, [*HORIZON, "horizon.warmup=500ms", *OVERRIDES.get(name, ())])
    result, levels = run_watched(scenario, monkeypatch)
    stays = stays_by_level(result, result.window_us)
    sent_us = unanswered_since(result, levels, scenario)
    stays["attempts"] += stays_us(sent_us, np.full(len(sent_us), -1), result.window_us)
    assert {level: steps.integral_us(result.window_us) for level, steps in levels.items()} == stays
    del stays[UNLEASED]
    assert recorded_levels(result) == stays
    assert sum(value > 0 for value in stays.values()) >= 3, "hardly anything happened"
    check_parts(result)


def check_parts(result):
    """Over a whole run the level of a part of the sojourn is the time that executions spent in it."""
    series, executions = result.series.to_pandas(), result.executions
    whole = series[series["series"] == PARTS_OF].groupby("label", observed=True)["integral_us"].sum()
    assert {part: int(whole[part]) for part in PARTS} == {
        part: int(column(executions, f"{part}_us").sum()) for part in PARTS
    }
    at_work = series.loc[series["series"] == AT_WORK, "integral_us"].sum()
    assert at_work == column(executions, "worked_us").sum()


@pytest.mark.parametrize("name", FAST)
def test_littles_law_holds_on_every_level(name, monkeypatch):
    check(name, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in shipped() if name not in FAST])
def test_littles_law_holds_on_every_level_of_every_scenario(name, monkeypatch):
    check(name, monkeypatch)


def test_an_end_that_is_taken_down_too_late_is_noticed(monkeypatch):
    """The canary: one end in the records, a millisecond late."""
    result, levels = run_watched(load("steady", HORIZON), monkeypatch)
    told = stays_by_level(result, result.window_us)[EXECUTIONS]
    assert levels[EXECUTIONS].integral_us(result.window_us) == told
    number = result.executions.column_names.index("finished_us")
    late = result.executions["finished_us"].to_pylist()
    late[3] += 1000
    result = result._replace(executions=result.executions.set_column(number, "finished_us", [late]))
    assert stays_by_level(result, result.window_us)[EXECUTIONS] == told + 1000
