"""The table of every backoff's waits is complete, and what the code gives today."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from sim.retry.catalogue import BACKOFFS
from tests.reference import backoff_delays
from tests.reference.backoff_delays import FILE, LIBRARIES, RETRIES, STATISTICS, Line, cap_us, lines, table

KEYS = ["backoff", "parameters", "retry"]
PACKAGES = {"tenacity", "stamina", "backoff", "google-api-core", "urllib3", "redis", "celery"}


@pytest.fixture(scope="module")
def written():
    return pd.read_csv(
        Path(__file__).parents[2] / FILE, keep_default_na=False, na_values={"share_at_cap": ""}
    )


def test_every_backoff_stands_in_it_for_retries_1_to_12(written):
    assert set(written["backoff"]) == set(BACKOFFS)
    assert set(Counter(zip(written["backoff"], written["parameters"], strict=True)).values()) == {RETRIES}
    assert written["retry"].to_list() == [*range(1, RETRIES + 1)] * len(lines())


def test_every_package_that_has_the_formula_stands_beside_it(written):
    """The packages named in the catalogue's sources that can be installed."""
    assert {name.rsplit(" ", 1)[0] for name in written["library"] if name} == PACKAGES
    assert {line.package for line in LIBRARIES} == PACKAGES


def test_the_table_is_what_the_code_gives(written):
    """Python's draws of the libraries may change with its version: only this project's columns are redone."""
    redone = table(lines(), libraries=False)
    pd.testing.assert_frame_equal(
        redone[[*KEYS, *STATISTICS]], written[[*KEYS, *STATISTICS]], check_exact=True
    )


def test_the_cap_of_a_backoff_is_the_longest_wait_that_it_ever_gives():
    assert cap_us(Line("full_jitter", {"cap": "2s"})) == pytest.approx(2_000_000, abs=1)
    assert cap_us(Line("exponential", {"cap": "2s"})) == 2_000_000
    assert cap_us(Line("decorrelated_jitter", {"cap": "2s"})) == 2_000_000
    assert cap_us(Line("grpc", {})) == pytest.approx(1_200_000, abs=1)


def test_the_table_is_written(tmp_path, monkeypatch, capsys):
    some = [Line("full_jitter", {}), LIBRARIES[0]]
    monkeypatch.setattr(backoff_delays, "lines", lambda: some)
    monkeypatch.setattr("sys.argv", ["backoff_delays", "--out", str(tmp_path / "delays.csv")])
    backoff_delays.main()
    assert len((tmp_path / "delays.csv").read_text().splitlines()) == 1 + 2 * RETRIES
    assert "2 backoffs, 24 rows" in capsys.readouterr().out
