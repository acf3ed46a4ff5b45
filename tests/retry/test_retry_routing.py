"""Which action answers which kind, operation by operation."""

import pytest

from sim.contention import KINDS, ContentionKind, kind_of
from sim.retry import DOCUMENTED, OPERATIONS, Action, PolicyError, Routing, documented_action, legal_actions
from sim.retry.routing import REDISPATCHES
from sim.retry.spec import ComposedSpec
from sim.store import OPERATIONS as STORE_OPERATIONS

K, A = ContentionKind, Action

# Every refusal in the recordings of the real engine that is contention, by operation.
RECORDED = {
    "add_execution_to_flow": ["flow_already_terminal"],
    "block_execution_for_admission": ["execution_not_active", "execution_not_eligible"],
    "buffer_signal_for_pending_waitpoint": [
        "signal_limit_exceeded", "waitpoint_closed", "waitpoint_not_found"],
    "cancel_execution": ["execution_not_active", "lease_revoked", "stale_lease"],
    "cancel_flow": ["flow_already_terminal"],
    "change_priority": ["execution_not_eligible"],
    "check_admission_and_record": ["CONCURRENCY_EXCEEDED", "RATE_EXCEEDED"],
    "claim_execution": ["execution_not_leaseable", "invalid_claim_grant", "use_claim_resumed_execution"],
    "claim_resumed_execution": ["execution_not_leaseable", "invalid_claim_grant", "not_a_resumed_execution"],
    "close_waitpoint": ["waitpoint_not_found"],
    "complete_execution": ["execution_not_active", "lease_expired", "lease_revoked", "stale_lease"],
    "create_pending_waitpoint": [
        "execution_not_active", "no_active_lease", "stale_lease", "waitpoint_already_exists"],
    "delay_execution": ["execution_not_active", "lease_expired", "lease_revoked", "stale_lease"],
    "deliver_signal": [
        "signal_limit_exceeded", "target_not_signalable", "waitpoint_closed", "waitpoint_not_found",
        "waitpoint_pending_use_buffer_script"],
    "expire_suspension": ["script_error"],
    "fail_execution": ["execution_not_active", "lease_expired", "lease_revoked", "stale_lease"],
    "issue_claim_grant": [
        "capability_mismatch", "execution_not_eligible", "execution_not_in_eligible_set",
        "grant_already_exists"],
    "issue_grant_and_claim": [
        "execution_not_eligible", "execution_not_in_eligible_set", "grant_already_exists"],
    "issue_reclaim_grant": ["capability_mismatch", "execution_not_reclaimable", "grant_already_exists"],
    "move_to_waiting_children": ["execution_not_active", "lease_expired", "lease_revoked", "stale_lease"],
    "promote_blocked_to_eligible": ["deps_not_satisfied", "not_blocked_by_deps", "not_runnable"],
    "promote_delayed": ["script_error"],
    "reclaim_execution": ["execution_not_reclaimable", "invalid_claim_grant", "max_retries_exhausted"],
    "renew_lease": ["execution_not_active", "lease_expired", "lease_revoked", "stale_lease"],
    "replay_execution": ["execution_not_terminal", "max_replays_exhausted"],
    "resolve_dependency": ["invalid_dependency"],
    "resume_execution": ["execution_not_suspended"],
    "revoke_lease": ["ALREADY_SATISFIED", "execution_not_active", "stale_lease"],
    "stage_dependency_edge": ["dependency_already_exists", "flow_already_terminal", "stale_graph_revision"],
    "suspend_execution": [
        "already_suspended", "execution_not_active", "invalid_lease_for_suspend",
        "invalid_waitpoint_for_execution", "lease_expired", "lease_revoked", "pending_waitpoint_expired",
        "stale_lease", "waitpoint_not_found", "waitpoint_not_pending"],
    "unblock_execution": ["execution_not_eligible"],
    "update_progress": ["execution_not_active", "lease_expired", "lease_revoked", "stale_lease"],
}  # fmt: skip


