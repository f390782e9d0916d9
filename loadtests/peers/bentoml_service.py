"""BentoML: one service, and one that leaves the scoring to a service with a batchable endpoint.

`bentoml serve loadtests.peers.bentoml_service:Decisions`, or `...:BatchedDecisions`.
Guides: https://docs.bentoml.com/en/latest/build-with-bentoml/services.html and
https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html
"""

from typing import Any

import bentoml
from redis.asyncio import Redis

from loadtests.peers.wire import DecisionRequest
from loadtests.peers.work import key, load_work, parsed, store_url


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Decisions:
    """Reads and scores one request at a time."""

    def __init__(self) -> None:
        self.work, self.redis = load_work(), Redis.from_url(store_url())

    @bentoml.api(route="/v1/decisions")
    async def decide(self, request: DecisionRequest, /) -> dict[str, Any]:
        stored = parsed(await self.redis.get(key(request.customer_id)))
        [answer] = self.work.decide([request.model_dump()], [self.work.customer(stored, request.context)])
        return answer


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Scoring:
    """The models by themselves; BentoML gathers the requests."""

    def __init__(self) -> None:
        self.work = load_work()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def decide(self, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        requests = [one["request"] for one in asked]
        customers = [self.work.customer(one["stored"], one["request"]["context"]) for one in asked]
        return self.work.decide(requests, customers)


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class BatchedDecisions:
    """Reads the features, and asks the scoring service."""

    scoring = bentoml.depends(Scoring)

    def __init__(self) -> None:
        self.redis = Redis.from_url(store_url())

    @bentoml.api(route="/v1/decisions")
    async def decide(self, request: DecisionRequest, /) -> dict[str, Any]:
        stored = parsed(await self.redis.get(key(request.customer_id)))
        [answer] = await self.scoring.to_async.decide([{"request": request.model_dump(), "stored": stored}])
        return answer
