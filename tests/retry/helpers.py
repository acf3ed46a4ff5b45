"""Refusals, scripted streams and waits for the tests of policies."""

from sim.contention import ContentionKind
from sim.retry import Observed, Refusal, parse_policy
from sim.rng import Streams

K = ContentionKind
POLL_US = 200_000


def scripted(*values):
    """Give a stream that yields these draws and fails when it is asked for more."""
    return iter(values).__next__


def no_draws():
    raise AssertionError("nothing is to be drawn here")


def seeded(name="test"):
    return Streams(20261123, 0).uniform(name)


def refusal(
    kind=K.INVALID_CLAIM_GRANT, op="claim_execution", goal="finish", nth=1, elapsed_us=0, now_us=0,
    retry_after_ms=None, memory=None,
):  # fmt: skip
    code = "unknown" if kind is None else kind.value
    return Refusal(kind, code, op, goal, nth, elapsed_us, now_us, retry_after_ms, memory)


def observed(ok=True, kind=None, op="claim_execution", goal="finish", failures=0, now_us=0, memory=None):
    return Observed(ok, kind, op, goal, failures, now_us, memory)


def build(policy, uniform=no_draws, poll_us=POLL_US, fleet=None):
    return parse_policy(policy).build(uniform=uniform, poll_us=poll_us, fleet=fleet)


def delays(backoff, uniform=no_draws, retries=12, **fields):
    """Give the waits of one intent's retries 1, 2, ... in microseconds."""
    return waits_of(build({"backoff": backoff, "limits": {"attempts": None}}, uniform), retries, **fields)


def waits_of(policy, retries, **fields):
    waits, memory = [], None
    for nth in range(1, retries + 1):
        asked = refusal(nth=nth, memory=memory, **fields)
        waits.append(policy.decide(asked).delay_us)
        memory = asked.memory
    return waits


def ms(*values):
    return [round(value * 1000) for value in values]


def seconds(*values):
    return [round(value * 1_000_000) for value in values]
