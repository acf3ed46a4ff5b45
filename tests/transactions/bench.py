"""One partition of transactions, driven operation by operation; every log can be asserted.

A statement takes 100 us unless said otherwise. Requests and replies take no time by default, so that an
answer is dated by its commit or rollback.
"""

from itertools import repeat

from sim.kernel import Kernel, Process
from sim.ledger import WAITING, ExecutionLedger
from sim.link import OP, OPS, Client, Link
from sim.record import NONE, Recorder
from sim.rng import Streams
from sim.scenario.model import Link as LinkSpec
from sim.store import Store, StoreRules
from sim.store.footprints import PARAMETERS
from sim.transactions import TransactionServer

STATEMENT_US = 100
END_US = 60_000_000


class Caller:
    """What sends one operation and waits for its answer."""

    paused_until_us = 0
    watches = False

    def __init__(self, bench, op, arguments):
        self.index = len(bench.recorder.actors)
        self.name = f"caller/{self.index}"
        bench.recorder.actors.append((self.name, "caller"))
        self.client = Client(bench.streams, self.name, bench.spec)
        self._bench, self._op, self._arguments = bench, op, arguments
        about_one = PARAMETERS[OP[op].index][0] == "execution"
        self._execution = arguments[0] if about_one else NONE

    def start(self, _):
        Process(self._bench.kernel, self, self._story).start()

    def _story(self, process):
        bench = self._bench
        sent_us = bench.kernel.now_us
        bench.link.send(process, OP[self._op], 0, self._arguments, None, self._execution)
        outcome = yield
        bench.log.append((self.index, self._op, sent_us, bench.kernel.now_us, outcome.code))
        bench.outcomes[self.index] = outcome


class Bench:
    """A store behind sessions.

    ``store`` is prepared by calling its operations before the run: they leave no versions and no locks.
    """

    def __init__(self, rules=None, connections=64, statement=None, seed=1, **link):
        self.kernel = Kernel()
        self.streams = Streams(seed, 0)
        self.recorder = Recorder(OPS, ["retry"], (0, END_US))
        self.ledger = ExecutionLedger()
        self.spec = LinkSpec(**{"request": "0s", "reply": "0s", "timeout": "20s", **link})
        self.store = Store(rules or StoreRules(transactions="serializable"))
        draws = statement or repeat(STATEMENT_US)
        self.server = TransactionServer(self.kernel, self.store, connections, draws)
        self.link = Link(self.kernel, [self.server], self.recorder, self.ledger, self.spec)
        self.log = []
        self.outcomes = {}

    def send(self, at_us, op, *arguments):
        """Send an operation at an instant; give the number of its caller."""
        caller = Caller(self, op, arguments)
        self.kernel.call_at(at_us, caller.start)
        return caller.index

    def run(self):
        """Run to the end; give (caller, op, sent, answered, code) in the order of answers."""
        self.kernel.run_until(END_US)
        return self.log

    def answers(self):
        """Run, and give (answered, code) by caller."""
        return [row[3:] for row in sorted(self.run())]

    def rivals(self):
        """Give (caller, rival, rival's operation, age) of every contention."""
        rows = self.recorder.contentions().to_pylist()
        return [(row["actor"], row["rival_actor"], row["rival_op"], row["rival_age_us"]) for row in rows]

    # --- what is there before the run ----------------------------------------------------------------

    def create(self, *executions):
        for execution in executions:
            self.store.create_execution(0, execution, "main")
            self.ledger.created(execution, 0, WAITING, 0)

    def lease(self, *executions, ttl_ms=30_000):
        """Lease executions to worker 7 under lease 100 + e, attempt 200 + e, epoch 1."""
        self.create(*executions)
        for execution in executions:
            self.store.issue_claim_grant(0, execution, 7, "main", 10)
            self.store.claim_execution(0, execution, 7, 100 + execution, ttl_ms, 200 + execution)

    def suspend(self, *executions, names=("go",)):
        """Suspend executions on waitpoints 300 + e until every name of a condition was signalled."""
        self.lease(*executions)
        for execution in executions:
            self.store.suspend_execution(
                0, execution, 0, 200 + execution, 100 + execution, 1, 400 + execution, 300 + execution,
                {"names": list(names), "mode": "all"},
            )  # fmt: skip

    def flow(self, flow, *executions):
        """Make a flow of new executions."""
        self.create(*executions)
        self.store.create_flow(0, flow)
        for execution in executions:
            self.store.add_execution_to_flow(0, flow, execution)


def renewal(execution):
    """Arguments of a renewal under the lease that :meth:`Bench.lease` gave."""
    return execution, 0, 200 + execution, 100 + execution, 1, 30_000


def end(execution):
    """Arguments of a completion under that lease."""
    return execution, 100 + execution, 1, 200 + execution


def suspension(execution, epoch=1):
    """Arguments of a suspension under that lease."""
    return (
        execution, 0, 200 + execution, 100 + execution, epoch, 400 + execution, 300 + execution,
        {"names": ["go"]},
    )  # fmt: skip


def signal(execution, number, name="other"):
    """Arguments of a signal to the waitpoint of :meth:`Bench.suspend`; ``other`` satisfies nothing."""
    return execution, 300 + execution, number, name
