"""Sizes and shares as a user writes them."""

import sys
from pathlib import Path

import pytest

from sim import limits
from sim.api import limits_of
from sim.limits import Limits, OptionError, format_bytes, parse_bytes, parse_share, peak_bytes, resident_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [("500MB", 500_000_000), ("1.5 GB", 1_500_000_000), ("2GiB", 2**31), ("64kb", 64_000), ("1MiB", 2**20)],
)
def test_sizes_are_decimal_unless_they_say_otherwise(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "5", "MB", "-1GB", "0MB", "1e3MB", "9" * 19 + "GB", "nan GB"])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(OptionError, match=r"try '500MB' or '2GB'"):
        parse_bytes(text)


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), (" 12.5 % ", 0.125)])
def test_a_share_is_a_percentage_or_a_fraction(text, share):
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "5", "0", "-1%", "100%", "nan", "inf%", "five"])
def test_what_is_no_share_is_refused_with_an_example(text):
    with pytest.raises(OptionError, match=r"try '5%' or '0.05'"):
        parse_share(text)


@pytest.mark.parametrize(
    ("size", "text"), [(1_480_000_000, "1.5 GB"), (96_500_000, "96 MB"), (12_000, "12 kB"), (24e9, "24 GB")]
)
def test_sizes_are_written_short(size, text):
    assert format_bytes(size) == text


def test_a_process_knows_what_it_holds():
    before = resident_bytes()
    block = bytearray(b"x") * 50_000_000
    assert resident_bytes() - before > 40_000_000
    assert peak_bytes() >= resident_bytes() - 1_000_000
    del block


def test_where_the_system_does_not_tell_what_is_held_the_most_counts(monkeypatch):
    monkeypatch.setattr(limits, "_STATM", Path("/nowhere/statm"))
    assert resident_bytes() == peak_bytes() > 1_000_000
    monkeypatch.setitem(sys.modules, "resource", None)
    assert resident_bytes() == 0


def test_limits_are_a_number_of_attempts_and_a_size():
    assert limits_of(None, None) == Limits()
    assert limits_of(5, "2KB") == limits_of(5, 2000) == Limits(attempts=5, memory_bytes=2000)
    with pytest.raises(OptionError, match=r"^a run makes at least 1 attempt, not 0 \(max_attempts\)$"):
        limits_of(0, None)
