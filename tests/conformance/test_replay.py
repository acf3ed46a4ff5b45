"""46,085 recorded steps of the real engine, replayed; and what the replay says when something differs."""

import gzip
import json
from pathlib import Path

import pytest

from sim.conformance import RecordingError, conform
from sim.store import CONTRACT

TRACES = Path(__file__).parents[1] / "data" / "traces"


def _write(path, steps, header=None):
    lines = [header or {"trace": "core-01", "t0_ms": 0}, *steps]
    with gzip.open(path, "wt") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def _read(name):
    with gzip.open(TRACES / name, "rt") as stream:
        return [json.loads(line) for line in stream][1:]


def test_every_recorded_step_agrees():
    report = conform([TRACES])
    assert report.differences == []
    assert report.as_dict() == {"files": 208, "steps": 46_085, "agreed": 46_085, "first_difference": None}
    assert report.render() == "46,085 of 46,085 steps agree in 208 recordings"


def test_files_and_folders_may_be_named_together():
    report = conform([TRACES / "core-01.jsonl.gz", str(TRACES / "core-02.jsonl.gz")])
    assert [file.file for file in report.files] == ["core-01.jsonl.gz", "core-02.jsonl.gz"]
    assert report.steps == report.agreed == sum(file.steps for file in report.files)


def test_the_first_difference_comes_with_the_steps_before_it_on_the_same_execution(tmp_path):
    steps = _read("core-01.jsonl.gz")
    number = next(n for n, step in enumerate(steps) if step["op"] == "complete_execution" and n > 30)
    execution = steps[number]["args"]["execution"]
    steps[number]["result"]["code"] = "stale_lease"
    steps[number]["state"]["public_state"] = "suspended"
    report = conform([_write(tmp_path / "broken.jsonl.gz", steps)])
    assert (report.steps, report.agreed) == (len(steps), len(steps) - 1)
    difference = report.differences[0]
    assert (difference.file, difference.line, difference.op) == (
        "broken.jsonl.gz", number + 2, "complete_execution",
    )  # fmt: skip
    assert difference.expected["result"]["code"] == "stale_lease"
    assert difference.actual["result"]["code"] != "stale_lease"
    assert difference.history == tuple(
        [step for step in steps[:number] if step["args"].get("execution") == execution][-8:]
    )
    first = report.as_dict()["first_difference"]
    assert json.loads(json.dumps(first))["line"] == number + 2
    text = report.render()
    assert f"broken.jsonl.gz:{number + 2}: complete_execution at {steps[number]['t_ms']}" in text
    assert "before" in text and "engine  result" in text and "store   state" in text


@pytest.mark.parametrize("part", ["status", "code", "values", "state"])
def test_every_part_of_an_answer_counts(tmp_path, part):
    steps = _read("core-01.jsonl.gz")
    step = next(step for step in steps if step["op"] == "claim_execution" and step["result"]["code"] == "OK")
    if part == "state":
        step["state"]["attempt_state"] = "none"
    elif part == "values":
        step["result"]["values"]["lease_epoch"] += 1
    else:
        step["result"][part] = "other"
    assert conform([_write(tmp_path / "broken.jsonl.gz", steps)]).differences[0].op == "claim_execution"


def test_only_the_free_text_of_three_codes_may_differ(tmp_path):
    met = set()
    for path in sorted(TRACES.glob("*.jsonl.gz")):
        steps = _read(path.name)
        for step in steps:
            if "detail" in step["result"]["values"]:
                step["result"]["values"]["detail"] = "otherwise"
                met.add(step["result"]["code"])
        _write(tmp_path / path.name, steps)
    assert met == {"invalid_input", "invalid_policy_json", "invalid_capabilities"}
    assert conform([tmp_path]).differences == []


def test_another_dialect_does_not_agree():
    assert conform([TRACES], CONTRACT).differences


def test_a_difference_that_touches_no_execution_has_no_history(tmp_path):
    step = {"t_ms": 5, "op": "create_flow", "args": {"flow": "f1"},
            "result": {"status": "ok", "code": "DONE", "values": {"flow": "f1"}}, "state": None}  # fmt: skip
    report = conform([_write(tmp_path / "one.jsonl.gz", [step])])
    assert report.differences[0].history == ()
    assert report.render().splitlines() == [
        "0 of 1 steps agree in 1 recordings",
        "",
        "one.jsonl.gz:2: create_flow at 5",
        '  args    {"flow": "f1"}',
        '  engine  result {"status": "ok", "code": "DONE", "values": {"flow": "f1"}}',
        '  store   result {"status": "ok", "code": "OK", "values": {"flow": "f1"}}',
    ]


def test_what_is_no_recording_is_said_to_be_none(tmp_path):
    with pytest.raises(RecordingError, match="there is no such file or folder"):
        conform([tmp_path / "none.jsonl.gz"])
    with pytest.raises(RecordingError, match="the folder holds no recording"):
        conform([tmp_path])
    plain = tmp_path / "plain.jsonl.gz"
    plain.write_text("{}")
    with pytest.raises(RecordingError, match="not a recording"):
        conform([plain])
    with pytest.raises(RecordingError, match="not a recording"):
        conform([_write(tmp_path / "headless.jsonl.gz", [], {"op": "create_flow"})])
    with pytest.raises(RecordingError, match="'fly' is no operation of the store"):
        conform(
            [
                _write(
                    tmp_path / "odd.jsonl.gz",
                    [{"t_ms": 0, "op": "fly", "args": {}, "result": {}, "state": None}],
                )
            ]
        )


def test_a_dialect_can_be_named_and_another_one_differs():
    """The documents of the engine promise what its code does not do: the comparison can fail."""
    first = TRACES / "core-01.jsonl.gz"
    assert conform([first], "valkey").as_dict() == conform([first]).as_dict()
    assert conform([first], "contract").agreed < conform([first]).agreed
    with pytest.raises(ValueError, match="there is no dialect 'mysql'"):
        conform([first], "mysql")
