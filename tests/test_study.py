"""Studies: the same whatever ran them and in which order, whole even when a replication fails."""

import pkgutil

import numpy as np
import pytest

import sim
from sim import limits, record
from sim import study as studies
from sim.analysis.precision import Precision, half_widths
from sim.limits import Limits, OptionError
from sim.output import StudyFailed
from sim.replication import run as run_replication
from sim.retry import PolicyError
from sim.scenario import load
from sim.study import Means, StudyOptions, arm_of, run_study
from tests.small import FRAGILE, SMALL, files

SCENARIO = load("claim_storm", [*SMALL, "replications=3"])
ARMS = [arm_of(SCENARIO, name) for name in ("documented", "naive")]


class Shuffled:
    """Carries out the tasks of a study here, in an order of its own."""

    shares_disk = True

    def __init__(self, order):
        self.order = order
        self.calls = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def run(self, function, tasks):
        self.calls.append(len(tasks))
        for place in self.order.permutation(len(tasks)):
            yield function(*tasks[place])


@pytest.fixture
def shuffled(monkeypatch):
    made = Shuffled(np.random.default_rng(5))
    monkeypatch.setattr(studies, "executor_of", lambda *_: made)
    return made


def study_of(tmp_path, arms=ARMS, jobs=1, **options):
    return run_study(SCENARIO, arms, "storm", StudyOptions(**options), Means(tmp_path, jobs))


def test_the_order_of_the_replications_leaves_no_trace(tmp_path, monkeypatch):
    """Two arms of three replications in two shuffled orders are, byte for byte, those in plain order."""
    plain = files(study_of(tmp_path / "plain").directory)
    for seed in (1, 2):
        monkeypatch.setattr(studies, "executor_of", lambda *_, s=seed: Shuffled(np.random.default_rng(s)))
        assert files(study_of(tmp_path / str(seed)).directory) == plain


def test_parts_that_are_sent_back_are_those_that_are_written_in_place(tmp_path, shuffled):
    """As workers of a cluster send them, which see another disk."""
    in_place = files(study_of(tmp_path / "here").directory)
    shuffled.shares_disk = False
    assert files(study_of(tmp_path / "there").directory) == in_place


