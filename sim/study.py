"""Studies: arms times replications, run here or on a cluster, kept on disk.

Each replication becomes a part of the study's folder, whole or not at all; at the end the parts are assembled
in the order of (arm, replication). Results therefore do not depend on the executor, on the number of jobs or
on who finished first, memory holds one replication a process, and a study that was interrupted goes on from
the parts that are there. A replication that fails takes nothing else down: the others finish, and the study
says which are missing.
"""

from __future__ import annotations

import re
import traceback
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim import output, results
from sim.analysis.frequency import KIND_NAMES
from sim.analysis.outcomes import UNITS
from sim.analysis.precision import FEWEST, half_widths, replications_needed
from sim.checks import CheckFailed
from sim.estimate import estimate
from sim.executors import executor as executor_of
from sim.limits import Limits, OptionError
from sim.mistakes import UserMistake
from sim.output import StudyFailed
from sim.replication import NO_LIMITS
from sim.replication import run as run_replication
from sim.retry import PolicyError, parse_policy, policies
from sim.schema import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sim.analysis.precision import Precision
    from sim.estimate import Estimate
    from sim.executors import Executor
    from sim.replication import RunResult
    from sim.results import Study
    from sim.retry import PolicySpec
    from sim.scenario import Scenario

    Progress = Callable[[int, int], None]

_FRAMES_TOLD: Final = 3
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


class Arm(NamedTuple):
    """One arm of a study: the retry policy that stands under a name."""

    name: str
    policy: PolicySpec


class Failure(NamedTuple):
    """A replication that raised an error.

    Attributes
    ----------
    arm, replication
        Which one.
    error : str
        Type and message.
    at : tuple of str
        The innermost places of the code, the place of the error last.
    """

    arm: str
    replication: int
    error: str
    at: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON."""
        return self._asdict() | {"at": list(self.at)}


class _Answer(NamedTuple):
    """What became of one replication: a part on the common disk, the part's files, or a failure."""

    arm: str
    replication: int
    files: dict[str, bytes] | None = None
    failure: Failure | None = None


class StudyOptions(NamedTuple):
    """What is asked of a study besides scenario and arms: the results depend on it.

    Attributes
    ----------
    precision : Precision or None
        Run as many replications as this needs, instead of the scenario's number. All arms get the same
        number (:func:`sim.analysis.precision.replications_needed`).
    limits : Limits
        What each run may use; one that needs more ends early and the study says so.
    replication : int or None
        Run this one alone, as it is in the whole study.
    keep_attempts : bool
        Keep every attempt as a row besides (``attempts.parquet``).
    check : bool
        Watch the invariants of :mod:`sim.checks`, also of replications that an earlier call finished without.
    """

    precision: Precision | None = None
    limits: Limits = NO_LIMITS
    replication: int | None = None
    keep_attempts: bool = False
    check: bool = False


class Means(NamedTuple):
    """By what means a study or a sweep is carried out: the results do not depend on it.

    Attributes
    ----------
    out : str or Path
        Where results go.
    jobs : int
        How many processes at a time.
    executor : str
        ``joblib``, ``dask`` or ``dask=ADDRESS`` (:func:`sim.executors.executor`).
    on_progress : Progress or None
        Called with (replications done, replications in all), also for those that an earlier call finished.
        What it raises does not end the study.
    on_estimate : Callable or None
        Called before the first replication with what the study will need; makes a short pilot run.
    """

    out: str | Path = "results"
    jobs: int = 1
    executor: str = "joblib"
    on_progress: Progress | None = None
    on_estimate: Callable[[Estimate], None] | None = None


PLAIN: Final = StudyOptions()
HERE: Final = Means()


def arm_of(scenario: Scenario, policy: str | None = None) -> Arm:
    """Give the one arm of a plain run.

    Parameters
    ----------
    scenario
        Its ``retry`` counts when no policy is named.
    policy
        One of the scenario's ``policies``, or what :func:`sim.retry.parse_policy` takes.

    Raises
    ------
    sim.retry.PolicyError
        When there is no such policy.
    """
    if policy is not None:
        return Arm(policy, scenario.policies[policy] if policy in scenario.policies else parse_policy(policy))
    known = {**{listed.name: parse_policy(listed.name) for listed in policies()}, **scenario.policies}
    return Arm(next((name for name, spec in known.items() if spec == scenario.retry), "own"), scenario.retry)


