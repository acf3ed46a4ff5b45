"""Killed or interrupted at any instant: nothing half-written, nobody left behind, and it goes on."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.small import arguments, files

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
REPLICATIONS = 8


def begin(out, *more):
    """Start a study of eight replications in two processes, as the leader of a session of its own."""
    command = [sys.executable, "-m", "sim", "run", "claim_storm", "--out", str(out), "--no-plots", "--json"]
    command += ["--jobs", "2", "--replications", str(REPLICATIONS), *arguments(), *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=_heed_ctrl_c,
    )  # fmt: skip


def _heed_ctrl_c():
    """Undo what a shell does to its background jobs: they and their children are deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(out, *more):
    process = begin(out, *more)
    printed, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints
    return json.loads(printed)


def parts(out):
    return [part for part in Path(out).glob("*/*.partial/parts/*") if not part.name.startswith(".")]


def left_behind(session, patience_s=20):
    """Wait until no process of a session is alive, and give those that are when patience ends."""
    end = time.monotonic() + patience_s
    while True:
        alive = [int(path.name) for path in Path("/proc").glob("[0-9]*") if of_session(path, session)]
        if not alive or time.monotonic() > end:
            return alive
        time.sleep(0.1)


def of_session(path, session):
    try:
        state, _, _, leader = (path / "stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return False
    return int(leader) == session and state != "Z"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of the study that nobody interrupts."""
    out = tmp_path_factory.mktemp("whole")
    finish(out)
    return files(out)


@needs_proc
def test_a_study_that_was_killed_goes_on_and_is_byte_equal(tmp_path, whole):
    """SIGKILL once two parts are there: the workers end by themselves, the same command finishes the rest."""
    process = begin(tmp_path)
    end = time.monotonic() + 60
    while len(parts(tmp_path)) < 2 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    process.kill()
    process.communicate()
    kept = len(parts(tmp_path))
    assert process.returncode == -signal.SIGKILL and kept >= 2
    assert not list(tmp_path.glob("*/*/study.json"))
    again = finish(tmp_path)
    assert again["replications"] == REPLICATIONS
    assert files(tmp_path) == whole
    assert left_behind(process.pid) == []


def interrupt(tmp_path, after_s, *more):
    """Press Ctrl-C some time after the start: a terminal sends it to every process of the session."""
    process = begin(tmp_path, *more)
    time.sleep(after_s)
    with suppress(ProcessLookupError):  # it has finished already
        os.killpg(process.pid, signal.SIGINT)
    printed, complaints = process.communicate(timeout=60)
    return process, printed, complaints


@needs_proc
def test_ctrl_c_in_the_middle_ends_all_and_says_how_to_go_on(tmp_path, whole):
    process = begin(tmp_path)
    end = time.monotonic() + 60
    while not parts(tmp_path) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    printed, complaints = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "")
    assert complaints == "interrupted; what is finished is kept, the same command goes on from there\n"
    assert left_behind(process.pid) == []
    assert all((part / "summary.json").exists() for part in parts(tmp_path))
    finish(tmp_path)
    assert files(tmp_path) == whole


def check_interruptions(tmp_path, whole, seed, count, *more):
    draw = random.Random(seed)
    for number in range(count):
        after_s = draw.uniform(0.1, 5.0)
        process, printed, complaints = interrupt(tmp_path, after_s, *more)
        story = f"number {number}, after {after_s:.3f} s: {process.returncode}, {complaints}"
        if process.returncode == 0:
            assert json.loads(printed)["replications"] == REPLICATIONS, story
            continue
        # A shell shows 130 for both: Python kills itself by the signal when it came in code made from a
        # string, as imports do for dataclasses, whoever caught it afterwards.
        assert process.returncode in (130, -signal.SIGINT), story
        # Before the first line of ours is read, the interpreter itself says what came.
        assert "Traceback" not in complaints or after_s < 1, story
        assert left_behind(process.pid) == [], story
    finish(tmp_path, *more)
    assert files(tmp_path) == whole


@needs_proc
@pytest.mark.slow
def test_ctrl_c_at_many_random_instants(tmp_path, whole):
    check_interruptions(tmp_path, whole, 20261127, 40)


@needs_proc
@pytest.mark.slow
def test_ctrl_c_at_random_instants_of_a_cluster(tmp_path, whole):
    pytest.importorskip("distributed")
    check_interruptions(tmp_path, whole, 7, 10, "--executor", "dask")


def test_a_second_process_does_not_make_the_same_study(tmp_path):
    """It says so at once, and the first one is not disturbed."""
    from sim import output
    from tests.test_output import manifest_of

    partial = output.begin(tmp_path, manifest_of())
    with (
        output.alone(partial),
        pytest.raises(output.ResultsError, match="another process is making"),
        output.alone(partial),
    ):
        pass
    with output.alone(partial):
        pass
