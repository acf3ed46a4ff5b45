"""Where scenarios come from: files, and those that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sim.scenario.errors import ScenarioError
from sim.schema import suggest
from sim.units import quoted

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_FOLDERS: Final = (_PACKAGE / "_scenarios", _PACKAGE.parent / "scenarios")
"""Inside the package in a wheel, beside it in a checkout."""

STARTER: Final = Path(__file__).with_name("starter.yaml")


def shipped() -> dict[str, Path]:
    """Give the shipped files by name (``claim_storm``, ``kinds/lease_conflict``), sorted."""
    folder = next((each for each in _FOLDERS if each.is_dir()), None)
    if folder is None:
        return {}
    files = sorted(folder.rglob("*.yaml"))
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def find(path_or_name: str | Path) -> Path:
    """Give the file of a scenario: a path, or the name of one that ships.

    Raises
    ------
    ScenarioError
        When there is neither; the message names what was probably meant.
    """
    path, names = Path(path_or_name), shipped()
    try:
        if path.is_file():
            return path
        if path.is_dir() and str(path_or_name) not in names:
            raise ScenarioError([f"{path}: is a folder, not a scenario"])
    except OSError as error:
        raise ScenarioError([f"{quoted(str(path))}: cannot be read ({error.strerror})"]) from error
    if str(path_or_name) in names:
        return names[str(path_or_name)]
    name = path.as_posix().removeprefix("scenarios/").removesuffix(".yaml")
    raise ScenarioError(
        [f"{path}: there is no such file, and no scenario of that name ({suggest(name, names)})"]
    )


def starter() -> str:
    """Give the text of a commented scenario to start from."""
    return STARTER.read_text(encoding="utf-8")
