"""Policies as data: reading, writing, naming, and what is wrong with them."""

import json
import pickle

import pytest

from sim.retry import (
    Action,
    ComposedSpec,
    Decision,
    Fleet,
    OwnSpec,
    PolicyError,
    Routing,
    parse_policy,
    policies,
    register,
)
from sim.retry.backoff import FullJitter
from sim.retry.breakers import BREAKERS
from sim.retry.budgets import BUDGETS
from sim.retry.catalogue import BACKOFFS
from tests.retry.helpers import K, build, refusal, scripted
from tests.retry.own_policy import Patient

PATIENT = "tests.retry.own_policy:Patient"


def test_documented_written_out():
    assert parse_policy("documented").canonical() == {
        "backoff": {"full_jitter": {"base": "50ms", "factor": 2.0, "cap": "5s"}},
        "limits": {"attempts": 12, "elapsed": None, "deadline": None, "acquire": False},
        "routing": "documented",
        "per_kind": {
            "no_eligible_execution": {"poll": {}},
            "rate_limit_exceeded": {
                "server_hint": {
                    "mode": "exact", "up_to": 1.0, "spread": "0s", "slack": None, "cap": None,
                    "without": None,
                }
            },
        },
        "budget": None,
        "breaker": None,
    }  # fmt: skip


@pytest.mark.parametrize("nothing", [{}, None])
def test_what_is_not_said_is_documented(nothing):
    assert parse_policy(nothing) == parse_policy("documented")


EVERY_NAME = [word for listed in policies() for word in (listed.name, *listed.aliases)]


@pytest.mark.parametrize("name", EVERY_NAME)
def test_every_name_can_be_written_out_and_read_back(name):
    policy = parse_policy(name)
    assert parse_policy(json.loads(json.dumps(policy.canonical()))) == policy
    assert isinstance(build(name, lambda: 0.5).decide(refusal()), Decision)


def test_names_are_unique_and_every_part_has_one():
    assert len(EVERY_NAME) == len(set(EVERY_NAME))
    assert {*BACKOFFS, *BUDGETS, *BREAKERS} <= {listed.name for listed in policies()}


@pytest.mark.parametrize("listed", policies(), ids=lambda listed: listed.name)
def test_the_catalogue_says_formula_defaults_scope_and_source(listed):
    assert listed.formula
    assert "limits (attempts: " in listed.defaults
    assert listed.scope
    assert listed.source


def test_a_line_of_the_catalogue():
    (line,) = [listed for listed in policies() if listed.name == "stamina"]
    assert line.formula == "min(wait_max, wait_initial * wait_exp_base^(n-1) + U(0, wait_jitter))"
    assert line.defaults == (
        "backoff stamina (wait_initial: 100ms, wait_max: 5s, wait_jitter: 1s, wait_exp_base: 2.0);"
        " limits (attempts: 10, elapsed: 45s)"
    )
    assert line.scope == "none"
    assert line.source.startswith("stamina 26.1")


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("immediate", "none"), ("no_jitter", "exponential"), ("decorrelated", "decorrelated_jitter"),
        ("full", "full_jitter"), ("pybreaker", "consecutive_failures"), ("brooker", "token_bucket"),
    ],
)  # fmt: skip
def test_aliases(alias, name):
    assert parse_policy(alias) == parse_policy(name)


def test_a_part_may_be_written_as_its_name_alone():
    assert parse_policy({"backoff": "no_jitter"}) == parse_policy({"backoff": {"exponential": {}}})
    assert parse_policy({"budget": "brooker"}) == parse_policy({"budget": {"token_bucket": {}}})


def test_an_arm_with_a_registered_name_that_says_nothing_is_that_policy():
    assert parse_policy({}, arm="naive") == parse_policy("naive")
    assert parse_policy(None, arm="no_jitter") == parse_policy("exponential")
    assert parse_policy({}, arm="mine") == parse_policy("documented")
    assert parse_policy({"limits": {"attempts": 2}}, arm="naive").routing.default == "documented"


def test_the_names_of_libraries_stand_for_what_they_ship():
    shipped = {
        name: (spec.limits.attempts, spec.budget and spec.budget.key)
        for name in (
            "grpc",
            "envoy",
            "finagle",
            "aws_standard_2026",
            "celery",
            "sidekiq",
            "temporal",
            "redis_py",
        )
        for spec in [parse_policy(name)]
    }
    assert shipped == {
        "grpc": (4, "grpc_throttling"), "envoy": (2, "envoy"), "finagle": (12, "finagle"),
        "aws_standard_2026": (3, "aws_standard_2026"), "celery": (4, None), "sidekiq": (26, None),
        "temporal": (None, None), "redis_py": (11, None),
    }  # fmt: skip


