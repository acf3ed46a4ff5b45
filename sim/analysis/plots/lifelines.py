"""What happened to one execution, or what one actor did: intents as spans, refusals as marks.

Made from intents and contentions alone, which every study keeps: an attempt that was accepted has no mark of
its own, its intent's end shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import pandas as pd
from matplotlib.patches import Patch

from sim.analysis.frequency import KIND_NAMES, plain
from sim.analysis.plots.base import FAINT, GRID, SMALL, STYLE, make_figure, plain_frame
from sim.contention import ContentionKind
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.analysis.plots.base import Drawable

_SPAN_COLOUR: Final = "#d0d7de"
_ENDS: Final = {"recovered": "|", "satisfied": "|", "abandoned": "x", "open": ">", "relayed": "|"}
_ROW_IN: Final = 0.42
_ROW_HEIGHT: Final = 0.8
_LEASE: Final = "lease"
_CONTENTIONS: Final = (
    "arm", "replication", "done_us", "actor", "kind", "execution", "intent", "root", "in_window",
)  # fmt: skip
_INTENTS: Final = (
    "arm", "replication", "intent", "goal", "actor", "execution", "start_us", "end_us", "resolution",
)  # fmt: skip


def execution(
    study: Drawable,
    number: int | None = None,
    ax: Axes | None = None,
    *,
    arm: str | None = None,
    replication: int = 0,
) -> Axes:
    """Draw the life of one execution: a row for each actor and goal that was about it.

    Spans are intents, marks are refusals in the colour of their kind. An intent is about an execution as far
    as it knows: one that was turned away and found another one is there as its refusals only.

    Parameters
    ----------
    study
        What to draw.
    number
        Which execution; by default the one with the most refusals in the window.
    ax
        Where to; by default a figure of its own with a title.
    arm, replication
        Of which run; by default of the first arm.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        When nothing is known of the execution.
    """
    arm = arm or study.arms[0]
    contentions, intents = _run(study, arm, replication)
    if number is None:
        met = contentions.loc[contentions["in_window"] & contentions["execution"].notna(), "execution"]
        number = int(met.astype("int64").mode().min()) if len(met) else 0
    mine = intents.loc[intents["execution"] == number]
    refusals = contentions.loc[contentions["execution"] == number].merge(
        intents[["intent", "goal"]], on="intent", how="left"
    )
    refusals["goal"] = refusals["goal"].fillna("sweep")
    if mine.empty and refusals.empty:
        raise ValueError(f"nothing is known of execution {number} in replication {replication} of {arm}")
    mine = pd.concat([mine, _leases(mine)])
    labels = [f"{goal}  {actor}" for actor, goal in zip(mine["actor"], mine["goal"], strict=True)]
    marked = [f"{goal}  {actor}" for actor, goal in zip(refusals["actor"], refusals["goal"], strict=True)]
    origin_us = int(min([*mine["start_us"], *refusals["done_us"]]))
    subject = f"the life of execution {number}, replication {replication} of {arm}"
    words = f"simulated time since {origin_us / US_PER_S:.3f} s (s)"
    return _draw(study, subject, (mine, labels), (refusals, marked), (origin_us, words), ax)


def worker(
    study: Drawable,
    actor: str = "worker/0",
    ax: Axes | None = None,
    *,
    arm: str | None = None,
    replication: int = 0,
    from_s: float | None = None,
    to_s: float | None = None,
) -> Axes:
    """Draw what one worker, or any other actor, did: a row a goal.

    Spans are intents, marks are refusals in the colour of their kind: its own, and those that schedulers met
    in the service of its requests.

    Parameters
    ----------
    study
        What to draw.
    actor
        Its name: ``worker/3``, ``scheduler/0``, ...
    ax
        Where to; by default a figure of its own with a title.
    arm, replication
        Of which run; by default of the first arm.
    from_s, to_s
        Which part of simulated time; by default the first 5 s of the window.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        When the actor did nothing in that time.
    """
    arm = arm or study.arms[0]
    from_us = study.window_us[0] if from_s is None else round(from_s * US_PER_S)
    to_us = from_us + 5 * US_PER_S if to_s is None else round(to_s * US_PER_S)
    contentions, intents = _run(study, arm, replication)
    mine = intents.loc[intents["actor"] == actor]
    mine = pd.concat([mine, _leases(mine)])
    mine = mine.loc[(mine["start_us"] < to_us) & (mine["end_us"] >= from_us)]
    inside = contentions["done_us"].between(from_us, to_us, inclusive="left")
    its_own = (contentions["actor"] == actor) | contentions["root"].isin(mine["intent"])
    roots = intents[["intent", "goal"]].rename(columns={"intent": "root"})
    refusals = contentions.loc[its_own & inside].merge(roots, on="root", how="left")
    refusals["goal"] = refusals["goal"].fillna("sweep")
    if mine.empty and refusals.empty:
        raise ValueError(f"{actor} did nothing in that time of replication {replication} of {arm}")
    subject = f"what {actor} did, replication {replication} of {arm}"
    spans, marks = (mine, list(mine["goal"])), (refusals, list(refusals["goal"]))
    ax = _draw(study, subject, spans, marks, (0, "simulated time (s)"), ax)
    ax.set_xlim(from_us / US_PER_S, to_us / US_PER_S)
    return ax


def _run(study: Drawable, arm: str, replication: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the contentions and intents of one run."""
    tables = (study.contentions(_CONTENTIONS), study.intents(_INTENTS))
    first, second = (
        plain(table.loc[(table["arm"] == arm) & (table["replication"] == replication)]) for table in tables
    )
    return first, second


