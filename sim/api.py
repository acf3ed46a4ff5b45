"""What a notebook calls: a scenario in, a study out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sim.analysis.precision import Precision
from sim.limits import Limits, OptionError, parse_bytes, parse_share
from sim.scenario import find, load
from sim.scenario.grid import load_points, make_axis, parse_axis
from sim.study import Means, StudyOptions, arm_of, arms_of, run_study
from sim.sweeps import run_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from typing import Any

    from sim.estimate import Estimate
    from sim.results import Study
    from sim.study import Progress
    from sim.sweep_results import Sweep

DEFAULT: Final = Precision(share=0.05)


def run(
    scenario: str | Path,
    *,
    policy: str | None = None,
    replications: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    replication: int | None = None,
    precision: str | float | None = None,
    measure: str = DEFAULT.measure,
    max_replications: int = DEFAULT.max_replications,
    max_attempts: int | None = None,
    max_memory: str | int | None = None,
    jobs: int = 1,
    executor: str = "joblib",
    out: str | Path = "results",
    on_estimate: Callable[[Estimate], None] | None = None,
    keep_attempts: bool = False,
    check: bool = False,
    on_progress: Progress | None = None,
) -> Study:
    """Run a scenario and give its study, as :func:`sim.open` does.

    Parameters
    ----------
    scenario
        A YAML file, or the name of a scenario that ships with the package.
    policy
        Retry policy instead of the scenario's: one of its own, or a registered one.
    replications, seed, overrides
        Instead of the scenario's; overrides are as ``--set`` takes them: ``["workers.count=128"]``.
    replication
        Run this one alone, from 0, as it is in the whole study.
    precision, measure, max_replications
        Instead of a number of replications, how well a measure is to be known: replications are added until
        the half-width of its 95 % interval is within ``precision`` of its mean ("5%" or 0.05), at most so
        many (:mod:`sim.analysis.precision`). The measure is one of :data:`sim.analysis.outcomes.UNITS` or a
        kind of contention, whose rate counts.
    max_attempts, max_memory
        What each run may use, such as 10_000_000 and "2GB"; the study tells which ended early.
    jobs, executor
        How many processes at a time, and whose: ``joblib`` (of this machine), ``dask`` or ``dask=ADDRESS``
        (of a cluster). Results do not depend on it.
    out
        Where results go: ``out/<scenario>/<study-id>``.
    on_estimate, on_progress
        Called with what the study will need (:class:`sim.estimate.Estimate`), before it and after a short
        pilot; called with (replications done, replications in all).
    keep_attempts
        Keep every attempt as a row besides (:meth:`Study.attempts`); many millions fill a disk.
    check
        Watch the invariants while it runs, and what must hold at the end (``contention-sim list checks``).

    Raises
    ------
    sim.scenario.ScenarioError, sim.retry.PolicyError, sim.limits.OptionError
        When the scenario, the policy or another option has a mistake.
    sim.output.ResultsError, sim.output.StudyFailed
        When results cannot be written; when no replication came to its end.
    sim.checks.CheckFailed
        With ``check``: when something happened that must not.
    """
    _check_replications(replications, precision, replication)
    loaded = load(scenario, _changes(overrides, seed, replications))
    arms = [arm_of(loaded, policy)]
    wanted = precision_of(precision, measure, max_replications)
    options = StudyOptions(wanted, limits_of(max_attempts, max_memory), replication, keep_attempts, check)
    means = Means(out, jobs, executor, on_progress, on_estimate)
    return run_study(loaded, arms, find(scenario).stem, options, means)


def compare(
    scenario: str | Path,
    *,
    policies: Sequence[str] | None = None,
    baseline: str | None = None,
    replications: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    precision: str | float | None = None,
    measure: str = DEFAULT.measure,
    max_replications: int = DEFAULT.max_replications,
    max_attempts: int | None = None,
    max_memory: str | int | None = None,
    jobs: int = 1,
    executor: str = "joblib",
    out: str | Path = "results",
    keep_attempts: bool = False,
    on_estimate: Callable[[Estimate], None] | None = None,
    on_progress: Progress | None = None,
) -> Study:
    """Run a scenario under several policies that face the same workload, and compare them.

    Parameters
    ----------
    scenario
        A YAML file, or the name of a scenario that ships with the package.
    policies
        The arms: each one of the scenario's ``policies``, a registered name or alias, or ``module:Class``. By
        default all of the scenario's, else :data:`sim.study.COMPARED`.
    baseline
        What the others are compared with; by default the first.
    precision, measure, max_replications
        As for :func:`run`; every arm is as precise, and all have the same number of replications.
    replications, seed, overrides, max_attempts, max_memory, jobs, executor, out, keep_attempts
        As for :func:`run`, and so are ``on_estimate`` and ``on_progress``.

    Returns
    -------
    Study
        With :meth:`~sim.results.Study.paired`, :meth:`~sim.results.Study.verdicts` and
        :meth:`~sim.results.Study.pareto` besides the tables of a run.

    Raises
    ------
    sim.scenario.ScenarioError, sim.retry.PolicyError, sim.limits.OptionError
        When the scenario, a policy or another option has a mistake.
    sim.output.ResultsError, sim.output.StudyFailed
        When results cannot be written; when no replication of an arm came to its end.
    """
    _check_replications(replications, precision)
    loaded = load(scenario, _changes(overrides, seed, replications))
    arms = arms_of(loaded, policies, baseline)
    wanted = precision_of(precision, measure, max_replications)
    options = StudyOptions(wanted, limits_of(max_attempts, max_memory), keep_attempts=keep_attempts)
    means = Means(out, jobs, executor, on_progress, on_estimate)
    return run_study(loaded, arms, find(scenario).stem, options, means)


def _check_replications(
    replications: int | None, precision: str | float | None, replication: int | None = None
) -> None:
    if replications is not None and (precision is not None or replication is not None):
        other = "a precision finds their number" if precision is not None else "a single one is run"
        raise OptionError(f"a number of replications cannot be given as well: {other}")


def precision_of(share: str | float | None, measure: str, max_replications: int) -> Precision | None:
    """Make a precision of what a user gives; None where none is asked for."""
    if share is None:
        return None
    return Precision(parse_share(str(share)), measure, max_replications)


def limits_of(max_attempts: int | None, max_memory: str | int | None) -> Limits:
    """Make the limits of a run of what a user gives; a number is one of bytes."""
    if max_attempts is not None and max_attempts < 1:
        raise OptionError(f"a run makes at least 1 attempt, not {max_attempts} (max_attempts)")
    memory = parse_bytes(max_memory) if isinstance(max_memory, str) else max_memory
    return Limits(max_attempts, memory)


def sweep(
    scenario: str | Path,
    grid: Mapping[str, Sequence[Any] | str] | Sequence[str],
    *,
    policies: Sequence[str] = (),
    replications: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    jobs: int = 1,
    executor: str = "joblib",
    out: str | Path = "results",
    on_progress: Progress | None = None,
) -> Sweep:
    """Run a scenario at every combination of some of its values, under each policy.

    All points have the same seed: a replication is the same workload everywhere.

    Parameters
    ----------
    scenario
        A YAML file, or the name of a scenario that ships with the package.
    grid
        Values by path: ``{"workers.count": [8, 16, 32], "workers.lease_ttl": "1s..16s*2"}``; text is read as
        ``--grid`` reads it (:mod:`sim.scenario.grid`). Or the texts of ``--grid`` themselves.
    policies
        The arms: policies of the scenario or registered ones; none for the scenario's own policy alone.
    replications, seed, overrides
        Instead of the scenario's, as for :func:`run`; overrides come before the grid.
    jobs, executor, on_progress
        As for :func:`run`.
    out
        Where results go: ``out/<scenario>/<sweep-id>``. A sweep that is there already is not run again.

    Returns
    -------
    Sweep
        As :func:`sim.open` gives it.

    Raises
    ------
    sim.scenario.ScenarioError, sim.retry.PolicyError
        When the scenario, the grid or a policy has a mistake.
    sim.output.ResultsError
        When results cannot be written.
    """
    axes = (
        [
            parse_axis(f"{path}={values}") if isinstance(values, str) else make_axis(path, values)
            for path, values in grid.items()
        ]
        if isinstance(grid, Mapping)
        else [parse_axis(text) for text in grid]
    )
    points = load_points(scenario, axes, _changes(overrides, seed, replications))
    means = Means(out, jobs, executor, on_progress)
    return run_sweep(points, axes, policies, find(scenario).stem, means)


def _changes(overrides: Iterable[str], seed: int | None, replications: int | None) -> list[str]:
    changed = list(overrides)
    changed += [f"seed={seed}"] if seed is not None else []
    changed += [f"replications={replications}"] if replications is not None else []
    return changed
