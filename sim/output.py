"""Results on disk: each replication as a part, all parts as one study.

A study lives in ``OUT/<scenario>/<study-id>/``. While it is made, ``<study-id>.partial/parts/`` holds one
folder for each finished replication, written by the process that ran it; :func:`assemble` streams them in
the order (arm, replication) into the files of the study, so that neither the number of jobs nor the order of
completion leaves a trace in any byte. Everything is written under a temporary name and renamed: a part, and
the study, exists whole or not at all, and an interrupted study goes on from its finished parts.
``host.json`` alone holds facts of the machine and of wall-clock time.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sim.analysis.comparison import compare_arms, pareto
from sim.analysis.frequency import count_contentions, count_met, frequency
from sim.analysis.outcomes import UNITS, outcomes, run_table
from sim.analysis.records import (
    ATTEMPT_ROWS,
    ATTEMPTS,
    EXECUTIONS,
    INTENTS,
    SERIES,
    TABLES,
    conform,
    frame,
)
from sim.analysis.recovery import episodes, recovery
from sim.analysis.rivals import PAIR, RACE_COLUMNS, races, rivals
from sim.analysis.verdicts import verdicts
from sim.mistakes import UserMistake
from sim.rng import Streams
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FORMAT: Final = 3
"""Number of the layout and meaning of the files; a reader refuses any other."""

PAIRED_STREAM: Final = "analysis/paired"
"""The random stream of the bootstrap in which arms are compared."""

SWEEP_MANIFEST: Final = "sweep.json"
"""What tells the folder of a sweep from that of a study."""

POINTS: Final = "points"
"""The folder of a sweep in which the studies of its points lie."""

_ROW_GROUP_ROWS: Final = 1 << 20
_RECORDS: Final = ("contentions", "intents", "executions", "series")
_KEPT_ATTEMPTS: Final = "attempt_rows"

# What the small tables are made of: the other columns of a long run would only fill memory.
_COUNTED: Final = {
    "contentions": ["arm", "replication", "done_us", "kind", "intent", "root", "in_window"],
    "intents": [name for name in INTENTS.names if name not in ("execution", "cause")],
    "executions": [name for name in EXECUTIONS.names if name not in ("execution", "class", "leased_us")],
    "attempts": ATTEMPTS.names,
    "series": SERIES.names,
}


class ResultsError(UserMistake):
    """Results cannot be written or read; the message is for the user and says what to do."""


class StudyFailed(Exception):  # noqa: N818 - said of a study, as the message is
    """No replication of an arm came to its end, so that there is nothing to tabulate.

    Parameters
    ----------
    arms
        The arms without a finished replication.
    failures
        All that failed: ``arm, replication, error, at`` each.
    """

    def __init__(self, arms: Sequence[str], failures: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(f"no replication of {', '.join(arms)} came to its end: there are no results")
        self.arms = list(arms)
        self.failures = [dict(failure) for failure in failures]


class Run(Protocol):
    """One replication of one arm: its records, without a say on where they came from."""

    @property
    def arm(self) -> str:
        """Name of the arm."""

    @property
    def replication(self) -> int:
        """Which replication, from 0 on."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the records."""

    @property
    def contentions(self) -> pa.Table:
        """The refused attempts, one row each."""

    @property
    def intents(self) -> pa.Table:
        """The intents, one row each."""

    @property
    def executions(self) -> pa.Table:
        """The executions, one row each."""

    @property
    def attempts(self) -> pa.Table:
        """All attempts, as counts."""

    @property
    def series(self) -> pa.Table:
        """Levels over time."""

    @property
    def attempt_rows(self) -> pa.Table | None:
        """All attempts, one row each, where they were kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a study is, before it is run.

    Attributes
    ----------
    name : str
        Name of the scenario, which is that of its folder.
    scenario : Mapping[str, Any]
        The resolved scenario, as JSON.
    arms : Mapping[str, Any]
        The canonical policy of each arm, as JSON, in the order of every table.
    seeds : Sequence[int]
        The first one also seeds what analysis draws.
    replications : int
        How many of each arm.
    window_us : tuple[int, int]
        Start and end of what tables take: [start, end).
    options : Mapping[str, Any]
        What else decides the results, as JSON: limits of a run, the precision that is asked for.
    first : int
        Number of the first replication: not 0 where a single one is replayed.
    keep_attempts : bool
        Whether the study holds every attempt as a row. Its identity does not depend on it.
    """

    name: str
    scenario: Mapping[str, Any]
    arms: Mapping[str, Any]
    seeds: Sequence[int]
    replications: int
    window_us: tuple[int, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    first: int = 0
    keep_attempts: bool = False

    @property
    def study_id(self) -> str:
        """The name of the study's folder."""
        return study_id(self.scenario, self.arms, self.seeds, options=self.options)

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Every (arm, replication), in the order of every table."""
        numbers = range(self.first, self.first + self.replications)
        return [(arm, replication) for arm in self.arms for replication in numbers]


def version() -> str:
    """Give the version of contention-sim."""
    return installed_version("contention-sim")


def study_id(
    scenario: Mapping[str, Any],
    arms: Mapping[str, Any],
    seeds: Sequence[int],
    made_by: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Give the identity of a study: the same inputs and version write to the same place.

    Parameters
    ----------
    scenario
        The resolved scenario, as JSON; the order of its keys does not count.
    arms
        The canonical policy of each arm; the order of the arms counts, as it is that of the tables.
    seeds
        The seeds.
    made_by
        Version of contention-sim; by default the one that runs.
    options
        What else decides the results; without any it does not count.

    Returns
    -------
    str
        The first 16 hexadecimal digits of the SHA-256 of the canonical JSON.
    """
    inputs = [scenario, [[arm, policy] for arm, policy in arms.items()], list(seeds), made_by or version()]
    inputs += [options] if options else []
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def begin(out: str | Path, manifest: Manifest) -> Path:
    """Make the place for the parts of a study, or find it with what an interrupted run has finished.

    Returns
    -------
    Path
        ``OUT/<scenario>/<study-id>.partial``, which :func:`write_part`, :func:`finished_parts` and
        :func:`assemble` take.

    Raises
    ------
    ResultsError
        When nothing can be written there, or when the study's place is taken by something else.
    """
    if manifest.name in ("", ".", "..") or Path(manifest.name).name != manifest.name:
        raise ResultsError(
            f"{manifest.name!r} cannot be the name of a folder: give the scenario another name"
        )
    partial = Path(out) / manifest.name / f"{manifest.study_id}.partial"
    _refuse_foreign(_place(partial))
    with explained(Path(out)):
        (partial / "parts").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=partial):
            pass
    return partial


