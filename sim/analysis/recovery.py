"""How long it takes to recover from each kind of contention.

An *episode* is one root intent and one kind that it met: from ``done_us`` of its first refusal of that kind
(which lies in the window) to the end of the root. An intent that meets a kind three times is one episode; one
that meets two kinds is an episode of each. ``recovered`` episodes are observations, ``open`` ones are
right-censored where the run ended. ``abandoned`` and ``satisfied`` are competing ends: the Kaplan-Meier
curve is conditional on neither, and the cumulative incidence of recovery (Aalen and Johansen, "An empirical
transition matrix for non-homogeneous Markov chains", Scandinavian Journal of Statistics 5, 1978) stands
beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from sim.analysis.frequency import KIND_NAMES, RUN, plain
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
ENDS = ("recovered", "satisfied", "abandoned", "open")
"""How the root of an episode can end; only a dispatch is ever relayed, and it is no root."""

OK, TOO_FEW, NOT_REACHED, NONE_SEEN = "ok", "too few", "not reached", "none"
"""Why a quantile is shown or not; ``none``: no episode recovered or stayed open, so there is no curve."""

EPISODE_COLUMNS = [*RUN, "kind", "root", "goal", "actor_kind", "since_us", "until_us", "latency_us", "end"]

CURVE_COLUMNS = ["arm", "kind", "at_us", "recovered", "low", "high", "incidence"]
_CURVE_POINTS = 200
_BAND_FROM = 10  # observations, as for a median

_OBSERVED = ("recovered", "open")
_ROUNDING = 1e-9
_GRID = 4096
_DRAWS_AT_ONCE = 128


class Curve(NamedTuple):
    """A step function of time: ``share[i]`` holds from ``at_us[i]`` on; before the first it is 0."""

    at_us: NDArray[np.float64]
    share: NDArray[np.float64]


def episodes(contentions: pd.DataFrame, intents: pd.DataFrame) -> pd.DataFrame:
    """Pair each root's first refusal of a kind with the end of the root.

    Parameters
    ----------
    contentions
        Records with ``arm, replication, kind, root, done_us, in_window``; all of them, so that a first
        refusal before the window is known as the first. Rows without a root (reads of a sweep) are left out.
    intents
        Records with ``arm, replication, intent, goal, actor_kind, end_us, resolution``.

    Returns
    -------
    pandas.DataFrame
        ``arm, replication, kind, root, goal, actor_kind, since_us, until_us, latency_us, end``, ordered by
        run and instant.

    Raises
    ------
    ValueError
        When a root is not among the intents.
    """
    met = plain(contentions.loc[contentions["root"].notna(), [*RUN, "kind", "root", "done_us", "in_window"]])
    first = met.sort_values("done_us", kind="stable").drop_duplicates([*RUN, "kind", "root"])
    first = first.loc[first["in_window"]].astype({"root": "int64"})
    roots = plain(intents[[*RUN, "intent", "goal", "actor_kind", "end_us", "resolution"]])
    table = first.merge(roots, left_on=[*RUN, "root"], right_on=[*RUN, "intent"], how="left", validate="m:1")
    if table["resolution"].isna().any():
        raise ValueError("contentions belong to intents that are not in the table of intents")
    table = table.rename(columns={"done_us": "since_us", "end_us": "until_us", "resolution": "end"})
    table["until_us"] = table["until_us"].astype("int64")
    table["latency_us"] = table["until_us"] - table["since_us"]
    return table.sort_values([*RUN, "since_us", "root", "kind"])[EPISODE_COLUMNS].reset_index(drop=True)


def recovery(table: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Summarise the episodes of each kind in each arm, over all replications.

    Parameters
    ----------
    table
        Episodes: ``arm, kind, latency_us, end``.
    arms
        The arms in the order of the study.

    Returns
    -------
    pandas.DataFrame
        A row for each arm and kind, 18 an arm: ``arm``; ``kind``; ``episodes``; ``recovered``,
        ``satisfied``, ``abandoned``, ``open``, how many ended so; ``recovered_share`` of the episodes that
        ended (NaN where none did); ``incidence``, the cumulative incidence of recovery by the end of the
        observation, the open ones accounted for; ``p50``, ``p90``, ``p99`` of the Kaplan-Meier curve in
        milliseconds (NaN unless shown) and ``p50_status``, ..., one of ``ok``, ``too few``, ``not reached``,
        ``none``.
    """
    groups = dict(list(table.groupby(["arm", "kind"], observed=True)))
    rows = [
        {"arm": arm, "kind": kind} | _summary(groups.get((arm, kind))) for arm in arms for kind in KIND_NAMES
    ]
    return pd.DataFrame(rows)


