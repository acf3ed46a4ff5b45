"""Scenarios are loaded whole and complete, or every mistake is told with its place and its mend."""

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.contention import ContentionKind
from sim.distributions import Constant, Exponential, LogNormal
from sim.scenario import Scenario, ScenarioError, load, loads
from sim.scenario.faults import Crash, Loss, Partition, Pause, Skew, Slow, StoreOutage, how_many
from sim.scenario.model import Expect, Store
from sim.scenario.workload import (
    Burst,
    Closed,
    Deterministic,
    ExponentialBackoff,
    FixedBackoff,
    OnOff,
    Poisson,
    Suspends,
)
from sim.store.rules import CONTRACT, VALKEY
from tests.scenario.told import told

SMALL = "about: x\nworkload: {arrivals: {poisson: {rate: 5/s}}}\n"

FULL = """\
about: Everything at once.
seed: 7
horizon: {warmup: 1s, run: 30s, drain: 5s}
replications: 3
store: {dialect: valkey, rules: {lapsed_lease: reclaimed}, partitions: 2, service: 80us}
link: {request: 1ms, reply: 2ms, lose_request: 0.1, lose_reply: 0.2, timeout: 100ms, fifo: true}
workload:
  arrivals: {burst: {count: 10, at: 1s, every: 5s}}
  classes:
    short: {weight: 9, work: 50ms, fails: 0.5, retries: {max: 2, backoff: {fixed: {delay: 2s}}}, priority: 7}
    long: {weight: 1, lane: slow, delays: {probability: 0.3, by: 1s}, capabilities: [gpu], deadline: 1min}
    human:
      suspends: {probability: 0.9, waitpoint: pending_first, prepare: 5ms, signal_after: 2s, signals: 2,
                 timeout: 60s, on_timeout: cancel, pending_timeout: 5s, deterministic_ids: true}
    parent: {children: {probability: 0.8, count: 3, class: short}}
  flows: {rate: 2/s, shape: {random_dag: {nodes: 9, edges: 0.3}}, builders: 3, think: 40ms,
          dispatch_delay: 6ms, lose_dispatch: 0.01, class: long}
workers: {count: 6, slots: 2, claim: direct, dispatch: optimistic, replay_reconciliation: as_coded,
          poll: 200ms, lease_ttl: 5s, renew_at: 0.5, lanes: [main, slow], capabilities: [gpu, big]}
schedulers: {count: 0, grant_ttl: 1s, candidates: 4, pick: hashed, serial: true, probe: 2}
reconcilers: {count: 2, lease_expiry: 1s, grants: null, delayed: 1s, suspension_timeout: 3s,
              pending_waitpoints: null, quota: 10s, unblock: 2s, dependencies: 4s, cancels: 6s, deadlines: 7s,
              budgets: 8s, batch: 5}
operators: {count: 2, cancel: 1/s, cancel_flow: 2/s, revoke: 3/s, reprioritise: 4/s, think: 9ms}
budgets: {tokens: {limit: 1000, cost: 3, classes: [short], reset: 1min}}
quotas: {api: {window: 1s, rate: 100, concurrency: 40, classes: [short], at: dispatch}}
faults:
- crash: {workers: 0.5, at: {uniform: {from: 1s, to: 9s}}, down: 3s}
- pause: {workers: 2, at: 4s, for: {exponential: {mean: 2s}}}
- partition: {workers: 0.25, at: 5s, for: 6s, direction: replies}
- store_outage: {partition: 1, from: 7s, to: 8s}
- slow: {what: link, factor: 10, from: 9s, to: 10s, workers: 3}
- loss: {requests: 0.1, replies: 0.2, from: 11s, to: 12s}
- skew: {workers: 1.0, offset: -200ms, drift: 0.01}
retry: mine
policies: {mine: {backoff: {exponential: {base: 50ms}}}, full_jitter: {}}
expect: {sometimes: [lease_conflict], never: [retry_exhausted]}
"""


def refused(text, *overrides, **where):
    with pytest.raises(ScenarioError) as caught:
        loads(text, overrides, **where)
    return str(caught.value).splitlines()


