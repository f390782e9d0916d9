"""Feast's online store in Redis, read inside FastAPI, with one LightGBM prediction for each model.

python -m loadtests.peers.feast_app REPOSITORY PORT
Guide: https://docs.feast.dev/how-to-guides/feast-snowflake-gcp-aws/read-features-from-the-online-store
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from feast import FeatureStore

from loadtests.peers.feast_repository import VIEW, field_names
from loadtests.peers.wire import DecisionRequest
from loadtests.peers.work import load_work

work, store = load_work(), FeatureStore(repo_path=sys.argv[1])
fields = field_names(work)
asked = [f"{VIEW}:{field}" for field in fields.values()]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await store.initialize()
    yield
    await store.close()


app = FastAPI(lifespan=lifespan)


@app.post("/v1/decisions")
async def decide(request: DecisionRequest) -> dict[str, Any]:
    """Read with Feast's SDK, then score and rank."""
    read = await store.get_online_features_async(
        features=asked, entity_rows=[{"customer_id": request.customer_id}]
    )
    values = {field: found[0] for field, found in read.to_dict().items()}
    stored = {name: values[field] for name, field in fields.items() if values[field] is not None}
    [answer] = work.decide([request.model_dump()], [work.customer(stored, request.context)])
    return answer


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    """So that it can be waited for."""
    return {"status": "ready"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=False, log_level="warning")
