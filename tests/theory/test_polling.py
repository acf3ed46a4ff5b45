"""What polling adds to a wait: a poll at most, path by path. So notified workers are its limit."""

import numpy as np
import pytest

from sim.replication import run
from tests.theory import models
from tests.theory.cases import EXPONENTIAL
from tests.theory.notified import Notified

POLL_US = 100
"""A ten-thousandth of the mean work."""


def leased_us(result):
    return np.array(result.executions["leased_us"].to_pylist())


@pytest.mark.parametrize(("count", "rate"), [(1, 0.85), (2, 1.7)])
def test_a_poll_delays_no_lease_by_more_than_its_length(count, rate):
    """Same arrivals, same work. Lindley's recursion: only who finds a server idle waits for its poll, and a
    busy period that begins up to a poll late hands on that delay, and no more.
    """
    model = {**models.servers(count, rate, EXPONENTIAL), "horizon": models.horizon(0, 12, 40)}
    scenario = models.scenario(20261126, model)
    notified = run(scenario, "notified", Notified(scenario, 0, created_after_us=1, reply_us=models.LINK_US))
    # The drain is cut: who has nothing to do polls on, and nothing else happens.
    end_us = int(leased_us(notified).max()) + 2 * POLL_US
    drain = f"horizon.drain={max(end_us - 12_000_000, 0)}us"
    polling = models.scenario(20261126, model, f"workers.poll={POLL_US}us", drain)
    polled = run(polling, "polled", polling.retry)
    later_us = leased_us(polled) - leased_us(notified)
    cycle_us = POLL_US + 2 * models.LINK_US
    assert len(later_us) > 5
    assert later_us.min() >= -models.LINK_US  # who polls may have asked just before it is notified
    assert 0 < later_us.max() <= cycle_us
