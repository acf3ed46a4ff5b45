"""What a run keeps of executions that are finished, and what it lets go before it makes its tables."""

from sim.replication import run
from sim.scenario import loads
from sim.store.partition import Partition

QUIET = """
about: Nine executions, of which eight have time to be finished
horizon: {warmup: 0s, run: 10s, drain: 0s}
store: {partitions: 2}
workload:
  arrivals: {deterministic: {rate: 1/s}}
  classes: {job: {work: 1200ms}}
workers: {count: 4, claim: direct, poll: 100ms}
schedulers: {count: 0}
reconcilers: {count: 1}
"""


def test_who_is_finished_stands_in_columns_and_nothing_is_left_when_tables_are_made(monkeypatch):
    kept, forget = [], Partition.forget_executions

    def watched(store):
        whole, finished = sorted(store.executions), sorted(store.finished)
        forget(store)
        kept.append((whole, finished, len(store.executions), len(store.finished)))

    monkeypatch.setattr(Partition, "forget_executions", watched)
    scenario = loads(QUIET)
    result = run(scenario, "arm", scenario.retry)
    finished = result.executions.filter(result.executions["finished_us"].is_valid())["execution"].to_pylist()
    of_partition = [[each for each in finished if each % 2 == number] for number in range(2)]
    unfinished = [each for each in range(result.executions.num_rows) if each not in finished]
    assert [columns for _, columns, *_ in kept] == of_partition
    assert sorted(kept[0][0] + kept[1][0]) == unfinished
    assert [left for *_, whole, columns in kept for left in (whole, columns)] == [0, 0, 0, 0]
    assert (len(finished), len(unfinished)) == (8, 1)
