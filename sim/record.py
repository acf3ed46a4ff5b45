"""What an attempt, a contention and an intent is, and how a run writes them down.

Records are facts: nothing is counted here that cannot be counted from the rows. Rows are packed into
byte buffers (a tenth of the memory of tuples, nothing for the garbage collector to walk) and become
columns in blocks. Attempts are only kept as counts by actor kind, operation and answer, and as the number
in flight over time; contentions and intents are kept row by row. Executions: :mod:`sim.ledger`.

The tables, their columns and their meaning are those of ``measures`` in the reference documentation.
"""

from __future__ import annotations

import hashlib
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa

from sim.contention import KINDS, kind_of
from sim.levels import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.contention import ContentionKind
    from sim.store.outcome import Ok, Refused

NONE: Final = -1
"""In a row: there is no such thing (no flow, no rival, ...)."""

_BLOCK_BYTES: Final = 1 << 22
_HASHED_AT_ONCE: Final = 1 << 16


ANSWERS: Final = ("ok", "refused", "unknown")
"""The three answers of a request. ``unknown``: no reply in time, it may or may not have been applied."""


class Unknown:
    """The outcome of an attempt that was not answered in time. Not a refusal, hence no contention."""

    __slots__ = ("code", "kind", "ok")
    retry_after_ms: Final = None
    rival: Final = None

    def __init__(self, code: str) -> None:
        self.ok: Literal[False] = False
        self.kind: None = None
        self.code = code

    def __repr__(self) -> str:
        return f"Unknown({self.code})"


UNKNOWN: Final = Unknown("unknown")
REJECTED: Final = Unknown("rejected")
"""What an actor gets whose own policy did not let the attempt be sent; it stands in no record."""


class Op:
    """An operation of the store, numbered for the records."""

    __slots__ = ("index", "name")

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = name

    def __repr__(self) -> str:
        return f"Op({self.name})"


class Intent:
    """What an actor tries to achieve, over as many attempts, targets and waits as it takes.

    Attributes
    ----------
    id, root : int
        Its number, and that of the intent whose success counts for it (its own for most).
    goal : str
        submit, acquire, dispatch, hold, finish, park, repair, ...
    actor : int
        Whose it is.
    execution : int
        What it is about, as far as known; NONE before.
    start_us : int
    attempts, refusals, failures : int
        Attempts made; those refused with a kind; those refused or unanswered.
    flow, waitpoint : int
        Likewise, for intents that are about one.
    memory : object
        State that the retry policy keeps for this intent.
    """

    __slots__ = (
        "actor", "attempts", "execution", "failures", "flow", "goal", "id", "memory", "refusals", "root",
        "start_us", "waitpoint",
    )  # fmt: skip

    def __init__(self, number: int, root: int, goal: str, actor: int, execution: int, start_us: int) -> None:
        self.id = number
        self.root = root
        self.goal = goal
        self.actor = actor
        self.execution = execution
        self.flow = self.waitpoint = NONE
        self.start_us = start_us
        self.attempts = 0
        self.refusals = 0
        self.failures = 0
        self.memory: Any = None


class Attempt:
    """One operation sent to the store, from its sending to its answer.

    The link fills it in as it comes to know; made millions of times, it has no constructor to call.

    Attributes
    ----------
    process : Process
        Who waits for the answer.
    actor : int
    op : Op
    arguments : tuple
        What the store's operation takes after the instant.
    intent : Intent or None
        None for the reads of a sweep.
    execution : int
        What it is about; NONE where it is about no execution.
    sent_us, arrived_us, started_us, done_us, deadline_us : int
        Sent, arrived at the store, taken effect, answered, given up. NONE before.
    outcome : Ok, Refused, Unknown or None
    """

    __slots__ = (
        "actor", "arguments", "arrived_us", "deadline_us", "done_us", "execution", "intent", "op", "outcome",
        "process", "sent_us", "server", "started_us",
    )  # fmt: skip

    process: Any
    actor: int
    op: Op
    server: Any
    arguments: tuple[Any, ...]
    intent: Intent | None
    execution: int
    sent_us: int
    arrived_us: int
    started_us: int
    done_us: int
    deadline_us: int
    outcome: Any


# One row each. Little endian, no padding, so that numpy reads the bytes in place.
_COUNTED = np.dtype(
    [("sent_us", "<i8"), ("done_us", "<i8"), ("actor", "<i4"), ("code", "<i2"), ("op", "u1"),
     ("answer", "u1")])  # fmt: skip
