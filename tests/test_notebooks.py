"""The notebooks run from top to bottom, say what their committed outputs say, and stay small."""

import ast
import re
import shutil

import pytest

from tests import notebooks

MOST_CELLS = 24
MOST_BYTES = 1_000_000
IMPORTS = {"matplotlib", "pandas", "pathlib", "sim"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|tmp|usr|var|opt|work|Users|private)/|[A-Z]:\\\\")
PATHS = notebooks.paths()
IDS = [path.stem for path in PATHS]

each = pytest.mark.parametrize("path", PATHS, ids=IDS)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    """What a reader sees, as text: a list an output; a picture is there or not."""
    return [[words(output) for output in cell.outputs] for cell in code_cells(notebook)]


def words(output):
    if output.output_type == "stream":
        return output.name, output.text
    picture = "image/png" in output.data
    return output.output_type, "picture" if picture else output.data["text/plain"]


def imports(source):
    """The packages that the code of a cell imports; lines for IPython are no Python."""
    code = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).split(".")[0]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where a notebook finds what it reads, and writes; what its kernel writes goes there too."""
    monkeypatch.setenv("PYTHONPATH", str(notebooks.ROOT))
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return notebooks.make_place(tmp_path)


@each
def test_a_notebook_runs_and_says_what_its_committed_outputs_say(path, place):
    """The words of its answer stand for numbers: where these change, ``make notebooks`` and read it again."""
    committed = notebooks.read(path)
    copy = notebooks.read(shutil.copy(path, place))
    code_cells(copy)[
        0
    ].source = f"import warnings; warnings.simplefilter('error')\n{code_cells(copy)[0].source}"
    executed = notebooks.execute(copy, place)
    assert outputs(executed) == outputs(committed)


@each
def test_a_notebook_asks_first_and_answers_last(path):
    cells = notebooks.read(path).cells
    first, last = cells[0], cells[-1]
    assert first.cell_type == last.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert first.source.splitlines()[0].endswith("?")
    assert last.source.startswith("## Answer\n")
    assert len(cells) <= MOST_CELLS


@each
def test_a_notebook_imports_the_simulator_and_what_shows_tables(path):
    for cell in code_cells(notebooks.read(path)):
        assert set(imports(cell.source)) <= IMPORTS


@each
def test_a_notebook_is_committed_as_executed_in_one_go(path):
    """Every cell was executed, in order, once; no error, nothing on standard error, at least one picture."""
    cells = code_cells(notebooks.read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    seen = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in seen} <= {"display_data", "execute_result", "stream"}
    assert "stderr" not in {output.get("name") for output in seen}
    assert any("image/png" in output.get("data", {}) for output in seen)


@each
def test_a_notebook_holds_no_path_of_a_machine_and_is_small(path):
    text = path.read_text("utf-8")
    without_pictures = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not MACHINE_PATH.search(without_pictures)
    assert len(text.encode()) < MOST_BYTES


def test_there_are_seven():
    assert [name[:2] for name in IDS] == [f"0{number}" for number in range(1, 8)]
