"""Workers that are told of arrivals instead of polling for them: the limit of a poll of no length.

Queueing theory knows no polls. A poll of a ten-thousandth of the mean work, in a fleet that idles half of
the time, would make ten thousand reads for each execution and nothing else worth simulating. The policy here
lets an idle slot sleep until an arrival is created and look then; each idle slot is meant for an arrival of
its own, as where a condition variable notifies one waiter. What is polled for is created by then or queued
for a slot that is busy and looks when it is done, so that no execution waits while a slot idles.
``test_polling`` shows, path by path, that polling makes each wait longer by one poll at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.contention import ContentionKind
from sim.retry import Action, Decision
from sim.rng import Streams
from sim.workload import Workload

if TYPE_CHECKING:
    from sim.retry import Refusal
    from sim.scenario import Scenario

_NOTHING_ELIGIBLE: Final = ContentionKind.NO_ELIGIBLE_EXECUTION
_AGAIN: Final = Decision(Action.OTHER_EXECUTION, 0)
_NO_MORE: Final = Decision(Action.RETRY, 1 << 50)
_LOST: Final = Decision(Action.GIVE_UP, 0)


class Notified:
    """The policy of every actor of one replication: idle slots wake at creations, refused arrivals are lost.

    Parameters
    ----------
    scenario
        Its open arrivals are known beforehand: they come from the workload's own stream.
    replication
        Which one.
    created_after_us
        Time from an arrival to its creation in the store: constant.
    reply_us
        Time from a read's effect to the decision that follows it: constant.
    """

    def __init__(self, scenario: Scenario, replication: int, *, created_after_us: int, reply_us: int) -> None:
        workload = Workload(scenario.workload, Streams(scenario.seed, replication), 1)
        arrivals = workload.arrivals_us(scenario.horizon.arrivals_end_us)
        self._created_us = [at_us + created_after_us for at_us in arrivals]
        self._next = 0
        self._reply_us = reply_us

    def build(self, **_: object) -> Notified:
        """Give the one policy that all clients share."""
        return self

    def decide(self, refusal: Refusal) -> Decision:
        """Sleep until the next arrival that no other slot sleeps for; look again after a lost race."""
        if refusal.goal == "submit":
            return _LOST
        if refusal.kind is not _NOTHING_ELIGIBLE:
            return _AGAIN
        created_us, number = self._created_us, self._next
        seen_until_us = refusal.now_us - self._reply_us
        while number < len(created_us) and created_us[number] < seen_until_us:
            number += 1
        self._next = number + 1
        if number >= len(created_us):
            return _NO_MORE
        return Decision(Action.RETRY, max(created_us[number] - refusal.now_us, 0))
