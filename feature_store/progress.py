"""How long work tells whoever watches how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done, and how much there is (None: not known)."""


def silent(what: str, done: int, total: int | None) -> None:
    """Report to nobody."""
