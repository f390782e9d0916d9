"""The yardstick: a FastAPI endpoint with a pydantic body and response model that does no work at all.

python -m loadtests.bare PORT WORKERS
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Placement(BaseModel):
    id: str
    limit: int = 1


class Question(BaseModel):
    customer_id: str
    channel: str
    placements: list[Placement] = []
    context: dict[str, Any] = {}


class Answer(BaseModel):
    customer_id: str
    channel: str
    actions: list[str]


@app.post("/v1/decisions")
async def decide(question: Question) -> Answer:
    """The same answer for everybody."""
    return Answer(
        customer_id=question.customer_id, channel=question.channel, actions=["first", "second", "third"]
    )


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    """So that it can be waited for."""
    return {"status": "ready"}


if __name__ == "__main__":
    uvicorn.run(
        "loadtests.bare:app",
        host="127.0.0.1",
        port=int(sys.argv[1]),
        workers=int(sys.argv[2]),
        access_log=False,
        log_level="warning",
    )
