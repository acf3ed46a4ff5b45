"""What must hold after the drain: nothing that came due before it is left lying about.

What comes due in the drain itself may still be under way at the end of the run, so the checks look at what
was due when arrivals ended: the drain is the time that repair gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.checks.base import CheckFailed, seconds
from sim.checks.executions import reason_of
from sim.ledger import ENDED
from sim.store.state import LAPSED, LEASED, REVOKED, Eligibility, Phase
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sim.checks.checks import Checks
    from sim.scenario import Scenario
    from sim.store import Store
    from sim.store.records import Execution


def is_promised(name: str, scenario: Scenario) -> bool:
    """Say whether the rules of a scenario promise what a check looks for after the drain."""
    rules, reconcilers = scenario.store.rules, scenario.reconcilers
    swept = reconcilers.count > 0 and reconcilers.lease_expiry is not None
    returned = rules.granted_execution == "stays" or scenario.workers.claim == "next"
    if rules.granted_execution == "leaves_eligible_set":
        returned = reconcilers.count > 0 and reconcilers.grants is not None
    match name:
        case "lapsed_leases_repaired":
            return swept
        case "lapsed_grants_repaired":
            return returned
        case "slots_returned":
            return rules.concurrency_release == "lease_end"
        case "drained" | "no_orphans":
            return swept and returned and rules.lapsed_lease != "marked"
    return True


def _fail(checks: Checks, check: str, found: list[tuple[int, str]]) -> None:
    """Fail with the first of what was found, and the number of the others."""
    if found:
        execution, what = found[0]
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise CheckFailed(check, f"after the drain {what}{more}", checks.records_of(execution))


def _unfinished(checks: Checks) -> Iterator[tuple[Store, Execution]]:
    for store in checks.stores:
        for ex in checks.executions_of(store):
            if ex.state.phase is not Phase.TERMINAL:
                yield store, ex


def drained(checks: Checks) -> None:
    """Every execution has ended."""
    found = [
        (ex.id, f"e-{ex.id} has not ended: it waits for {reason_of(store, ex)}")
        for store, ex in _unfinished(checks)
    ]
    _fail(checks, "drained", found)


def lapsed_leases_repaired(checks: Checks) -> None:
    """No lease that lapsed before the drain is left."""
    _fail(checks, "lapsed_leases_repaired", list(_lapsed_leases(checks)))


def lapsed_grants_repaired(checks: Checks) -> None:
    """Nobody is kept out of the eligible set by a grant that lapsed before the drain."""
    _fail(checks, "lapsed_grants_repaired", list(_lapsed_grants(checks)))


def no_orphans(checks: Checks) -> None:
    """Nothing that came due before the drain waits still."""
    found = [*_lapsed_leases(checks), *_lapsed_grants(checks)]
    for store, ex in _unfinished(checks):
        why = _overdue(checks, store, ex)
        if why is not None:
            found.append((ex.id, f"e-{ex.id} {why}"))
    _fail(checks, "no_orphans", found)


def slots_returned(checks: Checks) -> None:
    """No slot is held for an execution that has ended, or that there is not."""
    unfinished = {ex.id: None for _, ex in _unfinished(checks)}
    found = [
        (execution, f"a slot of quota {checks.quota_names[quota]} is held by e-{execution}, which has ended")
        for store in checks.stores
        for quota, record in store.quotas.items()
        for execution in record.guards
        if execution not in unfinished
    ]
    _fail(checks, "slots_returned", found)


def intents_settled(checks: Checks) -> None:
    """Nobody is still at what was begun before the drain, but for those who look for work."""
    found = [
        (
            intent.execution,
            f"{checks.name_of(intent.actor)} is still at the intent to {intent.goal} e-{intent.execution} "
            f"that it began at {seconds(intent.start_us)}",
        )
        for intent in checks.open_intents()
        if intent.goal not in ("acquire", "dispatch") and intent.start_us < _drain_us(checks)
    ]
    _fail(checks, "intents_settled", found)


def _drain_us(checks: Checks) -> int:
    return checks.scenario.horizon.arrivals_end_us


def _lapsed_leases(checks: Checks) -> Iterator[tuple[int, str]]:
    drain_ms = _drain_us(checks) // US_PER_MS
    left = (LEASED,) if checks.scenario.store.rules.lapsed_lease == "marked" else (LEASED, LAPSED)
    for _, ex in _unfinished(checks):
        if ex.state in left and ex.lease_expires_at is not None and ex.lease_expires_at <= drain_ms:
            lapsed = seconds(ex.lease_expires_at * US_PER_MS)
            done = "nobody marked it" if ex.state is LEASED else "nobody took it over"
            yield ex.id, f"the lease of e-{ex.id} lapsed at {lapsed} and {done}"


def _lapsed_grants(checks: Checks) -> Iterator[tuple[int, str]]:
    drain_ms = _drain_us(checks) // US_PER_MS
    for store in checks.stores:
        for execution, expires_at in store.lapsing_grants.items():
            if expires_at < drain_ms:
                lapsed = seconds(expires_at * US_PER_MS)
                yield (
                    execution,
                    f"the grant of e-{execution} lapsed at {lapsed} and keeps it from being granted",
                )


def _overdue(checks: Checks, store: Store, ex: Execution) -> str | None:
    """Say what an execution waits for although it came before the drain."""
    drain_ms = _drain_us(checks) // US_PER_MS
    deadline = store.deadlines.scores.get(ex.id)
    if deadline is not None and deadline <= drain_ms:
        return "is past its deadline, and was not expired"
    if ex.state.phase is Phase.SUSPENDED:
        timeout_at = store.suspensions[ex.id].timeout_at
        return "is suspended past its time-out" if timeout_at is not None and timeout_at <= drain_ms else None
    if ex.state is REVOKED and checks.scenario.store.rules.lapsed_lease == "reclaimed":
        return "lost its lease to an operator, and nobody took it over" if _is_old(ex, drain_ms) else None
    if ex.state.eligibility is Eligibility.NOT_UNTIL_TIME:
        due = ex.delay_until is None or ex.delay_until <= drain_ms
        return "is delayed past its time" if due else None
    if ex.state.eligibility is Eligibility.BY_DEPENDENCIES:
        return _dependencies_over(checks, store, ex)
    return None


def _is_old(ex: Execution, drain_ms: int) -> bool:
    return ex.lease_revoked_at is not None and ex.lease_revoked_at <= drain_ms


def _dependencies_over(checks: Checks, store: Store, ex: Execution) -> str | None:
    """Say when an execution is blocked by dependencies although those are over."""
    dependencies = store.dependencies.get(ex.id)
    if dependencies is None or not dependencies.unresolved:
        return "is blocked by dependencies, and has none to wait for"
    recorded = checks.recorded()
    for edge in dependencies.unresolved:
        upstream = dependencies.edges[edge].upstream
        stage, at_us = recorded[upstream]
        if stage >= ENDED and at_us < _drain_us(checks):
            return f"waits for e-{upstream}, which ended at {seconds(at_us)}"
    return None


EVENTUALLY: Final[dict[str, Callable[[Checks], None]]] = {
    check.__name__: check
    for check in (
        drained, lapsed_leases_repaired, lapsed_grants_repaired, no_orphans, slots_returned, intents_settled,
    )
}  # fmt: skip
"""The checks after the drain, by name."""