COMPARED: Final = ("documented", "full_jitter", "decorrelated", "no_jitter", "naive")
"""What a comparison takes where neither the user nor the scenario names policies."""


def arms_of(
    scenario: Scenario, policies: Sequence[str] | None = None, baseline: str | None = None
) -> list[Arm]:
    """Give the arms of a comparison, the baseline first.

    Parameters
    ----------
    scenario
        Its ``policies`` are the arms when none are named; :data:`COMPARED` when it has none either.
    policies
        Each one of the scenario's, or what :func:`sim.retry.parse_policy` takes.
    baseline
        What the others are compared with, by default the first; added when it is not among them.

    Raises
    ------
    sim.retry.PolicyError
        When there is no such policy, one is named twice, or fewer than two are left.
    """
    names = list(policies or scenario.policies or COMPARED)
    if baseline is not None:
        names = [baseline, *(name for name in names if name != baseline)]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise PolicyError(f"policies: {twice[0]!r} is named twice; name each policy once")
    if len(names) < 2:
        raise PolicyError(f"policies: {names[0]!r} is alone; a comparison takes at least two, such as naive")
    return [arm_of(scenario, name) for name in names]


def run_study(
    scenario: Scenario,
    arms: Sequence[Arm],
    name: str,
    options: StudyOptions = PLAIN,
    means: Means = HERE,
) -> Study:
    """Run every replication of every arm.

    Parameters
    ----------
    scenario
        What to simulate; its seed and its number of replications count.
    arms
        The policies to run it under.
    name
        The scenario's name: the study goes to ``out/name/study-id``.
    options, means
        What is asked for besides, and how it is carried out.

    Returns
    -------
    Study
        Read back from disk. Replications that failed are listed in it and missing from its tables.

    Raises
    ------
    sim.output.ResultsError
        When results cannot be written, or when workers were lost.
    sim.output.StudyFailed
        When no replication of an arm came to its end.
    sim.checks.CheckFailed
        With ``check``: when something happened that must not; what is finished is kept.
    sim.limits.OptionError
        When an option is wrong, or the executor is not to be had.
    KeyboardInterrupt
        When interrupted; finished replications are kept, and the same call goes on from there.
    """
    began = perf_counter()
    manifest = _manifest(scenario, arms, name, options)
    partial = output.begin(means.out, manifest)
    making = _Making(scenario, arms, manifest, partial, options, means)
    precision, jobs = options.precision, means.jobs
    with output.alone(partial), executor_of(means.executor, jobs) as pool:
        if precision is None:
            making.run(pool, manifest.replications)
        else:
            _run_until_precise(making, pool, precision)
        host = output.host_facts(perf_counter() - began, jobs, means.executor)
        directory = _assemble(making, precision, host)
    return results.open(directory)


