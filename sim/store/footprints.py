"""What each operation locks, reads and writes where it is a transaction of the Postgres back end.

The table below is to be read beside the statements of that back end (FlowFabric at commit 0def5967,
``ff-backend-postgres``: ``suspend_ops``, ``flow``, ``operator``, ``claim_grant``, ``dispatch``,
``typed_ops``, ``budget``): isolation, pauses between attempts, and one step a statement, in their order. A
row is (table, key); the key is an argument of the operation. What is read by a predicate is the table as a
whole, within the partition. The rows of logs (lease, signal, completion and operator events) are new each
time and nobody reads them here: such an insert is a statement that takes time, and nothing else.

Where the model's store changes more than the back end does (a flow's dependencies block its child), the rows
that it changes are written; where it has an operation more (``requeue_lapsed_grant``, buffered signals,
``reconcile_quota``), or its statements are not known here, READ COMMITTED locks on the rows concerned, in the
order in which the known ones take them: deadlocks are those of the back end's own statements, not of ours.
Every statement is carried out, even where the operation will be refused at the end. Left out: rows that
foreign keys lock, the outbox, budgets' usage by dimension (a budget is one row).
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.store.state import LEASED, TerminalOutcome
from sim.store.store import OPERATIONS, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sim.store.outcome import Outcome
    from sim.store.partition import Partition
    from sim.store.records import Id

    Arguments = Mapping[str, Any]
    Condition = Callable[[Partition, Arguments], bool]
    Keys = Callable[[Partition, Arguments], list[Id]]

Row = tuple[str, Any]
"""(table, key); the key None stands for the whole table, within the partition."""


class Step(NamedTuple):
    """A statement, or what a statement does to one table.

    Attributes
    ----------
    access : str
        ``lock`` (a row, which is thereby read), ``write`` (a row: lock and change it), ``read``, or
        ``insert`` (rows that nobody can hold a lock on yet).
    table : str
        Empty for the rows of logs.
    keys : Callable or None
        Gives the keys of the rows; None for what a predicate covers.
    when : Callable or None
        Whether the statement is carried out at all, asked when its turn comes.
    """

    access: str
    table: str
    keys: Keys | None = None
    when: Condition | None = None

    def rows(self, store: Partition, arguments: Arguments) -> list[Row]:
        """List the rows that this call concerns."""
        if not self.table:
            return []
        if self.keys is None:
            return [(self.table, None)]
        return [(self.table, key) for key in self.keys(store, arguments)]


class Plan(NamedTuple):
    """An operation as a transaction.

    Attributes
    ----------
    steps : tuple of Step
    serializable : bool
        SERIALIZABLE; otherwise READ COMMITTED.
    pauses_us : tuple of int
        Pauses after failed attempts: one attempt more than there are pauses.
    """

    steps: tuple[Step, ...]
    serializable: bool = False
    pauses_us: tuple[int, ...] = ()

    def carried_out(self, store: Partition, arguments: Arguments) -> Iterator[Step]:
        """Give the statements one by one; conditions are asked when their turn comes."""
        for step in self.steps:
            if step.when is None or step.when(store, arguments):
                yield step

    @property
    def code_when_lost(self) -> str:
        """What the caller is told when the last attempt has failed."""
        return "retry_exhausted" if self.pauses_us else "lease_conflict"


# --- conditions: pure reads of the store ---------------------------------------------------------------


def _signal_resumes(store: Partition, arguments: Arguments) -> bool:
    condition = store.conditions.get(arguments["waitpoint"])
    return condition is not None and not condition.closed and condition.is_met_with(arguments["name"])


def _is_leased(store: Partition, arguments: Arguments) -> bool:
    ex = store.executions.get(arguments["execution"])
    return ex is not None and ex.state is LEASED


def _is_skipped_member(store: Partition, arguments: Arguments) -> bool:
    ex = store.executions.get(arguments["execution"]) or store.find(arguments["execution"])
    return ex is not None and ex.flow is not None and ex.state.outcome is TerminalOutcome.SKIPPED


def _settles_child(store: Partition, arguments: Arguments) -> bool:
    """Whether an upstream's end decides what becomes of its child."""
    dependencies = store.dependencies.get(arguments["downstream"])
    dependency = dependencies.edges.get(arguments["edge"]) if dependencies is not None else None
    if dependencies is None or dependency is None or dependency.state != "unsatisfied":
        return False
    return arguments["outcome"] != "success" or dependencies.unsatisfied == 1


def _has_key(_: Partition, arguments: Arguments) -> bool:
    return arguments.get("idempotency_key") is not None


def _uses_pending(_: Partition, arguments: Arguments) -> bool:
    return bool(arguments.get("use_pending"))


def _has_cap(_: Partition, arguments: Arguments) -> bool:
    return bool(arguments["concurrency_cap"] > 0)


