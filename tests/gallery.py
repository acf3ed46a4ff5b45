"""Every picture of ``sim.plot``, drawn from the tests' own scenarios: ``python -m tests.gallery``.

One run of the atlas, in which every kind of contention occurs, a comparison of three policies in a storm, and
a sweep of it. The pictures are kept in ``results/reference/gallery/``.
"""

import inspect
import sys
import tempfile
from pathlib import Path

from sim import plot
from sim.api import sweep
from sim.scenario import load
from sim.study import Means, arm_of, run_study

GALLERY = Path(__file__).parent.parent / "results" / "reference" / "gallery"
MOST_BYTES = 4_000_000
ARMS = ("documented", "constant", "none")
KIND = "lease_conflict"
COMPARED = (
    "frequency", "histogram", "recovery_curve", "recovery_curves", "timeline", "rivals", "heatmap", "sojourn",
)  # fmt: skip
"""What also says something of several arms."""
STORM_KIND = "claim_grant_expired"


MEASURE = "sojourn_mean"
GRID = {"workers.count": [8, 16, 32, 64], "schedulers.grant_ttl": ["5ms", "20ms", "80ms"]}
STORM = ["replications=4", "horizon.run=30s", "horizon.drain=10s"]


SEVERAL_ARMS = ("paired", "pareto")
"""What says nothing of one arm."""


def is_of_a_sweep(name):
    """Say whether a picture is drawn of a sweep, not of a study."""
    return name.startswith("sweep_")


def file_names():
    """Give the names of the files, in the order in which they are drawn."""
    return [f"{name}.png" for name in plot.__all__] + [f"compared-{name}.png" for name in COMPARED]


def draw(name, study, kind):
    """Draw one picture; give its figure."""
    function = getattr(plot, name)
    given = {"kind": kind, "measure": MEASURE, "measures": [MEASURE, "contentions"]}
    wanted = inspect.signature(function).parameters
    drawn = function(study, **{key: value for key, value in given.items() if key in wanted})
    return (drawn[0] if isinstance(drawn, list) else drawn).figure


def studies(out, jobs=2):
    """Run what is drawn."""
    atlas = load("atlas", ["replications=4"])
    storm = load("claim_storm", STORM)
    means = Means(out, jobs)
    return (
        run_study(atlas, [arm_of(atlas)], "atlas", means=means),
        run_study(storm, [arm_of(storm, arm) for arm in ARMS], "claim_storm", means=means),
        sweep("claim_storm", GRID, overrides=[*STORM, "replications=3"], jobs=jobs, out=out),
    )


def main(folder=GALLERY):
    """Draw all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as out:
        one, several, swept = studies(out)
        drawn_of = {name: swept if is_of_a_sweep(name) else one for name in plot.__all__}
        drawn_of |= dict.fromkeys(SEVERAL_ARMS, several)
        pictures = {f"{name}.png": (name, study, KIND) for name, study in drawn_of.items()}
        pictures |= {f"compared-{name}.png": (name, several, STORM_KIND) for name in COMPARED}
        for file, picture in pictures.items():
            draw(*picture).savefig(folder / file, metadata={"Software": None})
            print(folder / file)
    for stale in sorted(set(folder.glob("*.png")) - {folder / file for file in pictures}):
        stale.unlink()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
