"""FastAPI and redis-py, with one LightGBM prediction for each model: the usual way, one step better.

python -m loadtests.peers.per_model PORT
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from redis.asyncio import Redis

from loadtests.peers.wire import DecisionRequest
from loadtests.peers.work import key, load_work, parsed, store_url

app = FastAPI()
work, redis = load_work(), Redis.from_url(store_url())


@app.post("/v1/decisions")
async def decide(request: DecisionRequest) -> dict[str, Any]:
    """Read, score and rank for one request."""
    stored = parsed(await redis.get(key(request.customer_id)))
    [answer] = work.decide([request.model_dump()], [work.customer(stored, request.context)])
    return answer


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    """So that it can be waited for."""
    return {"status": "ready"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
