"""Every row of the table of rules, in every dialect that differs, and every line of one dialect alone."""

import dataclasses

import pytest

from sim.store import CONTRACT, POSTGRES, PRESETS, RULES, VALKEY, Store, StoreRules, preset
from tests.store.cases import (
    CHILDREN,
    DELAYED,
    ELIGIBLE,
    LAPSED,
    LEASED,
    TERMINAL,
    Fence,
    eligible,
    grant,
    lease,
    renew,
    state,
    suspend,
)

OVERRIDE = "operator_override"


@pytest.fixture
def contract():
    return Store(CONTRACT)


@pytest.fixture
def valkey():
    return Store(VALKEY)


@pytest.fixture
def postgres():
    return Store(POSTGRES)


# The rules themselves.


def test_the_presets_are_the_table():
    assert [tuple(dataclasses.asdict(rules).values()) for rules in PRESETS.values()] == [
        ("kept", "leaves_eligible_set", "lease_conflict", "use_claim_resumed_execution", "stale_lease",
         "no_active_lease", "waitpoint_not_found", "reclaimed", "refused", "skipped", "skipped",
         "admitting_call", "lease_end", "recorded", "atomic", "row"),
        ("dropped", "stays", "execution_not_leaseable", "use_claim_resumed_execution", "stale_lease",
         "already_satisfied", "invalid_token", "marked", "blocked", "blocked", "blocked",
         "any_refused_grant", "reconciler", "lost", "atomic", "row"),
        ("kept", "pending_claim", "execution_not_active", "execution_not_leaseable", "lease_conflict",
         "already_satisfied", "waitpoint_not_found", "requeued", "blocked", "skipped", "skipped",
         "any_refused_grant", "never", "recorded", "serializable", "row"),
    ]  # fmt: skip
    assert list(PRESETS) == ["contract", "valkey", "postgres"]
    assert Store().rules is CONTRACT


def test_every_rule_names_its_values_and_its_meaning():
    assert list(RULES) == [field.name for field in dataclasses.fields(StoreRules)]
    for name, rule in RULES.items():
        assert len(rule.values) > 1 and rule.meaning
        for value in rule.values:
            assert getattr(dataclasses.replace(CONTRACT, **{name: value}), name) == value


def test_a_value_that_a_rule_cannot_have_is_refused_with_those_that_it_can():
    with pytest.raises(ValueError, match=r"^rule expired_grant: 'lost' is not one of kept, dropped$"):
        StoreRules(expired_grant="lost")


def test_a_dialect_that_does_not_exist_is_refused_with_those_that_do():
    assert preset("valkey") is VALKEY
    with pytest.raises(
        ValueError, match=r"^there is no dialect 'redis': it is one of contract, valkey, postgres$"
    ):
        preset("redis")


def test_rules_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONTRACT.expired_grant = "dropped"


# expired_grant


def _late_claim(store):
    grant(store, 0, ttl_ms=10)
    return store.claim_execution(11, "e1", "w1", "ls1", 10, "at1").code


def test_expired_grant_contract(contract):
    assert _late_claim(contract) == "claim_grant_expired"


def test_expired_grant_valkey(valkey):
    assert _late_claim(valkey) == "invalid_claim_grant"


def test_expired_grant_postgres(postgres):
    assert _late_claim(postgres) == "claim_grant_expired"


# granted_execution


def _granted(store):
    grant(store, 0, ttl_ms=10)
    return state(store)[2], eligible(store), store.issue_claim_grant(0, "e1", "w2", "A", 10).code


def test_granted_execution_contract(contract):
    assert _granted(contract) == ("eligible_now", [], "execution_not_in_eligible_set")


def test_granted_execution_valkey(valkey):
    assert _granted(valkey) == ("eligible_now", ["e1"], "grant_already_exists")


def test_granted_execution_postgres(postgres):
    assert _granted(postgres) == ("pending_claim", [], "execution_not_eligible")


# claim_of_leased


def _claims_of_a_leased_one(store):
    lease(store, 0, ttl_ms=10)
    return [
        store.claim_execution(now_ms, "e1", "w2", "ls2", 10, "at2").code for now_ms in (0, 99)
    ] + [store.claim_resumed_execution(99, "e1", "w2", "ls2", 10).code]  # fmt: skip


def _claims_of_what_has_no_lease(store):
    lease(store, 0, "e1", ttl_ms=10)
    store.mark_lease_expired_if_due(10, "e1")
    lease(store, 0, "e2")
    store.revoke_lease(0, "e2")
    for execution in ("e3", "e4"):
        store.create_execution(0, execution, "A")
    store.cancel_execution(0, "e3")
    store.block_execution_for_admission(0, "e4", "waiting_for_quota")
    executions = ("e1", "e2", "e3", "e4")
    return {store.claim_execution(10, execution, "w2", "ls2", 10, "at2").code for execution in executions}


def test_claim_of_leased_contract(contract):
    assert _claims_of_a_leased_one(contract) == ["lease_conflict"] * 3


def test_claim_of_leased_contract_is_the_first_guard_and_for_leased_ones_only(contract):
    assert contract.claim_execution(0, "e9", "w2", "ls2", 10, "at2").code == "execution_not_found"
    assert _claims_of_what_has_no_lease(contract) == {"execution_not_leaseable"}


def test_claim_of_leased_valkey(valkey):
    assert _claims_of_a_leased_one(valkey) == ["execution_not_leaseable"] * 3


def test_claim_of_leased_postgres(postgres):
    assert _claims_of_a_leased_one(postgres) == ["execution_not_active"] * 3
    refused = postgres.claim_execution(0, "e1", "w2", "ls2", 10, "at2")
    assert refused.values["lifecycle_phase"] == "active"