def test_equal_policies_are_written_alike_whatever_the_order_of_their_keys():
    one = parse_policy({"per_kind": {"retry_exhausted": "none", "lease_conflict": "poll"}, "limits": {}})
    other = parse_policy({"per_kind": {"lease_conflict": "poll", "retry_exhausted": "none"}})
    assert one == other
    assert json.dumps(one.canonical()) == json.dumps(other.canonical())


def test_a_backoff_put_back_to_the_policys_own_is_written_only_where_it_says_something():
    policy = parse_policy({"per_kind": {"lease_conflict": None, "no_eligible_execution": None}})
    assert list(policy.canonical()["per_kind"]) == ["no_eligible_execution", "rate_limit_exceeded"]
    assert policy.canonical()["per_kind"]["no_eligible_execution"] is None
    assert parse_policy(policy.canonical()) == policy


def test_a_policy_cannot_be_changed_and_is_read_only_once():
    policy = parse_policy("documented")
    with pytest.raises(ValueError, match="frozen"):
        policy.limits = None
    assert parse_policy(policy) is policy


def test_a_policy_can_be_made_in_python():
    made = ComposedSpec(backoff=FullJitter(base="20ms"), limits={"attempts": 20})
    assert made == parse_policy({"backoff": {"full_jitter": {"base": "20ms"}}, "limits": {"attempts": 20}})


def test_a_routing_made_in_python_brings_its_waits_with_it():
    made = ComposedSpec(routing=Routing("naive"), limits={"acquire": True})
    assert made == parse_policy("naive")
    assert ComposedSpec.model_validate(made) is made


def test_the_schema_for_editors_knows_bare_names_and_parameters():
    backoff = ComposedSpec.model_json_schema()["properties"]["backoff"]
    mapping, names = backoff["anyOf"]
    assert names == {"enum": [word for each in BACKOFFS.values() for word in (each.key, *each.aliases)]}
    assert list(mapping["properties"]) == list(BACKOFFS)


def test_a_policy_that_was_used_can_be_sent_to_another_process():
    policy = parse_policy({"routing": {"lease_conflict": "retry"}, "budget": "envoy"})
    policy.build(lambda: 0.5, 1000)
    copy = pickle.loads(pickle.dumps(policy))
    assert copy == policy
    assert copy.build(lambda: 0.5, 1000).decide(refusal(K.LEASE_CONFLICT)).action is Action.RETRY


MISTAKES = [
    ("documnted", "there is no policy 'documnted' (did you mean 'documented'?)"),
    (7, "7 is not a policy (try a name such as 'documented', or a mapping)"),
    ({"backof": "none"}, "backof: unknown key (did you mean 'backoff'?)"),
    ({"backoff": {"full_jitter": {"cap": "2 sec"}}},
     "backoff.full_jitter.cap: '2 sec' is not a duration (try '2s')"),
    ({"backoff": {"full_jitter": {"bse": "1s"}}},
     "backoff.full_jitter.bse: unknown key (did you mean 'base'?)"),
    ({"backoff": {"full_jitter": {"cap": 0}}}, "backoff.full_jitter.cap: must be longer than 0"),
    ({"backoff": {"exponential": {"factor": 1.001}}},
     "backoff.exponential.factor: must be 1, or at least 1.01"),
    ({"backoff": {"full_jiter": {}}},
     "backoff: there is no backoff 'full_jiter' (did you mean 'full_jitter'?)"),
    ({"backoff": {"none": {}, "poll": {}}}, "backoff: a backoff has exactly one key, not none and poll"),
    ({"backoff": {"full": {}, "full_jitter": {}}},
     "backoff: there is no backoff 'full' (did you mean 'full_jitter'?)"),
    ({"backoff": {"chain": {"waits": []}}}, "backoff.tenacity_chain.waits: must not be empty"),
    ({"backoff": {"chain": {"waits": ["none", {"constant": {"dely": "1s"}}]}}},
     "backoff.tenacity_chain.waits.1.constant.dely: unknown key (did you mean 'delay'?)"),
    ({"backoff": {"server_hint": {"mode": "exactly"}}},
     "backoff.server_hint.mode: 'exactly' is not possible here (did you mean 'exact'?)"),
    ({"limits": {"attempts": 0}}, "limits.attempts: 0 is too small: at least 1"),
    ({"limits": {"attempts": True}}, "limits.attempts: true is not a whole number"),
    ({"limits": {"atempts": 3}}, "limits.atempts: unknown key (did you mean 'attempts'?)"),
    ({"routing": "naiv"}, "routing: there is no routing 'naiv' (did you mean 'naive'?)"),
    ({"routing": {"execution_not_active": {"renew_lease": "skip"}}},
     "routing.execution_not_active.renew_lease: 'skip' makes no sense for renew_lease"
     " (legal here: retry, give_up)"),
    ({"per_kind": {"lease_conflit": "none"}},
     "per_kind.lease_conflit: there is no kind 'lease_conflit' (did you mean 'lease_conflict'?)"),
    ({"per_kind": {"lease_conflict": {"constant": {"delay": 5}}}},
     "per_kind.lease_conflict.constant.delay: 5 is not a duration"
     " (durations carry a unit: try '5s' or '5ms')"),
    ({"per_kind": 5}, "per_kind: 5 is not a mapping of keys"),
    ({"budget": {"grpc_throttling": {"token_ratio": 0}}},
     "budget.grpc_throttling.token_ratio: 0 is too small: it must be above 0"),
    ({"budget": {"aws_standard": {"scope": "world"}}},
     "budget.aws_standard.scope: 'world' is not possible here (legal here: client, fleet)"),
    ({"breaker": {"failure_ratio": {"ratio": 2}}}, "breaker.failure_ratio.ratio: 2 is too large: at most 1"),
    ("tests.nowhere:Policy",
     "there is no module 'tests.nowhere' to import 'tests.nowhere:Policy' from"
     " (its folder must be on PYTHONPATH)"),
    ("tests.retry.own_policy:Patent",
     "module 'tests.retry.own_policy' has no class 'Patent' (did you mean 'Patient'?)"),
    ("tests.retry.own_policy:NoPolicy",
     "'tests.retry.own_policy:NoPolicy' is no policy: a policy is a class with a method decide(refusal)"),
    ("tests.retry.own_policy:SOMETHING",
     "'tests.retry.own_policy:SOMETHING' is no policy: a policy is a class with a method decide(refusal)"),
    (":Patient", "':Patient' does not name a class (try 'my_module:MyPolicy')"),
    ({"class": "Patient"}, "class: 'Patient' does not name a class (try 'my_module:MyPolicy')"),
    ({"class": PATIENT, "parms": {}}, "parms: unknown key (did you mean 'params'?)"),
    ({"class": PATIENT, "params": {"hurry": 1}},
     f"params: {PATIENT} cannot be made with them: "
     "Patient.__init__() got an unexpected keyword argument 'hurry'"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "message"), MISTAKES, ids=[message[:50] for _, message in MISTAKES])
