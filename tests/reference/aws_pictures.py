"""The two pictures of the AWS experiment: calls and completion time against the number of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, ScalarFormatter

from sim.analysis.plots.base import DPI, FAINT, GRID, INK, STYLE, plain_frame
from sim.analysis.plots.files import save

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

# Okabe and Ito's palette, which colour-blind people can tell apart; the marker says the same again.
LOOKS: Final = {
    "none": ("#000000", "o"),
    "exponential": ("#d55e00", "s"),
    "equal_jitter": ("#009e73", "^"),
    "full_jitter": ("#0072b2", "D"),
    "decorrelated_jitter": ("#cc79a7", "v"),
}
SUBJECTS: Final = {
    "calls": ("calls until every client has written", "calls (writes that reached the store)"),
    "time": ("time until every client has written", "completion time (ms)"),
}
