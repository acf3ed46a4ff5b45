"""The policies that have a name, and how any policy is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from sim.retry.breakers import BREAKERS
from sim.retry.budgets import BUDGETS
from sim.retry.catalogue import BACKOFFS
from sim.retry.errors import PolicyError, explained
from sim.retry.parts import Facts
from sim.retry.spec import ComposedSpec, OwnSpec, PolicySpec, load_class
from sim.schema import suggest
from sim.units import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

_PRESETS: Final[dict[str, dict[str, Any]]] = {
    "documented": {},
    "naive": {"routing": "naive", "limits": {"acquire": True}},
    # A backoff's name stands for the documented policy with that backoff ...
    **{name: {"backoff": {name: {}}} for name in BACKOFFS},
    # ... and a library's for its limits and budget too, as it ships.
    **{
        name: {"backoff": {name: {}}, "limits": {"attempts": None}}
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
    "google_api_core": {"backoff": {"google_api_core": {}}, "limits": {"attempts": None, "deadline": "120s"}},
    "urllib3": {
        "backoff": {"urllib3": {}}, "limits": {"attempts": 11},
        "per_kind": {"rate_limit_exceeded": {"server_hint": {"cap": "6h"}}},
    },
    "redis_py": {
        "backoff": {"redis_py": {"shape": "exponential_with_jitter", "base": "10ms", "cap": "1s"}},
        "limits": {"attempts": 11},
    },
    "grpc": {"backoff": {"grpc": {}}, "limits": {"attempts": 4}, "budget": {"grpc_throttling": {}}},
    "envoy": {"backoff": {"envoy": {}}, "limits": {"attempts": 2}, "budget": {"envoy": {}}},
    "finagle": {"backoff": {"finagle": {}}, "budget": {"finagle": {}}},
    "aws_standard": {
        "backoff": {"full_jitter": {"base": "1s", "cap": "20s"}},
        "limits": {"attempts": 3}, "budget": {"aws_standard": {}},
    },
    "aws_standard_2026": {
        "backoff": {"full_jitter": {"cap": "20s"}},
        "limits": {"attempts": 3}, "budget": {"aws_standard_2026": {}},
        "per_kind": {
            "rate_limit_exceeded": {"server_hint": {
                "mode": "at_least", "slack": "5s", "without": {"full_jitter": {"base": "1s", "cap": "20s"}}}},
            "concurrency_limit_exceeded": {"full_jitter": {"base": "1s", "cap": "20s"}},
        },
    },
    "aws_adaptive": {
        "backoff": {"full_jitter": {"base": "1s", "cap": "20s"}},
        "limits": {"attempts": 3}, "budget": {"aws_adaptive": {}},
    },
    "google_sre": {"limits": {"attempts": 3}, "budget": {"google_sre": {}}},
    "token_bucket": {"backoff": {"none": {}}, "limits": {"attempts": None}, "budget": {"token_bucket": {}}},
    "pybreaker": {"breaker": {"consecutive_failures": {}}},
    "resilience4j": {"breaker": {"failure_ratio": {}}},
}  # fmt: skip
_registered: dict[str, str] = {}


def parse_policy(value: object, arm: str | None = None) -> PolicySpec:
    """Read a policy.

    Parameters
    ----------
    value
        A registered name or alias (``full_jitter``), a class of one's own (``my_module:MyPolicy``, or
        ``{class: my_module:MyPolicy, params: {...}}``), or a mapping with any of ``backoff``, ``limits``,
        ``routing`` and ``per_kind``, where what is missing is as in ``documented``.
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
    if not value and arm is not None and arm in _names():
        value = arm
    if isinstance(value, str):
        return _named(value)
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        raise PolicyError(f"{quoted(value)} is not a policy (try a name such as 'documented', or a mapping)")
    model = OwnSpec if "class" in value else ComposedSpec
    try:
        return model.model_validate(value)
    except ValidationError as error:
        keys = [field.alias or name for name, field in model.model_fields.items()]
        raise explained(error, keys) from None


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
    """Give the catalogue: every registered policy, in order."""
    documented = ComposedSpec.model_validate({})
    lines = [
        Facts(
            "policy", "documented", (), "the enum's own wording of each kind, then full jitter",
            f"{documented.backoff.facts().defaults}, attempts: {documented.limits.attempts} but for acquire",
            "none", "ContentionKind of FlowFabric (ff-core::engine_error)"),
        Facts(
            "policy", "naive", (), "the same operation again whatever the kind, with the same full jitter",
            f"{documented.backoff.facts().defaults}, attempts: {documented.limits.attempts}",
            "none", "EngineError class of FlowFabric: every Contention is Retryable"),
    ]  # fmt: skip
    lines += [part.facts() for part in (*BACKOFFS.values(), *BUDGETS.values(), *BREAKERS.values())]
    lines += [
        Facts("policy", name, (), "a class of one's own", "", "", path) for name, path in _registered.items()
    ]
    return lines


def _names() -> dict[str, str]:
    """Give what each name and alias stands for."""
    names = {name: name for name in (*_PRESETS, *_registered)}
    names.update({alias: backoff.key for backoff in BACKOFFS.values() for alias in backoff.aliases})
    return names


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