# claim_of_interrupted


def _claim_of_interrupted(store):
    store.delay_execution(0, "e1", *lease(store, 0), 0)
    store.promote_delayed(0, "e1")
    grant(store, 0)
    return store.claim_execution(0, "e1", "w1", "ls2", 10, "at2").code


def test_claim_of_interrupted_contract(contract):
    assert _claim_of_interrupted(contract) == "use_claim_resumed_execution"


def test_claim_of_interrupted_valkey(valkey):
    assert _claim_of_interrupted(valkey) == "use_claim_resumed_execution"


def test_claim_of_interrupted_postgres(postgres):
    assert _claim_of_interrupted(postgres) == "execution_not_leaseable"
    assert postgres.claim_resumed_execution(0, "e1", "w1", "ls2", 10).code == "OK"


# fence_mismatch


def _mismatches(store):
    """Answers of every fenced operation to a wrong epoch, lease, attempt, and to a lapsed lease."""
    answers = []
    for number, (epoch, lease_id, attempt, now_ms) in enumerate(
        [(2, "ls1", "at1", 0), (1, "ls9", "at1", 0), (1, "ls1", "at9", 0), (1, "ls1", "at1", 10)]
    ):
        for operation in ("complete", "renew", "progress", "suspend"):
            execution = f"{operation}{number}"
            fence = lease(store, 0, execution, ttl_ms=10)._replace(
                lease_epoch=epoch, lease_id=lease_id, attempt_id=attempt
            )
            answers.append({
                "complete": lambda e=execution, f=fence, t=now_ms: store.complete_execution(t, e, *f),
                "renew": lambda e=execution, f=fence, t=now_ms: renew(store, t, f, e),
                "progress": lambda e=execution, f=fence, t=now_ms: store.update_progress(t, e, *f[:2], 1),
                "suspend": lambda e=execution, f=fence, t=now_ms: suspend(store, t, f, e, e),
            }[operation]().code)  # fmt: skip
    return answers


def test_fence_mismatch_contract(contract):
    assert _mismatches(contract) == [
        "stale_lease", "stale_lease", "stale_lease", "stale_lease",
        "stale_lease", "stale_lease", "stale_lease", "stale_lease",
        "stale_lease", "stale_lease", "OK", "stale_lease",
        "lease_expired", "lease_expired", "lease_expired", "lease_expired",
    ]  # fmt: skip


def test_fence_mismatch_valkey_is_as_contract(valkey, contract):
    assert _mismatches(valkey) == _mismatches(contract)


def test_fence_mismatch_postgres_compares_the_epoch_alone_and_no_expiry(postgres):
    assert _mismatches(postgres) == ["lease_conflict"] * 4 + ["OK"] * 12


def test_fence_mismatch_postgres_asks_for_a_whole_fence_all_the_same(postgres):
    lease(postgres, 0)
    assert postgres.complete_execution(0, "e1", "ls1", 1, None).code == "partial_fence_triple"
    assert postgres.complete_execution(0, "e1", None, None, None).code == "fence_required"
    assert postgres.complete_execution(0, "e1", None, None, None, source=OVERRIDE).code == "OK"


# revoke_without_lease


def _revoke_twice(store):
    lease(store, 0)
    store.revoke_lease(0, "e1")
    lease(store, 0, "e2", ttl_ms=10)
    store.mark_lease_expired_if_due(10, "e2")
    return [store.revoke_lease(10, execution) for execution in ("e1", "e2")]


def test_revoke_without_lease_contract(contract):
    assert [(o.code, o.kind.value, o.engine_status) for o in _revoke_twice(contract)] == [
        ("no_active_lease", "no_active_lease", "error")
    ] * 2


def test_revoke_without_lease_valkey(valkey):
    outcomes = _revoke_twice(valkey)
    assert [(o.code, o.kind.value, o.engine_status) for o in outcomes] == [
        ("ALREADY_SATISFIED", "no_active_lease", "ok")
    ] * 2
    assert [o.values["outcome"] for o in outcomes] == ["already_revoked", "already_expired"]


def test_revoke_without_lease_postgres(postgres):
    lease(postgres, 0)
    postgres.revoke_lease(0, "e1")
    again = postgres.revoke_lease(0, "e1")
    assert (again.code, again.kind.value) == ("ALREADY_SATISFIED", "no_active_lease")


# missing_waitpoint


def _signal_to_nowhere(store):
    store.create_execution(0, "e1", "A")
    outcome = store.deliver_signal(0, "e1", "wp9", "sg1", "go")
    return outcome.code, outcome.kind.value


def test_missing_waitpoint_contract(contract):
    assert _signal_to_nowhere(contract) == ("waitpoint_not_found", "waitpoint_not_found")


def test_missing_waitpoint_valkey(valkey):
    assert _signal_to_nowhere(valkey) == ("invalid_token", "waitpoint_not_found")


def test_missing_waitpoint_postgres(postgres):
    assert _signal_to_nowhere(postgres) == ("waitpoint_not_found", "waitpoint_not_found")


# lapsed_lease


def _lapse(store):
    lease(store, 0, ttl_ms=10)
    return store.mark_lease_expired_if_due(10, "e1").values["outcome"], state(store), eligible(store)


def test_lapsed_lease_contract_is_marked_and_can_be_reclaimed(contract):
    assert _lapse(contract) == ("marked_expired", LAPSED, [])
    assert contract.read_lapsed_leases(10, 5).values["due"] == ["e1"]
    contract.issue_reclaim_grant(10, "e1", "w2", 10)
    assert contract.reclaim_execution(10, "e1", "w2", "ls2", 10, "at2").code == "OK"
    assert contract.read_lapsed_leases(10, 5).values["due"] == []


