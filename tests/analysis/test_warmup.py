"""Levels counted by hand, and advice where the transient is known."""

import numpy as np
import pandas as pd

from sim.analysis import warmup
from sim.analysis.warmup import BINS
from tests.analysis.build import S


def executions(*spans):
    table = pd.DataFrame(spans, columns=["created_us", "finished_us"])
    return table.astype({"finished_us": "Int64"})


def test_the_level_is_the_mean_number_under_way():
    """Four bins of 1 s: one execution over two and a half, one that is still open, one that is late."""
    table = executions((0, 2_500_000), (1 * S, None), (5 * S, 6 * S))
    assert warmup.level_series(table, 4 * S, 4).tolist() == [1.0, 2.0, 1.5, 1.0]


def test_nothing_under_way_is_level_zero():
    assert warmup.level_series(executions(), 4 * S, 2).tolist() == [0.0, 0.0]


def advise(level, warmup_us=0):
    (row,) = warmup.advice({"a": [level, level]}, 100 * S, warmup_us).to_dict("records")
    return row


def test_a_transient_is_advised_away():
    """A fifth of the series lies far above the rest."""
    level = np.where(np.arange(BINS) < 100, 50.0, 1.0 + np.arange(BINS) % 2)
    assert advise(level) == {
        "arm": "a", "advised_s": 20.0, "settled": True, "warmup_s": 0.0, "enough": False,
    }  # fmt: skip
    assert advise(level, 20 * S)["enough"]


def test_what_grows_to_the_end_does_not_settle():
    row = advise(np.arange(BINS, dtype=float), 90 * S)
    assert (row["settled"], row["enough"]) == (False, False)


def test_replications_are_averaged():
    """What one replication has too much the other has too little: their mean is in its steady state."""
    odd = np.where(np.arange(BINS) < 100, 2.0, 1.0)
    table = warmup.advice({"a": [odd, 3.0 - odd]}, 100 * S, 0)
    assert table["advised_s"].tolist() == [0.0]
