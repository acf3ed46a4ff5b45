"""tenacity's own wait and stop objects, on simulated time and an owned stream of random numbers.

A policy of one's own class, so it needs no part of this package to know tenacity, which is imported only
here and only when such a policy is built::

    retry:
      class: sim.retry.tenacity_adapter:Tenacity
      params:
        wait: {wait_random_exponential: {multiplier: 0.05, max: 5}}
        stop: {stop_any: [{stop_after_attempt: [12]}, {stop_after_delay: [30]}]}

A strategy is written as tenacity calls it: the name with its arguments, by name or in order, in seconds;
a bare name without arguments; or ``my_module:STRATEGY`` for an object, or a function of the retry state,
that was made in Python. Routing is the documented one; ``stop`` ends every intent but acquire.

What a strategy sees is tenacity's ``RetryCallState`` with the simulated times: attempt_number,
seconds_since_start, idle_for, upcoming_sleep, and an outcome whose exception is a :class:`Failed`.

Left out: tenacity's retry predicates (routing is theirs), its callbacks, and strategies that wait for a
thread's event.

tenacity draws from the module ``random``. While one of its waits is being asked, that name in
``tenacity.wait`` means a generator on the policy's own stream, so runs repeat exactly. A function of
one's own that draws from elsewhere is outside of that.
"""

from __future__ import annotations

import importlib
from random import Random
from typing import TYPE_CHECKING, Any, Final

from sim.retry.errors import PolicyError
from sim.retry.policy import ACQUIRE, SENDS_AGAIN, Action, Decision
from sim.retry.spec import ComposedSpec
from sim.schema import suggest
from sim.units import MAX_DURATION_US, US_PER_S, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.retry.policy import Refusal, Uniform

    Strategy = Callable[[Any], Any]

_IDLE: Final = "tenacity/idle_us"


class Failed(Exception):  # noqa: N818 - the name that a user's predicate reads best
    """What tenacity sees instead of an answer.

    Attributes
    ----------
    refusal : Refusal
        The refusal, with its kind, code and hint.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class StreamRandom(Random):
    """Python's generator, with every draw taken from a stream that somebody owns."""

    def __init__(self, uniform: Uniform) -> None:
        self._uniform = uniform
        super().__init__()

    def random(self) -> float:
        """Draw from U[0, 1)."""
        return self._uniform()

    def seed(self, *_: object, **__: object) -> None:
        """Do nothing: the stream was seeded by its owner."""

    def getrandbits(self, k: int, /) -> int:
        """Refuse: a stream of uniforms has no bits to give."""
        raise NotImplementedError("draw with random(), uniform() or randrange()")

    def _randbelow(self, n: int) -> int:
        """Draw a whole number below ``n``: what randrange() and choice() ask for."""
        return int(self._uniform() * n)


class Tenacity:
    """A policy that waits and stops as tenacity does.

    Parameters
    ----------
    uniform, poll_us
        As for every policy; see :meth:`sim.retry.spec.PolicySpec.build`.
    wait, stop
        The strategies, written as the module's docstring says.

    Raises
    ------
    PolicyError
        When tenacity is not installed, or does not know a strategy.
    """

    def __init__(
        self, uniform: Uniform, poll_us: int, wait: object = "wait_none", stop: object = "stop_never"
    ) -> None:
        try:
            self._tenacity: Any = importlib.import_module("tenacity")
        except ModuleNotFoundError:
            raise PolicyError("this policy needs the package tenacity (try 'pip install tenacity')") from None
        self._wait_module = self._tenacity.wait
        self._random = StreamRandom(uniform)
        self._wait = _strategy(self._wait_module, wait, "wait")
        self._stop = _strategy(self._tenacity.stop, stop, "stop")
        documented = ComposedSpec.model_validate({"limits": {"attempts": None}})
        self._routed = documented.build_around(self._delay_us, uniform, poll_us)

    def decide(self, refusal: Refusal) -> Decision:
        """Route as documented, wait and stop as tenacity says."""
        decision = self._routed.decide(refusal)
        if decision.action not in SENDS_AGAIN:
            return decision
        state = self._state(refusal)
        state.upcoming_sleep = decision.delay_us / US_PER_S
        if refusal.goal != ACQUIRE and self._stop(state):
            return Decision(Action.GIVE_UP, 0)
        memory = refusal.remembered()
        memory[_IDLE] = memory.get(_IDLE, 0) + decision.delay_us
        return decision

    def _delay_us(self, refusal: Refusal) -> int:
        shared = self._wait_module.random
        self._wait_module.random = self._random
        try:
            delay_s = self._wait(self._state(refusal))
        finally:
            self._wait_module.random = shared
        return int(min(delay_s * US_PER_S, MAX_DURATION_US))

    def _state(self, refusal: Refusal) -> Any:
        state = self._tenacity.RetryCallState(None, None, (), {})
        state.attempt_number = refusal.nth
        state.start_time = 0.0
        state.outcome_timestamp = refusal.elapsed_us / US_PER_S
        state.idle_for = refusal.remembered().get(_IDLE, 0) / US_PER_S
        state.outcome = self._tenacity.Future(refusal.nth)
        state.outcome.set_exception(Failed(refusal))
        return state


def _strategy(module: Any, written: object, prefix: str) -> Strategy:
    """Make a strategy of what a scenario says."""
    name, arguments = written, None
    if isinstance(written, dict) and len(written) == 1:
        name, arguments = next(iter(written.items()))
    if isinstance(name, str) and ":" in name and arguments is None:
        return _imported(name, prefix)
    names = [each for each in vars(module) if each.startswith(f"{prefix}_")]
    if not isinstance(name, str) or name not in names:
        raise PolicyError(
            f"tenacity has no strategy {quoted(written)} ({suggest(name, names)})", "params", prefix
        )
    found: Any = getattr(module, name)
    if not isinstance(found, type):
        strategy: Strategy = found
        return strategy
    try:
        if isinstance(arguments, dict):
            return found(**arguments)  # type: ignore[no-any-return]
        return found(*(_argument(module, each, prefix) for each in arguments or ()))  # type: ignore[no-any-return]
    except (TypeError, ValueError) as error:
        raise PolicyError(f"tenacity refuses {quoted(written)}: {error}", "params", prefix) from None


def _argument(module: Any, written: object, prefix: str) -> object:
    """Read an argument: a strategy of its own, or a number."""
    return written if isinstance(written, int | float) else _strategy(module, written, prefix)


def _imported(path: str, prefix: str) -> Strategy:
    module_name, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise PolicyError(f"cannot import {path!r}: {error}", "params", prefix) from None
    if not callable(found):
        raise PolicyError(f"{path!r} is not a strategy: it cannot be called", "params", prefix)
    strategy: Strategy = found
    return strategy
