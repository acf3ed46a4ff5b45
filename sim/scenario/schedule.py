"""Arrivals at given instants, read from a file when the scenario is loaded."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    SerializerFunctionWrapHandler,
    Strict,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from sim.csv_rows import MAX_ROWS, read_rows
from sim.schema import Choice, Duration, Name, Part, field
from sim.units import MAX_DURATION_US, US_PER_S, parse_duration_us


class Schedule(Part, Choice):
    """Arrivals at given instants, of given classes or of classes drawn by weight.

    The file is CSV with a header: a column ``at`` of durations from the start of the run (``250ms``, or
    seconds without a unit) and, if wanted, a column ``class``. Its path is relative to the scenario's file.
    The rows are read when the scenario is loaded and stand in the resolved scenario in the order of time,
    so that results can be repeated without the file.
    """

    key: ClassVar[str] = "schedule"

    file: str | None = field(
        None, "A CSV file with the column at, and class if wanted, relative to the scenario."
    )
    at: Annotated[tuple[Duration, ...], Strict(False)] = field(
        (), "The instants themselves, from the start of the run, in place of a file.", max_length=MAX_ROWS
    )
    classes: Annotated[tuple[Name, ...], Strict(False)] | None = field(
        None, "The class of each arrival; null where classes are drawn by weight."
    )
    source: str | None = field(None, "Where the instants come from; filled in when a file is read.")

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> Self:
        if self.file is None and self.at:
            at, classes, source = self.at, self.classes, self.source
        elif self.file is not None and not self.at and self.classes is None:
            folder = Path((info.context or {}).get("folder", "."))
            at, classes = _read_file(folder / self.file)
            source = self.file
        else:
            raise ValueError("schedule takes file, or at and perhaps classes")
        if classes is not None and len(classes) != len(at):
            raise ValueError(f"{len(at):,} instants and {len(classes):,} classes: there must be one for each")
        order = sorted(range(len(at)), key=at.__getitem__)  # stable: rows of one instant keep their order
        canonical = {"file": None, "source": source, "at": tuple(at[i] for i in order),
                     "classes": None if classes is None else tuple(classes[i] for i in order)}  # fmt: skip
        self.__dict__.update(canonical)  # completed while it is built, before anyone can see it
        return self

    @model_serializer(mode="wrap")
    def _write(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


def _read_file(path: Path) -> tuple[tuple[int, ...], tuple[str, ...] | None]:
    """Read instants in microseconds, and classes where there is such a column."""
    rows = read_rows(path, "at")
    at = tuple(_instant_us(row["at"], path, line) for line, row in rows)
    if "class" not in rows[0][1]:
        return at, None
    return at, tuple(_class(row["class"], path, line) for line, row in rows)


def _instant_us(text: str | None, path: Path, line: int) -> int:
    written = (text or "").strip()
    try:
        us = round(float(written) * US_PER_S)
    except (ValueError, OverflowError):
        return _duration_us(written, path, line)
    if not 0 <= us <= MAX_DURATION_US:
        raise ValueError(f"{path}:{line}: {written} s is not an instant from 0 to ten years")
    return us


def _duration_us(written: str, path: Path, line: int) -> int:
    try:
        return parse_duration_us(written)
    except ValueError as error:
        raise ValueError(f"{path}:{line}: {error}") from None


def _class(text: str | None, path: Path, line: int) -> str:
    name = (text or "").strip()
    if not name:
        raise ValueError(f"{path}:{line}: this row has no class")
    return name
