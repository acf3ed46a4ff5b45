"""Theory and simulation agree: in the whole table, as it stands in the results, and in a short case each."""

import csv

import pytest
from scipy.stats import t

from tests.theory.cases import CASES, FIRST_SEED, REPLICATIONS, SMOKE, seed_of
from tests.theory.estimate import FAMILY_LEVEL, estimate, simulate
from tests.theory.table import COLUMNS, FILE, estimates, rms, text


@pytest.fixture(scope="module")
def lines():
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_holds_every_case_with_the_seed_that_was_fixed(lines):
    assert tuple(lines[0]) == COLUMNS
    told = [(line["family"], line["case"], line["expected"], int(line["seed"])) for line in lines]
    assert told == [
        (case.family, case.name, f"{case.expected:.6g}", FIRST_SEED + number)
        for number, case in enumerate(CASES)
    ]
    assert {int(line["replications"]) for line in lines} == {REPLICATIONS}


def test_every_case_of_the_table_is_within_its_interval(lines):
    """All intervals hold together with 99 %: Student's t with Bonferroni's correction."""
    outside = [
        line["case"]
        for line in lines
        if not float(line["low"]) <= float(line["expected"]) <= float(line["high"])
    ]
    assert outside == []
    widest = t.ppf(1 - (1 - FAMILY_LEVEL) / len(lines) / 2, REPLICATIONS - 1)
    assert max(abs(float(line["z"])) for line in lines) <= widest


def test_deviations_are_as_large_as_chance_makes_them(lines):
    """No hidden bias, no interval that is too wide: t with 19 degrees has a root mean square of 1.06."""
    assert 0.8 <= rms([float(line["z"]) for line in lines]) <= 1.25


@pytest.mark.slow
def test_the_whole_table_comes_out_again():
    """The same bytes; after a change that is meant to change runs: ``python -m tests.theory.table``."""
    assert text(estimates(jobs=2)) == FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", SMOKE, ids=lambda case: case.family)
def test_a_short_case_agrees_with_theory(case):
    (pairs,) = simulate([(case, seed_of(case))], REPLICATIONS, jobs=1)
    found = estimate(case, pairs, len(SMOKE))
    assert found.low <= case.expected <= found.high
