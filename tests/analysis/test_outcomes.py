"""What a run achieved, counted by hand."""

import math

import pandas as pd
import pytest

from sim.analysis.outcomes import UNITS, by_class, outcomes, run_table, summarise
from sim.analysis.sojourn import PARTS
from tests.analysis.build import MS, Builder, S


def measure(build):
    frames = build.frames()
    return outcomes(
        frames["intents"], frames["executions"], frames["attempts"], frames["series"], build.window_us
    )


def test_attempts_are_those_of_the_window():
    build = Builder()
    build.attempt(count=40, total=50)
    build.attempt(answer="unknown", count=3, code="unknown")
    build.contention("lease_conflict", 5)
    values = measure(build)
    assert (values["attempts"], values["unknown"], values["contentions"]) == (44, 3, 1)


def test_intents_are_those_that_began_in_the_window():
    build = Builder(window_us=(S, 2 * S))
    build.intent(S - 1, 3 * S)
    for end in ("recovered", "recovered", "satisfied", "abandoned", "open", "relayed"):
        build.intent(S, 3 * S, end)
    values = measure(build)
    ends = ("intents", "recovered", "satisfied", "abandoned", "open", "relayed")
    assert [values[end] for end in ends] == [6, 2, 1, 1, 1, 1]


def test_amplification_is_all_attempts_over_what_was_achieved():
    """Two of three succeed, with 1 and 4 attempts; the 5 in vain count too."""
    build = Builder()
    for attempts, end in ((1, "recovered"), (4, "recovered"), (5, "abandoned")):
        build.intent(resolution=end, attempts=attempts)
    assert measure(build)["amplification"] == 5.0


def test_goodput_counts_completions_at_their_end():
    """Half open: finished at the first microsecond counts, at the end does not; failures do not either."""
    build = Builder(window_us=(S, 3 * S))
    build.execution(0, S)
    build.execution(S, 3 * S - 1)
    build.execution(S, 3 * S)
    build.execution(S, 2 * S, "failed")
    build.execution(2 * S)
    values = measure(build)
    assert (values["completed"], values["goodput_per_s"]) == (2, 1.0)
    assert (values["arrived"], values["unfinished"]) == (4, 1)


def test_sojourn_is_that_of_executions_created_in_the_window():
    build = Builder(window_us=(S, 11 * S))
    build.execution(0, 9 * S)
    for ms in (10, 20, 30, 100):
        build.execution(S, S + ms * MS)
    values = measure(build)
    assert [values[f"sojourn_{name}"] for name in ("mean", "p50", "p90", "p99")] == [40.0, 20.0, 100.0, 100.0]


def test_a_worker_that_completes_nothing_counts_for_fairness():
    build = Builder()
    for actor, finished in (("worker/0", 3), ("worker/1", 1), ("worker/2", 0)):
        build.intent(actor=actor)
        for _ in range(finished):
            build.intent(actor=actor, goal="finish")
    build.intent(actor="worker/1", goal="finish", resolution="abandoned")
    build.intent(actor="submitter/0", actor_kind="submitter", goal="submit")
    assert measure(build)["fairness"] == pytest.approx(16 / (3 * 10))


def test_nothing_happened():
    values = measure(Builder())
    assert list(values) == ["window_s", *UNITS]
    assert (values["attempts"], values["goodput_per_s"]) == (0, 0.0)
    assert all(
        math.isnan(values[name]) for name in ("amplification", "fairness", "sojourn_mean", "sojourn_p99")
    )


def test_a_summary_is_the_mean_of_the_replications_with_students_interval():
    nothing = measure(Builder())
    rows = [
        {"arm": "a", "replication": r} | nothing | {"completed": n} for r, n in enumerate((1, 2, 3, 4, 5))
    ]
    table = summarise(run_table(rows)).set_index("measure")
    row = table.loc["completed"]
    assert (row["mean"], row["ci_low"], row["interval"]) == (3.0, pytest.approx(1.036757, abs=1e-6), "t")
    assert math.isnan(table.loc["fairness", "mean"])


def test_one_replication_has_a_mean_and_no_interval():
    table = summarise(run_table([{"arm": "a", "replication": 0} | measure(Builder())])).set_index("measure")
    assert table.loc["attempts", "interval"] == "none"
    assert pd.isna(table.loc["attempts", "ci_low"])


def test_the_parts_of_the_sojourn_sum_to_it():
    build = Builder()
    build.execution(0, 100 * MS, waiting_us=60 * MS, work_us=40 * MS)
    build.execution(0, 200 * MS, waiting_us=0, contention_us=150 * MS, redone_us=30 * MS, work_us=20 * MS)
    build.execution(0, waiting_us=500 * MS)
    values = measure(build)
    parts = {name: values[f"sojourn_{name}"] for name in PARTS}
    assert parts == {
        "waiting": 30.0, "granting": 0.0, "contention": 75.0, "work": 30.0, "redone": 15.0, "suspended": 0.0,
    }  # fmt: skip
    assert sum(parts.values()) == values["sojourn_mean"] == 150.0


def test_wasted_work_is_that_of_executions_created_in_the_window():
    build = Builder(window_us=(S, 3 * S))
    build.execution(0, 2 * S, worked_us=9 * S, wasted_us=9 * S, duplicated=True)
    build.execution(S, 2 * S, worked_us=3 * S, wasted_us=S, duplicated=True)
    build.execution(S, None, worked_us=S)
    values = measure(build)
    assert (values["worked_s"], values["wasted_s"], values["wasted_share"]) == (4.0, 1.0, 0.25)
    assert values["duplicates"] == 1


def test_levels_are_means_over_the_window():
    build = Builder(window_us=(S, 11 * S))
    build.level("attempts_in_flight", "", 25 * S)
    build.level("attempts_in_flight", "", 99 * S, from_us=0, to_us=S, in_window=False)
    build.level("workers_at_work", "", 40 * S, capacity=8)
    for partition, busy in enumerate((1, 4)):
        build.level("store", str(partition), busy * S, capacity=1)
    values = measure(build)
    assert (values["attempts_in_flight"], values["workers_at_work"]) == (2.5, 4.0)
    assert (values["store_utilisation"], values["busiest_partition"]) == (0.25, 0.4)


def test_the_drain_takes_from_the_last_creation_to_the_last_end():
    """Arrivals end at 10 s; what is created later by retries or flows does not count."""
    build = Builder(window_us=(2 * S, 10 * S))
    build.execution(1 * S, 14 * S)
    build.execution(9 * S, 12 * S, "failed")
    build.execution(10 * S, 20 * S)
    assert measure(build)["drain_s"] == 5.0


def test_what_never_ended_has_no_drain_time():
    build = Builder()
    build.execution(1 * S, 2 * S)
    build.execution(1 * S)
    assert math.isnan(measure(build)["drain_s"])


def test_each_class_has_its_arrivals_successes_and_what_never_ended():
    """What was created before the window counts nowhere; arms stand in the order of the study."""
    rows = [
        ("b", "short", 1.0, "success", True),
        ("a", "short", 1.0, "success", True),
        ("a", "short", 2.0, "failed", True),
        ("a", "short", None, None, True),
        ("a", "long", None, None, True),
        ("a", "long", None, None, False),
    ]
    executions = pd.DataFrame(rows, columns=["arm", "class", "finished_us", "outcome", "in_window"])
    assert by_class(executions, ["b", "a"]).values.tolist() == [
        ["b", "short", 1, 1, 0],
        ["a", "long", 1, 0, 1],
        ["a", "short", 3, 1, 1],
    ]
