"""The shape of a volume limit."""

from typing import Annotated, Literal

from pydantic import Field

from service.workspace.shapes.basics import Dated, Name, Scoped

MOST = 1_000_000_000


class VolumeLimitDocument(Scoped, Dated):
    """How often the covered actions are chosen in a period, across all customers and workers; a campaign has
    a start and an end."""

    name: Name
    description: str = ""
    at_most: Annotated[int, Field(ge=1, le=MOST)]
    per: Literal["hour", "day", "campaign"]
    pacing: Literal["even", "as_it_comes"] = "as_it_comes"
    timezone: str | None = None
    without_store: Literal["suppress", "allow"] = "suppress"
