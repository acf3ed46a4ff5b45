"""The attempt path rung by rung: what each part of it costs, in one run, against the bare SimPy skeleton.

``python -m tests.benchmarks.ladder`` prints a row a rung: microseconds of processor time an attempt in the
fastest round, what the rung adds to the one before, and the share of the skeleton's speed that is left. Every
rung does what an attempt does in any run of the model, and nothing that a rung above it does:

``heap loop``      plain Python, no processes: a heap of calls (:func:`tests.benchmarks.skeleton.heap_loop`)
``SimPy``          the bare skeleton (:func:`tests.benchmarks.skeleton.simpy_skeleton`)
``link``           the kernel and the link: an attempt with its fields, delays, loss, time-out, a queue per
                   partition; the store answers with a constant, and all actors draw from one stream, as the
                   skeletons do
``streams``        each actor draws from streams of its own, so that arms of a comparison share their luck
``store``          the store reads the head of an empty lane, what a polling fleet does most
``actors``         the whole model at the same size, taking nothing down
``records``        the whole model with its records, tables and fingerprint: what a user runs
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from time import process_time

import sim.replication
from sim.kernel import Kernel, Process
from sim.ledger import ENDED, ExecutionLedger
from sim.link import OP, OPS, Client, Link, servers_of
from sim.record import Recorder
from sim.replication import run
from sim.rng import Streams
from sim.scenario import load
from sim.store import Ok
from tests.benchmarks.skeleton import heap_loop, simpy_skeleton

WORKERS = 1000
ROUNDS = 7
STORM = (f"workers.count={WORKERS}", "workers.claim=direct", "horizon.run=20s", "horizon.drain=0s")
_DELAYS = (
    "link.request={exponential: {mean: 300us}}", "link.reply={exponential: {mean: 300us}}",
    "store.service={exponential: {mean: 80us}}", "store.partitions=1",
)  # fmt: skip
_READ = OP["read_eligible"]
_FOUND_NOTHING = Ok({"candidates": []})


class UnrecordedRun(Recorder):
    """Lets actors have their intents, and takes nothing down."""

    def attempt(self, attempt, outcome):
        pass

    def decided(self, action, delay_us):
        pass

    def end(self, intent, end_us, resolution, cause=None):
        del self._open[intent.id]


class UnrecordedLedger(ExecutionLedger):
    """Tells who waits for the end of an execution, and takes nothing down."""

    __slots__ = ()

    def changed(self, execution, at_us, stage, op, attempt=None):
        if stage >= ENDED:
            self._end(execution, at_us, stage - ENDED)

    def worked(self, *_):
        pass


class _Asker:
    """An actor without a mind: it asks the same again as soon as it is answered."""

    name = "asker"
    paused_until_us = 0
    watches = False

    def __init__(self, link, kernel, client, number):
        self.client = client
        self.index = number
        self._send = link.send
        Process(kernel, self, self._story).start()

    def _story(self, process):
        arguments = ("default", 1, (), False)
        while True:
            self._send(process, _READ, 0, arguments)
            yield


def link_alone(operations, *, own_streams=False, reads=False):
    """Seconds an attempt of actors without a mind, against a store that reads or answers a constant."""
    scenario = load("claim_storm", _DELAYS)
    kernel, streams = Kernel(), Streams(1, 0)
    servers = servers_of(scenario.store, kernel, streams)
    if not reads:
        servers[0].operations = tuple(lambda *_: _FOUND_NOTHING for _ in OPS)
    recorder = _Counting(kernel, operations)
    link = Link(kernel, servers, recorder, UnrecordedLedger(), scenario.link)
    clients = [Client(streams, f"asker/{number}", scenario.link) for number in range(WORKERS)]
    for number, client in enumerate(clients):
        if not own_streams:
            client.request, client.reply = clients[0].request, clients[0].reply
        _Asker(link, kernel, client, number)
    began = process_time()
    kernel.run_until(1 << 62)
    return (process_time() - began) / operations


class _Counting:
    """Ends the run after so many attempts."""

    def __init__(self, kernel, operations):
        self._kernel = kernel
        self._left = operations

    def attempt(self, attempt, outcome):
        self._left -= 1
        if not self._left:
            self._kernel.stop()


class _TimedKernel(Kernel):
    """Notes when the run begins: the skeletons' time does not include their set-up either."""

    began: float

    def run_until(self, horizon_us):
        _TimedKernel.began = process_time()
        super().run_until(horizon_us)


