"""Tables of mistakes: what a user writes, and what is said of it."""

from pathlib import Path


def told(table):
    """Read the pairs of one table."""
    lines = Path(__file__).with_name(table).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("  =>  ")) for line in lines if "  =>  " in line]
