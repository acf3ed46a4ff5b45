"""Executions: none is lost, and a refusal leaves them as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sim.checks.base import Check, Step, seconds
from sim.ledger import GRANTED, LOST, WAITING, stage_of
from sim.store.records import Execution
from sim.store.state import LAPSED, LEASED, REVOKED, Eligibility, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sim.checks.checks import Checks
    from sim.store import Store


def reason_of(store: Store, ex: Execution) -> str | None:
    """Say what an execution waits for, if the store can find it again; None when nothing leads to it."""
    state, lane, execution = ex.state, ex.lane, ex.id
    phase = state.phase
    if phase is Phase.TERMINAL:
        return "nothing: it has ended"
    if phase is Phase.SUSPENDED:
        suspension = store.suspensions.get(execution)
        known = suspension is not None and suspension.is_open
        timed = known and suspension.timeout_at is not None  # type: ignore[union-attr]
        return "a signal" if known and (not timed or execution in store.suspension_timeouts.scores) else None
    if state is REVOKED:
        return "a reclaim, if an operator tells of it"
    if state in (LEASED, LAPSED):
        return "its worker, or a reclaim" if execution in store.lease_expiry.scores else None
    match state.eligibility:
        case Eligibility.ELIGIBLE_NOW:
            listed = execution in lane.eligible.scores or execution in store.lapsing_grants.scores
            return "a worker" if listed else None
        case Eligibility.PENDING_CLAIM:
            return "the worker that it is granted to" if ex.grant is not None else None
        case Eligibility.NOT_UNTIL_TIME:
            return "its time" if execution in lane.delayed.scores else None
        case eligibility:
            index = lane.blocked.get(eligibility.value)
            return eligibility.value if index is not None and execution in index.scores else None


class AccountedFor(Check):
    """Every execution is finished, or something leads to it."""

    name = "accounted_for"

    def after(self, step: Step) -> None:
        """Look for the execution that was changed."""
        ex = step.store.executions.get(step.execution)
        if step.outcome.ok and ex is not None:
            self._look(step.store, ex, step.at_us)

    def at_end(self, end_us: int) -> None:
        """Look for every execution, and compare what the records say of it."""
        recorded = self.checks.recorded()
        known = 0
        for store in self.checks.stores:
            for ex in self.checks.executions_of(store):
                self._look(store, ex, end_us)
                self._compare(ex, recorded.get(ex.id))
                known += 1
        if len(recorded) != known:
            self.fail(f"the records have {len(recorded)} executions, and the store has {known}")

    def _compare(self, ex: Execution, recorded: tuple[int, int] | None) -> None:
        """Compare an execution with what the records say that it has become."""
        if recorded is None:
            self.fail(f"e-{ex.id} is in the store, and not in the records", ex.id)
            return
        stage, actual = recorded[0], stage_of(ex.state.words)
        # The grant of one that waits, or whose lease was lost, may have lapsed since: nobody is told.
        if stage != actual and not (stage == GRANTED and actual in (WAITING, LOST)):
            public = ex.state.words["public_state"]
            self.fail(
                f"e-{ex.id} is {public} in the store (stage {actual}), in the records stage {stage}", ex.id
            )

    def _look(self, store: Store, ex: Execution, at_us: int) -> None:
        if reason_of(store, ex) is None:
            state = ex.state
            waits = f"{state.phase.value}, {state.ownership.value}, {state.eligibility.value}"
            self.fail(
                f"e-{ex.id} is lost at {seconds(at_us)}: {waits}, and in no index that leads to it", ex.id
            )


class RefusedUnchanged(Check):
    """A refused operation changes nothing of what it names."""

    name = "refused_unchanged"

    def __init__(self, checks: Checks) -> None:
        super().__init__(checks)
        self._before: list[Any] = []

    def before(self, store: Store, now_ms: int, given: Mapping[str, Any]) -> None:
        """Take a picture of what an operation names."""
        self._before = list(_pictures(store, now_ms, given))

    def after(self, step: Step) -> None:
        """Compare with the picture, after a refusal."""
        outcome = step.outcome
        if outcome.ok or outcome.code == "max_retries_exhausted":
            return
        marks = outcome.code == "lease_expired"
        after = _pictures(step.store, step.now_ms, step.given)
        for (name, fields, was), (_, _, now) in zip(self._before, after, strict=True):
            changed = [
                field
                for field, old, new in zip(fields, was, now, strict=True)
                if old != new and not (marks and field in ("state", "changed"))
            ]
            if changed:
                self.fail(
                    f"{step.op} by {self.checks.name_of(step.actor)} was refused ({outcome.code}) at "
                    f"{seconds(step.at_us)}, and yet it changed {', '.join(changed)} of the {name}",
                    step.execution,
                )


_OF_EXECUTION: Final = tuple(name for name in Execution.__slots__ if name != "id")
_PLACES: Final = ("eligible set", "delayed set", "lease expiry", "lapsing grants", "suspension timeouts")
_SHOT = tuple[str, tuple[str, ...], tuple[Any, ...]]


def _pictures(store: Store, now_ms: int, given: Mapping[str, Any]) -> Iterator[_SHOT]:
    """Picture what an operation names: a name, the fields, their values. What is not there is empty."""
    for role in ("execution", "downstream"):
        if role in given:
            yield "execution", (*_OF_EXECUTION, *_PLACES), _of_execution(store, given[role])
    if "waitpoint" in given:
        waitpoint = store.waitpoints.get(given["waitpoint"])
        signals = store.signals.get(given["waitpoint"])
        condition = store.conditions.get(given["waitpoint"])
        yield (
            "waitpoint",
            ("state", "changed", "signals", "condition"),
            (
                waitpoint and waitpoint.state,
                waitpoint and waitpoint.changed,
                signals and len(signals.names),
                condition and (condition.satisfied, condition.closed),
            ),
        )
    if "flow" in given:
        flow = store.flows.get(given["flow"])
        yield (
            "flow",
            ("state", "revision", "members", "edges", "changed"),
            (
                (flow.state, flow.graph_revision, len(flow.members), len(flow.edges), flow.changed)
                if flow is not None
                else (None,) * 5
            ),
        )
    if "quota" in given:
        quota = store.quotas.get(given["quota"])
        window_ms = round(given.get("window_seconds", 0) * 1000)
        yield (
            "quota",
            ("guards", "window", "concurrency"),
            (
                (
                    dict(quota.guards),
                    # An admission that is refused forgets what has left the window.
                    [each for each in quota.window.items() if each[1] > now_ms - window_ms],
                    quota.concurrency,
                )
                if quota is not None
                else ({}, [], 0)
            ),
        )


def _of_execution(store: Store, execution: Any) -> tuple[Any, ...]:
    ex = store.executions.get(execution) or store.find(execution)
    if ex is None:
        return (None,) * (len(_OF_EXECUTION) + len(_PLACES))
    grant = ex.grant
    fields = [getattr(ex, name) for name in _OF_EXECUTION]
    fields[_OF_EXECUTION.index("grant")] = grant and (grant.worker, grant.expires_at, grant.admission)
    indexes = (
        ex.lane.eligible, ex.lane.delayed, store.lease_expiry, store.lapsing_grants,
        store.suspension_timeouts,
    )  # fmt: skip
    return (*fields, *(index.scores.get(execution) for index in indexes))
