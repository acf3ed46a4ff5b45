"""Replays recordings of the real engine against the store, and says where they differ.

A recording is a gzip of JSON lines: a header, then steps. A step has the clock (``t_ms``), an operation, its
arguments, what the engine answered, and the seven dimensions of the execution it touched, afterwards. The
store starts empty, in the dialect ``valkey``; status, code, values and dimensions must agree exactly. Only
the free text ``detail`` of three codes may differ.

The adapter below knows the format of the recordings and nothing of the engine's behaviour.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.mistakes import UserMistake
from sim.store import VALKEY, Store, preset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sim.store import StoreRules

    Step = dict[str, Any]

_TOUCH_DOWNSTREAM: Final = frozenset({"apply_dependency_to_child", "resolve_dependency"})
_TOUCH_NOTHING: Final = frozenset({"check_admission_and_record", "release_admission"})
_FREE_TEXT: Final = frozenset({"invalid_input", "invalid_policy_json", "invalid_capabilities"})
_PARTS: Final = ("t_ms", "op", "args", "result", "state")
_HISTORY_MAX: Final = 8


class RecordingError(UserMistake):
    """A file that is missing, or is no recording; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first step of a file where the store does not do what the engine did.

    Attributes
    ----------
    line : int
        Of the step, in the file.
    expected, actual : dict
        ``result`` and ``state`` of the engine, and of the store.
    history : tuple of dict
        The last steps before it that touch the same execution, as recorded, oldest first.
    """

    file: str
    line: int
    t_ms: int
    op: str
    args: dict[str, Any]
    expected: dict[str, Any]
    actual: dict[str, Any]
    history: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it ready for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What the replay of one recording found."""

    file: str
    steps: int
    agreed: int
    first_difference: Difference | None = None


@dataclass(slots=True)
class Report:
    """What the replay of all recordings found, in the order of their names."""

    files: list[FileReport] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many steps the recordings hold."""
        return sum(file.steps for file in self.files)

    @property
    def agreed(self) -> int:
        """How many steps agree."""
        return sum(file.agreed for file in self.files)

    @property
    def differences(self) -> list[Difference]:
        """The first difference of each file that has one."""
        return [file.first_difference for file in self.files if file.first_difference is not None]

    def as_dict(self) -> dict[str, Any]:
        """Give it ready for JSON: files, steps, agreed, first_difference (of all, or None)."""
        first = self.differences[0].as_dict() if self.differences else None
        return {
            "files": len(self.files),
            "steps": self.steps,
            "agreed": self.agreed,
            "first_difference": first,
        }

    def render(self) -> str:
        """Write it for a terminal."""
        lines = [f"{self.agreed:,} of {self.steps:,} steps agree in {len(self.files)} recordings"]
        for difference in self.differences:
            lines += ["", *_render_difference(difference)]
        return "\n".join(lines)


def conform(paths: Iterable[Path | str], rules: StoreRules | str = VALKEY) -> Report:
    """Replay recordings.

    Parameters
    ----------
    paths
        Files, or folders whose ``*.jsonl.gz`` are taken in the order of their names.
    rules
        The dialect to compare with, or its name.

    Raises
    ------
    RecordingError
        When a path does not exist, a folder holds none, or a file is not in the format.
    ValueError
        When there is no dialect of that name.
    """
    dialect = preset(rules) if isinstance(rules, str) else rules
    return Report([_replay(path, dialect) for path in _files(paths)])


def _files(paths: Iterable[Path | str]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            found = sorted(path.glob("*.jsonl.gz"))
            if not found:
                raise RecordingError(f"{path}: the folder holds no recording (*.jsonl.gz)")
            yield from found
        elif path.exists():
            yield path
        else:
            raise RecordingError(f"{path}: there is no such file or folder")


def read_steps(path: Path) -> list[Step]:
    """Read the steps of a recording, the header left out.

    Raises
    ------
    RecordingError
        When the file is not in the format.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            header, *steps = [json.loads(line) for line in stream]
    except (OSError, EOFError, ValueError) as error:
        raise RecordingError(f"{path}: not a recording ({error})") from error
    if not isinstance(header, dict) or "t0_ms" not in header or not all(map(_is_step, steps)):
        raise RecordingError(
            f"{path}: not a recording (a header with t0_ms, then {', '.join(_PARTS)} a line)"
        )
    return steps


def _is_step(line: object) -> bool:
    return isinstance(line, dict) and all(part in line for part in _PARTS)


def _replay(path: Path, rules: StoreRules) -> FileReport:
    store = Store(rules)
    steps = read_steps(path)
    agreed = 0
    first: Difference | None = None
    for number, step in enumerate(steps):
        actual = _apply(path, store, step)
        expected = {"result": step["result"], "state": step["state"]}
        if _comparable(actual) == _comparable(expected):
            agreed += 1
        elif first is None:
            first = Difference(
                file=path.name, line=number + 2, t_ms=step["t_ms"], op=step["op"], args=step["args"],
                expected=expected, actual=actual, history=_history(steps, number),
            )  # fmt: skip
    return FileReport(file=path.name, steps=len(steps), agreed=agreed, first_difference=first)


def _apply(path: Path, store: Store, step: Step) -> dict[str, Any]:
    operation = getattr(store, step["op"], None)
    if operation is None:
        raise RecordingError(f"{path}: {step['op']!r} is no operation of the store")
    outcome = operation(step["t_ms"], **step["args"])
    result = {"status": outcome.engine_status, "code": outcome.code, "values": dict(outcome.values)}
    touched = _touched(step)
    return {"result": result, "state": None if touched is None else store.dimensions(touched)}


def _touched(step: Step) -> str | None:
    """Name the execution that a step touches, by the format of the recordings."""
    op, args = step["op"], step["args"]
    if op in _TOUCH_DOWNSTREAM:
        return str(args["downstream"])
    return None if op in _TOUCH_NOTHING else args.get("execution")


def _comparable(observed: dict[str, Any]) -> dict[str, Any]:
    result = observed["result"]
    if result["code"] not in _FREE_TEXT:
        return observed
    values = {name: value for name, value in result["values"].items() if name != "detail"}
    return {**observed, "result": {**result, "values": values}}


def _history(steps: list[Step], number: int) -> tuple[Step, ...]:
    touched = _touched(steps[number])
    if touched is None:
        return ()
    earlier = [step for step in steps[:number] if _touched(step) == touched]
    return tuple(earlier[-_HISTORY_MAX:])


def _render_difference(difference: Difference) -> list[str]:
    lines = [f"{difference.file}:{difference.line}: {difference.op} at {difference.t_ms}"]
    lines += [f"  before  {step['t_ms']} {step['op']} {_line(step['args'])} -> {step['result']['code']}"
              for step in difference.history]  # fmt: skip
    lines.append(f"  args    {_line(difference.args)}")
    for part in ("result", "state"):
        expected, actual = difference.expected[part], difference.actual[part]
        if expected != actual:
            lines.append(f"  engine  {part} {_line(expected)}")
            lines.append(f"  store   {part} {_line(actual)}")
    return lines


def _line(value: object) -> str:
    return json.dumps(value, default=str)
