"""A study as one page of HTML that needs nothing else: no network, no other file, no script to be read.

It says what was asked, what came out, how often and how long, who was in whose way, which faults went on,
what was checked, and how to do it again. The same study gives the same bytes.
"""

from __future__ import annotations

import base64
import os
from collections import defaultdict
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import yaml

from sim.analysis.comparison import DETAILS, DIFFERENT, TAILS
from sim.analysis.plots import save_plots
from sim.analysis.recovery import ENDS, NONE_SEEN, OK, QUANTILES
from sim.analysis.rivals import NOBODY
from sim.analysis.text import duration, number
from sim.analysis.verdicts import subject
from sim.contention import ContentionKind
from sim.output import ResultsError
from sim.report.pieces import Cell, code, facts, fold, items, picture, section, table, words
from sim.units import US_PER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sim.results import Study

FILE: Final = "report.html"
_WINDOWS_SHOWN: Final = 200
_CAPTIONS: Final = {
    "frequency": "Contentions per simulated second of each kind. The line is the 95 % interval of the mean, "
    "the number the count in all replications.",
    "recovery": "How long it took from the first refusal of a kind to success, on a logarithmic axis. The "
    "solid line is the median, the dashed one the 90th percentile of the Kaplan-Meier curve.",
    "recovery_curves": "The share that had recovered by each instant. Kaplan-Meier in colour with its band, "
    "the cumulative incidence in grey.",
    "timeline": "When each kind occurred, with warm-up, drain and fault windows. Each strip is as high as "
    "its own peak.",
    "kind_by_op": "Which operation met which kind, as counts.",
    "sojourn": "The mean time from creation to end of an execution, and its parts.",
    "paired": "What each arm does to each measure, as a multiple of the baseline with its 95 % interval. "
    "Filled marks are differences after Holm's correction.",
    "pareto": "Work against time, with 95 % intervals. Lower and further left is better.",
    "rivals": "Who was refused because of whose operation, as counts, with the median race window.",
    "race_windows": "How long before a refusal its rival's operation had taken effect, on a logarithmic "
    "axis.",
}


def write_report(study: Study, pictures: Sequence[Path] | None = None) -> Path:
    """Write ``report.html`` into the folder of a study.

    Parameters
    ----------
    study
        What to report.
    pictures
        Pictures that :func:`sim.analysis.plots.save_plots` has just drawn; by default they are drawn anew.

    Returns
    -------
    Path
        The file; it appears whole or not at all.

    Raises
    ------
    ResultsError
        When it cannot be written.
    """
    path = study.directory / FILE
    temporary = study.directory / f".{FILE}.{os.getpid()}"
    try:
        drawn = save_plots(study, study.directory / "plots") if pictures is None else pictures
        temporary.write_text(page(study, drawn), "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror}") from None
    return path


def page(study: Study, pictures: Sequence[Path]) -> str:
    """Give the page of a study as HTML."""
    document = study.as_dict()
    drawn = {path.stem: _picture(path, document) for path in pictures}

    def shown(*names: str) -> list[str]:
        return [drawn[name] for name in names if name in drawn]

    sections = {
        "question": ("The question", _question(study)),
        "verdicts": ("What came out", _verdicts(document)),
        "frequency": ("How often", [*_frequency(document), *shown("frequency", "kind_by_op")]),
        "recovery": (
            "How long recovery takes",
            [*_recovery(document), *shown("recovery", "recovery_curves")],
        ),
        "rivals": ("Who was in whose way", [*_rivals(study), *shown("rivals", "race_windows")]),
        "time": ("When, and under which faults", [*shown("timeline"), *_faults(study)]),
        "measures": ("What the runs achieved", [*shown("sojourn"), *_measures(study)]),
        "checked": ("What was checked", _checked(study)),
        "again": ("How to do it again", _again(study)),
    }
    if len(study.arms) > 1:
        compared = [*_differences(study), *shown("paired", "pareto")]
        sections = {"question": sections["question"], "arms": ("How the arms differ", compared)} | sections
    links = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, (title, _) in sections.items())
    inside = "\n".join(section(key, title, parts) for key, (title, parts) in sections.items())
    title = f"{study.name}: contention-sim report"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{_asset("page.css")}</style>
</head>
<body>
<a class="skip" href="#question">Skip to the content</a>
<header>
<h1>{escape(study.name)}</h1>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{inside}
</main>
<script>
{_asset("page.js")}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return files("sim.report").joinpath(name).read_text("utf-8")


