"""The command that turns measured times into distributions of a scenario."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sim.cli.options import JsonOption, user_mistakes


def fit(
    log: Annotated[
        Path, typer.Argument(metavar="LOG.csv", help="Measured times, with the columns op and ms.")
    ],
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="OP=WORD",
            help="What an operation stands for: link (one way, both directions), request, reply, service, "
            "statement, work, work.CLASS or skip. Operations of the store (claim_execution) are service, and "
            "these words stand for themselves. May be repeated.",
        ),
    ] = None,
    criterion: Annotated[
        Literal["aic", "bic"], typer.Option(help="What the families are compared by.")
    ] = "aic",
    empirical: Annotated[
        bool, typer.Option("--empirical", help="Write the measured times themselves, not a fitted family.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the YAML there and not to standard output.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the picture goes; by default results/fit/LOG.png."),
    ] = None,
    plots: Annotated[bool, typer.Option(help="Draw the picture.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Fit distributions to measured times of operations, as YAML that can be loaded and pasted.

    Exponential, lognormal, gamma, weibull and pareto are fitted by maximum likelihood, for link, store and
    work apart; the best by the criterion is written. The Kolmogorov-Smirnov test beside it counts with the
    parameters being fitted (parametric bootstrap). The picture shows shares and quantiles.

    \b
    Examples:
      contention-sim fit timings.csv
      contention-sim fit timings.csv --map ping=link --map thumbnail=work.image --map backup=skip
      contention-sim fit timings.csv --empirical --out measured.yaml
    """
    with user_mistakes():
        from sim.analysis import fitting
        from sim.output import write_text
        from sim.rng import Streams

        samples = fitting.read_log(log, fitting.parse_mapping(mapping or ()))
        streams = Streams(0, 0)
        fits = [
            fitting.fit_sample(sample, streams.of(f"analysis/fit/{sample.name}"), criterion)
            for sample in samples
        ]
        text = fitting.as_yaml(fits, log.name, criterion, measured=empirical)
        if out is not None:
            write_text(out, text)
        picture = _draw(fits, log, plot) if plots else None
        if as_json:
            print(json.dumps({"file": str(log), "parts": [each.as_dict() for each in fits]}, indent=2))
        elif out is None:
            print(text, end="")
        else:
            print("\n".join(fitting.summary(fits, criterion)))
            print(f"scenario: {out}")
        if picture is not None and not as_json:
            print(f"picture: {picture}", file=sys.stdout if out else sys.stderr)


def _draw(fits: Any, log: Path, plot: Path | None) -> Path:
    from sim.analysis.plots.fitting import save_fit_plot

    return save_fit_plot(fits, log.name, plot or Path("results") / "fit" / f"{log.stem}.png")
