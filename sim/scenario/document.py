"""Strict YAML that remembers where everything stands.

Read are plain mappings, lists, text, numbers, ``true``/``false`` and ``null`` of YAML 1.2's core schema
(``yes``, ``on``, ``1:30`` and dates are text, as they look). Refused are duplicate keys, tags, merge keys,
several documents, and what only an attacker writes: documents above 4 MiB, deep nesting, aliases that
multiply. Anchors and aliases may be used to say something once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from sim.units import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 1 << 22
"""Room for a resolved scenario, which holds what its CSV files hold."""

MAX_DEPTH: Final = 50
MAX_VALUES: Final = 200_000
"""Mappings, lists and scalars of a document, with those that aliases repeat."""

MAX_ANCHORS: Final = 100

Path = tuple[str | int, ...]
"""Where a value stands: keys of mappings and indices of lists, from the root."""

Event = Any
"""An event of PyYAML's parser: its stubs know no type that has a tag, an anchor and a line."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL: Final = re.compile(r"~|null|Null|NULL|")
_BOOL: Final = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT: Final = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL: Final = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)")


class DocumentError(ValueError):
    """Text that is no such YAML; ``line`` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Document:
    """A value, and the line of each path in it.

    Attributes
    ----------
    value : Any
        Mappings, lists and scalars.
    lines : dict[Path, int]
        The line (from 1) of each path: of its key in a mapping, of its item in a list.
    """

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)


def decode(data: bytes) -> str:
    """Turn the bytes of a file into text.

    Raises
    ------
    DocumentError
        When they are too many, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(1, f"larger than {MAX_BYTES:,} bytes; a scenario that large points at a CSV file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(line, f"not UTF-8 text (byte {data[error.start]:#04x})") from error


def read(text: str) -> Document:
    """Read a document.

    Raises
    ------
    DocumentError
        With the line and what is wrong there.
    """
    decode(text.encode("utf-8", errors="surrogatepass"))
    try:
        return _Reader(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise DocumentError(mark.line + 1 if mark else 1, f"not YAML: {said}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(line, f"not YAML: the character {error.character:#06x} is not allowed") from error


class _Reader:
    """Builds a document from the events of the parser, so that every limit holds before memory is spent."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Event] = yaml.parse(text, Loader=_LOADER)
        self._lines: dict[Path, int] = {}
        self._anchors: dict[str, tuple[Any, dict[Path, int]]] = {}
        self._values = 0

    def document(self) -> Document:
        next(self._events)  # the start of the stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return Document(None, {(): 1})
        value = self._value(next(self._events), (), 0)
        next(self._events)  # the end of the document
        extra = next(self._events)
        if not isinstance(extra, yaml.StreamEndEvent):
            raise DocumentError(_line(extra), "a second document begins here; a scenario is one document")
        return Document(value, self._lines)

    def _value(self, event: Event, path: Path, depth: int) -> Any:
        line = _line(event)
        self._lines.setdefault(path, line)
        self._count(1, line)
        if depth >= MAX_DEPTH:
            raise DocumentError(line, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        self._refuse_tag(event)
        if isinstance(event, yaml.ScalarEvent):
            value: Any = _scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(path, depth)
        else:
            value = self._sequence(path, depth)
        if event.anchor:
            self._anchor(event, path, value)
        return value

    def _anchor(self, event: Event, path: Path, value: Any) -> None:
        if len(self._anchors) == MAX_ANCHORS:
            raise DocumentError(_line(event), f"more than {MAX_ANCHORS} anchors")
        below = {each[len(path) :]: at for each, at in self._lines.items() if each[: len(path)] == path}
        self._anchors[event.anchor] = (value, below)

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent) or event.anchor:
                raise DocumentError(line, "a key must be plain text")
            self._refuse_tag(event)
            key = event.value
            if key == "<<":
                raise DocumentError(line, "merge keys (<<) are not read; write the keys out, or use an alias")
            if key in mapping:
                first = self._lines[*path, key]
                raise DocumentError(line, f"the key {quoted(key)} stands twice (first in line {first})")
            self._lines[*path, key] = line
            mapping[key] = self._value(next(self._events), (*path, key), depth + 1)
        return mapping

    def _sequence(self, path: Path, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), depth + 1))
        return items

    def _alias(self, event: Event, path: Path) -> Any:
        if event.anchor not in self._anchors:
            raise DocumentError(_line(event), f"*{event.anchor} names nothing that was anchored before")
        value, below = self._anchors[event.anchor]
        self._count(len(below), _line(event))
        for tail, line in below.items():
            self._lines.setdefault((*path, *tail), line)
        return value

    def _count(self, more: int, line: int) -> None:
        self._values += more
        if self._values > MAX_VALUES:
            raise DocumentError(
                line, f"more than {MAX_VALUES} values; a scenario that large points at a CSV file"
            )

    @staticmethod
    def _refuse_tag(event: Event) -> None:
        if event.tag not in (None, "!"):
            raise DocumentError(_line(event), f"tags such as {quoted(event.tag)} are not read")


def _line(event: Event) -> int:
    line: int = event.start_mark.line
    return line + 1


def _scalar(event: Event) -> str | int | float | bool | None:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block
        return text
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    return float(f"{special[1]}{special[2]}") if special else text