def _question(study: Study) -> list[str]:
    warmup_us = study.window_us[0]
    window = duration(study.window_s * 1000)
    pairs = [
        ("Arms", ", ".join(study.arms)),
        ("Replications", f"{study.replications} of each arm"),
        ("Window", f"{window} of simulated time" + (
            f", after {duration(warmup_us / US_PER_MS)} of warm-up" if warmup_us else "")),
        ("Seed", ", ".join(map(str, study.seeds))),
        ("Study", study.study_id),
        ("Fingerprint", study.fingerprint),
        ("Version", f"contention-sim {study.document['versions']['contention-sim']}"),
    ]  # fmt: skip
    return [f"<p>{escape(' '.join(study.about.split()))}</p>", facts(pairs)]


def _verdicts(document: dict[str, Any]) -> list[str]:
    """Say in sentences what the tables show: no word here that a table does not hold."""
    lines = []
    for arm in document["arms"]:
        goodput = _or_dash(arm["goodput_per_s"])
        sentence = (
            f"{arm['arm']}: {arm['attempts']:,} attempts, {arm['contentions']:,} of them refused; "
            f"{arm['completed']:,} executions completed ({goodput} per s)"
        )
        if arm["amplification"] is not None:
            sentence += f"; {number(arm['amplification'])} attempts per achieved intent"
        met = [kind for kind in arm["kinds"] if kind["count"]]
        if met:
            most = max(met, key=lambda kind: kind["count"])
            sentence += f". Most frequent: {most['kind']} ({number(most['per_s']['mean'])} per s)"
        slow = [kind for kind in met if kind["recovery_status"]["p90"] == OK]
        if slow:
            slowest = max(slow, key=lambda kind: kind["recovery_ms"]["p90"])
            p90 = duration(slowest["recovery_ms"]["p90"])
            sentence += f". Slowest recovery of those with a p90: {slowest['kind']} (p90 {p90})"
        lines.append(f"{sentence}.")
    unmet = sum(not each["met"] for each in document["expectations"])
    if document["expectations"]:
        met_all = "Everything that the scenario expects was met"
        lines.append(f"{unmet} of its expectations failed: see what was checked." if unmet else f"{met_all}.")
    return [items(lines)]


def _differences(study: Study) -> list[str]:
    """Tell the differences of the main measures, and what shows none; all numbers stand in the table."""
    lines = []
    for arm in study.arms[1:]:
        mine = [each for each in study.verdicts() if each["arm"] == arm]
        main = [each for each in mine if each["family"] not in (DETAILS, TAILS)]
        lines += [each["text"] for each in main if each["finding"] == DIFFERENT]
        others = ", ".join(subject(each) for each in main if each["finding"] != DIFFERENT)
        lines += [f"{arm}: no difference shown in {others}."] if others else []
    rows = [
        [
            words(subject(row)), words(row["arm"]),
            words(row["unit"] if isinstance(row["unit"], str) else ""),
            _number(row["baseline_value"]), _number(row["arm_value"]), _number(row["percent"]),
            _number(row["percent_low"]), _number(row["percent_high"]), _number(row["p_holm"]),
            words(row["finding"]),
        ]
        for row in study.paired().to_dict("records")
        if row["baseline_value"] == row["baseline_value"] and (row["baseline_value"] or row["arm_value"])
    ]  # fmt: skip
    caption = (
        f"Differences from {study.arms[0]}, replication by replication: in percent with 95 % intervals; "
        "p-values after Holm's correction over each family of tests"
    )
    heads = ("Measure", "Arm", "Unit", study.arms[0], "Arm's value", "Percent", "95 % from", "95 % to",
             "p (Holm)", "Finding")  # fmt: skip
    return [items(lines) if lines else "", fold("Every difference", table(caption, heads, rows, left=3))]


