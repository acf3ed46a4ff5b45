"""Which action answers which kind of contention, operation by operation.

``documented`` is the ``ContentionKind`` enum's own wording (the recovery of each kind in
:mod:`sim.contention`). Where that names an action which the refused operation does not know (a renewal
cannot take another execution), the table holds what stands nearest, and says so. ``naive`` sends the same
operation again whatever the kind: what a client does that reads "every contention is retryable" in the
engine's error classes.

:data:`DOCUMENTED` is also the list of what can be refused with what, over all dialects of the store. A
scheduler hands its worker what it met itself, and the worker shows that to its policy as a refusal of the
read ``read_eligible``: hence the two quota kinds there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from sim.contention import KINDS, ContentionKind, KindClass
from sim.retry.errors import PolicyError
from sim.retry.policy import Action
from sim.schema import refusal, suggest
from sim.units import quoted

K, A = ContentionKind, Action

_READS: Final = (
    "read_eligible", "read_lapsed_leases", "read_lapsed_grants", "read_leases",
    "read_open_flows", "read_due_delayed", "read_blocked",
    "read_due_suspensions", "read_due_waitpoints", "read_due_deadlines", "read_cancel_backlog",
    "read_unresolved", "read_downstream", "read_flow", "read_quota", "read_budget", "describe",
    "eligible_set", "delayed_set", "lease_expiry_set", "evaluate_flow_eligibility",
)  # fmt: skip
_FINISH: Final = ("complete_execution", "fail_execution")
_PARK: Final = (
    "delay_execution", "move_to_waiting_children", "suspend_execution", "create_pending_waitpoint",
)  # fmt: skip
_HOLD: Final = ("renew_lease", "update_progress")
_SWEEP: Final = (
    "mark_lease_expired_if_due", "requeue_lapsed_grant", "promote_delayed", "unblock_execution",
    "block_execution_for_admission", "check_admission_and_record", "release_admission",
    "resolve_dependency", "promote_blocked_to_eligible", "ack_cancel_member", "expire_execution",
    "expire_suspension", "close_waitpoint", "resume_execution", "revoke_lease", "replay_execution",
    "reconcile_quota", "report_usage_and_check", "reset_budget",
)  # fmt: skip
_CREATE: Final = (
    "create_execution", "create_flow", "create_quota_policy", "create_budget", "add_execution_to_flow",
    "apply_dependency_to_child", "deliver_signal", "buffer_signal_for_pending_waitpoint",
)  # fmt: skip

_TAKE: Final = (A.NEW_GRANT, A.OTHER_EXECUTION)
_LEGAL: Final[dict[str, tuple[Action, ...]]] = {
    **dict.fromkeys(
        ("claim_execution", "claim_resumed_execution", "reclaim_execution"), (*_TAKE, A.RECONCILE)
    ),
    "claim_next": (A.OTHER_EXECUTION, A.RECONCILE),
    "issue_grant_and_claim": (*_TAKE, A.SKIP, A.RECONCILE),
    **dict.fromkeys(("issue_claim_grant", "issue_reclaim_grant"), (*_TAKE, A.SKIP)),
    **dict.fromkeys((*_FINISH, *_PARK), (A.RECONCILE,)),
    "stage_dependency_edge": (A.REREAD,),
    **dict.fromkeys(("cancel_execution", "cancel_flow", "change_priority"), (A.REREAD, A.SKIP)),
    **dict.fromkeys((*_READS, *_SWEEP), (A.SKIP,)),
    **dict.fromkeys((*_HOLD, *_CREATE), ()),
}
"""What each operation knows besides ``retry`` and ``give_up``; ``redispatch`` depends on the kind too."""

OPERATIONS: Final = tuple(_LEGAL)
"""Every operation that a policy may be asked about."""

REDISPATCHES: Final[dict[tuple[ContentionKind, str], str]] = {
    (K.USE_CLAIM_RESUMED_EXECUTION, "claim_execution"): "claim_resumed_execution",
    (K.NOT_A_RESUMED_EXECUTION, "claim_resumed_execution"): "claim_execution",
    (K.WAITPOINT_PENDING_USE_BUFFER_SCRIPT, "deliver_signal"): "buffer_signal_for_pending_waitpoint",
}
"""Which other operation a kind names, for the operation that was refused with it."""

DOCUMENTED: Final[dict[ContentionKind, dict[str, Action]]] = {
    K.USE_CLAIM_RESUMED_EXECUTION: {"claim_execution": A.REDISPATCH},
    K.NOT_A_RESUMED_EXECUTION: {"claim_resumed_execution": A.REDISPATCH},
    K.EXECUTION_NOT_LEASEABLE: {
        "claim_execution": A.NEW_GRANT,
        "claim_resumed_execution": A.NEW_GRANT,
        "issue_grant_and_claim": A.NEW_GRANT,
    },
    K.LEASE_CONFLICT: {
        "claim_execution": A.OTHER_EXECUTION,
        "claim_resumed_execution": A.OTHER_EXECUTION,
        "issue_grant_and_claim": A.OTHER_EXECUTION,
        # Holders learn it where the dialect answers a wrong fence so: their lease is another's.
        **dict.fromkeys((*_FINISH, *_PARK), A.RECONCILE),
        **dict.fromkeys(_HOLD, A.GIVE_UP),
        "cancel_execution": A.SKIP,
        # Transactions that are not repeated report a serialization failure so: nothing was written.
        "check_admission_and_record": A.RETRY,
        "reset_budget": A.SKIP,
    },
    K.INVALID_CLAIM_GRANT: {
        "claim_execution": A.NEW_GRANT,
        "claim_resumed_execution": A.NEW_GRANT,
        "reclaim_execution": A.NEW_GRANT,
    },
    K.CLAIM_GRANT_EXPIRED: {
        "claim_execution": A.NEW_GRANT,
        "claim_resumed_execution": A.NEW_GRANT,
        "reclaim_execution": A.NEW_GRANT,
    },
    K.NO_ELIGIBLE_EXECUTION: {"read_eligible": A.RETRY, "claim_next": A.RETRY},
    K.WAITPOINT_NOT_FOUND: {
        "deliver_signal": A.RETRY,
        "buffer_signal_for_pending_waitpoint": A.RETRY,
        "suspend_execution": A.RETRY,
        "resolve_dependency": A.RETRY,
        # "May not exist yet" cannot be: the scan has just read it, so it is gone.
        "close_waitpoint": A.SKIP,
    },
    K.WAITPOINT_PENDING_USE_BUFFER_SCRIPT: {"deliver_signal": A.REDISPATCH},
    K.STALE_GRAPH_REVISION: {"stage_dependency_edge": A.REREAD},
    K.EXECUTION_NOT_ACTIVE: {
        **dict.fromkeys((*_FINISH, *_PARK), A.RECONCILE),
        "claim_execution": A.RECONCILE,
        "claim_resumed_execution": A.RECONCILE,
        # Nothing to reconcile: a renewal, a signal or an edge for what is over has no other effect.
        **dict.fromkeys(_HOLD, A.GIVE_UP),
        "deliver_signal": A.GIVE_UP,
        "stage_dependency_edge": A.GIVE_UP,
        "add_execution_to_flow": A.GIVE_UP,
        **dict.fromkeys(
            ("cancel_execution", "cancel_flow", "revoke_lease", "block_execution_for_admission",
             "resume_execution"),
            A.SKIP),
    },
    K.EXECUTION_NOT_ELIGIBLE: dict.fromkeys(
        ("issue_claim_grant", "issue_grant_and_claim", "issue_reclaim_grant", "change_priority",
         "block_execution_for_admission", "unblock_execution", "requeue_lapsed_grant", "promote_delayed",
         "promote_blocked_to_eligible", "expire_suspension", "replay_execution"),
        A.SKIP),
    K.EXECUTION_NOT_IN_ELIGIBLE_SET: {"issue_claim_grant": A.SKIP, "issue_grant_and_claim": A.SKIP},
    K.EXECUTION_NOT_RECLAIMABLE: {
        "issue_reclaim_grant": A.SKIP,
        # A claim cannot skip; to skip this execution is to take another.
        "reclaim_execution": A.OTHER_EXECUTION,
    },
    K.NO_ACTIVE_LEASE: {
        "revoke_lease": A.SKIP,
        "cancel_execution": A.SKIP,
        # "No-op": the holder's own lease is over, and nobody finished in its place.
        **dict.fromkeys((*_FINISH, *_PARK, *_HOLD), A.GIVE_UP),
    },
    K.RATE_LIMIT_EXCEEDED: {
        "check_admission_and_record": A.RETRY,
        "read_eligible": A.RETRY,
        "deliver_signal": A.RETRY,
        "buffer_signal_for_pending_waitpoint": A.RETRY,
    },
    K.CONCURRENCY_LIMIT_EXCEEDED: {"check_admission_and_record": A.RETRY, "read_eligible": A.RETRY},
    K.RETRY_EXHAUSTED: {
        "suspend_execution": A.RECONCILE,
        # What the reconciler handed out it will hand out again; the worker takes something else.
        "reclaim_execution": A.OTHER_EXECUTION,
        # Nothing was written and no reconciler redelivers: the sender has to send again.
        "deliver_signal": A.RETRY,
        # Left to a later pass of whoever sweeps.
        **dict.fromkeys(
            ("cancel_flow", "cancel_execution", "ack_cancel_member", "revoke_lease", "change_priority",
             "replay_execution", "resolve_dependency", "issue_reclaim_grant"),
            A.SKIP),
    },
}  # fmt: skip
"""The action for every operation that can be refused with a kind."""

_WORD: Final[dict[ContentionKind, Action]] = {
    K.USE_CLAIM_RESUMED_EXECUTION: A.REDISPATCH,
    K.NOT_A_RESUMED_EXECUTION: A.REDISPATCH,
    K.EXECUTION_NOT_LEASEABLE: A.NEW_GRANT,
    K.LEASE_CONFLICT: A.OTHER_EXECUTION,
    K.INVALID_CLAIM_GRANT: A.NEW_GRANT,
    K.CLAIM_GRANT_EXPIRED: A.NEW_GRANT,
    K.NO_ELIGIBLE_EXECUTION: A.RETRY,
    K.WAITPOINT_NOT_FOUND: A.RETRY,
    K.WAITPOINT_PENDING_USE_BUFFER_SCRIPT: A.REDISPATCH,
    K.STALE_GRAPH_REVISION: A.REREAD,
    K.EXECUTION_NOT_ACTIVE: A.RECONCILE,
    K.EXECUTION_NOT_ELIGIBLE: A.SKIP,
    K.EXECUTION_NOT_IN_ELIGIBLE_SET: A.SKIP,
    K.EXECUTION_NOT_RECLAIMABLE: A.SKIP,
    K.NO_ACTIVE_LEASE: A.SKIP,
    K.RATE_LIMIT_EXCEEDED: A.RETRY,
    K.CONCURRENCY_LIMIT_EXCEEDED: A.RETRY,
    K.RETRY_EXHAUSTED: A.RECONCILE,
}
"""The action that the enum's wording of a kind asks for."""


