"""Quotas: the sliding window and the slots, counted from what was admitted."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from sim.checks.base import Check, Step, seconds
from sim.store.quota_table import QuotaTable
from sim.units import US_PER_MS, format_duration

if TYPE_CHECKING:
    from sim.checks.checks import Checks


class RateKept(Check):
    """A sliding window never holds more admissions than the rate."""

    name = "rate_kept"

    def __init__(self, checks: Checks) -> None:
        super().__init__(checks)
        self._windows: list[OrderedDict[int, int]] = [OrderedDict() for _ in checks.quotas]

    def after(self, step: Step) -> None:
        """Count an admission."""
        if step.op != "check_admission_and_record" or step.outcome.code != "ADMITTED":
            return
        number = step.given["quota"]
        quota, admitted = self.checks.quotas[number], self._windows[number]
        if quota.rate is None:
            return
        admitted[step.execution] = step.now_ms
        admitted.move_to_end(step.execution)
        while next(iter(admitted.values())) <= step.now_ms - quota.window // US_PER_MS:
            admitted.popitem(last=False)
        if len(admitted) > quota.rate:
            self.fail(
                f"quota {self.checks.quota_names[number]} has let {len(admitted)} executions in within its "
                f"window of {format_duration(quota.window)}, the last, e-{step.execution}, at "
                f"{seconds(step.at_us)}; its rate is {quota.rate}",
                step.execution,
            )


class CapKept(Check):
    """Nothing is admitted while as many as the cap hold a slot."""

    name = "cap_kept"

    def __init__(self, checks: Checks) -> None:
        super().__init__(checks)
        self.held: list[dict[int, None]] = [{} for _ in checks.quotas]

    def after(self, step: Step) -> None:
        """Count an admission."""
        if step.op != "check_admission_and_record" or step.outcome.code != "ADMITTED":
            return
        number = step.given["quota"]
        held, cap = self.held[number], self.checks.quotas[number].concurrency
        held[step.execution] = None
        if self.checks.holds_slots and cap is not None and len(held) > cap:
            self.fail(
                f"quota {self.checks.quota_names[number]} admitted e-{step.execution} at "
                f"{seconds(step.at_us)} as number {len(held)}; its cap is {cap}",
                step.execution,
            )

    def released(self, quota: int, execution: int) -> None:
        """Take down that a slot was given back."""
        self.held[quota].pop(execution, None)

    def taken(self, quota: int, execution: int) -> None:
        """Take down that a reclaim took its slot again."""
        self.held[quota][execution] = None


class WatchedQuotas(QuotaTable):
    """The quotas of a partition, whose slots are watched."""

    __slots__ = ("_check",)

    def __init__(self, quotas: QuotaTable, check: CapKept) -> None:
        super().__init__(quotas)
        self._check = check

    def release_slot(self, now_ms: int, quota: Any, execution: Any) -> None:
        """Give back a slot."""
        self._check.released(quota, execution)
        super().release_slot(now_ms, quota, execution)

    def take_slot(self, now_ms: int, quota: Any, execution: Any) -> None:
        """Take a slot again."""
        self._check.taken(quota, execution)
        super().take_slot(now_ms, quota, execution)
