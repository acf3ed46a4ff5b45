"""Records: what is packed comes out again, counted and named."""

import pyarrow as pa
import pytest

from sim.contention import ContentionKind
from sim.record import NONE, UNKNOWN, Attempt, Op, Recorder, fingerprint
from sim.store.outcome import Ok, Refused

CREATE, CLAIM = Op(0, "create_execution"), Op(1, "claim_execution")


@pytest.fixture
def recorder():
    made = Recorder([CREATE, CLAIM], ["retry", "new_grant"], window_us=(100, 200))
    made.actors += [("worker/0", "worker"), ("worker/1", "worker"), ("submitter/0", "submitter")]
    return made


def attempt(op, actor, intent, sent_us, done_us, execution=7):
    made = Attempt()
    made.actor, made.op, made.intent, made.execution, made.sent_us = actor, op, intent, execution, sent_us
    made.arrived_us, made.started_us, made.done_us = sent_us + 10, sent_us + 12, done_us
    return made


def test_a_contention_carries_intent_rival_and_decision(recorder):
    intent = recorder.begin("acquire", actor=1, start_us=90)
    refused = Refused("claim_execution", "execution_not_leaseable", (0, CLAIM.index, 95))
    recorder.attempt(attempt(CLAIM, 1, intent, 100, 130), refused)
    recorder.decided(1, 2500)
    assert recorder.contentions().to_pylist() == [
        {
            "seq": 0, "sent_us": 100, "arrived_us": 110, "done_us": 130, "actor": "worker/1",
            "actor_kind": "worker", "op": "claim_execution", "code": "execution_not_leaseable",
            "kind": "execution_not_leaseable", "execution": 7, "flow": None, "waitpoint": None,
            "intent": 0, "root": 0, "nth": 1, "action": "new_grant", "delay_us": 2500,
            "rival_actor": "worker/0", "rival_op": "claim_execution", "rival_age_us": 112 - 95,
            "in_window": True,
        }
    ]  # fmt: skip


def test_a_contention_without_rival_or_decision_has_nulls_there(recorder):
    recorder.attempt(attempt(CLAIM, 0, None, 10, 30), Refused("claim_execution", "lease_conflict"))
    row = recorder.contentions().to_pylist()[0]
    assert [
        row[name] for name in ("intent", "root", "action", "delay_us", "rival_actor", "rival_age_us")
    ] == [None] * 6
    assert (row["nth"], row["in_window"]) == (1, False)


def test_refusals_of_an_intent_are_numbered_and_unknown_is_none(recorder):
    intent = recorder.begin("acquire", actor=0, start_us=0)
    for outcome in (
        Refused("claim_execution", "lease_conflict"),
        UNKNOWN,
        Refused("claim_execution", "lease_conflict"),
    ):
        recorder.attempt(attempt(CLAIM, 0, intent, 100, 150), outcome)
    assert recorder.contentions().column("nth").to_pylist() == [1, 2]


def test_attempts_are_counted_by_actor_kind_operation_and_answer(recorder):
    recorder.attempt(attempt(CREATE, 2, None, 50, 99), Ok())
    recorder.attempt(attempt(CREATE, 2, None, 60, 100), Ok())
    recorder.attempt(attempt(CREATE, 2, None, 60, 199), Ok())
    recorder.attempt(attempt(CLAIM, 0, None, 60, 200), UNKNOWN)
    recorder.attempt(attempt(CLAIM, 1, None, 60, 150), Refused("claim_execution", "lease_conflict"))
    rows = [tuple(row.values()) for row in recorder.attempts().to_pylist()]
    assert rows == [
        ("submitter", "create_execution", "ok", "OK", None, 2, 3),
        ("worker", "claim_execution", "refused", "lease_conflict", "lease_conflict", 1, 1),
        ("worker", "claim_execution", "unknown", "unknown", None, 0, 1),
    ]


