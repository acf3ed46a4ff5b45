"""The timeline keeps the rules of the Trace Event Format, and shows what happened."""

import gzip
import json
from collections import Counter, defaultdict

import pytest
from typer.testing import CliRunner

from sim import results
from sim.api import run
from sim.cli import app
from sim.contention import ContentionKind
from sim.output import ResultsError
from sim.scenario import ScenarioError
from sim.trace import Tracer, parse_window, trace_of, write_trace
from sim.units import US_PER_S as S

STORM = [
    "horizon.run=4s", "horizon.drain=1s", "workers.count=24", "workers.lease_ttl=1s",
    "workload.arrivals={burst: {count: 200, at: 100ms, every: 2s}}", "link.lose_reply=0.02",
    "faults=[{crash: {workers: 2, at: 1s, down: 1s}}, {store_outage: {from: 3s, to: 3100ms}}]",
]  # fmt: skip
WINDOW = (0, 5 * S)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("trace")
    return run("claim_storm", replications=2, overrides=STORM, out=out)


@pytest.fixture(scope="module")
def document(study):
    return trace_of(study, "documented", 0, WINDOW)


@pytest.fixture(scope="module")
def serializable(tmp_path_factory):
    small = ["horizon.warmup=0s", "horizon.run=2s", "horizon.drain=1s"]
    study = run("atlas", replications=1, overrides=small, out=tmp_path_factory.mktemp("atlas"))
    return trace_of(study, "documented", 0, (0, 2 * S))


REQUIRED = {
    "M": {"pid", "tid", "name", "args"},
    "X": {"pid", "tid", "name", "cat", "ts", "dur", "args"},
    "b": {"pid", "tid", "name", "cat", "ts", "id", "args"},
    "e": {"pid", "tid", "name", "cat", "ts", "id"},
    "s": {"pid", "tid", "name", "cat", "ts", "id"},
    "f": {"pid", "tid", "name", "cat", "ts", "id", "bp"},
}


def mistakes(document):
    """Give what breaks a rule of the format."""
    found = []
    named = set()
    spans = defaultdict(list)
    pairs = {"s": {}, "f": {}, "b": {}, "e": {}}
    for event in document["traceEvents"]:
        phase = event.get("ph")
        if phase not in REQUIRED or event.keys() - {"ph"} != REQUIRED[phase]:
            found.append(f"keys of {event}")
            continue
        numbers = [event[key] for key in ("pid", "tid", "ts", "dur") if key in event]
        if not all(type(number) is int and number >= 0 for number in numbers):
            found.append(f"numbers of {event}")
        if phase == "M":
            named.add((event["name"], event["pid"], event["tid"]))
            continue
        pid, tid = event["pid"], event["tid"]
        if not {("process_name", pid, 0), ("thread_name", pid, tid)} <= named:
            found.append(f"nameless track of {event}")
        if phase == "X":
            spans[pid, tid].append((event["ts"], event["ts"] + event["dur"]))
        elif event["id"] in pairs[phase]:
            found.append(f"second {phase} of {event['id']}")
        else:
            pairs[phase][event["id"]] = event
    for opens, closes in ("sf", "be"):
        if pairs[opens].keys() != pairs[closes].keys():
            found.append(f"{opens} without {closes}")
        found += [
            f"{closes} of {key} comes first" for key, event in pairs[opens].items()
            if key in pairs[closes] and event["ts"] > pairs[closes][key]["ts"]
        ]  # fmt: skip
    for track, rows in spans.items():
        open_until = []
        for begin, end in sorted(rows, key=lambda row: (row[0], -row[1])):
            while open_until and open_until[-1] <= begin:
                open_until.pop()
            if open_until and end > open_until[-1]:
                found.append(f"spans of {track} overlap without nesting at {begin}")
            open_until.append(end)
    for phase in "sf":
        for event in pairs[phase].values():
            inside = spans[event["pid"], event["tid"]]
            if not any(begin <= event["ts"] <= end for begin, end in inside):
                found.append(f"arrow {event} leads nowhere")
    return found


def processes(document):
    return {e["pid"]: e["args"]["name"] for e in document["traceEvents"] if e["name"] == "process_name"}


def threads(document):
    return {
        (e["pid"], e["tid"]): e["args"]["name"] for e in document["traceEvents"] if e["name"] == "thread_name"
    }


def spans(document, category):
    return [e for e in document["traceEvents"] if e["ph"] == "X" and e["cat"] == category]