def test_lapsed_lease_valkey_is_marked(valkey):
    assert _lapse(valkey) == ("marked_expired", LAPSED, [])


def test_lapsed_lease_postgres_is_requeued_and_claimable_by_claim_next(postgres):
    assert _lapse(postgres) == ("requeued", ELIGIBLE, ["e1"])
    assert postgres.read_lapsed_leases(10, 5).values["due"] == []
    taken = postgres.claim_next(10, "w2", "A", "ls2", 10, "at2").values
    assert (taken["execution"], taken["attempt_id"], taken["attempt_type"]) == ("e1", "at1", "resumed")


def test_lapsed_lease_postgres_lets_the_old_holder_finish_until_somebody_claims(postgres):
    first, second, third, fourth = (lease(postgres, 0, e, ttl_ms=10) for e in ("e1", "e2", "e3", "e4"))
    for execution in ("e1", "e2", "e3", "e4"):
        postgres.mark_lease_expired_if_due(10, execution)
    assert renew(postgres, 10, first).values == {"expires_at": 110}
    assert postgres.complete_execution(10, "e1", *first).code == "OK"
    assert suspend(postgres, 10, fourth, "e4").code == "OK"
    assert eligible(postgres) == ["e2", "e3"]
    postgres.claim_next(10, "w2", "A", "ls2", 10, "at2")
    assert postgres.complete_execution(10, "e2", *second).code == "lease_conflict"
    assert postgres.delay_execution(10, "e3", *third, 20).code == "OK"
    assert state(postgres, "e3") == DELAYED


# admission_denied, capability_denied, budget_denied, admission_release: who carries them out is an actor;
# what the store owes it is here.


def _denied(store):
    store.check_admission_and_record(0, "q1", "e0", 1, 1, 0)
    refused = store.check_admission_and_record(400, "q1", "e1", 1, 1, 0)
    return store.rules.admission_denied, refused.code, refused.kind.value, refused.retry_after_ms


def test_admission_denied_contract(contract):
    assert _denied(contract) == ("refused", "RATE_EXCEEDED", "rate_limit_exceeded", 600)


def test_admission_denied_valkey(valkey):
    assert _denied(valkey) == ("blocked", "RATE_EXCEEDED", "rate_limit_exceeded", 600)
    valkey.create_execution(400, "e1", "A")
    valkey.block_execution_for_admission(400, "e1", "waiting_for_quota")
    assert eligible(valkey) == []
    assert valkey.read_blocked(400, "A", "blocked_by_quota", 5).values["due"] == ["e1"]
    valkey.unblock_execution(401, "e1", "waiting_for_quota")
    assert eligible(valkey) == ["e1"]


def test_admission_denied_postgres(postgres):
    assert _denied(postgres)[0] == "blocked"


def _candidates(store):
    store.create_execution(0, "e1", "A", policy={"required_capabilities": ["gpu", "big"]})
    store.create_execution(1, "e2", "A")
    return store.read_eligible(1, "A", 1, ["gpu"]).values["candidates"]


def test_capability_denied_contract_skips(contract):
    assert _candidates(contract) == [("e2", False)]
    assert contract.read_eligible(1, "A", 2, ["gpu", "big"]).values["candidates"] == [
        ("e1", False), ("e2", False),
    ]  # fmt: skip
    assert contract.read_eligible(1, "A", 1).values["candidates"] == [("e1", False)]


def test_capability_denied_valkey_blocks(valkey):
    assert _candidates(valkey) == [("e1", False)]
    refused = valkey.issue_claim_grant(1, "e1", "w1", "A", 10, ["gpu"])
    assert (refused.code, refused.values) == ("capability_mismatch", {"missing": ["big"]})
    valkey.block_execution_for_admission(1, "e1", "waiting_for_capable_worker")
    assert valkey.read_blocked(1, "A", "blocked_by_route", 5).values["due"] == ["e1"]


def test_capability_denied_postgres_skips(postgres):
    assert _candidates(postgres) == [("e2", False)]


def test_budget_denied_in_every_dialect(contract, valkey, postgres):
    for store, how in ((contract, "skipped"), (valkey, "blocked"), (postgres, "skipped")):
        store.create_budget(0, "b1", [["tokens", 5, 0]])
        store.report_usage_and_check(0, "b1", [["tokens", 5]])
        assert (store.rules.budget_denied, store.read_budget(0, "b1").values["used_up"]) == (how, True)


def _release_of_another_call(store):
    """e1 is admitted; a second call for e1 finds it admitted, its grant is refused, and it releases."""
    store.check_admission_and_record(0, "q1", "e1", 60, 0, 1)
    again = store.check_admission_and_record(0, "q1", "e1", 60, 0, 1).code
    assert again == "ALREADY_ADMITTED"
    if store.rules.admission_release == "any_refused_grant":
        store.release_admission(0, "q1", "e1")
    return store.check_admission_and_record(0, "q1", "e2", 60, 0, 1).code


def test_admission_release_contract(contract):
    assert _release_of_another_call(contract) == "CONCURRENCY_EXCEEDED"


def test_admission_release_valkey_lets_more_through_than_the_limit(valkey):
    assert _release_of_another_call(valkey) == "ADMITTED"


def test_admission_release_postgres(postgres):
    assert _release_of_another_call(postgres) == "ADMITTED"


# concurrency_release


def _admitted_lease(store, now_ms=0, execution="e1", number=1, ttl_ms=100):
    store.create_execution(now_ms, execution, "A")
    assert store.check_admission_and_record(now_ms, "q1", execution, 1, 0, 1).code == "ADMITTED"
    store.issue_claim_grant(now_ms, execution, "w1", "A", 100, (), "q1")
    claimed = store.claim_execution(now_ms, execution, "w1", f"ls{number}", ttl_ms, f"at{number}")
    assert claimed.ok
    return Fence(f"ls{number}", claimed.values["lease_epoch"], f"at{number}")