# What a kept attempt has besides; its rows are in step with those that are counted.
_KEPT = np.dtype([("arrived_us", "<i8"), ("intent", "<i8"), ("execution", "<i8")])
_CONTENTION = np.dtype(
    [("sent_us", "<i8"), ("arrived_us", "<i8"), ("done_us", "<i8"), ("execution", "<i8"), ("flow", "<i8"),
     ("waitpoint", "<i8"), ("intent", "<i8"), ("root", "<i8"), ("rival_age_us", "<i8"), ("actor", "<i4"),
     ("rival_actor", "<i4"), ("nth", "<i4"), ("code", "<i2"), ("op", "u1"), ("kind", "u1"),
     ("rival_op", "i1"),
     ("action", "i1"), ("delay_us", "<i8")])  # fmt: skip
_INTENT = np.dtype(
    [("intent", "<i8"), ("root", "<i8"), ("execution", "<i8"), ("start_us", "<i8"), ("end_us", "<i8"),
     ("actor", "<i4"), ("attempts", "<i4"), ("goal", "i1"), ("resolution", "i1"),
     ("cause", "i1")])  # fmt: skip

_pack_counted = Struct("<2qihBB").pack
_pack_kept = Struct("<3q").pack
_pack_contention = Struct("<9qiiihBBbbq").pack
_pack_intent = Struct("<5qiibbb").pack
_DECISION = Struct("<bq")

GOALS: Final = (
    "submit", "acquire", "dispatch", "hold", "finish", "park", "signal", "link", "resolve", "cancel",
    "revoke", "reprioritise", "repair",
)  # fmt: skip
RESOLUTIONS: Final = ("recovered", "satisfied", "abandoned", "open", "relayed")
CAUSES: Final = ("policy", "superseded", "crash")
_GOAL = {name: index for index, name in enumerate(GOALS)}
_RESOLUTION = {name: index for index, name in enumerate(RESOLUTIONS)}
_CAUSE = {None: NONE} | {name: index for index, name in enumerate(CAUSES)}


