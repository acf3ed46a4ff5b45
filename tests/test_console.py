"""The report in a terminal, in a pipe, and where nothing but ASCII can be written."""

import io

import pytest
from rich.console import Console

from sim import console
from tests.analysis.build import MS, Builder, S, write_study

CONFLICT, LONGEST = "lease_conflict", "waitpoint_pending_use_buffer_script"


def made(replication):
    build = Builder(replication=replication, window_us=(S, 11 * S))
    for number in range(60):
        build.contention(CONFLICT, S, build.intent(S, S + (number + 1) * MS, attempts=2))
        build.execution(S, 2 * S)
    build.contention(LONGEST, 2 * S, build.intent(2 * S, 3 * S, "abandoned"))
    build.contention("no_active_lease", 2 * S, op="revoke_lease")
    build.attempt(count=138)
    return build.run()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("out"), [made(0), made(1)], name="storm")


def printed(study, width, encoding="utf-8", **options):
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding)
    console.print_study(study, Console(file=stream, width=width, **options))
    stream.flush()
    return buffer.getvalue().decode(encoding)


def row(text, start):
    return [line.split() for line in text.splitlines() if line.startswith(start)]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_is_wider_than_the_terminal(study, width):
    text = printed(study, width)
    assert max(len(line) for line in text.splitlines() if not line.startswith("Files:")) <= width


def test_the_header_says_what_was_run(study):
    lines = printed(study, 100).splitlines()
    assert lines[0] == "storm  Made by hand."
    assert lines[1] == (
        f"2 replications of 10.0 s after 1.00 s of warm-up; fingerprint {study.fingerprint[:16]}"
    )
    assert lines[3].rstrip() == (
        "documented  400 attempts, 124 refused, 120 executions completed (6.00 per s), 2.02 attempts per"
    )


def test_at_a_hundred_columns_there_are_two_tables_with_the_names_of_the_engine(study):
    frequency, recovery = row(printed(study, 100), CONFLICT)
    assert frequency == [CONFLICT, "120", "300", "6.00", "6.00", "to", "6.00"]
    assert recovery == [CONFLICT, "120", "0", "0", "0", "30.0", "ms", "54.0", "ms", "too", "few"]


def test_at_eighty_columns_kinds_have_their_short_labels(study):
    text = printed(study, 80)
    assert len(row(text, "lease conflict")) == 2
    assert len(row(text, "waitpoint pending")) == 2
    assert row(text, CONFLICT) == []


def test_where_there_is_room_it_is_one_table(study):
    (line,) = row(printed(study, 160), CONFLICT)
    assert line[1:7] == ["120", "300", "6.00", "6.00", "to", "6.00"]
    assert line[7:] == ["120", "0", "0", "0", "30.0", "ms", "54.0", "ms", "too", "few"]


def test_few_events_are_marked_as_poisson(study):
    (frequency,) = row(printed(study, 100), "no_active_lease")
    assert frequency == ["no_active_lease", "2", "5.00", "0.100", "0.0121", "to", "0.361", "p"]


def test_what_has_no_episode_has_dashes_in_the_wide_table(study):
    (line,) = row(printed(study, 160), "no_active_lease")
    assert line[-7:] == ["-"] * 7


def test_only_competing_ends_have_counts_and_no_quantiles(study):
    _, recovery = row(printed(study, 100), LONGEST)
    assert recovery == [LONGEST, "0", "0", "2", "0", "-", "-", "-"]


def test_kinds_that_were_not_seen_are_named_with_their_bound(study):
    text = " ".join(printed(study, 100).split())
    assert "Not seen (so below 0.150 per s): use_claim_resumed_execution, not_a_resumed_execution," in text
    assert "retry_exhausted Warm-up:" in text


def test_the_pairs_that_contended_most_are_told_with_their_race_window(tmp_path):
    build = Builder()
    for number in range(10):
        told = {"rival_actor": "operator/3", "rival_op": "revoke_lease", "rival_age_us": number * MS}
        build.contention(CONFLICT, S, **told)
    build.contention(CONFLICT, S, rival_actor="worker/1", rival_op="claim_execution", rival_age_us=5)
    build.contention("no_eligible_execution", S)
    text = printed(write_study(tmp_path, [build.run()]), 80)
    assert row(text, "worker ") == [
        ["worker", "operator", "10", "83.3%", "4.00", "ms"],
        ["worker", "worker", "1", "8.3%", "too", "few"],
    ]
    assert "No rival known: 1 (8.3%)" in text


