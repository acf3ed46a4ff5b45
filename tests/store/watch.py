"""Watches a store while operations run: what a refusal may change, and what must hold after every step.

Known exceptions, all the engine's own; the numbers are those of test_oddities.py:

- a skipped child stays in the eligible set, keeps its lease's expiry entry and its suspension (23);
- an execution created with a delay that lies in the past is eligible, but in no eligible set (12);
- an operator who claims an interrupted attempt through another lane leaves its eligible entry behind (15);
- entries of the delayed and blocked sets outlive what put them there (12, 13, 18): "it waits for a time,
  hence it is in the delayed set" holds, the converse does not;
- after the replay of a skipped child the count of unsatisfied dependencies leaves out what was never staged
  (24), so that it may fall below zero.
"""

from typing import Any

from sim.store import Ok, Refused, Store, StoreRules
from sim.store.state import LEASED, Eligibility, Phase, TerminalOutcome
from tests.store.snapshot import snapshot

CLAIMS = frozenset({
    "claim_execution", "claim_resumed_execution", "issue_grant_and_claim", "claim_next", "reclaim_execution",
})  # fmt: skip
MARKS = frozenset({
    "complete_execution", "fail_execution", "delay_execution", "move_to_waiting_children", "renew_lease",
    "suspend_execution",
})  # fmt: skip


