"""Levels of a run, counted while it goes on, apart from its records: what Little's law is held against.

A level is how many there are at an instant: it rises by one at some calls and falls by one at others, at
instants that the calls give. Its integral over a window is the sum over those steps of their sign times what
is left of the window after them. No row of a record is looked at, so that an execution that is
told to have ended at another instant, or an attempt that was never taken down, makes a difference.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import sim.replication
from sim.ledger import ENDED, LEASED, REFUSED, ExecutionLedger
from sim.link import Link
from sim.record import Recorder

if TYPE_CHECKING:
    import pytest

    from sim.replication import RunResult
    from sim.scenario import Scenario

EXECUTIONS: Final = "executions"
UNLEASED: Final = "executions that wait for their first lease"


class Level:
    """The steps of one level."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, int]] = []

    def step(self, at_us: int, change: int) -> None:
        """Take down a step."""
        self._steps.append((at_us, change))

    def integral_us(self, window_us: tuple[int, int]) -> int:
        """Integrate the level from zero, and cut out a window."""
        start_us, end_us = window_us
        return sum(change * max(end_us - max(at_us, start_us), 0) for at_us, change in self._steps)


class Levels(dict[str, Level]):
    """The levels of a run by name; each comes into being with its first step.

    Attributes
    ----------
    unanswered : Counter
        The attempts that are still out, as (index of the actor, operation, instant of sending).
    """

    def __init__(self) -> None:
        super().__init__()
        self.unanswered: Counter[tuple[int, str, int]] = Counter()

    def __missing__(self, name: str) -> Level:
        level = self[name] = Level()
        return level


def watch(monkeypatch: pytest.MonkeyPatch) -> Levels:
    """Count the levels of the runs that follow."""
    levels = Levels()

    class WatchedLedger(ExecutionLedger):
        __slots__ = ("_left",)

        def __init__(self) -> None:
            super().__init__()
            self._left: dict[int, set[str]] = {}

        def changed(self, execution: int, at_us: int, stage: int, *more: Any) -> None:
            super().changed(execution, at_us, stage, *more)
            if stage == REFUSED:
                return
            inside = (EXECUTIONS, UNLEASED)
            if execution not in self._left:
                self._left[execution] = set()
                for name in inside:
                    levels[name].step(at_us, 1)
            leaves = inside if stage >= ENDED else (UNLEASED,) if stage == LEASED else ()
            for name in leaves:
                if name not in self._left[execution]:
                    self._left[execution].add(name)
                    levels[name].step(at_us, -1)

    class WatchedRecorder(Recorder):
        def begin(self, goal: str, actor: int, start_us: int, *more: Any, **named: Any) -> Any:
            levels[f"intents: {goal}"].step(start_us, 1)
            return super().begin(goal, actor, start_us, *more, **named)

        def end(self, intent: Any, end_us: int, *more: Any, **named: Any) -> None:
            levels[f"intents: {intent.goal}"].step(end_us, -1)
            super().end(intent, end_us, *more, **named)

        def attempt(self, attempt: Any, outcome: Any) -> None:
            levels["attempts"].step(attempt.done_us, -1)
            levels.unanswered[attempt.actor, attempt.op.name, attempt.sent_us] -= 1
            super().attempt(attempt, outcome)

    class WatchedLink(Link):
        def send(self, process: Any, op: Any, *more: Any, **named: Any) -> None:
            now_us = self._kernel.now_us
            levels["attempts"].step(now_us, 1)
            levels.unanswered[process.owner.index, op.name, now_us] += 1
            super().send(process, op, *more, **named)

    monkeypatch.setattr(sim.replication, "ExecutionLedger", WatchedLedger)
    monkeypatch.setattr(sim.replication, "Recorder", WatchedRecorder)
    monkeypatch.setattr(sim.replication, "Link", WatchedLink)
    return levels


def run_watched(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> tuple[RunResult, Levels]:
    """Run a scenario, and count its levels beside its records."""
    levels = watch(monkeypatch)
    return sim.replication.run(scenario, "watched", scenario.retry, keep_attempts=True), levels