class _Making:
    """A study that is being made: what is wanted, what is done, what failed."""

    def __init__(
        self,
        scenario: Scenario,
        arms: Sequence[Arm],
        manifest: output.Manifest,
        partial: Path,
        options: StudyOptions,
        means: Means,
    ) -> None:
        self.scenario, self.arms, self.manifest, self.partial = scenario, arms, manifest, partial
        self.failures: dict[tuple[str, int], Failure] = {}
        self._options = options
        self._report, self._tell, self._jobs = _harmless(means.on_progress), means.on_estimate, means.jobs

    def run(self, pool: Executor, replications: int) -> None:
        """Run what is missing of so many replications of each arm."""
        self.manifest = replace(self.manifest, replications=replications)
        arms = {arm.name: arm for arm in self.arms}
        missing = self._missing()
        total = len(self.manifest.runs)
        done = total - len(missing)
        self._report(done, total)
        partial = self.partial if pool.shares_disk else None
        tasks = [(self.scenario, arms[arm], number, self._options, partial) for arm, number in missing]
        answers = pool.run(_run_part, tasks)
        if missing:
            self._tell_estimate(len(missing))  # while other processes start
        for answer in answers:
            self._take(answer)
            done += 1
            self._report(done, total)

    def _tell_estimate(self, runs: int) -> None:
        """Estimate once what the study will need; a model that fails is told of by its replications."""
        tell, self._tell = self._tell, None
        if tell is None:
            return
        name, policy = self.arms[0]
        limits = self._options.limits
        with suppress(Exception):
            tell(estimate(self.scenario, name, policy, runs=runs, jobs=self._jobs, limits=limits))

    def _missing(self) -> list[tuple[str, int]]:
        notes = output.finished_parts(self.partial, keep_attempts=self._options.keep_attempts)
        finished = {run for run, note in notes.items() if note["checked"] or not self._options.check}
        finished |= self.failures.keys()
        return [run for run in self.manifest.runs if run not in finished]

    def values(self, measure: str) -> list[list[float]]:
        """Give a measure of each arm's replications, NaN for those that failed."""
        found = output.measured(self.partial, measure)
        numbers = range(self.manifest.replications)
        return [[found.get((arm.name, number), float("nan")) for number in numbers] for arm in self.arms]

    def _take(self, answer: _Answer) -> None:
        if answer.failure is not None:
            self.failures[answer.arm, answer.replication] = answer.failure
        elif answer.files is not None:
            output.unpack_part(self.partial, answer.arm, answer.replication, answer.files)


def _run_until_precise(making: _Making, pool: Executor, precision: Precision) -> None:
    """Add replications as long as more are needed; never one that could turn out to be needless."""
    wanted, _ = replications_needed([], precision)
    while True:
        making.run(pool, wanted)
        needed, _ = replications_needed(making.values(precision.measure), precision)
        if needed <= wanted:
            return
        wanted = needed


def _assemble(making: _Making, precision: Precision | None, host: Mapping[str, Any]) -> Path:
    failures = [making.failures[run] for run in making.manifest.runs if run in making.failures]
    _refuse_empty_arms(making, failures)
    notes = output.finished_parts(making.partial)
    finished = [run for run in making.manifest.runs if run in notes and run not in making.failures]
    seen = {arm.name: Counter[str]() for arm in making.arms}
    for arm, number in finished:
        seen[arm].update(notes[arm, number]["kinds"])
    told = [(dict(zip(("arm", "replication"), run, strict=True)), notes[run]) for run in finished]
    return output.assemble(
        making.partial,
        making.manifest,
        host=host,
        faults=[run | {"windows": note["faults"]} for run, note in told],
        expectations=_expectations(making.scenario, seen),
        failed=[failure.as_dict() for failure in failures],
        truncated=[run | note["truncated"] for run, note in told if note["truncated"]],
        precision=None if precision is None else _reached(making, precision),
    )


def _refuse_empty_arms(making: _Making, failures: Sequence[Failure]) -> None:
    failed = Counter(failure.arm for failure in failures)
    empty = [arm for arm, count in failed.items() if count == making.manifest.replications]
    if empty:
        raise StudyFailed(empty, [failure.as_dict() for failure in failures])


def _reached(making: _Making, precision: Precision) -> dict[str, Any]:
    values = making.values(precision.measure)
    _, enough = replications_needed(values, precision)
    shares = {arm.name: half_widths(row)[-1] for arm, row in zip(making.arms, values, strict=True)}
    return {
        **precision.as_dict(),
        "reached": enough,
        "half_width": {arm: None if share != share else float(share) for arm, share in shares.items()},
    }


