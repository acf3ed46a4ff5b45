"""How the pictures of the reference experiments are made into files: like those of every study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

from sim.analysis.plots.base import DPI, STYLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure


def save(make: Callable[[], Figure], path: Path) -> None:
    """Draw a picture in the project's style and write it; the same picture gives the same bytes."""
    with mpl.rc_context(STYLE):
        make().savefig(path, format="png", dpi=DPI, metadata={"Software": None})
