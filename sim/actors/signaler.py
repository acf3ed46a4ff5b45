"""The signaler: sends the signals that suspended executions wait for.

It knows a waitpoint from the worker's hand-out or, where ids are deterministic, before the waitpoint exists.
A signal that is not answered is sent again with the same idempotency key, so that it counts once.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from sim.actors.base import Actor
from sim.link import OP
from sim.retry import Action

if TYPE_CHECKING:
    from sim.actors.base import Story
    from sim.kernel import Process

_DELIVER: Final = OP["deliver_signal"]
_BUFFER: Final = OP["buffer_signal_for_pending_waitpoint"]

# What a signal is told whose execution has gone on, or has ended, without it.
_TOO_LATE: Final = frozenset({"target_not_signalable", "waitpoint_closed"})


class Token(NamedTuple):
    """A worker's hand-out: whom to signal, at which waitpoint, after how long each signal is sent."""

    execution: int
    waitpoint: int
    signals_us: tuple[int, ...]


class Signaler(Actor):
    """Delivers signals."""

    kind = "signaler"

    def receive(self, token: Token) -> None:
        """Take a token and send its signals when their time comes."""
        for number, after_us in enumerate(token.signals_us):
            self.spawn(partial(self._signal, token, number, after_us))

    def _signal(self, token: Token, number: int, after_us: int, process: Process) -> Story:
        process.sleep(after_us)
        yield
        signal = next(self.world.ids)
        intent = self.begin("signal", token.execution)
        intent.waitpoint = token.waitpoint
        arguments = (token.execution, token.waitpoint, signal, signal_name(number), True, signal)
        partition = self.world.partition_of(token.execution)
        op = _DELIVER
        stopped: Action | None = Action.REDISPATCH
        while stopped is Action.REDISPATCH:
            outcome, stopped = yield from self.carry_out(
                process, intent, op, partition, arguments, token.execution
            )
            if stopped is Action.REDISPATCH:
                op = _BUFFER if op is _DELIVER else _DELIVER
        if stopped is None:
            self.end(intent, "recovered")
        elif outcome.code in _TOO_LATE:
            self.end(intent, "satisfied")
        else:
            self.end(intent, "abandoned", "policy")


@cache
def signal_name(number: int) -> str:
    """Give the name under which a waitpoint's condition knows its ``number``-th signal."""
    return f"signal-{number}"
