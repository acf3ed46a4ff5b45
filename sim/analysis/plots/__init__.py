"""Pictures of a study: each function takes a study, returns Axes, and draws where it is told (``ax``)."""

from sim.analysis.plots.base import Drawable
from sim.analysis.plots.files import save_plots
from sim.analysis.plots.frequency import frequency_bars
from sim.analysis.plots.recovery import recovery_histogram, recovery_histograms
from sim.analysis.plots.rivals import race_windows, rivals
from sim.analysis.plots.sweeps import save_sweep_plots, sweep_curves, sweep_heat_maps, sweep_influence

__all__ = [
    "Drawable", "frequency_bars", "race_windows", "recovery_histogram", "recovery_histograms", "rivals",
    "save_plots", "save_sweep_plots", "sweep_curves", "sweep_heat_maps", "sweep_influence",
]  # fmt: skip
