"""MLServer: an inference runtime of one's own; adaptive batching is a setting of the model.

`mlserver start FOLDER` on the settings of `fleet.py`.
Guide: https://mlserver.readthedocs.io/en/latest/user-guide/adaptive-batching.html
"""

import json
from typing import Any

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from redis.asyncio import Redis

from loadtests.peers.work import key, load_work, parsed, store_url


class Decisions(MLModel):
    """Takes and gives JSON texts, one for each request, by the V2 protocol."""

    async def load(self) -> bool:
        self.work, self.redis = load_work(), Redis.from_url(store_url())
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        requests: list[dict[str, Any]] = [
            json.loads(text) for text in StringCodec.decode_input(payload.inputs[0])
        ]
        stored = await self.redis.mget([key(request["customer_id"]) for request in requests])
        pairs = zip(requests, stored, strict=True)
        customers = [self.work.customer(parsed(text), request["context"]) for request, text in pairs]
        answers = [json.dumps(answer) for answer in self.work.decide(requests, customers)]
        output = StringCodec.encode_output("decision", answers, use_bytes=False)
        return InferenceResponse(model_name=self.name, outputs=[output])
