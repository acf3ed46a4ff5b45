"""The policies that have a name, and how any policy is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from sim.retry.breakers import BREAKERS
from sim.retry.budgets import BUDGETS
from sim.retry.catalogue import BACKOFFS
from sim.retry.errors import PolicyError, explained
from sim.retry.parts import Facts, as_text
from sim.retry.spec import ComposedSpec, OwnSpec, PolicySpec, load_class
from sim.schema import suggest
from sim.units import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.retry.parts import Component

_FOREVER: Final = {"attempts": None}
_AWS_BACKOFF: Final = {"full_jitter": {"base": "1s", "cap": "20s"}}

_PRESETS: Final[dict[str, dict[str, Any]]] = {
    "documented": {},
    "naive": {"routing": "naive", "limits": {"acquire": True}},
    # The name of a part alone stands for the documented policy with that part ...
    **{name: {"backoff": {name: {}}} for name in BACKOFFS},
    **{name: {"budget": {name: {}}} for name in BUDGETS},
    **{name: {"breaker": {name: {}}} for name in BREAKERS},
    # ... but a library's name stands for what it ships: its limits, its budget, its own parameters.
    **{
        name: {"backoff": {name: {}}, "limits": _FOREVER}
        for name in (
            "tenacity_random", "tenacity_exponential", "tenacity_random_exponential",
            "tenacity_exponential_jitter", "tenacity_incrementing", "tenacity_chain", "backoff_expo",
            "temporal", "client_go",
        )
    },
    **{name: {"backoff": {name: {}}, "limits": {"attempts": 4}} for name in ("polly", "polly_v2", "celery")},
    "retry_on_conflict": {"backoff": {"retry_on_conflict": {}}, "limits": {"attempts": 5}},
    "sidekiq": {"backoff": {"sidekiq": {}}, "limits": {"attempts": 26}},
    "stamina": {"backoff": {"stamina": {}}, "limits": {"attempts": 10, "elapsed": "45s"}},
    "google_api_core": {"backoff": {"google_api_core": {}}, "limits": {**_FOREVER, "deadline": "120s"}},
    "urllib3": {
        "backoff": {"urllib3": {}},
        "limits": {"attempts": 11},
        "per_kind": {"rate_limit_exceeded": {"server_hint": {"cap": "6h"}}},
    },
    "redis_py": {
        "backoff": {"redis_py": {"shape": "exponential_with_jitter", "base": "10ms", "cap": "1s"}},
        "limits": {"attempts": 11},
    },
    "grpc": {"backoff": {"grpc": {}}, "limits": {"attempts": 4}, "budget": {"grpc_throttling": {}}},
    "envoy": {"backoff": {"envoy": {}}, "limits": {"attempts": 2}, "budget": {"envoy": {}}},
    "finagle": {"backoff": {"finagle": {}}, "budget": {"finagle": {}}},
    **{
        name: {"backoff": _AWS_BACKOFF, "limits": {"attempts": 3}, "budget": {name: {}}}
        for name in ("aws_standard", "aws_adaptive")
    },
    "aws_standard_2026": {
        "backoff": {"full_jitter": {"base": "50ms", "cap": "20s"}},
        "limits": {"attempts": 3},
        "per_kind": {
            "rate_limit_exceeded": {
                "server_hint": {"mode": "at_least", "slack": "5s", "without": _AWS_BACKOFF}
            },
            "concurrency_limit_exceeded": _AWS_BACKOFF,
        },
        "budget": {"aws_standard_2026": {}},
    },
    "google_sre": {"limits": {"attempts": 3}, "budget": {"google_sre": {}}},
    "token_bucket": {"backoff": {"none": {}}, "limits": _FOREVER, "budget": {"token_bucket": {}}},
}  # fmt: skip

_OWN_WORDS: Final = {
    "documented": (
        "the enum's own wording of each kind: a poll when nothing is eligible, the store's hint when a rate"
        " is exceeded, otherwise after the backoff",
        "documentation of ContentionKind in FlowFabric (ff-core::engine_error)",
    ),
    "naive": (
        "the same operation again, whatever the kind",
        'the blanket "Contention is Retryable" of EngineError in FlowFabric',
    ),
}
"""Formula and source of the two policies that are made by their routing."""

_registered: dict[str, str] = {}


def parse_policy(value: object, arm: str | None = None) -> PolicySpec:
    """Read a policy.

    Parameters
    ----------
    value
        A registered name or alias (``full_jitter``), a class of one's own (``my_module:MyPolicy``, or
        ``{class: my_module:MyPolicy, params: {...}}``), or a mapping with any of ``backoff``, ``limits``,
        ``routing``, ``per_kind``, ``budget`` and ``breaker``, where what is missing is as in
        ``documented``.
    arm
        The name under which a scenario lists it: one that lists a registered name and says nothing about
        it means that policy.

    Raises
    ------
    PolicyError
        A ValueError that says where in the policy the mistake is and what would be right.
    """
    if isinstance(value, PolicySpec):
        return value
    if value is None or value == {}:
        value = arm if arm in _names() else {}
    if isinstance(value, str):
        return _named(value)
    if not isinstance(value, Mapping):
        raise PolicyError(f"{quoted(value)} is not a policy (try a name such as 'documented', or a mapping)")
    model = OwnSpec if "class" in value else ComposedSpec
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise explained(error) from None


def register(name: str) -> Callable[[type], type]:
    """Give a class of one's own a name, as a decorator.

    The name then stands for ``module:Class``, which is what is written into results, so that a process
    that has not run the decorator can read them.

    Raises
    ------
    ValueError
        When the name is taken, or the class is not reachable from its module.
    """

    def decorate(policy: type) -> type:
        path = f"{policy.__module__}:{policy.__qualname__}"
        if "<locals>" in path:
            raise ValueError(f"{path} cannot be imported; define the policy at the top of its module")
        if name in _names() and _registered.get(name) != path:
            raise ValueError(f"there is already a policy {name!r}")
        _registered[name] = path
        return policy

    return decorate


def policies() -> list[Facts]:
    """Give the catalogue: a line for every registered policy, in order."""
    lines = [_described(name) for name in _PRESETS]
    return lines + [
        Facts(name, (), "a class of one's own", "", "", path) for name, path in _registered.items()
    ]


def _described(name: str) -> Facts:
    """Describe a preset by its parts, with the parameters that it has."""
    spec = ComposedSpec.model_validate(_PRESETS[name])
    parts: dict[str, Component | None] = {
        "backoff": spec.backoff, "budget": spec.budget, "breaker": spec.breaker,
    }  # fmt: skip
    told = {key: part.facts() for key, part in parts.items() if part is not None}
    if name in _OWN_WORDS:
        aliases: tuple[str, ...] = ()
        formula, source = _OWN_WORDS[name]
        formula = f"{formula}; backoff: {told['backoff'].formula}"
    else:
        own = [facts for facts in told.values() if facts.name == name]
        aliases = own[0].aliases
        formula = "; ".join(f"{key}: {facts.formula}" for key, facts in told.items())
        if len(told) == 1:
            formula = own[0].formula
        source = "; ".join(dict.fromkeys(facts.source for facts in own))
    limits = ", ".join(
        f"{key}: {as_text(value)}"
        for key, value in spec.limits.model_dump(mode="json").items()
        if key == "attempts" or value
    )
    parameters = [f"{key} {facts.name} ({facts.defaults})" for key, facts in told.items()]
    defaults = "; ".join([*parameters, f"limits ({limits})"]).replace(" ()", "")
    scope = "; ".join(facts.scope for facts in told.values() if facts.scope != "none")
    return Facts(name, aliases, formula, defaults, scope or "none", source)


def _names() -> dict[str, str]:
    """Give the policy that each name and alias stands for."""
    parts = (*BACKOFFS.values(), *BUDGETS.values(), *BREAKERS.values())
    aliases = {alias: part.key for part in parts for alias in part.aliases}
    return {name: name for name in (*_PRESETS, *_registered)} | aliases


def _named(name: str) -> PolicySpec:
    if ":" in name:
        load_class(name)
        return OwnSpec.model_validate({"class": name})
    names = _names()
    if name not in names:
        raise PolicyError(f"there is no policy {quoted(name)} ({suggest(name, names)})")
    preset = names[name]
    if preset in _registered:
        return OwnSpec.model_validate({"class": _registered[preset]})
    return ComposedSpec.model_validate(_PRESETS[preset])
