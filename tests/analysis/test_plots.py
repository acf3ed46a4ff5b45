"""Pictures that hold what they promise: names, numbers, nothing clipped, the same bytes every time."""

import subprocess
import sys

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sim.analysis import plots
from sim.analysis.frequency import KIND_NAMES
from sim.analysis.plots.recovery import recovery_figure
from sim.contention import ContentionKind
from tests.analysis.build import MS, Builder, S, write_study

CONFLICT, EXPIRED, EMPTY, GONE = (
    "lease_conflict",
    "claim_grant_expired",
    "no_eligible_execution",
    "no_active_lease",
)


def made(arm, replication, kinds=(CONFLICT, EMPTY)):
    """Per kind 60 recoveries of 1 to 60 ms, 3 open, 2 abandoned; one expired grant that was abandoned."""
    build = Builder(arm, replication)
    for kind in kinds:
        for number in range(60):
            build.contention(kind, S, build.intent(S, S + (number + 1) * MS))
        for end, count in (("open", 3), ("abandoned", 2)):
            for _ in range(count):
                build.contention(kind, S, build.intent(S, 10 * S, end))
    build.contention(EXPIRED, S, build.intent(S, 2 * S, "abandoned"))
    return build.run()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(
        tmp_path_factory.mktemp("one"), [made("documented", r) for r in range(2)], name="storm"
    )


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    runs = [made(arm, r) for arm in ("documented", "naive") for r in range(2)]
    return write_study(
        tmp_path_factory.mktemp("two"), [*runs, made("full", 0), made("full", 1, ())], name="storm"
    )


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("none"), [Builder().run()], name="calm")


def words_of(ax):
    """Give the text objects of a panel, but for the labels of its horizontal axis."""
    legend = [] if ax.get_legend() is None else ax.get_legend().get_texts()
    every = [*ax.texts, ax._left_title, ax.xaxis.label, ax.yaxis.label, *ax.get_yticklabels(), *legend]
    return [text for text in every if text.get_text().strip()]


def texts(ax):
    return [text.get_text().strip() for text in words_of(ax)]


def clipped(figure):
    """Give the texts of a figure that do not lie within it."""
    FigureCanvasAgg(figure).draw()
    page = figure.bbox.padded(1)
    shown = [*figure.texts, *(text for ax in figure.axes for text in words_of(ax))]
    boxes = {text.get_text(): text.get_window_extent() for text in shown}
    return [word for word, box in boxes.items() if not (page.contains(*box.min) and page.contains(*box.max))]


# --- frequency -------------------------------------------------------------------------------------


def test_frequency_has_a_row_a_kind_in_the_order_of_the_enum(study):
    ax = plots.frequency_bars(study)
    assert [label.get_text() for label in ax.get_yticklabels()] == KIND_NAMES
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_frequency_bars_are_as_long_as_the_rate_and_have_the_colour_of_the_kind(study):
    ax = plots.frequency_bars(study)
    bars = {round(bar.get_y() + bar.get_height() / 2): bar for bar in ax.patches}
    assert sorted(KIND_NAMES[row] for row in bars) == sorted([CONFLICT, EMPTY, EXPIRED])
    bar = bars[KIND_NAMES.index(CONFLICT)]
    assert bar.get_x() + bar.get_width() == pytest.approx(6.5)
    assert to_hex(bar.get_facecolor()) == ContentionKind(CONFLICT).facts.colour


def test_a_kind_never_seen_is_named_with_its_bound(study):
    words = texts(plots.frequency_bars(study))
    assert words.count("none seen (below 0.150 per s)") == 15
    assert words.count("130") == 2
    assert words.count("2") == 1


def test_rates_that_differ_much_are_drawn_on_a_logarithmic_axis(study, quiet):
    """6.5 per second beside 0.1."""
    assert plots.frequency_bars(study).get_xscale() == "log"
    assert plots.frequency_bars(quiet).get_xscale() == "linear"


def test_the_title_tells_scenario_arms_replications_and_window(study, comparison, quiet):
    def title(study):
        return plots.frequency_bars(study).figure.get_suptitle()

    assert "storm: how often" in title(study)
    assert "arm documented; 2 replications of 10.0 s of simulated time" in title(study)
    assert "arms documented, naive, full; 2 replications" in title(comparison)
    assert "1 replication of" in title(quiet)


def test_arms_are_told_apart_by_hatches_with_a_legend(comparison):
    ax = plots.frequency_bars(comparison)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["documented", "naive", "full"]
    assert len({bar.get_hatch() for bar in ax.patches}) == 3


def test_it_draws_where_it_is_told_to(study):
    mine = Figure().subplots()
    assert plots.frequency_bars(study, mine) is mine
    assert plots.recovery_histogram(study, CONFLICT, Figure().subplots()).figure.get_suptitle() == ""


