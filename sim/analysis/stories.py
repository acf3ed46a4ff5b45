"""Single episodes told from the records: who tried what, who was in the way, what the policy said.

An episode is one root intent and one kind that it met (:mod:`sim.analysis.recovery`). Its story has every
refusal of the root and of the intents that served it, and how each of them ended; times run from the first
refusal of the kind. Attempts that were accepted stand in the records only where a study kept them; otherwise
the end of an intent tells that its last one was.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np
import pandas as pd

from sim.analysis.frequency import KIND_NAMES, plain
from sim.analysis.text import duration
from sim.contention import ContentionKind
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH: Final = 80
_STAMP: Final = 10
_SHOWN_FIRST, _SHOWN_LAST = 8, 6

_WANTS: Final = {
    "submit": "to submit an execution", "acquire": "a lease on any execution",
    "dispatch": "to grant an execution to a worker", "hold": "to renew its lease",
    "finish": "to end its execution", "park": "to put its execution aside",
    "signal": "to deliver a signal", "link": "to add an edge to a flow",
    "resolve": "to resolve an edge of a flow", "cancel": "to cancel", "revoke": "to revoke a lease",
    "reprioritise": "to change a priority", "repair": "to repair what a sweep found",
}  # fmt: skip
_ENDED: Final = {
    ("acquire", "recovered"): "holds the lease",
    ("dispatch", "recovered"): "has issued a grant",
    ("dispatch", "relayed"): "hands the refusal on to the worker",
    ("hold", "recovered"): "has renewed the lease",
    ("hold", "satisfied"): "needs no renewal any more: its lease has ended as it meant to",
    ("finish", "recovered"): "has ended the execution",
    ("finish", "satisfied"): "finds the execution ended by another",
    ("park", "recovered"): "has put the execution aside",
    ("signal", "recovered"): "has delivered the signal",
    ("signal", "satisfied"): "finds nobody waiting any more",
    ("link", "recovered"): "has added the edge",
    ("repair", "recovered"): "has repaired it",
    ("repair", "satisfied"): "finds it repaired already, or gone",
}
_BECAUSE: Final = {
    "policy": "the policy gave up", "superseded": "another took over meanwhile", "crash": "it crashed",
}  # fmt: skip


class Told(Protocol):
    """What a story needs to know of a study."""

    @property
    def policies(self) -> dict[str, Any]:
        """The retry policy of each arm."""

    @property
    def kinds(self) -> list[str]:
        """The kinds that were seen."""

    @property
    def keeps_attempts(self) -> bool:
        """Whether every attempt was kept."""

    def attempts(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give every attempt."""

    def episodes(self) -> pd.DataFrame:
        """Give the episodes."""

    def contentions(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the refused attempts."""

    def intents(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the intents."""

    def executions(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the executions."""


class Pick(NamedTuple):
    """An episode that is worth telling.

    Attributes
    ----------
    title : str
        Which one of how many it is.
    replication, root : int
        Whose.
    since_us, latency_us : int
        Its first refusal, and how long from there to its end.
    """

    title: str
    replication: int
    root: int
    since_us: int
    latency_us: int


class _Event(NamedTuple):
    """One thing that happened, at an instant; ``rank`` orders those of the same instant."""

    at_us: int
    rank: int
    lines: list[str]


def pick(episodes: pd.DataFrame) -> list[Pick]:
    """Choose episodes of one kind and arm: a median, a p99 and an abandoned one.

    The 99th percentile is taken from 500 recovered episodes on; with fewer it is the longest one. The
    abandoned one is the median of those. Where nothing was recovered or abandoned, a median of the
    satisfied and of the open ones stands for them. Equal latencies: the first replication, the first root.

    Parameters
    ----------
    episodes
        Of one kind and arm: ``replication, root, since_us, latency_us, end``.
    """
    chosen: list[Pick] = []
    for end in ("recovered", "abandoned", "satisfied", "open"):
        mine = episodes.loc[episodes["end"] == end].sort_values(["latency_us", "replication", "root"])
        if mine.empty or (end in ("satisfied", "open") and chosen):
            continue
        chosen.append(_picked(mine, 0.5, f"a median of {len(mine):,} {end}"))
        if end == "recovered" and len(mine) > 1:
            long = len(mine) >= _P99_FROM
            title = f"a 99th percentile of {len(mine):,} recovered" if long else "the longest of them"
            chosen.append(_picked(mine, 0.99 if long else 1.0, title))
    return chosen


_P99_FROM: Final = 500


def _picked(ordered: pd.DataFrame, q: float, title: str) -> Pick:
    place = max(0, int(np.ceil(q * len(ordered) - 1e-9)) - 1)
    row = ordered.iloc[place]
    facts = (int(row[name]) for name in ("replication", "root", "since_us", "latency_us"))
    return Pick(title, *facts)


def explain_kind(study: Told, kind: str, arm: str, *, full: bool = False) -> list[str]:
    """Tell a median, a p99 and an abandoned episode of a kind.

    Parameters
    ----------
    study
        Whose records.
    kind
        Name of the kind.
    arm
        Of which arm.
    full
        Every event of a story; otherwise the middle of a long one is summed up.

    Returns
    -------
    list of str
        Lines of at most 80 columns.
    """
    episodes = study.episodes()
    mine = episodes.loc[(episodes["kind"] == kind) & (episodes["arm"] == arm)]
    facts = ContentionKind(kind).facts
    lines = [kind, *_wrapped(f"{facts.meaning}; documented recovery: {facts.recovery}")]
    if mine.empty:
        lines += _wrapped("Met, but by no intent: reads of a sweep or of a scan belong to none.")
    for chosen in pick(mine):
        records = _records(study, arm, chosen.replication)
        lines += ["", *_episode(records, chosen, kind, arm, full=full)]
    return lines


def explain_execution(
    study: Told, number: int, arm: str, replication: int = 0, *, full: bool = False
) -> list[str]:
    """Tell the life of one execution, from its creation on.

    Raises
    ------
    ValueError
        When there is no such execution in that run.
    """
    records = _records(study, arm, replication)
    table = study.executions()
    of_run = (table["arm"] == arm) & (table["replication"] == replication)
    rows = table.loc[of_run & (table["execution"] == number)].to_dict("records")
    if not rows:
        raise ValueError(f"there is no execution {number} in replication {replication} of {arm}")
    row = rows[0]
    created_us = int(row["created_us"])
    ended = "had not ended when the run did"
    if not pd.isna(row["finished_us"]):
        took = duration((int(row["finished_us"]) - created_us) / US_PER_MS)
        ended = f"ended after {took}: {row['outcome']}"
    leases = "once" if row["leases"] == 1 else f"{row['leases']} times"
    title = (
        f"Execution {number} ({row['class']}; {arm}, replication {replication}) was created at "
        f"{created_us / 1e6:.6f} s of the run, leased {leases}, and {ended}."
    )
    intents = records.intents.loc[records.intents["execution"] == number]
    refusals = records.contentions.loc[records.contentions["execution"] == number]
    events = [*_ends(intents, {}), *_refusals(refusals, records.policy)]
    events += _accepted(records, records.attempts["execution"] == number)
    return [*wrap(title, WIDTH), "", *_told(events, created_us, full=full)]


class _Records(NamedTuple):
    """The records of one run, and its policy. ``attempts`` is empty where the study kept none."""

    contentions: pd.DataFrame
    intents: pd.DataFrame
    attempts: pd.DataFrame
    policy: dict[str, Any]


_ATTEMPT_COLUMNS: Final = ("sent_us", "done_us", "actor", "op", "answer", "code", "execution", "intent")


def _records(study: Told, arm: str, replication: int) -> _Records:
    def of_run(table: pd.DataFrame) -> pd.DataFrame:
        return plain(table.loc[(table["arm"] == arm) & (table["replication"] == replication)])

    rows = pd.DataFrame(columns=list(_ATTEMPT_COLUMNS))
    if study.keeps_attempts:
        rows = of_run(study.attempts(["arm", "replication", *_ATTEMPT_COLUMNS]))
    return _Records(of_run(study.contentions()), of_run(study.intents()), rows, study.policies[arm])


def _episode(records: _Records, chosen: Pick, kind: str, arm: str, *, full: bool) -> list[str]:
    intents = records.intents.loc[records.intents["root"] == chosen.root]
    root = intents.loc[intents["intent"] == chosen.root].to_dict("records")[0]
    refusals = records.contentions.loc[records.contentions["root"] == chosen.root]
    begun = duration((chosen.since_us - root["start_us"]) / US_PER_MS)
    attempts = int(intents["attempts"].sum())
    title = (
        f"{chosen.title}: {root['actor']} wants {_WANTS[root['goal']]} ({arm}, replication "
        f"{chosen.replication}, intent {chosen.root})."
    )
    facts = (
        f"It began {begun} before its first {kind}, which came at {chosen.since_us / 1e6:.6f} s of the "
        f"run; {_times(len(refusals), 'refusal')} in {_times(attempts, 'attempt')}; {root['resolution']} "
        f"{duration(chosen.latency_us / US_PER_MS)} after it."
    )
    events = [
        _Event(int(root["start_us"]), 0, [f"{root['actor']} begins: it wants {_WANTS[root['goal']]}"]),
        *_ends(intents, _asked_again(intents, refusals, records.policy)),
        *_refusals(refusals, records.policy),
        *_accepted(records, records.attempts["intent"].isin(intents["intent"])),
    ]
    return [*wrap(title, WIDTH), *_wrapped(facts), "", *_told(events, chosen.since_us, full=full)]


def _refusals(refusals: pd.DataFrame, policy: dict[str, Any]) -> Iterator[_Event]:
    for row in refusals.to_dict("records"):
        target = next(
            (f" of {name} {int(row[name])}" for name in ("execution", "waitpoint", "flow")
             if not pd.isna(row[name])), "",
        )  # fmt: skip
        sent = duration((row["done_us"] - row["sent_us"]) / US_PER_MS)
        code = "" if row["code"] == row["kind"] else f" ({row['code']})"
        said = [f"{row['actor']}: {row['op']}{target}, sent {sent} ago, is refused: {row['kind']}{code}"]
        if row["rival_actor"] is not None and not pd.isna(row["rival_actor"]):
            age = duration(row["rival_age_us"] / US_PER_MS)
            said.append(
                f"  in between: {row['rival_actor']} did {row['rival_op']}, {age} before it took effect"
            )
        if not pd.isna(row["delay_us"]):
            said.append(f"  {_policy_words(row, policy)}")
        yield _Event(int(row["done_us"]), 1, said)


def _policy_words(row: dict[Any, Any], policy: dict[str, Any]) -> str:
    """Say what the policy answered, and which part of it chose the wait."""
    action = str(row["action"]).replace("_", " ")
    routing = policy.get("routing")
    why = "its own class" if routing is None else f"{routing if isinstance(routing, str) else 'own'} routing"
    if not row["delay_us"]:
        return f"policy ({why}): {action}, at once"
    chosen = _wait_words(row["kind"], policy)
    waits = f"{action} after {duration(row['delay_us'] / US_PER_MS)}"
    return f"policy ({why}): {waits}" + (f", by {chosen}" if chosen else "")


def _wait_words(kind: str, policy: dict[str, Any]) -> str:
    """Name the backoff that a policy waits by after a refusal of a kind; nothing for a class of one's own."""
    per_kind = policy.get("per_kind") or {}
    part = per_kind.get(kind) or policy.get("backoff") or {}
    return "; ".join(_part_words(name, values) for name, values in part.items())


def _part_words(name: str, values: Any) -> str:
    told = [f"{key} {value}" for key, value in (values or {}).items() if value not in (None, "0s")]
    return " ".join([name, *([f"({', '.join(told)})"] if told else [])])


def _asked_again(intents: pd.DataFrame, refusals: pd.DataFrame, policy: dict[str, Any]) -> dict[int, str]:
    """Say of each dispatch that was relayed when the worker asked again, and which part of its policy waited.

    A scheduler hands on what it met last; the wait that the worker's policy chose is not in the records, but
    the next dispatch for the same worker shows it, link and all.
    """
    dispatches = intents.loc[intents["goal"] == "dispatch"].sort_values("start_us")
    starts_us = dispatches["start_us"].to_numpy()
    met = dict(zip(refusals["intent"], refusals["kind"], strict=True))
    words = {}
    for row in dispatches.loc[dispatches["resolution"] == "relayed"].to_dict("records"):
        later_us = starts_us[starts_us >= row["end_us"]]
        if later_us.size:
            after = duration((int(later_us[0]) - row["end_us"]) / US_PER_MS)
            part = _wait_words(met.get(row["intent"], ""), policy)
            words[int(row["intent"])] = f", which asks again {after} later" + (
                f" (by {part})" if part else ""
            )
    return words


def _ends(intents: pd.DataFrame, more: dict[int, str]) -> Iterator[_Event]:
    for row in intents.to_dict("records"):
        goal, resolution = row["goal"], row["resolution"]
        about = "" if pd.isna(row["execution"]) else f" (execution {int(row['execution'])})"
        known = _ENDED.get((goal, resolution))
        if resolution == "abandoned":
            words = f"gives up {goal}{about}: {_BECAUSE.get(str(row['cause']), 'no cause is known')}"
        elif resolution == "open":
            words = f"is still at it when the run ends: {goal}{about}"
        else:
            words = f"{known or f'{goal}: {resolution}'}{about}{more.get(int(row['intent']), '')}"
        yield _Event(int(row["end_us"]), 2, [f"{row['actor']} {words}"])


def _accepted(records: _Records, chosen: Any) -> Iterator[_Event]:
    """Give the attempts that were accepted or not answered, where they were kept."""
    for row in records.attempts.loc[chosen & (records.attempts["answer"] != "refused")].to_dict("records"):
        target = "" if pd.isna(row["execution"]) else f" of execution {int(row['execution'])}"
        answer = "is accepted" if row["answer"] == "ok" else "is not answered in time"
        sent = duration((row["done_us"] - row["sent_us"]) / US_PER_MS)
        words = f"{row['actor']}: {row['op']}{target}, sent {sent} ago, {answer}"
        yield _Event(int(row["done_us"]), 1, [words])


def _told(events: Sequence[_Event], origin_us: int, *, full: bool) -> list[str]:
    """Give the events in order; of many, the first and the last."""
    ordered = sorted(events, key=lambda event: event[:2])
    left_out = len(ordered) - _SHOWN_FIRST - _SHOWN_LAST
    if full or left_out <= 1:
        return [line for event in ordered for line in _stamped(event, origin_us)]
    first, last = ordered[:_SHOWN_FIRST], ordered[-_SHOWN_LAST:]
    span = duration((last[0].at_us - first[-1].at_us) / US_PER_MS)
    gap = f"{'':>{_STAMP}}  ... {left_out} more in {span} (--full tells them)"
    told = [[line for event in part for line in _stamped(event, origin_us)] for part in (first, last)]
    return [*told[0], gap, *told[1]]


def _stamped(event: _Event, origin_us: int) -> list[str]:
    """Put the time before the first line of an event, and keep all of it within the width."""
    offset_us = event.at_us - origin_us
    sign = "" if offset_us == 0 else "-" if offset_us < 0 else "+"
    stamp = f"{sign}{duration(abs(offset_us) / US_PER_MS)}"
    room = WIDTH - _STAMP - 2
    lines = []
    for line in event.lines:
        indent = len(line) - len(line.lstrip())
        lines += wrap(line.lstrip(), room, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2))
    return [f"{stamp if not place else '':>{_STAMP}}  {line}" for place, line in enumerate(lines)]


def _wrapped(text: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _times(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def kinds_to_explain(study: Told, kind: str | None) -> list[str]:
    """Give the kinds to explain: one, or all that were met.

    Raises
    ------
    ValueError
        When there is no such kind, or it was not met.
    """
    if kind is None:
        return study.kinds
    if kind not in KIND_NAMES:
        raise ValueError(f"there is no kind {kind!r}; the kinds met here are {', '.join(study.kinds)}")
    if kind not in study.kinds:
        raise ValueError(f"{kind} was not met; the kinds met here are {', '.join(study.kinds) or 'none'}")
    return [kind]