def small(**keys):
    return SMALL + "".join(f"{key}: {value}\n" for key, value in keys.items())


# What is loaded


def test_only_about_and_arrivals_are_required():
    scenario = loads(SMALL)
    assert scenario.about == "x"
    assert scenario.workload.arrivals == Poisson(rate="5/s")
    assert scenario.workers.count == 10
    assert scenario.store.rules == CONTRACT
    assert scenario.link.timeout == 250_000


def test_defaults_are_the_constants_of_the_engine():
    """Worker SDK, scheduler and scanners of the engine; its default retry backoff; its response time-out."""
    scenario = loads(SMALL)
    workers, schedulers, reconcilers = scenario.workers, scenario.schedulers, scenario.reconcilers
    assert (workers.lease_ttl, workers.poll, workers.slots) == (30_000_000, 1_000_000, 1)
    assert (schedulers.grant_ttl, schedulers.probe) == (5_000_000, 32)
    assert (reconcilers.lease_expiry, reconcilers.delayed, reconcilers.quota) == (
        1_500_000,
        750_000,
        30_000_000,
    )
    assert (reconcilers.unblock, reconcilers.batch) == (5_000_000, 50)
    assert (reconcilers.suspension_timeout, reconcilers.pending_waitpoints) == (2_000_000, 5_000_000)
    assert (reconcilers.dependencies, reconcilers.cancels) == (15_000_000, 15_000_000)
    assert (reconcilers.deadlines, reconcilers.budgets) == (5_000_000, 15_000_000)
    assert scenario.workload.classes["default"].retries is None
    backoff = (
        loads(SMALL, ["workload.classes.default.retries={}"]).workload.classes["default"].retries.backoff
    )
    assert backoff == ExponentialBackoff(initial="1s", cap="60s", multiplier=2.0)


def test_every_key_is_loaded():
    scenario = loads(FULL)
    assert (scenario.seed, scenario.replications) == (7, 3)
    assert (scenario.horizon.arrivals_end_us, scenario.horizon.end_us) == (31_000_000, 36_000_000)
    assert scenario.store.service == Constant(root="80us")
    assert scenario.store.partitions == 2
    link = scenario.link
    assert (link.request.mean_us(), link.reply.mean_us(), link.timeout, link.fifo) == (
        1000,
        2000,
        100_000,
        True,
    )
    assert (link.lose_request, link.lose_reply) == (0.1, 0.2)
    assert scenario.workload.arrivals == Burst(count=10, at="1s", every="5s")
    assert list(scenario.workload.classes) == ["short", "long", "human", "parent"]
    short, long, human, parent = scenario.workload.classes.values()
    assert (short.weight, short.fails, short.priority, short.lane) == (9, 0.5, 7, "main")
    assert short.retries.max == 2
    assert short.retries.backoff == FixedBackoff(delay="2s")
    assert (long.delays.probability, long.delays.by.mean_us(), long.lane) == (0.3, 1_000_000, "slow")
    assert (long.capabilities, long.deadline) == (("gpu",), 60_000_000)
    assert human.suspends == Suspends(
        probability=0.9, waitpoint="pending_first", prepare="5ms", signal_after="2s", signals=2,
        timeout="60s", on_timeout="cancel", pending_timeout="5s", deterministic_ids=True,
    )  # fmt: skip
    assert (parent.children.probability, parent.children.count, parent.children.class_) == (0.8, 3, "short")
    flows = scenario.workload.flows
    assert (flows.rate, flows.builders, flows.lose_dispatch, flows.class_) == (2.0, 3, 0.01, "long")
    assert (flows.shape.nodes, flows.shape.edges_) == (9, 0.3)
    assert (flows.think.mean_us(), flows.dispatch_delay.mean_us()) == (40_000, 6_000)