# --- recovery --------------------------------------------------------------------------------------


def test_there_is_a_panel_for_each_kind_that_recovered(study):
    """The expired grants were abandoned: they are named below the panels instead of in an empty one."""
    panels = plots.recovery_histograms(study)
    assert [ax._left_title.get_text().strip() for ax in panels] == [CONFLICT, EMPTY]
    assert f"not drawn: {EXPIRED}, 2 abandoned" in panels[0].figure.get_supxlabel()
    assert GONE not in panels[0].figure.get_supxlabel()


def test_a_panel_tells_what_it_counts_and_what_it_leaves_out(study):
    words = texts(plots.recovery_histogram(study, CONFLICT))
    assert "120 recovered, 6 still open\n0 satisfied by another, 4 abandoned" in words
    assert "p50 32.0 ms   p90 57.0 ms" in words
    assert "recovered episodes" in words


def test_the_bars_add_up_to_the_recovered(study):
    ax = plots.recovery_histogram(study, CONFLICT)
    values, edges, _ = ax.patches[0].get_data()
    assert values.sum() == 120
    assert ax.get_xscale() == "log"
    assert edges[0] <= 1 * MS
    assert edges[-1] >= 60 * MS


def test_recoveries_in_the_same_instant_are_counted_and_not_drawn(tmp_path):
    """A refusal can be the confirmation itself; a logarithmic axis has no place for a wait of nothing."""
    build = Builder()
    for kind, latencies_us in ((CONFLICT, [0] * 7 + [50, 60, 70, 80]), (GONE, [0] * 12)):
        for latency_us in latencies_us:
            build.contention(kind, S, build.intent(S, S + latency_us))
    study = write_study(tmp_path, [build.run()])
    (panel,) = plots.recovery_histograms(study)
    assert panel.patches[0].get_data().values.sum() == 4
    assert "11 recovered (7 at once), 0 still open\n0 satisfied by another, 0 abandoned" in texts(panel)
    assert "p50 0 s   p90 too few" in texts(panel)
    assert f"not drawn: {GONE}, 12 recovered at once" in panel.figure.get_supxlabel()


def test_panels_share_their_axis_of_time(study):
    assert len({ax.get_xlim() for ax in plots.recovery_histograms(study)}) == 1


def test_kinds_can_be_chosen(study):
    assert len(plots.recovery_histograms(study, [EMPTY])) == 1


def test_several_arms_are_bands_of_one_panel(comparison):
    ax = plots.recovery_histogram(comparison, CONFLICT)
    words = texts(ax)
    assert sum(word.startswith(("documented   p50", "naive   p50", "full   p50")) for word in words) == 3
    assert "300 recovered, 15 still open\n0 satisfied by another, 10 abandoned" in words


def test_an_arm_that_never_met_a_kind_says_so(tmp_path):
    study = write_study(tmp_path, [made("documented", 0), made("naive", 0, ())])
    assert "naive   never met" in texts(plots.recovery_histogram(study, CONFLICT))
    assert "documented   none recovered" in texts(plots.recovery_histogram(study, EXPIRED))


def test_a_study_without_contention_says_so(quiet):
    assert plots.recovery_histograms(quiet) == []
    figure = recovery_figure(quiet, None)
    assert figure.get_supxlabel() == "no contention was met"


# --- files -----------------------------------------------------------------------------------------


def test_no_word_is_clipped(study, comparison):
    for each in (study, comparison):
        assert clipped(plots.frequency_bars(each).figure) == []
        assert clipped(plots.recovery_histograms(each)[0].figure) == []


def test_a_word_beyond_the_edge_would_be_found(study):
    ax = plots.frequency_bars(study)
    ax.text(1.2, 0.5, "far out", transform=ax.transAxes, in_layout=False)
    assert clipped(ax.figure) == ["far out"]


def test_the_same_study_gives_the_same_bytes(study, quiet, tmp_path):
    first = plots.save_plots(study, tmp_path / "a" / "plots")
    with mpl.rc_context({"font.size": 30, "text.color": "red"}):
        second = plots.save_plots(study, tmp_path / "b")
    names = [
        "frequency.png",
        "recovery.png",
        "recovery_curves.png",
        "timeline.png",
        "kind_by_op.png",
        "sojourn.png",
    ]
    assert [path.name for path in first] == names
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == sorted(names)
    assert b"Software" not in first[0].read_bytes()
    assert len(plots.save_plots(quiet, tmp_path / "c")) == 2


def test_nothing_global_is_left_behind(study):
    program = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from sim import results; from sim.analysis import plots\n"
        f"plots.frequency_bars(results.open({str(study.directory)!r}))\n"
        "print('matplotlib.pyplot' in sys.modules, matplotlib.rcParams.copy() == before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
