"""Sweeps: one scenario at every combination of some of its values, times policies.

Every point is a study of its own (:mod:`sim.study`) with the same seed, so that all points and arms face the
same replications. A sweep lies in ``OUT/<scenario>/<sweep-id>/``; while it is made,
``<sweep-id>.partial/`` holds the studies that are finished and the parts of the one at work, and an
interrupted sweep goes on from there. A sweep that is finished is not run again: further questions are
answered from its folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sim import output, results
from sim.analysis.sweeps import point_table, run_values
from sim.output import POINTS, SWEEP_MANIFEST, ResultsError, StudyFailed
from sim.retry import PolicyError
from sim.scenario.grid import label
from sim.study import Arm, arm_of, run_study
from sim.sweep_results import open_sweep
from sim.units import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sim.results import Study
    from sim.scenario.grid import Axis, Point
    from sim.study import Means, Progress
    from sim.sweep_results import Sweep


def run_sweep(
    points: Sequence[Point],
    axes: Sequence[Axis],
    policies: Sequence[str],
    name: str,
    means: Means,
) -> Sweep:
    """Run every replication of every arm at every point.

    Parameters
    ----------
    points, axes
        From :func:`sim.scenario.grid.load_points`.
    policies
        The arms: policies of the scenario or registered ones; none for the scenario's own policy alone.
    name
        The scenario's name: the sweep goes to ``out/name/sweep-id``.
    means
        How it is carried out; progress is that of all points together.

    Returns
    -------
    Sweep
        Read back from disk.

    Raises
    ------
    sim.retry.PolicyError
        When there is no such policy.
    sim.output.ResultsError
        When results cannot be written.
    sim.output.StudyFailed
        When no replication of an arm came to its end at some point.
    KeyboardInterrupt
        When interrupted; what is finished is kept, and the same call goes on from there.
    """
    arms = _arms_of(points, policies)
    identity = _sweep_id(points, axes, arms)
    place = Path(means.out) / name / identity
    if (place / SWEEP_MANIFEST).is_file():
        return open_sweep(place)
    partial = output.begin_sweep(means.out, name, identity)
    studies = _run_points(points, arms, name, means._replace(out=partial / POINTS))
    tables = _tables(studies, [_shown(point) for point in points])
    document = _document(points, axes, arms, studies, partial) | {"name": name, "sweep_id": identity}
    return open_sweep(
        output.assemble_sweep(partial, document, tables, [study.directory for study in studies])
    )


def _run_points(
    points: Sequence[Point], arms: Sequence[Sequence[Arm]], name: str, means: Means
) -> list[Study]:
    """Run the study of each point that is not finished already, and tell how far all of them are."""
    sizes = [point.scenario.replications * len(own) for point, own in zip(points, arms, strict=True)]
    report = means.on_progress
    studies: list[Study] = []
    for number, (point, own) in enumerate(zip(points, arms, strict=True)):
        done = sum(sizes[:number])
        here = means if report is None else means._replace(on_progress=_shifted(report, done, sum(sizes)))
        try:
            study = _finished(Path(means.out) / name, point, own) or run_study(
                point.scenario, own, name, means=here
            )
        except StudyFailed as error:
            raise StudyFailed(error.arms, _placed(error.failures, point)) from error
        studies.append(study)
        if report is not None:
            report(done + sizes[number], sum(sizes))
    return studies


def _document(
    points: Sequence[Point],
    axes: Sequence[Axis],
    arms: Sequence[Sequence[Arm]],
    studies: Sequence[Study],
    partial: Path,
) -> dict[str, Any]:
    return {
        "about": points[0].scenario.about,
        "replications": points[0].scenario.replications,
        "grid": [{"path": axis.path, "values": [label(value) for value in axis.values]} for axis in axes],
        "arms": [arm.name for arm in arms[0]],
        "points": [
            {
                "parameters": _shown(point),
                "study": study.directory.relative_to(partial).as_posix(),
                "fingerprint": study.fingerprint,
                "failed": _placed(study.failed, point),
            }
            for point, study in zip(points, studies, strict=True)
        ],
    }


def _placed(failures: Sequence[Mapping[str, Any]], point: Point) -> list[dict[str, Any]]:
    """Say with each failure what was set at its point."""
    overrides = [f"{path}={value}" for path, value in _shown(point).items()]
    return [{**failure, "overrides": overrides} for failure in failures]


def _shown(point: Point) -> dict[str, str | int | float]:
    return {path: label(value) for path, value in point.parameters.items()}


def _arms_of(points: Sequence[Point], policies: Sequence[str]) -> list[list[Arm]]:
    """Give the arms of each point; a swept policy of the scenario's own is one arm, whatever its values."""
    twice = next((each for place, each in enumerate(policies) if each in policies[:place]), None)
    if twice is not None:
        raise PolicyError(f"--policies: {quoted(twice)} stands twice")
    if policies:
        return [[arm_of(point.scenario, policy) for policy in policies] for point in points]
    own = [arm_of(point.scenario) for point in points]
    if len({arm.name for arm in own}) == 1:
        return [[arm] for arm in own]
    return [[Arm("own", arm.policy)] for arm in own]


def _sweep_id(points: Sequence[Point], axes: Sequence[Axis], arms: Sequence[Sequence[Arm]]) -> str:
    """Give the identity of a sweep: the same grid, scenario, arms, seeds and version have the same place."""
    inputs = {
        "grid": [[axis.path, [label(value) for value in axis.values]] for axis in axes],
        "points": [point.scenario.resolved() for point in points],
    }
    policies = {arm.name: [own[i].policy.canonical() for own in arms] for i, arm in enumerate(arms[0])}
    return output.study_id(inputs, policies, [point.scenario.seed for point in points])


def _finished(folder: Path, point: Point, arms: Sequence[Arm]) -> Study | None:
    """Find the study of a point among those that an interrupted sweep has finished."""
    policies = {arm.name: arm.policy.canonical() for arm in arms}
    resolved = point.scenario.resolved()
    for path in sorted(folder.glob("*/study.json")):
        try:
            study = results.open(path.parent)
        except ResultsError:
            continue  # of another format: run again, and removed when the sweep is assembled
        if study.scenario == resolved and study.policies == policies:
            return study
    return None


def _shifted(report: Progress, done: int, total: int) -> Progress:
    return lambda of_point, _: report(done + of_point, total)


def _tables(studies: Sequence[Study], parameters: Sequence[Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """Make the tidy table and the table of runs, the points in their order."""
    tidy: list[pd.DataFrame] = []
    runs: list[pd.DataFrame] = []
    for number, (study, of_point) in enumerate(zip(studies, parameters, strict=True)):
        values = run_values(study.outcomes(), study.attempt_counts(), study.window_s)
        table = point_table(study.summary(), study.frequency(), study.recovery(intervals=True), values)
        for parts, each in ((tidy, table), (runs, values)):
            for place, (path, value) in enumerate(of_point.items()):
                each.insert(place, path, [value] * len(each))
            each.insert(0, "point", number)
            parts.append(each)
    return {"table": pd.concat(tidy, ignore_index=True), "runs": pd.concat(runs, ignore_index=True)}
