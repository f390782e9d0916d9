"""What is stored but can't be read degrades the decisions of that customer alone."""

import asyncio
from typing import Any

import httpx
import numpy as np

from feature_store.codec import Codec
from feature_store.embedded import EmbeddedStore
from feature_store.schema import FeatureSchema, Source
from feature_store.store import connect

from .conftest import metric


def test_a_vector_of_an_unknown_schema_degrades_its_customer_and_no_other(
    client: httpx.Client, world_store: EmbeddedStore
) -> None:
    stranger = FeatureSchema.from_definition([{"name": "other", "type": "number", "source": "profile"}])
    [vector] = Codec(stranger, Source.PROFILE).encode(np.array([[5.0]]), 1.0)

    async def write() -> None:
        store = connect(world_store.url)
        await store.run([("HSET", "arb:{stranger-1}", "p", vector)])
        await store.close()

    asyncio.run(write())
    errors = metric(client, "arbiter_store_errors_total", operation="read")
    requests: list[dict[str, Any]] = [
        {"customer_id": name, "channel": "web"} for name in ("stranger-1", "c1")
    ]
    first, second = client.post("/v1/decisions/batch", json={"requests": requests}).json()["decisions"]
    assert (first["mode"], first["degraded"]) == ("degraded", ["features:incomplete"])
    assert (second["mode"], second["degraded"]) == ("full", [])
    assert metric(client, "arbiter_store_errors_total", operation="read") == errors + 1
