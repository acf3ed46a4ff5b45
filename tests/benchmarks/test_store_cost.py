"""What the store costs: microseconds per operation, how they grow with its size, bytes per execution.

``make bench`` prints the figures. What is asserted are ratios within one run, and bounds far above what any
machine of today needs: no absolute figure outlives its machine.
"""

import gc
import tracemalloc
from collections import defaultdict
from math import log
from pathlib import Path
from statistics import mean, median
from time import perf_counter_ns

import pytest

from sim.conformance import read_steps
from sim.store import CONTRACT, VALKEY, Store

TRACES = Path(__file__).parents[1] / "data" / "traces"
SMALL, LARGE = 1_000, 100_000
CYCLES = 300

# What a heap may cost more when it is a hundred times as large, and what caches may add to that: the records
# of the large store are beyond the second-level cache, so that every operation on one misses it a few times.
LOGARITHM = log(LARGE) / log(SMALL)
SLACK = 2.5

TTL_MS = 10**9


def _clock_ns():
    """Cost of reading the clock twice."""
    samples = []
    for _ in range(1000):
        began = perf_counter_ns()
        samples.append(perf_counter_ns() - began)
    return median(samples)


def _show(capsys, title, rows):
    with capsys.disabled():
        print(f"\n{title}")
        for row in rows:
            print("  " + row)


def test_microseconds_by_operation_over_the_recordings(capsys):
    overhead_ns = _clock_ns()
    samples = defaultdict(list)
    gc.disable()
    for path in sorted(TRACES.glob("*.jsonl.gz"))[::2]:
        store = Store(VALKEY)
        for step in read_steps(path):
            operation, now_ms, arguments = getattr(store, step["op"]), step["t_ms"], step["args"]
            began = perf_counter_ns()
            operation(now_ms, **arguments)
            samples[step["op"]].append(perf_counter_ns() - began - overhead_ns)
    gc.enable()
    costs_us = {op: (median(taken) / 1000, len(taken)) for op, taken in samples.items()}
    everything_us = mean([ns for taken in samples.values() for ns in taken]) / 1000
    rows = [
        f"{us:6.2f}  {op} ({count:,})" for op, (us, count) in sorted(costs_us.items(), key=lambda i: i[1])
    ]
    _show(capsys, f"microseconds per operation, recorded arguments; {everything_us:.2f} on average", rows)
    assert max(us for us, _ in costs_us.values()) < 100


def _filled(size):
    """A store with so many executions: a half waiting, three tenths leased, two tenths delayed."""
    store = Store(CONTRACT)
    for number in range(size):
        part = number % 10
        lane = "waiting" if part < 5 else "leased" if part < 8 else "delayed"
        store.stamp = (1, 2, number)
        store.create_execution(number, number, lane, 0, TTL_MS + number if lane == "delayed" else None)
        if lane == "leased":
            store.issue_claim_grant(number, number, 7, lane, TTL_MS)
            store.claim_execution(number, number, 7, number, TTL_MS, number)
    return store


def _costs_us(size):
    """Median microseconds by step of an execution's way through a filled store, in constant company."""
    store = _filled(size)
    overhead_ns = _clock_ns()
    samples = defaultdict(list)

    def timed(name, operation, *arguments):
        began = perf_counter_ns()
        outcome = operation(*arguments)
        samples[name].append(perf_counter_ns() - began - overhead_ns)
        return outcome

    gc.disable()
    for cycle in range(CYCLES):
        now_ms, new = size + cycle, size + cycle
        store.stamp = (1, 2, now_ms)
        timed("create", store.create_execution, now_ms, new, "waiting")
        candidates = timed("read head", store.read_eligible, now_ms, "waiting", 1).values["candidates"]
        timed("read eight", store.read_eligible, now_ms, "waiting", 8)
        execution = candidates[0][0]
        timed("grant", store.issue_claim_grant, now_ms, execution, 7, "waiting", 100)
        timed("grant, refused", store.issue_claim_grant, now_ms, execution, 8, "waiting", 100)
        timed("claim", store.claim_execution, now_ms, execution, 7, now_ms, TTL_MS, now_ms)
        timed("claim, refused", store.claim_execution, now_ms, execution, 8, now_ms, TTL_MS, now_ms)
        timed("renew", store.renew_lease, now_ms, execution, 0, now_ms, now_ms, 1, TTL_MS)
        timed("read lapsed", store.read_lapsed_leases, now_ms, 50)
        timed("read due", store.read_due_delayed, now_ms, "delayed", 50)
        timed("change priority", store.change_priority, now_ms, new, 1)
        timed("change priority back", store.change_priority, now_ms, new, 0)
        timed("complete", store.complete_execution, now_ms, execution, now_ms, 1, now_ms)
        timed("complete, refused", store.complete_execution, now_ms, execution, now_ms, 1, now_ms)
        timed("compact", store.compact, execution)
    gc.enable()
    return {name: median(taken) / 1000 for name, taken in samples.items()}


def test_no_operation_grows_faster_than_a_logarithm(capsys):
    small, large = _costs_us(SMALL), _costs_us(LARGE)
    rows = [
        f"{small[name]:6.2f} {large[name]:6.2f}  x{large[name] / small[name]:.2f}  {name}" for name in small
    ]
    _show(capsys, f"microseconds per operation with {SMALL:,} and with {LARGE:,} executions", rows)
    assert {name for name in small if large[name] > SLACK * LOGARITHM * small[name]} == set()


def _bytes_per_execution(size, finish):
    """Bytes a store holds per execution, the caller's id and stamp included."""
    tracemalloc.start()
    store = Store(CONTRACT)
    before = tracemalloc.get_traced_memory()[0]
    for number in range(size):
        store.stamp = (1, 2, 1000 * number)
        store.create_execution(number, number, "main")
        finish(store, number)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return grown / size


def _leased(store, number):
    store.issue_claim_grant(number, number, 7, "main", 100)
    store.claim_execution(number, number, 7, number, TTL_MS, number)


def _finished(store, number):
    _leased(store, number)
    store.complete_execution(number, number, number, 1, number)
    store.read_eligible(number, "main", 1)


def _compacted(store, number):
    _finished(store, number)
    assert store.compact(number)


@pytest.mark.slow
def test_bytes_per_execution(capsys):
    waiting = _bytes_per_execution(LARGE, lambda store, number: None)
    leased = _bytes_per_execution(LARGE, _leased)
    finished = _bytes_per_execution(LARGE, _finished)
    compacted = _bytes_per_execution(LARGE, _compacted)
    own = f"{waiting:.0f} waiting, {leased:.0f} leased, {finished:.0f} finished, {compacted:.0f} in columns"
    _show(capsys, "bytes per execution, id and stamp of the caller included", [own])
    assert compacted < finished < leased
    assert 5_000_000 * compacted < 4 * 2**30