def test_what_is_finished_needs_no_estimate(tmp_path, monkeypatch):
    """The study could not be put together; the second call runs nothing, and so has nothing to foretell."""
    told = []
    monkeypatch.setattr(studies.output, "assemble", lambda *_, **__: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run_study(SCENARIO, ARMS, "storm", means=Means(tmp_path, on_estimate=told.append))
    assert [estimate.runs for estimate in told] == [6]


def test_a_single_replication_is_what_it_is_in_the_whole_study(tmp_path):
    whole = study_of(tmp_path, ARMS[:1])
    alone = study_of(tmp_path, ARMS[:1], replication=2)
    assert alone.directory != whole.directory
    (run,) = alone.document["runs"]
    assert run == whole.document["runs"][2]
    row = whole.outcomes().loc[whole.outcomes()["replication"] == 2]
    assert alone.outcomes().equals(row.reset_index(drop=True))


# --- replications that fail -----------------------------------------------------------------------


def fails_in(monkeypatch, *runs):
    def run(scenario, arm, policy, replication, **options):
        if (arm, replication) in runs:
            raise KeyError(f"no such lease in {arm}")
        return run_replication(scenario, arm, policy, replication, **options)

    monkeypatch.setattr(studies, "run_replication", run)


def test_a_replication_that_fails_takes_nothing_else_down(tmp_path, monkeypatch):
    """The others are what they are when none fails; the study names the one that is missing."""
    whole = study_of(tmp_path / "whole")
    fails_in(monkeypatch, ("naive", 1))
    study = study_of(tmp_path / "failed")
    (failure,) = study.failed
    assert (failure["arm"], failure["replication"]) == ("naive", 1)
    assert failure["error"] == "KeyError: 'no such lease in naive'"
    assert failure["at"][-1].startswith("tests/test_study.py:")
    assert failure["at"][-1].endswith("in run")
    missing = (whole.outcomes()["arm"] == "naive") & (whole.outcomes()["replication"] == 1)
    assert study.outcomes().equals(whole.outcomes()[~missing].reset_index(drop=True))
    assert study.document["runs"] == [
        run for run in whole.document["runs"] if (run["arm"], run["replication"]) != ("naive", 1)
    ]


def test_rates_are_over_the_replications_that_finished(tmp_path, monkeypatch):
    fails_in(monkeypatch, ("documented", 0))
    study = study_of(tmp_path, ARMS[:1])
    table = study.frequency().set_index("kind")
    row = table.loc["no_eligible_execution"]
    assert row["count"] > 30
    assert row["mean"] == pytest.approx(row["count"] / (2 * study.window_s))


def test_a_failing_study_is_the_same_whatever_ran_it(tmp_path):
    """An error's text holds neither an address in memory nor a path of the machine."""
    scenario = load("claim_storm", [*SMALL, FRAGILE, "replications=5"])
    arms = [arm_of(scenario)]
    here = run_study(scenario, arms, "storm", means=Means(tmp_path / "a"))
    there = run_study(scenario, arms, "storm", means=Means(tmp_path / "b", jobs=2))
    assert [failure["replication"] for failure in here.failed] == [2, 4]
    assert {failure["error"] for failure in here.failed} == {
        "ZeroDivisionError: by a fragile policy <object object>"
    }
    assert files(here.directory) == files(there.directory)


def test_a_mistake_of_the_users_is_no_failure_of_a_replication(tmp_path, monkeypatch):
    """Every replication would meet it: it ends the study with its own message."""

    def run(*_, **__):
        raise PolicyError("own.py: there is no class Patient")

    monkeypatch.setattr(studies, "run_replication", run)
    with pytest.raises(PolicyError, match=r"^own\.py: there is no class Patient$"):
        study_of(tmp_path)


@pytest.mark.parametrize(
    "options", [{"replication": -1}, {"replication": 0, "precision": Precision(0.05)}], ids=["below 0", "two"]
)
def test_a_single_replication_has_a_number_and_no_precision(tmp_path, options):
    with pytest.raises(OptionError, match=r"^a single replication has a number from 0 on, and no precision$"):
        study_of(tmp_path, **options)


def test_an_arm_without_any_replication_makes_no_study(tmp_path, monkeypatch):
    fails_in(monkeypatch, *(("naive", number) for number in range(3)))
    with pytest.raises(StudyFailed, match="no replication of naive came to its end") as raised:
        study_of(tmp_path)
    assert [failure["replication"] for failure in raised.value.failures] == [0, 1, 2]
    assert not list(tmp_path.glob("**/study.json"))


# --- as precise as wanted -------------------------------------------------------------------------


def test_replications_are_added_until_the_half_width_is_within(tmp_path, shuffled):
    """It stops where the algorithm does on the values in order, and runs no replication in vain."""
    study = study_of(tmp_path, precision=Precision(0.03, "attempts", 40))
    widths = [half_widths(rows["attempts"]) for _, rows in study.outcomes().groupby("arm", sort=False)]
    made = study.replications
    widest = np.max(widths, axis=0)
    assert study.precision["reached"]
    assert (widest[made - 6 :] <= 0.03).all()
    assert made == 8 or widest[made - 7] > 0.03
    assert study.precision["half_width"] == {
        arm.name: pytest.approx(width[-1]) for arm, width in zip(ARMS, widths, strict=True)
    }
    assert sum(shuffled.calls) == 2 * made


def test_the_stopping_point_does_not_depend_on_the_jobs(tmp_path):
    precision = Precision(0.022, "attempts", 40)
    one = study_of(tmp_path / "a", ARMS[:1], precision=precision)
    two = study_of(tmp_path / "b", ARMS[:1], precision=precision, jobs=2)
    assert one.replications > 8
    assert files(one.directory) == files(two.directory)


def test_a_bound_that_comes_first_is_said(tmp_path):
    study = study_of(tmp_path, ARMS[:1], precision=Precision(0.0001, "claim_grant_expired", 3))
    assert (study.replications, study.precision["reached"]) == (3, False)


def test_another_precision_is_another_study(tmp_path):
    one = study_of(tmp_path, ARMS[:1], precision=Precision(0.3, "attempts", 3))
    two = study_of(tmp_path, ARMS[:1], precision=Precision(0.2, "attempts", 3))
    assert one.study_id != two.study_id
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        (Precision(0.05, "goodputs_per_s"), "'goodputs_per_s' is no measure .*'goodput_per_s'"),
        (Precision(1.5), "a share of the mean such as 5%"),
        (Precision(0.05, max_replications=2), "at least 3 replications"),
    ],
)
def test_a_precision_that_makes_no_sense_is_refused(tmp_path, precision, words):
    with pytest.raises(OptionError, match=words):
        study_of(tmp_path, precision=precision)
    assert list(tmp_path.iterdir()) == []


def test_a_number_of_replications_and_a_precision_contradict_each_other(tmp_path):
    with pytest.raises(OptionError, match="a precision finds their number"):
        sim.run("claim_storm", precision="5%", replications=3, out=tmp_path)