def _held(store, now_ms=0):
    return store.read_quota(now_ms, "q1").values["concurrency"]


def test_concurrency_release_contract_at_the_end_of_the_lease(contract):
    fence = _admitted_lease(contract)
    assert contract.check_admission_and_record(5, "q1", "e2", 1, 0, 1).code == "CONCURRENCY_EXCEEDED"
    contract.complete_execution(5, "e1", *fence)
    assert contract.check_admission_and_record(5, "q1", "e2", 1, 0, 1).code == "ADMITTED"


def test_concurrency_release_valkey_by_the_reconciler_once_the_guard_is_gone(valkey):
    valkey.create_quota_policy(0, "q1", 1, 0, 1)
    valkey.complete_execution(0, "e1", *_admitted_lease(valkey))
    assert _held(valkey) == 1
    assert valkey.reconcile_quota(1000, "q1").values == {"concurrency": 1}
    assert valkey.reconcile_quota(1001, "q1").values == {"concurrency": 0}


def test_concurrency_release_valkey_repairs_only_quotas_with_a_cap(valkey):
    valkey.create_quota_policy(0, "q1", 1, 0, 0)
    valkey.check_admission_and_record(0, "q1", "e1", 1, 0, 1)
    assert valkey.reconcile_quota(10**6, "q1").values == {"concurrency": 1}


def test_concurrency_release_postgres_never(postgres):
    postgres.create_quota_policy(0, "q1", 1, 0, 1)
    postgres.complete_execution(0, "e1", *_admitted_lease(postgres))
    assert postgres.reconcile_quota(10**9, "q1").values == {"concurrency": 1}


# resume_delay


def _resume_with_delay(store):
    suspend(store, 0, lease(store, 0))
    store.deliver_signal(0, "e1", "wp1", "sg1", "go", resume_delay_ms=10)
    assert state(store) == DELAYED
    early, due = store.promote_delayed(9, "e1"), store.promote_delayed(10, "e1")
    return [o.values["outcome"] if o.ok else o.code for o in (early, due)]


def test_resume_delay_contract(contract):
    assert _resume_with_delay(contract) == ["not_yet_due", "promoted"]


def test_resume_delay_valkey(valkey):
    assert _resume_with_delay(valkey) == ["script_error", "script_error"]


def test_resume_delay_postgres(postgres):
    assert _resume_with_delay(postgres) == ["not_yet_due", "promoted"]


# transactions, conflict_granularity: the link's; the store answers the same under either.


@pytest.mark.parametrize("changed", [{"transactions": "serializable"}, {"conflict_granularity": "partition"}])
def test_transactions_are_not_the_stores_business(changed):
    plain, other = Store(CONTRACT), Store(dataclasses.replace(CONTRACT, **changed))
    for store in (plain, other):
        store.complete_execution(0, "e1", *lease(store, 0))
    assert plain.describe(0, "e1").values == other.describe(0, "e1").values


# contract, exactly


def test_contract_both_issue_operations_replace_a_lapsed_grant(contract):
    grant(contract, 0, ttl_ms=10)
    contract.requeue_lapsed_grant(11, "e1")
    assert contract.issue_claim_grant(11, "e1", "w2", "A", 10).code == "OK"
    assert contract.claim_execution(11, "e1", "w1", "ls1", 10, "at1").code == "invalid_claim_grant"
    lease(contract, 0, "e2")
    contract.revoke_lease(0, "e2")
    contract.issue_reclaim_grant(0, "e2", "w1", 10)
    assert contract.issue_reclaim_grant(10, "e2", "w2", 10).code == "grant_already_exists"
    assert contract.issue_reclaim_grant(11, "e2", "w2", 10).code == "OK"
    assert contract.reclaim_execution(11, "e2", "w1", "ls2", 10, "at2").code == "invalid_claim_grant"


def test_contract_membership_comes_before_an_existing_grant(contract):
    grant(contract, 0, ttl_ms=10)
    assert contract.issue_claim_grant(0, "e1", "w2", "A", 10).code == "execution_not_in_eligible_set"
    outcome = contract.issue_grant_and_claim(0, "e1", "w2", "A", "ls1", 10, "at1")
    assert outcome.code == "execution_not_in_eligible_set"


def test_contract_a_lapsed_grant_stays_and_says_so_to_its_holder(contract):
    grant(contract, 0, ttl_ms=10)
    for _ in range(2):
        assert contract.claim_execution(11, "e1", "w1", "ls1", 10, "at1").code == "claim_grant_expired"
    assert contract.claim_execution(11, "e1", "w2", "ls1", 10, "at1").code == "invalid_claim_grant"


def test_contract_a_lapsed_grant_of_a_resumed_claim_or_a_reclaim_says_so_too(contract):
    contract.delay_execution(0, "e1", *lease(contract, 0), 0)
    contract.promote_delayed(0, "e1")
    grant(contract, 0, ttl_ms=10)
    assert contract.claim_resumed_execution(11, "e1", "w1", "ls2", 10).code == "claim_grant_expired"
    lease(contract, 0, "e2")
    contract.revoke_lease(0, "e2")
    contract.issue_reclaim_grant(0, "e2", "w2", 10)
    assert contract.reclaim_execution(11, "e2", "w2", "ls2", 10, "at2").code == "claim_grant_expired"


