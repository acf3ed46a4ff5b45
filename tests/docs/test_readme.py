"""What the README says can be done: its commands are taken, its Python runs, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from sim.cli import app
from sim.replication import run
from sim.scenario import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")
COMMANDS = typer.main.get_command(app).commands
BLOCKS = "".join(re.findall(r"```\n(.*?)```", TEXT, re.S))
INLINE = re.findall(r"`(?:PYTHONPATH=\. )?(contention-sim [^`]*)`", TEXT)
TYPED = sorted({*INLINE, *re.findall(r"^contention-sim .*", BLOCKS, re.M)})
STUDY, POLICY = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.mark.parametrize("line", TYPED)
def test_every_command_is_one_that_the_program_takes(line):
    """Parsed as the program would; scenarios that are named can be loaded with what is set."""
    _, name, *arguments = shlex.split(line, comments=True)
    given = COMMANDS[name].make_context(name, arguments).params
    if "scenario" in given:
        load(ROOT / given["scenario"] if "/" in given["scenario"] else given["scenario"], given["set_"] or [])


def test_every_link_leads_somewhere():
    """Pictures, tables and chapters that are pointed at are there."""
    links = re.findall(r"\]\(([^)#]+)", TEXT)
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_study_in_python_runs(tmp_path, monkeypatch):
    """Shortened, it gives every table that it names."""
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(STUDY.replace("run=5s", "run=1s").replace("replications=3", "replications=2"), names)
    assert len(names["study"].frequency()) == 2 * 18


def test_the_policy_of_ones_own_runs(tmp_path, monkeypatch):
    """Saved as the module that is named, it decides what is done about refusals."""
    (tmp_path / "my_policies.py").write_text(POLICY, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    own = "retry={class: my_policies:Steps, params: {step_ms: 50}}"
    scenario = load("claim_storm", [own, "horizon.run=1s", "horizon.drain=1s"])
    contentions = run(scenario, "own", scenario.retry).contentions.to_pandas()
    assert len(contentions) > 100
    assert set(contentions["action"].dropna()) == {"retry"}
    first = contentions.loc[contentions["nth"] == 1, "delay_us"].dropna()
    assert first.nunique() > 10
    assert 40_000 < first.quantile(0.9) <= 50_000


def test_it_stays_readable():
    """Less than two hundred lines, and the first screen holds question, commands and picture."""
    lines = TEXT.splitlines()
    assert len(lines) < 200
    first = "\n".join(lines[:20])
    assert all(each in first for each in ("how often", "make run", "make test", "![", ".png"))
