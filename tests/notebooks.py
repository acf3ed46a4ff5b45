"""Executes the notebooks and writes them back with their outputs: ``python -m tests.notebooks [NAME ...]``.

A notebook runs in a folder beside which lie a fresh ``results`` and all else that it reads, so that results
of earlier versions are not taken for today's. What is written back holds no time of day and no version: the
same code gives the same file.
"""

import base64
import io
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
SECONDS_AT_MOST = 600
COLOURS_AT_MOST = 128
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def paths():
    """Give the notebooks in the order of their names."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def read(path):
    """Read a notebook."""
    return nbformat.read(path, as_version=4)


def make_place(folder):
    """Make a folder for a notebook to run in, beside what it reads; give it."""
    place = folder / "notebooks"
    place.mkdir()
    (folder / "results").mkdir()
    (folder / "results" / "reference").symlink_to(ROOT / "results" / "reference")
    (folder / "tests").symlink_to(ROOT / "tests")
    return place


def execute(notebook, folder):
    """Execute a notebook from top to bottom in a kernel of its own; its outputs are put in."""
    client = NotebookClient(
        notebook,
        timeout=SECONDS_AT_MOST,
        kernel_name="python3",
        record_timing=False,
        shutdown_kernel="immediate",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    notebook.metadata = nbformat.from_dict(_METADATA)
    return notebook


def shrink_pictures(notebook):
    """Give the pictures a palette, which takes a third of the room and cannot be seen."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("RGB")
                small = io.BytesIO()
                picture.quantize(COLOURS_AT_MOST).save(small, "PNG", optimize=True)
                output.data["image/png"] = base64.b64encode(small.getvalue()).decode("ascii")
    return notebook


def main(names=()):
    """Execute the named notebooks, or all, in place."""
    for path in paths():
        if not names or path.stem in names:
            with tempfile.TemporaryDirectory() as folder:
                executed = execute(read(path), make_place(Path(folder)))
            nbformat.write(shrink_pictures(executed), path)
            print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