def test_contract_a_live_grant_keeps_an_execution_out_of_the_eligible_set(contract):
    for execution in ("e1", "e2", "e3", "e4"):
        grant(contract, 0, execution, ttl_ms=10)
    contract.change_priority(0, "e1", 5)
    contract.block_execution_for_admission(0, "e2", "waiting_for_quota")
    contract.unblock_execution(0, "e2")
    for execution in ("e3", "e4"):
        contract.apply_dependency_to_child(0, "f1", "ed1", "e9", execution)
    contract.resolve_dependency(0, "f1", "ed1", "e9", "e3", "success")
    contract.block_execution_for_admission(0, "e4", "waiting_for_quota")
    contract.unblock_execution(0, "e4")
    assert {state(contract, execution) for execution in ("e1", "e2", "e3", "e4")} == {ELIGIBLE}
    assert eligible(contract) == []
    assert contract.read_lapsed_grants(11, 9).values["due"] == ["e1", "e2", "e3", "e4"]


def test_contract_a_lapsed_grant_does_not(contract):
    grant(contract, 0, ttl_ms=10)
    contract.change_priority(11, "e1", 5)
    assert eligible(contract) == ["e1"]
    assert contract.read_lapsed_grants(11, 9).values["due"] == []


def _end_by_cancel(store, now_ms):
    store.cancel_execution(now_ms, "e1", OVERRIDE)


def _end_by_expiry(store, now_ms):
    store.expire_execution(now_ms, "e1")


def _end_by_skip(store, now_ms):
    store.apply_dependency_to_child(now_ms, "f1", "ed1", "e9", "e1")
    store.resolve_dependency(now_ms, "f1", "ed1", "e9", "e1", "failed")


def _end_at_the_cap(store, now_ms):
    store.reclaim_execution(now_ms, "e1", "w9", "ls9", 10, "at9", max_reclaim_count=0)


@pytest.mark.parametrize("end", [_end_by_cancel, _end_by_expiry, _end_by_skip])
def test_contract_the_end_of_an_execution_drops_its_claim_grant(contract, end):
    grant(contract, 0)
    end(contract, 0)
    assert state(contract) == TERMINAL
    contract.replay_execution(0, "e1")
    assert contract.claim_execution(0, "e1", "w1", "ls1", 10, "at1").code == "invalid_claim_grant"


@pytest.mark.parametrize("end", [_end_by_cancel, _end_by_expiry, _end_by_skip, _end_at_the_cap])
def test_contract_the_end_of_an_execution_drops_its_reclaim_grant(contract, end):
    lease(contract, 0)
    contract.revoke_lease(0, "e1")
    contract.issue_reclaim_grant(0, "e1", "w2", 50)
    end(contract, 0)
    assert state(contract) == TERMINAL
    assert contract.executions["e1"].grant is None


def test_contract_requeue_puts_a_lapsed_execution_back_at_its_old_place(contract):
    grant(contract, 0, "e1", ttl_ms=10)
    contract.create_execution(5, "e2", "A")
    assert contract.read_lapsed_grants(10, 9).values["due"] == []
    assert contract.requeue_lapsed_grant(10, "e1").code == "execution_not_eligible"
    assert contract.read_lapsed_grants(11, 9).values["due"] == ["e1"]
    assert contract.requeue_lapsed_grant(11, "e1").values == {"outcome": "requeued"}
    assert eligible(contract) == ["e1", "e2"]
    assert contract.read_lapsed_grants(11, 9).values["due"] == []
    assert contract.claim_execution(11, "e1", "w1", "ls1", 10, "at1").code == "claim_grant_expired"


def test_contract_requeue_is_refused_for_whatever_is_not_so(contract):
    assert contract.requeue_lapsed_grant(0, "e9").code == "execution_not_found"
    contract.create_execution(0, "e1", "A")
    lease(contract, 0, "e2")
    grant(contract, 0, "e3", ttl_ms=10)
    contract.block_execution_for_admission(0, "e3", "waiting_for_quota")
    grant(contract, 0, "e4", ttl_ms=10)
    contract.requeue_lapsed_grant(11, "e4")
    contract.create_execution(0, "e5", "A", delay_until=0)
    for execution in ("e1", "e2", "e3", "e4", "e5"):
        refused = contract.requeue_lapsed_grant(11, execution)
        assert (refused.code, refused.kind.value) == ("execution_not_eligible", "execution_not_eligible")


def _released(store):
    """Note who gives back which slot, and when."""
    calls = []
    store.release_slot = lambda *call: calls.append(call)
    return calls


LEASE_ENDS = {
    "complete": lambda store, fence: store.complete_execution(5, "e1", *fence),
    "fail": lambda store, fence: store.fail_execution(5, "e1", *fence),
    "retry": lambda store, fence: store.fail_execution(5, "e1", *fence, {"max_retries": 1}),
    "delay": lambda store, fence: store.delay_execution(5, "e1", *fence, 9),
    "children": lambda store, fence: store.move_to_waiting_children(5, "e1", *fence),
    "suspend": lambda store, fence: suspend(store, 5, fence),
    "cancel": lambda store, fence: store.cancel_execution(5, "e1"),
    "expire": lambda store, fence: store.expire_execution(5, "e1"),
    "revoke": lambda store, fence: store.revoke_lease(5, "e1"),
    "marked lapse": lambda store, fence: store.mark_lease_expired_if_due(100, "e1"),
    "lapse met by its holder": lambda store, fence: store.complete_execution(100, "e1", *fence),
    "skip": lambda store, fence: _end_by_skip(store, 5),
}


@pytest.mark.parametrize("end", LEASE_ENDS.values(), ids=LEASE_ENDS)
def test_contract_a_slot_is_held_until_the_lease_ends(contract, end):
    fence = _admitted_lease(contract)
    renew(contract, 0, fence)
    assert _held(contract) == 1
    end(contract, fence)
    assert _held(contract) == 0
    assert contract.check_admission_and_record(5, "q1", "e1", 1, 0, 1).code == "ADMITTED"