def _manifest(scenario: Scenario, arms: Sequence[Arm], name: str, asked: StudyOptions) -> output.Manifest:
    options: dict[str, Any] = {}
    if asked.limits != NO_LIMITS:
        options["limits"] = asked.limits.as_dict()
    if asked.precision is not None:
        _check_precision(asked.precision)
        options["precision"] = asked.precision.as_dict()
    replication = asked.replication
    if replication is not None:
        options["replication"] = replication
        if asked.precision is not None or replication < 0:
            raise OptionError("a single replication has a number from 0 on, and no precision")
    horizon = scenario.horizon
    return output.Manifest(
        name=name,
        scenario=scenario.resolved(),
        arms={arm.name: arm.policy.canonical() for arm in arms},
        seeds=[scenario.seed],
        replications=scenario.replications if replication is None else 1,
        window_us=(horizon.warmup, horizon.arrivals_end_us),
        options=options,
        first=replication or 0,
        keep_attempts=asked.keep_attempts,
    )


def _check_precision(precision: Precision) -> None:
    measures = [*UNITS, *KIND_NAMES]
    if precision.measure not in measures:
        raise OptionError(f"{precision.measure!r} is no measure ({suggest(precision.measure, measures)})")
    if not 0 < precision.share < 1:
        raise OptionError(f"a precision is a share of the mean such as 5%, not {precision.share:g}")
    if precision.max_replications < FEWEST:
        raise OptionError(f"a precision needs at least {FEWEST} replications (--max-replications)")


def _run_part(
    scenario: Scenario, arm: Arm, replication: int, options: StudyOptions, partial: Path | None
) -> _Answer:
    """Run one replication and keep it: as a part of the study, or as files where that cannot be reached."""
    try:
        run = run_replication(
            scenario,
            arm.name,
            arm.policy,
            replication,
            keep_attempts=options.keep_attempts,
            limits=options.limits,
            check=options.check,
        )
        notes = {"checked": options.check} | _notes(run)
        if partial is None:
            return _Answer(arm.name, replication, output.packed_part(run, run.window_us, notes))
        output.write_part(partial, run, run.window_us, notes)
    except CheckFailed as error:
        raise error.of_run(arm.name, replication) from None
    except UserMistake:
        raise  # one which every replication would meet
    except Exception as error:  # whatever a model or a policy of one's own can raise
        return _Answer(arm.name, replication, failure=_failure(arm.name, replication, error))
    return _Answer(arm.name, replication)


def _notes(run: RunResult) -> dict[str, Any]:
    by_kind = run.attempts.group_by("kind").aggregate([("total", "sum")]).to_pylist()
    return {
        "faults": [window.as_dict() for window in run.faults],
        "kinds": {row["kind"]: row["total_sum"] for row in by_kind if row["kind"] is not None},
        "truncated": None if run.truncation is None else run.truncation.as_dict(),
    }


def _failure(arm: str, replication: int, error: Exception) -> Failure:
    """Describe an error by what is the same in every process: no addresses, no paths of a machine."""
    text = _ADDRESS.sub("", f"{type(error).__name__}: {error}".rstrip(": "))
    root = Path(__file__).parents[1]
    places = []
    for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES_TOLD:]:
        path = Path(frame.filename)
        shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        places.append(f"{shown}:{frame.lineno} in {frame.name}")
    return Failure(arm, replication, text, tuple(places))


def _expectations(scenario: Scenario, seen: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """Compare what the scenario expects with the contentions of each arm, over whole runs."""
    expected = [("sometimes", kind.value) for kind in scenario.expect.sometimes]
    expected += [("never", kind.value) for kind in scenario.expect.never]
    return [
        {
            "arm": arm,
            "expected": word,
            "kind": kind,
            "count": counts.get(kind, 0),
            "met": (counts.get(kind, 0) > 0) == (word == "sometimes"),
        }
        for arm, counts in seen.items()
        for word, kind in expected
    ]


def _harmless(on_progress: Progress | None) -> Progress:
    """Let nothing that an observer raises reach the study: once it has failed it is not asked again."""
    observers = [] if on_progress is None else [on_progress]

    def report(done: int, total: int) -> None:
        try:
            for observe in observers:
                observe(done, total)
        except Exception as error:  # whatever it is: the study does not depend on who watches it
            observers.clear()
            warnings.warn(f"progress is no longer reported: {error!r}", RuntimeWarning, stacklevel=2)

    return report
