"""A sorted index: members with a score, read from the lowest score upward.

It stands for the engine's sorted sets. Adding and removing cost a dictionary entry and a heap push; the
order is settled only where it is read. An entry of the heap is valid while it says the score that the
member has now; what changed since leaves the heap when it comes to its front ("lazy deletion").
"""

from __future__ import annotations

from bisect import insort
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Member = Any
    Entry = tuple[int, Member]

_FRONT_MAX: Final = 1024
"""How long the sorted front may grow before half of it goes back to the heap."""

_SLACK: Final = 1024
"""How many outdated entries a heap may hold before it is rebuilt, besides as many as it has members."""


class Index:
    """Members by (score, member), lowest first.

    The first entries stand sorted in a list (the front), the others behind it in a heap: what a scan has
    passed over once is not sorted again by the next scan.

    Attributes
    ----------
    scores : dict[Any, int]
        The score of every member. Read it; write through ``add`` and ``discard``.
    """

    __slots__ = ("_behind", "_behind_max", "_front", "scores")

    def __init__(self) -> None:
        self.scores: dict[Any, int] = {}
        self._front: list[Entry] = []
        self._behind: list[Entry] = []
        self._behind_max = _SLACK

    def add(self, member: Member, score: int) -> None:
        """Add a member, or give it another score.

        A higher score than before is only noted: the old entry leads to it when it comes to the front.
        """
        old = self.scores.get(member)
        self.scores[member] = score
        if old is None or score < old:
            self._place((score, member))
            if len(self._behind) > self._behind_max:
                self._rebuild()
            elif len(self._front) > _FRONT_MAX:
                self._shorten_front()

    def discard(self, member: Member) -> None:
        """Remove a member, if it is one."""
        self.scores.pop(member, None)

    def first(
        self, limit: int, until: int | None = None, accept: Callable[[Any], bool] | None = None
    ) -> list[Any]:
        """List members in the order of the index.

        Parameters
        ----------
        limit
            How many at most.
        until
            The highest score that counts; None for no bound.
        accept
            Members that it says no to are passed over; they stay in the index.
        """
        front, behind, scores = self._front, self._behind, self.scores
        found: list[Any] = []
        position = 0
        seen: Entry | None = None
        while len(found) < limit:
            if position == len(front):
                if not behind:
                    break
                front.append(heappop(behind))
            entry = front[position]
            score, member = entry
            if until is not None and score > until:
                break
            actual = scores.get(member)
            if actual == score and entry != seen:
                seen = entry
                position += 1
                if accept is None or accept(member):
                    found.append(member)
            else:
                del front[position]
                if actual is not None and actual > score:
                    self._place((actual, member))
        return found

    def items(self) -> list[tuple[Any, int]]:
        """List every (member, score) in the order of the index."""
        return sorted(self.scores.items(), key=_by_score)

    def _place(self, entry: Entry) -> None:
        front = self._front
        if front and entry < front[-1]:
            insort(front, entry)
        else:
            heappush(self._behind, entry)

    def _shorten_front(self) -> None:
        """Give half of the front back to the heap, so that inserting into it stays cheap."""
        front, behind = self._front, self._behind
        half = len(front) // 2
        for entry in front[half:]:
            heappush(behind, entry)
        del front[half:]

    def _rebuild(self) -> None:
        """Keep one entry a member; the cost is spread over the entries added since the last time."""
        self._front = []
        self._behind = [(score, member) for member, score in self.scores.items()]
        heapify(self._behind)
        self._behind_max = 2 * len(self._behind) + _SLACK


def _by_score(item: tuple[Any, int]) -> tuple[int, Any]:
    return item[1], item[0]
