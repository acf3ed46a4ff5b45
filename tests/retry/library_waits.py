"""What real libraries wait: one call's waits in seconds, by each library's own code.

The functions here give a function without arguments that gives the waits of one call, retries 1 to 12. The
libraries draw from Python's own module ``random``; :func:`seeded_library` seeds it and puts it back.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Waits = Callable[[], Sequence[float]]

RETRIES = 12


@contextmanager
def seeded_library(seed: int = 20261123) -> Iterator[None]:
    """Seed the module ``random`` for a while."""
    before = random.getstate()
    random.seed(seed)
    yield
    random.setstate(before)


def tenacity(strategy: str, *parts: object, **arguments: object) -> Waits:
    """Give the waits of one of tenacity's wait strategies, by its name."""
    import tenacity

    return of_tenacity(getattr(tenacity, strategy)(*parts, **arguments))


def of_tenacity(wait: Callable[..., float]) -> Waits:
    """Give the waits of a wait strategy of tenacity's."""
    import tenacity

    def waits() -> list[float]:
        state = tenacity.RetryCallState(None, None, (), {})
        made = []
        for state.attempt_number in range(1, RETRIES + 1):
            made.append(wait(state))
        return made

    return waits


def stamina() -> Waits:
    """Give the wait that stamina's context hands to tenacity."""
    import stamina

    return of_tenacity(stamina.retry_context(on=ValueError)._jittered_backoff_for_rcs)


def backoff(generator: str, jitter: str = "full", **arguments: float) -> Waits:
    """Give the waits of a generator of the package backoff, with one of its jitters."""
    import backoff

    jitters = {"full": backoff.full_jitter, "random": backoff.random_jitter, "none": lambda value: value}

    def waits() -> list[float]:
        steps = getattr(backoff, generator)(**arguments)
        next(steps)
        return [jitters[jitter](steps.send(None)) for _ in range(RETRIES)]

    return waits


def google_api_core() -> Waits:
    """Give the waits of google-api-core's default retry."""
    from google.api_core.retry import exponential_sleep_generator

    def waits() -> list[float]:
        steps = exponential_sleep_generator(1.0, 60.0, 2.0)
        return [next(steps) for _ in range(RETRIES)]

    return waits


def urllib3(factor: float, maximum: float, jitter: float) -> Waits:
    """Give the waits of urllib3's Retry."""
    from urllib3.util.retry import Retry

    def waits() -> list[float]:
        state = Retry(
            total=None,
            backoff_factor=factor,
            backoff_max=maximum,
            backoff_jitter=jitter,
            allowed_methods=None,
        )
        made = []
        for _ in range(RETRIES):
            state = state.increment("GET", "/", error=None, response=None)
            made.append(state.get_backoff_time())
        return made

    return waits


def redis(name: str) -> Waits:
    """Give the waits of one of redis-py's backoffs, with its defaults."""
    from redis import backoff

    def waits() -> list[float]:
        strategy = getattr(backoff, name)()
        strategy.reset()
        return [strategy.compute(failures) for failures in range(1, RETRIES + 1)]

    return waits


def celery(jitter: bool) -> Waits:
    """Give the waits of Celery's automatic retries: factor 1 s, at most 600 s."""
    from celery.utils.time import get_exponential_backoff_interval

    return lambda: [get_exponential_backoff_interval(1, n, 600, jitter) for n in range(RETRIES)]
