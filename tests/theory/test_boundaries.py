"""Answers that are known to the microsecond: lapses, collisions, and the rate of a full window."""

import pytest

from sim.replication import run
from tests.actors.little import attempts, simulate
from tests.theory import models

# Renewed every 400 ms; a renewal takes effect 100 us after it is sent.
HELD = (
    "workload.arrivals.burst.count=1",
    "workers.lease_ttl=1s",
    "workers.renew_at=0.4",
    "horizon.run=4100ms",
)
LONG, UNTIL_THE_PAUSE = "workload.classes.job.work=4s", "workload.classes.job.work=900ms"


def ends_of_the_lease(result):
    return [row for row in attempts(result, "op", "code") if row[0] in ("renew_lease", "complete_execution")]


def paused_until_the_last_moment(work, late_us):
    """Pause the holder after its second renewal, until its next word comes ``late_us`` after the expiry."""
    quiet = attempts(simulate(*HELD, work), "op", "arrived_us", "done_us")
    effect_us, done_us = [row[1:] for row in quiet if row[0] == "renew_lease"][1]
    pause_us = done_us + 1  # the answer has come
    expiry_us = (effect_us // 1000 + 1000) * 1000
    lasts_us = expiry_us + late_us - 100 - pause_us
    fault = f"faults=[{{pause: {{workers: 1, at: {pause_us}us, for: {lasts_us}us}}}}]"
    return simulate(*HELD, work, fault)


@pytest.mark.parametrize(("late_us", "code"), [(-1, "OK"), (0, "lease_expired"), (1, "lease_expired")])
def test_a_lease_lapses_exactly_when_the_pause_is_as_long_as_the_slack(late_us, code):
    """The renewal that was due in the pause takes effect in time by one microsecond, or not at all."""
    told = ends_of_the_lease(paused_until_the_last_moment(LONG, late_us))
    assert told[:3] == [("renew_lease", "OK")] * 2 + [("renew_lease", code)]
    completed = "OK" if code == "OK" else "lease_expired"
    assert told[-1] == ("complete_execution", completed)


@pytest.mark.parametrize(("late_us", "code"), [(-1, "OK"), (0, "lease_expired")])
def test_so_does_one_whose_work_ended_in_the_pause(late_us, code):
    """The completion is what comes first after the pause, and it is in time or not."""
    told = ends_of_the_lease(paused_until_the_last_moment(UNTIL_THE_PAUSE, late_us))
    assert ("complete_execution", code) in told


LINK_US = 500
CYCLE_US = 20_000


@pytest.mark.parametrize(
    ("apart_us", "contended"), [(2 * LINK_US - 1, True), (2 * LINK_US + 1, False), (CYCLE_US // 2, False)]
)
def test_two_claimers_collide_exactly_within_a_link_delay_there_and_back(apart_us, contended):
    """The second look meets the execution until the first claimer's grant has come: reply and request."""
    model = {
        **models.FAST,
        "link": {"request": f"{LINK_US}us", "reply": f"{LINK_US}us", "timeout": "1s"},
        "horizon": models.horizon(0, 0.1),
        "workload": {
            "arrivals": {"burst": {"count": 1, "at": f"{CYCLE_US + CYCLE_US * 3 // 4}us"}},
            "classes": {"job": {"work": "1s"}},
        },
        "workers": {"count": 2, "claim": "direct", "poll": f"{CYCLE_US - 2 * LINK_US}us"},
        # Both look at the same instants, until one is paused over one of them and looks later from then on.
        "faults": [{"pause": {"workers": 1, "at": f"{CYCLE_US - 1}us", "for": f"{1 + apart_us}us"}}],
    }
    scenario = models.scenario(1, model)
    refused = run(scenario, "a", scenario.retry).contentions.to_pylist()
    lost = [row for row in refused if row["op"] == "issue_claim_grant"]
    assert len(lost) == contended


@pytest.mark.parametrize(("limit", "window_s"), [(20, 10), (7, 3), (1, 1)])
def test_a_full_sliding_window_admits_its_limit_once_a_window(limit, window_s):
    """Whoever is refused comes again when the hint says so, and whenever a place is free somebody comes."""
    windows = 9
    model = {
        **models.sliding_window(limit, window_s, 0),
        "horizon": models.horizon(0, windows * window_s + 0.5),
        "workload": {"arrivals": {"burst": {"count": 15 * limit}}},
        "retry": {"limits": {"attempts": None}},
    }
    scenario = models.scenario(1, model)
    created = run(scenario, "a", scenario.retry).executions["created_us"].to_pylist()
    by_window = [[at for at in created if n <= at // (window_s * 10**6) < n + 1] for n in range(windows + 1)]
    assert [len(each) for each in by_window] == [limit] * (windows + 1)
