"""Pieces of HTML: what is written is escaped here, and nowhere else."""

from __future__ import annotations

import base64
import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Cell(NamedTuple):
    """One cell of a table.

    Attributes
    ----------
    text : str
        What is shown.
    sort : float or str
        What it is sorted by; NaN for what is missing.
    colour : str
        A swatch before the words, if any.
    state : str
        A class, ``met`` or ``unmet``, if any.
    """

    text: str
    sort: float | str = math.nan
    colour: str = ""
    state: str = ""


def words(text: str, *, colour: str = "", state: str = "") -> Cell:
    """Make a cell of words, sorted by them."""
    return Cell(text, text, colour, state)


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], left: int = 1) -> str:
    """Write a table that sorts: a caption, column headings, and the first cell of each row as its heading.

    Parameters
    ----------
    caption
        What it shows, with units.
    heads
        Headings of the columns.
    rows
        The cells.
    left
        How many columns at the left are words.
    """
    classes = [' class="words"' if place < left else "" for place in range(len(heads))]
    head = "".join(
        f'<th scope="col"{kind}>{escape(text)}</th>' for kind, text in zip(classes, heads, strict=True)
    )
    body = "\n".join(f"<tr>{''.join(_cell(cell, place, left) for place, cell in enumerate(row))}</tr>"
                     for row in rows)  # fmt: skip
    label = escape(caption, quote=True)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">\n<table class="sortable">\n'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n"
        "</table>\n</div>"
    )


def _cell(cell: Cell, place: int, left: int) -> str:
    missing = isinstance(cell.sort, float) and math.isnan(cell.sort)
    sort = "" if missing else escape(str(cell.sort), quote=True)
    swatch = f'<span class="swatch" style="background:{cell.colour}"></span>' if cell.colour else ""
    text = escape(cell.text)
    inside = f'{swatch}<span class="{cell.state}">{text}</span>' if cell.state else swatch + text
    if place == 0:
        return f'<th scope="row" data-sort="{sort}">{inside}</th>'
    kind = ' class="words"' if place < left else ""
    return f'<td{kind} data-sort="{sort}">{inside}</td>'


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Write names and what stands for them."""
    rows = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<dl class="facts">\n{rows}\n</dl>'


def picture(path: Path, alt: str, caption: str) -> str:
    """Write a picture with its bytes inside, a description and a caption."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f'<figure>\n<div class="scroll"><img src="data:image/png;base64,{data}" '
        f'alt="{escape(alt, quote=True)}"></div>\n'
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
    )


def items(lines: Sequence[str]) -> str:
    """Write a list."""
    return "<ul>\n" + "\n".join(f"<li>{escape(line)}</li>" for line in lines) + "\n</ul>"


def fold(summary: str, inside: str) -> str:
    """Write what is shown on demand, and in print."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{inside}\n</details>"


def code(text: str) -> str:
    """Write text as it is, such as commands."""
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def section(identity: str, title: str, parts: Sequence[str]) -> str:
    """Write a section with its heading."""
    inside = "\n".join(part for part in parts if part)
    heading = f'<h2 id="{identity}-title">{escape(title)}</h2>'
    return f'<section id="{identity}" aria-labelledby="{identity}-title">\n{heading}\n{inside}\n</section>'
