"""Next best actions the usual way: FastAPI, redis-py, and one LightGBM prediction for each action.

python usual.py FOLDER REDIS_URL PORT
"""

import json
import math
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from redis.asyncio import Redis


class Placement(BaseModel):
    id: str
    limit: int = 1


class DecisionRequest(BaseModel):
    customer_id: str
    channel: str
    placements: list[Placement]
    context: dict[str, Any] = {}


class Offer(BaseModel):
    rank: int
    issue: str
    group: str
    action: str
    treatment: str
    propensity: float
    value: float
    priority: float
    content: dict[str, str]


class PlacementOffers(BaseModel):
    id: str
    actions: list[Offer]


class DecisionResponse(BaseModel):
    customer_id: str
    channel: str
    placements: list[PlacementOffers]


class Decider:
    """The catalogue, its models, and where customers are kept."""

    def __init__(self, folder: Path, redis: Redis) -> None:
        catalogue = json.loads((folder / "catalogue.json").read_text())
        self.features: list[str] = catalogue["features"]
        self.timestamps = set(catalogue["timestamps"])
        self.context: dict[str, list[str] | None] = catalogue["context"]
        self.actions: list[dict[str, Any]] = catalogue["actions"]
        self.models = {
            name: lightgbm.Booster(model_file=str(folder / f"{name}.txt")) for name in catalogue["models"]
        }
        self.redis = redis

    async def decide(self, request: DecisionRequest) -> DecisionResponse:
        """Score every action that the customer may have, and fill the placements with the best."""
        customer = await self.read(request.customer_id, request.context)
        row = np.array([customer.get(name, math.nan) for name in self.features] + [math.nan, math.nan])
        scored = []
        for action in self.actions:
            if all(holds(condition, customer) for condition in action["conditions"]):
                row[-2:] = action["codes"]
                propensity = float(self.models[action["model"]].predict(row.reshape(1, -1))[0])
                scored.append((propensity * action["value"], propensity, action))
        scored.sort(key=lambda entry: entry[0], reverse=True)
        placements = []
        for placement in request.placements:
            best, scored = scored[: placement.limit], scored[placement.limit :]
            offers = [offer(rank, *entry) for rank, entry in enumerate(best, 1)]
            placements.append(PlacementOffers(id=placement.id, actions=offers))
        return DecisionResponse(
            customer_id=request.customer_id, channel=request.channel, placements=placements
        )

    async def read(self, customer_id: str, context: dict[str, Any]) -> dict[str, float]:
        """What is known of the customer and of the moment, as numbers."""
        stored = await self.redis.get(f"features:{customer_id}")
        customer: dict[str, float] = json.loads(stored) if stored else {}
        now = time.time()
        for name in self.timestamps:
            if name in customer:
                customer[name] -= now
        for name, levels in self.context.items():
            if name in context:
                customer[name] = levels.index(context[name]) if levels else context[name]
        return customer


def holds(condition: dict[str, Any], customer: dict[str, float]) -> bool:
    """Whether a condition holds for a customer; one of whom nothing is known fulfils it."""
    value = customer.get(condition["column"])
    if value is None:
        return True
    if condition["operator"] == "above":
        return bool(value > condition["value"])
    return bool(value != condition["value"])


def offer(rank: int, priority: float, propensity: float, action: dict[str, Any]) -> Offer:
    """One of the actions that are returned."""
    return Offer(
        rank=rank,
        issue=action["issue"],
        group=action["group"],
        action=action["name"],
        treatment=action["treatment"],
        propensity=propensity,
        value=action["value"],
        priority=priority,
        content=action["content"],
    )


def create_app(folder: Path, redis_url: str) -> FastAPI:
    """The service over a catalogue and a store."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Redis.from_url(redis_url) as redis:
            app.state.decider = Decider(folder, redis)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/decisions")
    async def decide(request: DecisionRequest) -> DecisionResponse:
        decider: Decider = app.state.decider
        return await decider.decide(request)

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


if __name__ == "__main__":
    application = create_app(Path(sys.argv[1]), sys.argv[2])
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[3]), access_log=False, log_level="warning")