@pytest.mark.parametrize("name", LEASE_ENDS)
def test_contract_a_slot_is_given_back_at_the_instant_of_the_end(contract, name):
    """The quota may be another partition's, which learns of it then."""
    fence = _admitted_lease(contract)
    calls = _released(contract)
    LEASE_ENDS[name](contract, fence)
    assert calls == [(100 if "lapse" in name else 5, "q1", "e1")]


GRANT_ENDS = {
    "requeue": lambda store: store.requeue_lapsed_grant(11, "e1"),
    "cancel": lambda store: store.cancel_execution(11, "e1"),
    "expire": lambda store: store.expire_execution(11, "e1"),
    "skip": lambda store: _end_by_skip(store, 11),
    "dependency": lambda store: store.apply_dependency_to_child(11, "f1", "ed1", "e9", "e1"),
    "admission": lambda store: store.block_execution_for_admission(11, "e1", "waiting_for_quota"),
    "another grant": lambda store: _grant_again(store, 11),
    "grant and claim": lambda store: _grant_and_claim(store, 11),
    "claim": lambda store: _claim_next(store, 11),
}


def _grant_again(store, now_ms):
    store.change_priority(now_ms, "e1", 1)
    assert store.issue_claim_grant(now_ms, "e1", "w2", "A", 10).ok


def _grant_and_claim(store, now_ms):
    store.change_priority(now_ms, "e1", 1)
    assert store.issue_grant_and_claim(now_ms, "e1", "w2", "A", "ls1", 10, "at1").ok


def _claim_next(store, now_ms):
    store.change_priority(now_ms, "e1", 1)
    assert store.claim_next(now_ms, "w2", "A", "ls1", 10, "at1").values["execution"] == "e1"


@pytest.mark.parametrize("end", GRANT_ENDS.values(), ids=GRANT_ENDS)
def test_contract_the_slot_of_a_grant_is_given_back_at_the_instant_of_its_end(contract, end):
    contract.create_execution(0, "e1", "A")
    contract.issue_claim_grant(0, "e1", "w1", "A", 10, (), "q1")
    calls = _released(contract)
    end(contract)
    assert calls == [(11, "q1", "e1")]


@pytest.mark.parametrize("end", ["cancel", "expire", "skip", "dependency"])
def test_contract_the_slot_of_a_submission_is_given_back_at_the_instant_of_its_end(contract, end):
    contract.create_execution(0, "e1", "A", admission="q1")
    calls = _released(contract)
    GRANT_ENDS[end](contract)
    assert calls == ([] if end == "dependency" else [(11, "q1", "e1")])


def test_contract_the_end_of_a_lease_leaves_the_rate_window_as_it_is(contract):
    contract.complete_execution(5, "e1", *_admitted_lease(contract))
    assert contract.check_admission_and_record(5, "q1", "e2", 1, 1, 1).retry_after_ms == 995


def test_contract_a_slot_is_given_back_once(contract):
    _admitted_lease(contract)
    contract.revoke_lease(5, "e1")
    contract.check_admission_and_record(5, "q1", "e1", 1, 0, 1)
    contract.cancel_execution(5, "e1", OVERRIDE)
    assert _held(contract) == 1


def test_contract_a_slot_goes_back_when_the_grant_is_requeued_dropped_or_replaced(contract):
    def granted(execution):
        contract.create_execution(0, execution, "A")
        contract.check_admission_and_record(0, "q1", execution, 1, 0, 9)
        contract.issue_claim_grant(0, execution, "w1", "A", 10, (), "q1")

    for execution in ("e1", "e2", "e3"):
        granted(execution)
    assert _held(contract) == 3
    contract.requeue_lapsed_grant(11, "e1")
    assert _held(contract) == 2
    contract.cancel_execution(11, "e2")
    assert _held(contract) == 1
    contract.change_priority(11, "e3", 1)
    contract.issue_claim_grant(11, "e3", "w2", "A", 10)
    assert _held(contract) == 0


@pytest.mark.parametrize("block", ["dependency", "admission"])
def test_contract_a_slot_goes_back_when_its_granted_execution_is_blocked(contract, block):
    """Its claim is refused from then on, and whom it waits for may wait for the slot."""
    contract.create_execution(0, "e1", "A")
    contract.check_admission_and_record(0, "q1", "e1", 1, 0, 1)
    contract.issue_claim_grant(0, "e1", "w1", "A", 10, (), "q1")
    if block == "dependency":
        contract.apply_dependency_to_child(1, "f1", "edge", "e0", "e1")
    else:
        contract.block_execution_for_admission(1, "e1", "waiting_for_quota")
    assert _held(contract) == 0
    assert contract.claim_execution(2, "e1", "w1", "l1", 100, "a1").code == "execution_not_leaseable"


def test_contract_a_slot_goes_back_when_the_admitted_call_is_refused_its_grant(contract):
    contract.check_admission_and_record(0, "q1", "e1", 1, 0, 1)
    assert contract.release_admission(0, "q1", "e9").values == {"outcome": "released"}
    assert _held(contract) == 1
    contract.release_admission(0, "q1", "e1")
    contract.release_admission(0, "q1", "e1")
    assert _held(contract) == 0


def test_contract_guard_and_slot_go_together(contract):
    fence = _admitted_lease(contract)
    assert contract.check_admission_and_record(10**6, "q1", "e1", 1, 0, 1).code == "ALREADY_ADMITTED"
    contract.complete_execution(50, "e1", *fence)
    assert contract.check_admission_and_record(50, "q1", "e1", 1, 0, 1).code == "ADMITTED"


