"""Where the time of an execution goes: its sojourn, split into parts that sum to it exactly.

The sojourn runs from the creation at the store to the end, or to the end of the run. It is cut at the
instants at which the store changed what the execution is, and where a holder stopped working for good:

waiting
    It can be had and nobody has tried for it; or its lease is lost, or its holder dead, and nobody has
    noticed or tried for it yet.
contention
    Somebody has tried for it in vain: from a grant that came to nothing, a refused admission or a block at
    one, to the grant that leads to the lease.
granting
    From that grant to the lease.
work
    Leased, and the lease counts or may still do so: with what it takes to learn of the lease and to have the
    end accepted.
redone
    Work under a lease that came to nothing, done once more under a later one.
suspended
    Put aside: suspended, delayed, backing off before a retry, or waiting for children or for what it depends
    on in a flow.

A lease *counts* when the store accepted an end of its holder's (completed, failed, put aside) and its attempt
did not come to nothing afterwards: an attempt counts that completed or failed, one that was superseded or cut
off by the end of the execution does not, one that still goes on at the end of the run may. Work under leases
that do not count is *wasted*: all of a worker's time on it, the time after the loss of the lease included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from sim.ledger import BLOCKED, ENDED, GRANTED, LEASED, OUTCOMES, PARKED, REFUSED, WAITING
from sim.record import dictionary, named, or_null

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from sim.levels import Level

    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]
    Rows = np.ndarray[Any, np.dtype[np.void]]

PARTS: Final = ("waiting", "granting", "contention", "work", "redone", "suspended")
_WAITING, _GRANTING, _CONTENTION, _WORK, _REDONE, _SUSPENDED = range(len(PARTS))

CLAIMS: Final = ("claim_execution", "claim_resumed_execution", "claim_next", "reclaim_execution")
FINISHES: Final = ("complete_execution", "fail_execution")
PARKS: Final = ("delay_execution", "suspend_execution", "move_to_waiting_children")

_NUMBERS: Final = 1 << 20
"""More than an execution has leases or attempts."""

_CHUNK_ROWS: Final = 1 << 17


class Sojourns(NamedTuple):
    """One entry an execution, in the order of their numbers.

    Attributes
    ----------
    execution, created_us, leased_us, finished_us, leases : numpy.ndarray
        Number; creation, first lease and end, below 0 where there is none; how many leases.
    outcome : numpy.ndarray
        Index of how it ended (:data:`sim.ledger.OUTCOMES`), below 0 where it did not.
    parts_us : numpy.ndarray
        Shape (executions, 6), in the order of :data:`PARTS`.
    worked_us, wasted_us : numpy.ndarray
        Time that workers spent on it, and how much of that under leases that do not count.
    duplicated : numpy.ndarray
        Whether two workers were at work on it at once.
    """

    execution: Ints
    created_us: Ints
    leased_us: Ints
    finished_us: Ints
    leases: Ints
    outcome: Ints
    parts_us: Ints
    worked_us: Ints
    wasted_us: Ints
    duplicated: Mask


def sojourns(
    changes: Rows, stretches: Rows, ops: Sequence[str], end_us: int, levels: Sequence[Level] = ()
) -> Sojourns:
    """Work out what became of the executions of a run.

    Parameters
    ----------
    changes, stretches
        From :class:`sim.ledger.ExecutionLedger`.
    ops
        Names of the operations, by index.
    end_us
        End of the run (microseconds).
    levels
        One for each of :data:`PARTS`, to which the executions are added as they pass through it.
    """
    order = np.lexsort((changes["at_us"], changes["execution"]))
    work = stretches[np.lexsort((stretches["from_us"], stretches["execution"]))]
    executions = changes["execution"][order]
    found = []
    for first, last in _chunks(executions):
        within = np.searchsorted(work["execution"], [executions[first], executions[last - 1] + 1])
        chunk = _Chunk(changes[order[first:last]], work[slice(*within)], list(ops), end_us)
        found.append(chunk.sojourns(levels))
    if not found:
        found = [_Chunk(changes, work, list(ops), end_us).sojourns(levels)]
    return Sojourns(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _chunks(executions: Ints) -> Iterator[tuple[int, int]]:
    """Cut sorted rows where an execution ends, so that what is made of them stays small."""
    first = 0
    while first < executions.size:
        last = executions[min(first + _CHUNK_ROWS, executions.size) - 1]
        end = int(np.searchsorted(executions, last, side="right"))
        yield first, end
        first = end


def executions_table(found: Sojourns, class_of: Callable[[int], str], window_us: tuple[int, int]) -> pa.Table:
    """Make the table of executions, one row each.

    Parameters
    ----------
    found
        From :func:`sojourns`.
    class_of
        Names the class of an execution.
    window_us
        Start and end of the window that tables take.
    """
    parts = {f"{part}_us": found.parts_us[:, number] for number, part in enumerate(PARTS)}
    return pa.table({
        "execution": found.execution,
        "class": dictionary([class_of(execution) for execution in found.execution.tolist()]),
        "created_us": found.created_us,
        "leased_us": or_null(found.leased_us),
        "finished_us": or_null(found.finished_us),
        "outcome": named(found.outcome, OUTCOMES),
        "leases": found.leases.astype(np.int32),
        **parts,
        "worked_us": found.worked_us,
        "wasted_us": found.wasted_us,
        "duplicated": found.duplicated,
        "in_window": (found.created_us >= window_us[0]) & (found.created_us < window_us[1]),
    })  # fmt: skip


class _Chunk:
    """The changes and the work of some executions, all rows of each: ordered by execution and instant.

    Columns of the rows have the rows' length, those of executions one entry each.
    """

    def __init__(self, changes: Rows, work: Rows, ops: list[str], end_us: int) -> None:
        claims, self._finishes, self._own = (
            np.isin(np.arange(len(ops)), [ops.index(name) for name in names if name in ops])
            for names in (CLAIMS, FINISHES, (*FINISHES, *PARKS))
        )
        self.rows = rows = _clean(changes, claims)
        self.work = work
        size = rows.size
        begins = np.append(True, rows["execution"][1:] != rows["execution"][:-1])[:size]
        self.starts = np.flatnonzero(begins)
        self.lasts = np.append(self.starts[1:], size)[: self.starts.size] - 1
        self.owner = np.cumsum(begins) - 1
        self.stage = rows["stage"].astype(np.int64)
        self.before = np.where(begins, -1, np.append(-1, self.stage[:-1])[:size])
        self.after = np.append(self.stage[1:], -1)[:size]
        self.after[self.lasts] = -1
        self.from_us = rows["at_us"]
        self.to_us = np.append(self.from_us[1:], 0)[:size]
        self.to_us[self.lasts] = np.maximum(self.from_us[self.lasts], end_us)
        self.has_ended = self.stage[self.lasts] >= ENDED
        self.leases = np.flatnonzero(self.stage == LEASED)
        self.is_ended_by_holder = self._ended_by_holder()
        self.counts = self._counting()
        self.lease_of_work = self._leases_of_work()

    # --- leases: entries as in self.leases -----------------------------------------------------------------

    def _ended_by_holder(self) -> Mask:
        """Say of each lease whether the store accepted an end of its holder's before the next lease."""
        own = np.flatnonzero(self._own[self.rows["op"]])
        lease = np.searchsorted(self.leases, own) - 1  # The last one before, which is of that execution.
        return np.bincount(lease, minlength=self.leases.size) > 0

    def _counting(self) -> Mask:
        """Say of each lease whether the work under it counts, or may still."""
        attempts = self.owner * _NUMBERS + np.maximum(self.rows["attempt"], 0)
        finished = attempts[self._finishes[self.rows["op"]]]
        of_lease, owner = attempts[self.leases], self.owner[self.leases]
        latest = np.zeros(self.starts.size, np.int64)
        np.maximum.at(latest, owner, of_lease)
        goes_on = (of_lease == latest[owner]) & ~self.has_ended[owner]
        is_open = self.after[self.leases] == -1
        counts: Mask = (np.isin(of_lease, finished) | goes_on) & (self.is_ended_by_holder | is_open)
        return counts

    def _leases_of_work(self) -> Ints:
        """Find the lease of each stretch of work: the n-th of an execution is that of epoch n."""
        owner = self.owner[self.leases]
        first = np.searchsorted(owner, owner)
        numbers = owner * _NUMBERS + np.arange(owner.size) - first + 1
        wanted: Ints = self._owner_of_work() * _NUMBERS + self.work["epoch"]
        return np.searchsorted(numbers, wanted)

    def _owner_of_work(self) -> Ints:
        return np.searchsorted(self.rows["execution"][self.starts], self.work["execution"])

    def _stopped_us(self) -> Ints:
        """Give when the time from each row on stopped being what it was, at the next row at the latest.

        Who holds a lease that is lost in the end may have stopped working long before.
        """
        stopped = self.from_us[self.leases].copy()
        np.maximum.at(stopped, self.lease_of_work, self.work["to_us"])
        stopped = np.minimum(stopped, self.to_us[self.leases])
        is_lost = ~self.is_ended_by_holder & (self.after[self.leases] != -1)
        until_us = self.to_us.copy()
        until_us[self.leases[is_lost]] = stopped[is_lost]
        return until_us

    # --- parts ---------------------------------------------------------------------------------------------

    def _parts(self) -> Ints:
        """Give the part to which the time from each row on belongs; below 0 once it has ended."""
        stage = self.stage
        tries = np.isin(stage, (GRANTED, BLOCKED, REFUSED))
        # How many tries there were since the execution can be had, up to and with each row.
        tried = np.cumsum(tries)
        can_be_had = np.isin(self.before, (-1, LEASED, PARKED))
        earlier = np.maximum.accumulate(np.where(can_be_had, tried - tries, 0))
        part = np.where(tried > earlier, _CONTENTION, _WAITING)
        part[(stage == GRANTED) & np.isin(self.after, (LEASED, -1))] = _GRANTING
        part[stage == PARKED] = _SUSPENDED
        part[stage >= ENDED] = -1
        part[self.leases] = _WORK
        has_later = np.append(self.owner[self.leases][1:], -1)[: self.leases.size] == self.owner[self.leases]
        part[self.leases[has_later & ~self.counts]] = _REDONE
        return part

    def sojourns(self, levels: Sequence[Level]) -> Sojourns:
        """Add it all up, execution by execution."""
        size, starts, lasts = self.starts.size, self.starts, self.lasts
        first_lease = np.full(size, -1, np.int64)
        first_lease[self.owner[self.leases][::-1]] = self.from_us[self.leases][::-1]
        of_work = self._owner_of_work()
        wasted = ~self.counts[self.lease_of_work]
        worker_us = self.work["to_us"] - self.work["from_us"]
        duplicated = np.zeros(size, bool)
        duplicated[of_work[_overlaps(self.work)]] = True
        return Sojourns(
            execution=self.rows["execution"][starts],
            created_us=self.from_us[starts],
            leased_us=first_lease,
            finished_us=np.where(self.has_ended, self.from_us[lasts], -1),
            leases=np.bincount(self.owner[self.leases], minlength=size),
            outcome=np.where(self.has_ended, self.stage[lasts] - ENDED, -1),
            parts_us=self._split(levels),
            worked_us=_sums(of_work, worker_us, size),
            wasted_us=_sums(of_work[wasted], worker_us[wasted], size),
            duplicated=duplicated,
        )

    def _split(self, levels: Sequence[Level]) -> Ints:
        """Add the time between rows to the parts of each execution, and to the levels."""
        part, until_us = self._parts(), self._stopped_us()
        nobody = np.full(part.size, _WAITING)
        total = np.zeros(self.starts.size * len(PARTS), np.int64)
        for which, from_us, to_us in ((part, self.from_us, until_us), (nobody, until_us, self.to_us)):
            chosen = (part >= 0) & (to_us > from_us)
            place = self.owner[chosen] * len(PARTS) + which[chosen]
            total += _sums(place, (to_us - from_us)[chosen], total.size)
            for number, level in enumerate(levels):
                mine = chosen & (which == number)
                level.add(from_us[mine], to_us[mine])
        return total.reshape(-1, len(PARTS))


