"""Commands that tell what happened in a study that was run."""

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import user_mistakes

StudyArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study.")]


def report(directory: StudyArgument) -> None:
    """Write report.html, one page of a study that needs no other file, and draw its pictures anew.

    \b
    Examples:
      contention-sim report results/claim_storm/STUDY-ID
    """
    with user_mistakes():
        from sim import results
        from sim.report import write_report

        print(f"report: {write_report(results.open(directory))}")


def explain(
    directory: StudyArgument,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only this kind; by default every kind that was met.")
    ] = None,
    arm: Annotated[str | None, typer.Option(help="Of which arm; by default the first.")] = None,
    execution: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="The life of one execution instead.")
    ] = None,
    replication: Annotated[int, typer.Option(min=0, help="Of which replication, with --execution.")] = 0,
    full: Annotated[bool, typer.Option("--full", help="Every event of a long story.")] = False,
) -> None:
    """Tell the story of a median, a p99 and an abandoned episode of a kind, from the records.

    Every attempt of the intent, the rival's operation in between, and what the policy answered and how long
    it waited, with times from the first refusal on.

    \b
    Examples:
      contention-sim explain results/claim_storm/STUDY-ID
      contention-sim explain results/claim_storm/STUDY-ID --kind claim_grant_expired
      contention-sim explain results/claim_storm/STUDY-ID --execution 17 --replication 0
    """
    with user_mistakes():
        from sim import results
        from sim.analysis import stories
        from sim.output import ResultsError

        study = results.open(directory)
        chosen = study.arms[0] if arm is None else arm
        if chosen not in study.arms:
            raise ResultsError(f"there is no arm {chosen!r}; the arms are {', '.join(study.arms)}")
        try:
            if execution is not None:
                print("\n".join(stories.explain_execution(study, execution, chosen, replication, full=full)))
                return
            for each in stories.kinds_to_explain(study, kind):
                print("\n".join([*stories.explain_kind(study, each, chosen, full=full), ""]))
        except ValueError as error:
            raise ResultsError(str(error)) from None
