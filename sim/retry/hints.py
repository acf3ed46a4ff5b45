"""Backoffs that are made of others: the server's hint, and a chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, Strict

from sim.retry.backoff import Backoff, FullJitter, capped
from sim.schema import Duration, Interval, field
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from sim.retry.catalogue import AnyBackoff
    from sim.retry.parts import Setting
    from sim.retry.policy import Refusal, Wait


class ServerHint(Backoff):
    """What the engine asks for in ``retry_after_ms``; without a hint another backoff.

    A hint is the same for every caller that gets it, so an exact one sends them all back at once.

    Formula: exact: h; at_least: max(b, min(h, b + slack)); with h = min(cap, hint) * U(1, up_to) + U(0,
        spread) and b the other backoff
    Scope: none
    Source: RFC 9110 section 10.2.3 (a minimum, no jitter); exact: gRPC A6 pushback, urllib3; slack:
        x-amz-retry-after in botocore 1.44.5 (5 s); up_to 1.2: NousResearch/hermes-agent#109234; spread 60
        s: vercel/vercel#14737
    """

    key: ClassVar[str] = "server_hint"

    mode: Literal["exact", "at_least"] = field("exact", "Whether the hint is the wait, or the least of it.")
    up_to: Annotated[float, Field(ge=1, le=1000)] = field(
        1.0, "Multiplicative jitter: the hint times a draw from 1 to this."
    )
    spread: Duration = field("0s", "Additive jitter: a draw from 0 to this on top.")
    slack: Interval | None = field(
        None, "at_least: how far at most above the other backoff; null for no bound."
    )
    cap: Interval | None = field(None, "The longest hint that is followed in full; null for no bound.")
    without: AnyBackoff | None = field(None, "The other backoff; null for the policy's own.")

    def build(self, setting: Setting) -> Wait:
        """Follow the hint where there is one."""
        uniform, up_to, spread, cap = setting.uniform, self.up_to, self.spread, capped(self.cap)
        other = self._other(setting)
        at_least, slack = self.mode == "at_least", capped(self.slack)

        def wait(refusal: Refusal) -> int:
            if refusal.retry_after_ms is None:
                return other(refusal)
            delay = min(cap, refusal.retry_after_ms * US_PER_MS)
            if up_to > 1:
                delay = int(delay * (1 + uniform() * (up_to - 1)))
            if spread:
                delay += int(uniform() * spread)
            if at_least:
                backoff = other(refusal)
                delay = max(backoff, min(delay, backoff + slack))
            return delay

        return wait

    def _other(self, setting: Setting) -> Wait:
        if self.without is not None:
            return self.without.build(setting)
        return setting.main or FullJitter().build(setting)


class Chain(Backoff):
    """One backoff after another; the last one repeats.

    Formula: the n-th of the list; each sees the intent's own n
    Scope: that of the listed ones
    Source: wait_chain of tenacity 9.2.1 (tenacity/wait.py)
    """

    key: ClassVar[str] = "tenacity_chain"
    aliases: ClassVar[tuple[str, ...]] = ("chain",)

    waits: Annotated[tuple[AnyBackoff, ...], Strict(False), Field(min_length=1, max_length=1000)] = field(
        [{"none": {}}, {"full_jitter": {}}], "The backoffs, in order."
    )

    def build(self, setting: Setting) -> Wait:
        """Pass each refusal to the backoff whose turn it is."""
        waits = [
            each.build(setting._replace(slot=f"{setting.slot}/{position}"))
            for position, each in enumerate(self.waits)
        ]
        last = len(waits) - 1

        def wait(refusal: Refusal) -> int:
            return waits[min(refusal.nth - 1, last)](refusal)

        return wait