class Watch:
    """A store, and what is known of its past."""

    def __init__(self, rules: StoreRules) -> None:
        self.store = Store(rules)
        self.steps = 0
        self.stale_eligible: set[Any] = set()
        self.stale_expiry: set[Any] = set()
        self.orphans: set[Any] = set()

    def do(self, op: str, now_ms: int, *args: Any, **more: Any) -> Ok | Refused:
        """Carry out an operation and check everything."""
        store = self.store
        before = snapshot(store)
        self.steps += 1
        store.stamp = self.steps
        outcome = getattr(store, op)(now_ms, *args, **more)
        execution = more["execution"] if "execution" in more else args[0] if args else None
        if isinstance(outcome, Refused):
            self._check_refusal(op, execution, outcome, before)
        else:
            self._check_stamps(before)
        self._check_growth(op, outcome, before)
        self._follow_exceptions(op, outcome)
        self.check()
        return outcome

    def _check_refusal(self, op: str, execution: Any, outcome: Refused, before: dict[str, Any]) -> None:
        """A refusal changes nothing but what the specification says it changes."""
        after = snapshot(self.store)
        assert outcome.rival is None or outcome.rival < self.steps
        if outcome.code == "lease_expired" and op in MARKS:
            # The check itself marks the lease, and so ends what the lease holds.
            marked = after["executions"][execution]
            assert "lease_expired_reclaimable" in marked["state"]
            before["executions"][execution] |= {name: marked[name] for name in ("state", "changed")}
            _take_over_slots(before, after)
        elif outcome.code == "max_retries_exhausted":
            assert self.store.dimensions(execution)["public_state"] == "failed"
            return
        elif op == "check_admission_and_record":
            # Looking at the window forgets what has left it.
            for quota, record in before["quotas"].items():
                kept = after["quotas"][quota]["window"]
                assert record["window"].items() >= kept.items()
                record["window"] = kept
        assert after == before, (op, execution, outcome)

    def _check_stamps(self, before: dict[str, Any]) -> None:
        """Whatever an operation changed carries its stamp."""
        after = snapshot(self.store)
        for table in ("executions", "flows", "waitpoints"):
            for name, record in after[table].items():
                assert record == before[table].get(name) or record["changed"] == self.steps, (table, name)

    def _check_growth(self, op: str, outcome: Ok | Refused, before: dict[str, Any]) -> None:
        """The epoch grows by one with every lease, and with nothing else; attempts are counted likewise."""
        leased = 0
        for ex in self.store.executions.values():
            past = before["executions"].get(ex.id)
            if past is None:
                assert ex.epoch == ex.total_attempts == 0
                continue
            assert ex.epoch - past["epoch"] in (0, 1)
            assert ex.total_attempts - past["total_attempts"] in (0, ex.epoch - past["epoch"])
            leased += ex.epoch - past["epoch"]
        assert leased == (op in CLAIMS and outcome.ok)

    def _follow_exceptions(self, op: str, outcome: Ok | Refused) -> None:
        """An entry is stale from the step that leaves it behind until it leaves its index."""
        for ex in self.store.executions.values():
            in_set = ex.id in ex.lane.eligible.scores
            skipped = op == "resolve_dependency" and ex.state.outcome is TerminalOutcome.SKIPPED
            if in_set and (skipped or (op == "issue_grant_and_claim" and outcome.ok)):
                self.stale_eligible.add(ex.id)
            if skipped:
                self.stale_expiry.add(ex.id)
            if op == "create_execution" and ex.changed == self.steps and ex.id in ex.lane.delayed.scores:
                self.orphans.add(ex.id)
            if in_set:
                self.orphans.discard(ex.id)
            else:
                self.stale_eligible.discard(ex.id)
            if ex.id not in self.store.lease_expiry.scores:
                self.stale_expiry.discard(ex.id)

    def check(self) -> None:
        """Check what must hold."""
        for ex in self.store.executions.values():
            self._check_state(ex)
            self._check_indexes(ex)
            counters = (ex.retry_count, ex.replay_count, ex.reclaim_count, ex.priority)
            assert min(counters) >= 0
        for dependencies in self.store.dependencies.values():
            assert dependencies.impossible >= 0
        for quota in self.store.quotas.values():
            assert quota.concurrency >= 0

    def _check_state(self, ex: Any) -> None:
        words = ex.state.words
        phase = ex.state.phase
        assert (words["ownership_state"] != "unowned") == (phase is Phase.ACTIVE)
        assert (words["terminal_outcome"] != "none") == (phase is Phase.TERMINAL)
        if phase is Phase.SUSPENDED:
            assert self.store.suspensions[ex.id].is_open
            assert ex.suspension is not None
        if phase is Phase.TERMINAL and self.store.granted_leave:
            assert ex.grant is None

    def _check_indexes(self, ex: Any) -> None:
        in_set = ex.id in ex.lane.eligible.scores
        kept_out = ex.id in self.store.lapsing_grants.scores
        eligible_now = ex.state.eligibility is Eligibility.ELIGIBLE_NOW
        if in_set:
            assert ex.lane.eligible.scores[ex.id] == ex.score
            assert eligible_now or ex.id in self.stale_eligible
            assert not kept_out
        elif eligible_now:
            assert kept_out or ex.id in self.orphans
        if kept_out:
            assert eligible_now
            assert ex.grant is not None
        if ex.state.eligibility is Eligibility.NOT_UNTIL_TIME:
            assert ex.id in ex.lane.delayed.scores
        if ex.state is LEASED:
            assert self.store.lease_expiry.scores[ex.id] == ex.lease_expires_at
        elif ex.state.phase is not Phase.ACTIVE and ex.id in self.store.lease_expiry.scores:
            assert ex.id in self.stale_expiry

    def check_slots(self) -> None:
        """Check that slots are held by leases and grants alone, where the rules hold them so."""
        holders = set()
        for ex in self.store.executions.values():
            if ex.state is LEASED and ex.admission is not None:
                holders.add((ex.admission, ex.id))
            if ex.grant is not None and ex.grant.admission is not None:
                holders.add((ex.grant.admission, ex.id))
        held = {(name, execution) for name, quota in self.store.quotas.items() for execution in quota.guards}
        assert held == holders or not self.store.holds_slots


def _take_over_slots(before: dict[str, Any], after: dict[str, Any]) -> None:
    for quota, record in before["quotas"].items():
        record["guards"] = after["quotas"][quota]["guards"]
