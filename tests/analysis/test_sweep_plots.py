"""Pictures of a sweep: every value and arm in its place, nothing clipped, the same bytes every time."""

import itertools

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from sim.analysis.plots.sweeps import (
    MOST_PANELS,
    save_sweep_plots,
    sweep_curves,
    sweep_heat_maps,
    sweep_influence,
)
from sim.analysis.sweeps import influence, ordered


class Made:
    """A sweep of numbers made by hand: 10 a worker, 3 more under naive, 1 less a second of lease."""

    name = "storm"
    replications = 3

    def __init__(self, grid, arms=("documented", "naive")):
        self.grid, self.arms = grid, list(arms)

    def _rows(self):
        for point in itertools.product(*self.grid.values()):
            fixed = dict(zip(self.grid, point, strict=True))
            for arm in self.arms:
                base = 10.0 * fixed.get("workers.count", 1) + 3 * (arm == "naive")
                base -= (
                    ordered(self.grid["workers.lease_ttl"]).index(fixed["workers.lease_ttl"])
                    if "workers.lease_ttl" in fixed
                    else 0
                )
                yield fixed | {"arm": arm}, base

    def curve(self, measure):
        return pd.DataFrame([
            fixed | {"measure": measure, "unit": "ms", "mean": mean, "ci_low": mean - 2, "ci_high": mean + 2}
            for fixed, mean in self._rows()
        ])  # fmt: skip

    def influence(self, measure):
        runs = [
            fixed | {"replication": r, measure: mean + r} for fixed, mean in self._rows() for r in range(3)
        ]
        factors = {path: ordered(values) for path, values in self.grid.items()}
        if len(self.arms) > 1:
            factors["policy"] = self.arms
        return influence(pd.DataFrame(runs), factors, measure)


TWO = {"workers.count": [4, 8, 64], "workers.lease_ttl": ["10s", "500ms"]}


def clipped(figure):
    """Give the words that reach beyond the picture."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    whole = figure.bbox
    words = [
        text
        for ax in figure.axes
        for text in (*ax.texts, ax.xaxis.label, ax.yaxis.label, ax._left_title, *ax.get_yticklabels())
        if text.get_text().strip()
    ]  # fmt: skip
    boxes = {text.get_text(): text.get_window_extent(canvas.get_renderer()) for text in words}
    return [
        word for word, box in boxes.items()
        if box.x0 < whole.x0 - 1 or box.x1 > whole.x1 + 1 or box.y0 < whole.y0 - 1 or box.y1 > whole.y1 + 1
    ]  # fmt: skip


def test_curves_have_a_row_a_measure_a_column_a_combination_and_a_line_an_arm():
    axes = sweep_curves(Made(TWO), ["sojourn_p99", "sojourn_mean"])
    assert [ax.get_title(loc="left") for ax in axes] == [
        "workers.lease_ttl = 500ms", "workers.lease_ttl = 10s", "", "",
    ]  # fmt: skip
    assert axes[0].get_ylabel() == "sojourn_p99\n(ms)"
    assert [ax.get_xlabel() for ax in axes] == ["", "", "workers.count", "workers.count"]
    assert [(line.get_label(), line.get_ydata().tolist()) for line in axes[0].lines] == [
        ("documented", [40, 80, 640]), ("naive", [43, 83, 643]),
    ]  # fmt: skip
    assert [label.get_text() for label in axes[2].get_xticklabels()] == ["4", "8", "64"]
    assert axes[0].get_xscale() == "log"
    assert "storm: measures along workers.count" in axes[0].figure.get_suptitle()
    assert "6 points of 3 replications" in axes[0].figure.get_suptitle()
    assert [text.get_text() for text in axes[0].figure.legends[0].get_texts()] == ["documented", "naive"]
    assert axes[0].get_ylim() == axes[1].get_ylim() == (0, pytest.approx(1.06 * 645))
    assert clipped(axes[0].figure) == []


def test_words_stand_side_by_side_without_a_line():
    (ax,) = sweep_curves(Made({"store.dialect": ["contract", "valkey"]}), ["sojourn_p99"])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["contract", "valkey"]
    assert {line.get_linestyle() for line in ax.lines} == {"None"}
    assert clipped(ax.figure) == []


def test_a_heat_map_has_a_panel_an_arm_and_a_cell_a_point():
    axes = sweep_heat_maps(Made(TWO), "sojourn_p99")
    assert [ax.get_title(loc="left") for ax in axes] == ["documented", "naive"]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["500ms", "10s"]
    assert axes[0].images[0].get_array().tolist() == [[40, 80, 640], [39, 79, 639]]
    words = [text.get_text() for text in axes[1].texts]
    assert words[:2] == ["43.0 ms", "41.0 ms to 45.0 ms"]
    assert axes[0].images[0].get_clim() == axes[1].images[0].get_clim() == (39, 643)
    assert clipped(axes[0].figure) == []


def test_influence_has_a_panel_a_measure_and_a_bar_an_input():
    axes = sweep_influence(Made(TWO), ["sojourn_p99", "recovery_p50 of lease_conflict"])
    (ax,) = axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "workers.count",
        "policy",
        "workers.lease_ttl",
    ]
    assert [bar.get_width() > 99 for bar in ax.patches] == [True, False, False]
    assert ax.texts[1].get_text() == "documented to naive: 3.00 ms (3.00 ms to 3.00 ms)"
    assert clipped(ax.figure) == []


def test_what_there_is_too_much_or_too_little_of_is_not_drawn():
    many = {"workers.count": [1, 2], "workers.lease_ttl": [f"{n}s" for n in range(1, MOST_PANELS + 2)]}
    assert sweep_curves(Made(many), ["sojourn_p99"]) == []
    one = Made({"workers.count": [1, 2]}, arms=["documented"])
    assert sweep_heat_maps(one, "sojourn_p99") == []
    assert sweep_influence(one, ["sojourn_p99"]) == []


@pytest.mark.parametrize(
    ("grid", "names"),
    [
        (TWO, {"curves.png", "influence.png", "heat-rate_of_lease_conflict.png"}),
        ({"workers.count": [4]}, {"curves.png"}),
    ],
)
def test_the_same_sweep_gives_the_same_bytes(tmp_path, grid, names):
    one, two = (save_sweep_plots(Made(grid), ["rate of lease_conflict"], tmp_path / name) for name in "ab")
    assert {path.name for path in one} == names
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert {path.name for path in (tmp_path / "a").iterdir()} == names