def write_part(
    partial: Path, run: Run, window_us: tuple[int, int], notes: Mapping[str, Any] | None = None
) -> Path:
    """Write one finished replication; called by the process that ran it.

    Parameters
    ----------
    partial
        From :func:`begin`.
    run
        Its records. Columns ``arm`` and ``replication`` may be missing from the tables.
    window_us
        Start and end of what tables take: [start, end).
    notes
        JSON that the caller wants back from :func:`finished_parts`, also in a later process: faults that
        were drawn, what checks found.

    Raises
    ------
    ResultsError
        When it cannot be written; no part is left behind.
    """
    part = _part(partial, run.arm, run.replication)
    with explained(partial), _whole_folder(part, partial) as folder:
        frames = {}
        for name, schema in TABLES.items():  # one at a time: of a long run each is large
            table = conform(getattr(run, name), schema, run.arm, run.replication)
            _write_table(folder / f"{name}.parquet", table)
            frames[name] = frame(table.select(_COUNTED[name]))
        del table
        if run.attempt_rows is not None:
            rows = conform(run.attempt_rows, ATTEMPT_ROWS, run.arm, run.replication)
            _write_table(folder / f"{_KEPT_ATTEMPTS}.parquet", rows)
        episodes(frames["contentions"], frames["intents"]).to_parquet(folder / "episodes.parquet")
        _write_json(folder / "summary.json", _summary(run, frames, window_us, notes or {}))
    return part


