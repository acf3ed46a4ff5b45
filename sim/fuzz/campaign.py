"""A campaign: scenario after scenario, and what it found."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.fuzz.again import others
from sim.fuzz.draw import draw
from sim.fuzz.shrink import MOST_TRIES, shrink
from sim.fuzz.trial import Failure, as_yaml, try_text
from sim.output import explained

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.fuzz.again import Others

AGAIN_EVERY: Final = 20
"""One scenario in so many is run again in other processes: 5 %."""

NOT_DETERMINISTIC: Final = "not deterministic"


class Finding(NamedTuple):
    """A scenario that failed.

    Attributes
    ----------
    number : int
        Which scenario of the campaign.
    failure : Failure
        How it failed, after it was made smaller.
    path : Path
        Where it is kept.
    """

    number: int
    failure: Failure
    path: Path

    @property
    def command(self) -> str:
        """The command that replays it."""
        return f"contention-sim run {self.path} --check"


class Report(NamedTuple):
    """What a campaign did and found."""

    runs: int
    repeated: int
    findings: list[Finding]

    @property
    def is_deterministic(self) -> bool:
        """Whether every run that was repeated came out the same."""
        return all(finding.failure.sort != NOT_DETERMINISTIC for finding in self.findings)


def fuzz(
    runs: int,
    seed: int,
    out: str | Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Run a campaign.

    Parameters
    ----------
    runs
        How many scenarios.
    seed
        Decides all of them.
    out
        Where failing scenarios are kept, and the one that is under way, should it never come back.
    on_progress
        Called with (scenarios done, scenarios in all).

    Raises
    ------
    sim.output.ResultsError
        When nothing can be written there.
    """
    out = Path(out)
    findings: list[Finding] = []
    repeated = 0
    with explained(out), others() as processes:
        out.mkdir(parents=True, exist_ok=True)
        under_way = out / f"seed-{seed}-under-way.yaml"
        for number in range(runs):
            document = draw(seed, number)
            text = as_yaml(document)
            under_way.write_text(text, encoding="utf-8")
            again = processes is not None and number % AGAIN_EVERY == 0
            repeated += again
            failure = _failure_of(text, processes if again else None)
            if failure is not None:
                findings.append(_keep(out, seed, number, document, failure))
            if on_progress is not None:
                on_progress(number + 1, runs)
        under_way.unlink(missing_ok=True)
    return Report(runs, repeated, findings)


def _failure_of(text: str, processes: Others | None) -> Failure | None:
    """Run a scenario; say how it failed, if it did."""
    trial = try_text(text)
    if trial.failure is not None or processes is None:
        return trial.failure
    found = processes.fingerprints(text)
    if any(fingerprint != trial.fingerprint for fingerprint in found):
        told = ", ".join(str(each)[:16] for each in (trial.fingerprint, *found))
        return Failure(NOT_DETERMINISTIC, f"three processes gave the fingerprints {told}")
    return None


def _keep(out: Path, seed: int, number: int, document: dict[str, Any], failure: Failure) -> Finding:
    """Make a failing scenario smaller, and keep it."""
    if failure.sort != NOT_DETERMINISTIC:
        document = shrink(document, partial(_fails_so, failure.sort), MOST_TRIES)
        failure = try_text(as_yaml(document)).failure or failure
    path = out / f"seed-{seed}-number-{number}.yaml"
    story = "".join(f"# {line}\n" for line in failure.message.splitlines())
    path.write_text(f"# {failure.sort}\n{story}{as_yaml(document)}", encoding="utf-8")
    return Finding(number, failure, path)


def _fails_so(sort: str, document: dict[str, Any]) -> bool:
    failure = try_text(as_yaml(document)).failure
    return failure is not None and failure.sort == sort
