"""A timeline of one replication that Perfetto and chrome://tracing open.

The format is Chrome's *Trace Event Format* (JSON object form; Google, "Trace Event Format", 2016; sections
"Complete events", "Async events", "Flow events" and "Metadata events"). Every actor, every partition of the
store, and the faults are a process of their own, with threads for what can overlap:

======== =========================================================================================
attempts operations from being sent to being answered, on as many threads as overlap; of an actor that has
         more than 32 under way (a submitter in a burst) as asynchronous spans, without arrows
lease    from the accepted claim to the end of the attempt that gives the lease back, or to its loss
work     from the accepted claim to the sending of that attempt
served   at a partition: from taking effect to leaving, or the whole transaction where there are any
faults   fault windows, a thread for each target
======== =========================================================================================

An arrow runs from the operation of a rival to the attempt that was refused because of it. Timestamps are
microseconds of simulated time, which is the format's own unit.

The replication is simulated once more, with an observer of its link: a run without a trace pays nothing, and
that the second run has the fingerprint of the first one is checked.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.output import ResultsError
from sim.record import NONE
from sim.replication import run
from sim.retry import parse_policy
from sim.scenario import Scenario, ScenarioError
from sim.units import US_PER_S, format_duration, parse_duration_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sim.faults import FaultWindow
    from sim.record import Attempt
    from sim.results import Study

DEFAULT_LENGTH_US: Final = 10 * US_PER_S
MOST_LANES: Final = 32
"""Up to so many attempts of one actor at a time have threads of their own, and arrows."""
FILE: Final = "trace.json.gz"

_TAKES: Final = frozenset(
    {"claim_execution", "claim_resumed_execution", "reclaim_execution", "claim_next", "issue_grant_and_claim"}
)
_GIVES_BACK: Final = frozenset(
    {"complete_execution", "fail_execution", "delay_execution", "move_to_waiting_children",
     "suspend_execution"}
)  # fmt: skip
_RANK: Final = ("scheduler", "worker", "reconciler")
"""In which order kinds of actors are shown; the others follow in the order of their names."""


class Trace(NamedTuple):
    """What was written.

    Attributes
    ----------
    path : Path
        The file.
    words : str
        What it holds, for the user.
    """

    path: Path
    words: str


class _Sent(NamedTuple):
    """An attempt as its actor saw it."""

    sent_us: int
    done_us: int
    started_us: int
    actor: str
    actor_index: int
    op: str
    op_index: int
    answer: str
    code: str
    kind: str | None
    execution: int
    intent: int
    rival: tuple[int, int, int] | None


class _Served(NamedTuple):
    """An operation as a partition saw it."""

    from_us: int
    to_us: int
    partition: int
    actor: str
    op: str
    code: str
    arrived_us: int
    execution: int


class _Lease:
    """A lease as its worker believed in it."""

    __slots__ = ("actor", "end", "execution", "from_us", "to_us", "work_to_us")

    def __init__(self, actor: str, execution: int, from_us: int) -> None:
        self.actor, self.execution, self.from_us = actor, execution, from_us
        self.to_us: int | None = None
        self.work_to_us: int | None = None
        self.end = "open when the run ended"


class Tracer:
    """Takes down what passes over the link within a window, and all leases.

    Parameters
    ----------
    window_us
        Start and end: what overlaps [start, end) is taken down.
    transactions
        Whether operations are transactions that take time before they take effect.
    """

    def __init__(self, window_us: tuple[int, int], *, transactions: bool) -> None:
        self._from_us, self._to_us = window_us
        self._transactions = transactions
        self.sent: list[_Sent] = []
        self.served_rows: list[_Served] = []
        self.leases: list[_Lease] = []
        self._held: dict[tuple[str, int], _Lease] = {}

    def served(self, partition: int, attempt: Attempt, outcome: Any, finish_us: int) -> None:
        """Take down an operation at the store."""
        begin_us = attempt.arrived_us if self._transactions else attempt.started_us
        if begin_us < self._to_us and finish_us >= self._from_us:
            self.served_rows.append(
                _Served(begin_us, finish_us, partition, attempt.process.owner.name, attempt.op.name,
                        outcome.code, attempt.arrived_us, attempt.execution)
            )  # fmt: skip

    def answered(self, attempt: Attempt, outcome: Any) -> None:
        """Take down an attempt at its actor, and what it means for a lease."""
        actor, op = attempt.process.owner.name, attempt.op.name
        answer = "ok" if outcome.ok else "unknown" if outcome.kind is None else "refused"
        execution = attempt.execution
        if execution == NONE and answer == "ok" and op == "claim_next":
            found = outcome.values["execution"]
            execution = NONE if found is None else found
        self._follow_lease(actor, op, answer, execution, attempt)
        if attempt.sent_us < self._to_us and attempt.done_us >= self._from_us:
            kind, intent = outcome.kind, attempt.intent
            self.sent.append(
                _Sent(attempt.sent_us, attempt.done_us, getattr(attempt, "started_us", NONE), actor,
                      attempt.actor, op, attempt.op.index, answer, outcome.code,
                      None if kind is None else kind.value, execution,
                      NONE if intent is None else intent.id, None if kind is None else outcome.rival)
            )  # fmt: skip

    def crashed(self, actor: str, at_us: int) -> None:
        """End the leases that a worker held when it crashed."""
        for lease in self.leases:
            ends_us = lease.to_us
            if lease.actor == actor and lease.from_us <= at_us and (ends_us is None or ends_us > at_us):
                lease.to_us, lease.end = at_us, "crash"
                lease.work_to_us = at_us if lease.work_to_us is None else min(lease.work_to_us, at_us)

    def _follow_lease(self, actor: str, op: str, answer: str, execution: int, attempt: Attempt) -> None:
        key = (actor, execution)
        if op in _TAKES and answer == "ok" and execution != NONE:
            lease = self._held[key] = _Lease(actor, execution, attempt.done_us)
            self.leases.append(lease)
            return
        held = self._held.get(key)
        if held is None:
            return
        if op in _GIVES_BACK:
            if held.work_to_us is None:
                held.work_to_us = attempt.sent_us
            if held.end != "lost":
                held.to_us, held.end = attempt.done_us, f"{op}: {answer}"
        elif op == "renew_lease" and answer == "refused" and held.to_us is None:
            held.to_us, held.end = attempt.done_us, "lost"


def parse_window(text: str) -> tuple[int, int]:
    """Read a window such as ``20s,25s``.

    Raises
    ------
    ScenarioError
        When it is none; the message says what would be right.
    """
    try:
        start, end = (parse_duration_us(part.strip()) for part in text.split(","))
    except ValueError as error:
        reason = str(error) if "duration" in str(error) else "it takes two instants"
        raise ScenarioError([f"--trace-window {text!r}: {reason} (try '20s,25s')"]) from None
    if end <= start:
        raise ScenarioError([f"--trace-window {text!r}: it ends before it begins (try '20s,25s')"])
    return start, end


def write_trace(study: Study, window_us: tuple[int, int] | None = None) -> Trace:
    """Write the timeline of the first replication of a study's first arm, into its folder.

    Parameters
    ----------
    study
        What was run.
    window_us
        Start and end in microseconds of simulated time; by default the first 10 s of the study's window.

    Returns
    -------
    Trace
        Where it lies, and what it holds.

    Raises
    ------
    ResultsError
        When the run cannot be repeated as it was, or the file cannot be written.
    """
    start_us = study.window_us[0]
    window_us = window_us or (start_us, min(start_us + DEFAULT_LENGTH_US, study.window_us[1]))
    arm, replication = study.arms[0], 0
    document = trace_of(study, arm, replication, window_us)
    path, temporary = study.directory / FILE, study.directory / f".{FILE}.{os.getpid()}"
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as packed:
        packed.write(json.dumps(document, separators=(",", ":")).encode())
    try:
        temporary.write_bytes(buffer.getvalue())
        temporary.replace(path)
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror}") from None
    begin, end = (format_duration(edge) for edge in window_us)
    return Trace(
        path,
        f"trace: {path}: {arm}, replication {replication}, {begin} to {end} of simulated time, "
        f"{len(document['traceEvents']):,} events; open it at https://ui.perfetto.dev (--trace-window A,B "
        "takes another part)",
    )


def trace_of(study: Study, arm: str, replication: int, window_us: tuple[int, int]) -> dict[str, Any]:
    """Simulate one replication again and give its timeline as a document of the Trace Event Format."""
    scenario = Scenario.model_validate(study.scenario)
    tracer = Tracer(window_us, transactions=scenario.store.rules.transactions == "serializable")
    again = run(scenario, arm, parse_policy(study.policies[arm]), replication, observer=tracer)
    told = [r for r in study.document["runs"] if (r["arm"], r["replication"]) == (arm, replication)]
    if again.fingerprint != told[0]["fingerprint"]:
        raise ResultsError(
            f"{study.directory} cannot be traced: its first replication comes out otherwise here (another "
            "version or platform); run the scenario again"
        )
    horizon = scenario.horizon
    for window in again.faults:
        if window.fault.key == "crash":
            tracer.crashed(f"worker/{window.worker}", window.from_us)
    writer = _Writer(window_us, horizon.arrivals_end_us + horizon.drain)
    writer.add_faults(again.faults)
    writer.add_served(tracer.served_rows, scenario.store.partitions)
    writer.add_actors(tracer.sent, tracer.leases)
    return {
        "displayTimeUnit": "ms",
        "otherData": {
            "scenario": study.name, "study_id": study.study_id, "arm": arm, "replication": replication,
            "from_us": window_us[0], "to_us": window_us[1], "fingerprint": again.fingerprint,
            "refusals": writer.refusals, "arrows": writer.arrows,
        },
        "traceEvents": [*writer.metadata, *sorted(writer.events, key=_order)],
    }  # fmt: skip


def _order(event: dict[str, Any]) -> tuple[Any, ...]:
    return (
        event["ts"],
        event["pid"],
        event["tid"],
        event["ph"],
        -event.get("dur", 0),
        str(event.get("id", "")),
    )


class _Writer:
    """Makes events of rows. Spans of one thread never overlap: each takes the first thread that is free."""

    def __init__(self, window_us: tuple[int, int], end_us: int) -> None:
        self._window_us = window_us
        self._end_us = end_us
        self.metadata: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.refusals = self.arrows = 0
        self._processes = 0
        self._threads = 0

    def add_faults(self, windows: Sequence[FaultWindow]) -> None:
        """Add a process with a thread, or several where windows overlap, for each target."""
        told = [window.as_dict() for window in windows]
        shown = [row for row in told if self._overlaps(row["from_us"], row["to_us"])]
        if not shown:
            return
        pid = self._process("faults")
        for target in dict.fromkeys(row["target"] for row in shown):
            mine = sorted((r["from_us"], r["to_us"], r["fault"]) for r in shown if r["target"] == target)
            for tid, (from_us, to_us, fault) in self._in_lanes(pid, target, mine):
                self._span(pid, tid, from_us, to_us, fault, "fault", {"target": target})

    def add_served(self, rows: Sequence[_Served], partitions: int) -> None:
        """Add a process for each partition of the store."""
        for partition in range(partitions):
            pid = self._process(f"store/{partition}")
            mine = sorted(row for row in rows if row.partition == partition)
            for tid, row in self._in_lanes(pid, "served", mine):
                told = {"actor": row.actor, "code": row.code, "arrived_us": row.arrived_us}
                self._span(pid, tid, row.from_us, row.to_us, row.op, "store", told | _about(row.execution))

    def add_actors(self, sent: Sequence[_Sent], leases: Sequence[_Lease]) -> None:
        """Add a process for each actor, and the arrows between them."""
        self.refusals = sum(row.kind is not None for row in sent)
        places: dict[tuple[int, int, int], tuple[int, int, int]] = {}
        refused: list[tuple[tuple[int, int, int], tuple[int, int, int]]] = []
        for actor in sorted({row.actor for row in sent} | {lease.actor for lease in leases}, key=_rank):
            held = [lease for lease in leases if lease.actor == actor]
            mine = sorted((row for row in sent if row.actor == actor), key=_by_time)
            pid = self._process(actor) if mine or any(map(self._shows, held)) else 0
            self._add_leases(pid, held)
            if _depth(mine) > MOST_LANES:
                self._add_stacked(pid, mine)
                continue
            for tid, row in self._in_lanes(pid, "attempts", mine):
                self._span(pid, tid, row.sent_us, row.done_us, _name(row), "attempt", _told(row))
                inside = row.sent_us <= row.started_us < row.done_us
                place = (pid, tid, row.started_us if inside else row.sent_us)
                if row.started_us != NONE:
                    places[row.actor_index, row.op_index, row.started_us] = place
                if row.rival is not None:
                    refused.append((row.rival, place))
        for rival, place in refused:
            if rival in places:
                self.arrows += 1
                self._arrow(places[rival], place)

    def _add_stacked(self, pid: int, rows: Sequence[_Sent]) -> None:
        """Add attempts that overlap without a bound as asynchronous spans, which a viewer stacks itself."""
        tid = self._thread(pid, "attempts")
        for number, row in enumerate(rows):
            common = {"pid": pid, "tid": tid, "cat": "attempt", "id": f"{pid}/{number}", "name": _name(row)}
            self.events.append({"ph": "b", "ts": row.sent_us, **common, "args": _told(row)})
            self.events.append({"ph": "e", "ts": row.done_us, **common})

    def _add_leases(self, pid: int, leases: Iterable[_Lease]) -> None:
        shown = sorted(filter(self._shows, leases), key=lambda lease: (lease.from_us, lease.execution))
        spans = [(lease.from_us, self._end(lease.to_us), lease) for lease in shown]
        for tid, (from_us, to_us, lease) in self._in_lanes(pid, "lease", spans):
            told = {"execution": lease.execution, "end": lease.end}
            self._span(pid, tid, from_us, to_us, f"lease of {lease.execution}", "lease", told)
        worked = [(lease.from_us, self._end(lease.work_to_us), lease) for lease in shown]
        for tid, (from_us, to_us, lease) in self._in_lanes(pid, "work", worked):
            told = {"execution": lease.execution}
            self._span(pid, tid, from_us, to_us, f"work on {lease.execution}", "work", told)

    def _shows(self, lease: _Lease) -> bool:
        ends = (self._end(lease.to_us), self._end(lease.work_to_us))
        return self._overlaps(lease.from_us, max(ends))

    def _end(self, at_us: int | None) -> int:
        return self._end_us if at_us is None else at_us

    def _overlaps(self, from_us: int, to_us: int) -> bool:
        return from_us < self._window_us[1] and to_us >= self._window_us[0]

    def _in_lanes(self, pid: int, name: str, rows: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """Give each row, which begins with its span, in order of their beginning, the first free thread."""
        free_from: list[int] = []
        tids: list[int] = []
        for row in rows:
            lane = next((n for n, free_us in enumerate(free_from) if free_us <= row[0]), len(free_from))
            if lane == len(free_from):
                free_from.append(0)
                tids.append(self._thread(pid, name if lane == 0 else f"{name} {lane + 1}"))
            free_from[lane] = row[1]
            yield tids[lane], row

    def _process(self, name: str) -> int:
        self._processes += 1
        self._threads = 0
        pid = self._processes
        self.metadata.append(_meta("process_name", pid, 0, {"name": name}))
        self.metadata.append(_meta("process_sort_index", pid, 0, {"sort_index": pid}))
        return pid

    def _thread(self, pid: int, name: str) -> int:
        self._threads += 1
        self.metadata.append(_meta("thread_name", pid, self._threads, {"name": name}))
        self.metadata.append(_meta("thread_sort_index", pid, self._threads, {"sort_index": self._threads}))
        return self._threads

    def _span(
        self, pid: int, tid: int, from_us: int, to_us: int, name: str, category: str, told: dict[str, Any]
    ) -> None:
        self.events.append(
            {"ph": "X", "pid": pid, "tid": tid, "ts": from_us, "dur": to_us - from_us, "name": name,
             "cat": category, "args": told}
        )  # fmt: skip

    def _arrow(self, start: tuple[int, int, int], end: tuple[int, int, int]) -> None:
        for phase, (pid, tid, at_us) in (("s", start), ("f", end)):
            event = {"ph": phase, "pid": pid, "tid": tid, "ts": at_us, "id": self.arrows}
            event |= {"name": "because of", "cat": "rival"}
            self.events.append(event | ({"bp": "e"} if phase == "f" else {}))


def _by_time(row: _Sent) -> tuple[int, ...]:
    return (row.sent_us, row.done_us, row.started_us, row.op_index, row.execution, row.intent)


def _meta(name: str, pid: int, tid: int, told: dict[str, Any]) -> dict[str, Any]:
    return {"ph": "M", "pid": pid, "tid": tid, "name": name, "args": told}


def _name(row: _Sent) -> str:
    return row.op if row.kind is None else f"{row.op}: {row.kind}"


def _told(row: _Sent) -> dict[str, Any]:
    told = {"answer": row.answer, "code": row.code, **_about(row.execution)}
    return told if row.intent == NONE else told | {"intent": row.intent}


def _depth(rows: Sequence[_Sent]) -> int:
    """Give how many rows overlap at most."""
    changes = sorted([(row.sent_us, 1) for row in rows] + [(row.done_us, -1) for row in rows])
    return max(accumulate(change for _, change in changes), default=0)


def _about(execution: int) -> dict[str, int]:
    return {} if execution == NONE else {"execution": execution}


def _rank(actor: str) -> tuple[int, str, int]:
    kind, _, number = actor.partition("/")
    return (_RANK.index(kind) if kind in _RANK else len(_RANK), kind, int(number))