def test_every_key_of_processes_limits_and_faults_is_loaded():
    scenario = loads(FULL)
    workers = scenario.workers
    assert (workers.dispatch, workers.replay_reconciliation) == ("optimistic", "as_coded")
    assert workers.capabilities == ("gpu", "big")
    assert (workers.count, workers.slots, workers.claim, workers.lanes) == (6, 2, "direct", ("main", "slow"))
    assert workers.renew_every_us == 2_500_000
    schedulers = scenario.schedulers
    assert (schedulers.count, schedulers.candidates, schedulers.pick, schedulers.serial) == (
        0,
        4,
        "hashed",
        True,
    )
    reconcilers = scenario.reconcilers
    assert (reconcilers.grants, reconcilers.pending_waitpoints) == (None, None)
    assert (reconcilers.suspension_timeout, reconcilers.dependencies) == (3_000_000, 4_000_000)
    assert (reconcilers.cancels, reconcilers.deadlines, reconcilers.budgets) == (
        6_000_000,
        7_000_000,
        8_000_000,
    )
    operators = scenario.operators
    assert (operators.count, operators.think.mean_us()) == (2, 9_000)
    assert (operators.cancel, operators.cancel_flow, operators.revoke, operators.reprioritise) == (1, 2, 3, 4)
    budget = scenario.budgets["tokens"]
    assert (budget.limit, budget.cost, budget.reset) == (1000, 3, 60_000_000)
    assert (budget.covers("short"), budget.covers("long")) == (True, False)
    quota = scenario.quotas["api"]
    assert (quota.window, quota.rate, quota.concurrency, quota.at) == (1_000_000, 100, 40, "dispatch")
    assert (quota.covers("short"), quota.covers("long")) == (True, False)
    crash, pause, *others = scenario.faults
    assert others == [
        Partition(**{"workers": 0.25, "at": "5s", "for": "6s", "direction": "replies"}),
        StoreOutage(**{"partition": 1, "from": "7s", "to": "8s"}),
        Slow(**{"what": "link", "factor": 10.0, "from": "9s", "to": "10s", "workers": 3}),
        Loss(**{"requests": 0.1, "replies": 0.2, "from": "11s", "to": "12s"}),
        Skew(workers=1.0, offset="-200ms", drift=0.01),
    ]
    assert isinstance(crash, Crash)
    assert (crash.workers, crash.at.mean_us(), crash.down.mean_us()) == (0.5, 5_000_000, 3_000_000)
    assert isinstance(pause, Pause)
    assert (pause.workers, pause.at.mean_us(), pause.for_) == (2, 4_000_000, Exponential(mean="2s"))
    assert scenario.retry == scenario.policies["mine"]
    assert list(scenario.policies) == ["mine", "full_jitter"]
    assert scenario.expect.sometimes == (ContentionKind.LEASE_CONFLICT,)
    assert scenario.expect.never == (ContentionKind.RETRY_EXHAUSTED,)


def test_rules_are_the_dialect_and_what_differs_from_it():
    rules = loads(FULL).store.rules
    assert rules.lapsed_lease == "reclaimed" != VALKEY.lapsed_lease
    assert rules.admission_denied == "blocked" == VALKEY.admission_denied


def test_comparing_dialects_replaces_preset_and_rules():
    resolved = json.dumps(loads(FULL).resolved())
    assert loads(resolved, ["store.dialect=contract", "store.rules={}"]).store.rules == CONTRACT


@pytest.mark.parametrize("text", [SMALL, FULL])
def test_the_resolved_scenario_loads_as_an_equal_one(text):
    scenario = loads(text)
    resolved = scenario.resolved()
    assert loads(json.dumps(resolved)) == scenario
    assert loads(yaml.safe_dump(resolved)) == scenario
    assert Scenario.model_validate(resolved) == scenario
    assert loads(json.dumps(resolved)).resolved() == resolved


