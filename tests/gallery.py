"""Every picture of ``sim.plot``, drawn from the tests' own scenarios: ``python -m tests.gallery``.

One run of the atlas, in which every kind of contention occurs, and a comparison of three policies in a
storm. The pictures are kept in ``results/reference/gallery/``.
"""

import inspect
import sys
import tempfile
from pathlib import Path

from sim import plot
from sim.scenario import load
from sim.study import arm_of, run_study

GALLERY = Path(__file__).parent.parent / "results" / "reference" / "gallery"
MOST_BYTES = 4_000_000
ARMS = ("documented", "constant", "none")
KIND = "lease_conflict"
COMPARED = ("frequency", "histogram", "recovery_curve", "recovery_curves", "timeline", "rivals", "heatmap")
"""What also says something of several arms."""
STORM_KIND = "claim_grant_expired"


def file_names():
    """Give the names of the files, in the order in which they are drawn."""
    return [f"{name}.png" for name in plot.__all__] + [f"compared-{name}.png" for name in COMPARED]


def draw(name, study, kind):
    """Draw one picture; give its figure."""
    function = getattr(plot, name)
    needs_kind = "kind" in inspect.signature(function).parameters
    drawn = function(study, kind) if needs_kind else function(study)
    return (drawn[0] if isinstance(drawn, list) else drawn).figure


def studies(out, jobs=2):
    """Run what is drawn."""
    atlas = load("atlas", ["replications=4"])
    storm = load("claim_storm", ["replications=4", "horizon.run=30s", "horizon.drain=10s"])
    return (
        run_study(atlas, [arm_of(atlas)], name="atlas", out=out, jobs=jobs),
        run_study(storm, [arm_of(storm, arm) for arm in ARMS], name="claim_storm", out=out, jobs=jobs),
    )


def main(folder=GALLERY):
    """Draw all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as out:
        one, several = studies(out)
        pictures = {f"{name}.png": (name, one, KIND) for name in plot.__all__}
        pictures |= {f"compared-{name}.png": (name, several, STORM_KIND) for name in COMPARED}
        for file, picture in pictures.items():
            draw(*picture).savefig(folder / file, metadata={"Software": None})
            print(folder / file)
    for stale in sorted(set(folder.glob("*.png")) - {folder / file for file in pictures}):
        stale.unlink()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