def legal_actions(kind: ContentionKind, op: str) -> tuple[Action, ...]:
    """Give the actions that make sense when ``op`` is refused with ``kind``, in the order of the enum."""
    known = {A.RETRY, A.GIVE_UP, *_LEGAL[op]}
    if (kind, op) in REDISPATCHES:
        known.add(A.REDISPATCH)
    return tuple(action for action in Action if action in known)


def documented_action(kind: ContentionKind, op: str) -> Action:
    """Give the documented action for any kind and operation, also for pairs that the store never makes."""
    stated = DOCUMENTED[kind].get(op)
    if stated is not None:
        return stated
    legal = legal_actions(kind, op)
    if _WORD[kind] in legal:
        return _WORD[kind]
    if A.SKIP in legal:
        return A.SKIP
    return A.RETRY if kind.facts.kind_class is KindClass.RETRYABLE else A.GIVE_UP


Table = Literal["documented", "naive"]
_TABLES: Final[tuple[Table, ...]] = get_args(Table)


class Routing:
    """A complete choice of actions: one of the two tables, and what a user changed in it.

    Two routings that answer every refusal alike are equal, however they were written.

    Parameters
    ----------
    default : {"documented", "naive"}
        The table that holds where nothing was changed.
    changes : mapping of ContentionKind to mapping of str to Action
        Actions by kind and operation.
    """

    __slots__ = ("changes", "default")

    def __init__(
        self,
        default: Table = "documented",
        changes: Mapping[ContentionKind, Mapping[str, Action]] | None = None,
    ) -> None:
        self.default: Table = default
        self.changes: dict[ContentionKind, dict[str, Action]] = {}
        for kind in KINDS:
            wanted = (changes or {}).get(kind, {})
            changed = {
                op: wanted[op]
                for op in DOCUMENTED[kind]
                if op in wanted and wanted[op] is not self._default_action(kind, op)
            }
            if changed:
                self.changes[kind] = changed

    @classmethod
    def parse(cls, value: object) -> Routing:
        """Read what a user wrote: a table's name, or ``{kind: action}`` and ``{kind: {op: action}}``.

        An action for a kind holds for the operations that know it; at least one must. The key ``default``
        names the table that the changes are made to.

        Raises
        ------
        PolicyError
            For an unknown kind, operation or action, and for an action that makes no sense there.
        """
        if isinstance(value, Routing):
            return value
        if isinstance(value, str):
            return cls(_table_named(value))
        if not isinstance(value, Mapping):
            raise PolicyError(
                f"{quoted(value)} is not a routing (try 'documented', 'naive' or {{kind: action}})"
            )
        default: Table = "documented"
        changes: dict[ContentionKind, dict[str, Action]] = {}
        for key, wanted in value.items():
            if key == "default":
                default = _table_named(wanted, "default")
            else:
                kind = _kind_named(key)
                changes[kind] = _route(kind, wanted)
        return cls(default, changes)

    def action(self, kind: ContentionKind, op: str) -> Action:
        """Give the action for any kind and operation."""
        return self.changes.get(kind, {}).get(op) or self._default_action(kind, op)

    def canonical(self) -> str | dict[str, object]:
        """Write it as a scenario would: the name of a table, or with every change by operation."""
        if not self.changes:
            return self.default
        changes = {
            kind.value: {op: action.value for op, action in changed.items()}
            for kind, changed in self.changes.items()
        }
        return {"default": self.default, **changes}

    def _default_action(self, kind: ContentionKind, op: str) -> Action:
        return Action.RETRY if self.default == "naive" else documented_action(kind, op)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Routing) and (self.default, self.changes) == (other.default, other.changes)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Routing({self.canonical()})"


