"""Executes the notebooks and writes them back with their outputs: ``python -m tests.notebooks [NAME ...]``.

A notebook runs in its own folder, as it does in Jupyter, and writes below ``../results``. What is written
back holds no time of day and no version: the same code gives the same file.
"""

import base64
import io
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
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
            nbformat.write(shrink_pictures(execute(read(path), path.parent)), path)
            print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
