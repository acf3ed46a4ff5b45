"""What random scenarios found. Each is a scenario that failed once, and must not any more."""

from pathlib import Path

import pytest

from sim.fuzz.trial import try_text

FOUND = sorted((Path(__file__).parent / "found").glob("*.yaml"))


@pytest.mark.parametrize("path", FOUND, ids=[path.stem for path in FOUND])
def test_it_stays_mended(path):
    """The file's ``about`` says what had happened."""
    assert try_text(path.read_text("utf-8")).failure is None


def test_there_are_some():
    assert FOUND
