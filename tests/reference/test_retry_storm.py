"""A load that a store bears, a spike, and clients that keep the storm up: which policies end it."""

import numpy as np
import pytest

from tests.reference import retry_storm
from tests.reference.retry_storm import LOADS_PER_S, REPLICATIONS, episode, episodes, table

RETRIES_UNBOUNDED = ["immediate", "exponential", "full_jitter"]


@pytest.mark.parametrize("arm", ["full_jitter", "no_retry"])
def test_before_the_spike_the_goodput_is_the_load(arm):
    run = episode(7.0, arm, 0)
    assert run.goodput_per_s[:6].mean() == pytest.approx(7, abs=5 * (7 / 60) ** 0.5)


def test_backoff_alone_never_ends_the_storm_and_not_retrying_does():
    """Four attempts for each of 7/s are 28/s at a store that serves 10/s, however late they come."""
    for arm in RETRIES_UNBOUNDED:
        run = episode(7.0, arm, 0)
        assert run.recovered_s == np.inf
        assert run.goodput_per_s[12:].sum() == 0
        assert run.attempts_per_submission > 3.5
    without = episode(7.0, "no_retry", 0)
    # At most 5 s of 20/s too many wait at the end of the spike, and 3/s more are served than come.
    assert without.recovered_s < 5 * 20 / 3 + 10
    assert without.goodput_per_s[-60:].mean() == pytest.approx(7, abs=5 * (7 / 600) ** 0.5)


def test_a_budget_of_a_tenth_bears_ten_elevenths_of_the_capacity():
    """1.1 times the load must stay below 10/s: at 8.5/s it does, at 9.3/s it does not."""
    assert episode(8.5, "token_bucket", 0).recovered_s < np.inf
    beyond = episode(9.3, "token_bucket", 0)
    assert beyond.recovered_s == np.inf
    assert beyond.attempts_per_submission == pytest.approx(1.1, abs=0.01)


@pytest.mark.slow
def test_who_recovers_and_who_never_does():
    found = table(episodes()).set_index(["policy", "load_per_s"])["recovered"].unstack()
    assert list(found.columns) == list(LOADS_PER_S)
    every, no = REPLICATIONS, 0
    expected = {
        "no_retry": [every, every, every],
        "immediate": [no, no, no],
        "exponential": [no, no, no],
        "full_jitter": [no, no, no],
        "token_bucket": [every, every, no],
        "grpc_throttling": [every, every, every],
        "aws_standard": [every, every, every],
        "finagle": [no, no, no],
        "envoy": [every, no, no],
        "google_sre": [every, every, every],
        "consecutive_failures": [every, every, every],
        "failure_ratio": [every, every, every],
    }
    assert {arm: list(row) for arm, row in found.iterrows()} == expected


def test_the_table_and_the_picture_are_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        retry_storm, "episodes", lambda *_: {("no_retry", 8.5): [episode(8.5, "no_retry", 0)]}
    )
    monkeypatch.setattr("sys.argv", ["retry_storm", "--out", str(tmp_path)])
    retry_storm.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["retry_storm.csv", "retry_storm.png"]
    assert "no_retry" in capsys.readouterr().out
