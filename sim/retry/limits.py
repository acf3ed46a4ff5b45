"""When an intent has been tried for long enough.

``attempts`` counts as tenacity's stop_after_attempt does, ``elapsed`` as its stop_after_delay and
``deadline`` as its stop_before_delay (tenacity/stop.py): the n-th failure ends an intent of n attempts;
``elapsed`` is looked at when a failure arrives, so the last wait may overshoot it; ``deadline`` looks
ahead, so no attempt is sent at or after it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sim.retry.parts import Keyed
from sim.schema import Interval, field

Attempts = Annotated[int, Field(ge=1, le=1_000_000_000)]


class Limits(Keyed):
    """What ends an intent that goes on failing."""

    attempts: Attempts | None = field(12, "Attempts of an intent, the first included; null for no limit.")
    elapsed: Interval | None = field(
        None, "No retry for a failure that comes so long after the intent began."
    )
    deadline: Interval | None = field(None, "No retry that would be sent so long after the intent began.")
    acquire: bool = field(False, "Whether the limits also end the wait of a worker's slot for a lease.")

    def end(self, nth: int, elapsed_us: int, delay_us: int) -> bool:
        """Tell whether an intent ends at its ``nth`` failure instead of going on after ``delay_us``."""
        return (
            (self.attempts is not None and nth >= self.attempts)
            or (self.elapsed is not None and elapsed_us >= self.elapsed)
            or (self.deadline is not None and elapsed_us + delay_us >= self.deadline)
        )
