"""Curves, timelines, strips, matrices and lifelines hold what they promise."""

import inspect

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import sim
from sim import plot
from sim.analysis.recovery import incidence_curve, recovery_curve, recovery_curves
from sim.contention import ContentionKind
from tests.analysis.build import MS, Builder, S, write_study
from tests.analysis.test_plots import clipped, texts

CONFLICT, EMPTY, EXPIRED = "lease_conflict", "no_eligible_execution", "claim_grant_expired"
ARMS = ("documented", "naive")
OF_A_STUDY = [name for name in plot.__all__ if not name.startswith("sweep_")]
CRASH = {"fault": "crash", "target": "worker/0", "from_us": 2 * S, "to_us": 4 * S}


def made(arm, replication):
    """Twenty conflicts of worker/0 over execution 7, recovered 1 to 20 ms later; five abandoned; reads."""
    build = Builder(arm, replication, (S, 9 * S))
    for number in range(20):
        start = (2 + number % 4) * S
        intent = build.intent(start, start + 10 * MS + number * MS, execution=7)
        for _ in range(1 + number % 3):
            build.contention(
                CONFLICT, start + 9 * MS, intent, execution=7, rival_actor="worker/1",
                rival_op="claim_execution", rival_age_us=5 * MS,
            )  # fmt: skip
    for number in range(5):
        build.contention(EXPIRED, 3 * S, build.intent(3 * S, 4 * S + number, "abandoned"))
    build.contention(EMPTY, S // 2, op="read_eligible", actor_kind="scheduler", actor="scheduler/0")
    build.contention(EMPTY, 10 * S, op="read_eligible", actor_kind="scheduler", actor="scheduler/0")
    build.intent(5 * S, 5 * S + MS, goal="finish", execution=7)
    build.execution(2 * S, 5 * S + replication)
    return build.run()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    runs = [made(arm, replication) for arm in ARMS for replication in range(2)]
    late = {**CRASH, "from_us": 6 * S, "to_us": 7 * S}
    faults = [
        {"arm": arm, "replication": r, "windows": [CRASH, *([late] if r else [])]}
        for arm in ARMS for r in range(2)
    ]  # fmt: skip
    return write_study(tmp_path_factory.mktemp("more"), runs, name="storm", faults=faults)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("none"), [Builder().run()], name="calm")


def drawn(name, study):
    function = getattr(plot, name)
    needs_kind = "kind" in inspect.signature(function).parameters
    result = function(study, CONFLICT) if needs_kind else function(study)
    return result if isinstance(result, list) else [result]


# --- all of them ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_every_picture_names_the_scenario_and_clips_no_word(study, name):
    axes = drawn(name, study)
    assert axes
    figure = axes[0].figure
    assert figure.get_suptitle().startswith("storm: ")
    assert "2 replications of 8.00 s" in figure.get_suptitle()
    assert clipped(figure) == []


@pytest.mark.parametrize(
    "name", [name for name in OF_A_STUDY if "ax" in inspect.signature(getattr(plot, name)).parameters]
)
def test_a_picture_is_drawn_where_it_is_told_to(study, name):
    mine = Figure().subplots()
    function = getattr(plot, name)
    needs_kind = "kind" in inspect.signature(function).parameters
    assert (function(study, CONFLICT, ax=mine) if needs_kind else function(study, ax=mine)) is mine
    assert mine.figure.get_suptitle() == ""


def test_only_small_multiples_have_a_figure_of_their_own_always():
    without = {n for n in OF_A_STUDY if "ax" not in inspect.signature(getattr(plot, n)).parameters}
    assert without == {"recovery_curves", "recovery_histograms"}


def test_the_names_are_reached_from_the_package():
    assert sim.plot is plot
    assert "plot" in dir(sim)


@pytest.mark.parametrize("name", ["histogram", "heatmap", "timeline", "refusals", "rivals", "race_windows"])
def test_without_contention_a_picture_says_so(quiet, name):
    (ax,) = drawn(name, quiet)
    assert ax.get_xlabel().startswith("no contention")
    assert clipped(ax.figure) == []


# --- curves ------------------------------------------------------------------------------------------


def test_a_curve_is_kaplan_meier_with_the_incidence_beside_it(study):
    episodes = study.episodes()
    mine = episodes.loc[(episodes["kind"] == CONFLICT) & (episodes["arm"] == "naive")]
    table = study.recovery_curves([CONFLICT])
    table = table.loc[table["arm"] == "naive"]
    exact, incidence = recovery_curve(mine), incidence_curve(mine)
    assert table["at_us"].tolist() == exact.at_us.tolist() == [MS * n for n in range(1, 21)]
    assert table["recovered"].tolist() == exact.share.tolist()
    assert table["incidence"].tolist() == incidence.share.tolist()


def test_replications_that_are_alike_give_a_band_of_no_width(study):
    table = study.recovery_curves([CONFLICT])
    assert np.allclose(table["low"], table["recovered"])
    assert np.allclose(table["high"], table["recovered"])


