"""A policy as data: what a scenario writes, complete with every default."""

from __future__ import annotations

import importlib
import re
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, Field, model_validator

from sim.contention import KINDS
from sim.retry.breakers import AnyBreaker  # noqa: TC001 - pydantic reads the annotations
from sim.retry.budgets import AnyBudget  # noqa: TC001 - pydantic reads the annotations
from sim.retry.catalogue import AnyBackoff  # noqa: TC001 - pydantic reads the annotations
from sim.retry.composed import Composed, Guarded, Table, make_table
from sim.retry.errors import PolicyError
from sim.retry.limits import Limits  # noqa: TC001 - pydantic reads the annotations
from sim.retry.parts import Keyed, Setting
from sim.retry.routing import Routing, RoutingField
from sim.schema import field, refusal, suggest
from sim.units import US_PER_S, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.contention import ContentionKind
    from sim.retry.backoff import Backoff
    from sim.retry.guards import Guard, GuardSpec
    from sim.retry.parts import Fleet
    from sim.retry.policy import Policy, Uniform, Wait

_KIND_NAMES: Final = tuple(kind.value for kind in KINDS)
_DEFAULT_PER_KIND: Final[dict[str, dict[str, Any]]] = {
    # What the documents give a time for waits for that long: a poll, and the store's own hint.
    "documented": {"no_eligible_execution": {"poll": {}}, "rate_limit_exceeded": {"server_hint": {}}},
    "naive": {},
}


class PolicySpec(Keyed):
    """A retry policy as data: frozen, comparable, and written the same however it was given."""

    def canonical(self) -> dict[str, Any]:
        """Write it as JSON-ready data with every default; reading that gives an equal policy."""
        return self.model_dump(mode="json", by_alias=True)

    @abstractmethod
    def build(self, uniform: Uniform, poll_us: int, fleet: Fleet | None = None) -> Policy:
        """Build the policy for one client.

        Parameters
        ----------
        uniform
            The client's own stream of draws from U[0, 1).
        poll_us
            How long a worker's slot that found nothing waits.
        fleet
            The state that the clients of this arm share; needed by a part whose scope is the fleet.
        """


def _kind_name(value: object) -> str:
    if value in _KIND_NAMES:
        return str(value)
    raise ValueError(f"there is no kind {quoted(value)} ({suggest(value, _KIND_NAMES)})")


class ComposedSpec(PolicySpec):
    """A policy made of parts."""

    backoff: AnyBackoff = field({"full_jitter": {}}, "How long to wait before a retry.")
    limits: Limits = field({}, "What ends an intent that goes on failing.")
    routing: RoutingField = field("documented", "What to do about a kind, operation by operation.")
    per_kind: dict[Annotated[str, BeforeValidator(_kind_name)], AnyBackoff | None] = field(
        {}, "Backoffs of single kinds; null for the policy's own."
    )
    budget: AnyBudget | None = field(None, "Whether a retry may be made at all; null for always.")
    breaker: AnyBreaker | None = field(None, "Whether anything is sent at all; null for always.")

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: object) -> object:
        """Add the waits that come with the routing, where they were not given, in the order of the kinds."""
        if not isinstance(value, Mapping):
            return value
        routing, given = value.get("routing"), value.get("per_kind", {})
        if not isinstance(given, Mapping):
            return value
        if isinstance(routing, Mapping):
            routing = routing.get("default")
        elif isinstance(routing, Routing):
            routing = routing.default
        defaults = _DEFAULT_PER_KIND["naive" if routing == "naive" else "documented"]
        per_kind = {**defaults, **given}
        # Null only says something where there is a default to take away.
        known = [name for name in _KIND_NAMES if per_kind.get(name) is not None or name in defaults]
        unknown = [name for name in per_kind if name not in _KIND_NAMES]
        return {**value, "per_kind": {name: per_kind[name] for name in (*known, *unknown)}}

    @cached_property
    def _own_backoffs(self) -> dict[ContentionKind, Backoff]:
        return {kind: own for kind in KINDS if (own := self.per_kind.get(kind.value)) is not None}

    @cached_property
    def _table(self) -> Table:
        return make_table(self.routing, list(self._own_backoffs))

    def build(self, uniform: Uniform, poll_us: int, fleet: Fleet | None = None) -> Composed:
        """Build the policy for one client; see :meth:`PolicySpec.build`."""
        main = self.backoff.build(Setting(uniform, poll_us, "backoff"))
        return self.build_around(main, uniform, poll_us, fleet)

    def build_around(
        self, main: Wait, uniform: Uniform, poll_us: int, fleet: Fleet | None = None
    ) -> Composed:
        """Build the policy for one client with another main backoff than its own."""
        waits = [main]
        for kind, own in self._own_backoffs.items():
            waits.append(own.build(Setting(uniform, poll_us, f"per_kind/{kind.value}", main)))
        guards = [_state(guard, fleet) for guard in (self.breaker, self.budget) if guard is not None]
        if guards:
            return Guarded(self._table, waits, self.limits, poll_us, guards, uniform)
        return Composed(self._table, waits, self.limits, poll_us)


