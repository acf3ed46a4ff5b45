"""Capabilities: what an execution requires of its worker, as tokens. The bounds are the engine's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.store.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Collection

    from sim.store.partition import Partition
    from sim.store.records import Execution, Id

TOKENS_MAX: Final = 256
BYTES_MAX: Final = 4096


def fault_of_required(required: object) -> str | None:
    """Say what is wrong with a list of required capabilities, in the engine's words; None when nothing is."""
    if not isinstance(required, list | tuple):
        return "not_array"
    for token in required:
        if not isinstance(token, str):
            return "non_string_token"
        if not token:
            return "empty_token"
        if "," in token:
            return "comma_in_token"
        if any(letter <= " " or letter == "\x7f" for letter in token):
            return "control_or_whitespace"
    return _fault_of_size(required)


def _fault_of_size(tokens: Collection[str]) -> str | None:
    if len(tokens) > TOKENS_MAX:
        return "too_many_tokens"
    if sum(len(token.encode()) + 1 for token in tokens) > BYTES_MAX + 1:
        return "too_many_bytes"
    return None


def check_capabilities(
    store: Partition, op: str, ex: Execution, worker_capabilities: Collection[str]
) -> Refused | None:
    """Refuse a worker that lacks what the execution requires."""
    fault = _fault_of_size(worker_capabilities)
    if fault is not None:
        return Refused(op, "invalid_capabilities", values={"detail": f"worker:{fault}"})
    missing = missing_capabilities(store, ex.id, worker_capabilities)
    if missing:
        return Refused(op, "capability_mismatch", ex.changed, values={"missing": missing})
    return None


def missing_capabilities(store: Partition, execution: Id, worker_capabilities: Collection[str]) -> list[str]:
    """List the required capabilities that a worker lacks, sorted."""
    policy = store.policies.get(execution)
    if policy is None:
        return []
    return [token for token in policy.required_capabilities if token not in worker_capabilities]
