"""The pictures that belong to every study, as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from sim.analysis.plots.base import DPI, STYLE
from sim.analysis.plots.comparison import paired, pareto
from sim.analysis.plots.curves import curves_figure
from sim.analysis.plots.frequency import frequency_bars, frequency_figure
from sim.analysis.plots.matrix import heatmap
from sim.analysis.plots.recovery import recovery_figure
from sim.analysis.plots.rivals import race_windows, rivals
from sim.analysis.plots.sojourn import sojourn
from sim.analysis.plots.timeline import timeline
from sim.analysis.rivals import NOBODY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sim.analysis.plots.base import Drawable


def save_plots(study: Drawable, directory: str | Path) -> list[Path]:
    """Draw what belongs to every study as PNG files; the same study gives the same bytes.

    Parameters
    ----------
    study
        What to draw.
    directory
        Where to; made if missing. A file appears whole or not at all.

    Returns
    -------
    list of Path
        ``frequency.png`` and ``recovery.png``; where there was contention, ``recovery_curves.png``,
        ``timeline.png``, ``kind_by_op.png`` and ``sojourn.png``; with several
        arms that can be compared ``paired.png`` and ``pareto.png``; where there were rivals, ``rivals.png``
        and ``race_windows.png``.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(STYLE):
        frequency = frequency_figure(study)
        frequency_bars(study, frequency.subplots())
        figures: dict[str, Any] = {"frequency": frequency, "recovery": recovery_figure(study, None)}
        if study.kinds:
            figures |= {
                "recovery_curves": curves_figure(study, None),
                "timeline": timeline(study).figure,
                "kind_by_op": heatmap(study).figure,
                "sojourn": sojourn(study).figure,
            }
        if len(study.arms) > 1:
            compared = {"paired": paired(study), "pareto": pareto(study)}
            # Where no arm has a value in every replication there is nothing to see.
            figures |= {name: ax.figure for name, ax in compared.items() if ax.get_yticks().size}
        if (study.rivals()["rival_kind"] != NOBODY).any():
            figures |= {"rivals": rivals(study).figure, "race_windows": race_windows(study).figure}
        for name, figure in figures.items():
            written.append(write_png(figure, folder / f"{name}.png"))
    return written


def write_png(figure: Figure, path: Path) -> Path:
    """Write a figure whole or not at all; the same figure gives the same bytes. Gives the path back."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}")
    figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
    temporary.replace(path)
    return path