def _state(spec: GuardSpec, fleet: Fleet | None) -> Guard:
    """Give the state of a budget or breaker: new for this client, or the fleet's."""
    if spec.scope == "client":
        return spec.make()
    if fleet is None:
        raise ValueError(
            f"the state of {spec.key!r} belongs to the fleet: build the policy with fleet=Fleet()"
        )
    return fleet.share(spec, spec.make)


class OwnSpec(PolicySpec):
    """A policy that is a class of the user's own.

    The class is called once a client, ``Class(uniform=..., poll_us=..., **params)``, and its objects have
    ``decide`` and, if they like, the methods of :class:`~sim.retry.policy.Watcher`.
    """

    class_: str = Field(..., alias="class", description="The class, as module:Class.")
    params: dict[str, Any] = field({}, "Further keywords for the class, as JSON has them.")

    @model_validator(mode="after")
    def _try_out(self) -> OwnSpec:
        """Build one, so that a mistake is found before a run."""
        try:
            self.build(lambda: 0.5, US_PER_S)
        except PolicyError as error:
            raise refusal([(error.path or ("class",), error.message)]) from None
        except (TypeError, ValueError) as error:
            raise refusal([(("params",), f"{self.class_} cannot be made with them: {error}")]) from None
        return self

    def build(self, uniform: Uniform, poll_us: int, fleet: Fleet | None = None) -> Policy:  # noqa: ARG002
        """Build the policy for one client; see :meth:`PolicySpec.build`."""
        return load_class(self.class_)(uniform=uniform, poll_us=poll_us, **self.params)


_CLASS: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def load_class(path: str) -> Callable[..., Policy]:
    """Import a class given as ``module:Class``.

    Raises
    ------
    PolicyError
        When there is no such module or class, or it has no method ``decide``.
    """
    if not _CLASS.fullmatch(path):
        raise PolicyError(f"{quoted(path)} does not name a class (try 'my_module:MyPolicy')")
    module_name, _, class_name = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise PolicyError(
            f"there is no module {error.name!r} to import {path!r} from (its folder must be on PYTHONPATH)"
        ) from error
    for name in class_name.split("."):
        if not hasattr(found, name):
            raise PolicyError(
                f"module {module_name!r} has no class {class_name!r} ({suggest(name, _public(found))})"
            )
        found = getattr(found, name)
    if not isinstance(found, type) or not callable(getattr(found, "decide", None)):
        raise PolicyError(f"{path!r} is no policy: a policy is a class with a method decide(refusal)")
    policy: Callable[..., Policy] = found
    return policy


def _public(module: object) -> list[str]:
    return [
        name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")
    ]
