"""Operations as transactions: sessions, row locks, snapshots, conflicts and retries of the Postgres back end.

Where the rule ``transactions`` is ``serializable``, a partition has parallel sessions instead of one queue.
An operation is a transaction: it waits for a session (first come, first served), carries out the statements
of its plan (:mod:`sim.store.footprints`) one after the other, each a statement time long, and commits at the
end of the last one. The store's operation is applied at that instant, all at once; a refused one rolls back,
so that others have only waited for it. The session is free again from the commit or rollback on, hence
during the pause before another attempt.

Conflicts, as PostgreSQL resolves them (its manual, chapter 13 "Concurrency Control"; checked on version 15):

- *First updater wins.* A SERIALIZABLE transaction takes its snapshot at its first statement. To lock or
  write a row that was changed by a commit after that aborts it. A row that another transaction has locked is
  waited for, first come, first served; if that one commits and has changed the row, the waiter is aborted;
  otherwise it goes on. READ COMMITTED transactions wait too, but are never aborted so: they see what is
  there.
- *Dangerous structures* (Ports and Grittner, "Serializable Snapshot Isolation in PostgreSQL", VLDB 2012),
  in the simplest form: of two overlapping SERIALIZABLE transactions each of which read what the other
  wrote, the later to commit is aborted. What counts as read is the row, or with the rule
  ``conflict_granularity: partition`` the whole table within the partition, as where the planner scans small
  tables; a predicate always reads the whole table. To lock a row is to read it.
- *Deadlock.* The transaction whose wait closes a cycle is aborted after ``deadlock_timeout`` (1 s).

An aborted transaction is tried again as often as its plan says, then its caller is told
``retry_exhausted``. Where there is one attempt only, READ COMMITTED ones included, the conflict itself comes
out: ``lease_conflict``, as the back end maps it. A ``lease_conflict`` that the store itself answers (a stale
epoch) is retried like the others, because the back end cannot tell them apart. What happens then is up to
the caller; nobody redelivers.

Left out: sub-transactions, lock modes other than exclusive, structures of three transactions, lock and
statement time-outs (the back end sets none). A quota's slot that changes with a lease of another partition
does so at the commit, without locks.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.store.footprints import PARAMETERS, PLANS, has_written
from sim.store.outcome import Refused
from sim.store.store import OPERATIONS
from sim.units import US_PER_MS, US_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sim.kernel import Kernel
    from sim.record import Attempt
    from sim.store import Store
    from sim.store.footprints import Plan, Row, Step
    from sim.store.outcome import Outcome

    Stamp = tuple[int, int, int]
    Answer = Callable[[Attempt, Outcome, int], None]

DEADLOCK_TIMEOUT_US: Final = US_PER_S
"""PostgreSQL's default of ``deadlock_timeout``."""

_CLAIM_NEXT: Final = "claim_next"


class Commit(NamedTuple):
    """What is remembered of a transaction that has written, while one runs that began before its end.

    Attributes
    ----------
    number : int
        From 1, in the order of commits.
    stamp : tuple of int
        Who, which operation, when: the rival of those that lose against it.
    changed : tuple of Row
        Rows of which it made the newest version.
    reads, writes : set of Row
        As :class:`Transaction` has them; no reads of a READ COMMITTED one: it is in no such structure.
    """

    number: int
    stamp: Stamp
    changed: tuple[Row, ...]
    reads: set[Row]
    writes: set[Row]


class Transaction:
    """An operation on its way through a session, in one attempt after the other.

    Attributes
    ----------
    attempt : Attempt
        What the caller sent.
    arguments : dict
        Its arguments by name; those left to their defaults are missing.
    failures : int
        How often it was aborted.
    began_us, snapshot : int
        When its first statement began; the last commit by then.
    statements : Iterator of Step
        Those still to come.
    to_lock : deque of Row
        What the current statement has still to lock.
    locks : list of Row
    awaits : Row or None
        The row whose lock it waits for.
    changed : list of Row
        Rows that it writes.
    reads, writes : set of Row
        What counts in dangerous structures. A row that is written counts as its table's as well.
    """

    __slots__ = (
        "arguments", "attempt", "awaits", "began_us", "changed", "failures", "locks", "plan", "reads",
        "snapshot", "statements", "to_lock", "writes",
    )  # fmt: skip

    statements: Iterator[Step]

    def __init__(self, attempt: Attempt, plan: Plan) -> None:
        self.attempt = attempt
        self.arguments = dict(zip(PARAMETERS[attempt.op.index], attempt.arguments, strict=False))
        self.plan = plan
        self.failures = 0

    def begin(self, store: Store, now_us: int, snapshot: int) -> None:
        """Begin an attempt, with nothing locked, read or written."""
        self.statements = self.plan.carried_out(store, self.arguments)
        self.began_us = now_us
        self.snapshot = snapshot
        self.to_lock: deque[Row] = deque()
        self.locks: list[Row] = []
        self.awaits: Row | None = None
        self.changed: list[Row] = []
        self.reads: set[Row] = set()
        self.writes: set[Row] = set()

    @property
    def stamp(self) -> Stamp:
        """Who holds the locks, for what, since when."""
        return self.attempt.actor, self.attempt.op.index, self.began_us


