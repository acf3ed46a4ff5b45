"""The composition root: one scenario, one arm, one replication, from parts to records."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sim.actors.base import ACTIONS, World
from sim.actors.flows import Dispatcher, FlowBuilder, FlowSubmitter
from sim.actors.limits import USAGE, quota_limits
from sim.actors.operator import Operator
from sim.actors.reconciler import Reconciler
from sim.actors.scheduler import Scheduler
from sim.actors.signaler import Signaler
from sim.actors.submitter import Submitter
from sim.actors.worker import Worker
from sim.analysis.levels import (
    AT_WORK,
    EXECUTIONS,
    IN_FLIGHT,
    STORE,
    Line,
    contention_lines,
    intent_lines,
    series_table,
)
from sim.analysis.sojourn import PARTS, executions_table, sojourns
from sim.checks import CheckedKernel, Checks, most_in_an_instant
from sim.faults import Faults, draw_windows
from sim.kernel import Kernel
from sim.ledger import ExecutionLedger
from sim.levels import Level, grid
from sim.limits import Limits, Watch
from sim.link import OPS, Link, servers_of
from sim.record import Recorder, fingerprint
from sim.rng import Streams
from sim.store import OPERATIONS
from sim.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from sim.faults import FaultWindow
    from sim.limits import Truncation
    from sim.link import Observer, Server
    from sim.retry import PolicySpec
    from sim.scenario import Scenario
    from sim.transactions import TransactionServer

NO_LIMITS: Final = Limits()


class RunResult(NamedTuple):
    """The records of one replication.

    Attributes
    ----------
    arm : str
        Name of the arm, that is of its retry policy.
    replication : int
        From 0.
    contentions, intents, executions, attempts, series : pyarrow.Table
        The records; attempts are counts, series are levels over time.
    attempt_rows : pyarrow.Table or None
        Every attempt, when that was asked for.
    fingerprint : str
        SHA-256 of the canonical records (contentions, intents, executions).
    faults : list of FaultWindow
        What was drawn.
    window_us : tuple of int
        Start and end of the window that tables take; it ends where the run did, when that was earlier.
    truncation : Truncation or None
        Where the run ended before its time, and because of which limit.
    """

    arm: str
    replication: int
    contentions: pa.Table
    intents: pa.Table
    executions: pa.Table
    attempts: pa.Table
    series: pa.Table
    attempt_rows: pa.Table | None
    fingerprint: str
    faults: list[FaultWindow]
    window_us: tuple[int, int]
    truncation: Truncation | None = None


def run(
    scenario: Scenario,
    arm: str,
    policy: PolicySpec,
    replication: int = 0,
    *,
    keep_attempts: bool = False,
    limits: Limits = NO_LIMITS,
    observer: Observer | None = None,
    check: bool = False,
) -> RunResult:
    """Simulate one replication.

    Parameters
    ----------
    scenario
        What to simulate.
    arm
        The name under which the records stand.
    policy
        The retry policy of every actor.
    replication
        Which one; together with the scenario's seed it determines every random draw.
    keep_attempts
        Give every attempt as a row besides.
    limits
        What the run may use; one that needs more ends early and says so.
    observer
        Sees every attempt at the store and at its caller; the records are the same.
    check
        Watch the invariants of :mod:`sim.checks` while it goes on, and look at its end; the records are
        the same.

    Returns
    -------
    RunResult
        The records, each with its arm and replication.

    Raises
    ------
    sim.checks.CheckFailed
        With ``check``: when something happened that must not.
    """
    horizon = scenario.horizon
    end_us = horizon.end_us
    window_us = (horizon.warmup, horizon.arrivals_end_us)
    edges = grid(window_us, end_us)
    kernel = CheckedKernel(most_in_an_instant(scenario)) if check else Kernel()
    actions = [action.value for action in ACTIONS]
    recorder = Recorder(OPS, actions, window_us, edges=edges, keep_attempts=keep_attempts)
    world, servers = _compose(scenario, policy, replication, kernel, recorder)
    watch = Watch(limits, kernel, recorder)
    if observer is not None:
        world.link.observe(observer)
    checks = Checks(scenario, kernel, servers, recorder, world.ledger) if check else None
    windows = draw_windows(scenario, world.streams, end_us)
    with _rare_collections():
        workers = _start_actors(world, world.ledger, servers, windows, horizon.arrivals_end_us)
        kernel.run_until(end_us)
    ended_us = kernel.now_us
    if checks is not None and watch.truncation is None:  # else the end is not that of the scenario
        checks.at_end()
    for worker in workers:
        worker.close()
    recorder.end_all(ended_us, "open")
    recorder.leave_open(world.link.sent_and_open())
    run = _result(world, servers, arm, replication, edges, window_us, keep_attempts=keep_attempts)
    return run._replace(faults=windows, truncation=watch.truncation)


def _compose(
    scenario: Scenario, policy: PolicySpec, replication: int, kernel: Kernel, recorder: Recorder
) -> tuple[World, Sequence[Server | TransactionServer]]:
    """Put together what actors live in, and the servers of its store, where nothing has happened yet."""
    streams = Streams(scenario.seed, replication)
    ledger = ExecutionLedger()
    servers = servers_of(scenario.store, kernel, streams)
    link = Link(kernel, servers, recorder, ledger, scenario.link)
    workload = Workload(scenario.workload, streams, scenario.store.partitions)
    _create_limits(scenario, link, servers)
    return World(kernel, link, recorder, ledger, workload, streams, scenario, policy), servers


def _create_limits(scenario: Scenario, link: Link, servers: Sequence[Server | TransactionServer]) -> None:
    """Put the quotas and budgets of a scenario into the store, each where its number belongs."""
    for number, quota in enumerate(scenario.quotas.values()):
        store = servers[link.partition_of(number)].store
        store.create_quota_policy(0, number, *quota_limits(quota))
    for number, budget in enumerate(scenario.budgets.values()):
        store = servers[link.partition_of(number)].store
        store.create_budget(0, number, [(USAGE, budget.limit, 0)])


def _result(
    world: World,
    servers: Sequence[Server | TransactionServer],
    arm: str,
    replication: int,
    edges: np.ndarray,
    window_us: tuple[int, int],
    *,
    keep_attempts: bool,
) -> RunResult:
    """Make the records of a run that has ended; its faults and what cut it short are not among them."""
    recorder, ledger, scenario = world.recorder, world.ledger, world.scenario
    for server in servers:
        server.store.forget_executions()  # The tables that follow need as much room again.
    ended_us = world.kernel.now_us
    contentions, intents = recorder.contentions(), recorder.intents()
    passed = [Level(edges) for _ in PARTS]
    found = sojourns(ledger.changes(ended_us), ledger.stretches(), OPERATIONS, ended_us, passed)
    ledger.forget_changes()
    executions = executions_table(found, world.workload.class_name, window_us)
    del found
    lines = [
        Line.of(IN_FLIGHT, "", recorder.in_flight),
        *(Line.of(EXECUTIONS, part, level) for part, level in zip(PARTS, passed, strict=True)),
        _at_work(ledger, edges, scenario.workers.count * scenario.workers.slots),
        *_store_lines(servers, edges),
        *intent_lines(intents, edges),
        *contention_lines(contentions, edges),
    ]
    return RunResult(
        arm=arm,
        replication=replication,
        contentions=_labelled(contentions, arm, replication),
        intents=_labelled(intents, arm, replication),
        executions=_labelled(executions, arm, replication),
        attempts=_labelled(recorder.attempts(), arm, replication),
        series=_labelled(_until(series_table(lines, edges, window_us), ended_us), arm, replication),
        attempt_rows=_labelled(recorder.attempt_rows(), arm, replication) if keep_attempts else None,
        fingerprint=fingerprint([contentions, intents, executions]),
        faults=[],
        window_us=_observed(window_us, ended_us),
        truncation=None,
    )


def _observed(window_us: tuple[int, int], end_us: int) -> tuple[int, int]:
    """Give the part of a window that lies before the end of the run."""
    start_us, until_us = window_us
    return start_us, max(start_us, min(until_us, end_us))


def _until(series: pa.Table, end_us: int) -> pa.Table:
    """Give the bins that a run has seen to their end: all of them, unless it was ended early."""
    return series.filter(pc.less_equal(series["to_us"], end_us))


def _at_work(ledger: ExecutionLedger, edges: np.ndarray, slots: int) -> Line:
    """Make the line of slots at work."""
    stretches = ledger.stretches()
    level = Level(edges)
    level.add(stretches["from_us"], stretches["to_us"])
    return Line.of(AT_WORK, "", level, slots)


def _store_lines(servers: Sequence[Server | TransactionServer], edges: np.ndarray) -> list[Line]:
    """Make the lines of busy sessions, a partition each."""
    lines = []
    for number, server in enumerate(servers):
        level = Level(edges)
        level.add(*server.busy_us())
        lines.append(Line.of(STORE, str(number), level, server.sessions))
    return lines


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let the collector of cycles run a hundredth as often: a run makes millions of objects, few cycles."""
    thresholds = gc.get_threshold()
    gc.set_threshold(thresholds[0] * 100, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def _start_actors(
    world: World,
    ledger: ExecutionLedger,
    servers: Sequence[Server | TransactionServer],
    windows: list[FaultWindow],
    until_us: int,
) -> list[Worker]:
    """Create the actors and start them: the order is that of ties at the first instant. Give the workers."""
    scenario = world.scenario
    submitter = Submitter(world, 0, ledger, until_us)
    schedulers = [Scheduler(world, number) for number in range(scenario.schedulers.count)]
    reconcilers = [Reconciler(world, number) for number in range(scenario.reconcilers.count)]
    suspends = any(each.suspends is not None for each in scenario.workload.classes.values())
    signaler = Signaler(world, 0) if suspends else None
    workers = [
        Worker(world, number, schedulers, reconcilers, signaler) for number in range(scenario.workers.count)
    ]
    submitter.start()
    _start_flows(world, ledger, until_us)
    for reconciler in reconcilers:
        reconciler.start()
    Faults(world.kernel, workers, world.troubles, servers).apply(windows)
    for worker in workers:
        worker.start()
    if scenario.operators.is_busy:
        for number in range(scenario.operators.count):
            Operator(world, number, reconcilers, until_us).start()
    return workers


def _start_flows(world: World, ledger: ExecutionLedger, until_us: int) -> None:
    """Create who makes flows and who resolves them, where the workload has any."""
    workload = world.scenario.workload
    flows = workload.flows
    if flows is None and all(each.children is None for each in workload.classes.values()):
        return
    ledger.on_end = Dispatcher(world, 0, flows).ended
    if flows is not None:
        builders = [FlowBuilder(world, number, flows) for number in range(flows.builders)]
        FlowSubmitter(world, 0, flows, builders, until_us).start()


def _labelled(table: pa.Table, arm: str, replication: int) -> pa.Table:
    """Put arm and replication in front of the columns of a table."""
    rows = table.num_rows
    names = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([arm]))
    return table.add_column(0, "arm", names).add_column(
        1, "replication", pa.array([replication] * rows, pa.int32())
    )
