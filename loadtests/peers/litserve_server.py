"""LitServe, with and without batching.

python -m loadtests.peers.litserve_server PORT [MAX_BATCH]
Guide: https://lightning.ai/docs/litserve/features/batching
"""

import sys
from typing import Any

import litserve
from redis import Redis

from loadtests.peers.work import Customer, key, load_work, parsed, store_url

Asked = tuple[dict[str, Any], Customer]
WAIT = 0.005  # seconds for which a batch is gathered


class Decisions(litserve.LitAPI):
    """Reads one request at a time, and scores what has been gathered."""

    def setup(self, device: str) -> None:
        self.work, self.redis = load_work(), Redis.from_url(store_url())

    def decode_request(self, request: dict[str, Any]) -> Asked:
        stored = parsed(self.redis.get(key(request["customer_id"])))
        return request, self.work.customer(stored, request["context"])

    def batch(self, inputs: list[Asked]) -> list[Asked]:
        return inputs

    def predict(self, x: Any) -> Any:
        batch = x if isinstance(x, list) else [x]
        answers = self.work.decide([request for request, _ in batch], [customer for _, customer in batch])
        return answers if isinstance(x, list) else answers[0]

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    api = Decisions(max_batch_size=most, batch_timeout=WAIT if most > 1 else 0.0, api_path="/v1/decisions")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=False)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
