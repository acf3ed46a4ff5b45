"""What is wrong with a policy, where in it, and what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.mistakes import UserMistake
from sim.schema import plain_message

if TYPE_CHECKING:
    from pydantic import ValidationError


class PolicyError(UserMistake, ValueError):
    """A mistake in a policy.

    Attributes
    ----------
    message : str
        What is wrong and, in brackets, what would be right.
    path : tuple of str
        The keys that lead to it from the top of the policy.
    """

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message, *path)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.message}" if self.path else self.message


def explained(error: ValidationError) -> PolicyError:
    """Turn the first mistake that pydantic found into one that a user can act on."""
    first = error.errors(include_url=False)[0]
    path = (str(step) for step in first["loc"] if step != "[key]")
    return PolicyError(plain_message(first), *path)
