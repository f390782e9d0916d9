"""What the shapes of all files are made of."""

from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

NAME = r"[a-z][a-z0-9_]{0,63}"
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Percent = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Probability = Annotated[float, Field(gt=0, le=1)]
Moment = AwareDatetime | date
ONE_DAY = 86_400.0


class Document(BaseModel):
    """Nothing is written in a workspace that nobody reads: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
