"""Ray Serve: a FastAPI ingress whose scoring is batched by `@serve.batch`.

python -m loadtests.peers.ray_app PORT
Guide: https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html
"""

import signal
import sys
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from redis.asyncio import Redis

from loadtests.peers.wire import DecisionRequest
from loadtests.peers.work import key, load_work, parsed, store_url

app = FastAPI()


@serve.deployment(max_ongoing_requests=128, ray_actor_options={"num_cpus": 1})
@serve.ingress(app)
class Decisions:
    """Whatever has come within the wait is read and scored together."""

    def __init__(self) -> None:
        self.work, self.redis = load_work(), Redis.from_url(store_url())

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.005)
    async def together(self, requests: list[DecisionRequest]) -> list[dict[str, Any]]:
        stored = await self.redis.mget([key(request.customer_id) for request in requests])
        pairs = zip(requests, stored, strict=True)
        customers = [self.work.customer(parsed(text), request.context) for request, text in pairs]
        return self.work.decide([request.model_dump() for request in requests], customers)

    @app.post("/v1/decisions")
    async def decide(self, request: DecisionRequest) -> dict[str, Any]:
        return await self.together(request)

    @app.get("/health/ready")
    async def ready(self) -> dict[str, str]:
        return {"status": "ready"}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, logging_level="WARNING")
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])},
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    serve.run(Decisions.bind())  # type: ignore[attr-defined]
    signal.sigwait([signal.SIGINT, signal.SIGTERM])
    serve.shutdown()
    ray.shutdown()