# --- limits ---------------------------------------------------------------------------------------


def test_a_run_ends_with_the_attempt_that_reaches_the_limit(tmp_path):
    """What it saw until then is, row for row, what the whole run saw; the study says where it ended."""
    whole = study_of(tmp_path, ARMS[:1], replication=0)
    study = study_of(tmp_path, ARMS[:1], replication=0, limits=Limits(attempts=300))
    (cut,) = study.truncated
    assert (cut["arm"], cut["replication"], cut["limit"], cut["attempts"]) == (
        "documented", 0, "attempts", 300,
    )  # fmt: skip
    assert int(study.attempt_counts()["total"].sum()) == 300
    seen = study.contentions()
    assert seen["done_us"].max() <= cut["at_us"]
    assert len(seen) == int((whole.contentions()["done_us"] <= cut["at_us"]).sum())
    assert seen["done_us"].tolist() == whole.contentions()["done_us"].tolist()[: len(seen)]
    assert int(study.attempt_counts().query("answer == 'refused'")["total"].sum()) == len(seen)


def test_rates_of_a_truncated_run_are_over_what_it_saw(tmp_path):
    study = study_of(tmp_path, ARMS[:1], replication=0, limits=Limits(attempts=300))
    seen_s = study.truncated[0]["at_us"] / 1e6
    (run,) = study.outcomes().to_dict("records")
    assert run["window_s"] == seen_s < study.window_s
    assert run["goodput_per_s"] == pytest.approx(run["completed"] / seen_s)
    series = study.series()
    assert series["to_us"].max() <= 1e6 * seen_s
    assert 0 < run["attempts_in_flight"] < 100 and 0 < run["store_utilisation"] < 1
    row = study.frequency().set_index("kind").loc["no_eligible_execution"]
    assert row["mean"] == pytest.approx(row["count"] / seen_s)


def test_what_was_going_on_when_a_run_was_ended_is_open(tmp_path):
    study = study_of(tmp_path, ARMS[:1], replication=0, limits=Limits(attempts=300))
    intents = study.intents()
    at_us = study.truncated[0]["at_us"]
    assert (intents["resolution"] == "open").sum() > 10
    assert intents.loc[intents["resolution"] == "open", "end_us"].eq(at_us).all()


def test_a_run_that_was_ended_early_need_not_have_come_to_rest(tmp_path):
    """Its invariants are watched to where it ended; what must hold after the drain is not asked."""
    scenario = load("claim_storm", [*SMALL[:3], "replications=1", "expect={eventually: [drained]}"])
    options = StudyOptions(limits=Limits(attempts=300), check=True)
    study = run_study(scenario, ARMS[:1], "storm", options, Means(tmp_path))
    assert [run["attempts"] for run in study.truncated] == [300]


def test_a_limit_that_is_not_reached_changes_nothing_but_the_name(tmp_path):
    free = study_of(tmp_path, ARMS[:1], replication=0)
    bound = study_of(tmp_path, ARMS[:1], replication=0, limits=Limits(10**9, 2**50))
    assert (bound.truncated, bound.fingerprint) == ([], free.fingerprint)
    assert bound.study_id != free.study_id


def test_a_run_that_holds_too_much_memory_ends_with_its_block(tmp_path, monkeypatch):
    """Any process holds more than a megabyte, so the first look, after a block of attempts, ends the run."""
    monkeypatch.setattr(record, "_BLOCK_BYTES", 200 * record._COUNTED.itemsize)
    study = study_of(tmp_path, ARMS[:1], replication=0, limits=Limits(memory_bytes=2**20))
    (cut,) = study.truncated
    assert (cut["limit"], cut["attempts"]) == ("memory", 200)


def test_memory_is_looked_at_after_each_block_and_the_run_goes_on_below_its_limit(tmp_path, monkeypatch):
    """Blocks of 200 attempts; the third is cut short where the 450th attempt ends the run."""
    looks = []
    monkeypatch.setattr(limits, "resident_bytes", lambda: looks.append(1) or 1000)
    monkeypatch.setattr(record, "_BLOCK_BYTES", 200 * record._COUNTED.itemsize)
    study = study_of(tmp_path, ARMS[:1], replication=0, limits=Limits(attempts=450, memory_bytes=1000))
    (cut,) = study.truncated
    assert (cut["limit"], cut["attempts"], len(looks)) == ("attempts", 450, 2)


def test_no_public_name_is_that_of_a_module():
    """Python binds a module to its package when it is loaded: a function of the same name would be gone."""
    modules = {module.name for module in pkgutil.iter_modules(sim.__path__)}
    assert modules & set(sim.__all__) == {"plot"}