def _clean(rows: Rows, claims: Mask) -> Rows:
    """Leave out what changed nothing: an execution that has ended, is leased already, or cannot be had."""
    size, stage = rows.size, rows["stage"]
    begins = np.append(True, rows["execution"][1:] != rows["execution"][:-1])[:size]
    start = np.maximum.accumulate(np.where(begins, np.arange(size), 0))
    changed = np.maximum.accumulate(np.where(stage != REFUSED, np.arange(size), -1))
    refused_in_vain = (stage == REFUSED) & ((changed < start) | (stage[changed] != WAITING))
    goes_on = (stage == LEASED) & ~claims[rows["op"]]
    ended_before: Ints = np.cumsum(stage >= ENDED) - (stage >= ENDED)
    is_over: Mask = ended_before > ended_before[start]
    kept: Rows = rows[~(refused_in_vain | goes_on | is_over)]
    return kept


def _sums(place: Ints, values: Ints, size: int) -> Ints:
    """Sum values by place. Exact: no sum comes near the 2**53 that a float holds."""
    return np.bincount(place, values, minlength=size).astype(np.int64)


def _overlaps(work: Rows) -> Ints:
    """Give the stretches of work, ordered by execution and instant, that overlap another worker's."""
    longest = int(work["to_us"].max(initial=0)) + 1
    execution = np.cumsum(np.append(True, work["execution"][1:] != work["execution"][:-1])[: work.size])
    until_us = np.maximum.accumulate(execution * longest + work["to_us"])
    overlapping = np.flatnonzero((execution * longest + work["from_us"])[1:] < until_us[:-1]) + 1
    return np.array([each for each in overlapping.tolist() if _meets_another(work, each)], np.int64)


def _meets_another(work: Rows, number: int) -> bool:
    """Whether another worker was at work on the same execution when this stretch began."""
    mine = work[number]
    first = np.searchsorted(work["execution"], mine["execution"])
    earlier = work[first:number]
    return bool(np.any((earlier["to_us"] > mine["from_us"]) & (earlier["actor"] != mine["actor"])))
