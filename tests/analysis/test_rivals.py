"""Who made whom fail, and how shortly before: counts, quantiles and bins of records made by hand."""

import numpy as np
import pandas as pd
import pytest

from sim.analysis import plots
from sim.analysis.rivals import race_histogram, race_windows, races, rivals
from tests.analysis.build import MS, Builder, S, write_study
from tests.analysis.test_plots import clipped, texts

CONFLICT, STALE, EMPTY = "lease_conflict", "stale_graph_revision", "no_eligible_execution"
ARMS = ["naive", "documented"]


def met(build, kind, ages_us, rival="worker/7", done_us=S, **columns):
    """Contentions of one kind, each with a rival that was there so long before."""
    for age_us in ages_us:
        build.contention(kind, done_us, rival_actor=rival, rival_op="claim_execution",
                         rival_age_us=age_us, **columns)  # fmt: skip


def made(arm="documented", replication=0):
    """Ten conflicts of workers at 1 to 10 ms, two of them with an operator, one empty scan, one too late."""
    build = Builder(arm, replication)
    met(build, CONFLICT, [n * MS for n in range(1, 11)])
    met(build, CONFLICT, [0, 300], "operator/0", op="complete_execution")
    build.contention(EMPTY, S, op="read_eligible", actor_kind="scheduler", actor="scheduler/1")
    met(build, STALE, [5], "flow_builder/2", done_us=11 * S, actor_kind="flow_builder")
    return build.run()


def table_of(*runs, by=()):
    return pd.concat([races(run.frames()["contentions"], by) for run in runs], ignore_index=True)


def rows_of(table):
    return table.astype("object").where(table.notna(), None).to_numpy().tolist()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("rivals")
    return write_study(out, [made(arm, r) for arm in ARMS for r in range(2)], name="storm")


def test_pairs_are_counted_by_arm_with_the_quantiles_of_their_race_windows():
    """Of 20 windows of 1 to 10 ms the tenth is 5 ms; a tenth of 20 is too few for a p90 (it takes 50)."""
    table = rivals(table_of(made("documented", 0), made("documented", 1)), ["documented"])
    assert table.columns.tolist() == ["arm", "actor_kind", "rival_kind", "count", "p50", "p90", "p99"]
    assert rows_of(table) == [
        ["documented", "worker", "worker", 20, 5.0, None, None],
        ["documented", "worker", "operator", 4, None, None, None],
        ["documented", "scheduler", "none", 2, None, None, None],
    ]


def test_pairs_can_be_told_apart_by_kind_and_op():
    table = rivals(table_of(made(), by=["kind", "op"]), ["documented"], ["kind", "op"])
    assert rows_of(table.drop(columns=["p50", "p90", "p99"])) == [
        ["documented", "worker", "worker", CONFLICT, "claim_execution", 10],
        ["documented", "worker", "operator", CONFLICT, "complete_execution", 2],
        ["documented", "scheduler", "none", EMPTY, "read_eligible", 1],
    ]


def test_what_has_no_rival_has_a_group_of_its_own_in_every_column():
    table = rivals(table_of(made(), by=["rival_op"]), ["documented"], ["rival_op"])
    assert table[["rival_kind", "rival_op", "count"]].to_numpy().tolist() == [
        ["worker", "claim_execution", 10], ["operator", "claim_execution", 2], ["none", "none", 1],
    ]  # fmt: skip


def test_arms_come_in_the_order_of_the_study_and_apart():
    table = rivals(table_of(*(made(arm) for arm in ("documented", "naive"))), ARMS)
    assert table["arm"].tolist() == ["naive"] * 3 + ["documented"] * 3


def test_race_windows_are_those_of_a_kind_whoever_the_rival_is():
    """Twelve: 0, 0.3, 1, ..., 10 ms; the sixth is 4 ms. An empty scan has no rival, the stale one is late."""
    table = race_windows(table_of(made()), ["documented"])
    assert rows_of(table) == [["documented", CONFLICT, 12, 4.0, None, None]]


