"""What checks are made of: an operation as they see it, the account of it, and how one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sim.record import NONE
from sim.units import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sim.checks.checks import Checks
    from sim.store import Store
    from sim.store.outcome import Outcome


class Deed(NamedTuple):
    """An operation as it took effect at the store."""

    at_us: int
    actor: str
    op: str
    arguments: tuple[Any, ...]
    code: str
    execution: int

    def __str__(self) -> str:
        given = ", ".join(map(str, self.arguments))
        return f"{seconds(self.at_us)}  {self.actor}  {self.op}({given}): {self.code}"


class CheckFailed(Exception):  # noqa: N818 - the name says what happened
    """Something happened that must not.

    Attributes
    ----------
    check : str
        The name of the check.
    records : tuple of str
        What was done last to the execution that it is about, the latest last.
    arm, replication : str, int
        The run that it happened in, once that is known.
    """

    def __init__(
        self, check: str, message: str, records: Sequence[str] = (), arm: str = "", replication: int = 0
    ) -> None:
        # All of it, so that it can be sent to another process.
        super().__init__(check, message, tuple(records), arm, replication)
        self.check = check
        self.message = message
        self.records = tuple(records)
        self.arm = arm
        self.replication = replication

    def of_run(self, arm: str, replication: int) -> CheckFailed:
        """Give it with the run that it happened in."""
        message = f"{self.message} ({arm}, replication {replication})"
        return CheckFailed(self.check, message, self.records, arm, replication)

    def __str__(self) -> str:
        told = [f"    {record}" for record in self.records]
        return "\n".join([f"{self.message} [{self.check}]", *told])


def seconds(at_us: int) -> str:
    """Write an instant as messages do: ``81.234000 s``."""
    return f"{at_us / US_PER_S:.6f} s"


class Step(NamedTuple):
    """One operation, as the checks see it.

    Attributes
    ----------
    at_us, now_ms : int
        When it took effect; the store's clock then.
    actor : int
        Whose it is.
    op : str
    given : Mapping[str, Any]
        Its arguments, by name; those left to their defaults are missing.
    store : Store
        The partition, after it.
    outcome : Outcome
    execution : int
        What it is about; NONE where it is about none.
    """

    at_us: int
    now_ms: int
    actor: int
    op: str
    given: Mapping[str, Any]
    store: Store
    outcome: Outcome
    execution: int


class Check:
    """One invariant.

    Parameters
    ----------
    checks
        Who asks, and who knows the names of actors.
    """

    name: str

    def __init__(self, checks: Checks) -> None:
        self.checks = checks

    def after(self, step: Step) -> None:
        """Look at an operation that has taken effect."""

    def fail(self, message: str, execution: int = NONE) -> None:
        """End the run."""
        raise CheckFailed(self.name, message, self.checks.records_of(execution))
