"""The library's atlas of kinds: each file makes its kind the leading one, and one override ends it."""

from collections import Counter

import pytest

from sim.contention import KINDS
from sim.replication import run
from sim.scenario import load, shipped

NAMES = [kind.value for kind in KINDS]

SHORT = ("horizon.run=12s", "horizon.drain=2s")

SWITCH_OFF = {
    "use_claim_resumed_execution": "workers.dispatch=hinted",
    "not_a_resumed_execution": "schedulers.grant_ttl=30s",
    "execution_not_leaseable": "faults=[]",
    "lease_conflict": "schedulers.grant_ttl=30s",
    "invalid_claim_grant": "schedulers.grant_ttl=30s",
    "claim_grant_expired": "schedulers.grant_ttl=5s",
    "no_eligible_execution": "workers.count=1",
    "waitpoint_not_found": "workload.classes.payment.suspends.deterministic_ids=false",
    "waitpoint_pending_use_buffer_script": "workload.classes.approval.suspends.waitpoint=fresh",
    "stale_graph_revision": "workload.flows.builders=1",
    "execution_not_active": "workers.lease_ttl=30s",
    "execution_not_eligible": "schedulers.count=1",
    "execution_not_in_eligible_set": "schedulers.count=1",
    "execution_not_reclaimable": "reconcilers.count=1",
    "no_active_lease": "operators.revoke=0/s",
    "rate_limit_exceeded": "quotas={}",
    "concurrency_limit_exceeded": "quotas={}",
    "retry_exhausted": "store.rules.transactions=atomic",
}
"""One ``--set`` for each kind that takes its mechanism out of the kind's scenario."""

NEARLY_NOTHING = 0.05
"""What may be left of a kind that is switched off, as a share of what there was."""


def contentions(scenario, replications, column):
    """Count contentions by kind: ``count`` in the window of the tables, or ``total`` in whole runs."""
    counts = Counter()
    for number in range(replications):
        attempts = run(scenario, "arm", scenario.retry, number).attempts
        for row in attempts.group_by("kind").aggregate([(column, "sum")]).to_pylist():
            counts[row["kind"]] += row[f"{column}_sum"]
    del counts[None]
    return counts


def test_every_kind_has_a_scenario_and_a_switch():
    files = [name.removeprefix("kinds/") for name in shipped() if name.startswith("kinds/")]
    assert sorted(files) == sorted(SWITCH_OFF) == sorted(NAMES)


@pytest.mark.parametrize("kind", NAMES)
def test_the_scenario_tells_its_kind_and_its_switch(kind):
    scenario = load(f"kinds/{kind}")
    assert [each.value for each in scenario.expect.sometimes] == [kind]
    assert len(scenario.expect.never) > 1
    assert kind in scenario.about
    assert SWITCH_OFF[kind] in scenario.about
    assert load(f"kinds/{kind}", [SWITCH_OFF[kind]]) != scenario


@pytest.mark.parametrize("kind", NAMES)
def test_the_kind_occurs_and_what_must_not_does_not(kind):
    scenario = load(f"kinds/{kind}", SHORT)
    counts = contentions(scenario, 1, "total")
    assert counts[kind] > 0
    assert {each.value: counts[each.value] for each in scenario.expect.never if counts[each.value]} == {}


@pytest.mark.slow
def test_each_kind_leads_its_scenario_and_vanishes_with_its_mechanism():
    rows = []
    for kind, switch in SWITCH_OFF.items():
        scenario, without = load(f"kinds/{kind}"), load(f"kinds/{kind}", [switch])
        counts = contentions(scenario, scenario.replications, "count")
        after = contentions(without, without.replications, "count")
        rows.append((kind, counts, switch, after[kind]))
        share = counts[kind] / counts.total()
        print(f"{kind:36} {share:7.1%} {counts[kind]:6}  {switch:58} {after[kind]:4}")
    for kind, counts, _, left in rows:
        assert counts.most_common(1)[0][0] == kind
        assert left < NEARLY_NOTHING * counts[kind], kind


@pytest.mark.slow
def test_the_atlas_shows_every_kind():
    scenario = load("atlas")
    assert [kind.value for kind in scenario.expect.sometimes] == NAMES
    counts = contentions(scenario, scenario.replications, "count")
    assert [kind for kind in NAMES if not counts[kind]] == []