def test_every_event_keeps_the_rules_of_the_format(document, serializable):
    assert mistakes(document) == []
    assert mistakes(serializable) == []


def test_the_rules_are_looked_at():
    """Each mistake, put into a good document, is found."""
    track = [
        {"ph": "M", "pid": 1, "tid": 0, "name": "process_name", "args": {"name": "w"}},
        {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": "a"}},
    ]
    span = {"ph": "X", "pid": 1, "tid": 1, "name": "x", "cat": "c", "ts": 0, "dur": 10, "args": {}}
    arrow = {"pid": 1, "tid": 1, "name": "x", "cat": "c", "id": 1}
    pair = [{**arrow, "ph": "s", "ts": 1}, {**arrow, "ph": "f", "ts": 2, "bp": "e"}]

    def told(*events):
        return " ".join(mistakes({"traceEvents": [*track, *events]}))

    assert told(span, *pair) == ""
    assert "overlap without nesting" in told(span, {**span, "ts": 5})
    assert "numbers of" in told({**span, "ts": 0.5})
    assert "nameless track" in told({**span, "tid": 2})
    assert "s without f" in told(span, pair[0])
    assert "comes first" in told(span, {**pair[0], "ts": 3}, pair[1])
    assert "leads nowhere" in told(span, {**pair[0], "ts": 1}, {**pair[1], "ts": 11})
    assert "keys of" in told({**span, "ph": "Q"})


def test_there_is_a_process_for_each_actor_partition_and_for_faults(document):
    names = list(processes(document).values())
    assert names[:7] == ["faults", "store/0", "store/1", "store/2", "store/3", "scheduler/0", "scheduler/1"]
    assert names[7:31] == [f"worker/{number}" for number in range(24)]
    assert set(names[31:]) == {"reconciler/0", "reconciler/1", "submitter/0"}


def test_attempts_are_those_of_the_run(study, document):
    """One span an attempt, the asynchronous ones of the burst included; refusals carry their kind."""
    begun = spans(document, "attempt") + [e for e in document["traceEvents"] if e["ph"] == "b"]
    of_run = study.attempt_counts().query("replication == 0")
    assert len(begun) == of_run["total"].sum()
    answers = Counter(e["args"]["answer"] for e in begun)
    assert answers == of_run.groupby("answer")["total"].sum().to_dict()
    refused = Counter(e["name"].split(": ")[1] for e in begun if ": " in e["name"])
    assert refused == of_run.dropna(subset="kind").groupby("kind")["total"].sum().to_dict()


def test_a_burst_of_submissions_is_stacked_and_not_spread_over_threads(document):
    pid = next(pid for pid, name in processes(document).items() if name == "submitter/0")
    assert [name for (of, _), name in threads(document).items() if of == pid] == ["attempts"]


def test_arrows_lead_from_the_rivals_operation_to_the_refusal(study, document):
    """As many as refusals with a rival; each ends in a refused attempt, at the end of its race window."""
    contentions = study.contentions().query("replication == 0")
    with_rival = contentions.loc[contentions["rival_actor"].notna()]
    arrows = {phase: {e["id"]: e for e in document["traceEvents"] if e["ph"] == phase} for phase in "sf"}
    assert len(arrows["s"]) == document["otherData"]["arrows"] == len(with_rival) > 50
    assert document["otherData"]["refusals"] == len(contentions)
    names = processes(document)
    lengths = Counter(
        (names[arrows["f"][key]["pid"]], names[start["pid"]], arrows["f"][key]["ts"] - start["ts"])
        for key, start in arrows["s"].items()
    )
    ages = Counter(
        zip(with_rival["actor"], with_rival["rival_actor"], with_rival["rival_age_us"], strict=True)
    )
    # An attempt that took effect after its caller had given up is bound to its sending.
    assert (lengths & ages).total() > 0.95 * ages.total()


def test_leases_and_work_are_those_of_accepted_claims(study, document):
    """A lease begins where a worker learns that it has one: as many as claims that were accepted."""
    accepted = study.attempt_counts().query("replication == 0 and answer == 'ok'")
    claims = accepted.loc[accepted["op"].str.contains("claim_") & ~accepted["op"].str.contains("issue")]
    assert len(spans(document, "lease")) == len(spans(document, "work")) == claims["total"].sum()
    for lease, work in zip(spans(document, "lease"), spans(document, "work"), strict=True):
        assert lease["ts"] == work["ts"]


def test_a_crash_is_a_fault_and_ends_the_leases_of_its_worker(document):
    faults = spans(document, "fault")
    assert [(e["name"], e["ts"], e["dur"]) for e in faults] == [
        ("crash", S, S), ("crash", S, S), ("store_outage", 3 * S, S // 10),
    ]  # fmt: skip
    crashed = [e for e in spans(document, "lease") if e["args"]["end"] == "crash"]
    assert {e["ts"] + e["dur"] for e in crashed} == {S}
    targets = {e["args"]["target"] for e in faults[:2]}
    assert {processes(document)[e["pid"]] for e in crashed} <= targets


def test_transactions_are_spans_from_their_arrival(serializable):
    served = spans(serializable, "store")
    assert all(e["ts"] == e["args"]["arrived_us"] for e in served)
    assert max(e["dur"] for e in served) > 0


def test_a_window_bounds_what_is_taken_down(study, document):
    part = trace_of(study, "documented", 0, (S, 2 * S))
    assert mistakes(part) == []
    assert 0 < len(part["traceEvents"]) < len(document["traceEvents"]) / 2
    for event in spans(part, "attempt"):
        assert event["ts"] < 2 * S and event["ts"] + event["dur"] >= S


def test_the_file_is_the_same_every_time_and_says_what_it_is(study):
    first = write_trace(study)
    data = first.path.read_bytes()
    second = write_trace(study)
    assert second.path.read_bytes() == data
    assert first.path == study.directory / "trace.json.gz"
    assert json.loads(gzip.decompress(data))["otherData"] | {"refusals": 0, "arrows": 0} == {
        "scenario": "claim_storm", "study_id": study.study_id, "arm": "documented", "replication": 0,
        "from_us": 0, "to_us": 4 * S, "fingerprint": study.document["runs"][0]["fingerprint"],
        "refusals": 0, "arrows": 0,
    }  # fmt: skip
    assert "documented, replication 0, 0s to 4s of simulated time" in first.words


def test_a_run_that_comes_out_otherwise_is_not_traced(study):
    changed = results.open(study.directory)
    changed.document["runs"][0]["fingerprint"] = "0" * 64
    with pytest.raises(ResultsError, match="comes out otherwise here"):
        write_trace(changed)


def test_a_lease_is_lost_at_the_refused_renewal_and_work_goes_on():
    """The late completion ends the work; the lease was lost before."""
    tracer = Tracer((0, S), transactions=False)

    class Attempt:
        def __init__(self, op, sent_us, done_us):
            self.op, self.sent_us, self.done_us = type("Op", (), {"name": op, "index": 0}), sent_us, done_us
            self.execution, self.intent, self.actor, self.started_us = 7, None, 0, sent_us
            self.process = type("Process", (), {"owner": type("Owner", (), {"name": "worker/0"})})

    class Outcome:
        code, rival, values = "code", None, {}

        def __init__(self, kind=None):
            self.kind, self.ok = kind, kind is None

    gone = ContentionKind.NO_ACTIVE_LEASE
    tracer.answered(Attempt("claim_execution", 0, 10), Outcome())
    tracer.answered(Attempt("renew_lease", 20, 30), Outcome(gone))
    tracer.answered(Attempt("complete_execution", 50, 60), Outcome(gone))
    (lease,) = tracer.leases
    assert (lease.from_us, lease.to_us, lease.work_to_us, lease.end) == (10, 30, 50, "lost")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("20s", "it takes two instants (try '20s,25s')"),
        ("20,25", "'20' is not a duration"),
        ("25s,20s", "it ends before it begins"),
    ],
)
def test_a_window_that_is_none_is_refused(text, message):
    with pytest.raises(ScenarioError, match="--trace-window") as told:
        parse_window(text)
    assert message in str(told.value)
    result = CliRunner().invoke(app, ["run", "steady", "--trace-window", text])
    assert result.exit_code == 2 and message in result.stderr


def test_a_window_is_two_durations():
    assert parse_window("1500ms, 2s") == (1_500_000, 2 * S)


def test_a_trace_that_cannot_be_written_is_told_of_in_words(study, monkeypatch):
    monkeypatch.setattr("sim.trace.trace_of", lambda *_: {})
    monkeypatch.setattr("sim.trace.FILE", "none/trace.json.gz")
    with pytest.raises(ResultsError) as told:
        write_trace(study)
    assert str(told.value) == f"cannot write {study.directory}/none/trace.json.gz: No such file or directory"
