"""``--set PATH=VALUE``: single values of a scenario replaced before it is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sim.scenario.document import DocumentError, read
from sim.scenario.errors import ScenarioError, dotted
from sim.units import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim.scenario.document import Path


class Override(NamedTuple):
    """A path of a scenario, the value that it is to have, and the option that messages name."""

    path: Path
    value: Any
    option: str = "--set"


def parse(text: str) -> Override:
    """Read ``workers.count=64`` or ``faults.0.crash.down=5s``; the value is YAML.

    Raises
    ------
    ScenarioError
        When it is no such assignment.
    """
    left, equals, right = text.partition("=")
    steps = left.strip().split(".")
    if not equals or not all(steps):
        raise ScenarioError([f"--set {text}: write it as PATH=VALUE (try '--set workers.count=64')"])
    try:
        value = read(right).value
    except DocumentError as error:
        raise ScenarioError([f"--set {left}: {right!r} is {error}"]) from error
    return Override(tuple(steps), value)


def apply(value: Any, overrides: Iterable[Override]) -> tuple[Any, list[Override]]:
    """Give a copy of a document's value with overrides carried out in their order.

    Returns
    -------
    tuple
        The new value, and the overrides with the paths that they have set (indices of lists as numbers).

    Raises
    ------
    ScenarioError
        When a path leads nowhere.
    """
    placed = []
    for override in overrides:
        value, path = _replaced(value, override, 0)
        placed.append(override._replace(path=path))
    return value, placed


def _replaced(value: Any, override: Override, depth: int) -> tuple[Any, Path]:
    if depth == len(override.path):
        return override.value, ()
    step = override.path[depth]
    if value is None and str(step).isdigit():
        value = []  # no key begins with a digit
    if value is None or isinstance(value, dict):
        mapping = dict(value or {})
        mapping[str(step)], below = _replaced(mapping.get(str(step)), override, depth + 1)
        return mapping, (step, *below)
    if isinstance(value, list):
        index = _index(value, override, depth)
        items = [*value, None] if index == len(value) else list(value)
        items[index], below = _replaced(items[index], override, depth + 1)
        return items, (index, *below)
    here = dotted(override.path[:depth])
    raise ScenarioError([
        f"{override.option} {dotted(override.path)}: {here} is {quoted(value)}, which holds no key {step!r} "
        f"(replace it as a whole: --set '{here}={{{step}: ...}}')"
    ])  # fmt: skip


def _index(items: list[Any], override: Override, depth: int) -> int:
    step = str(override.path[depth])
    if step.isascii() and step.isdigit() and len(step) < 10 and int(step) <= len(items):
        return int(step)
    here, last = dotted(override.path[:depth]), len(items)
    legal = "0, which adds one" if last == 0 else f"0 to {last - 1}, or {last} to add one"
    raise ScenarioError(
        [f"{override.option} {dotted(override.path)}: {here} is a list; {step!r} is no index of it ({legal})"]
    )