def _members(store: Partition, arguments: Arguments) -> list[Id]:
    flow = store.flows.get(arguments["flow"])
    return sorted(flow.members) if flow is not None else []


def _suspend_key(_: Partition, arguments: Arguments) -> list[Id]:
    return [(arguments["execution"], arguments["idempotency_key"])]


# --- the table -----------------------------------------------------------------------------------------

# Which argument of an operation is the key of a row, by table. hmac: the keys that sign tokens, one row.
_KEY: Final[dict[str, str]] = {
    "exec": "execution", "attempt": "execution", "suspension": "execution", "grant": "execution",
    "quota_admitted": "execution", "backlog_member": "execution", "waitpoint": "waitpoint", "flow": "flow",
    "backlog": "flow", "edge": "edge", "edge_group": "downstream", "quota_window": "quota",
    "quota_policy": "quota", "budget": "budget",
}  # fmt: skip


def _argument(name: str) -> Keys:
    return lambda _, arguments: [arguments[name]]


def _the_only_row(_: Partition, __: Arguments) -> list[Id]:
    return [0]


_KEYS: Final[dict[str, Keys]] = {
    **{table: _argument(name) for table, name in _KEY.items()},
    "hmac": _the_only_row,
    "suspend_dedup": _suspend_key,
}


def _lock(table: str) -> Step:
    return Step("lock", table, _KEYS[table])


def _read(table: str) -> Step:
    return Step("read", table, _KEYS[table])


def _scan(table: str) -> Step:
    return Step("read", table)


def _write(table: str, key: str | None = None, keys: Keys | None = None) -> Step:
    return Step("write", table, keys or (_argument(key) if key is not None else _KEYS[table]))


def _insert(table: str = "") -> Step:
    return Step("insert", table, _KEYS[table] if table else None)


def _when(condition: Condition, *steps: Step) -> tuple[Step, ...]:
    return tuple(step._replace(when=condition) for step in steps)


_AT_ONCE: Final = (0, 0)
_PAUSED: Final = (5_000, 10_000)
_ONE_ATTEMPT: Final = ()

# READ COMMITTED, by the holder of a lease or the scan of leases: the fence locks the attempt.
_FENCED: Final = Plan((_lock("attempt"), _write("attempt"), _write("exec"), _insert()))
_OF_EXECUTION: Final = Plan((_lock("exec"), _write("exec")))
_READ: Final = Plan((_scan("exec"),))

