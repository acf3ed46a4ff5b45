"""The checks of a run: it stands between the link and the store, and shows each operation to every check."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from sim.checks.after_drain import EVENTUALLY, is_promised
from sim.checks.base import Check, Deed, Step
from sim.checks.clock import NoPastEvents
from sim.checks.executions import AccountedFor, RefusedUnchanged
from sim.checks.leases import EpochsGrow, FencesHold, Leases, OneLiveLease
from sim.checks.quotas import CapKept, RateKept, WatchedQuotas
from sim.ledger import REFUSED
from sim.link import OPS
from sim.record import NONE
from sim.rng import NEVER
from sim.store.footprints import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.kernel import Kernel
    from sim.ledger import ExecutionLedger
    from sim.link import Server
    from sim.record import Intent, Recorder
    from sim.scenario import Scenario
    from sim.store import Store
    from sim.store.outcome import Outcome
    from sim.store.records import Execution
    from sim.transactions import TransactionServer

_REMEMBERED: Final = 20_000
"""Operations that are kept for the tale of a failure."""

_TOLD: Final = 12
"""How many of them are told, of the execution that it is about."""


class Checks:
    """The checks of one run.

    Parameters
    ----------
    scenario
        What is simulated.
    kernel, servers, recorder, ledger
        The parts of the run: after the link was made, before anything has happened.
    """

    def __init__(
        self,
        scenario: Scenario,
        kernel: Kernel,
        servers: Sequence[Server | TransactionServer],
        recorder: Recorder,
        ledger: ExecutionLedger,
    ) -> None:
        self.scenario = scenario
        self.kernel = kernel
        self.ledger = ledger
        self.stores = [server.store for server in servers]
        self.quotas = list(scenario.quotas.values())
        self.quota_names = list(scenario.quotas)
        self.fences_by_epoch = scenario.store.rules.fence_mismatch == "lease_conflict"
        self.holds_slots = scenario.store.rules.concurrency_release == "lease_end"
        self._recorder = recorder
        self._actors = recorder.actors
        self._deeds: deque[Deed] = deque(maxlen=_REMEMBERED)
        self._refused = RefusedUnchanged(self)
        self.leases = Leases(self)
        self.slots = CapKept(self)
        self.accounted = AccountedFor(self)
        self._checks: list[Check] = [
            NoPastEvents(self), OneLiveLease(self), EpochsGrow(self), FencesHold(self), self._refused,
            RateKept(self), self.slots, self.accounted, self.leases,
        ]  # fmt: skip
        for server in servers:
            server.store.quotas = WatchedQuotas(server.store.quotas, self.slots)
            server.operations = tuple(
                self._watched(server.store, op.name, PARAMETERS[op.index], operation)
                for op, operation in zip(OPS, server.operations, strict=True)
            )

    def name_of(self, actor: int) -> str:
        """Give an actor's name."""
        return self._actors[actor][0]

    def open_intents(self) -> list[Intent]:
        """Give the intents that have not ended."""
        return self._recorder.open_intents

    def records_of(self, execution: int) -> list[str]:
        """Tell what was done last to an execution; without one, what was done last at all."""
        return [str(deed) for deed in self._deeds if execution in (NONE, deed.execution)][-_TOLD:]

    def executions_of(self, store: Store) -> list[Execution]:
        """Give every execution of a partition, whole."""
        for execution in list(store.finished):
            store.find(execution)
        return list(store.executions.values())

    def recorded(self) -> dict[int, tuple[int, int]]:
        """Give what the records say that each execution has become, and when."""
        changes = self.ledger.changes(NEVER)  # the store is ahead, by what has its turn after the end
        changes = changes[changes["stage"] != REFUSED]
        rows = (changes[name].tolist() for name in ("execution", "stage", "at_us"))
        return {execution: (stage, at_us) for execution, stage, at_us in zip(*rows, strict=True)}

    def _watched(
        self, store: Store, op: str, parameters: tuple[str, ...], operation: Callable[..., Outcome]
    ) -> Callable[..., Outcome]:
        """Stand between the link and one operation."""
        reads = op.startswith("read_")

        def carry_out(now_ms: int, *arguments: Any, **more: Any) -> Outcome:
            given = dict(zip(parameters, arguments, strict=False))
            if not reads:
                self._refused.before(store, now_ms, given)
            outcome = operation(now_ms, *arguments, **more)
            stamp: Any = store.stamp
            execution = given.get("execution", given.get("downstream", NONE))
            if op == "claim_next" and outcome.ok and outcome.values["execution"] is not None:
                execution = outcome.values["execution"]
            step = Step(stamp[2], now_ms, stamp[0], op, given, store, outcome, execution)
            if not reads:
                name = self.name_of(stamp[0])
                self._deeds.append(Deed(stamp[2], name, op, arguments, outcome.code, execution))
                for check in self._checks:
                    check.after(step)
            return outcome

        return carry_out

    def at_end(self) -> None:
        """Look at what the run has come to: every execution, and what the scenario expects of the end.

        What it expects and the rules do not promise is not looked for (:mod:`sim.scenario.promises`).
        """
        self.accounted.at_end(self.kernel.now_us)
        for name in self.scenario.expect.eventually:
            if is_promised(name, self.scenario):
                EVENTUALLY[name](self)
