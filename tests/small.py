"""A claim storm of a moment: what a test needs that is about studies, not about what happens in them."""

from pathlib import Path

SMALL = (
    "horizon={warmup: 0s, run: 1s, drain: 500ms}",
    "workload.arrivals.burst.count=100",
    "workers.count=32",
    "expect={}",
)
"""Overrides of claim_storm: some hundred attempts a replication."""

FRAGILE = 'retry={class: "tests.fragile:Fragile", params: {of: 100}}'
"""With it, of five replications 2 and 4 fail."""


def arguments(*overrides):
    """Give the overrides as the command line takes them."""
    return [word for override in (*SMALL, *overrides) for word in ("--set", override)]


def files(folder):
    """Give the bytes of a folder's files by name, but those that tell of the machine."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name != "host.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