def run_of(scenario, **parts):
    """Run with other parts in the place of those of :mod:`sim.replication` that have their names."""
    kept = {name: getattr(sim.replication, name) for name in parts}
    for name, part in parts.items():
        setattr(sim.replication, name, part)
    try:
        return run(scenario, "documented", scenario.retry)
    finally:
        for name, part in kept.items():
            setattr(sim.replication, name, part)


def whole_model(scenario, **parts):
    """Seconds of a run from its first event to the end of its tables, and its result."""
    result = run_of(scenario, Kernel=_TimedKernel, **parts)
    return process_time() - _TimedKernel.began, result


def whole_model_unrecorded(scenario):
    """Seconds of the same run taking nothing down: the same actors do the same at the same instants."""
    return whole_model(scenario, **UNRECORDED)[0]


class _NoResult:
    def _replace(self, **_):
        return self


def _no_result(*_, **__):
    return _NoResult()


UNRECORDED = {"Recorder": UnrecordedRun, "ExecutionLedger": UnrecordedLedger, "_result": _no_result}


RUNGS = {
    "heap loop": lambda attempts, _: heap_loop(WORKERS, attempts),
    "SimPy": lambda attempts, _: simpy_skeleton(WORKERS, attempts),
    "link": lambda attempts, _: link_alone(attempts),
    "streams": lambda attempts, _: link_alone(attempts, own_streams=True),
    "store": lambda attempts, _: link_alone(attempts, own_streams=True, reads=True),
    "actors": lambda attempts, scenario: whole_model_unrecorded(scenario) / attempts,
    "records": lambda attempts, scenario: whole_model(scenario)[0] / attempts,
}
"""What gives the seconds an attempt, from how many there are and the scenario that makes them."""


def attempts_made() -> int:
    """Count the attempts of the scenario."""
    return sum(whole_model(load("claim_storm", STORM))[1].attempts.column("total").to_pylist())


def microseconds(rung: str, attempts: int) -> float:
    """Measure one rung in a process that has done nothing else: once shortly, then in earnest."""
    RUNGS[rung](WORKERS, load("claim_storm", [*STORM, "horizon.run=100ms"]))
    gc.collect()
    return 1e6 * RUNGS[rung](attempts, load("claim_storm", STORM))


def rungs(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Measure every rung in turn, several times: microseconds an attempt, round by round.

    Each in a process of its own, as a run has it: memory that another rung has left in pieces costs cache.
    """
    found: dict[str, list[float]] = {name: [] for name in RUNGS}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        attempts = pool.submit(attempts_made).result()
        for _ in range(rounds):
            for name in RUNGS:
                found[name].append(pool.submit(microseconds, name, attempts).result())
    return found


def shares(found: dict[str, list[float]]) -> dict[str, list[float]]:
    """Give the share of the SimPy skeleton's speed that is left at each rung, round by round."""
    return {
        name: [bare / own for bare, own in zip(found["SimPy"], taken, strict=True)]
        for name, taken in found.items()
    }


def table(found: dict[str, list[float]]) -> str:
    """Write the ladder, a row a rung.

    Neighbours on the machine only ever slow a rung down: the fastest rounds say most about the code.
    """
    fastest = {name: min(taken) for name, taken in found.items()}
    head = "share of SimPy's speed: fastest; median (least to most)"
    lines = [f"{'rung':10} {'fastest us':>10} {'adds':>6}  {head}"]
    before = 0.0
    for name, left in shares(found).items():
        us = fastest[name]
        spread = f"{median(left):.3f} ({min(left):.3f} to {max(left):.3f})"
        lines.append(f"{name:10} {us:10.2f} {us - before:+6.2f}  {fastest['SimPy'] / us:.3f}; {spread}")
        before = us
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(rungs(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)))
