"""What a notebook calls: a scenario in, a study out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.scenario import find, load
from sim.study import arm_of, arms_of, run_study

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from sim.results import Study
    from sim.scenario import Scenario
    from sim.study import Progress


def run(
    scenario: str | Path,
    *,
    policy: str | None = None,
    replications: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    jobs: int = 1,
    out: str | Path = "results",
    on_progress: Progress | None = None,
) -> Study:
    """Run a scenario and give its study.

    Parameters
    ----------
    scenario
        A YAML file, or the name of a scenario that ships with the package.
    policy
        Retry policy instead of the scenario's: one of its own, or a registered one.
    replications, seed
        Instead of the scenario's.
    overrides
        ``PATH=VALUE`` each, as ``--set`` takes them: ``["workers.count=128"]``.
    jobs
        Processes at a time; results do not depend on it.
    out
        Where results go: ``out/<scenario>/<study-id>``.
    on_progress
        Called with (replications done, replications in all).

    Returns
    -------
    Study
        As :func:`sim.open` gives it.

    Raises
    ------
    sim.scenario.ScenarioError, sim.retry.PolicyError
        When the scenario or the policy has a mistake.
    sim.output.ResultsError
        When results cannot be written.
    """
    loaded = _loaded(scenario, replications, seed, overrides)
    return run_study(
        loaded,
        [arm_of(loaded, policy)],
        name=find(scenario).stem,
        out=out,
        jobs=jobs,
        on_progress=on_progress,
    )


def compare(
    scenario: str | Path,
    *,
    policies: Sequence[str] | None = None,
    baseline: str | None = None,
    replications: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    jobs: int = 1,
    out: str | Path = "results",
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
    replications, seed
        Instead of the scenario's.
    overrides, jobs, out, on_progress
        As for :func:`run`.

    Returns
    -------
    Study
        With :meth:`~sim.results.Study.paired`, :meth:`~sim.results.Study.verdicts` and
        :meth:`~sim.results.Study.pareto` besides the tables of a run.

    Raises
    ------
    sim.scenario.ScenarioError, sim.retry.PolicyError
        When the scenario or a policy has a mistake.
    sim.output.ResultsError
        When results cannot be written.
    """
    loaded = _loaded(scenario, replications, seed, overrides)
    return run_study(
        loaded,
        arms_of(loaded, policies, baseline),
        name=find(scenario).stem,
        out=out,
        jobs=jobs,
        on_progress=on_progress,
    )


def _loaded(
    scenario: str | Path, replications: int | None, seed: int | None, overrides: Iterable[str]
) -> Scenario:
    changed = list(overrides)
    changed += [f"seed={seed}"] if seed is not None else []
    changed += [f"replications={replications}"] if replications is not None else []
    return load(scenario, changed)