class Recorder:
    """Takes down a run.

    Parameters
    ----------
    ops
        The operations, by index.
    actions
        Names of the actions that a policy can answer, by index.
    window_us
        Start and end of the window that tables take: [warmup, warmup + run).
    edges
        Edges of the bins over which the attempts in flight are integrated (microseconds); without them
        the window alone is told from the rest.
    keep_attempts
        Keep every attempt as a row, not only their counts.

    Attributes
    ----------
    on_block : Callable or None
        Called whenever a block of attempts is full: the place for what would cost too much per attempt.
    in_flight : Level
        Attempts that were sent and of which the actor has not learned the outcome; complete when the run has
        ended and :meth:`leave_open` has been called.
    """

    def __init__(
        self,
        ops: Sequence[Op],
        actions: Sequence[str],
        window_us: tuple[int, int],
        *,
        edges: np.ndarray | None = None,
        keep_attempts: bool = False,
    ) -> None:
        self._ops = [op.name for op in ops]
        self._actions = list(actions)
        self._window_us = window_us
        self._counted = bytearray()
        self._block_bytes = _BLOCK_BYTES
        self._blocks_attempts = 0
        self.on_block: Callable[[], None] | None = None
        self._kept: list[np.ndarray] | None = [] if keep_attempts else None
        self._kept_rows = bytearray()
        self.in_flight = Level(np.unique([0, *window_us]) if edges is None else edges)
        self._counts: dict[tuple[str, int, int, int], list[int]] = {}
        self._contentions: list[np.ndarray] = []
        self._contention_rows = bytearray()
        self._intents = bytearray()
        self._open: dict[int, Intent] = {}
        self._codes: dict[str, int] = {}
        self._contention_codes: dict[str, int] = {}
        self.actors: list[tuple[str, str]] = []
        self.intents_begun = 0

    # --- while the run goes on ---------------------------------------------------------------------

    def begin(self, goal: str, actor: int, start_us: int, execution: int = NONE, root: int = NONE) -> Intent:
        """Begin an intent; without ``root`` it is its own."""
        number = self.intents_begun
        self.intents_begun = number + 1
        intent = Intent(number, number if root == NONE else root, goal, actor, execution, start_us)
        self._open[number] = intent
        return intent

    def end(self, intent: Intent, end_us: int, resolution: str, cause: str | None = None) -> None:
        """End an intent. Ending twice is an error of the model."""
        del self._open[intent.id]
        self._intents += _pack_intent(
            intent.id, intent.root, intent.execution, intent.start_us, end_us, intent.actor, intent.attempts,
            _GOAL[intent.goal], _RESOLUTION[resolution], _CAUSE[cause],
        )  # fmt: skip

    def open_of(self, actor: int) -> list[Intent]:
        """Give the intents of an actor that go on, in the order of their beginning."""
        return [intent for intent in self._open.values() if intent.actor == actor]

    def end_all(self, end_us: int, resolution: str) -> None:
        """End every open intent."""
        for intent in list(self._open.values()):
            self.end(intent, end_us, resolution)

    @property
    def open_intents(self) -> list[Intent]:
        """The intents that have begun and not ended, in the order of their beginning."""
        return list(self._open.values())

    def attempt(self, attempt: Attempt, outcome: Ok | Refused | Unknown) -> None:
        """Take down one attempt when its actor learns the outcome, and the contention if it was refused."""
        code = outcome.code
        number = self._codes.get(code)
        if number is None:
            number = self._codes[code] = len(self._codes)
        kind = outcome.kind
        rows = self._counted
        rows += _pack_counted(
            attempt.sent_us, attempt.done_us, attempt.actor, number, attempt.op.index,
            0 if outcome.ok else 2 if kind is None else 1,
        )  # fmt: skip
        if self._kept is not None:
            intent_id = NONE if attempt.intent is None else attempt.intent.id
            self._kept_rows += _pack_kept(attempt.arrived_us, intent_id, attempt.execution)
        if len(rows) >= self._block_bytes:
            self._count_attempts()
            if self.on_block is not None:
                self.on_block()
        if kind is not None:
            self._contention(attempt, outcome, kind)  # type: ignore[arg-type]  # it has a kind

    @property
    def attempts_made(self) -> int:
        """How many attempts have been taken down."""
        return self._blocks_attempts + len(self._counted) // _COUNTED.itemsize

    def end_block_after(self, attempts: int) -> None:
        """Let the block of attempts that begins now end after so many, if it is not full before."""
        self._block_bytes = min(_BLOCK_BYTES, max(1, attempts) * _COUNTED.itemsize)

    def _contention(self, attempt: Attempt, outcome: Refused, kind: ContentionKind) -> None:
        if len(self._contention_rows) >= _BLOCK_BYTES:
            self._contentions.append(np.frombuffer(bytes(self._contention_rows), _CONTENTION))
            self._contention_rows.clear()
        number = self._contention_codes.get(outcome.code)
        if number is None:
            number = self._contention_codes[outcome.code] = len(self._contention_codes)
        # A rival is a stamp of the link: who, which operation, when it took effect.
        rival: Any = outcome.rival
        rival_actor, rival_op, rival_us = rival or (NONE, NONE, attempt.started_us - NONE)
        intent = attempt.intent
        intent_id = root = flow = waitpoint = NONE
        nth = 1
        if intent is not None:
            intent.refusals = nth = intent.refusals + 1
            intent_id, root, flow, waitpoint = intent.id, intent.root, intent.flow, intent.waitpoint
        self._contention_rows += _pack_contention(
            attempt.sent_us, attempt.arrived_us, attempt.done_us, attempt.execution, flow, waitpoint,
            intent_id, root, attempt.started_us - rival_us, attempt.actor, rival_actor, nth, number,
            attempt.op.index, kind.index, rival_op, NONE, NONE,
        )  # fmt: skip

    def decided(self, action: int, delay_us: int) -> None:
        """Add the policy's answer to the contention taken down last."""
        _DECISION.pack_into(
            self._contention_rows, len(self._contention_rows) - _DECISION.size, action, delay_us
        )

    def leave_open(self, sent_us: Sequence[int]) -> None:
        """Take down when those attempts were sent that are still under way at the end of the run."""
        self._count_attempts()
        self.in_flight.add(sent_us, [])

    def _count_attempts(self) -> None:
        rows = np.frombuffer(self._counted, _COUNTED)
        if self._kept is not None:
            self._kept.append(_joined(rows, np.frombuffer(self._kept_rows, _KEPT)))
            self._kept_rows = bytearray()
        self._blocks_attempts += len(rows)
        start_us, end_us = self._window_us
        inside = (rows["done_us"] >= start_us) & (rows["done_us"] < end_us)
        self.in_flight.add(rows["sent_us"], rows["done_us"])
        names, kinds = np.unique([kind for _, kind in self.actors], return_inverse=True)
        shape = (len(names), len(self._ops), len(ANSWERS), len(self._codes))
        keys = np.ravel_multi_index((kinds[rows["actor"]], rows["op"], rows["answer"], rows["code"]), shape)
        totals, counts = np.bincount(keys), np.bincount(keys[inside], minlength=int(keys.max(initial=0)) + 1)
        for key in np.flatnonzero(totals).tolist():
            kind, op, answer, code = map(int, np.unravel_index(key, shape))
            entry = self._counts.setdefault((str(names[kind]), op, answer, code), [0, 0])
            entry[0] += int(counts[key])
            entry[1] += int(totals[key])
        del rows
        self._counted.clear()

    # --- afterwards ----------------------------------------------------------------------------------

    def contentions(self) -> pa.Table:
        """Give the contentions, in the order in which actors learned of them, once: their rows are let go.

        A long run has no room for rows and tables.
        """
        rows = np.concatenate([*self._contentions, np.frombuffer(bytes(self._contention_rows), _CONTENTION)])
        self._contentions, self._contention_rows = [], bytearray()
        actors = [name for name, _ in self.actors]
        return pa.table({
            "seq": np.arange(len(rows), dtype=np.int64),
            "sent_us": rows["sent_us"],
            "arrived_us": rows["arrived_us"],
            "done_us": rows["done_us"],
            "actor": named(rows["actor"], actors),
            "actor_kind": named(rows["actor"], [kind for _, kind in self.actors]),
            "op": named(rows["op"], self._ops),
            "code": named(rows["code"], list(self._contention_codes)),
            "kind": named(rows["kind"], [kind.value for kind in KINDS]),
            "execution": or_null(rows["execution"]),
            "flow": or_null(rows["flow"]),
            "waitpoint": or_null(rows["waitpoint"]),
            "intent": or_null(rows["intent"]),
            "root": or_null(rows["root"]),
            "nth": rows["nth"],
            "action": named(rows["action"], self._actions),
            "delay_us": or_null(rows["delay_us"]),
            "rival_actor": named(rows["rival_actor"], actors),
            "rival_op": named(rows["rival_op"], self._ops),
            "rival_age_us": or_null(rows["rival_age_us"]),
            "in_window": self._inside(rows["done_us"]),
        })  # fmt: skip

    def intents(self) -> pa.Table:
        """Give the intents, in the order of their beginning, once: their rows are let go."""
        packed = np.frombuffer(self._intents, _INTENT)
        self._intents = bytearray()
        order = np.argsort(packed["intent"], kind="stable")

        def column(name: str) -> np.ndarray:
            return packed[name][order]

        return pa.table({
            "intent": column("intent"),
            "root": column("root"),
            "goal": named(column("goal"), GOALS),
            "actor": named(column("actor"), [name for name, _ in self.actors]),
            "actor_kind": named(column("actor"), [kind for _, kind in self.actors]),
            "execution": or_null(column("execution")),
            "start_us": column("start_us"),
            "end_us": column("end_us"),
            "resolution": named(column("resolution"), RESOLUTIONS),
            "cause": named(column("cause"), CAUSES),
            "attempts": column("attempts"),
            "in_window": self._inside(column("start_us")),
        })  # fmt: skip

    def attempts(self) -> pa.Table:
        """Give the counts of attempts by actor kind, operation, answer and code, in the window and in all."""
        self._count_attempts()
        codes = list(self._codes)
        rows = sorted(
            (actor_kind, self._ops[op], ANSWERS[answer], codes[code], count, total)
            for (actor_kind, op, answer, code), (count, total) in self._counts.items()
        )
        return pa.table({
            "actor_kind": dictionary([row[0] for row in rows]),
            "op": dictionary([row[1] for row in rows]),
            "answer": dictionary([row[2] for row in rows]),
            "code": dictionary([row[3] for row in rows]),
            "kind": dictionary([_kind_name(*row[1:4]) for row in rows]),
            "count": pa.array([row[4] for row in rows], pa.int64()),
            "total": pa.array([row[5] for row in rows], pa.int64()),
        })  # fmt: skip

    def attempt_rows(self) -> pa.Table:
        """Give every attempt that was kept, in the order in which actors learned of them."""
        self._count_attempts()
        rows = np.concatenate([_joined(np.empty(0, _COUNTED), np.empty(0, _KEPT)), *(self._kept or [])])
        return pa.table({
            "sent_us": rows["sent_us"],
            "arrived_us": or_null(rows["arrived_us"]),
            "done_us": rows["done_us"],
            "actor": named(rows["actor"], [name for name, _ in self.actors]),
            "actor_kind": named(rows["actor"], [kind for _, kind in self.actors]),
            "op": named(rows["op"], self._ops),
            "answer": named(rows["answer"], ANSWERS),
            "code": named(rows["code"], list(self._codes)),
            "kind": self._kinds(rows),
            "execution": or_null(rows["execution"]),
            "intent": or_null(rows["intent"]),
            "in_window": self._inside(rows["done_us"]),
        })  # fmt: skip

    def _kinds(self, rows: np.ndarray) -> pa.DictionaryArray:
        """Name the kind of every attempt that was refused."""
        codes = list(self._codes)
        shape = (len(self._ops), len(ANSWERS), len(codes) or 1)
        used, place = np.unique(
            np.ravel_multi_index((rows["op"], rows["answer"], rows["code"]), shape), return_inverse=True
        )
        triples = np.transpose(np.unravel_index(used, shape)).tolist()
        kinds = [_kind_name(self._ops[op], ANSWERS[answer], codes[code]) for op, answer, code in triples]
        labels = [kind.value for kind in KINDS]
        numbers = np.array([NONE if kind is None else labels.index(kind) for kind in kinds], np.int8)
        return named(numbers[place], labels)

    def _inside(self, at_us: np.ndarray) -> np.ndarray:
        return (at_us >= self._window_us[0]) & (at_us < self._window_us[1])


