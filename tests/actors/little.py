"""Little simulations, whose whole log is asserted."""

from sim.replication import run
from sim.scenario import loads

# One worker, one scheduler, one partition; a request takes 100 us, service 50 us, a reply 200 us.
EXACT = """
about: a little simulation with constant delays
horizon: {warmup: 0s, run: 23ms, drain: 0s}
store: {partitions: 1, service: 50us}
link: {request: 100us, reply: 200us, timeout: 50ms}
workload: {arrivals: {burst: {count: 2}}, classes: {job: {work: 10ms}}}
workers: {count: 1, poll: 1ms}
reconcilers: {count: 0}
"""


def simulate(*overrides, text=EXACT, policy=None):
    scenario = loads(text, overrides)
    return run(scenario, "arm", policy or scenario.retry, keep_attempts=True)


def attempts(result, *columns):
    names = columns or ("actor", "op", "execution", "sent_us", "arrived_us", "done_us", "code")
    return [tuple(row[name] for name in names) for row in result.attempt_rows.to_pylist()]


def intents(result):
    names = ("goal", "actor", "execution", "start_us", "end_us", "resolution", "cause", "attempts")
    return [tuple(row[name] for name in names) for row in result.intents.to_pylist()]


def contentions(result, *columns):
    names = columns or ("done_us", "actor", "op", "code", "kind", "nth", "action", "delay_us")
    return [tuple(row[name] for name in names) for row in result.contentions.to_pylist()]


def executions(result):
    names = ("execution", "created_us", "leased_us", "finished_us", "outcome", "leases")
    return [tuple(row[name] for name in names) for row in result.executions.to_pylist()]


def story(result, *execution):
    """Give what was done, without the reads: actor, operation, execution, when it was known, code."""
    rows = attempts(result, "actor", "op", "execution", "done_us", "code")
    done = [row for row in rows if not row[1].startswith("read_")]
    return [row for row in done if row[2] in execution] if execution else done
