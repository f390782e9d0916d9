"""What is wrong with a body, and how much of it is said."""

from dataclasses import dataclass

MOST_WARNINGS = 10
"""Of one kind in one answer: a request with thousands of unknown names costs no more than one with ten."""
LONGEST_SHOWN = 64
"""Characters of a client's own text that a warning repeats."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in one place of a body."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
