"""Pictures of a study: each function takes a study, returns Axes, and draws where it is told (``ax``)."""

from sim.analysis.plots.base import Drawable
from sim.analysis.plots.comparison import paired, pareto
from sim.analysis.plots.curves import recovery_curve, recovery_curves
from sim.analysis.plots.files import save_plots
from sim.analysis.plots.frequency import frequency_bars
from sim.analysis.plots.lifelines import execution, worker
from sim.analysis.plots.matrix import heatmap
from sim.analysis.plots.recovery import recovery_histogram, recovery_histograms, recovery_strips
from sim.analysis.plots.refusals import refusals
from sim.analysis.plots.rivals import race_windows, rivals
from sim.analysis.plots.sojourn import sojourn
from sim.analysis.plots.sweeps import save_sweep_plots, sweep_curves, sweep_heat_maps, sweep_influence
from sim.analysis.plots.timeline import timeline

__all__ = [
    "Drawable", "execution", "frequency_bars", "heatmap", "paired", "pareto", "race_windows",
    "recovery_curve", "recovery_curves", "recovery_histogram", "recovery_histograms", "recovery_strips",
    "refusals", "rivals", "save_plots", "save_sweep_plots", "sojourn", "sweep_curves", "sweep_heat_maps",
    "sweep_influence", "timeline", "worker",
]  # fmt: skip