def _leases(intents: pd.DataFrame) -> pd.DataFrame:
    """Make a span of each lease that a worker got and brought to an end of its own making."""
    ends = intents.loc[intents["goal"].isin(["finish", "park"])].sort_values("end_us")
    got = intents.loc[(intents["goal"] == "acquire") & (intents["resolution"] == "recovered")]
    rows = []
    for lease in got.to_dict("records"):
        same = (ends["actor"] == lease["actor"]) & (ends["execution"] == lease["execution"])
        after = ends.loc[same & (ends["start_us"] >= lease["end_us"])]
        if len(after):
            span = {"goal": _LEASE, "start_us": lease["end_us"], "end_us": after["end_us"].iloc[0]}
            rows.append(lease | span | {"resolution": after["resolution"].iloc[0]})
    return pd.DataFrame(rows, columns=intents.columns).astype(intents.dtypes.to_dict())


def _draw(
    study: Drawable,
    subject: str,
    spans: tuple[pd.DataFrame, Sequence[str]],
    marks: tuple[pd.DataFrame, Sequence[str]],
    time: tuple[int, str],
    ax: Axes | None,
) -> Axes:
    """Draw spans and marks in named rows, the first to begin on top."""
    intents, refusals = spans[0].assign(row=spans[1]), marks[0].assign(row=marks[1])
    begins = [*zip(intents["start_us"], intents["row"], strict=True)]
    begins += zip(refusals["done_us"], refusals["row"], strict=True)
    rows = {name: place for place, name in enumerate(dict.fromkeys(name for _, name in sorted(begins)))}
    origin_us, words = time
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = make_figure(study, subject, 1.9 + _ROW_IN * len(rows)).subplots()
        for intent in intents.to_dict("records"):
            _draw_span(ax, intent, rows[intent["row"]], origin_us)
        for row, in_row in refusals.groupby("row"):
            _draw_marks(ax, in_row, rows[str(row)], origin_us)
        ax.set_yticks(range(len(rows)), list(rows))
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color=GRID, linewidth=0.6)
        ax.set_xlabel(
            f"{words}; bar: intent or lease; |: achieved, x: abandoned, >: still open when the run ended"
        )
        plain_frame(ax)
        _name_kinds(ax, _kinds_of(refusals))
    return ax


def _draw_span(ax: Axes, intent: dict[Any, Any], row: int, origin_us: int) -> None:
    begin, end = ((intent[name] - origin_us) / US_PER_S for name in ("start_us", "end_us"))
    ax.barh(row, end - begin, 0.5, left=begin, color=_SPAN_COLOUR, edgecolor=FAINT, linewidth=0.4)
    ax.plot(end, row, marker=_ENDS[intent["resolution"]], markersize=8, color=FAINT)


def _draw_marks(ax: Axes, refusals: pd.DataFrame, row: int, origin_us: int) -> None:
    """Draw the refusals of a row as short lines, one kind below the other."""
    kinds = _kinds_of(refusals)
    height = _ROW_HEIGHT / len(kinds)
    for place, kind in enumerate(kinds):
        top = row - _ROW_HEIGHT / 2 + height * place
        done_us = refusals.loc[refusals["kind"] == kind, "done_us"].to_numpy(dtype=float)
        colour = ContentionKind(kind).facts.colour
        ax.vlines((done_us - origin_us) / US_PER_S, top, top + height, color=colour, linewidth=1.8)


def _kinds_of(refusals: pd.DataFrame) -> list[str]:
    met = set(refusals["kind"])
    return [kind for kind in KIND_NAMES if kind in met]


def _name_kinds(ax: Axes, kinds: Sequence[str]) -> None:
    """Name the kinds by their colours, above the axes."""
    marks = [Patch(label=f"refused: {kind}", color=ContentionKind(kind).facts.colour) for kind in kinds]
    if marks:
        ax.legend(
            handles=marks, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False,
            borderaxespad=0.2, fontsize=SMALL,
        )  # fmt: skip