def recovery_intervals(
    table: pd.DataFrame,
    runs: pd.DataFrame,
    generator: np.random.Generator,
    *,
    draws: int = 1000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Give intervals of the quantiles from a bootstrap of whole replications.

    Replications are drawn with replacement and the curve of all is formed anew (the percentile interval of
    Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, section 5.3, with the clusters as
    units, section 3.8). With fewer than about ten replications it is too narrow.

    Parameters
    ----------
    table
        Episodes: ``arm, replication, kind, latency_us, end``.
    runs
        One row a run: ``arm, replication``.
    generator
        Where the draws come from; the same generator gives the same intervals.
    draws
        How often replications are drawn.
    level
        Confidence level.

    Returns
    -------
    pandas.DataFrame
        ``arm, kind, p50_low, p50_high, p90_low, ...`` in milliseconds. NaN where the quantile itself is not
        shown, for a single replication, and for an end that the drawn curves do not reach.
    """
    groups = dict(list(table.groupby(["arm", "kind"], observed=True)))
    rows = []
    for arm, of_arm in runs.groupby("arm", sort=False):
        replications = of_arm["replication"].to_numpy()
        weights = resampled(replications.size, draws, generator)
        for kind in KIND_NAMES:
            group = groups.get((arm, kind))
            ends = _bootstrap(group, replications, weights, level) if replications.size > 1 else {}
            rows.append({"arm": arm, "kind": kind} | dict.fromkeys(_INTERVAL_COLUMNS, np.nan) | ends)
    return pd.DataFrame(rows)


def recovery_curve(table: pd.DataFrame) -> Curve:
    """Give the share recovered by each latency, among episodes that are neither abandoned nor satisfied.

    One minus the Kaplan-Meier estimate ``prod (n(t) - d(t)) / n(t)``: ``n`` episodes still going just before
    ``t``, ``d`` of them recovered at ``t``; open episodes are right-censored (Kaplan and Meier,
    "Nonparametric estimation from incomplete observations", JASA 53, 1958).

    Parameters
    ----------
    table
        Episodes of one arm and kind: ``latency_us, end``.
    """
    seen = table[table["end"].isin(_OBSERVED)]
    times, at_risk, recovered = _life_table(seen, seen["end"].to_numpy(dtype=object) == "recovered")
    return Curve(times, 1 - np.cumprod((at_risk - recovered) / at_risk))


def incidence_curve(table: pd.DataFrame, end: str = "recovered") -> Curve:
    """Give the share of episodes that ended in one way by each latency, the other ends competing.

    The Aalen-Johansen estimate ``sum S(t-) * d(t) / n(t)``: ``n`` episodes still going just before ``t``,
    ``d`` of them ending so at ``t``, ``S`` the Kaplan-Meier share that has not ended in any way.

    Parameters
    ----------
    table
        Episodes of one arm and kind: ``latency_us, end``.
    end
        ``recovered``, ``satisfied`` or ``abandoned``.
    """
    ends = table["end"].to_numpy(dtype=object)
    times, at_risk, ended, so = _life_table(table, ends != "open", ends == end)
    before = np.concatenate([[1.0], np.cumprod(1 - ended / at_risk)])[:-1]
    return Curve(times, np.cumsum(before * so / at_risk))


def _life_table(table: pd.DataFrame, *groups: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Give the distinct latencies, how many episodes go on just before each, how many of a group end then."""
    times, place = np.unique(table["latency_us"].to_numpy(dtype=float), return_inverse=True)
    leaving = np.bincount(place, minlength=times.size)
    ended = [np.bincount(place[group], minlength=times.size) for group in groups]
    return [times, leaving[::-1].cumsum()[::-1], *ended]


def recovery_curves(
    table: pd.DataFrame,
    runs: pd.DataFrame,
    generator: np.random.Generator,
    kinds: Sequence[str] = KIND_NAMES,
    *,
    draws: int = 200,
    level: float = 0.95,
) -> pd.DataFrame:
    """Give the curves of recovery with pointwise bands, thinned to what a picture can show.

    Parameters
    ----------
    table
        Episodes: ``arm, replication, kind, latency_us, end``.
    runs
        One row a run: ``arm, replication``.
    generator
        Where the draws of the bootstrap come from; the same generator gives the same bands.
    kinds
        Which kinds.
    draws
        How often whole replications are drawn (:func:`recovery_intervals` says how).
    level
        Confidence level of a band at each instant.

    Returns
    -------
    pandas.DataFrame
        ``arm, kind, at_us``; ``recovered``, the share by then (:func:`recovery_curve`), with the band ``low``
        to ``high`` (NaN for a single replication or below 10 observations); ``incidence``, the cumulative
        incidence of recovery by then (:func:`incidence_curve`). Step functions: a row holds from its
        ``at_us`` on. At most 200 rows an arm and kind; none where nothing recovered or stayed open.
    """
    groups = dict(list(table.groupby(["arm", "kind"], observed=True)))
    blocks = [pd.DataFrame(columns=CURVE_COLUMNS)]
    for arm, of_arm in runs.groupby("arm", sort=False):
        replications = of_arm["replication"].to_numpy()
        weights = resampled(replications.size, draws, generator)
        for kind in kinds:
            group = groups.get((arm, kind))
            curve = Curve(np.empty(0), np.empty(0)) if group is None else recovery_curve(group)
            if group is None or curve.at_us.size == 0:
                continue
            points = np.unique(
                np.linspace(0, curve.at_us.size - 1, min(curve.at_us.size, _CURVE_POINTS)).round().astype(int)
            )
            at_us = curve.at_us[points]
            low, high = (
                _band(group, replications, weights, at_us, level)
                if replications.size > 1 and group["end"].isin(["recovered", "open"]).sum() >= _BAND_FROM
                else np.full((2, at_us.size), np.nan)
            )
            blocks.append(
                pd.DataFrame({
                    "arm": arm, "kind": kind, "at_us": at_us, "recovered": curve.share[points],
                    "low": low, "high": high, "incidence": _at(incidence_curve(group), at_us),
                })
            )  # fmt: skip
    return pd.concat(blocks[1:] or blocks, ignore_index=True)


def quantile(curve: Curve, q: float, observations: int) -> tuple[float, str]:
    """Read a quantile off a curve: the first instant by which a share of at least ``q`` is reached.

    Returns
    -------
    tuple of float and str
        Microseconds and ``ok``, or NaN and why not: fewer than ``5 / (1 - q)`` observations, or a curve that
        ends below ``q``.
    """
    if observations == 0:
        return np.nan, NONE_SEEN
    if observations * (1 - q) < 5 - _ROUNDING:
        return np.nan, TOO_FEW
    reached = curve.share >= q - _ROUNDING
    return (float(curve.at_us[reached.argmax()]), OK) if reached.any() else (np.nan, NOT_REACHED)


def resampled(replications: int, draws: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw whole replications with replacement.

    Returns
    -------
    numpy.ndarray
        How often each replication is drawn; shape (draws, replications).
    """
    picks = generator.integers(replications, size=(draws, replications))
    return np.stack([np.bincount(pick, minlength=replications) for pick in picks])


def quantile_draws(
    table: pd.DataFrame,
    replications: NDArray[np.int64],
    weights: NDArray[np.int64],
    levels: Sequence[float],
) -> NDArray[np.float64]:
    """Give the quantiles of the Kaplan-Meier curve for every draw of replications.

    Exact up to 4,096 distinct latencies; beyond, latencies are rounded up to 4,096 quantiles of all that
    recovered, so that a level is off by 1/4,096 at most.

    Parameters
    ----------
    table
        Episodes of one arm and kind: ``replication, latency_us, end``.
    replications
        The numbers of the replications; episodes of others are left out.
    weights
        From :func:`resampled`, in the order of ``replications``.
    levels
        Which quantiles, between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Microseconds; infinity where a drawn curve does not reach the level; shape (draws, levels).
    """
    found = np.full((len(weights), len(levels)), np.inf)
    grid, blocks = _drawn_curves(table, replications, weights)
    if grid.size == 0:
        return found
    for block, survival, _ in blocks:
        for column, q in enumerate(levels):
            reached = survival <= 1 - q + _ROUNDING
            found[block, column] = np.where(reached.any(axis=1), grid[reached.argmax(axis=1)], np.inf)
    return found


_INTERVAL_COLUMNS = [f"{name}_{end}" for name in QUANTILES for end in ("low", "high")]


def _summary(group: pd.DataFrame | None) -> dict[str, float | int | str]:
    ends = dict.fromkeys(ENDS, 0) if group is None else group["end"].value_counts().to_dict()
    counts = {end: int(ends.get(end, 0)) for end in ENDS}
    total = sum(counts.values())
    ended = total - counts["open"]
    values: dict[str, float | int | str] = {"episodes": total, **counts}
    values["recovered_share"] = counts["recovered"] / ended if ended else np.nan
    values["incidence"] = np.nan if group is None else float(incidence_curve(group).share[-1])
    curve = Curve(np.empty(0), np.empty(0)) if group is None else recovery_curve(group)
    shown = {name: quantile(curve, q, counts["recovered"] + counts["open"]) for name, q in QUANTILES.items()}
    values |= {name: at_us / US_PER_MS for name, (at_us, _) in shown.items()}
    return values | {f"{name}_status": status for name, (_, status) in shown.items()}


def _bootstrap(
    group: pd.DataFrame | None, replications: NDArray[np.int64], weights: NDArray[np.int64], level: float
) -> dict[str, float]:
    """Give the ends of the intervals of those quantiles that are shown."""
    if group is None:
        return {}
    curve, observations = recovery_curve(group), int(group["end"].isin(_OBSERVED).sum())
    shown = {name: q for name, q in QUANTILES.items() if quantile(curve, q, observations)[1] == OK}
    if not shown:
        return {}
    drawn = quantile_draws(group, replications, weights, list(shown.values()))
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends: dict[str, float] = {}
    for column, name in enumerate(shown):
        low, high = np.quantile(drawn[:, column], tails, method="inverted_cdf") / US_PER_MS
        ends[f"{name}_low"] = float(low) if np.isfinite(low) else np.nan
        ends[f"{name}_high"] = float(high) if np.isfinite(high) else np.nan
    return ends


def _band(
    group: pd.DataFrame,
    replications: NDArray[np.int64],
    weights: NDArray[np.int64],
    at_us: NDArray[np.float64],
    level: float,
) -> NDArray[np.float64]:
    """Give the lower and upper end of the share recovered at given instants, over drawn replications.

    Draws in which nothing was observed have no curve and are left out.
    """
    grid, blocks = _drawn_curves(group, replications, weights)
    place = np.searchsorted(grid, at_us, side="right")
    shares = []
    for _, survival, observed in blocks:
        share = np.hstack([np.zeros((len(survival), 1)), 1 - survival])
        shares.append(share[observed][:, place])
    tails = [(1 - level) / 2, (1 + level) / 2]
    return np.asarray(np.quantile(np.vstack(shares), tails, axis=0, method="inverted_cdf"))


def _at(curve: Curve, at_us: NDArray[np.float64]) -> NDArray[np.float64]:
    """Read a step function at instants that are not before its first one."""
    return np.asarray(curve.share[np.searchsorted(curve.at_us, at_us, side="right") - 1])


def _drawn_curves(
    table: pd.DataFrame, replications: NDArray[np.int64], weights: NDArray[np.int64]
) -> tuple[NDArray[np.float64], Iterator[tuple[slice, NDArray[np.float64], NDArray[np.bool_]]]]:
    """Give a grid of instants and, for blocks of draws, the Kaplan-Meier share not recovered by each.

    With every block comes which of its draws observed anything.
    """
    seen = table.loc[table["end"].isin(_OBSERVED) & table["replication"].isin(replications)]
    at_us = seen["latency_us"].to_numpy(dtype=float)
    recovered = (seen["end"] == "recovered").to_numpy()
    grid, place = _on_grid(at_us, recovered)
    run = pd.Index(replications).get_indexer(pd.Index(seen["replication"]))
    shape = (len(replications), grid.size + 1)
    cell = np.ravel_multi_index((run, place), shape)
    # Whole numbers below 2^53 add up to the same float in any order: equal draws give equal bytes.
    leaving, ended = (
        np.bincount(cell, minlength=shape[0] * shape[1], weights=of).reshape(shape)
        for of in (np.ones(len(seen)), recovered.astype(float))
    )

    def blocks() -> Iterator[tuple[slice, NDArray[np.float64], NDArray[np.bool_]]]:
        for first in range(0, len(weights), _DRAWS_AT_ONCE):
            block = slice(first, first + _DRAWS_AT_ONCE)
            weight = weights[block].astype(float)
            at_risk = (weight @ leaving)[:, ::-1].cumsum(axis=1)[:, ::-1]
            lost = np.divide(weight @ ended, at_risk, out=np.zeros_like(at_risk), where=at_risk > 0)
            yield block, np.cumprod(1 - lost, axis=1)[:, :-1], at_risk[:, 0] > 0

    return grid, blocks()


def _on_grid(at_us: NDArray[np.float64], recovered: NDArray[np.bool_]) -> tuple[NDArray[np.float64], Any]:
    """Give the instants of recovery, or a grid of them, and the place of each latency on it, rounded up.

    What is open for longer than the last instant of recovery has a place behind the grid.
    """
    grid = np.unique(at_us[recovered])
    if grid.size > _GRID:
        ranks = np.linspace(0, 1, _GRID + 1)[1:]
        grid = np.unique(np.quantile(at_us[recovered], ranks, method="inverted_cdf"))
    # Recoveries count before open ones at the same instant, as Kaplan and Meier have it.
    return grid, np.searchsorted(grid, at_us, side="left")
