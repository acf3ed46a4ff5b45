"""What all mistakes of a user's have in common: a message is all that the command line shows of them."""

from __future__ import annotations


class UserMistake(Exception):  # noqa: N818 - the name says whose error it is
    """Something a user gave cannot be used; the message says where, what is wrong and what would be right."""