def test_contract_a_resumed_lease_holds_the_slot_of_its_own_grant(contract):
    contract.delay_execution(0, "e1", *_admitted_lease(contract), 0)
    contract.promote_delayed(0, "e1")
    contract.check_admission_and_record(0, "q1", "e1", 1, 0, 1)
    contract.issue_claim_grant(0, "e1", "w1", "A", 10, (), "q1")
    contract.claim_resumed_execution(0, "e1", "w1", "ls2", 10)
    assert _held(contract) == 1
    contract.complete_execution(0, "e1", "ls2", 2, "at1")
    assert _held(contract) == 0


def test_contract_a_claim_after_a_retry_or_a_resumption_needs_a_new_admission(contract):
    contract.delay_execution(0, "e1", *_admitted_lease(contract), 0)
    contract.promote_delayed(0, "e1")
    assert _held(contract) == 0
    lease(contract, 0, lease_id="ls2")
    assert _held(contract) == 0
    contract.complete_execution(0, "e1", "ls2", 2, "at1")
    assert _held(contract) == 0


def test_contract_a_reclaim_takes_its_slot_again_without_an_admission(contract):
    _admitted_lease(contract, ttl_ms=10)
    contract.mark_lease_expired_if_due(10, "e1")
    assert contract.check_admission_and_record(10, "q1", "e2", 1, 0, 1).code == "ADMITTED"
    contract.issue_reclaim_grant(10, "e1", "w2", 10)
    contract.reclaim_execution(10, "e1", "w2", "ls2", 10, "at2")
    assert _held(contract) == 2
    contract.complete_execution(11, "e1", "ls2", 2, "at2")
    assert _held(contract) == 1


def test_contract_a_reclaimed_execution_counts_as_admitted(contract):
    _admitted_lease(contract, ttl_ms=10)
    contract.mark_lease_expired_if_due(10, "e1")
    contract.issue_reclaim_grant(10, "e1", "w2", 10)
    contract.reclaim_execution(10, "e1", "w2", "ls2", 10, "at2")
    assert contract.check_admission_and_record(10**6, "q1", "e1", 1, 0, 1).code == "ALREADY_ADMITTED"


def test_a_requeued_lapse_gives_its_slot_back_at_its_instant():
    store = Store(dataclasses.replace(CONTRACT, lapsed_lease="requeued"))
    _admitted_lease(store, ttl_ms=10)
    calls = _released(store)
    assert store.mark_lease_expired_if_due(10, "e1").values == {"outcome": "requeued"}
    assert calls == [(10, "q1", "e1")]


def test_contract_effects_on_slots_go_where_the_caller_says(contract):
    calls = []
    contract.release_slot = lambda *call: calls.append(("release", *call))
    contract.take_slot = lambda *call: calls.append(("take", *call))
    _admitted_lease(contract, ttl_ms=10)
    contract.mark_lease_expired_if_due(10, "e1")
    contract.issue_reclaim_grant(10, "e1", "w2", 10)
    contract.reclaim_execution(11, "e1", "w2", "ls2", 10, "at2")
    assert calls == [("release", 10, "q1", "e1"), ("take", 11, "q1", "e1")]
    assert _held(contract) == 1


# postgres, exactly


def test_postgres_executions_are_created_runnable_and_delayed_ones_promoted(postgres):
    postgres.create_execution(0, "e1", "A")
    postgres.create_execution(0, "e2", "A", delay_until=5)
    assert (state(postgres, "e1"), state(postgres, "e2")) == (ELIGIBLE, DELAYED)
    assert postgres.promote_delayed(5, "e2").values == {"outcome": "promoted"}
    assert eligible(postgres) == ["e1", "e2"]


def test_postgres_a_pending_claim_is_accepted_from_its_holder_alone(postgres):
    grant(postgres, 0, worker="w1", ttl_ms=10)
    assert postgres.claim_execution(0, "e1", "w2", "ls1", 10, "at1").code == "execution_not_leaseable"
    assert postgres.change_priority(0, "e1", 5).code == "execution_not_eligible"
    assert postgres.claim_next(0, "w2", "A", "ls1", 10, "at1").code == "no_eligible_execution"
    assert postgres.claim_execution(10, "e1", "w1", "ls1", 10, "at1").code == "OK"


def test_postgres_a_lapsed_pending_claim_is_never_repaired(postgres):
    grant(postgres, 0, ttl_ms=10)
    assert postgres.requeue_lapsed_grant(11, "e1").code == "execution_not_eligible"
    assert postgres.read_lapsed_grants(11, 9).values["due"] == []
    assert postgres.issue_claim_grant(11, "e1", "w2", "A", 10).code == "execution_not_eligible"
    assert postgres.expire_execution(11, "e1").values["from_phase"] == "runnable"


def test_postgres_a_repeated_complete_of_the_same_epoch_is_ok(postgres):
    fence = lease(postgres, 0)
    assert postgres.complete_execution(0, "e1", *fence).code == "OK"
    assert postgres.complete_execution(1, "e1", *fence).values == {"outcome": "completed"}
    assert postgres.complete_execution(1, "e1", "ls1", 2, "at1").code == "execution_not_active"
    assert postgres.fail_execution(1, "e1", *fence).code == "execution_not_active"


def test_postgres_a_holder_that_gave_its_lease_back_has_no_say(postgres):
    fence = lease(postgres, 0)
    postgres.delay_execution(0, "e1", *fence, 0)
    postgres.promote_delayed(0, "e1")
    assert postgres.complete_execution(0, "e1", *fence).code == "execution_not_active"


def test_postgres_a_revoked_or_cancelled_holder_is_out(postgres):
    fence = lease(postgres, 0)
    postgres.revoke_lease(0, "e1")
    assert postgres.complete_execution(0, "e1", *fence).code == "lease_revoked"
    postgres.cancel_execution(0, "e1", OVERRIDE)
    assert postgres.complete_execution(0, "e1", *fence).code == "execution_not_active"