@contextmanager
def alone(partial: Path) -> Iterator[None]:
    """See to it that one process at a time makes a study; the system frees the place when a process dies.

    Raises
    ------
    ResultsError
        When another process is making the same study.
    """
    try:
        import fcntl
    except ImportError:  # a system without such locks: the user sees to it
        yield
        return
    with explained(partial):
        file = (partial / "lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResultsError(
                f"another process is making {_place(partial)}: wait for it, or choose another --out"
            ) from None
        yield


def packed_part(run: Run, window_us: tuple[int, int], notes: Mapping[str, Any]) -> dict[str, bytes]:
    """Give the files of a part by name, made where the study's folder cannot be reached."""
    with tempfile.TemporaryDirectory(prefix="contention-sim-") as folder:
        (Path(folder) / "parts").mkdir()
        part = write_part(Path(folder), run, window_us, notes)
        return {path.name: path.read_bytes() for path in sorted(part.iterdir())}


def unpack_part(partial: Path, arm: str, replication: int, files: Mapping[str, bytes]) -> None:
    """Write a part that was made elsewhere (:func:`packed_part`)."""
    part = _part(partial, arm, replication)
    with explained(partial), _whole_folder(part, partial) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)


def measured(partial: str | Path, measure: str) -> dict[tuple[str, int], float]:
    """Give one measure of each finished replication.

    Parameters
    ----------
    partial
        From :func:`begin`.
    measure
        One of :data:`sim.analysis.outcomes.UNITS`, or a kind of contention: its rate per simulated second.
    """
    values = {}
    for _, part in _parts(Path(partial)):
        if measure in UNITS:
            value = part["outcomes"][measure]
        else:
            seen = sum(row["count"] for row in part["counts"] if row["kind"] == measure)
            window_s = part["outcomes"]["window_s"]
            value = seen / window_s if window_s else float("nan")
        values[part["arm"], part["replication"]] = float(value)
    return values


def finished_parts(
    partial: str | Path, *, keep_attempts: bool = False
) -> dict[tuple[str, int], dict[str, Any]]:
    """Find the finished replications: (arm, replication) and the notes given with each, in name order.

    Parameters
    ----------
    partial
        From :func:`begin`.
    keep_attempts
        Only those count of which every attempt was kept.
    """
    return {
        (part["arm"], part["replication"]): part["notes"]
        for folder, part in _parts(Path(partial))
        if not keep_attempts or (folder / f"{_KEPT_ATTEMPTS}.parquet").is_file()
    }


def assemble(
    partial: str | Path,
    manifest: Manifest,
    *,
    host: Mapping[str, Any],
    faults: object = None,
    expectations: Sequence[Mapping[str, Any]] = (),
    failed: Sequence[Mapping[str, Any]] = (),
    truncated: Sequence[Mapping[str, Any]] = (),
    precision: Mapping[str, Any] | None = None,
) -> Path:
    """Make the study of its parts and put it into its place, replacing an earlier one of the same identity.

    Memory is bounded by one part; what is held of all parts is a row a run, its episodes
    and its race windows.

    Parameters
    ----------
    partial
        From :func:`begin`, with every part written.
    manifest
        As given to :func:`begin`.
    host
        Facts of the machine (:func:`host_facts`), for ``host.json``.
    faults
        JSON for ``study.json``: the faults that were drawn.
    expectations
        What became of what the scenario expects, for ``study.json``: ``arm``, ``expected`` (a word such as
        "never"), ``kind``, ``count`` and ``met`` each.
    failed
        The replications that did not come to their end, for ``study.json``: ``arm``, ``replication`` and
        ``error`` at least. The tables are those of the others.
    truncated
        The runs that ended before their time, for ``study.json``.
    precision
        What precision was asked for and what was reached, for ``study.json``.

    Returns
    -------
    Path
        The study's folder.

    Raises
    ------
    ResultsError
        When replications (or their attempts) are missing or the files cannot be written; the parts stay.
    """
    partial = Path(partial)
    parts = _parts_in_order(partial, manifest, {(each["arm"], each["replication"]) for each in failed})
    incidents = {"failed": list(failed), "truncated": list(truncated), "precision": precision}
    place = _place(partial)
    with explained(partial):
        with _whole_folder(place, partial) as staging:
            joined = {name: name for name in _RECORDS}
            joined |= {"attempts": _KEPT_ATTEMPTS} if manifest.keep_attempts else {}
            for name, of_part in joined.items():
                _join(staging / f"{name}.parquet", [folder / f"{of_part}.parquet" for folder, _ in parts])
            paired = _write_tables(staging, manifest, parts)
            document = _document(manifest, [part for _, part in parts], faults, expectations)
            document["verdicts"] = [] if paired is None else verdicts(paired)
            _write_json(staging / "study.json", incidents | document)
            _write_json(staging / "host.json", host)
        _discard(partial)
    return place


