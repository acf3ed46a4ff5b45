"""What the store answers: ``Ok`` or ``Refused``.

Refusals are values, never exceptions, and cheap: a contended run makes millions of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from sim.contention import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.contention import Cause, ContentionKind

# The engine reports these refusals in the shape of a success; every other refusal is an error there.
_SHAPED_AS_SUCCESS: Final[frozenset[str]] = frozenset({
    "RATE_EXCEEDED", "CONCURRENCY_EXCEEDED", "ALREADY_SATISFIED",
})  # fmt: skip

_NOTHING: Final[Mapping[str, Any]] = {}

# kind_of, remembered: (op, code) of every refusal so far whose code has one meaning.
_KINDS: Final[dict[tuple[str, str], ContentionKind | None]] = {}


class Ok:
    """An operation that was carried out, or that found its work done already.

    Attributes
    ----------
    code : str
        ``OK``, or another success code of the engine (``DUPLICATE``, ``ALREADY_SATISFIED``, ...).
    values : Mapping[str, Any]
        What the engine returns, by name. Shared and not to be changed.
    """

    __slots__ = ("code", "kind", "ok", "values")
    engine_status: Final = "ok"

    def __init__(self, values: Mapping[str, Any] = _NOTHING, code: str = "OK") -> None:
        # Not of the class: CPython reads an attribute of an instance several times faster.
        self.ok: Literal[True] = True
        self.kind: None = None
        self.code = code
        self.values = values

    def __repr__(self) -> str:
        return f"Ok({self.code}, {dict(self.values)})"


class Refused:
    """An operation that the store refused.

    Attributes
    ----------
    code : str
        The engine's own code.
    kind : ContentionKind or None
        Its kind; None when the caller made a mistake, which is no contention.
    values : Mapping[str, Any]
        Details that the engine gives with the code.
    retry_after_ms : int or None
        When the engine says how long to wait.
    rival : object or None
        The stamp of the operation that made this one fail, where the store knows one (see ``Store.stamp``).
    """

    __slots__ = ("code", "kind", "ok", "retry_after_ms", "rival", "values")

    def __init__(
        self,
        op: str,
        code: str,
        rival: object = None,
        *,
        values: Mapping[str, Any] = _NOTHING,
        retry_after_ms: int | None = None,
        cause: Cause | None = None,
    ) -> None:
        self.ok: Literal[False] = False
        self.code = code
        try:
            self.kind = _KINDS[op, code]
        except KeyError:
            self.kind = kind_of(op, code, cause)
            if cause is None:
                _KINDS[op, code] = self.kind
        self.values = values
        self.retry_after_ms = retry_after_ms
        self.rival = rival

    @property
    def engine_status(self) -> str:
        """``ok`` for the refusals that the engine reports in the shape of a success, else ``error``."""
        return "ok" if self.code in _SHAPED_AS_SUCCESS else "error"

    def __repr__(self) -> str:
        return f"Refused({self.code}, {self.kind}, {dict(self.values)})"


Outcome = Ok | Refused
