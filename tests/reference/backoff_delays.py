"""How long every backoff waits before retries 1 to 12, beside the real library where PyPI has it.

``python -m tests.reference.backoff_delays`` writes the table. A row is a backoff with its parameters and one
retry: mean, 5th, 50th and 95th percentile in milliseconds over 1,000 intents, and the share of waits at the
cap, which is the longest wait that this backoff can ever give (a backoff without a cap has none there). Where
a row names a library, its columns say what the library's own code gave in as many calls. The store's hint is
1 s where it is asked for, and so is the worker's poll.
"""

from __future__ import annotations

import argparse
import math
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from sim.retry import parse_policy
from sim.retry.catalogue import BACKOFFS
from sim.retry.parts import as_text
from sim.units import US_PER_MS, US_PER_S
from tests.retry import library_waits as library
from tests.retry.helpers import refusal, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from sim.retry.policy import Uniform

FILE: Final = Path("results/reference/backoff_delays.csv")
INTENTS: Final = 1_000
RETRIES: Final = library.RETRIES
LAST_RETRY: Final = 100
"""By then every backoff with a cap has reached it."""
TICK_US: Final = 2
STATISTICS: Final = ("mean_ms", "p5_ms", "p50_ms", "p95_ms", "share_at_cap")


class Line(NamedTuple):
    """A backoff of the table.

    Attributes
    ----------
    parameters : dict
        Where they are not the defaults.
    package : str or None
        The package on PyPI whose code does the same.
    waits : Callable or None
        Gives, when called, the waits of that code (:mod:`tests.retry.library_waits`).
    """

    name: str
    parameters: dict[str, Any]
    package: str | None = None
    waits: Callable[[], library.Waits] | None = None


LIBRARIES: Final = [
    Line("constant", {}, "tenacity", lambda: library.tenacity("wait_fixed", 0.05)),
    Line("tenacity_random", {}, "tenacity", lambda: library.tenacity("wait_random")),
    Line("tenacity_exponential", {}, "tenacity", lambda: library.tenacity("wait_exponential")),
    Line("tenacity_random_exponential", {}, "tenacity",
         lambda: library.tenacity("wait_random_exponential")),
    Line("tenacity_exponential_jitter", {}, "tenacity",
         lambda: library.tenacity("wait_exponential_jitter")),
    Line("tenacity_exponential_jitter", {"max": "10s"}, "tenacity",
         lambda: library.tenacity("wait_exponential_jitter", max=10)),
    Line("tenacity_incrementing", {}, "tenacity", lambda: library.tenacity("wait_incrementing")),
    Line("stamina", {}, "stamina", library.stamina),
    Line("backoff_expo", {}, "backoff", lambda: library.backoff("expo")),
    Line("fibonacci", {"base": "1s", "cap": "60s", "jitter": "full"}, "backoff",
         lambda: library.backoff("fibo", max_value=60)),
    Line("google_api_core", {}, "google-api-core", library.google_api_core),
    Line("urllib3", {}, "urllib3", lambda: library.urllib3(0, 120, 0)),
    Line("urllib3", {"backoff_factor": "500ms", "backoff_jitter": "2s", "backoff_max": "20s"}, "urllib3",
         lambda: library.urllib3(0.5, 20, 2)),
    Line("redis_py", {}, "redis", lambda: library.redis("EqualJitterBackoff")),
    Line("redis_py", {"shape": "full"}, "redis", lambda: library.redis("FullJitterBackoff")),
    Line("redis_py", {"shape": "exponential"}, "redis", lambda: library.redis("ExponentialBackoff")),
    Line("redis_py", {"shape": "exponential_with_jitter"}, "redis",
         lambda: library.redis("ExponentialWithJitterBackoff")),
    Line("redis_py", {"shape": "decorrelated"}, "redis", lambda: library.redis("DecorrelatedJitterBackoff")),
    Line("celery", {}, "celery", lambda: library.celery(True)),
    Line("celery", {"retry_jitter": False}, "celery", lambda: library.celery(False)),
]  # fmt: skip
"""What has a library to be held against."""


def lines() -> list[Line]:
    """Give every backoff of the catalogue in its order, with its defaults, then what else is compared."""
    known = {line.name: line for line in reversed(LIBRARIES) if not line.parameters}
    defaults = [known.get(name, Line(name, {})) for name in BACKOFFS]
    return defaults + [line for line in LIBRARIES if line.parameters]


def delays_us(line: Line, uniform: Uniform, intents: int, retries: int) -> NDArray[np.float64]:
    """Draw waits: a row for each intent, the only one of its client; a column for each retry."""
    spec = parse_policy({"backoff": {line.name: line.parameters}, "limits": {"attempts": None}})
    rows = []
    for _ in range(intents):
        policy, memory, row = spec.build(uniform=uniform, poll_us=US_PER_S), None, []
        for nth in range(1, retries + 1):
            asked = refusal(nth=nth, memory=memory, retry_after_ms=1000)
            row.append(policy.decide(asked).delay_us)
            memory = asked.memory
        rows.append(row)
    return np.array(rows, float)


def cap_us(line: Line) -> float:
    """Give the longest wait there can be: that of a stream whose draws are all just below 1."""
    return float(delays_us(line, lambda: math.nextafter(1.0, 0.0), 1, LAST_RETRY).max())


def summary(waits_us: NDArray[np.float64], longest_us: float) -> dict[str, float]:
    """Summarise the waits before one retry."""
    low, middle, high = np.percentile(waits_us, (5, 50, 95), method="inverted_cdf") / US_PER_MS
    at_cap = float((waits_us >= longest_us - TICK_US).mean())
    return dict(zip(STATISTICS, (waits_us.mean() / US_PER_MS, low, middle, high, at_cap), strict=True))


def table(chosen: Sequence[Line], *, libraries: bool = True) -> pd.DataFrame:
    """Make the table of these backoffs; without ``libraries`` their columns are left out."""
    rows = []
    for line in chosen:
        longest_us = cap_us(line)
        waits = delays_us(line, seeded(f"{line.name} {line.parameters}"), INTENTS, RETRIES)
        theirs = library_us(line) if libraries else None
        for column in range(RETRIES):
            row: dict[str, Any] = {
                "backoff": line.name,
                "parameters": ", ".join(f"{key}: {as_text(each)}" for key, each in line.parameters.items()),
                "retry": column + 1,
                **summary(waits[:, column], longest_us),
            }
            if theirs is not None:
                row["library"] = f"{line.package} {version(line.package or '')}"
                told = summary(theirs[:, column], longest_us)
                row |= {f"library_{name}": value for name, value in told.items()}
            rows.append(row)
    return pd.DataFrame(rows).round(3)


def library_us(line: Line) -> NDArray[np.float64] | None:
    """Draw the waits of a line's library, in microseconds."""
    if line.waits is None:
        return None
    with library.seeded_library(LIBRARIES.index(line)):
        waits = line.waits()
        return np.array([list(waits()) for _ in range(INTENTS)], float) * US_PER_S


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.reference.backoff_delays", description="Tabulates every backoff's waits."
    )
    parser.add_argument("--out", type=Path, default=FILE, help="the file to write")
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    found = table(lines())
    found.to_csv(given.out, index=False)
    print(f"{given.out}: {len(lines())} backoffs, {len(found)} rows")


if __name__ == "__main__":
    main()
