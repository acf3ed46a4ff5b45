"""A policy at work: routing, backoff and limits together.

``decide`` is called for every refusal of a run, millions of times, so everything that does not depend on
the refusal is looked up: the table of a policy holds, for each kind and operation, the action and which
backoff it waits by, and the finished decision where there is nothing to draw. The table is shared by all
clients of an arm; the backoffs are each client's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.contention import KINDS, ContentionKind
from sim.retry.policy import ACQUIRE, REJECT, SENDS_AGAIN, Action, Decision
from sim.retry.routing import OPERATIONS, REDISPATCHES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.retry.guards import Guard
    from sim.retry.limits import Limits
    from sim.retry.policy import Observed, Refusal, Uniform, Wait
    from sim.retry.routing import Routing

_NO_LIMIT: Final = 1 << 62
_AT_ONCE: Final = (Action.REDISPATCH, Action.RECONCILE)
"""Actions that nothing is gained by waiting for; a backoff of the kind's own is waited for all the same."""

_new: Final = tuple.__new__
_GIVE_UP: Final = Decision(Action.GIVE_UP, 0)


class Entry(NamedTuple):
    """What a table holds for a kind and an operation.

    Attributes
    ----------
    action : Action
    backoff : int
        Which of the policy's backoffs says how long to wait: 0 is the main one.
    ready : Decision or None
        The whole answer, where nothing is waited for.
    """

    action: Action
    backoff: int
    ready: Decision | None


Table = list[dict[str, Entry]]
"""Entries by the kind's index and the operation's name."""


def make_table(routing: Routing, own_backoffs: Sequence[ContentionKind]) -> Table:
    """Tabulate a routing.

    Parameters
    ----------
    routing
        The actions.
    own_backoffs
        The kinds with a backoff of their own; the first has backoff 1, and so on.
    """
    table: Table = []
    for kind in KINDS:
        own = own_backoffs.index(kind) + 1 if kind in own_backoffs else 0
        row = {}
        for op in OPERATIONS:
            action = routing.action(kind, op)
            at_once = action in (Action.SKIP, Action.GIVE_UP) or (own == 0 and action in _AT_ONCE)
            row[op] = Entry(action, own, Decision(action, 0) if at_once else None)
        table.append(row)
    return table


class Composed:
    """A policy made of parts, for one client.

    Parameters
    ----------
    table
        From :func:`make_table`.
    waits
        The backoffs that the table's entries count.
    limits
        What ends an intent.
    poll_us
        After how long a slot asks again when its claim was not answered in time.
    """

    __slots__ = ("_ends_acquire", "_limits", "_poll", "_soonest_end", "_table", "_waits")

    def __init__(self, table: Table, waits: Sequence[Wait], limits: Limits, poll_us: int) -> None:
        self._table = table
        self._waits = waits
        self._limits = limits
        self._ends_acquire = limits.acquire
        self._poll = Decision(Action.RETRY, poll_us)
        timed = limits.elapsed is not None or limits.deadline is not None
        # Below this many failures no limit can end an intent.
        self._soonest_end = 1 if timed else limits.attempts or _NO_LIMIT

    def decide(self, refusal: Refusal) -> Decision:
        """Answer as the table says, unless a limit ends the intent."""
        kind = refusal.kind
        if kind is None:
            decision = self._unanswered(refusal)
        else:
            action, backoff, ready = self._table[kind.index][refusal.op]
            decision = ready or _new(Decision, (action, self._waits[backoff](refusal)))
        if refusal.nth < self._soonest_end:
            return decision
        return self._limited(refusal, decision)

    def _unanswered(self, refusal: Refusal) -> Decision:
        """Send the same again, with the same ids; a slot that wants a lease makes a new request."""
        if refusal.goal == ACQUIRE:
            return self._poll
        return Decision(Action.RETRY, self._waits[0](refusal))

    def _limited(self, refusal: Refusal, decision: Decision) -> Decision:
        """Give up where a limit says so.

        Going on with the next target is no further attempt. Nor is finding out what became of the last
        one; but that may lead to another, so it is done for the failure that reaches the limit of
        attempts and not beyond.
        """
        if refusal.goal == ACQUIRE and not self._ends_acquire:
            return decision
        if decision.action in SENDS_AGAIN:
            ends = self._limits.end(refusal.nth, refusal.elapsed_us, decision.delay_us)
        elif decision.action is Action.RECONCILE:
            ends = self._limits.end(refusal.nth - 1, refusal.elapsed_us, 0)
        else:
            ends = False
        return _GIVE_UP if ends else decision


_RETRYING: Final = "retrying"
"""In an intent's memory: the operation whose next answer is that to a retry."""


class Guarded(Composed):
    """A policy with a budget or a breaker: one that watches too.

    Parameters
    ----------
    table, waits, limits, poll_us
        As in :class:`Composed`.
    guards
        The budget and the breaker, as far as there are any, the breaker first: what it rejects the
        budget never sees.
    uniform
        The client's stream.
    """

    __slots__ = ("_guards", "_uniform")

    def __init__(
        self,
        table: Table,
        waits: Sequence[Wait],
        limits: Limits,
        poll_us: int,
        guards: Sequence[Guard],
        uniform: Uniform,
    ) -> None:
        super().__init__(table, waits, limits, poll_us)
        self._guards = guards
        self._uniform = uniform

    def decide(self, refusal: Refusal) -> Decision:
        """Answer as the policy without guards would, if the retry may be made."""
        decision = super().decide(refusal)
        kind = refusal.kind
        if decision.action not in SENDS_AGAIN or kind is ContentionKind.NO_ELIGIBLE_EXECUTION:
            return decision
        # An intent makes one retry at a time: an earlier one that led elsewhere is not answered any more.
        self.ended(refusal.memory)
        for guard in self._guards:
            if not guard.may_retry(refusal):
                return _GIVE_UP
        op = refusal.op
        if decision.action is Action.REDISPATCH and kind is not None:
            op = REDISPATCHES[kind, op]
        refusal.remembered()[_RETRYING] = op
        return decision

    def observe(self, observed: Observed) -> None:
        """Show an answer to every guard."""
        memory = observed.memory
        retried = memory is not None and memory.get(_RETRYING) == observed.op
        if retried:
            del memory[_RETRYING]
        for guard in self._guards:
            guard.observe(observed, retried)

    def before_send(self, now_us: int) -> int:
        """Give the longest wait that a guard asks for, or the first rejection."""
        wait_us = 0
        for guard in self._guards:
            asked_us = guard.before_send(now_us, self._uniform)
            if asked_us == REJECT:
                return REJECT
            wait_us = max(wait_us, asked_us)
        return wait_us

    def ended(self, memory: dict[str, Any] | None) -> None:
        """Release a retry that was paid for and will not be answered."""
        if memory is not None and memory.pop(_RETRYING, None) is not None:
            for guard in self._guards:
                guard.dropped(memory)
