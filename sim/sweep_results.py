"""A sweep read back from disk: its table, its curves, and what they answer.

A sweep lives in ``OUT/<scenario>/<sweep-id>/``: ``sweep.json`` (grid, arms, points), ``table.csv`` (tidy: a
row for each point, arm and measure), ``runs.csv`` (a row a run), ``plots/`` and, under ``points/``, the study
of each point. Opening one imports no simulator.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from sim import results
from sim.analysis import sweeps
from sim.analysis.sweeps import records
from sim.output import SWEEP_MANIFEST, ResultsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sim.analysis.sweeps import Bound, BreakEven, TargetAnswer
    from sim.results import Study

HEADLINES: Final = ("goodput_per_s", "sojourn_p99", "amplification")
"""The measures that are shown when none are asked for."""


class Sweep(results.Results):
    """The results of one scenario over a grid of its values: points times arms times replications.

    Made by :func:`sim.sweep` and :func:`open`.
    """

    @property
    def about(self) -> str:
        """What the scenario says of itself."""
        return str(self.document["about"])

    @property
    def sweep_id(self) -> str:
        """Name of the sweep's folder, made from its inputs."""
        return str(self.document["sweep_id"])

    @property
    def arms(self) -> list[str]:
        """Names of the arms, in the order of every table."""
        return list(self.document["arms"])

    @property
    def grid(self) -> dict[str, list[Any]]:
        """The values of each parameter, by path, as tables show them."""
        return {axis["path"]: list(axis["values"]) for axis in self.document["grid"]}

    @property
    def points(self) -> pd.DataFrame:
        """The points: ``point`` (from 0 on) and the value of each parameter."""
        return pd.DataFrame(
            [{"point": i} | each["parameters"] for i, each in enumerate(self.document["points"])]
        )

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The replications that failed: ``arm, replication, error, at`` and ``overrides``, of the point."""
        return [failure for point in self.document["points"] for failure in point["failed"]]

    def study(self, point: int) -> Study:
        """Open the study of one point."""
        return results.open(self.directory / self.document["points"][point]["study"])

    def table(self) -> pd.DataFrame:
        """Give all measures in one tidy table.

        Returns
        -------
        pandas.DataFrame
            ``point``; a column for each parameter; ``arm, measure, unit, mean, ci_low, ci_high, n, interval``
            (:func:`sim.analysis.sweeps.point_table`).
        """
        return self._table.copy()

    def runs(self) -> pd.DataFrame:
        """Give the measures of each run: ``point``, the parameters, ``arm, replication`` and the measures."""
        return self._runs.copy()

    def curve(self, measure: str) -> pd.DataFrame:
        """Give one measure along the grid: the rows of :meth:`table` for it.

        Raises
        ------
        ResultsError
            When there is no such measure.
        """
        _known(measure, sweeps.MEASURES)
        return self._table.loc[self._table["measure"] == measure].reset_index(drop=True)

    def target(self, bound: str | Bound, along: str | None = None) -> list[TargetAnswer]:
        """Find the smallest value of one parameter that meets a bound (:func:`sim.analysis.sweeps.target`).

        Parameters
        ----------
        bound
            Such as ``sojourn_p99 < 2s``.
        along
            The parameter; by default the first of the grid whose values are numbers.

        Raises
        ------
        ResultsError
            When the bound makes no sense, or there is no such parameter.
        """
        asked = read_bound(bound) if isinstance(bound, str) else bound
        path = self.parameter(along)
        return sweeps.target(self.curve(asked.measure), asked, path, self.grid[path])

    def break_even(self, first: str, second: str, measure: str, along: str | None = None) -> list[BreakEven]:
        """Find from where on the second arm beats the first (:func:`sim.analysis.sweeps.break_even`).

        Parameters
        ----------
        first, second
            Two arms.
        measure
            What they are compared by; quantiles of recovery belong to no single run and cannot be paired.
        along
            The parameter; by default the first of the grid whose values are numbers.

        Raises
        ------
        ResultsError
            When there is no such arm, measure or parameter, or too little of it.
        """
        for arm in (first, second):
            if arm not in self.arms:
                raise ResultsError(
                    f"there is no arm {arm!r} in {self.directory} (legal: {', '.join(self.arms)})"
                )
        _known(measure, sweeps.RUN_MEASURES)
        path = self.parameter(along)
        columns = ["point", *self.grid, "arm", "replication", measure]
        try:
            return sweeps.break_even(self._runs[columns], first, second, measure, path, self.grid[path])
        except ValueError as error:
            raise ResultsError(str(error)) from error

    def influence(self, measure: str) -> pd.DataFrame:
        """Rank the parameters, and the policy, by how far they move a measure (:func:`influence`).

        Raises
        ------
        ResultsError
            When there is no such measure of a run.
        """
        _known(measure, sweeps.RUN_MEASURES)
        factors: dict[str, Sequence[Any]] = {
            path: sweeps.ordered(values) for path, values in self.grid.items()
        }
        if len(self.arms) > 1:
            factors[sweeps.POLICY] = self.arms
        return sweeps.influence(self._runs[[*self.grid, "arm", "replication", measure]], factors, measure)

    def break_evens(self, measures: Sequence[str]) -> list[BreakEven]:
        """Find where each further arm begins to beat the first, by each of the measures that runs have.

        Nothing where there is one arm, one replication, or no numeric parameter.
        """
        if len(self.arms) < 2 or self.replications < 2 or not self.numeric:
            return []
        found = []
        for measure in measures:
            if measure in sweeps.RUN_MEASURES:
                for arm in self.arms[1:]:
                    found += self.break_even(self.arms[0], arm, measure)
        return found

    def influences(self, measures: Sequence[str]) -> list[dict[str, Any]]:
        """Give :meth:`influence` of each of the measures that runs have, as JSON."""
        tables = [self.influence(measure) for measure in measures if measure in sweeps.RUN_MEASURES]
        return [row for table in tables for row in records(table)]

    @property
    def numeric(self) -> list[str]:
        """The parameters whose values are numbers of one unit, two at least."""
        return numeric_parameters(self.grid)

    def parameter(self, along: str | None = None) -> str:
        """Give the parameter along which one asks.

        Raises
        ------
        ResultsError
            When it is not in the grid, or its values are no numbers.
        """
        return parameter_of(self.grid, along)

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON document of ``sweep --json``, without answers; NaN becomes null."""
        return {
            "scenario": self.name,
            "sweep_id": self.sweep_id,
            "directory": str(self.directory),
            "replications": self.replications,
            "grid": self.grid,
            "arms": self.arms,
            "points": self.document["points"],
            "table": records(self._table),
        }

    def __repr__(self) -> str:
        grid = " x ".join(f"{path} ({len(values)})" for path, values in self.grid.items())
        runs = f"{', '.join(self.arms)}; {self.replications} replications"
        return f"<Sweep {self.name}/{self.sweep_id}: {grid}; {runs}>"

    @cached_property
    def _table(self) -> pd.DataFrame:
        return self._csv("table")

    @cached_property
    def _runs(self) -> pd.DataFrame:
        return self._csv("runs")

    def _csv(self, name: str) -> pd.DataFrame:
        """Read a table, and put the parameters in as ``sweep.json`` has them: CSV has no types."""
        with results.readable(self.directory):
            table = pd.read_csv(
                self.directory / f"{name}.csv",
                dtype=dict.fromkeys(("arm", *self.grid), str),
                keep_default_na=False,
                na_values=[""],
            )
        if "unit" in table:
            table["unit"] = table["unit"].fillna("")
        points = self.points
        for path in self.grid:
            table[path] = points[path].to_numpy()[table["point"].to_numpy()]
        return table