def test_replications_that_differ_give_a_band_between_them(tmp_path):
    """One recovers in 1 ms and one in 9: in between, the share drawn is 0, a half or 1."""
    runs = []
    for replication, latency_us in enumerate((MS, 9 * MS)):
        build = Builder(replication=replication)
        for _ in range(5):
            build.contention(CONFLICT, S, build.intent(S, S + latency_us))
        runs.append(build.run())
    table = write_study(tmp_path, runs).recovery_curves()
    assert table[["at_us", "recovered", "low", "high"]].values.tolist() == [
        [MS, 0.5, 0.0, 1.0], [9 * MS, 1.0, 1.0, 1.0],
    ]  # fmt: skip


def test_a_replication_that_met_nothing_does_not_pull_the_band_down(tmp_path):
    build = Builder()
    for _ in range(10):
        build.contention(CONFLICT, S, build.intent(S, S + MS))
    table = write_study(tmp_path, [build.run(), Builder(replication=1).run()]).recovery_curves()
    assert table[["low", "high"]].values.tolist() == [[1.0, 1.0]]


def test_no_band_is_drawn_of_one_replication_or_of_few_observations(tmp_path):
    build, few = Builder(), [Builder(replication=r) for r in range(2)]
    for each, count in ((build, 10), (few[0], 5), (few[1], 4)):
        for _ in range(count):
            each.contention(CONFLICT, S, each.intent(S, S + MS))
    for name, runs in (("one", [build.run()]), ("few", [each.run() for each in few])):
        table = write_study(tmp_path / name, runs).recovery_curves()
        assert len(table) == 1
        assert table[["low", "high"]].isna().all(axis=None)


def test_a_long_curve_is_thinned_and_keeps_its_ends(tmp_path):
    build = Builder()
    for number in range(1000):
        build.contention(CONFLICT, S, build.intent(S, S + number + 1))
    study = write_study(tmp_path, [build.run()])
    table = recovery_curves(study.episodes(), study.outcomes(), np.random.default_rng(1), [CONFLICT])
    assert len(table) == 200
    assert table["at_us"].iloc[[0, -1]].tolist() == [1, 1000]
    assert np.allclose(table["recovered"], table["at_us"] / 1000)


def test_a_kind_that_is_never_recovered_from_has_no_panel(study):
    panels = plot.recovery_curves(study)
    assert [ax._left_title.get_text().strip() for ax in panels] == [CONFLICT]
    assert "80 recovered" in texts(panels[0])


def test_arms_are_told_apart_by_dashes_with_a_legend(study):
    (ax,) = plot.recovery_curves(study)
    coloured = [
        line for line in ax.lines if to_hex(line.get_color()) == ContentionKind(CONFLICT).facts.colour
    ]
    assert len({str(line._dash_pattern) for line in coloured}) == 2
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == list(ARMS)


# --- timeline ----------------------------------------------------------------------------------------


def test_the_timeline_has_a_strip_a_kind_and_arm_and_one_a_fault(study):
    ax = plot.timeline(study)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [f"{kind}\n{arm}" for kind in (CONFLICT, EXPIRED) for arm in ARMS]
    words = texts(ax)
    # Of two replications one has a second window; they never overlap.
    assert "fault: crash" in words and "at most 1.00 open" in words
    assert {"warm-up", "drain"} <= set(words)


def test_the_bars_of_the_timeline_are_rates(study):
    """Each second from 2 to 5 five intents meet 1, 2 or 3 conflicts; bars scale with the busiest bin."""
    ax = plot.timeline(study, [CONFLICT], bin_s=1)
    per_s = study.frequency_over_time(1).query("kind == @CONFLICT and arm == 'naive'")["per_s"].tolist()
    heights = [-bar.get_height() for bar in ax.patches if to_hex(bar.get_facecolor()) ==
               ContentionKind(CONFLICT).facts.colour][-4:]  # fmt: skip
    assert heights == pytest.approx([0.85 * rate / max(per_s) for rate in per_s])
    assert f"peak {max(per_s):.1f} per s\n78 in the window" in texts(ax)


def test_windows_of_every_replication_are_shaded(study):
    ax = plot.timeline(study)
    shaded = [(p.get_x(), p.get_width()) for p in ax.patches if p.get_alpha() == 0.12]
    assert shaded == [(2.0, 2.0)]


def test_a_fault_that_lasts_all_the_time_shades_nothing(tmp_path):
    always = {"fault": "slow", "target": "link", "from_us": 0, "to_us": 60 * S}
    faults = [{"arm": "documented", "replication": 0, "windows": [always]}]
    ax = plot.timeline(write_study(tmp_path, [made("documented", 0)], faults=faults))
    assert "fault: slow" in texts(ax)
    assert [p for p in ax.patches if p.get_alpha() == 0.12] == []


# --- counts ------------------------------------------------------------------------------------------


def test_refusals_of_one_intent_are_counted_at_its_root(study):
    table = study.refusals().query("arm == 'naive' and kind == @CONFLICT")
    assert table[["refusals", "intents"]].values.tolist() == [[1, 14], [2, 14], [3, 12]]
    assert "40 intents\nmean 1.95, most 3" in texts(plot.refusals(study))


