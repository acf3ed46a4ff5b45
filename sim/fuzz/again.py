"""Runs a scenario again in processes with other hash seeds: the same bytes, or it is not deterministic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sim.fuzz.trial import try_text

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH_SEEDS: Final = ("1", "20261123")
"""What PYTHONHASHSEED is in the two processes."""

_SERVE: Final = "from sim.fuzz.again import serve; serve()"


class Others:
    """Processes that run scenarios which they are sent, one a line, and answer with fingerprints."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def fingerprints(self, text: str) -> list[str | None]:
        """Run a scenario in each of them."""
        return [_ask(process, text) for process in self._processes]


@contextmanager
def others() -> Iterator[Others]:
    """Start the processes, and end them afterwards."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _SERVE],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in HASH_SEEDS
    ]
    try:
        yield Others(processes)
    finally:
        for process in processes:
            process.communicate()  # the end of its input ends it


def serve() -> None:
    """Answer on standard output what comes in on standard input, until that ends."""
    for line in sys.stdin:
        answer = try_text(json.loads(line)).fingerprint
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _ask(process: subprocess.Popen[str], text: str) -> str | None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(text) + "\n")
    process.stdin.flush()
    answer: Any = json.loads(process.stdout.readline())
    return None if answer is None else str(answer)
