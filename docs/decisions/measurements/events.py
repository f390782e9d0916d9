"""How many events one worker with one store takes in, and what each costs.

`python docs/decisions/measurements/events.py [SECONDS]`: events a second by `POST /v1/events`, of 20,000
customers in turn, in lists of 100 and one by one from 16 connections, with the processor time of the worker
and of the store for each event. Then microseconds of the store for an event of a customer with much history
and with little.
"""

import asyncio
import itertools
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import uvloop
import yaml

from feature_store.embedded import EmbeddedStore
from feature_store.event import Event
from feature_store.schema import FeatureSchema
from feature_store.store import CustomerStore, connect
from loadtests.bench.worlds import run
from loadtests.cores import cpu_seconds, pinned, two_cores
from loadtests.server import arbiter, free_port

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
CUSTOMERS = 20_000
CONNECTIONS = 16
CUSTOMERS_EACH = 50
AGGREGATES = {
    "views_30m": {"kind": "count", "event": "page_view", "window": "30m"},
    "product_views_7d": {"kind": "count", "event": "page_view", "where": {"kind": "product"}, "window": "7d"},
    "products_30d": {"kind": "distinct", "event": "page_view", "property": "sku", "window": "30d"},
    "engagement": {"kind": "decayed", "event": "page_view", "half_life": "3d"},
    "hours_since_visit": {"kind": "recency", "event": ["page_view", "order"], "unit": "h"},
    "spent_90d": {"kind": "sum", "event": "order", "property": "revenue", "window": "90d"},
}


def event(number: int) -> dict[str, object]:
    """The event of a number: nine views, and an order."""
    order = number % 10 == 9
    return {
        "message_id": f"m{os.getpid()}-{number}",
        "type": "track",
        "event": "order" if order else "page_view",
        "customer_id": f"c{number * 7919 % CUSTOMERS}",
        "properties": {"revenue": 19.9} if order else {"kind": "product", "sku": f"s{number % 500}"},
    }


def request(body: object) -> bytes:
    """A call, as it is sent."""
    packed = json.dumps(body).encode()
    head = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    return head + b"content-length: %d\r\n\r\n%b" % (len(packed), packed)


async def ask(port: int, bodies: "itertools.count[int]", size: int, until: float) -> int:
    """Send calls over one connection, one after the other, again where the store was too slow for one; how
    many events were acknowledged."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = 0
    while time.perf_counter() < until:
        events = [event(next(bodies)) for _ in range(size)]
        answer: dict[str, int] = {}
        while "accepted" not in answer:
            writer.write(request(events if size > 1 else events[0]))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            answer = json.loads(await reader.readexactly(length))
        taken += answer["accepted"] + answer["duplicates"]
    writer.close()
    return taken


async def load(port: int, bodies: "itertools.count[int]", size: int) -> int:
    """All connections at once."""
    until = time.perf_counter() + SECONDS
    return sum(await asyncio.gather(*(ask(port, bodies, size, until) for _ in range(CONNECTIONS))))


async def by_history(url: str, schema: FeatureSchema, server: int) -> None:
    """What an event costs the store, by how much the customer has done before: one event of each of some in
    a round trip."""
    store, now = CustomerStore(connect(url, timeout=30), schema), time.time()

    def made(customer: str, number: int) -> Event:
        properties = {"kind": "product", "sku": f"s{number % 50}"}
        at = now - number * 997 % (30 * 86_400)
        return Event(message_id=f"{customer}-{number}", type="track", event="page_view", customer_id=customer,
                     properties=properties, occurred_at=at, received_at=now)  # fmt: skip

    for before in (0, 30, 300):
        customers = [f"with-{before}-{number}" for number in range(CUSTOMERS_EACH)]
        for customer in customers:
            await store.events.apply([made(customer, number) for number in range(before)], now)
        cpu = cpu_seconds(server)
        for number in range(before, before + 30):
            await store.events.apply([made(customer, number) for customer in customers], now)
        cpu = (cpu_seconds(server) - cpu) / 30 / len(customers)
        sys.stdout.write(f"after {before:3} events: {cpu * 1e6:4.0f} us of the store for each\n")
    await store.close()


def with_aggregates(world: Path) -> Path:
    """The world, with aggregates in its features.yaml."""
    path = world / "features.yaml"
    features = yaml.safe_load(path.read_text())
    for name, aggregate in AGGREGATES.items():
        said = {"type": "number", "source": "behaviour", "description": "Of events", "aggregate": aggregate}
        features["features"][name] = said
    path.write_text(yaml.safe_dump(features, sort_keys=False))
    return world


def main() -> None:
    """All phases, with a store and a worker of their own."""
    server_core, load_core = two_cores() or (None, None)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="arbiter-events-")))
        run("world", str(folder / "world"), "--actions", "10", "--customers", "300", "--decisions", "20000")
        run("train", str(folder / "world"))
        world = with_aggregates(folder / "world")
        stack.enter_context(pinned(load_core))
        store = stack.enter_context(EmbeddedStore(folder / "store"))
        store_pid = int((folder / "store" / "store.pid").read_text())
        serve = ("serve", str(world), "--redis-url", store.url)
        with pinned(server_core):
            server = stack.enter_context(
                arbiter(*serve, data=folder / "data", log=folder / "service.log", port=free_port())
            )
        port, bodies = int(server.url.rpartition(":")[2]), itertools.count()
        for name, size in (("lists of 100", 100), ("one by one", 1)):
            cpu, stored = cpu_seconds(server.pid), cpu_seconds(store_pid)
            taken = uvloop.run(load(port, bodies, size))
            cpu, stored = cpu_seconds(server.pid) - cpu, cpu_seconds(store_pid) - stored
            sys.stdout.write(
                f"{name:>12}: {taken / SECONDS:7,.0f} events/s; each takes "
                f"{cpu / taken * 1e6:4.0f} us of the worker and {stored / taken * 1e6:4.0f} us of the store\n"
            )
        uvloop.run(by_history(store.url, FeatureSchema.load(world / "features.yaml"), store_pid))


if __name__ == "__main__":
    main()