def test_every_operation_of_the_store_can_be_asked_about():
    assert sorted(OPERATIONS) == sorted(STORE_OPERATIONS)


def test_documented_is_total_and_legal_for_every_kind_and_operation():
    for kind in KINDS:
        for op in OPERATIONS:
            assert documented_action(kind, op) in legal_actions(kind, op), (kind, op)


def test_naive_repeats_the_operation_whatever_the_kind():
    naive = Routing("naive")
    assert {naive.action(kind, op) for kind in KINDS for op in OPERATIONS} == {A.RETRY}


@pytest.mark.parametrize("op", RECORDED)
def test_what_the_engine_was_seen_to_refuse_is_in_the_table(op):
    for code in RECORDED[op]:
        assert op in DOCUMENTED[kind_of(op, code)], code


def test_every_kind_can_be_met_somewhere():
    assert [kind for kind in KINDS if not DOCUMENTED[kind]] == []


def test_the_words_of_the_enum():
    """Each kind at the operation that its documentation speaks of."""
    assert {
        kind.value: documented_action(kind, op).value
        for kind, op in [
            (K.USE_CLAIM_RESUMED_EXECUTION, "claim_execution"),
            (K.NOT_A_RESUMED_EXECUTION, "claim_resumed_execution"),
            (K.EXECUTION_NOT_LEASEABLE, "claim_execution"),
            (K.LEASE_CONFLICT, "claim_execution"),
            (K.INVALID_CLAIM_GRANT, "claim_execution"),
            (K.CLAIM_GRANT_EXPIRED, "claim_execution"),
            (K.NO_ELIGIBLE_EXECUTION, "read_eligible"),
            (K.WAITPOINT_NOT_FOUND, "deliver_signal"),
            (K.WAITPOINT_PENDING_USE_BUFFER_SCRIPT, "deliver_signal"),
            (K.STALE_GRAPH_REVISION, "stage_dependency_edge"),
            (K.EXECUTION_NOT_ACTIVE, "complete_execution"),
            (K.EXECUTION_NOT_ELIGIBLE, "issue_claim_grant"),
            (K.EXECUTION_NOT_IN_ELIGIBLE_SET, "issue_claim_grant"),
            (K.EXECUTION_NOT_RECLAIMABLE, "issue_reclaim_grant"),
            (K.NO_ACTIVE_LEASE, "revoke_lease"),
            (K.RATE_LIMIT_EXCEEDED, "check_admission_and_record"),
            (K.CONCURRENCY_LIMIT_EXCEEDED, "check_admission_and_record"),
            (K.RETRY_EXHAUSTED, "suspend_execution"),
        ]
    } == {
        "use_claim_resumed_execution": "redispatch",
        "not_a_resumed_execution": "redispatch",
        "execution_not_leaseable": "new_grant",
        "lease_conflict": "other_execution",
        "invalid_claim_grant": "new_grant",
        "claim_grant_expired": "new_grant",
        "no_eligible_execution": "retry",
        "waitpoint_not_found": "retry",
        "waitpoint_pending_use_buffer_script": "redispatch",
        "stale_graph_revision": "reread",
        "execution_not_active": "reconcile",
        "execution_not_eligible": "skip",
        "execution_not_in_eligible_set": "skip",
        "execution_not_reclaimable": "skip",
        "no_active_lease": "skip",
        "rate_limit_exceeded": "retry",
        "concurrency_limit_exceeded": "retry",
        "retry_exhausted": "reconcile",
    }