def _parts_in_order(
    partial: Path, manifest: Manifest, failed: set[tuple[str, int]]
) -> list[tuple[Path, dict[str, Any]]]:
    """Give the part of every run but those that failed; none may be missing."""
    found = {(part["arm"], part["replication"]): (folder, part) for folder, part in _parts(partial)}
    missing = [run for run in manifest.runs if run not in found and run not in failed]
    if missing:
        first = ", ".join(f"{arm}/{replication}" for arm, replication in missing[:3])
        raise ResultsError(
            f"{partial}: {len(missing)} of {len(manifest.runs)} replications are missing ({first} ...)"
        )
    return [found[run] for run in manifest.runs if run not in failed]


def begin_sweep(out: str | Path, name: str, sweep_id: str) -> Path:
    """Make the place for the studies of a sweep's points, or find it with what an interrupted one finished.

    Returns
    -------
    Path
        ``OUT/<scenario>/<sweep-id>.partial``; its place without the suffix is free, or holds that sweep.

    Raises
    ------
    ResultsError
        When nothing can be written there, or when the sweep's place is taken by something else.
    """
    partial = Path(out) / name / f"{sweep_id}.partial"
    _refuse_foreign(_place(partial))
    with explained(Path(out)):
        (partial / POINTS).mkdir(parents=True, exist_ok=True)
    return partial


def assemble_sweep(
    partial: Path, document: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], studies: Sequence[Path]
) -> Path:
    """Write the tables of a sweep beside the studies of its points and put it into its place.

    Parameters
    ----------
    partial
        From :func:`begin_sweep`.
    document
        For ``sweep.json``; the versions are added.
    tables
        For CSV files, by name.
    studies
        The folders of the points' studies; what else an interrupted process left beside them goes.

    Raises
    ------
    ResultsError
        When the files cannot be written; the studies stay.
    """
    place = _place(partial)
    with explained(partial):
        for folder in sorted({study.parent for study in studies}):
            for left in sorted(set(folder.iterdir()) - set(studies)):
                shutil.rmtree(left)
        for name, table in tables.items():
            table.to_csv(partial / f"{name}.csv", index=False, lineterminator="\n")
        _write_json(partial / SWEEP_MANIFEST, {"versions": _versions()} | dict(document))
        partial.rename(place)
    return place