def test_bins_of_refusals_double(tmp_path):
    build = Builder()
    for count in (1, 2, 4, 9):
        intent = build.intent(S, 2 * S)
        for _ in range(count):
            build.contention(CONFLICT, S, intent)
    ax = plot.refusals(write_study(tmp_path, [build.run()]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "3 to 4", "5 to 8", "9 to 16"]
    assert [-round(bar.get_height() / 0.85) for bar in ax.patches] == [1, 1, 1, 0, 1]


def test_the_matrix_has_a_row_an_operation_and_a_column_a_kind(study):
    ax = plot.heatmap(study)
    assert [label.get_text() for label in ax.get_xticklabels()] == [CONFLICT, EXPIRED]
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"{arm}: claim_execution" for arm in ARMS]
    assert [text for text in texts(ax) if text.isdigit()] == ["78", "10"] * 2


def test_strips_of_recovery_tell_ends_and_quantiles(study):
    ax = plot.histogram(study, [CONFLICT])
    assert texts(ax).count("40 recovered\np50 10.0 ms") == 2
    assert "0 recovered\n10 abandoned" in texts(plot.histogram(study))


# --- lives -------------------------------------------------------------------------------------------


def test_the_life_of_an_execution_has_its_intents_its_lease_and_its_refusals(study):
    ax = plot.execution(study, 7, arm="naive", replication=1)
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "acquire  worker/0", "lease  worker/0", "finish  worker/0",
    ]  # fmt: skip
    marks = sum(len(lines.get_segments()) for lines in ax.collections)
    assert marks == 39
    assert "the life of execution 7, replication 1 of naive" in ax.figure.get_suptitle()


def test_by_default_it_is_the_execution_that_was_refused_most(study):
    assert "execution 7, replication 0 of documented" in plot.execution(study).figure.get_suptitle()


def test_a_worker_is_shown_for_a_while(study):
    ax = plot.worker(study, from_s=2, to_s=3)
    assert ax.get_xlim() == (2, 3)
    assert "refused: lease_conflict" in texts(ax)


def test_what_is_not_there_cannot_be_drawn(study):
    with pytest.raises(ValueError, match="nothing is known of execution 99"):
        plot.execution(study, 99)
    with pytest.raises(ValueError, match="worker/9 did nothing"):
        plot.worker(study, "worker/9")


def test_the_parts_of_the_sojourn_fill_the_bar_of_an_arm(tmp_path):
    """Two executions of 4 s and 2 s: 3 s on average, of which waiting is 1 s and work the rest."""
    build = Builder()
    for took, waited in ((4, 1.5), (2, 0.5)):
        parts = {"waiting_us": int(waited * S), "work_us": int((took - waited) * S)}
        build.execution(S, (1 + took) * S, **parts)
    ax = plot.sojourn(write_study(tmp_path, [build.run()]))
    widths = {bars.get_label(): bars.patches[0].get_width() for bars in ax.containers}
    assert {part: width for part, width in widths.items() if width} == {"waiting": 1.0, "work": 2.0}
    assert "3.00 s" in texts(ax)
    assert clipped(ax.figure) == []


def test_where_nothing_ended_the_sojourn_says_so(tmp_path):
    assert "none ended" in texts(plot.sojourn(write_study(tmp_path, [Builder().run()])))


# --- comparisons -------------------------------------------------------------------------------------


def test_a_difference_is_a_multiple_of_the_baseline(tmp_path):
    """documented meets 10 conflicts a replication and naive 20: twice as many, in every one of them."""
    runs = []
    for arm, count in (("documented", 10), ("naive", 20)):
        for replication in range(3):
            build = Builder(arm, replication)
            for _ in range(count + replication):
                build.contention(CONFLICT, S, build.intent(S, S + MS))
            runs.append(build.run())
    study = write_study(tmp_path, runs)
    ax = plot.paired(study, families=["frequency"])
    assert [label.get_text() for label in ax.get_yticklabels()] == [CONFLICT]
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in marks] == pytest.approx([21 / 11])
    assert "+90.9 %" in texts(ax)
    assert ax.get_xlabel().startswith("times the value of documented")
    assert clipped(ax.figure) == []


def test_an_arm_alone_has_nothing_to_compare(quiet):
    assert plot.paired(quiet).get_xlabel() == "one arm: there is nothing to compare"


def test_work_and_time_of_each_arm_are_set_beside_each_other(tmp_path):
    """naive makes twice the attempts and takes twice the time: documented alone is on the front."""
    runs = []
    for arm, factor in (("documented", 1), ("naive", 2)):
        for replication in range(2):
            build = Builder(arm, replication)
            build.intent(S, S + MS, attempts=2 * factor)
            build.execution(S, (1 + factor) * S)
            runs.append(build.run())
    ax = plot.pareto(write_study(tmp_path, runs))
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks] == [(2, 1000), (4, 2000)]
    assert [to_hex(line.get_markerfacecolor()) for line in marks] == ["#222222", "#ffffff"]
    assert {"documented", "naive"} <= set(texts(ax))
    assert clipped(ax.figure) == []
