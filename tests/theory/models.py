"""Scenarios that are a queue of theory, and what is observed of their records.

The link takes 1 us each way and the store no time, unless the store is the queue: what happens besides the
queue takes microseconds, where the work takes a second. An observation of a replication is a pair (x, y);
what is estimated is the ratio of their means, such as blocked arrivals over arrivals.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sim.scenario import loads
from sim.units import US_PER_S

if TYPE_CHECKING:
    from sim.replication import RunResult
    from sim.scenario import Scenario

    Observation = tuple[float, float]

ABOUT: Final = "a queue whose answer is known"
LINK_US: Final = 1
"""Request delay, and reply delay."""

FAST: Final = {
    "store": {"partitions": 1, "service": "0us"},
    "link": {"request": f"{LINK_US}us", "reply": f"{LINK_US}us", "timeout": "10s"},
    "reconcilers": {"count": 0},
}


def scenario(seed: int, model: dict[str, Any], *overrides: str) -> Scenario:
    """Make a scenario of a model."""
    return loads(json.dumps({"about": ABOUT, "seed": seed, **model}), overrides)


def horizon(warmup_s: float, run_s: float, drain_s: float = 0) -> dict[str, str]:
    """Give a horizon."""
    return {
        name: f"{round(seconds * US_PER_S)}us"
        for name, seconds in (("warmup", warmup_s), ("run", run_s), ("drain", drain_s))
    }


def poisson(rate_per_s: float) -> dict[str, Any]:
    """Give Poisson arrivals."""
    return {"poisson": {"rate": f"{rate_per_s!r}/s"}}


def servers(count: int, rate_per_s: float, work: Any) -> dict[str, Any]:
    """Give workers that serve Poisson arrivals, in order: M/G/c. See :class:`Notified` for their polls."""
    return {
        **FAST,
        "workload": {"arrivals": poisson(rate_per_s), "classes": {"job": {"work": work}}},
        "workers": {"count": count, "claim": "direct", "lease_ttl": "1h"},
    }


def loss_system(cap: int, rate_per_s: float, work: Any) -> dict[str, Any]:
    """Give a quota that is asked at each arrival, with a cap of concurrent executions: M/G/c/c."""
    quota = {"concurrency": cap, "at": "submit"}
    return {**servers(cap, rate_per_s, work), "quotas": {"cap": quota}}


def sliding_window(limit: int, window_s: int, rate_per_s: float) -> dict[str, Any]:
    """Give a quota that is asked at each arrival, with a rate limit; nobody works."""
    quota = {"rate": limit, "window": f"{window_s}s", "at": "submit"}
    return {
        **FAST,
        "workload": {"arrivals": poisson(rate_per_s)},
        "workers": {"count": 0},
        "quotas": {"window": quota},
        "retry": {"limits": {"attempts": 1}},
    }


def partition(rate_per_s: float, service: Any) -> dict[str, Any]:
    """Give a partition of the store that serves the creations of Poisson arrivals: M/G/1; nobody works."""
    return {
        **FAST,
        "store": {"partitions": 1, "service": service},
        "workload": {"arrivals": poisson(rate_per_s)},
        "workers": {"count": 0},
    }


POLL_CYCLE_US: Final = 100_000
TRIAL_US: Final = 10 * POLL_CYCLE_US
PROBE_AFTER_US: Final = 6 * POLL_CYCLE_US
LOST_RACES: Final = ("execution_not_in_eligible_set", "execution_not_eligible")


def claimers(count: int, link_us: int, trials: int) -> dict[str, Any]:
    """Give claimers that look once a cycle at independent phases, and one new execution a trial.

    At the beginning of a trial each claimer gets an execution whose work is uniform on whole cycles: after
    it, its phase is. All look for nothing again when the execution of the trial appears.
    """
    arrivals = [
        (start_us + after_us, name)
        for start_us in range(0, trials * TRIAL_US, TRIAL_US)
        for name, after_us in [("shuffle", 0)] * count + [("probe", PROBE_AFTER_US)]
    ]
    schedule = {"at": [f"{at_us}us" for at_us, _ in arrivals], "classes": [name for _, name in arrivals]}
    shuffle = {"uniform": {"from": f"{2 * POLL_CYCLE_US}us", "to": f"{3 * POLL_CYCLE_US}us"}}
    delay = f"{link_us}us"
    return {
        **FAST,
        "horizon": horizon(0, trials * TRIAL_US / US_PER_S),
        "link": {"request": delay, "reply": delay, "timeout": "10s"},
        "workload": {
            "arrivals": {"schedule": schedule},
            "classes": {"shuffle": {"work": shuffle}, "probe": {"work": "0us"}},
        },
        # A slot that found nothing looks again a poll after the reply.
        "workers": {"count": count, "claim": "direct", "poll": f"{POLL_CYCLE_US - 2 * link_us}us"},
        # Who lost a race looks again at once, so that nobody is late for the next trial.
        "retry": {"backoff": "none", "routing": dict.fromkeys(LOST_RACES, "other_execution")},
    }


def paused_holders(count: int, ttl_s: int, renew_every_s: int, pause_s: float) -> dict[str, Any]:
    """Give holders of leases that outlast the run, each paused once, uniformly on a cycle of renewals."""
    first_us = renew_every_s * US_PER_S
    at = {"uniform": {"from": f"{first_us}us", "to": f"{2 * first_us}us"}}
    pause = {"workers": count, "at": at, "for": {"exponential": {"mean": f"{round(pause_s * 1e6)}us"}}}
    return {
        **FAST,
        "horizon": horizon(0, 15 * pause_s + 3 * ttl_s),
        "workload": {
            "arrivals": {"burst": {"count": count}},
            "classes": {"job": {"work": "24h"}},
        },
        "workers": {
            "count": count, "claim": "direct", "lease_ttl": f"{ttl_s}s", "renew_at": renew_every_s / ttl_s,
            "poll": "1ms",
        },
        "faults": [{"pause": pause}],
        "retry": {"backoff": "none"},
    }  # fmt: skip


# --- what is observed ------------------------------------------------------------------------------------


def blocked_arrivals(result: RunResult) -> Observation:
    """Give the arrivals of the window whose admission was given up, and all of them."""
    submits = _columns(result.intents, "goal", "resolution", "in_window")
    arrived = (submits["goal"] == "submit") & submits["in_window"]
    return float((arrived & (submits["resolution"] == "abandoned")).sum()), float(arrived.sum())


def admitted_per_second(result: RunResult) -> Observation:
    """Give the admissions of the window, and its length in seconds."""
    blocked, arrived = blocked_arrivals(result)
    start_us, end_us = result.window_us
    return arrived - blocked, (end_us - start_us) / US_PER_S


def waits_for_a_lease_s(result: RunResult) -> Observation:
    """Give the sum of the waits from creation to lease of what was created in the window, and its number."""
    rows = _columns(result.executions, "created_us", "leased_us", "in_window")
    inside = rows["in_window"]
    waits_us = (rows["leased_us"] - rows["created_us"])[inside]
    assert not np.isnan(waits_us.astype(float)).any(), "the drain is too short: something was never leased"
    return float(waits_us.sum()) / US_PER_S, float(inside.sum())


def waits_for_the_store_s(result: RunResult) -> Observation:
    """Give the sum of the waits from arrival to start at the store of what was sent in the window."""
    submits = _columns(result.intents, "execution", "start_us", "in_window")
    created = _columns(result.executions, "execution", "created_us")
    assert np.array_equal(submits["execution"], created["execution"]), "some are not created: a longer drain"
    waits_us = (created["created_us"] - submits["start_us"] - LINK_US)[submits["in_window"]]
    return float(waits_us.sum()) / US_PER_S, float(submits["in_window"].sum())


def contended_trials(result: RunResult) -> Observation:
    """Give the trials whose execution a claimer was refused, and all trials."""
    executions = _columns(result.executions, "execution", "class")
    probes = executions["execution"][executions["class"] == "probe"]
    refused = _columns(result.contentions, "execution", "op")
    lost = np.unique(refused["execution"][refused["op"] == "issue_claim_grant"])
    return float(np.isin(probes, lost).sum()), float(probes.size)


def lapsed_leases(result: RunResult) -> Observation:
    """Give the leases whose renewal came too late, and all leases."""
    refused = _columns(result.contentions, "op", "code")
    late = (refused["op"] == "renew_lease") & (refused["code"] == "lease_expired")
    return float(late.sum()), float(result.executions.num_rows)


def _columns(table: Any, *names: str) -> dict[str, Any]:
    return {name: table[name].to_numpy(zero_copy_only=False) for name in names}