def _joined(*halves: np.ndarray) -> np.ndarray:
    """Put rows that are in step side by side."""
    fields = [field for half in halves for field in half.dtype.descr]
    rows = np.empty(len(halves[0]), fields)
    for half in halves:
        for name in half.dtype.names or ():
            rows[name] = half[name]
    return rows


def _kind_name(op: str, answer: str, code: str) -> str | None:
    if answer != "refused":
        return None
    # A wrong token is a caller's mistake, which ends a run: what was recorded is a missing waitpoint.
    kind = kind_of(op, code, "missing")
    return None if kind is None else kind.value


def dictionary(names: Sequence[str | None]) -> pa.DictionaryArray:
    """Make a column of names."""
    return pa.array(names, pa.string()).dictionary_encode()


def named(indexes: np.ndarray, names: Sequence[str]) -> pa.DictionaryArray:
    """Name indexes; a negative one is null. Only names that occur are in the dictionary."""
    used, position = np.unique(indexes, return_inverse=True)
    labels = [names[index] if index >= 0 else None for index in used.tolist()]
    distinct = {label: number for number, label in enumerate(dict.fromkeys(filter(None, labels)))}
    numbers = np.array([distinct.get(label, NONE) for label in labels], np.int32)[position]
    return pa.DictionaryArray.from_arrays(
        pa.array(numbers, mask=numbers < 0), pa.array(list(distinct), pa.string())
    )


def or_null(values: np.ndarray) -> pa.Array:
    """Make a column in which what is below 0 is missing."""
    return pa.array(values, mask=values < 0)


def fingerprint(tables: Sequence[pa.Table]) -> str:
    """Give the SHA-256 of the canonical records, as hexadecimal digits.

    Columns count in order, by name, type and content; a dictionary column counts by its names. Nothing of
    how the rows are split or stored counts.
    """
    digest = hashlib.sha256()
    for table in tables:
        for name in table.column_names:
            column = table.column(name).combine_chunks()
            digest.update(f"{name}:{column.type}:{len(column)};".encode())
            if pa.types.is_dictionary(column.type):
                digest.update("\x00".join(column.dictionary.to_pylist()).encode())
                column = column.indices
            for first in range(0, len(column), _HASHED_AT_ONCE):
                piece = column.slice(first, _HASHED_AT_ONCE)
                if piece.null_count:
                    piece = piece.fill_null(NONE)
                digest.update(piece.to_numpy(zero_copy_only=False).tobytes())
    return digest.hexdigest()
