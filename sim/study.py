"""Studies: arms times replications, run on this machine, kept on disk.

Each replication is run and written by one process as a part of the study's folder, whole or not at all; at
the end the parts are assembled in the order of (arm, replication). Results therefore do not depend on the
number of jobs or on who finished first, memory holds one replication at a time, and a study that was
interrupted goes on from the parts that are there.
"""

from __future__ import annotations

import warnings
from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import joblib

from sim import output, results
from sim.checks import CheckFailed
from sim.retry import PolicyError, parse_policy, policies
from sim.run import run as run_replication

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sim.results import Study
    from sim.retry import PolicySpec
    from sim.scenario import Scenario

    Progress = Callable[[int, int], None]


class Arm(NamedTuple):
    """One arm of a study: the retry policy that stands under a name."""

    name: str
    policy: PolicySpec


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
    *,
    name: str,
    out: str | Path = "results",
    jobs: int = 1,
    keep_attempts: bool = False,
    check: bool = False,
    on_progress: Progress | None = None,
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
    out
        Where results go.
    jobs
        How many processes at a time. The results do not depend on it.
    keep_attempts
        Keep every attempt as a row besides (``attempts.parquet``).
    check
        Watch the invariants of :mod:`sim.checks`, also of replications that an earlier call finished without.
    on_progress
        Called with (replications done, replications in all), also for those that an earlier call finished.
        What it raises does not end the study.

    Returns
    -------
    Study
        Read back from disk.

    Raises
    ------
    sim.output.ResultsError
        When results cannot be written.
    sim.checks.CheckFailed
        With ``check``: when something happened that must not; what is finished is kept.
    KeyboardInterrupt
        When interrupted; finished replications are kept, and the same call goes on from there.
    """
    began = perf_counter()
    manifest = _manifest(scenario, arms, name, keep_attempts)
    partial = output.begin(out, manifest)
    finished = output.finished_parts(partial, keep_attempts=keep_attempts)
    wanted = [(arm, number) for arm in arms for number in range(scenario.replications)]
    missing = [
        (arm, number)
        for arm, number in wanted
        if (arm.name, number) not in finished or (check and not finished[arm.name, number]["checked"])
    ]
    done = len(wanted) - len(missing)
    report = _harmless(on_progress)
    report(done, len(wanted))
    tasks = (
        joblib.delayed(_run_part)(scenario, arm, number, partial, keep_attempts, check)
        for arm, number in missing
    )
    parallel = joblib.Parallel(n_jobs=max(1, min(jobs, len(missing))), return_as="generator_unordered")
    for _ in parallel(tasks):
        done += 1
        report(done, len(wanted))
    notes = output.finished_parts(partial)
    faults = [
        {"arm": arm.name, "replication": number, "windows": notes[arm.name, number]["faults"]}
        for arm, number in wanted
    ]
    seen = {arm.name: Counter[str]() for arm in arms}
    for (arm_name, _), note in notes.items():
        seen[arm_name].update(note["kinds"])
    directory = output.assemble(
        partial,
        manifest,
        host=output.host_facts(perf_counter() - began, jobs),
        faults=faults,
        expectations=_expectations(scenario, seen),
    )
    return results.open(directory)


def _manifest(scenario: Scenario, arms: Sequence[Arm], name: str, keep_attempts: bool) -> output.Manifest:
    horizon = scenario.horizon
    return output.Manifest(
        name=name,
        scenario=scenario.resolved(),
        arms={arm.name: arm.policy.canonical() for arm in arms},
        seeds=[scenario.seed],
        replications=scenario.replications,
        window_us=(horizon.warmup, horizon.arrivals_end_us),
        keep_attempts=keep_attempts,
    )


def _run_part(
    scenario: Scenario, arm: Arm, replication: int, partial: Path, keep_attempts: bool, check: bool
) -> None:
    try:
        run = run_replication(
            scenario, arm.name, arm.policy, replication, keep_attempts=keep_attempts, check=check
        )
    except CheckFailed as error:
        raise error.of_run(arm.name, replication) from None
    by_kind = run.attempts.group_by("kind").aggregate([("total", "sum")]).to_pylist()
    notes = {
        "checked": check,
        "faults": [window.as_dict() for window in run.faults],
        "kinds": {row["kind"]: row["total_sum"] for row in by_kind if row["kind"] is not None},
    }
    output.write_part(partial, run, run.window_us, notes)


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