def test_postgres_claim_next_takes_the_best_that_fits_and_is_not_locked(postgres):
    postgres.create_execution(0, "e1", "A", policy={"required_capabilities": ["gpu"]})
    postgres.create_execution(0, "e2", "A")
    postgres.create_execution(0, "e3", "A")
    postgres.create_execution(0, "e4", "B", priority=9)
    first = postgres.claim_next(0, "w1", "A", "ls1", 10, "at1", skip={"e2"}).values
    assert first == {
        "execution": "e3", "lease_id": "ls1", "lease_epoch": 1, "expires_at": 10, "attempt_id": "at1",
        "attempt_index": 0, "attempt_type": "initial",
    }  # fmt: skip
    assert postgres.claim_next(0, "w1", "A", "ls2", 10, "at2", ["gpu"]).values["execution"] == "e1"
    assert postgres.claim_next(0, "w1", "A", "ls3", 10, "at3").values["execution"] == "e2"
    refused = postgres.claim_next(0, "w1", "A", "ls4", 10, "at4")
    assert (refused.code, refused.kind.value) == ("no_eligible_execution", "no_eligible_execution")
    assert postgres.claim_next(0, "w1", "C", "ls4", 10, "at4").code == "no_eligible_execution"
    elsewhere = postgres.claim_next(0, "w1", "A", "ls4", 10, "at4", last=False)
    assert (elsewhere.code, elsewhere.values) == ("OK", {"execution": None})
    assert state(postgres, "e2") == LEASED
    assert postgres.describe(0, "e2").values["current_worker_id"] == "w1"
    assert eligible(postgres) == []


def test_claim_next_passes_over_what_is_granted_or_only_left_behind(valkey):
    grant(valkey, 0, "e1")
    valkey.create_execution(0, "e2", "A")
    lease(valkey, 0, "e3")
    valkey.apply_dependency_to_child(0, "f1", "ed1", "e0", "e3")
    valkey.delay_execution(0, "e3", "ls1", 1, "at1", 0)
    valkey.promote_delayed(0, "e3")
    valkey.resolve_dependency(0, "f1", "ed1", "e0", "e3", "failed")
    assert eligible(valkey) == ["e1", "e2", "e3"]
    assert valkey.claim_next(0, "w2", "A", "ls2", 10, "at2").values["execution"] == "e2"
    assert valkey.claim_next(0, "w2", "A", "ls3", 10, "at3").code == "no_eligible_execution"


def test_postgres_a_child_with_dependencies_waits_as_elsewhere(postgres):
    postgres.create_execution(0, "e1", "A")
    postgres.apply_dependency_to_child(0, "f1", "ed1", "e0", "e1")
    assert state(postgres) == CHILDREN


# a slot that was taken at submission


def _submitted(store, execution="e1", deadline_at=None):
    assert store.check_admission_and_record(0, "q1", execution, 1, 0, 1).code == "ADMITTED"
    store.create_execution(0, execution, "A", deadline_at=deadline_at, admission="q1")
    assert _held(store) == 1


def test_contract_a_slot_of_a_submission_goes_back_with_the_first_lease_whoever_granted_it(contract):
    _submitted(contract)
    fence = lease(contract, 0)
    assert _held(contract) == 1
    contract.complete_execution(5, "e1", *fence)
    assert _held(contract) == 0


def test_contract_a_slot_of_a_submission_outlives_a_lapsed_grant(contract):
    _submitted(contract)
    grant(contract, 0, ttl_ms=10)
    contract.requeue_lapsed_grant(11, "e1")
    assert _held(contract) == 1
    contract.complete_execution(12, "e1", *lease(contract, 12))
    assert _held(contract) == 0


@pytest.mark.parametrize("end", ["cancel_execution", "expire_execution"])
def test_contract_a_slot_of_a_submission_goes_back_when_it_ends_without_a_lease(contract, end):
    _submitted(contract)
    getattr(contract, end)(5, "e1")
    assert _held(contract) == 0


def test_contract_a_slot_of_a_submission_is_held_again_by_a_reclaim(contract):
    _submitted(contract)
    lease(contract, 0, ttl_ms=10)
    contract.mark_lease_expired_if_due(10, "e1")
    assert _held(contract) == 0
    contract.issue_reclaim_grant(10, "e1", "w2", 10)
    contract.reclaim_execution(10, "e1", "w2", "ls2", 10, "at2")
    assert _held(contract) == 1


def test_contract_slots_of_a_submission_and_of_a_dispatch_both_go_back(contract):
    _submitted(contract)
    contract.check_admission_and_record(0, "q2", "e1", 1, 0, 1)
    contract.issue_claim_grant(0, "e1", "w1", "A", 100, (), "q2")
    contract.claim_execution(0, "e1", "w1", "ls1", 100, "at1")
    assert (_held(contract), contract.read_quota(0, "q2").values["concurrency"]) == (1, 1)
    contract.complete_execution(5, "e1", "ls1", 1, "at1")
    assert (_held(contract), contract.read_quota(0, "q2").values["concurrency"]) == (0, 0)


def test_contract_a_retry_after_a_submission_holds_no_slot(contract):
    _submitted(contract)
    contract.delay_execution(0, "e1", *lease(contract, 0), 0)
    contract.promote_delayed(0, "e1")
    lease(contract, 0, lease_id="ls2")
    assert _held(contract) == 0


def test_valkey_a_submission_says_nothing_of_who_admitted_it(valkey):
    valkey.check_admission_and_record(0, "q1", "e1", 1, 0, 1)
    valkey.create_execution(0, "e1", "A", admission="q1")
    valkey.cancel_execution(5, "e1")
    assert _held(valkey) == 1