def test_the_resolved_scenario_shows_every_default():
    resolved = loads(SMALL).resolved()
    assert resolved["workers"] == {
        "count": 10, "slots": 1, "claim": "scheduler", "poll": "1s", "lease_ttl": "30s", "renew_at": 0.333,
        "stop_on_lost_lease": False, "lanes": ["main"], "capabilities": [], "dispatch": "hinted",
        "replay_reconciliation": "intended",
    }  # fmt: skip
    assert resolved["operators"] == {
        "count": 1, "cancel": "0/s", "cancel_flow": "0/s", "revoke": "0/s", "reprioritise": "0/s",
        "think": {"constant": "0s"},
    }  # fmt: skip
    assert resolved["budgets"] == {}
    assert resolved["workload"]["flows"] is None
    skew = loads(FULL).resolved()["faults"][-1]["skew"]
    assert skew == {"workers": 1.0, "offset": "-200ms", "drift": 0.01}
    assert resolved["link"]["request"] == {"lognormal": {"median": "300us", "p99": "3ms"}}
    assert resolved["store"]["rules"]["expired_grant"] == "kept"
    assert resolved["retry"]["backoff"] == {"full_jitter": {"base": "50ms", "factor": 2.0, "cap": "5s"}}
    assert loads(FULL).resolved()["faults"][1] == {
        "pause": {"workers": 2, "at": {"constant": "4s"}, "for": {"exponential": {"mean": "2s"}}}
    }


def test_a_scenario_is_frozen_and_travels_to_other_processes():
    scenario = loads(FULL)
    assert pickle.loads(pickle.dumps(scenario)) == scenario
    with pytest.raises(ValueError, match="frozen"):
        scenario.workers.count = 3


def test_counts_of_zero_are_valid_where_they_make_sense():
    text = small(
        workers="{count: 0}", schedulers="{count: 0}", reconcilers="{count: 0}",
        horizon="{warmup: 0s, run: 1s, drain: 0s}", faults="[{crash: {workers: 0, at: 0s, down: 0s}}]",
    )  # fmt: skip
    scenario = loads(text, ["workload.arrivals={burst: {count: 0}}"])
    assert (scenario.workers.count, scenario.schedulers.count, scenario.reconcilers.count) == (0, 0, 0)
    assert loads(SMALL, ["workload.arrivals={closed: {clients: 0}}"]).workload.arrivals == Closed(clients=0)
    assert loads(SMALL, ["workload.arrivals.poisson.rate=0/s"]).workload.arrivals.rate == 0


def test_deterministic_arrivals_by_rate_or_distance():
    assert Deterministic(rate="4/s").period_us == 250_000
    assert Deterministic(every="3ms").period_us == 3000
    assert Deterministic(rate="0/s").period_us == float("inf")


def test_arrivals_that_come_and_go():
    arrivals = loads(SMALL, ["workload.arrivals={on_off: {rate: 9/s, on: 1s, off: 2s}}"]).workload.arrivals
    assert arrivals == OnOff(rate="9/s", on="1s", off="2s")
    assert (arrivals.rate, arrivals.on.mean_us(), arrivals.off.mean_us()) == (9.0, 1_000_000, 2_000_000)


def test_arrivals_in_phases_and_how_they_are_written_again():
    phases = "[{rate: 9/s, for: 1s}, {rate: 1/min}]"
    scenario = loads(SMALL, [f"workload.arrivals={{phases: {phases}}}"])
    first, last = scenario.workload.arrivals.root
    assert (first.rate, first.for_, last.rate, last.for_) == (9.0, 1_000_000, 1 / 60, None)
    assert Scenario.model_validate(scenario.resolved()) == scenario


@pytest.mark.parametrize(
    ("written", "us"), [("-200ms", -200_000), ("50ms", 50_000), ("-0s", 0), (0, 0), ("-10 min", -600_000_000)]
)
def test_a_clock_may_be_ahead_or_behind(written, us):
    skew = Skew(workers=1, offset=written)
    assert skew.offset == us
    assert Skew(**skew.model_dump(mode="json")) == skew


@pytest.mark.parametrize(
    ("several", "total", "number"),
    [(3, 10, 3), (3, 2, 2), (0.25, 10, 2), (1.0, 10, 10), (1, 10, 1), (0, 10, 0)],
)
def test_a_count_or_a_fraction_of_the_fleet(several, total, number):
    assert how_many(several, total) == number


