"""Time: it never goes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.checks.base import Check, CheckFailed, Step, seconds
from sim.kernel import HorizonReached, Kernel
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from sim.checks.checks import Checks
    from sim.scenario import Scenario

TIME_GOES_ON: Final = "time_goes_on"


class NoPastEvents(Check):
    """Neither the simulation nor a partition of the store ever goes back in time."""

    name = "no_past_events"

    def __init__(self, checks: Checks) -> None:
        super().__init__(checks)
        self._last_us: dict[int, int] = {}

    def after(self, step: Step) -> None:
        """Compare with the operation before at the same partition, and with the clock."""
        key = self.checks.stores.index(step.store)
        last_us = self._last_us.get(key, 0)
        now_us = self.checks.kernel.now_us
        if step.at_us < max(last_us, now_us) or step.now_ms != step.at_us // US_PER_MS:
            self.fail(
                f"{step.op} by {self.checks.name_of(step.actor)} took effect at {seconds(step.at_us)} "
                f"(the store's clock: {step.now_ms} ms), when it was {seconds(now_us)} and "
                f"the partition had come to {seconds(last_us)}",
                step.execution,
            )
        self._last_us[key] = step.at_us


class CheckedKernel(Kernel):
    """A kernel that looks at the time of every event before it lets it happen.

    Parameters
    ----------
    most_in_an_instant
        How many events may happen before the clock moves on.
    """

    def __init__(self, most_in_an_instant: int) -> None:
        super().__init__()
        self._most = most_in_an_instant
        self._left = most_in_an_instant

    def step(self) -> None:
        """Process the next entry."""
        if self._queue:
            at_us: int = self._queue[0][0]  # type: ignore[assignment]  # whole microseconds throughout
            if at_us < self._now:
                message = f"an event is due at {seconds(at_us)}, and it is {seconds(self._now)}"
                raise CheckFailed(NoPastEvents.name, message)
            self._left = self._left - 1 if at_us == self._now else self._most
            if self._left < 0:
                raise CheckFailed(TIME_GOES_ON, f"{self._most} events, and it is still {seconds(self._now)}")
        super().step()

    def run_until(self, horizon_us: int) -> None:
        """Process everything that happens before ``horizon_us`` and leave the clock there."""
        try:
            while self._queue and self._queue[0][0] < horizon_us:
                self.step()
        except HorizonReached:
            return  # a limit was reached
        self._now = max(self._now, horizon_us)


def most_in_an_instant(scenario: Scenario) -> int:
    """Give the number of events that no instant of a scenario needs: a hundred for everyone who may act."""
    arrivals = scenario.workload.arrivals
    at_once = getattr(arrivals, "count", 0) + getattr(arrivals, "clients", 0)
    return 100 * (1000 + at_once + scenario.workers.count * scenario.workers.slots)
