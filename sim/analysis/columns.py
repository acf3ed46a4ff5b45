"""What each column of each results file means: one sentence and a unit.

The reference is generated from here, and a test compares it with what a study really writes: a column that
is not told here does not exist.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sim.analysis.frequency import KIND_NAMES
from sim.analysis.levels import SERIES
from sim.analysis.outcomes import UNITS
from sim.analysis.sojourn import PARTS
from sim.ledger import OUTCOMES
from sim.record import ANSWERS, CAUSES, GOALS, RESOLUTIONS


class Column(NamedTuple):
    """What a column means.

    Attributes
    ----------
    meaning : str
        One sentence.
    unit : str
        Empty for names, numbers of things and plain ratios.
    """

    meaning: str
    unit: str = ""


def _words(names: tuple[str, ...]) -> str:
    return ", ".join(names)


US: Final = "us of simulated time"

MEASURE_MEANINGS: Final = {
    "attempts": "Operations that actors sent to the store and that were done in the window.",
    "unknown": "Attempts of which no answer came before the time-out.",
    "contentions": "Attempts that were refused with a kind.",
    "intents": "Intents that began in the window: what actors tried to achieve, over any number of attempts.",
    "recovered": "Intents begun in the window that achieved what they wanted.",
    "satisfied": "Intents begun in the window that had nothing left to do, by someone else's doing.",
    "abandoned": "Intents begun in the window that were given up.",
    "open": "Intents begun in the window that were still going on when the run ended.",
    "relayed": "Dispatches begun in the window that granted nothing; the intent they served went on.",
    "arrived": "Executions that were created in the window.",
    "unfinished": "Executions created in the window that had not ended when the run did.",
    "completed": "Executions that ended with success in the window, wherever they began.",
    "goodput_per_s": "Executions completed, per simulated second of the window.",
    "amplification": "Attempts of the intents begun in the window, per one of them that recovered.",
    "fairness": "Jain's index of the completions of each worker: 1 when all have as many.",
    "sojourn_mean": "Mean time from creation to end, of executions created in the window that ended.",
    "sojourn_p50": "Median of that time.",
    "sojourn_p90": "90th percentile of that time.",
    "sojourn_p99": "99th percentile of that time.",
    "sojourn_waiting": "Mean part of the sojourn in which it could be had and nobody had tried for it.",
    "sojourn_granting": "Mean part from the grant that led to a lease to that lease.",
    "sojourn_contention": "Mean part from a vain try for it to the grant that led to a lease.",
    "sojourn_work": "Mean part under leases that count.",
    "sojourn_redone": "Mean part under leases that came to nothing: work done once more later.",
    "sojourn_suspended": "Mean part in which it was suspended, put off, or waiting for others.",
    "worked_s": "What workers spent on the executions created in the window, then or later.",
    "wasted_s": "Of that, the time under leases that do not count.",
    "wasted_share": "Share of the work that was wasted.",
    "duplicates": "Executions created in the window that two workers were at work on at once.",
    "attempts_in_flight": "Mean number of attempts under way, over the window.",
    "workers_at_work": "Mean number of slots at work, over the window.",
    "store_utilisation": "Busy sessions of the store over all of them, mean over the window.",
    "busiest_partition": "Utilisation of the partition that was busiest.",
    "drain_s": "Time from the last arrival to the last end; missing when something had not ended.",
}
"""What each measure of a run is; units in :data:`sim.analysis.outcomes.UNITS`."""

_RUN: Final = {
    "arm": Column("Arm of the study: the retry policy that the fleet had."),
    "replication": Column("Which replication, from 0; the same number means the same workload in all arms."),
}
_DONE_IN: Final = Column("Whether it was done in the window, [warmup, warmup + run), that tables take.")
_SENT: Final = {
    "sent_us": Column("When the actor sent it.", US),
    "arrived_us": Column("When it reached the store; missing when it was lost on the way.", US),
    "done_us": Column("When the actor learned of the answer, or gave up waiting for it.", US),
    "actor": Column("Who sent it, such as worker/3."),
    "actor_kind": Column("What the sender is: worker, scheduler, reconciler, ..."),
    "op": Column("The operation of the store, as the engine names it."),
}
_OF_ATTEMPT: Final = {
    "code": Column("The engine's code of the answer."),
    "kind": Column("The kind of contention; missing where it is none."),
    "execution": Column("Number of the execution concerned; missing where there is none."),
    "intent": Column("Number of the intent it belongs to; missing for reads of a sweep."),
}
_ROOT: Final = Column("The intent that this one serves: of a dispatch the acquire, of all others itself.")

_CONTENTIONS: Final = _RUN | _SENT | _OF_ATTEMPT | {
    "seq": Column("Number of the contention within its run, in the order of done_us."),
    "kind": Column("The kind of contention."),
    "flow": Column("Number of the flow concerned; missing where there is none."),
    "waitpoint": Column("Number of the waitpoint concerned; missing where there is none."),
    "root": _ROOT,
    "nth": Column("The how-manieth refusal of its intent, from 1."),
    "action": Column("What the policy answered: retry, redispatch, new_grant, ..., give_up."),
    "delay_us": Column("How long the policy told the actor to wait before that.", US),
    "rival_actor": Column("Whose operation made this one fail; missing where the store knows none."),
    "rival_op": Column("Which operation of the rival's that was."),
    "rival_age_us": Column("How long before, at the store: the race window.", US),
    "in_window": _DONE_IN,
}  # fmt: skip

_INTENTS: Final = _RUN | {
    "intent": Column("Number of the intent within its run."),
    "root": _ROOT,
    "goal": Column(f"What it is to achieve: {_words(GOALS)}."),
    "actor": Column("Whose intent it is, such as worker/3."),
    "actor_kind": Column("What that actor is: worker, scheduler, reconciler, ..."),
    "execution": Column("Number of the execution concerned; missing where there is none."),
    "start_us": Column("When it began.", US),
    "end_us": Column("When it ended, or when the run did.", US),
    "resolution": Column(f"How it ended: {_words(RESOLUTIONS)}."),
    "cause": Column(f"Why it was abandoned: {_words(CAUSES)}."),
    "attempts": Column("How many attempts it took."),
    "in_window": Column("Whether it began in the window."),
}

_PART_MEANINGS: Final = {
    "waiting": "Time in which it could be had and nobody had tried for it.",
    "granting": "Time from a grant to the lease that it led to.",
    "contention": "Time from a vain try for it to the grant that led to a lease.",
    "work": "Time under leases that count.",
    "redone": "Time under leases that came to nothing.",
    "suspended": "Time in which it was suspended, put off, or waiting for others.",
}
_EXECUTIONS: Final = _RUN | {
    "execution": Column("Number of the execution within its run."),
    "class": Column("Its class of the workload."),
    "created_us": Column("When it was created at the store.", US),
    "leased_us": Column("When it was leased first; missing when it never was.", US),
    "finished_us": Column("When it ended; missing when it had not by the end of the run.", US),
    "outcome": Column(f"How it ended: {_words(OUTCOMES)}."),
    "leases": Column("How many leases it had."),
    **{f"{part}_us": Column(_PART_MEANINGS[part], US) for part in PARTS},
    "worked_us": Column("What workers spent on it.", US),
    "wasted_us": Column("Of that, under leases that do not count.", US),
    "duplicated": Column("Whether two workers were at work on it at once."),
    "in_window": Column("Whether it was created in the window."),
}

_SERIES: Final = _RUN | {
    "series": Column(f"What is counted. {'; '.join(f'{n}: {what}' for n, what in SERIES.items())}."),
    "label": Column("Which line of the series; empty where it has one only."),
    "from_us": Column("Start of the bin.", US),
    "to_us": Column("End of the bin.", US),
    "begun": Column("How many items began in the bin."),
    "ended": Column("How many ended in it; missing for contentions, which take no time."),
    "integral_us": Column("The level integrated over the bin: divided by its width, the mean.", "item-us"),
    "capacity": Column("How many there can be at once, such as sessions of a partition; missing for none."),
    "in_window": Column("Whether the bin lies in the window."),
}

_ATTEMPT_ROWS: Final = _RUN | _SENT | {
    "answer": Column(f"What the actor learned: {_words(ANSWERS)}."), **_OF_ATTEMPT, "in_window": _DONE_IN,
}  # fmt: skip

_ATTEMPTS: Final = _RUN | {
    "actor_kind": Column("What the sender is: worker, scheduler, reconciler, ..."),
    "op": Column("The operation of the store."),
    "answer": Column(f"What the actor learned: {_words(ANSWERS)}."),
    "code": Column("The engine's code of the answer."),
    "kind": Column("The kind of contention; empty where it is none."),
    "count": Column("How many such attempts were done in the window."),
    "total": Column("How many in the whole run."),
}

_ENDS: Final = {
    "ci_low": Column("Lower end of the 95 % interval of the mean.", "as mean"),
    "ci_high": Column("Upper end of that interval.", "as mean"),
}
_METHOD: Final = Column(
    "How the interval was made: t (Student, across replications), poisson (exact, below 30 events), "
    "poisson-one-replication, rule-of-three (nothing seen: an upper bound), fieller, bootstrap or none."
)
_FREQUENCY: Final = {
    "arm": _RUN["arm"],
    "kind": Column("The kind of contention; all 18 are listed, zeros included."),
    "count": Column("Contentions in the window, of all replications."),
    "mean": Column("Contentions per simulated second, mean over replications.", "1/s"),
    **_ENDS,
    "interval": _METHOD,
    "per_1000_attempts": Column("Contentions per 1,000 attempts of the arm."),
    "per_execution": Column("Contentions per execution completed."),
    "intents_met": Column("Intents begun in the window that met the kind at least once."),
    "share_of_intents": Column("That as a share of the intents begun in the window."),
}


def _quantiles(of_what: str) -> dict[str, Column]:
    names = {"p50": "Median", "p90": "90th percentile", "p99": "99th percentile"}
    return {name: Column(f"{word} of {of_what}.", "ms") for name, word in names.items()}


_LATENCY: Final = "the recovery latency (Kaplan-Meier, over recovered and open); empty unless it is shown"
_RECOVERY: Final = {
    "arm": _RUN["arm"],
    "kind": Column("The kind of contention that was met first."),
    "episodes": Column("Root intents whose first refusal of that kind was in the window, each counted once."),
    "recovered": Column("Of them, those that achieved what they wanted."),
    "satisfied": Column("Of them, those that had nothing left to do, by someone else's doing."),
    "abandoned": Column("Of them, those that were given up."),
    "open": Column("Of them, those still going on when the run ended: right-censored."),
    "recovered_share": Column("Recovered episodes as a share of those that ended."),
    "incidence": Column("Cumulative incidence of recovery by the end, with the open ones accounted for."),
    **_quantiles(_LATENCY),
    **{
        f"{name}_status": Column(f"Whether {name} is shown: ok, too few, not reached, or none (no episode).")
        for name in ("p50", "p90", "p99")
    },
}

_RIVALS: Final = {
    "arm": _RUN["arm"],
    "actor_kind": Column("Who was refused."),
    "rival_kind": Column("Because of whom; none where the store knows nobody."),
    "count": Column("Contentions in the window; they add up to all of them."),
    **_quantiles("the race window, from the rival's operation to the one that failed because of it"),
}

_PAIRED: Final = {
    "baseline": Column("The arm that the other one is compared with."),
    "arm": Column("The other arm."),
    "family": Column("The family of tests over which p-values are corrected."),
    "measure": Column("What is compared."),
    "kind": Column("Of which kind of contention; empty where it is of none."),
    "unit": Column("Unit of the measure."),
    "baseline_value": Column(
        "Mean of the baseline over the pairs; of recovery the quantile of all of them.", "unit"
    ),
    "arm_value": Column("The same of the arm.", "unit"),
    "difference": Column("Arm less baseline.", "unit"),
    "ci_low": Column("Lower end of the 95 % interval of the difference; none for recovery.", "unit"),
    "ci_high": Column("Upper end of that interval.", "unit"),
    "percent": Column("The difference as a percentage of the baseline.", "%"),
    "percent_low": Column("Lower end of its 95 % interval.", "%"),
    "percent_high": Column("Upper end of its 95 % interval.", "%"),
    "correlation": Column("Correlation of the arms across replications: what pairing achieved."),
    "pairs": Column("Replications that both arms have a value of."),
    "p_value": Column("Two-sided p-value of no difference."),
    "p_holm": Column("That after Holm's correction over the family."),
    "tests": Column("How many tests the family has."),
    "finding": Column(
        "What was found: different, no difference shown, equal in every replication, or why not tested."
    ),
}

_PARETO: Final = {
    "work": Column("The measure of work."),
    "time": Column("The measure of time."),
    "arm": _RUN["arm"],
    "completed": Column("Executions completed, mean over replications."),
    **{
        f"{axis}_{end}": Column(f"{word} of the measure of {axis}.", f"as {axis}")
        for axis in ("work", "time")
        for end, word in (
            ("mean", "Mean over replications"),
            ("low", "Lower end of the 95 % interval"),
            ("high", "Upper end of the 95 % interval"),
        )
    },
    "on_front": Column("Whether no other arm has means as good in both and better in one."),
    "dominated_by": Column("The arms that have."),
    "shown": Column("Those of them for which the paired differences show it after Holm's correction."),
}

_POINT: Final = {
    "point": Column("Number of the point of the grid, from 0."),
    "PATH": Column("A column for each parameter of the grid, named by its path: its value at the point."),
}
_OUTCOMES: Final = {name: Column(meaning, UNITS[name]) for name, meaning in MEASURE_MEANINGS.items()}
_RATES: Final = {
    f"rate of {kind}": Column(f"Contentions of the kind {kind} per simulated second.", "1/s")
    for kind in KIND_NAMES
}

FILES: Final[dict[str, tuple[str, dict[str, Column]]]] = {
    "frequency.csv": ("How often: a row for each arm and kind.", _FREQUENCY),
    "recovery.csv": ("How long: a row for each arm and kind.", _RECOVERY),
    "outcomes.csv": (
        "What a run achieved: a row for each arm and replication.",
        _RUN | {"window_s": Column("What the run saw of the window.", "s")} | _OUTCOMES,
    ),
    "attempts.csv": ("Attempts as counts: a row for each group of them in a run.", _ATTEMPTS),
    "rivals.csv": ("Who contends with whom: a row for each pair that occurs.", _RIVALS),
    "paired.csv": ("Comparison of arms (compare): a row for each arm and measure.", _PAIRED),
    "pareto.csv": ("Work against time (compare): a row for each pair of measures and arm.", _PARETO),
    "contentions.parquet": ("Every refused attempt, one row each.", _CONTENTIONS),
    "intents.parquet": ("What actors tried to achieve and how it ended, one row each.", _INTENTS),
    "executions.parquet": ("What became of each execution, one row each.", _EXECUTIONS),
    "series.parquet": ("Levels over time: a row for each bin of a line.", _SERIES),
    "attempts.parquet": ("Every attempt, one row each (`run --keep-attempts`).", _ATTEMPT_ROWS),
    "table.csv": (
        "A sweep: a row for each point, arm and measure.",
        _POINT
        | {
            "arm": _RUN["arm"],
            "measure": Column("What is measured: a measure of a run, a rate of a kind, or a recovery."),
            "unit": Column("Unit of the measure."),
            "mean": Column("Mean over replications; of recovery the quantile of all of them.", "unit"),
            **_ENDS,
            "n": Column("Replications with a value; of recovery the episodes that the curve is made of."),
            "interval": _METHOD,
        },
    ),
    "runs.csv": (
        "A sweep: a row for each point, arm and replication.",
        _POINT | _RUN | _OUTCOMES | _RATES,
    ),
}
"""Every table that a study or a sweep leaves: what a row of it is, and its columns."""