def test_without_rivals_there_is_no_table_of_them(study):
    assert "because of" not in printed(study, 100).split("How to read")[0]


def test_the_place_of_the_files_is_one_line_that_can_be_copied(study):
    assert printed(study, 60).splitlines()[-1] == f"Files: {study.directory}"


def test_a_pipe_gets_no_escape_codes_and_a_terminal_does(study):
    assert "\x1b" not in printed(study, 100)
    assert "\x1b" in printed(study, 100, force_terminal=True, color_system="truecolor")


def test_where_there_is_only_ascii_it_is_ascii(tmp_path):
    study = write_study(tmp_path, [made(0)])
    study.document["scenario"]["about"] = "Größe → [bold]x[/bold]"
    text = printed(study, 100, encoding="ascii")
    assert text.splitlines()[0] == "handmade  Gr??e ? [bold]x[/bold]"
    assert text.isascii()


def test_a_study_without_contention_is_a_short_report(tmp_path):
    text = printed(write_study(tmp_path, [Builder().run()]), 100)
    assert "1 replication of 10.0 s; fingerprint" in text
    assert "documented  0 attempts, 0 refused, 0 executions completed (0 per s)" in text
    assert "Not seen (so below 0.300 per s)" in text


def test_a_pipe_is_a_hundred_columns_wide_unless_told(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console.make_console().width == 100
    monkeypatch.setenv("COLUMNS", "140")
    assert console.make_console().width == 140


# --- comparison -----------------------------------------------------------------------------------


def arm(name, replication, completed, conflicts):
    build = Builder(name, replication)
    for number in range(completed):
        build.execution(S, (2 + number % 3) * S)
    for number in range(conflicts):
        build.contention(CONFLICT, S, build.intent(S, S + (number + 1) * MS, attempts=2))
    build.attempt(count=300 - conflicts)
    return build.run()


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """Patient completes eight more in every run but one; twin does as documented does."""
    done = (50, 54, 52, 57, 49, 55)
    runs = [arm("documented", r, count, 20 + r) for r, count in enumerate(done)]
    runs += [arm("patient", r, count + 8 + r % 2, 40 + r + r % 3) for r, count in enumerate(done)]
    runs += [arm("twin", r, count, 20 + r) for r, count in enumerate(done)]
    return write_study(tmp_path_factory.mktemp("out"), runs, name="storm")


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_comparison_fits_the_terminal(comparison, width):
    text = printed(comparison, width)
    assert max(len(line) for line in text.splitlines() if not line.startswith("Files:")) <= width


def test_a_comparison_has_effects_with_a_star_where_they_are_shown(comparison):
    text = printed(comparison, 120).split("Compared with documented")[1]
    assert row(text, "completed ") == [["completed", "52.8", "+16.1%*", "="]]
    assert row(text, "fairness ") == [["fairness", "-", "-", "-"]]
    (frequency, recovery) = row(text, f"{CONFLICT} ")
    assert frequency == [CONFLICT, "2.25", "per", "s", "+93.3%*", "="]
    assert recovery == [CONFLICT, "12.0", "ms", "+83.3%*", "="]


def test_a_comparison_is_told_in_words(comparison):
    text = " ".join(printed(comparison, 120).split("Compared with documented")[1].split())
    assert "- patient completes 16.1 % more, 95 % interval" in text
    assert f"- patient meets {CONFLICT} 93.3 % more often, 95 % interval" in text
    assert f"- patient: recovery of {CONFLICT} (median) 1.83 times slower, 95 % interval" in text
    assert "- equal in every replication: completed, attempts, contentions" in text


def test_work_is_set_against_time_without_a_score(comparison):
    text = " ".join(printed(comparison, 120).split("Work against time")[1].split())
    assert "patient 61.3 300 2.00 1.99 s 3.00 s" in text
    assert "- attempts against mean sojourn: no other arm is better in both than documented, twin -" in text


def test_the_warmup_is_advised_once_for_arms_alike(comparison):
    (line,) = [line for line in printed(comparison, 120).splitlines() if line.startswith("Warm-up")]
    advised = "MSER-5 advises 4.00 s (documented, patient, twin); the scenario leaves out 0 s"
    assert line == f"Warm-up: {advised}"
