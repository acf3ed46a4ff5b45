"""What a retry policy is asked, and what it may answer.

An actor whose attempt was refused, or not answered in time, shows its policy a :class:`Refusal` and gets
a :class:`Decision`. That one method makes a policy. Two more are optional: :meth:`Watcher.observe` sees
every answer (budgets refill, breakers count), :meth:`Watcher.before_send` may hold an attempt back or
forbid it, and :meth:`Watcher.ended` releases what an intent still held.

State has one of three scopes. *Per intent* it lives in ``memory``, which the actor keeps with the intent
and shows again; *per client* in the policy object, of which each process has its own; *per fleet* in a
:class:`~sim.retry.parts.Fleet` that all clients were built with.

Left out: what an action does. That is the actor's part.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.contention import ContentionKind

    Wait = Callable[["Refusal"], int]
    """A backoff at work: the refusal in, microseconds to wait out."""

    Uniform = Callable[[], float]
    """A stream of draws from U[0, 1)."""

ACQUIRE: Final = "acquire"
"""The goal of a worker's slot that wants a lease: an intent that by default no limit ends."""


class Action(Enum):
    """What to do about a refusal.

    ``retry`` sends the same operation again; ``redispatch`` the other operation that the kind names;
    ``new_grant`` asks for another grant, ``other_execution`` for another execution; ``reread`` reads what
    the operation depends on, then sends it again; ``skip`` leaves this target and goes on with the next;
    ``reconcile`` finds out what became of the target; ``give_up`` abandons the intent.
    """

    RETRY = "retry"
    REDISPATCH = "redispatch"
    NEW_GRANT = "new_grant"
    OTHER_EXECUTION = "other_execution"
    REREAD = "reread"
    SKIP = "skip"
    RECONCILE = "reconcile"
    GIVE_UP = "give_up"

    # Members are singletons: identity hashes at C speed, and no result depends on the order of a hash.
    __hash__ = object.__hash__


SENDS_AGAIN: Final = (
    Action.RETRY, Action.REDISPATCH, Action.NEW_GRANT, Action.OTHER_EXECUTION, Action.REREAD,
)  # fmt: skip
"""The actions that lead to a further attempt: what limits end and budgets pay for."""


class Refusal:
    """One refusal (or missing answer), as the actor that met it shows it to its policy.

    Attributes
    ----------
    kind : ContentionKind or None
        None when no answer came in time.
    code : str
        The engine's own code; ``unknown`` without an answer.
    op : str
        The operation, named as the engine names it.
    goal : str
        What the intent is for: submit, acquire, dispatch, hold, finish, park, signal, link, resolve,
        cancel, revoke, reprioritise or repair.
    nth : int
        How many failures the intent has met, this one included: 1 at the first. It is the number of the
        retry that may follow.
    elapsed_us : int
        Time since the intent began.
    now_us : int
        The instant.
    retry_after_ms : int or None
        The engine's own hint.
    memory : Any
        What the policy keeps for this intent: None at first. A policy may set it; the actor carries it
        to the intent's next refusal or answer.
    """

    __slots__ = ("code", "elapsed_us", "goal", "kind", "memory", "now_us", "nth", "op", "retry_after_ms")

    def __init__(
        self,
        kind: ContentionKind | None,
        code: str,
        op: str,
        goal: str,
        nth: int,
        elapsed_us: int,
        now_us: int,
        retry_after_ms: int | None = None,
        memory: object = None,
    ) -> None:
        self.kind = kind
        self.code = code
        self.op = op
        self.goal = goal
        self.nth = nth
        self.elapsed_us = elapsed_us
        self.now_us = now_us
        self.retry_after_ms = retry_after_ms
        self.memory: Any = memory

    def remembered(self) -> dict[str, Any]:
        """Give the intent's memory as a dictionary, made at the first use: one entry for each part."""
        if self.memory is None:
            self.memory = {}
        memory: dict[str, Any] = self.memory
        return memory

    def __repr__(self) -> str:
        return f"Refusal({self.code} of {self.op} for {self.goal}, nth={self.nth}, at {self.now_us} us)"


class Observed:
    """One answer, or its absence, as an actor shows it to a policy that watches.

    Attributes
    ----------
    ok : bool
        Whether the attempt was carried out.
    kind : ContentionKind or None
        The refusal's kind; None when ``ok``, and when no answer came in time.
    op, goal : str
        As in :class:`Refusal`.
    failures : int
        How many failures the intent had met before this answer: 0 at its first attempt.
    now_us : int
        The instant.
    memory : Any
        The intent's memory, as in :class:`Refusal`; None for an attempt without an intent.
    """

    __slots__ = ("failures", "goal", "kind", "memory", "now_us", "ok", "op")

    def __init__(
        self,
        ok: bool,
        kind: ContentionKind | None,
        op: str,
        goal: str,
        failures: int,
        now_us: int,
        memory: object = None,
    ) -> None:
        self.ok = ok
        self.kind = kind
        self.op = op
        self.goal = goal
        self.failures = failures
        self.now_us = now_us
        self.memory: Any = memory

    def __repr__(self) -> str:
        answer = "ok" if self.ok else "unknown" if self.kind is None else self.kind.value
        return f"Observed({answer} of {self.op} for {self.goal} at {self.now_us} us)"


class Decision(NamedTuple):
    """What a policy answers: an action, and how long to wait before it, in microseconds."""

    action: Action
    delay_us: int


REJECT: Final = -1
"""What :meth:`Watcher.before_send` answers when the attempt must not be sent."""


class Policy(Protocol):
    """What every retry policy can do.

    A policy is built once per client. What it remembers about an intent belongs into the refusal's
    ``memory``, for a client has many intents at once.
    """

    def decide(self, refusal: Refusal) -> Decision:
        """Say what to do about a refusal."""
        ...


class Watcher(Policy, Protocol):
    """A policy that also watches: the three methods that a policy may have besides ``decide``.

    An actor looks for each by its name.
    """

    def observe(self, observed: Observed) -> None:
        """Take note of an answer. Called for every one, before ``decide`` for those that are failures."""
        ...

    def before_send(self, now_us: int) -> int:
        """Say how long an attempt must wait before it is sent, or :data:`REJECT`.

        Called once an attempt, which counts as sent when the wait is over. A rejected attempt is not
        sent: for its intent it is as if the policy gave up.
        """
        ...

    def ended(self, memory: Any) -> None:
        """Release what an intent held that is over, however it ended."""
        ...