def test_a_mistake_is_told_with_its_place_and_the_remedy(written, message):
    with pytest.raises(PolicyError) as refused:
        parse_policy(written)
    assert str(refused.value) == message


def test_a_class_of_ones_own():
    policy = build({"class": PATIENT, "params": {"patience_ms": 20}}, scripted(0.5, 0.25, 0.0), poll_us=7)
    assert isinstance(policy, Patient)
    asked = refusal()
    assert policy.decide(asked) == Decision(Action.OTHER_EXECUTION, 0)
    assert policy.decide(asked) == Decision(Action.OTHER_EXECUTION, 15_000)
    assert policy.decide(refusal(op="complete_execution")) == Decision(Action.RETRY, 0)
    assert policy.decide(refusal(None)) == Decision(Action.RETRY, 7)


def test_a_class_of_ones_own_written_out():
    assert parse_policy(PATIENT).canonical() == {"class": PATIENT, "params": {}}
    assert parse_policy(PATIENT) == parse_policy({"class": PATIENT})
    assert parse_policy(PATIENT) != parse_policy({"class": PATIENT, "params": {"patience_ms": 1}})


def test_a_class_of_ones_own_may_have_a_name(monkeypatch):
    monkeypatch.setattr("sim.retry.registry._registered", {})
    assert register("patient")(Patient) is Patient
    assert parse_policy("patient") == parse_policy(PATIENT)
    assert isinstance(parse_policy({}, arm="patient"), OwnSpec)
    assert policies()[-1].source == PATIENT
    register("patient")(Patient)  # once more, as when a module is read again
    with pytest.raises(ValueError, match="already a policy 'naive'"):
        register("naive")(Patient)

    class Local:
        def decide(self, asked): ...

    with pytest.raises(ValueError, match="cannot be imported"):
        register("local")(Local)


def test_state_of_the_fleet_is_shared_by_those_built_with_one_fleet():
    policy = {"backoff": "none", "budget": {"token_bucket": {"scope": "fleet", "capacity": 3}}}
    fleet = Fleet()
    one, other = (build(policy, fleet=fleet) for _ in range(2))
    alone = build(policy, fleet=Fleet())
    assert [each.decide(refusal()).action for each in (one, other, one, alone)] == [
        Action.NEW_GRANT, Action.NEW_GRANT, Action.GIVE_UP, Action.NEW_GRANT,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="build the policy with fleet="):
        build(policy)


def test_state_of_a_client_is_its_own():
    policy = {"backoff": "none", "budget": {"token_bucket": {"capacity": 2}}}
    fleet = Fleet()
    one, other = (build(policy, fleet=fleet) for _ in range(2))
    assert [each.decide(refusal()).action for each in (one, one, other)] == [
        Action.NEW_GRANT, Action.GIVE_UP, Action.NEW_GRANT,
    ]  # fmt: skip