def _route(kind: ContentionKind, wanted: object) -> dict[str, Action]:
    """Read the action, or the actions by operation, that a user wants for a kind."""
    emitting = DOCUMENTED[kind]
    if isinstance(wanted, Mapping):
        route = {}
        for op, word in wanted.items():
            if op not in emitting:
                raise PolicyError(f"{op!r} is never refused with it ({suggest(op, emitting)})", kind.value)
            action = _action_named(word, kind.value, op)
            legal = legal_actions(kind, op)
            if action not in legal:
                raise PolicyError(
                    f"{word!r} makes no sense for {op} (legal here: {_listed(legal)})", kind.value, op
                )
            route[op] = action
        return route
    action = _action_named(wanted, kind.value)
    route = {op: action for op in emitting if action in legal_actions(kind, op)}
    if not route:
        somewhere = [a for a in Action if any(a in legal_actions(kind, op) for op in emitting)]
        raise PolicyError(
            f"{wanted!r} makes no sense for {_any_of(emitting)} (legal here: {_listed(somewhere)})",
            kind.value,
        )
    return route


def _table_named(word: object, *path: str) -> Table:
    for table in _TABLES:
        if word == table:
            return table
    raise PolicyError(f"there is no routing {quoted(word)} ({suggest(word, _TABLES)})", *path)


