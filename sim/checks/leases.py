"""Leases: one at a time, under growing epochs, and no write but the holder's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sim.checks.base import Check, Step, seconds
from sim.record import NONE
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from sim.checks.checks import Checks

_CLAIMS: Final = frozenset(
    {"claim_execution", "claim_resumed_execution", "claim_next", "reclaim_execution", "issue_grant_and_claim"}
)
_FENCED: Final = frozenset({
    "complete_execution", "fail_execution", "delay_execution", "move_to_waiting_children",
    "suspend_execution", "renew_lease", "update_progress",
})  # fmt: skip
_GIVEN_BACK: Final = _FENCED - {"renew_lease", "update_progress"}
_ENDS_OF_OTHERS: Final = frozenset({"cancelled", "expired", "revoked"})
_MARKS: Final = frozenset({"marked_expired", "requeued"})


class LeaseSeen:
    """A lease as the checks know it: from the claim that was accepted, not from the store."""

    __slots__ = ("ended", "epoch", "expires_at_ms", "lease_id", "worker")

    def __init__(self, worker: int, lease_id: Any, epoch: int, expires_at_ms: int) -> None:
        self.worker = worker
        self.lease_id = lease_id
        self.epoch = epoch
        self.expires_at_ms = expires_at_ms
        self.ended = False

    def is_live(self, now_ms: int) -> bool:
        """Whether it holds: not ended by anybody, not lapsed."""
        return not self.ended and now_ms < self.expires_at_ms


class Leases(Check):
    """Keeps the account of leases that the three checks of leases share."""

    name = "leases"

    def __init__(self, checks: Checks) -> None:
        super().__init__(checks)
        self.latest: dict[int, LeaseSeen] = {}

    def claimed(self, step: Step) -> LeaseSeen | None:
        """Give the lease that a step began, if it began one."""
        if step.op not in _CLAIMS or not step.outcome.ok or step.execution == NONE:
            return None
        values = step.outcome.values
        expires_at_ms = values.get("expires_at", step.now_ms + step.given["lease_ttl_ms"])
        return LeaseSeen(step.given["worker"], step.given["lease_id"], values["lease_epoch"], expires_at_ms)

    def after(self, step: Step) -> None:
        """Take down what a step did to a lease. This check comes after those that read the account."""
        begun = self.claimed(step)
        if begun is not None:
            self.latest[step.execution] = begun
            return
        lease = self.latest.get(step.execution)
        if lease is None:
            return
        values = step.outcome.values
        if not step.outcome.ok:
            lease.ended = lease.ended or step.outcome.code in ("max_retries_exhausted", "lease_expired")
        elif step.op == "renew_lease":
            lease.expires_at_ms = values["expires_at"]
        elif values.get("outcome") in _MARKS:
            lease.ended = lease.ended or not lease.is_live(
                step.now_ms
            )  # a mark ends no lease before its time
        elif (
            (step.op in _GIVEN_BACK and step.outcome.code == "OK")
            or values.get("outcome") in _ENDS_OF_OTHERS
            or values.get("child_skipped")
        ):
            lease.ended = True


class OneLiveLease(Check):
    """At most one live lease per execution, by the store's clock."""

    name = "one_live_lease"

    def after(self, step: Step) -> None:
        """Compare a new lease with the one before."""
        begun = self.checks.leases.claimed(step)
        if begun is None:
            return
        before = self.checks.leases.latest.get(step.execution)
        if before is not None and before.is_live(step.now_ms):
            name = self.checks.name_of
            self.fail(
                f"two live leases of e-{step.execution} at {seconds(step.at_us)} "
                f"({name(before.worker)} epoch {before.epoch}, {name(begun.worker)} epoch {begun.epoch})",
                step.execution,
            )


class EpochsGrow(Check):
    """Each lease has a higher epoch than all before."""

    name = "epochs_grow"

    def after(self, step: Step) -> None:
        """Compare a new lease with the one before."""
        begun = self.checks.leases.claimed(step)
        before = self.checks.leases.latest.get(step.execution)
        if begun is not None and before is not None and begun.epoch <= before.epoch:
            self.fail(
                f"the lease of e-{step.execution} at {seconds(step.at_us)} has epoch {begun.epoch}, and "
                f"the one before had {before.epoch}",
                step.execution,
            )


class FencesHold(Check):
    """No write is accepted from who does not hold the lease any more."""

    name = "fences_hold"

    def after(self, step: Step) -> None:
        """Compare the fence of an accepted write with the lease."""
        if step.op not in _FENCED or not step.outcome.ok:
            return
        lease, given = self.checks.leases.latest.get(step.execution), step.given
        if lease is None:
            self._told(step, "nobody ever held a lease of it")
        elif given["lease_epoch"] < lease.epoch:
            self._told(step, f"the lease is {self.checks.name_of(lease.worker)}'s, epoch {lease.epoch}")
        elif self.checks.fences_by_epoch:
            return
        elif given["lease_id"] != lease.lease_id:
            self._told(step, f"the lease of that epoch is {lease.lease_id}")
        elif lease.ended:
            self._told(step, "that lease was ended before")
        elif step.now_ms >= lease.expires_at_ms:
            self._told(step, f"that lease lapsed at {seconds(lease.expires_at_ms * US_PER_MS)}")

    def _told(self, step: Step, why: str) -> None:
        self.fail(
            f"{step.op} of e-{step.execution} by {self.checks.name_of(step.actor)} was accepted at "
            f"{seconds(step.at_us)} under epoch {step.given['lease_epoch']}: {why}",
            step.execution,
        )
