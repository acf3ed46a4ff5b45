"""The means of the mutation tests, and that what is recorded of them agrees with itself."""

import csv

import pytest

from tests.mutation import RESULTS, lines_changed, rows, sample

MUTANTS = [
    f"sim.store.{module}.x_f__mutmut_{n}" for module, count in (("a", 30), ("b", 70)) for n in range(count)
]


def test_a_sample_is_the_same_share_of_every_module_and_the_same_each_time():
    chosen = sample(MUTANTS, 10)
    assert [name.split(".")[2] for name in chosen] == ["a"] * 3 + ["b"] * 7
    assert chosen == sorted(set(chosen)) == sample(reversed(MUTANTS), 10)
    assert set(chosen) < set(sample(MUTANTS, 20)) < set(sample(MUTANTS, 100)) == set(MUTANTS)


def test_the_lines_that_a_mutant_changes():
    shown = (
        "# x: survived\n--- a.py\n+++ a.py\n@@ -1,3 +1,2 @@\n def f():\n-    a = 1\n-    b = 2\n+    a = 2\n"
    )
    assert lines_changed(shown) == ("a = 1 b = 2", "a = 2")


def test_a_row_a_module_and_one_of_all():
    """mutmut's codes: 1 a test failed, 0 none did, 33 none was run, 36 it never ended."""
    codes = {"m.a.1": 1, "m.a.2": 0, "m.a.3": None, "m.b.1": 33, "m.b.2": 36}
    made = rows(codes, ["m.a.1", "m.a.2", "m.b.1", "m.b.2"], ["m.a.2"])
    names = ("module", "mutants", "sample", "killed", "killed_again", "survived", "score")
    assert [tuple(row[name] for name in names) for row in made] == [
        ("m.a", 3, 2, 1, 0, 1, 0.5),
        ("m.b", 2, 2, 1, 1, 0, 1.0),
        ("all", 5, 4, 2, 1, 1, 0.75),
    ]
    # Clopper and Pearson, for 3 of 4.
    assert (made[-1]["score_low"], made[-1]["score_high"]) == (0.1941, 0.9937)


def _table(name):
    with (RESULTS / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_recorded_tables_agree():
    *modules, everything = _table("mutation.csv")
    counts = ("mutants", "sample", "killed", "killed_again", "survived")
    assert {name: sum(int(row[name]) for row in modules) for name in counts} == {
        name: int(everything[name]) for name in counts
    }
    survivors = _table("mutation_survivors.csv")
    for row in modules:
        assert int(row["sample"]) == sum(int(row[name]) for name in counts[2:])
        assert int(row["survived"]) == sum(each["module"] == row["module"] for each in survivors)
    told = (RESULTS / "mutation.md").read_text(encoding="utf-8")
    assert [each["mutant"] for each in survivors if f"| `{each['group']}` |" not in told] == []
    assert float(everything["score"]) == pytest.approx(
        1 - len(survivors) / int(everything["sample"]), abs=5e-5
    )