def _kind_named(word: object) -> ContentionKind:
    for kind in KINDS:
        if word == kind.value:
            return kind
    raise PolicyError(f"there is no kind {quoted(word)} ({suggest(word, [kind.value for kind in KINDS])})")


def _action_named(word: object, *path: str) -> Action:
    for action in Action:
        if word == action.value:
            return action
    hint = suggest(word, [action.value for action in Action])
    raise PolicyError(f"there is no action {quoted(word)} ({hint})", *path)


def _listed(actions: tuple[Action, ...] | list[Action]) -> str:
    return ", ".join(action.value for action in actions)


def _any_of(ops: Mapping[str, Action]) -> str:
    names = list(ops)
    return names[0] if len(names) == 1 else f"any of {', '.join(names)}"


def _json_schema() -> dict[str, Any]:
    actions = {"enum": [action.value for action in Action]}
    route = {"anyOf": [actions, {"type": "object", "additionalProperties": actions}]}
    tables = {"enum": list(_TABLES)}
    changes = {
        "type": "object",
        "properties": {"default": tables, **{kind.value: route for kind in KINDS}},
        "additionalProperties": False,
    }
    return {"anyOf": [tables, changes]}


def _parse_key(value: object) -> Routing:
    try:
        return Routing.parse(value)
    except PolicyError as error:
        raise refusal([(error.path, error.message)]) from None


RoutingField = Annotated[
    Routing,
    PlainValidator(_parse_key),
    PlainSerializer(Routing.canonical),
    WithJsonSchema(_json_schema()),
]
"""A routing as a key of a policy."""
