"""Makes a failing scenario smaller while it fails in the same way.

Greedy: of all smaller ones take the first that still fails, and begin anew, until none does or the tries are
used up. Smaller are: a fault less, a feature less, a class less, half the actors, half the horizon, fewer
arrivals, the documented policy, no rule changed.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from sim.units import format_duration, parse_duration_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Document = dict[str, Any]

MOST_TRIES: Final = 300

_COUNTS: Final = (
    ("workers", "count"), ("workers", "slots"), ("schedulers", "count"), ("reconcilers", "count"),
    ("store", "partitions"), ("workload", "flows", "builders"), ("operators", "count"),
    ("workload", "arrivals", "burst", "count"), ("workload", "arrivals", "closed", "clients"),
)  # fmt: skip
_OPTIONAL: Final = (
    "faults",
    "operators",
    "quotas",
    "budgets",
    "retry",
    "expect",
    "link",
    "schedulers",
    "reconcilers",
)
_OF_CLASSES: Final = (
    "children", "suspends", "delays", "retries", "fails", "deadline", "capabilities", "priority", "lane",
)  # fmt: skip
_OF_PARTS: Final = (
    ("store", "rules"),
    ("workload", "flows"),
    ("workers", "capabilities"),
    ("workers", "lanes"),
)


def shrink(document: Document, fails: Callable[[Document], bool], tries: int = MOST_TRIES) -> Document:
    """Give the smallest that was found of those that fail.

    Parameters
    ----------
    document
        A scenario that fails.
    fails
        Says whether another one fails in the same way.
    tries
        How many are tried at most.
    """
    left = tries
    found = True
    while found and left > 0:
        found = False
        for smaller in candidates(document):
            left -= 1
            if fails(smaller):
                document, found = smaller, True
                break
            if left <= 0:
                break
    return document


def candidates(document: Document) -> Iterator[Document]:
    """Give everything that is a step smaller, what leaves out most first."""
    yield from _without(document, [(key,) for key in _OPTIONAL])
    yield from _without(document, list(_OF_PARTS))
    yield from _shorter(document)
    yield from _fewer_faults(document)
    yield from _fewer_classes(document)
    classes = document["workload"].get("classes", {})
    yield from _without(
        document, [("workload", "classes", name, key) for name in classes for key in _OF_CLASSES]
    )
    for path in _COUNTS:
        count = _at(document, path)
        if isinstance(count, int) and count > 1:
            yield _with(document, path, count // 2)
    rules = document.get("store", {}).get("rules", {})
    yield from _without(document, [("store", "rules", rule) for rule in rules])
    for part in ("workers", "schedulers", "reconcilers", "store", "operators", "link"):
        yield from _without(document, [(part, key) for key in document.get(part, {}) if key != "count"])


def _at(document: Document, path: tuple[str, ...]) -> Any:
    value: Any = document
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    return value


def _with(document: Document, path: tuple[str, ...], value: Any) -> Document:
    changed = deepcopy(document)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def _without(document: Document, paths: list[tuple[str, ...]]) -> Iterator[Document]:
    for path in paths:
        holder = _at(document, path[:-1])
        if isinstance(holder, dict) and holder.get(path[-1]):
            changed = deepcopy(document)
            del _at(changed, path[:-1])[path[-1]]
            yield changed


def _shorter(document: Document) -> Iterator[Document]:
    for part in ("warmup", "drain", "run"):
        path = ("horizon", part)
        length_us = parse_duration_us(_at(document, path) or "0s")
        if part != "run" and length_us:
            yield _with(document, path, "0s")
        if length_us > 2000:
            yield _with(document, path, format_duration(length_us // 2))


def _fewer_faults(document: Document) -> Iterator[Document]:
    faults = document.get("faults", [])
    for number in range(len(faults)):
        yield _with(document, ("faults",), faults[:number] + faults[number + 1 :])


def _fewer_classes(document: Document) -> Iterator[Document]:
    classes = document["workload"].get("classes", {})
    for name in classes:
        if len(classes) > 1:
            yield _with(document, ("workload", "classes"), {n: c for n, c in classes.items() if n != name})
