"""Executes the notebooks and writes them back with their outputs: ``python -m tests.notebooks [NAME ...]``.

A notebook runs in its own folder, as it does in Jupyter, and writes below ``../results``. What is written
back holds no time of day and no version: the same code gives the same file.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SECONDS_AT_MOST = 600
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
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    notebook.metadata = nbformat.from_dict(_METADATA)
    return notebook


def main(names=()):
    """Execute the named notebooks, or all, in place."""
    for path in paths():
        if not names or path.stem in names:
            nbformat.write(execute(read(path), path.parent), path)
            print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
