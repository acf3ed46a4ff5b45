"""Pictures of a study: ``sim.plot.frequency(study)``, ``sim.plot.timeline(study)`` and so on.

Each function takes a study (:func:`sim.open`, :func:`sim.run`) and returns the Axes it drew; ``ax=`` says
where to draw, otherwise there is a figure of its own with a title that names the scenario, the arms, the
replications and the window. Those that draw small multiples return a list of Axes, a panel each, all of one
figure; those of a sweep (:func:`sim.sweep`) always do.
"""

from sim.analysis.plots import (
    execution,
    heatmap,
    paired,
    pareto,
    race_windows,
    recovery_curve,
    recovery_curves,
    recovery_histogram,
    recovery_histograms,
    refusals,
    rivals,
    sojourn,
    sweep_curves,
    sweep_heat_maps,
    sweep_influence,
    timeline,
    worker,
)
from sim.analysis.plots import frequency_bars as frequency
from sim.analysis.plots import recovery_strips as histogram

__all__ = [
    "execution", "frequency", "heatmap", "histogram", "paired", "pareto", "race_windows",
    "recovery_curve", "recovery_curves", "recovery_histogram", "recovery_histograms", "refusals", "rivals",
    "sojourn", "sweep_curves", "sweep_heat_maps", "sweep_influence", "timeline", "worker",
]  # fmt: skip