@pytest.mark.parametrize(
    ("kind", "op", "action"),
    [
        (K.EXECUTION_NOT_ACTIVE, "renew_lease", A.GIVE_UP),
        (K.EXECUTION_NOT_ACTIVE, "deliver_signal", A.GIVE_UP),
        (K.EXECUTION_NOT_ACTIVE, "cancel_execution", A.SKIP),
        (K.EXECUTION_NOT_ACTIVE, "add_execution_to_flow", A.GIVE_UP),
        (K.NO_ACTIVE_LEASE, "complete_execution", A.GIVE_UP),
        (K.NO_ACTIVE_LEASE, "renew_lease", A.GIVE_UP),
        (K.LEASE_CONFLICT, "complete_execution", A.RECONCILE),
        (K.LEASE_CONFLICT, "renew_lease", A.GIVE_UP),
        (K.EXECUTION_NOT_RECLAIMABLE, "reclaim_execution", A.OTHER_EXECUTION),
        (K.INVALID_CLAIM_GRANT, "reclaim_execution", A.NEW_GRANT),
        (K.RETRY_EXHAUSTED, "deliver_signal", A.RETRY),
        (K.RETRY_EXHAUSTED, "cancel_flow", A.SKIP),
        (K.RATE_LIMIT_EXCEEDED, "read_eligible", A.RETRY),
        (K.WAITPOINT_NOT_FOUND, "close_waitpoint", A.SKIP),
    ],
)
def test_where_the_words_name_what_the_operation_does_not_know(kind, op, action):
    assert documented_action(kind, op) is action


@pytest.mark.parametrize(
    ("kind", "op", "action"),
    [
        # The word itself, where the operation knows it.
        (K.EXECUTION_NOT_ELIGIBLE, "release_admission", A.SKIP),
        # Otherwise a skip, where it is known ...
        (K.LEASE_CONFLICT, "promote_delayed", A.SKIP),
        # ... otherwise retry what is retryable, and give up on the rest.
        (K.LEASE_CONFLICT, "create_flow", A.RETRY),
        (K.EXECUTION_NOT_ACTIVE, "create_flow", A.GIVE_UP),
        (K.EXECUTION_NOT_ELIGIBLE, "create_flow", A.GIVE_UP),
    ],
)
def test_pairs_that_the_store_never_makes_have_an_action_too(kind, op, action):
    assert op not in DOCUMENTED[kind]
    assert documented_action(kind, op) is action


LEGAL = {
    "claim_execution": "retry new_grant other_execution reconcile give_up",
    "reclaim_execution": "retry new_grant other_execution reconcile give_up",
    "claim_next": "retry other_execution reconcile give_up",
    "issue_claim_grant": "retry new_grant other_execution skip give_up",
    "issue_grant_and_claim": "retry new_grant other_execution skip reconcile give_up",
    "stage_dependency_edge": "retry reread give_up",
    "cancel_execution": "retry reread skip give_up",
    "change_priority": "retry reread skip give_up",
    "complete_execution": "retry reconcile give_up",
    "suspend_execution": "retry reconcile give_up",
    "renew_lease": "retry give_up",
    "read_eligible": "retry skip give_up",
    "requeue_lapsed_grant": "retry skip give_up",
    "deliver_signal": "retry give_up",
}


@pytest.mark.parametrize("op", LEGAL)
def test_what_an_operation_knows(op):
    assert " ".join(action.value for action in legal_actions(K.RETRY_EXHAUSTED, op)) == LEGAL[op]


def test_redispatch_is_for_the_three_kinds_that_name_another_operation():
    known = [(kind, op) for kind in KINDS for op in OPERATIONS if A.REDISPATCH in legal_actions(kind, op)]
    assert known == list(REDISPATCHES)
    assert list(REDISPATCHES.values()) == [
        "claim_resumed_execution", "claim_execution", "buffer_signal_for_pending_waitpoint",
    ]  # fmt: skip


def test_an_action_for_a_kind_holds_where_the_operation_knows_it():
    routing = Routing.parse({"execution_not_active": "skip"})
    assert routing.action(K.EXECUTION_NOT_ACTIVE, "cancel_execution") is A.SKIP
    assert routing.action(K.EXECUTION_NOT_ACTIVE, "resume_execution") is A.SKIP
    assert routing.action(K.EXECUTION_NOT_ACTIVE, "complete_execution") is A.RECONCILE
    assert routing.action(K.EXECUTION_NOT_ACTIVE, "renew_lease") is A.GIVE_UP


