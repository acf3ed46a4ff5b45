"""Trouble of a connection that comes and goes: slowness and loss on top of what the scenario's link has.

Nothing is asked of an attempt: at the beginning and end of a window the client's own delays and losses
are exchanged. Loss is without memory (geometric distances), so drawing the distance anew at a
boundary changes nothing of its law.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.link import Client
    from sim.rng import Streams
    from sim.scenario.model import Link as LinkSpec


class Trouble:
    """The troubles of one actor's connection.

    Parameters
    ----------
    client
        The actor's end of the link.
    link
        Loss without trouble.
    streams, name
        Whose draws the losses are.
    """

    def __init__(self, client: Client, link: LinkSpec, streams: Streams, name: str) -> None:
        self._client = client
        self._request, self._reply = client.request, client.reply
        self._streams = streams
        self._name = name
        self._factor = 1.0
        self._requests = [link.lose_request]
        self._replies = [link.lose_reply]
        self._redrawn = 0

    def slow(self, factor: float) -> None:
        """Multiply the delays; the reciprocal takes it back."""
        self._factor *= factor
        self._client.request = scaled(self._request, self._factor)
        self._client.reply = scaled(self._reply, self._factor)

    def lose(self, requests: float, replies: float) -> None:
        """Lose that share of requests and replies besides."""
        self._requests.append(requests)
        self._replies.append(replies)
        self._redraw()

    def stop_losing(self, requests: float, replies: float) -> None:
        """End what :meth:`lose` began."""
        self._requests.remove(requests)
        self._replies.remove(replies)
        self._redraw()

    def _redraw(self) -> None:
        client, streams = self._client, self._streams
        self._redrawn += 1
        name = f"{self._name}/trouble/{self._redrawn}"
        client.requests_lost = streams.events(f"{name}/requests", _either(self._requests))
        client.replies_lost = streams.events(f"{name}/replies", _either(self._replies))


def _either(probabilities: list[float]) -> float:
    """Give the probability that at least one of independent losses happens."""
    return 1.0 - prod(1.0 - each for each in probabilities)


def scaled(draws: Iterator[int], factor: float) -> Iterator[int]:
    """Give draws that are multiplied by a factor."""
    # Factors are multiplied and divided again: what is left of 1.0 then is rounding.
    if abs(factor - 1.0) < 1e-9:
        return draws
    return (round(delay_us * factor) for delay_us in draws)