def test_kinds_of_race_windows_come_in_the_order_of_every_table():
    build = Builder()
    met(build, STALE, [1])
    met(build, CONFLICT, [1])
    assert race_windows(table_of(build.run()), ["documented"])["kind"].tolist() == [CONFLICT, STALE]


def test_bins_are_half_open_eight_to_a_decade_with_one_for_windows_of_nothing():
    build = Builder()
    met(build, CONFLICT, [0, 0, 1, 99, 100, 133, 134])
    table = race_histogram(table_of(build.run()))
    assert table["count"].tolist() == [2, 1, 1, 2, 1]
    edges = table[["from_us", "to_us"]].to_numpy()
    assert edges[0].tolist() == [0, 0]
    # 10^(17/8) is 133.35: 133 lies below it, 134 above.
    assert np.log10(edges[1:]) * 8 == pytest.approx(np.array([[0, 1], [15, 16], [16, 17], [17, 18]]))


def test_without_contention_the_tables_are_empty_with_their_columns():
    table = table_of(Builder().run())
    assert rivals(table, ["documented"]).columns.tolist()[:4] == ["arm", "actor_kind", "rival_kind", "count"]
    assert len(rivals(table, ["documented"])) == len(race_windows(table, ["documented"])) == 0
    assert len(race_histogram(table)) == 0


def test_the_table_on_disk_is_that_of_the_records(study):
    on_disk = study.rivals()
    assert rows_of(on_disk) == rows_of(rivals(table_of(*(made(a, r) for a in ARMS for r in range(2))), ARMS))
    grouped = study.rivals("kind").groupby(["arm", "actor_kind", "rival_kind"])["count"].sum()
    assert grouped.to_dict() == on_disk.set_index(["arm", "actor_kind", "rival_kind"])["count"].to_dict()
    assert on_disk["count"].sum() == study.frequency()["count"].sum() == 52


def test_a_study_gives_race_windows_and_their_distribution(study):
    assert study.race_windows()["count"].tolist() == [24, 24]
    assert study.race_histogram()["count"].sum() == 48


# --- pictures --------------------------------------------------------------------------------------


def test_a_cell_tells_count_and_median_and_the_axes_who(study):
    ax = plots.rivals(study)
    words = texts(ax)
    assert [words.count(word) for word in ("20", "4", "2", "5.00 ms")] == [2, 2, 2, 2]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "naive: worker", "naive: scheduler", "documented: worker", "documented: scheduler",
    ]  # fmt: skip
    assert [label.get_text() for label in ax.get_xticklabels()] == ["worker", "operator", "no rival known"]
    assert ax.collections[0].get_array().filled(0).tolist() == [[20, 4, 0], [0, 0, 2]] * 2


def test_strips_hold_the_windows_and_their_median(study):
    ax = plots.race_windows(study)
    assert "24  (2 at once)  p50 4.00 ms" in texts(ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        f"{CONFLICT}\nnaive", f"{CONFLICT}\ndocumented",
    ]  # fmt: skip
    assert ax.get_xscale() == "log"
    low, high = ax.get_xlim()
    assert low <= 300 and high >= 10 * MS


def test_no_word_is_clipped_and_pictures_are_saved_where_there_are_rivals(study, tmp_path):
    assert clipped(plots.rivals(study).figure) == clipped(plots.race_windows(study).figure) == []
    names = [
        "frequency.png", "recovery.png", "recovery_curves.png", "timeline.png", "kind_by_op.png",
        "sojourn.png", "paired.png", "rivals.png", "race_windows.png",
    ]  # fmt: skip
    first, second = (plots.save_plots(study, tmp_path / each) for each in "ab")
    assert [path.name for path in first] == names
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_without_rivals_the_pictures_say_so(tmp_path):
    quiet = write_study(tmp_path, [Builder().run()])
    assert plots.race_windows(quiet).get_xlabel() == "no contention had a rival"
    assert plots.rivals(quiet).get_xlabel() == "no contention was met"
