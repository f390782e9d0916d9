"""Requests as the peers that use pydantic declare them."""

from typing import Any

from pydantic import BaseModel


class Placement(BaseModel):
    id: str
    limit: int = 1


class DecisionRequest(BaseModel):
    customer_id: str
    channel: str
    placements: list[Placement]
    context: dict[str, Any] = {}