def test_the_backoff_of_retries_is_the_engines():
    """min(initial * multiplier^n, cap), also where the power would not fit a float."""
    backoff = ExponentialBackoff(initial="1s", cap="60s", multiplier=2)
    assert [backoff.delay_us(n) // 1_000_000 for n in (0, 1, 2, 5, 6, 10, 100_000)] == [
        1,
        2,
        4,
        32,
        60,
        60,
        60,
    ]
    assert ExponentialBackoff(initial="100s", cap="60s").delay_us(0) == 60_000_000
    assert ExponentialBackoff(initial="7s", cap="60s", multiplier=1).delay_us(1_000_000) == 7_000_000
    assert FixedBackoff(delay="2s").delay_us(9) == 2_000_000


def test_renewals_are_never_closer_than_a_millisecond():
    scenario = loads(SMALL, ["workers.lease_ttl=1ms", "workers.renew_at=0.001"])
    assert scenario.workers.renew_every_us == 1000


def test_measured_distributions_are_read_beside_the_scenario(tmp_path):
    (tmp_path / "measured.csv").write_text("ms\n1\n3\n")
    (tmp_path / "own.yaml").write_text(small(link="{request: {empirical: {csv: measured.csv, column: ms}}}"))
    scenario = load(tmp_path / "own.yaml")
    assert scenario.link.request.mean_us() == 2000
    assert loads(json.dumps(scenario.resolved())) == scenario


def test_parts_can_be_built_in_python():
    assert Store(dialect="valkey", rules=VALKEY).rules is VALKEY
    assert Expect(never=[ContentionKind.LEASE_CONFLICT]).never == (ContentionKind.LEASE_CONFLICT,)
    assert Crash(workers=1, at=Constant(root="5s")).at.mean_us() == 5_000_000


# What is refused


@pytest.mark.parametrize(("keys", "message"), told("mistakes.txt"))
def test_a_mistake_is_told_with_line_path_and_mend(keys, message):
    lines = keys.split(" ; ")
    if not keys.startswith("workload"):
        lines.insert(0, "workload: {arrivals: {poisson: {rate: 5/s}}}")
    text = "\n".join(["about: x", *lines])
    key = re.split("[.:]", message)[0]
    line = next(nth for nth, each in enumerate(text.splitlines(), 1) if each.startswith(f"{key}:"))
    assert refused(text, source="own.yaml") == [f"own.yaml:{line}: {message}"]


def test_a_class_of_weight_zero_needs_no_worker():
    text = SMALL.replace("}}}", "}}, classes: {a: {}, b: {weight: 0, lane: slow}}}")
    assert loads(text).workload.classes["b"].lane == "slow"


def test_a_class_that_only_flows_and_children_have_needs_a_worker():
    text = SMALL.replace(
        "}}}", "}}, classes: {a: {}, b: {weight: 0, lane: slow}}, flows: {rate: 1/s, shape: {chain: 2}}}"
    )
    assert loads(text).workload.occurring == ("a",)
    assert refused(text, "workload.flows.class=b", source="own.yaml") == [
        "own.yaml:2: workload.classes.b.lane: no worker serves the lane 'slow' (workers.lanes: main)"
    ]


def test_only_one_dialect_picks_and_claims_in_one_operation():
    scenario = loads(SMALL, ["workers.claim=next", "store.dialect=postgres", "schedulers.count=0"])
    assert scenario.workers.claim == "next"


def test_a_class_may_be_admitted_at_its_submission_and_at_its_dispatch():
    quotas = loads(small(quotas="{in: {rate: 1, at: submit}, out: {rate: 2}}")).quotas
    assert [quota.at for quota in quotas.values()] == ["submit", "dispatch"]


def test_all_mistakes_are_told_in_the_order_of_the_file():
    text = (
        "seed: -1\n"
        "workers:\n"
        "  slots: 0\n"
        "  cuont: 3\n"
        "about: ''\n"
        "link:\n"
        "  reply: {uniform: {from: 2ms, to: 1ms}}\n"
    )
    assert refused(text, source="x.yaml") == [
        "x.yaml:1: seed: -1 is too small: at least 0",
        "x.yaml:1: workload: this key is required",
        "x.yaml:3: workers.slots: 0 is too small: at least 1",
        "x.yaml:4: workers.cuont: unknown key (did you mean 'count'?)",
        "x.yaml:5: about: must not be empty",
        "x.yaml:7: link.reply.uniform: from is above to",
    ]