def open(directory: str | Path) -> Study | Sweep:  # noqa: A001 - reads as sim.open(...)
    """Open the results of a study or of a sweep.

    Parameters
    ----------
    directory
        Its folder, such as ``results/claim_storm/1f3a...``.

    Raises
    ------
    ResultsError
        When the folder is neither, cannot be read, or was written in another format.
    """
    place = Path(directory)
    if not (place / SWEEP_MANIFEST).is_file():
        return results.open(place)
    return open_sweep(place)


def open_sweep(place: Path) -> Sweep:
    """Open the results of a sweep, as :func:`open` does."""
    return Sweep(place, results.read_document(place / SWEEP_MANIFEST, "sweep"))


def numeric_parameters(grid: Mapping[str, Sequence[Any]]) -> list[str]:
    """Give the parameters of a grid whose values are numbers of one unit, two at least."""
    return [path for path, values in grid.items() if len(values) > 1 and sweeps.scale_of(values)]


def parameter_of(grid: Mapping[str, Sequence[Any]], along: str | None = None) -> str:
    """Give the parameter of a grid along which one asks, by default the first numeric one.

    Raises
    ------
    ResultsError
        When it is not in the grid, or its values are no numbers.
    """
    numeric = numeric_parameters(grid)
    if along is None and numeric:
        return numeric[0]
    if along in numeric:
        return str(along)
    what = "the grid has no parameter" if along is None else f"{along!r} is no parameter of the grid"
    legal = f" (legal: {', '.join(numeric)})" if numeric else ""
    raise ResultsError(f"{what} with two or more values that are numbers of one unit{legal}")


def read_bound(text: str) -> Bound:
    """Read a bound such as ``sojourn_p99 < 2s``.

    Raises
    ------
    ResultsError
        When it makes no sense; the message says what would be right.
    """
    try:
        return sweeps.parse_bound(text)
    except ValueError as error:
        raise ResultsError(f"--target {text!r}: {error}") from error


def read_measure(name: str) -> str:
    """Give the name of a measure back, if there is such a measure.

    Raises
    ------
    ResultsError
        When there is not; the message lists them.
    """
    _known(name, sweeps.MEASURES)
    return name


def _known(measure: str, measures: dict[str, str]) -> None:
    try:
        sweeps.check_measure(measure, measures)
    except ValueError as error:
        raise ResultsError(str(error)) from error
