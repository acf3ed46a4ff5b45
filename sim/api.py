"""What a notebook calls: a scenario in, a study out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.scenario import find, load
from sim.study import arm_of, run_study

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sim.results import Study
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
    keep_attempts: bool = False,
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
    keep_attempts
        Keep every attempt as a row besides (:meth:`Study.attempts`); many millions fill a disk.
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
    changed = list(overrides)
    changed += [f"seed={seed}"] if seed is not None else []
    changed += [f"replications={replications}"] if replications is not None else []
    loaded = load(scenario, changed)
    return run_study(
        loaded,
        [arm_of(loaded, policy)],
        name=find(scenario).stem,
        out=out,
        jobs=jobs,
        keep_attempts=keep_attempts,
        on_progress=on_progress,
    )