def test_a_mistake_inside_an_alias_is_told_where_it_stands():
    text = small(link="{request: &lan {uniform: {from: 2ms, to: 1ms}}, reply: *lan}")
    assert refused(text) == [
        "scenario:3: link.request.uniform: from is above to",
        "scenario:3: link.reply.uniform: from is above to",
    ]


def test_a_flood_of_mistakes_is_cut():
    lines = refused(small(faults="[" + "3, " * 150 + "3]"))
    assert len(lines) == 101
    assert lines[-1] == "... and 51 more mistakes"


def test_long_values_and_keys_are_cut():
    lines = refused(small(workers="{" + "k" * 500 + ": 1, claim: " + "v" * 5000 + "}"))
    assert len(lines) == 2
    assert max(map(len, lines)) < 250


@pytest.mark.parametrize("text", ["", "# nothing\n", "3", "[about]", "about"])
def test_what_is_no_mapping_is_refused(text):
    assert refused(text) == [
        "scenario:1: a scenario is a mapping that begins with 'about: ...' and 'workload: ...'"
    ]


def test_what_is_no_yaml_is_refused():
    assert refused("about: x\nworkload: [\n") == [
        "scenario:3: not YAML: while parsing a flow node, did not find expected node content"
    ]


# Hostile input: whatever it is, it is a scenario or a ScenarioError, and soon


def leaves(value, path=()):
    if not isinstance(value, dict | list) or not value:
        yield path
        return
    for key, below in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaves(below, (*path, key))


PATHS = sorted(".".join(map(str, path)) for path in leaves(loads(FULL).resolved()))
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["-1s", "1e9h", "0/s", "1e400", "99999999999999999999999", ".nan", "constant", "5s"]),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(PATHS), JUNK)
def test_any_value_at_any_key_is_loaded_or_refused(path, junk):
    try:
        scenario = loads(FULL, [f"{path}={json.dumps(junk)}"])
    except ScenarioError:
        return
    assert loads(json.dumps(scenario.resolved())) == scenario


@settings(deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="abu:-[]{}&*!?|>'\"#%@,\n \t", max_size=60))
def test_any_text_is_loaded_or_refused(text):
    with pytest.raises(ScenarioError):
        loads(text)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_override_is_applied_or_refused(text):
    try:
        scenario = loads(SMALL, [text])
    except ScenarioError:
        return
    assert loads(json.dumps(scenario.resolved())) == scenario


# Files


def test_a_file_is_named_as_the_user_named_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(small(seed=-1))
    with pytest.raises(
        ScenarioError, match=f"^{re.escape('own.yaml:3: seed: -1 is too small: at least 0')}$"
    ):
        load("own.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"about: \xff\n", "1: not UTF-8 text (byte 0xff)"),
        (b"about: \xc3\xa9\na: \x00", "2: not YAML: the character 0x0000 is not allowed"),
        (b"#" * (1 << 23), "1: larger than 4,194,304 bytes; a scenario that large points at a CSV file"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(tmp_path, content, message):
    file = tmp_path / "own.yaml"
    file.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load(file)
    assert str(caught.value) == f"{file}:{message}"


def test_a_file_that_cannot_be_opened_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "own.yaml"
    file.write_text(SMALL)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ScenarioError) as caught:
        load(file)
    assert str(caught.value) == f"{file}: cannot be read (Permission denied)"


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert load(file) == loads(SMALL)


@pytest.mark.parametrize(
    "first",
    [
        "from sim.scenario import load; load('claim_storm').resolved()",
        "from sim.cli import app; app(['validate', 'claim_storm'], standalone_mode=False)",
    ],
    ids=["load", "command"],
)
def test_loading_imports_nothing_heavy(first):
    """Validating a scenario must not wait for numpy, scipy, pandas, matplotlib or the simulator."""
    code = (
        f"import sys; {first}\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'matplotlib', 'simpy', 'joblib', 'sim.store.store'}\n"
        "assert not heavy & {*sys.modules}, heavy & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_lognormal_is_the_default_of_the_link():
    assert loads(SMALL).link.request == LogNormal(median="300us", p99="3ms")