def test_an_action_for_one_operation_leaves_the_others():
    routing = Routing.parse({"invalid_claim_grant": {"claim_execution": "other_execution"}})
    assert routing.action(K.INVALID_CLAIM_GRANT, "claim_execution") is A.OTHER_EXECUTION
    assert routing.action(K.INVALID_CLAIM_GRANT, "claim_resumed_execution") is A.NEW_GRANT


def test_changes_may_be_made_to_naive():
    routing = Routing.parse({"default": "naive", "stale_graph_revision": "reread"})
    assert routing.action(K.STALE_GRAPH_REVISION, "stage_dependency_edge") is A.REREAD
    assert routing.action(K.LEASE_CONFLICT, "claim_execution") is A.RETRY


def test_routings_that_answer_alike_are_equal_however_they_are_written():
    assert Routing.parse({"lease_conflict": {"claim_execution": "other_execution"}}) == Routing()
    short = Routing.parse({"claim_grant_expired": "retry"})
    long = Routing.parse({"claim_grant_expired": dict.fromkeys(DOCUMENTED[K.CLAIM_GRANT_EXPIRED], "retry")})
    assert short == long
    assert short != Routing()
    assert Routing() != Routing("naive")


def test_the_canonical_form_names_every_change_by_operation():
    routing = Routing.parse({"no_eligible_execution": "give_up"})
    assert routing.canonical() == {
        "default": "documented",
        "no_eligible_execution": {"read_eligible": "give_up", "claim_next": "give_up"},
    }
    assert Routing.parse(routing.canonical()) == routing
    assert Routing("naive").canonical() == "naive"
    assert repr(Routing("naive")) == "Routing(naive)"
    assert Routing.parse(routing) is routing


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("naiv", "there is no routing 'naiv' (did you mean 'naive'?)"),
        (7, "7 is not a routing (try 'documented', 'naive' or {kind: action})"),
        ({"default": "n"}, "default: there is no routing 'n' (legal here: documented, naive)"),
        ({"lease_conflit": "retry"}, "there is no kind 'lease_conflit' (did you mean 'lease_conflict'?)"),
        ({"lease_conflict": "retri"}, "lease_conflict: there is no action 'retri' (did you mean 'retry'?)"),
        (
            {"stale_graph_revision": "skip"},
            "stale_graph_revision: 'skip' makes no sense for stage_dependency_edge"
            " (legal here: retry, reread, give_up)",
        ),
        (
            {"no_eligible_execution": "new_grant"},
            "no_eligible_execution: 'new_grant' makes no sense for any of read_eligible, claim_next"
            " (legal here: retry, other_execution, skip, reconcile, give_up)",
        ),
        (
            {"execution_not_active": {"renew_lease": "reconcile"}},
            "execution_not_active.renew_lease: 'reconcile' makes no sense for renew_lease"
            " (legal here: retry, give_up)",
        ),
        (
            {"invalid_claim_grant": {"claim_exec": "retry"}},
            "invalid_claim_grant: 'claim_exec' is never refused with it (did you mean 'claim_execution'?)",
        ),
        (
            {"invalid_claim_grant": {"claim_execution": None}},
            "invalid_claim_grant.claim_execution: there is no action null"
            " (legal here: give_up, new_grant, other_execution, reconcile, redispatch, reread, retry, skip)",
        ),
    ],
)
def test_a_routing_that_makes_no_sense_is_refused_with_what_would(written, message):
    with pytest.raises(PolicyError) as refused:
        Routing.parse(written)
    assert str(refused.value) == message


def test_an_editor_is_told_every_way_to_write_a_routing():
    actions = {"enum": [action.value for action in Action]}
    route = {"anyOf": [actions, {"type": "object", "additionalProperties": actions}]}
    tables = {"enum": ["documented", "naive"]}
    assert ComposedSpec.model_json_schema()["properties"]["routing"]["anyOf"] == [
        tables,
        {
            "type": "object",
            "properties": {"default": tables, **{kind.value: route for kind in KINDS}},
            "additionalProperties": False,
        },
    ]
