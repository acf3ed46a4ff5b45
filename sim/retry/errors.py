"""What is wrong with a policy, where in it, and what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.schema import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


class PolicyError(ValueError):
    """A mistake in a policy.

    Parameters
    ----------
    message
        What is wrong and, in brackets, what would be right.
    path
        The keys that lead to it from the top of the policy.
    """

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message, *path)
        self.message = message
        self.path = path

    def within(self, *outer: str) -> PolicyError:
        """Give the same mistake, seen from further up."""
        return PolicyError(self.message, *outer, *self.path)

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.message}" if self.path else self.message


def explained(error: ValidationError, keys: Iterable[str]) -> PolicyError:
    """Turn the first mistake that pydantic found into one that a user can act on.

    Parameters
    ----------
    error
        What pydantic says.
    keys
        The legal keys at the top of the policy, to suggest one for a mistyped key there.
    """
    first = error.errors(include_url=False)[0]
    path = tuple(str(step) for step in first["loc"])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, PolicyError):
        return cause.within(*path)
    return PolicyError(_message(first, keys if len(path) == 1 else ()), *path)


def _message(error: ErrorDetails, keys: Iterable[str]) -> str:
    if error["type"] == "extra_forbidden":
        hint = f" ({suggest(error['loc'][-1], keys)})" if keys else ""
        return f"unknown key{hint}"
    if error["type"] == "missing":
        return "is missing"
    return error["msg"].removeprefix("Value error, ")
