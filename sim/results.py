"""A study read back from disk: its tables, its records, its JSON document.

The same object after a run and a year later. Tables come from the small CSV files; records are read when
they are asked for. Needs no simulator: opening a study imports neither SimPy, SciPy nor matplotlib.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sim.analysis import frequency as frequencies
from sim.analysis import levels as series_over_time
from sim.analysis import recovery as recoveries
from sim.analysis import rivals as rivalries
from sim.analysis import stories, warmup
from sim.analysis.comparison import compare_arms, pareto
from sim.analysis.outcomes import by_class, summarise
from sim.analysis.records import frame
from sim.analysis.sojourn import PARTS
from sim.output import FORMAT, PAIRED_STREAM, ResultsError
from sim.rng import Streams
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_KEYS = ["arm", "kind"]
_ARM_MEANS = (
    "goodput_per_s", "amplification", "fairness", "wasted_share", "duplicates", "attempts_in_flight",
    "workers_at_work", "store_utilisation", "busiest_partition",
)  # fmt: skip
_SOJOURN = ("mean", *recoveries.QUANTILES, *PARTS)


class Results:
    """What a study and a sweep have in common: a folder, and the document in it.

    Attributes
    ----------
    directory : Path
        Where it lies.
    document : dict
        ``study.json`` or ``sweep.json`` as it is.
    """

    def __init__(self, directory: Path, document: dict[str, Any]) -> None:
        self.directory = directory
        self.document = document

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return str(self.document["name"])

    @property
    def replications(self) -> int:
        """How many of each arm, at each point where there are several."""
        return int(self.document["replications"])


class Study(Results):
    """The results of one scenario: arms times replications. Made by :func:`open`."""

    # --- what was run ----------------------------------------------------------------------------------

    @property
    def about(self) -> str:
        """What the scenario says of itself."""
        return str(self.scenario.get("about") or "")

    @property
    def scenario(self) -> dict[str, Any]:
        """The resolved scenario."""
        return dict(self.document["scenario"])

    @property
    def study_id(self) -> str:
        """Name of the study's folder, made from its inputs."""
        return str(self.document["study_id"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the records of all runs."""
        return str(self.document["fingerprint"])

    @property
    def statistics_fingerprint(self) -> str:
        """SHA-256 over the small tables: with the same :attr:`fingerprint`, the statistics have changed."""
        digest = hashlib.sha256()
        with readable(self.directory):
            for path in sorted(self.directory.glob("*.csv")):
                digest.update(f"{path.name}\n".encode() + path.read_bytes())
        return digest.hexdigest()

    @property
    def arms(self) -> list[str]:
        """Names of the arms, in the order of every table."""
        return [entry["arm"] for entry in self.document["arms"]]

    @property
    def policies(self) -> dict[str, Any]:
        """The retry policy of each arm."""
        return {entry["arm"]: entry["policy"] for entry in self.document["arms"]}

    @property
    def seeds(self) -> list[int]:
        """The seeds."""
        return list(self.document["seeds"])

    @property
    def window_us(self) -> tuple[int, int]:
        """Start and end of what tables take, in microseconds of simulated time: [start, end)."""
        start, end = self.document["window_us"]
        return start, end

    @property
    def window_s(self) -> float:
        """Length of the window of each run, in simulated seconds."""
        start, end = self.window_us
        return (end - start) / US_PER_S

    @property
    def expectations(self) -> list[dict[str, Any]]:
        """What the scenario expects and what became of it: ``arm, expected, kind, count, met`` each."""
        return list(self.document["expectations"] or [])

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The replications that raised an error: ``arm, replication, error, at``. No table has them."""
        return list(self.document["failed"])

    @property
    def truncated(self) -> list[dict[str, Any]]:
        """The runs that a limit ended early: ``arm, replication, limit, at_us, attempts`` each.

        Their rates are over what they saw of the window; intents that were going on are open.
        """
        return list(self.document["truncated"])

    @property
    def precision(self) -> dict[str, Any] | None:
        """The precision that was asked for: ``share, measure, max_replications, reached, half_width``.

        ``half_width`` is that of each arm, as a share of its mean. None where a number of replications was
        given.
        """
        return dict(self.document["precision"]) if self.document["precision"] else None

    @property
    def faults(self) -> Any:
        """The faults that were drawn."""
        return self.document["faults"]

    @property
    def kinds(self) -> list[str]:
        """The kinds that were seen in the window of any arm, in the order of every table."""
        seen = set(self._frequency.loc[self._frequency["count"] > 0, "kind"])
        return [kind for kind in frequencies.KIND_NAMES if kind in seen]

    # --- tables ------------------------------------------------------------------------------------------

    def frequency(self, by: str | Sequence[str] = "kind") -> pd.DataFrame:
        """Give how often contention occurs.

        Parameters
        ----------
        by
            ``kind``: all 18 in each arm, zeros included, with the columns of
            :func:`sim.analysis.frequency.frequency`. Otherwise the columns of the records that tell groups
            apart (``op``, ``actor_kind``, ``["kind", "op"]``, ...), with the columns of
            :func:`sim.analysis.frequency.frequency_by`.
        """
        keys = [by] if isinstance(by, str) else list(by)
        if keys == ["kind"]:
            return self._frequency.copy()
        columns = list(dict.fromkeys(["arm", "replication", "in_window", *keys]))
        counts = [frequencies.count_contentions(run, keys) for run in self._runs_of("contentions", columns)]
        attempts = self.attempt_counts()
        return frequencies.frequency_by(_concat(counts), self._runs, attempts, self.window_s, keys)

    def frequency_over_time(self, bin_s: float) -> pd.DataFrame:
        """Give the rate of each kind in bins of simulated time (:func:`frequency_over_time`)."""
        columns = ["arm", "replication", "kind", "done_us"]
        return frequencies.frequency_over_time(self.contentions(columns), self._runs, bin_s)

    def recovery(self, *, intervals: bool = False) -> pd.DataFrame:
        """Give how long recovery takes: all 18 kinds in each arm, with the columns of :func:`recovery`.

        Parameters
        ----------
        intervals
            Add ``p50_low``, ``p50_high``, ... from a bootstrap of whole replications, which takes a while.
            Its draws come from the study's seed: the same study gives the same intervals.
        """
        if not intervals:
            return self._recovery.copy()
        generator = Streams(self.seeds[0], 0).of("analysis/recovery")
        ends = recoveries.recovery_intervals(self.episodes(), self._runs, generator)
        return self._recovery.merge(ends, on=_KEYS, validate="1:1")

    def recovery_curves(self, kinds: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the curves of recovery with bands (:func:`sim.analysis.recovery.recovery_curves`).

        The draws of the bands come from the study's seed: the same study gives the same bands.
        """
        generator = Streams(self.seeds[0], 0).of("analysis/recovery_curves")
        return recoveries.recovery_curves(self.episodes(), self._runs, generator, kinds or self.kinds)

    def outcomes(self) -> pd.DataFrame:
        """Give what each run achieved: a row a run, with the measures of :mod:`sim.analysis.outcomes`."""
        return self._runs.copy()

    def levels(self, name: str) -> pd.DataFrame:
        """Give one level over time, as the mean over replications (:func:`sim.analysis.levels.levels`).

        Parameters
        ----------
        name
            One of :data:`sim.analysis.levels.SERIES`: ``attempts_in_flight``, ``executions``,
            ``workers_at_work``, ``store``, ``intents``, ``contentions``.
        """
        return series_over_time.levels(self.series(), name)

    def window_levels(self) -> pd.DataFrame:
        """Give the mean of every level in the window of each run (:func:`window_levels`)."""
        return series_over_time.window_levels(self.series())

    def summary(self) -> pd.DataFrame:
        """Give the measures of :meth:`outcomes` over replications, with intervals (:func:`summarise`)."""
        return summarise(self._runs)

    def by_class(self) -> pd.DataFrame:
        """Give what became of the executions of each class (:func:`sim.analysis.outcomes.by_class`)."""
        columns = ["arm", "class", "finished_us", "outcome", "in_window"]
        return by_class(self.executions(columns), self.arms)

    def attempt_counts(self) -> pd.DataFrame:
        """Give the attempts, counted by run, actor kind, operation, answer and code.

        ``count`` is what was done in the window, ``total`` in the whole run.
        """
        return self._csv("attempts")

    def episodes(self) -> pd.DataFrame:
        """Give each root's first refusal of each kind and how it ended (:func:`episodes`)."""
        return self._episodes.copy()

    def refusals(self) -> pd.DataFrame:
        """Give how many refusals of a kind one intent met (:func:`refusals_per_intent`)."""
        columns = ["arm", "replication", "kind", "root", "in_window"]
        counts = [frequencies.refusals_per_intent(run) for run in self._runs_of("contentions", columns)]
        return _concat(counts).groupby(["arm", "kind", "refusals"])["intents"].sum().reset_index()

    def rivals(self, by: str | Sequence[str] = ()) -> pd.DataFrame:
        """Give who contended with whom: which kind of actor was refused because of which.

        Parameters
        ----------
        by
            Columns of the records that tell groups apart besides: ``kind``, ``op``, ``["kind", "op"]``, ...
            The columns are those of :func:`sim.analysis.rivals.rivals`.
        """
        keys = [by] if isinstance(by, str) else list(by)
        return rivalries.rivals(self._races(keys), self.arms, keys) if keys else self._csv("rivals")

    def race_windows(self) -> pd.DataFrame:
        """Give how long before a refusal its rival had been there, by kind (:func:`race_windows`)."""
        return rivalries.race_windows(self._races(), self.arms)

    def race_histogram(self) -> pd.DataFrame:
        """Give the distribution of race windows, by kind, in logarithmic bins (:func:`race_histogram`)."""
        return rivalries.race_histogram(self._races())

    # --- comparison --------------------------------------------------------------------------------------

    @property
    def baseline(self) -> str | None:
        """The arm that the others are compared with, the first; None where it is the only one."""
        return self.arms[0] if len(self.arms) > 1 else None

    def paired(self, baseline: str | None = None, arm: str | None = None) -> pd.DataFrame:
        """Compare arms replication by replication, with the columns of :func:`compare_arms`.

        Parameters
        ----------
        baseline, arm
            Compare ``arm`` with ``baseline``; the p-values are then corrected over the measures of these two.
            Without them: every arm with the first one, as in ``paired.csv``, corrected over all of that.

        Raises
        ------
        ResultsError
            When the study has no such arm, or only one.
        """
        if baseline is None and arm is None:
            if self.baseline is None:
                raise ResultsError(f"{self.directory} has one arm: there is nothing to compare it with")
            return self._csv("paired", words=["unit"])
        pair = [self._arm(name) for name in (baseline, arm)]
        columns = ["arm", "replication", "in_window", "kind"]
        counts = [frequencies.count_contentions(run) for run in self._runs_of("contentions", columns)]
        return compare_arms(
            self._runs,
            _concat(counts),
            self._episodes,
            self.window_s,
            Streams(self.seeds[0], 0).of(PAIRED_STREAM),
            baseline=pair[0],
            arms=pair[1:],
        )

    def verdicts(self) -> list[dict[str, Any]]:
        """Give the comparison in words: a dict a measure and arm, with the keys of :func:`verdicts`."""
        return list(self.document["verdicts"])

    def pareto(self) -> pd.DataFrame:
        """Give work beside time for each arm, with the columns of :func:`pareto`."""
        if self.baseline is None:
            return pareto(self._runs, self.arms)
        return self._csv("pareto", words=["dominated_by", "shown"])

    def warmup_advice(self) -> pd.DataFrame:
        """Give the warm-up that MSER-5 advises for each arm, with the columns of :func:`advice`."""
        series: dict[str, list[Any]] = {arm: [] for arm in self.arms}
        start_us, end_us = self.window_us
        columns = ["arm", "created_us", "finished_us"]
        for run, entry in zip(self._runs_of("executions", columns), self.document["runs"], strict=True):
            series[entry["arm"]].append(warmup.level_series(run, end_us))
        return warmup.advice(series, end_us, start_us)

    # --- records -----------------------------------------------------------------------------------------

    def contentions(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the refused attempts, one row each; ``columns`` takes less time and memory than all."""
        return self._records("contentions", columns)

    def intents(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the intents, one row each."""
        return self._records("intents", columns)

    def executions(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the executions, one row each."""
        return self._records("executions", columns)

    def records_of(self, table: str, arm: str, replication: int) -> pd.DataFrame:
        """Give the ``contentions``, ``intents`` or ``executions`` of one run, without those of the others."""
        runs = [(run["arm"], run["replication"]) for run in self.document["runs"]]
        before = self.document["runs"][: runs.index((arm, replication))]
        first = sum(run["rows"][table] for run in before)
        rows = self.document["runs"][len(before)]["rows"][table]
        with readable(self.directory):
            whole = pq.read_table(self.directory / f"{table}.parquet", memory_map=True)
            return frame(whole.slice(first, rows))

    def series(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the levels over time, a row a bin (:mod:`sim.analysis.levels`)."""
        return self._records("series", columns)

    @property
    def keeps_attempts(self) -> bool:
        """Whether every attempt was kept as a row."""
        return (self.directory / "attempts.parquet").is_file()

    def attempts(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Give every attempt, one row each, where they were kept.

        Raises
        ------
        ResultsError
            When they were not: a study keeps them on request alone.
        """
        if not self.keeps_attempts:
            raise ResultsError(
                f"{self.directory} holds attempts as counts only: run it again with --keep-attempts, or "
                "keep_attempts=True, for a row each"
            )
        return self._records("attempts", columns)

    def explain(self, kind: str, arm: str | None = None, *, full: bool = False) -> str:
        """Tell a median, a p99 and an abandoned episode of a kind (:mod:`sim.analysis.stories`).

        Parameters
        ----------
        kind
            One of :attr:`kinds`.
        arm
            Of which arm; by default the first.
        full
            Every event of a long story, instead of its beginning and end.

        Raises
        ------
        ResultsError
            When there is no such arm, or the kind was not met.
        """
        chosen = self._arm(self.arms[0] if arm is None else arm)
        try:
            stories.kinds_to_explain(self, kind)
        except ValueError as error:
            raise ResultsError(str(error)) from None
        return "\n".join(stories.explain_kind(self, kind, chosen, full=full))

    # --- documents ---------------------------------------------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON document that ``run --json`` prints; NaN becomes null."""
        return {
            "scenario": self.name,
            "study_id": self.study_id,
            "fingerprint": self.fingerprint,
            "directory": str(self.directory),
            "replications": self.replications,
            "window_s": self.window_s,
            "expectations": self.expectations,
            "failed": self.failed,
            "truncated": self.truncated,
            "precision": self.precision,
            "arms": [self._arm_dict(arm) for arm in self.arms],
            "comparison": self._comparison_dict(),
        }

    def __repr__(self) -> str:
        runs = f"{', '.join(self.arms)}; {self.replications} replications of {self.window_s:g} s"
        return f"<Study {self.name}/{self.study_id}: {runs}>"

    def _repr_html_(self) -> str:
        seen = self._by_kind.loc[self._by_kind["count"] > 0]
        shown = ["arm", "kind", "count", "per_1000_attempts", "mean", "recovered", "p50", "p90", "p99"]
        units = {"mean": "per second", "p50": "p50 (ms)", "p90": "p90 (ms)", "p99": "p99 (ms)"}
        table = (
            seen[shown].rename(columns=units).to_html(index=False, na_rep="-", float_format="{:.4g}".format)
        )
        return f"<p>{html.escape(repr(self))}</p>{table}"

    # --- reading -----------------------------------------------------------------------------------------

    @cached_property
    def _frequency(self) -> pd.DataFrame:
        return self._csv("frequency")

    @cached_property
    def _recovery(self) -> pd.DataFrame:
        return self._csv("recovery")

    @cached_property
    def _runs(self) -> pd.DataFrame:
        return self._csv("outcomes")

    @cached_property
    def _by_kind(self) -> pd.DataFrame:
        return self._frequency.merge(self._recovery, on=_KEYS, validate="1:1")

    @cached_property
    def _episodes(self) -> pd.DataFrame:
        contentions = self._runs_of(
            "contentions", ["arm", "replication", "kind", "root", "done_us", "in_window"]
        )
        intents = self._runs_of(
            "intents", ["arm", "replication", "intent", "goal", "actor_kind", "end_us", "resolution"]
        )
        return _concat([recoveries.episodes(*pair) for pair in zip(contentions, intents, strict=True)])

    def _races(self, by: Sequence[str] = ()) -> pd.DataFrame:
        columns = list(dict.fromkeys([*rivalries.RACE_COLUMNS, *by]))
        return _concat([rivalries.races(run, by) for run in self._runs_of("contentions", columns)])

    def _arm_dict(self, arm: str) -> dict[str, Any]:
        runs = self._runs.loc[self._runs["arm"] == arm]
        means = runs.mean(numeric_only=True).to_dict()
        counts = ("attempts", "unknown", "contentions", "intents", "arrived", "unfinished", "completed")
        kinds: list[dict[Any, Any]] = self._by_kind.loc[self._by_kind["arm"] == arm].to_dict("records")
        return {
            "arm": arm,
            **{name: int(runs[name].sum()) for name in counts},
            **{name: _number(means[name]) for name in _ARM_MEANS},
            "sojourn_ms": {q: _number(means[f"sojourn_{q}"]) for q in _SOJOURN},
            "kinds": [_kind_dict(row) for row in kinds],
        }

    def _comparison_dict(self) -> dict[str, Any] | None:
        """Give the comparison of the arms, None for a single one."""
        if self.baseline is None:
            return None
        tables = {"paired": self.paired(), "pareto": self.pareto(), "warmup_advice": self.warmup_advice()}
        rows = {name: _json_rows(table) for name, table in tables.items()}
        return {"baseline": self.baseline, "verdicts": self.verdicts(), **rows}

    def _arm(self, name: str | None) -> str:
        if name not in self.arms:
            raise ResultsError(f"{self.directory} has no arm {name!r}; it has {', '.join(self.arms)}")
        return name

    def _csv(self, name: str, words: Sequence[str] = ()) -> pd.DataFrame:
        """Read a table; an empty cell is a missing value, but for the columns of words."""
        with readable(self.directory):
            table = pd.read_csv(
                self.directory / f"{name}.csv",
                dtype={"arm": str},
                keep_default_na=False,  # an arm may be called "null"
                na_values=[""],
            )
        for column in words:
            table[column] = ["" if pd.isna(cell) else str(cell) for cell in table[column]]
        return table

    def _records(self, name: str, columns: Sequence[str] | None) -> pd.DataFrame:
        with readable(self.directory):
            return frame(pq.read_table(self.directory / f"{name}.parquet", columns=columns and list(columns)))

    def _runs_of(self, name: str, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Give the records of one run after the other; no row group holds rows of two runs."""
        with readable(self.directory), pq.ParquetFile(self.directory / f"{name}.parquet") as file:
            group = 0
            for run in self.document["runs"]:
                groups, rows = [], 0
                while rows < run["rows"][name]:
                    rows += file.metadata.row_group(group).num_rows
                    groups.append(group)
                    group += 1
                yield frame(file.read_row_groups(groups, columns=list(columns)))


def open(directory: str | Path) -> Study:  # noqa: A001 - reads as sim.open(...)
    """Open the results of a study.

    Parameters
    ----------
    directory
        The study's folder, such as ``results/claim_storm/1f3a...``.

    Raises
    ------
    ResultsError
        When the folder is not a study, cannot be read, or was written in another format.
    """
    place = Path(directory)
    path = place / "study.json"
    if not path.is_file():
        raise ResultsError(_not_a_study(place))
    return Study(place, read_document(path, "scenario"))


def read_document(path: Path, what: str) -> dict[str, Any]:
    """Read the document of results, if it is of this format.

    Parameters
    ----------
    path
        The file, in the folder of the results.
    what
        What is to be run again if it is not.

    Raises
    ------
    ResultsError
        When it cannot be read or was written in another format.
    """
    place = path.parent
    with readable(place):
        document = json.loads(path.read_text("utf-8"))
    written = document.get("versions", {}) if isinstance(document, dict) else {}
    if written.get("format") != FORMAT:
        wrote = written.get("contention-sim", "an unknown version")
        raise ResultsError(
            f"{place} was written by contention-sim {wrote} in format {written.get('format')}, and this one "
            f"reads format {FORMAT}: open it with that version, or run the {what} again"
        )
    return dict(document)


def _kind_dict(row: dict[Any, Any]) -> dict[str, Any]:
    shares = ("per_1000_attempts", "per_execution", "share_of_intents")
    return {
        "kind": row["kind"],
        "count": int(row["count"]),
        **{name: _number(row[name]) for name in shares},
        "per_s": {name: _number(row[name]) for name in ("mean", "ci_low", "ci_high")}
        | {"interval": row["interval"]},
        **{name: int(row[name]) for name in ("episodes", *recoveries.ENDS)},
        "recovery_ms": {name: _number(row[name]) for name in recoveries.QUANTILES},
        "recovery_status": {name: row[f"{name}_status"] for name in recoveries.QUANTILES},
    }


def _json_rows(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Turn a table into JSON: what is missing or without bounds becomes null."""
    rows: list[dict[Any, Any]] = table.to_dict("records")
    return [
        {
            key: None if isinstance(cell, float) and not math.isfinite(cell) else cell
            for key, cell in row.items()
        }
        for row in rows
    ]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _concat(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Join tables, leaving out the empty ones, whose columns have no types worth keeping."""
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _not_a_study(place: Path) -> str:
    if not place.exists():
        return f"{place}: there is no such folder"
    if place.name.endswith(".partial"):
        return f"{place} is an unfinished study: run the same command again and it goes on where it stopped"
    inside = sorted(str(path.parent) for path in place.glob("**/study.json")) if place.is_dir() else []
    if inside:
        more = f" and {len(inside) - 5} more" if len(inside) > 5 else ""
        return f"{place} is not a study but holds {', '.join(inside[:5])}{more}: give one of them"
    return f"{place} is not a study: it has no study.json"


@contextmanager
def readable(place: Path) -> Iterator[None]:
    """Say in words for the user that a file of results is missing or damaged."""
    try:
        yield
    except FileNotFoundError as error:
        raise ResultsError(f"{place} is incomplete: {error.filename or error} is missing") from error
    except (OSError, pa.ArrowInvalid, ValueError) as error:
        raise ResultsError(f"{place} cannot be read: {error}") from error
