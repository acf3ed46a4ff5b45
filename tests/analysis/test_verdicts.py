"""Sentences: what they claim is what the row holds."""

import math

import pandas as pd
import pytest

from sim.analysis.comparison import (
    DETAILS,
    DIFFERENT,
    EQUAL,
    FREQUENCY,
    MEASURES,
    NOT_EVERYWHERE,
    NOT_SHOWN,
    RECOVERY,
    TAILS,
    TOO_FEW_EVENTS,
)
from sim.analysis.verdicts import verdicts

ROW = {
    "baseline": "documented", "arm": "full_jitter", "family": MEASURES, "measure": "completed", "kind": None,
    "unit": "", "baseline_value": 100.0, "arm_value": 104.2, "difference": 4.2, "ci_low": 3.0, "ci_high": 5.4,
    "percent": 4.2, "percent_low": 3.1, "percent_high": 5.3, "correlation": 0.9, "pairs": 10,
    "p_value": 0.0004, "p_holm": 0.002, "tests": 32, "finding": DIFFERENT,
}  # fmt: skip
AFTER = "(p 0.002 after Holm over 32 tests)"


def told(**changes):
    (verdict,) = verdicts(pd.DataFrame([ROW | changes]))
    return verdict["text"]


def test_more_is_told_with_its_interval():
    assert told() == f"full_jitter completes 4.20 % more, 95 % interval 3.10 to 5.30 {AFTER}"


def test_less_is_told_in_positive_numbers_from_the_smaller_to_the_larger():
    text = told(measure="attempts", difference=-20.0, percent=-20.0, percent_low=-25.0, percent_high=-15.0)
    assert text == f"full_jitter makes 20.0 % fewer attempts, 95 % interval 15.0 to 25.0 {AFTER}"


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        (
            {"family": FREQUENCY, "measure": "contentions", "kind": "lease_conflict"},
            "meets lease_conflict 4.20 % more often",
        ),
        ({"measure": "drain_s"}, "takes 4.20 % longer to drain"),
        ({"measure": "sojourn_mean"}, "takes 4.20 % longer (mean sojourn)"),
        ({"family": DETAILS, "measure": "unknown"}, "has 4.20 % more in unknown"),
    ],
)
def test_measures_have_words_of_their_own(changes, phrase):
    assert told(**changes).startswith(f"full_jitter {phrase}, 95 % interval")


def test_recovery_is_told_as_times_faster_or_slower():
    faster = {"family": RECOVERY, "measure": "recovery_p50", "kind": "lease_conflict", "difference": -5.0}
    faster |= {"percent": -52.381, "percent_low": -60.0, "percent_high": -44.444}
    assert told(**faster) == (
        "full_jitter: recovery of lease_conflict (median) 2.10 times faster, 95 % interval 1.80 to 2.50 "
        + AFTER
    )
    slower = faster | {"family": TAILS, "measure": "recovery_p99", "percent": 50.0, "percent_low": 20.0}
    assert told(**slower).startswith("full_jitter: recovery of lease_conflict (p99) 1.50 times slower")


def test_a_difference_that_the_correction_takes_back_is_not_told_as_one():
    text = told(finding=NOT_SHOWN, percent_low=-0.5, p_holm=0.31)
    assert text == (
        "no difference shown in completed: 4.20 %, 95 % interval -0.500 to 5.30 "
        "(p 0.31 after Holm over 32 tests)"
    )


def test_a_baseline_of_nothing_has_a_difference_and_no_percentage():
    nothing = dict.fromkeys(("percent", "percent_low", "percent_high"), math.nan)
    text = told(family=FREQUENCY, kind="lease_conflict", unit="1/s", baseline_value=0.0, **nothing)
    assert (
        text == f"full_jitter meets lease_conflict 4.20 per s more often, 95 % interval 3.00 to 5.40 {AFTER}"
    )


def test_very_small_p_values_are_not_told_to_the_digit():
    assert told(p_holm=1e-9).endswith("(p below 0.001 after Holm over 32 tests)")


def test_equal_arms_and_missing_values_have_words():
    assert told(finding=EQUAL) == "completed is the same in every replication"
    missing = told(measure="drain_s", finding=NOT_EVERYWHERE, arm_value=math.nan)
    assert missing == "drain_s is not compared: full_jitter or documented has replications without it"


@pytest.mark.parametrize(
    "changes",
    [{"finding": TOO_FEW_EVENTS}, {"finding": EQUAL, "baseline_value": 0.0, "arm_value": 0.0}],
)
def test_what_did_not_happen_has_no_verdict(changes):
    assert verdicts(pd.DataFrame([ROW | changes])) == []


def test_a_verdict_says_what_it_is_about():
    (verdict,) = verdicts(pd.DataFrame([ROW]))
    del verdict["text"]
    assert verdict == {
        "arm": "full_jitter", "baseline": "documented", "family": MEASURES, "measure": "completed",
        "kind": None, "finding": DIFFERENT,
    }  # fmt: skip