def write_text(path: Path, text: str) -> None:
    """Write a file that a user named, whole or not at all.

    Raises
    ------
    ResultsError
        When there is such a file, or it cannot be written.
    """
    if path.exists():
        raise ResultsError(f"{path} exists: it is not replaced. Move it away or name another file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with explained(path):
        temporary.write_text(text, "utf-8")
        temporary.replace(path)


def host_facts(seconds: float, jobs: int, executor: str = "joblib") -> dict[str, Any]:
    """Give what ``host.json`` tells: how long it took, and on what."""
    return {
        "seconds": round(seconds, 3),
        "executor": executor,
        "jobs": jobs,
        "cpu_count": os.cpu_count(),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


def _part(partial: Path, arm: str, replication: int) -> Path:
    return partial / "parts" / f"{quote(arm, safe='')}-{replication}"


def _place(partial: Path) -> Path:
    return partial.with_suffix("")


def _parts(partial: Path) -> list[tuple[Path, dict[str, Any]]]:
    with explained(partial, "read"):
        folders = sorted(path for path in (partial / "parts").iterdir() if not path.name.startswith("."))
        return [(folder, json.loads((folder / "summary.json").read_text("utf-8"))) for folder in folders]


def _summary(
    run: Run, frames: dict[str, pd.DataFrame], window_us: tuple[int, int], notes: Mapping[str, Any]
) -> dict[str, Any]:
    contentions, intents = frames["contentions"], frames["intents"]
    return {
        "arm": run.arm,
        "replication": run.replication,
        "fingerprint": run.fingerprint,
        "rows": {name: len(frames[name]) for name in _RECORDS},
        "counts": count_contentions(contentions).to_dict("records"),
        "met": count_met(contentions, intents).to_dict("records"),
        "outcomes": outcomes(intents, frames["executions"], frames["attempts"], frames["series"], window_us),
        "notes": dict(notes),
    }


def _write_table(path: Path, table: pa.Table) -> None:
    with _parquet(path, table.schema) as writer:
        writer.write_table(table, row_group_size=_ROW_GROUP_ROWS)


def _join(path: Path, sources: list[Path]) -> None:
    """Write the row groups of all sources, one at a time; no row group holds rows of two parts."""
    with _parquet(path, pq.read_schema(sources[0])) as writer:
        for source in sources:
            with pq.ParquetFile(source) as part:
                for group in range(part.num_row_groups):
                    writer.write_table(part.read_row_group(group), row_group_size=_ROW_GROUP_ROWS)


def _write_tables(
    staging: Path, manifest: Manifest, parts: list[tuple[Path, dict[str, Any]]]
) -> pd.DataFrame | None:
    """Write the small tables, as CSV; give the comparison of the arms, where there are several."""
    summaries = [part for _, part in parts]
    runs = run_table([{"arm": p["arm"], "replication": p["replication"], **p["outcomes"]} for p in summaries])
    counts = pd.DataFrame(
        [row for part in summaries for row in part["counts"]], columns=["arm", "replication", "kind", "count"]
    )
    met = pd.DataFrame(
        [row for part in summaries for row in part["met"]],
        columns=["arm", "replication", "kind", "intents_met"],
    )
    window_s = (manifest.window_us[1] - manifest.window_us[0]) / US_PER_S
    columns = ["arm", "replication", "kind", "latency_us", "end"]
    of_runs = [
        pq.read_table(folder / "episodes.parquet", columns=columns, read_dictionary=["arm", "kind", "end"])
        for folder, _ in parts
    ]
    # A run without contention has no episodes, hence no types to join with those of others.
    of_runs = [episodes_of for episodes_of in of_runs if episodes_of.num_rows] or of_runs[:1]
    of_all = frame(pa.concat_tables(of_runs).unify_dictionaries())
    attempts = pd.concat([frame(pq.read_table(folder / "attempts.parquet")) for folder, _ in parts])
    tables = {
        "frequency": frequency(counts, runs, window_s, met),
        "recovery": recovery(of_all, list(manifest.arms)),
        "outcomes": runs,
        "attempts": attempts,
        "rivals": rivals(_races([folder for folder, _ in parts]), list(manifest.arms)),
    }
    first, *others = manifest.arms
    if others:
        generator = Streams(manifest.seeds[0], 0).of(PAIRED_STREAM)
        tables["paired"] = compare_arms(
            runs, counts, of_all, window_s, generator, baseline=first, arms=others
        )
        tables["pareto"] = pareto(runs, list(manifest.arms))
    for name, table in tables.items():
        table.to_csv(staging / f"{name}.csv", index=False, lineterminator="\n")
    return tables.get("paired")


def _races(folders: list[Path]) -> pd.DataFrame:
    """Give the races of all parts, a row a contention, in the fewest bytes: they are the most there is.

    Names are categories in the order of their letters, in which groups of names come too.
    """
    of_runs = []
    for folder in folders:
        raced = races(frame(pq.read_table(folder / "contentions.parquet", columns=RACE_COLUMNS)))
        encoded = {name: pa.array(raced[name], pa.string()).dictionary_encode() for name in ("arm", *PAIR)}
        encoded["rival_age_us"] = pa.array(raced["rival_age_us"], pa.int64())
        of_runs.append(pa.table(encoded))
    table = frame(pa.concat_tables(of_runs).unify_dictionaries())
    for name in ("arm", *PAIR):
        table[name] = table[name].cat.reorder_categories(sorted(table[name].cat.categories))
    return table


def _document(
    manifest: Manifest,
    summaries: list[dict[str, Any]],
    faults: object,
    expectations: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    lines = [f"{part['arm']}\t{part['replication']}\t{part['fingerprint']}\n" for part in summaries]
    return {
        "versions": _versions(),
        "name": manifest.name,
        "study_id": manifest.study_id,
        "fingerprint": hashlib.sha256("".join(lines).encode()).hexdigest(),
        "seeds": list(manifest.seeds),
        "replications": manifest.replications,
        "window_us": list(manifest.window_us),
        "options": dict(manifest.options),
        "arms": [{"arm": arm, "policy": policy} for arm, policy in manifest.arms.items()],
        "runs": [
            {name: part[name] for name in ("arm", "replication", "fingerprint", "rows")} for part in summaries
        ],
        "faults": faults,
        "expectations": list(expectations),
        "scenario": manifest.scenario,
    }


def _versions() -> dict[str, Any]:
    return {"contention-sim": version(), "format": FORMAT}


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    names = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    numbers = {field.name: "DELTA_BINARY_PACKED" for field in schema if pa.types.is_integer(field.type)}
    with pq.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=names, column_encoding=numbers
    ) as writer:
        yield writer


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


@contextmanager
def _whole_folder(place: Path, partial: Path) -> Iterator[Path]:
    """Give a new folder inside ``partial`` that becomes ``place`` when all went well and vanishes when not.

    An earlier folder at ``place`` is set aside first and put back if the new one cannot take its place. What
    a killed process leaves behind lies in ``partial`` and goes with it.
    """
    staging = Path(tempfile.mkdtemp(prefix=".", dir=partial))
    try:
        yield staging
        staging.chmod(0o755)
        aside = staging.with_suffix(".earlier")
        if place.exists():
            _refuse_foreign(place)
            place.rename(aside)
        try:
            staging.rename(place)
        except OSError:
            if aside.exists():
                aside.rename(place)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _discard(partial: Path) -> None:
    """Remove the parts; under another name, so that a half removed part is never taken for a finished one."""
    finished = partial.with_suffix(".finished")
    shutil.rmtree(finished, ignore_errors=True)
    partial.rename(finished)
    shutil.rmtree(finished, ignore_errors=True)


def _refuse_foreign(place: Path) -> None:
    """Refuse to replace what was not written here."""
    ours = ("study.json", "summary.json", SWEEP_MANIFEST)
    if place.exists() and not any((place / name).is_file() for name in ours):
        raise ResultsError(
            f"{place} exists and is no study: it is not replaced. Move it away or choose another --out"
        )


_REASONS: Final = {
    errno.EACCES: "permission denied: choose another --out",
    errno.EPERM: "permission denied: choose another --out",
    errno.EROFS: "it is on a read-only file system: choose another --out",
    errno.ENOSPC: "the disk is full: make room, then run the same command again",
    errno.EDQUOT: "the disk quota is used up: make room, then run the same command again",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.ENOENT: "there is no such folder",
}


@contextmanager
def explained(place: Path, verb: str = "write results to") -> Iterator[None]:
    """Turn what the operating system says into words for the user."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise ResultsError(f"cannot {verb} {place}: {reason}") from error