def _frequency(document: dict[str, Any]) -> list[str]:
    rows, quiet = [], []
    for arm in document["arms"]:
        for kind in arm["kinds"]:
            per_s = kind["per_s"]
            if not kind["count"]:
                quiet.append((arm["arm"], kind["kind"], per_s["ci_high"]))
                continue
            rows.append([
                _kind(kind["kind"]), words(arm["arm"]), _count(kind["count"]),
                _number(kind["per_1000_attempts"]), _number(per_s["mean"]), _number(per_s["ci_low"]),
                _number(per_s["ci_high"]), _number(kind["per_execution"]), _share(kind["share_of_intents"]),
            ])  # fmt: skip
    heads = ("Kind", "Arm", "Count", "Per 1,000 attempts", "Per second", "95 % from", "95 % to",
             "Per execution", "Intents that met it")  # fmt: skip
    caption = (
        "Contentions in the window by kind: count of all replications; mean per simulated second with its "
        "95 % interval over replications"
    )
    by_arm: dict[str, list[str]] = defaultdict(list)
    for name, kind, _ in quiet:
        by_arm[name].append(kind)
    unseen = [
        f"Not seen in {name} (so below {number(next(b for a, _, b in quiet if a == name))} per s): "
        f"{', '.join(kinds)}."
        for name, kinds in by_arm.items()
    ]
    return [table(caption, heads, rows, left=2) if rows else "", items(unseen) if unseen else ""]


def _recovery(document: dict[str, Any]) -> list[str]:
    rows = []
    for arm in document["arms"]:
        for kind in arm["kinds"]:
            if kind["episodes"]:
                ends = [_count(kind[end]) for end in ENDS]
                quantiles = [_quantile(kind["recovery_ms"][q], kind["recovery_status"][q]) for q in QUANTILES]
                rows.append([_kind(kind["kind"]), words(arm["arm"]), *ends, *quantiles])
    if not rows:
        return ["<p>No intent met contention.</p>"]
    caption = (
        "From the first refusal of a kind to success, in simulated time: quantiles of the Kaplan-Meier curve "
        "over recovered and open; how the intents ended"
    )
    heads = ("Kind", "Arm", *(end.capitalize() for end in ENDS), *QUANTILES)
    note = (
        "<p>Too few: fewer than 5/(1-q) observations. Not reached: too many were still open when the run "
        "ended.</p>"
    )
    return [table(caption, heads, rows, left=2), note]


def _rivals(study: Study) -> list[str]:
    rows = [
        [
            words(row["actor_kind"]), words(row["arm"]),
            words("no rival known" if row["rival_kind"] == NOBODY else row["rival_kind"]),
            _count(row["count"]), *(_time(row[q]) for q in QUANTILES),
        ]
        for row in study.rivals().to_dict("records")
    ]  # fmt: skip
    if not rows:
        return ["<p>No contention was met.</p>"]
    caption = (
        "Refusals in the window by who was refused and whose operation made it so; the race window is the "
        "time from that operation to the refused one"
    )
    heads = ("Refused", "Arm", "Because of", "Count", *(f"Race window {q}" for q in QUANTILES))
    return [table(caption, heads, rows, left=3)]


def _measures(study: Study) -> list[str]:
    rows = [
        [
            words(row["measure"]), words(row["arm"]), words(row["unit"] or "count"), _number(row["mean"]),
            _number(row["ci_low"]), _number(row["ci_high"]),
        ]
        for row in study.summary().to_dict("records")
    ]  # fmt: skip
    caption = "Measures of a run: mean over replications with Student's 95 % interval"
    return [table(caption, ("Measure", "Arm", "Unit", "Mean", "95 % from", "95 % to"), rows, left=3)]


def _picture(path: Path, document: dict[str, Any]) -> str:
    name = path.stem
    return picture(path, _description(name, document), _CAPTIONS.get(name, name.replace("_", " ")))


def _description(name: str, document: dict[str, Any]) -> str:
    """Describe a picture to who cannot see it: what it is, and what stands out."""
    kinds = [(arm["arm"], kind) for arm in document["arms"] for kind in arm["kinds"] if kind["count"]]
    subject = _CAPTIONS.get(name, name).split(". ")[0].rstrip(".")
    if not kinds:
        return f"{subject}. No contention was met."
    if name in ("recovery", "recovery_curves"):
        told = [
            f"{kind['kind']} in {arm}: median {duration(kind['recovery_ms']['p50'])}"
            for arm, kind in kinds if kind["recovery_status"]["p50"] == OK
        ]  # fmt: skip
    else:
        ordered = sorted(kinds, key=lambda pair: -pair[1]["count"])
        told = [f"{kind['kind']} in {arm}: {kind['count']:,}" for arm, kind in ordered]
    more = "; all numbers are in the tables above" if len(told) > 5 else ""
    return f"{subject}. {'; '.join(told[:5])}{more}."