class TransactionServer:
    """One partition of the store whose operations are transactions.

    Parameters
    ----------
    kernel
        The clock.
    store
        The partition.
    connections
        Sessions in parallel.
    statement
        How long statements take, one after another (microseconds).

    Attributes
    ----------
    answer : Callable
        Called with an attempt, its outcome and the instant when it is known; set by the link.
    service : Iterator
        How long statements take, one after another (microseconds).
    outages : int
        Outage windows that go on; above 0 the link lets nothing begin.
    operations : tuple of Callable
        The store's, by the index of the operation.
    sessions : int
        How many there are.
    """

    def __init__(self, kernel: Kernel, store: Store, connections: int, statement: Iterator[int]) -> None:
        self.store = store
        self.answer: Answer
        self._kernel = kernel
        self.service = statement
        self.outages = 0
        self._reads_tables = store.rules.conflict_granularity == "partition"
        self.operations = tuple(getattr(store, name) for name in OPERATIONS)
        self._free = self.sessions = connections
        self._taken_us = array("q")
        self._freed_us = array("q")
        self._queue: deque[Transaction] = deque()
        self._holders: dict[Row, Transaction] = {}
        self._waiting: dict[Row, deque[Transaction]] = {}
        self._commits = 0
        self._newest: dict[Row, Commit] = {}
        self._history: deque[Commit] = deque()
        # SERIALIZABLE ones under way, in the order of their snapshots.
        self._running: dict[Transaction, None] = {}

    def begin(self, attempt: Attempt) -> None:
        """Take an operation that has arrived."""
        self._enter(Transaction(attempt, PLANS[attempt.op.index]))

    def busy_us(self) -> tuple[array[int], array[int]]:
        """Give the instants at which a session was taken, and those at which one became free."""
        return self._taken_us, self._freed_us

    # --- sessions and statements ---------------------------------------------------------------------

    def _enter(self, transaction: Transaction) -> None:
        """Take a session, or wait for one."""
        if self._free:
            self._free -= 1
            self._taken_us.append(self._kernel._now)
            self._start(transaction)
        else:
            self._queue.append(transaction)

    def _start(self, transaction: Transaction) -> None:
        transaction.begin(self.store, self._kernel._now, self._commits)
        if transaction.plan.serializable:
            self._running[transaction] = None
        self._next_statement(transaction)

    def _next_statement(self, transaction: Transaction) -> None:
        """Begin the next statement; behind the last one comes the commit."""
        step = next(transaction.statements, None)
        if step is None:
            self._commit(transaction)
            return
        rows = step.rows(self.store, transaction.arguments)
        if step.access in ("lock", "write"):
            transaction.to_lock.extend(rows)
        if step.access in ("lock", "read"):
            reads = ((table, None) for table, _ in rows) if self._reads_tables else rows
            transaction.reads.update(reads)
        else:
            transaction.writes.update(rows)
            transaction.writes.update((table, None) for table, _ in rows)
        if step.access == "write":
            transaction.changed += rows
        self._carry_out(transaction)

    def _carry_out(self, transaction: Transaction) -> None:
        """Lock what the statement still has to lock, then take the time that it takes."""
        to_lock = transaction.to_lock
        while to_lock:
            row = to_lock[0]
            holder = self._holders.get(row)
            if holder is not transaction:
                newer = self._newer(row, transaction)
                if newer is not None:
                    self._lose(transaction, newer.stamp)
                    return
                if holder is not None:
                    self._wait(transaction, row)
                    return
                self._holders[row] = transaction
                transaction.locks.append(row)
            to_lock.popleft()
        at_us = self._kernel._now + next(self.service)
        self._kernel.call_at(at_us, self._next_statement, transaction)

    # --- the end -------------------------------------------------------------------------------------

    def _commit(self, transaction: Transaction) -> None:
        """Apply the operation, unless that would close a dangerous structure."""
        attempt, plan = transaction.attempt, transaction.plan
        rival = self._dangerous(transaction) if plan.serializable else None
        if rival is not None:
            self._lose(transaction, rival.stamp)
            return
        now_us = self._kernel._now
        stamp = self.store.stamp = (attempt.actor, attempt.op.index, now_us)
        outcome = self._apply(transaction, now_us // US_PER_MS)
        if isinstance(outcome, Refused) and plan.serializable and outcome.code == "lease_conflict":
            self._lose(transaction, outcome.rival)
            return
        if transaction.changed and has_written(attempt.op.name, outcome):
            self._remember(transaction, stamp)
        attempt.started_us = now_us
        self.answer(attempt, outcome, now_us)
        self._end(transaction)  # after the answer, so that who loses against it learns so later

    def _apply(self, transaction: Transaction, now_ms: int) -> Outcome:
        attempt = transaction.attempt
        operation: Callable[..., Outcome] = self.operations[attempt.op.index]
        if attempt.op.name != _CLAIM_NEXT:
            return operation(now_ms, *attempt.arguments)
        outcome = operation(now_ms, *attempt.arguments, skip=_Locked(self._holders))
        if outcome.ok:
            execution = outcome.values["execution"]
            transaction.changed = [("exec", execution), ("attempt", execution)]
        return outcome

    def _remember(self, transaction: Transaction, stamp: Stamp) -> None:
        """Make the newest version of every row that it has written."""
        self._commits += 1
        reads = transaction.reads if transaction.plan.serializable else set()
        commit = Commit(self._commits, stamp, tuple(transaction.changed), reads, transaction.writes)
        self._history.append(commit)
        for row in commit.changed:
            self._newest[row] = commit

    def _lose(self, transaction: Transaction, rival: object) -> None:
        """Roll back; try again after the pause, or tell the caller that no attempt is left."""
        self._end(transaction)
        attempt, pauses_us = transaction.attempt, transaction.plan.pauses_us
        now_us = self._kernel._now
        if transaction.failures < len(pauses_us):
            again_us = now_us + pauses_us[transaction.failures]
            transaction.failures += 1
            self._kernel.call_at(again_us, self._enter, transaction)
            return
        attempt.started_us = now_us
        self.answer(attempt, Refused(attempt.op.name, transaction.plan.code_when_lost, rival), now_us)

    def _end(self, transaction: Transaction) -> None:
        """Give back locks and session, to those who have waited longest."""
        self._running.pop(transaction, None)
        self._forget()
        for row in transaction.locks:
            self._hand_over(row)
        if self._queue:
            self._kernel.call_at(self._kernel._now, self._start, self._queue.popleft())
        else:
            self._free += 1
            self._freed_us.append(self._kernel._now)

    # --- row locks -----------------------------------------------------------------------------------

    def _newer(self, row: Row, transaction: Transaction) -> Commit | None:
        """Give the commit that changed a row after the snapshot, where that matters."""
        newest = self._newest.get(row)
        if newest is None or not transaction.plan.serializable or newest.number <= transaction.snapshot:
            return None
        return newest

    def _wait(self, transaction: Transaction, row: Row) -> None:
        transaction.awaits = row
        self._waiting.setdefault(row, deque()).append(transaction)
        if self._is_in_cycle(transaction):
            at_us = self._kernel._now + DEADLOCK_TIMEOUT_US
            self._kernel.call_at(at_us, self._break_deadlock, transaction)

    def _hand_over(self, row: Row) -> None:
        """Give a row to the first who waits for it and may have it; abort those who may not."""
        del self._holders[row]
        waiting = self._waiting.pop(row, None)
        while waiting:
            heir = waiting.popleft()
            heir.awaits = None
            newer = self._newer(row, heir)
            if newer is not None:
                self._lose(heir, newer.stamp)
                continue
            self._holders[row] = heir
            heir.locks.append(row)
            self._kernel.call_at(self._kernel._now, self._carry_out, heir)
            break
        if waiting:
            self._waiting[row] = waiting

    def _is_in_cycle(self, transaction: Transaction) -> bool:
        """Whether those who are waited for wait, one for the other, for this one."""
        awaits = transaction.awaits
        for _ in range(self.sessions):  # a chain is no longer than that, a cycle of others has no end
            if awaits is None:
                return False
            holder = self._holders[awaits]
            if holder is transaction:
                return True
            awaits = holder.awaits
        return False

    def _break_deadlock(self, transaction: Transaction) -> None:
        """Abort a transaction whose wait closed a cycle: nobody in it has moved since, nor could have."""
        row = transaction.awaits
        assert row is not None
        waiting = self._waiting[row]
        waiting.remove(transaction)
        if not waiting:
            del self._waiting[row]
        transaction.awaits = None
        self._lose(transaction, self._holders[row].stamp)

    # --- what was committed --------------------------------------------------------------------------

    def _dangerous(self, transaction: Transaction) -> Commit | None:
        """Give the first overlapping commit with reads and writes both ways."""
        reads, writes = transaction.reads, transaction.writes
        for commit in self._history:
            if commit.number <= transaction.snapshot or commit.reads.isdisjoint(writes):
                continue
            if not commit.writes.isdisjoint(reads):
                return commit
        return None

    def _forget(self) -> None:
        """Forget commits that are older than every snapshot."""
        oldest = next(iter(self._running), None)
        until = self._commits if oldest is None else oldest.snapshot
        history = self._history
        while history and history[0].number <= until:
            commit = history.popleft()
            for row in commit.changed:
                if self._newest.get(row) is commit:
                    del self._newest[row]


class _Locked:
    """The executions whose rows are locked, as a container: what ``SKIP LOCKED`` passes over."""

    __slots__ = ("_holders",)

    def __init__(self, holders: dict[Row, Transaction]) -> None:
        self._holders = holders

    def __contains__(self, execution: Any) -> bool:
        return ("exec", execution) in self._holders
