"""Rows of the CSV files that a scenario points at: measured durations, schedules of arrivals."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, Final

from sim.schema import suggest
from sim.units import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_ROWS: Final = 50_000
"""What a file holds becomes part of the resolved scenario, so a larger one must be sampled."""


def read_rows(path: Path, column: str) -> list[tuple[int, dict[str, Any]]]:
    """Read a CSV file with a header.

    Parameters
    ----------
    path
        The file, UTF-8.
    column
        A column that it must have.

    Returns
    -------
    list[tuple[int, dict[str, Any]]]
        The line (from 1) and the cells of each row, by column; text, or None where a row is too short.

    Raises
    ------
    ValueError
        When it cannot be read, has no such column, no rows or too many; the message names the file.
    """
    return list(iter_rows(path, (column,), MAX_ROWS))


def iter_rows(path: Path, columns: Sequence[str], most: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the rows of a CSV file with a header one after the other.

    Parameters
    ----------
    path
        The file, UTF-8.
    columns
        Columns that it must have.
    most
        So many rows at most.

    Raises
    ------
    ValueError
        When it cannot be read, has not these columns, no rows or too many; the message names the file.
    """
    count = 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            for column in columns:
                if column not in names:
                    hint = suggest(column, names)
                    raise ValueError(f"{_named(path)} has no column {quoted(column)} ({hint})")
            for row in reader:
                count += 1
                if count > most:
                    raise ValueError(f"{_named(path)} has more than {most} rows; keep a sample of them")
                yield reader.line_num, row
    except (OSError, UnicodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot read {_named(path)}: {reason}") from error
    if not count:
        raise ValueError(f"{_named(path)} has no rows")


def _named(path: Path) -> str:
    """Name a file in a message, from its end where it is too long to be read."""
    name = str(path)
    return name if len(name) <= 200 else f"...{name[-200:]}"
