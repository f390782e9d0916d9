"""The record of who became champion when, and why: a line of JSON for each, in the model's folder."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from models.errors import ModelError

PROMOTIONS = "promotions.jsonl"


class How(StrEnum):
    """How a version became champion."""

    TRAINED = "trained"
    """The gate let it pass."""
    FORCED = "forced"
    """The gate did not, and somebody wanted it all the same."""
    IMPORTED = "imported"
    PROMOTED = "promoted"
    """Somebody has named it."""
    ROLLED_BACK = "rolled_back"


class Promotion(BaseModel):
    """One change of the champion; `replaced` is the version before, None for the first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    version: str
    replaced: str | None
    how: How


def read_promotions(path: Path) -> list[Promotion]:
    """All of a file, the oldest first; none where there is no file.

    Raises:
        ModelError: a line of it is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} can't be read: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Promotion.model_validate_json(line))
        except ValidationError as error:
            raise ModelError(f"{path}:{number}: not a promotion: take the line out") from error
    return found


def before(promotions: Sequence[Promotion], champion: str) -> str | None:
    """The version that a champion has replaced when it was promoted; going back is no promotion, so that
    going back twice goes further back."""
    for promotion in reversed(promotions):
        if promotion.version == champion and promotion.how is not How.ROLLED_BACK:
            return promotion.replaced
    return None