def _faults(study: Study) -> list[str]:
    runs = study.faults or []
    windows = [(run["arm"], run["replication"], window) for run in runs for window in run["windows"]]
    if not windows:
        return ["<p>No faults were planned.</p>"]
    lengths: dict[tuple[str, str], list[int]] = defaultdict(list)
    for arm, _, window in windows:
        lengths[arm, window["fault"]].append(window["to_us"] - window["from_us"])
    summary = [
        [words(fault), words(arm), _count(len(each)), _time(sum(each) / len(each) / US_PER_MS)]
        for (arm, fault), each in lengths.items()
    ]
    rows = [
        [
            words(window["fault"]), words(arm), _count(replication), words(window["target"]),
            _seconds(window["from_us"]), _seconds(window["to_us"]),
        ]
        for arm, replication, window in windows[:_WINDOWS_SHOWN]
    ]  # fmt: skip
    heads = ("Fault", "Arm", "Replication", "Target", "From", "To")
    more = len(windows) - len(rows)
    caption = "Fault windows as drawn, in simulated seconds" + (
        f": the first {len(rows)} of {len(windows):,}; the others are in study.json" if more else ""
    )
    listed = table(caption, heads, rows, left=2)
    of_all = "Fault windows of all replications, and how long they last"
    return [
        table(of_all, ("Fault", "Arm", "Windows", "Mean length"), summary, left=2),
        fold("Every window", listed),
    ]


def _checked(study: Study) -> list[str]:
    rows = [
        [
            words(str(each["kind"])), words(each["arm"]), words(each["expected"]), _count(each["count"]),
            words("met" if each["met"] else "not met", state="met" if each["met"] else "unmet"),
        ]
        for each in study.expectations
    ]  # fmt: skip
    told = (
        "Every run wrote records whose SHA-256 is its fingerprint; the same scenario, seed and version give "
        "the same fingerprints on any number of processes."
    )
    parts = [f"<p>{told}</p>"]
    if rows:
        caption = "What the scenario expects of its runs, warm-up and drain included, and what was seen"
        parts.append(table(caption, ("Kind", "Arm", "Expected", "Seen", "Verdict"), rows, left=3))
    prints = "\n".join(
        f"{run['arm']}  {run['replication']}  {run['fingerprint']}" for run in study.document["runs"]
    )
    return [*parts, fold("Fingerprints of the runs", code(prints))]


def _again(study: Study) -> list[str]:
    text = yaml.safe_dump(study.scenario, sort_keys=False, allow_unicode=True, width=110)
    policies = yaml.safe_dump(study.policies, sort_keys=False, allow_unicode=True, width=110)
    data = base64.b64encode(text.encode()).decode("ascii")
    file = f"{study.name.replace('/', '-')}.yaml"
    command = f"contention-sim run {file} --policy {study.arms[0]}"
    if len(study.arms) > 1:
        command = f"contention-sim compare {file} --policies {','.join(study.arms)}"
    steps = (
        f'<p>Save the scenario (<a download="{escape(file)}" href="data:text/yaml;base64,{data}">'
        f"{escape(file)}</a>, with every default) and run it with contention-sim "
        f"{escape(study.document['versions']['contention-sim'])}:</p>"
    )
    said = f"<p>The fingerprint of the study is then {escape(study.fingerprint)}.</p>"
    return [
        steps, code(command), said, fold("The scenario", code(text)),
        fold("The retry policies of the arms", code(policies)),
    ]  # fmt: skip


def _kind(name: str) -> Cell:
    return words(name, colour=ContentionKind(name).facts.colour)


def _count(value: float) -> Cell:
    return Cell(f"{int(value):,}", int(value))


def _number(value: float | None) -> Cell:
    return Cell("-") if value is None or value != value else Cell(number(value), value)


def _share(value: float | None) -> Cell:
    return Cell("-") if value is None else Cell(f"{number(100 * value)} %", value)


def _time(ms: float) -> Cell:
    return Cell("-") if ms != ms else Cell(duration(ms), ms)


def _seconds(us: int) -> Cell:
    return Cell(f"{us / 1e6:.3f}", us)


def _quantile(ms: float | None, status: str) -> Cell:
    if status == OK and ms is not None:
        return Cell(duration(ms), ms)
    return Cell("-" if status == NONE_SEEN else status)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else number(value)