_PLANS: Final[dict[str, Plan]] = {
    # SERIALIZABLE, three attempts without a pause.
    "suspend_execution": Plan((
        *_when(_has_key, _read("suspend_dedup")),
        _lock("attempt"), _read("hmac"), *_when(_uses_pending, _read("waitpoint")), _write("waitpoint"),
        _write("suspension"), _write("exec"), _write("attempt"), _read("exec"),
        *_when(_has_key, _write("suspend_dedup")),
    ), True, _AT_ONCE),
    "deliver_signal": Plan((
        _lock("waitpoint"), _read("hmac"), _lock("suspension"), _write("suspension"),
        *_when(_signal_resumes, _write("exec"), _write("waitpoint"), _insert()), _read("exec"),
    ), True, _AT_ONCE),
    # SERIALIZABLE, three attempts, 5 ms and 10 ms between them.
    "cancel_flow": Plan((
        _lock("flow"), _write("flow"), _write("backlog"), _scan("exec"),
        Step("insert", "backlog_member", _members), _write("exec", keys=_members), _insert(),
    ), True, _PAUSED),
    "ack_cancel_member": Plan((
        _write("backlog_member"), _scan("backlog_member"), _write("backlog"),
    ), True, _PAUSED),
    "cancel_execution": Plan((
        _lock("exec"), _write("exec"), *_when(_is_leased, _write("attempt"), _read("exec")),
    ), True, _PAUSED),
    "revoke_lease": Plan((
        _lock("exec"), _lock("attempt"), _write("attempt"), _write("exec"), _insert(),
    ), True, _PAUSED),
    "replay_execution": Plan((
        _lock("exec"), _lock("attempt"),
        *_when(_is_skipped_member, _scan("edge"), _write("edge_group", "execution")),
        _write("exec"), _write("attempt"), _insert(),
    ), True, _PAUSED),
    "change_priority": Plan((_lock("exec"), _write("exec"), _insert()), True, _PAUSED),
    "issue_reclaim_grant": Plan((_lock("exec"), _read("attempt"), _insert("grant")), True, _PAUSED),
    "reclaim_execution": Plan((
        _lock("grant"), _lock("exec"), _write("attempt"), _write("exec"), _write("grant"), _insert(),
    ), True, _PAUSED),
    "resolve_dependency": Plan((
        _lock("edge_group"), _write("edge_group"),
        *_when(_settles_child, _write("exec", "downstream"), _insert()),
    ), True, _PAUSED),
    # SERIALIZABLE, one attempt: a conflict leaks out.
    "check_admission_and_record": Plan((
        _lock("quota_admitted"), _scan("quota_window"), _scan("quota_window"), _lock("quota_policy"),
        _insert("quota_window"), _write("quota_admitted"), *_when(_has_cap, _write("quota_policy")),
    ), True, _ONE_ATTEMPT),
    "reset_budget": Plan((_lock("budget"), _write("budget")), True, _ONE_ATTEMPT),
    # READ COMMITTED.
    **dict.fromkeys((
        "complete_execution", "fail_execution", "expire_execution", "delay_execution",
        "move_to_waiting_children", "update_progress", "renew_lease", "mark_lease_expired_if_due",
    ), _FENCED),
    **dict.fromkeys((
        "promote_delayed", "block_execution_for_admission", "unblock_execution",
        "promote_blocked_to_eligible",
    ), _OF_EXECUTION),
    "claim_execution": Plan((
        _lock("grant"), _lock("exec"), _insert("attempt"), _write("exec"), _write("grant"), _insert(),
    )),
    "claim_resumed_execution": Plan((
        _lock("grant"), _lock("exec"), _write("attempt"), _write("exec"), _write("grant"), _insert(),
    )),
    # FOR UPDATE SKIP LOCKED: it waits for no row, and what it leased is known at its end.
    "claim_next": Plan((_scan("exec"), _insert(), _insert(), _insert())),
    "create_execution": Plan((_write("exec"), _insert())),
    "issue_claim_grant": Plan((_lock("exec"), _write("exec"), _insert("grant"))),
    "issue_grant_and_claim": Plan((_lock("exec"), _insert("attempt"), _write("exec"), _insert())),
    "requeue_lapsed_grant": Plan((_lock("grant"), _write("grant"), _write("exec"))),
    "create_pending_waitpoint": Plan((_read("attempt"), _write("waitpoint"))),
    "buffer_signal_for_pending_waitpoint": Plan((_lock("waitpoint"), _read("hmac"), _write("waitpoint"))),
    "expire_suspension": Plan((_lock("suspension"), _write("suspension"), _write("exec"), _insert())),
    "resume_execution": Plan((_lock("suspension"), _write("suspension"), _write("exec"))),
    "close_waitpoint": Plan((_lock("waitpoint"), _write("waitpoint"))),
    "create_flow": Plan((_write("flow"),)),
    "add_execution_to_flow": Plan((_lock("flow"), _write("exec"), _write("flow"))),
    "stage_dependency_edge": Plan((_lock("flow"), _write("flow"), _write("edge"))),
    "apply_dependency_to_child": Plan((
        _lock("edge"), _write("edge"), _write("edge_group"), _write("exec", "downstream"),
    )),
    "create_quota_policy": Plan((_write("quota_policy"),)),
    "release_admission": Plan((_write("quota_admitted"), _write("quota_policy"))),
    "reconcile_quota": Plan((_lock("quota_policy"), _write("quota_policy"))),
    "create_budget": Plan((_write("budget"),)),
    "report_usage_and_check": Plan((_lock("budget"), _write("budget"))),
    # Reads: one statement, no locks.
    **dict.fromkeys((
        "evaluate_flow_eligibility", "describe", "eligible_set", "delayed_set", "lease_expiry_set",
        *(name for name in OPERATIONS if name.startswith("read_")),
    ), _READ),
}  # fmt: skip

PLANS: Final[tuple[Plan, ...]] = tuple(_PLANS[name] for name in OPERATIONS)
"""Every operation as a transaction, in the order of ``OPERATIONS``."""

PARAMETERS: Final[tuple[tuple[str, ...], ...]] = tuple(
    tuple(signature(getattr(Store, name)).parameters)[2:] for name in OPERATIONS
)
"""The names of what an operation takes after the instant, in the order of ``OPERATIONS``."""


# --- what it came to -----------------------------------------------------------------------------------

# Refused, and yet the execution was failed, or its lapsed lease marked.
_REFUSED_BUT_WRITTEN: Final = frozenset({"max_retries_exhausted", "lease_expired"})
_FOUND_DONE: Final = frozenset({
    "DUPLICATE", "ALREADY_SATISFIED", "ALREADY_APPLIED", "ALREADY_ADMITTED", "HARD_BREACH",
})  # fmt: skip


def has_written(op: str, outcome: Outcome) -> bool:
    """Say whether an operation left anything changed: a refusal rolls back, and some find their work done.

    The engine's words for "nothing to do" are a few codes, and outcomes that begin with ``already``,
    ``not`` or ``no``. A suspension that is satisfied already has used up its waitpoint all the same.
    """
    if not outcome.ok:
        return outcome.code in _REFUSED_BUT_WRITTEN
    if outcome.code in _FOUND_DONE:
        return op == "suspend_execution"
    values = outcome.values
    word = values.get("outcome") or values.get("resolution") or ""
    return not word.startswith(("already_", "not_", "no_")) and not values.get("already_applied")
