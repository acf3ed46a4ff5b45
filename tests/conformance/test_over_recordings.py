"""Over recorded operations, in every dialect: whom a refusal names, and that columns change no answer."""

from pathlib import Path

import pytest

from sim.conformance import read_steps
from sim.store import PRESETS, Store
from sim.store.state import Phase

TRACES = Path(__file__).parents[1] / "data" / "traces"

NOBODY = {
    "execution_not_found", "flow_not_found", "execution_not_in_flow", "no_eligible_execution",
    "invalid_input", "invalid_policy_json", "invalid_capabilities", "invalid_blocking_reason",
    "fence_required", "partial_fence_triple", "self_referencing_edge", "missing_token", "invalid_token",
}  # fmt: skip
ABOUT = {
    "flows": {"flow_already_terminal", "stale_graph_revision", "cycle_detected", "dependency_already_exists"},
    "quotas": {"RATE_EXCEEDED", "CONCURRENCY_EXCEEDED"},
    "waitpoints": {
        "waitpoint_not_found", "waitpoint_already_exists", "waitpoint_not_pending", "waitpoint_closed",
        "waitpoint_pending_use_buffer_script", "invalid_waitpoint_for_execution", "pending_waitpoint_expired",
    },
}  # fmt: skip
"""By the table of the record that a code is about; every other code is about the execution."""


def _table(code, ended):
    if code == "target_not_signalable":
        return "executions" if ended else "waitpoints"
    return next((table for table, codes in ABOUT.items() if code in codes), "executions")


def _stamps(store, args):
    """The stamp of every record that an operation is told of, and whether its execution has ended."""
    keys = {"executions": args.get("execution", args.get("downstream"))}
    keys |= {f"{name}s": args.get(name) for name in ("flow", "quota", "waitpoint")}
    records = {table: getattr(store, table).get(key) for table, key in keys.items()}
    ex = records["executions"]
    return (
        {table: record.changed if record is not None else None for table, record in records.items()},
        ex is not None and ex.state.phase is Phase.TERMINAL,
    )


@pytest.mark.parametrize(("dialect", "met"), [("contract", 160), ("valkey", 157), ("postgres", 149)])
def test_a_refusal_names_what_changed_last_the_record_that_it_is_about(dialect, met):
    """Every pair of an operation and a code that a third of the recordings meets: so many."""
    pairs = set()
    for recording in sorted(TRACES.glob("*.jsonl.gz"))[::3]:
        store = Store(PRESETS[dialect])
        for store.stamp, step in enumerate(read_steps(recording)):
            stamps, ended = _stamps(store, step["args"])
            outcome = getattr(store, step["op"])(step["t_ms"], **step["args"])
            if not outcome.ok:
                rival = None if outcome.code in NOBODY else stamps[_table(outcome.code, ended)]
                assert outcome.rival == rival, (recording.name, store.stamp, step["op"], outcome.code)
                pairs.add((step["op"], outcome.code))
    assert len(pairs) == met


@pytest.mark.parametrize(("dialect", "moves"), [("contract", 1417), ("valkey", 1103), ("postgres", 1343)])
def test_finished_executions_in_columns_answer_as_whole_ones_do(dialect, moves):
    """A third of the recordings moves executions there so many times."""
    moved = 0
    for recording in sorted(TRACES.glob("*.jsonl.gz"))[1::3]:
        whole, columns = Store(PRESETS[dialect]), Store(PRESETS[dialect])
        for number, step in enumerate(read_steps(recording)):
            told = []
            for store in (whole, columns):
                store.stamp = number
                outcome = getattr(store, step["op"])(step["t_ms"], **step["args"])
                told.append((outcome.code, outcome.kind, outcome.values, getattr(outcome, "rival", None)))
            assert told[0] == told[1], (recording.name, number, step["op"])
            moved += sum(
                columns.compact(step["args"].get(name)) for name in ("execution", "upstream", "downstream")
            )
    assert moved == moves