def test_attempts_survive_the_flush_of_a_block(recorder, monkeypatch):
    monkeypatch.setattr("sim.record._BLOCK_BYTES", 200)
    for at_us in range(100, 150):
        refused = Refused("claim_execution", "lease_conflict")
        recorder.attempt(attempt(CLAIM, 0, None, at_us, at_us + 20), refused)
    assert [row["count"] for row in recorder.attempts().to_pylist()] == [50]
    contentions = recorder.contentions()
    assert contentions.column("sent_us").to_pylist() == list(range(100, 150))
    assert contentions.column("seq").to_pylist() == list(range(50))


def test_intents_stand_in_the_order_of_their_beginning(recorder):
    acquire = recorder.begin("acquire", actor=0, start_us=100)
    dispatch = recorder.begin("dispatch", actor=1, start_us=120, execution=3, root=acquire.id)
    recorder.end(dispatch, 140, "relayed")
    recorder.end(acquire, 210, "abandoned", "policy")
    names = ("intent", "root", "goal", "execution", "start_us", "end_us", "resolution", "cause")
    assert [tuple(row[name] for name in names) for row in recorder.intents().to_pylist()] == [
        (0, 0, "acquire", None, 100, 210, "abandoned", "policy"),
        (1, 0, "dispatch", 3, 120, 140, "relayed", None),
    ]  # fmt: skip


def test_the_open_intents_of_an_actor_are_found_and_what_is_left_is_open_at_the_end(recorder):
    mine = [recorder.begin("acquire", actor=0, start_us=0), recorder.begin("hold", actor=0, start_us=5)]
    recorder.begin("acquire", actor=1, start_us=0)
    assert recorder.open_of(0) == mine
    for intent in mine:
        recorder.end(intent, 10, "abandoned", "crash")
    recorder.end_all(99, "open")
    rows = recorder.intents().to_pylist()
    assert [(r["end_us"], r["resolution"], r["cause"]) for r in rows] == [
        (10, "abandoned", "crash"),
        (10, "abandoned", "crash"),
        (99, "open", None),
    ]
    with pytest.raises(KeyError):
        recorder.end(mine[0], 100, "recovered")


def test_attempts_are_in_flight_from_sending_to_knowing(recorder):
    """Integrated from zero: what was sent before the window counts in it, and what is never answered too."""
    intent = recorder.begin("acquire", actor=0, start_us=0)
    for sent_us, done_us in ((90, 110), (120, 150), (190, 230)):
        recorder.attempt(attempt(CLAIM, 0, intent, sent_us, done_us), Ok())
    recorder.leave_open([170])
    # Before the window [100, 200), and in it.
    assert recorder.in_flight.integral_us.tolist() == [10, 10 + 30 + 10 + 30]
    assert recorder.in_flight.begun.tolist() == [1, 3]
    assert recorder.in_flight.ended.tolist() == [0, 2]


def test_attempts_that_are_kept_name_their_kind():
    kept = Recorder([CREATE, CLAIM], ["retry"], window_us=(100, 200), keep_attempts=True)
    kept.actors += [("worker/0", "worker")]
    intent = kept.begin("acquire", actor=0, start_us=0)
    kept.attempt(attempt(CREATE, 0, None, 80, 99), Ok())
    kept.attempt(attempt(CLAIM, 0, intent, 90, 100), Refused("claim_execution", "lease_conflict"))
    kept.attempt(attempt(CLAIM, 0, intent, 110, 200), UNKNOWN)
    names = ("op", "answer", "code", "kind", "intent", "in_window")
    assert [tuple(row[name] for name in names) for row in kept.attempt_rows().to_pylist()] == [
        ("create_execution", "ok", "OK", None, None, False),
        ("claim_execution", "refused", "lease_conflict", "lease_conflict", 0, True),
        ("claim_execution", "unknown", "unknown", None, 0, False),
    ]


def test_a_fingerprint_sees_every_value_and_no_chunking():
    def table(actor, at_us):
        return pa.table({"actor": pa.array(["x", actor]).dictionary_encode(), "at_us": pa.array([1, at_us])})

    one = table("y", 2)
    assert fingerprint([one]) == fingerprint([pa.concat_tables([one.slice(0, 1), one.slice(1)])])
    assert len({fingerprint([t]) for t in (one, table("z", 2), table("y", 3), table("y", None))}) == 4
    assert fingerprint([one, one]) != fingerprint([one])
    assert NONE == -1 and len(ContentionKind) == 18
