"""Quotas and budgets: which executions are under which, and how an admission is asked for.

The engine asks for an admission before a grant (``at: dispatch``). ``at: submit`` asks before the execution
is created: an arrival whose admission the policy gives up is lost. Where a lease's end gives the slot back, a
slot that was taken at submission goes with the execution, whoever claims it, until its first lease ends or it
ends without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sim.link import OP
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Generator

    from sim.actors.base import Actor
    from sim.kernel import Process
    from sim.record import Intent
    from sim.scenario import Scenario
    from sim.scenario.fleet import Budget, Quota

ADMIT: Final = OP["check_admission_and_record"]

USAGE: Final = "units"
"""The one dimension in which budgets count."""


class Limits:
    """The quotas and budgets of a scenario, numbered in its order, by class of executions."""

    def __init__(self, scenario: Scenario) -> None:
        classes = list(scenario.workload.classes)
        quotas, budgets = (
            list(enumerate(scenario.quotas.values())),
            list(enumerate(scenario.budgets.values())),
        )
        self._quotas: dict[str, dict[str, tuple[int, Quota]]] = {
            at: {
                name: each for name in classes for each in quotas if each[1].at == at and each[1].covers(name)
            }
            for at in ("dispatch", "submit")
        }
        self.at_dispatch = self._quotas["dispatch"]
        self.at_submit = self._quotas["submit"]
        self.budgets: dict[str, tuple[int, Budget]] = {
            name: each for name in classes for each in budgets if each[1].covers(name)
        }

    def quota_at_submission(self, class_name: str) -> int | None:
        """Give the quota whose slot goes with the executions of a class from their creation on."""
        quota = self.at_submit.get(class_name)
        return None if quota is None else quota[0]


def admission(number: int, quota: Quota, execution: int) -> tuple[Any, ...]:
    """Give the arguments of an admission."""
    return (number, execution, *quota_limits(quota))


def quota_limits(quota: Quota) -> tuple[float, int, int]:
    """Give window (seconds), rate and concurrency cap as the store takes them, where 0 is no limit."""
    whole, rest = divmod(quota.window, US_PER_S)
    return quota.window / US_PER_S if rest else whole, quota.rate or 0, quota.concurrency or 0


def admit_at_submission(
    actor: Actor, execution: int, intent: Intent, process: Process
) -> Generator[None, Any, bool]:
    """Ask for the admission of an execution that is to be created; False when the policy gives up."""
    world = actor.world
    quota = world.limits.at_submit.get(world.workload.class_name(execution))
    if quota is None:
        return True
    number, spec = quota
    _, stopped = yield from actor.carry_out(
        process, intent, ADMIT, world.link.partition_of(number), admission(number, spec, execution), execution
    )
    return stopped is None
