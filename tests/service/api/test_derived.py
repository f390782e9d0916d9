"""Scores and segments in a real service: in rules, in the view of a customer, and as movements."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_store.embedded import EmbeddedStore
from feature_store.ingestion import load_customers
from feature_store.segments import LOG_FIELD, MOVEMENT_LOG, Movement, unpack_movements
from feature_store.store import CustomerStore, connect
from models.errors import PreloadRefused
from models.training import Growth
from models.workshop import train_workspace
from service.app import create_app
from service.settings import Settings
from service.workspace.loading import load_workspace
from tests.service.conftest import listening

FILES = {
    "features.yaml": """
features:
  age: {type: number, source: profile, default: 40, description: Age in years}
  spend: {type: number, source: profile, default: 0, description: EUR a month}
  page: {type: category, source: context, levels: [home, bill, help], description: Page}
  intent: {type: category, source: context, levels: [browse, pay, mend, other], description: What for}
  churn: {type: number, source: derived, model: churn, scale: 100, description: Percent}
  worth: {type: number, source: derived, model: worth, description: EUR}
  likely:
    type: category
    source: derived
    levels: [browse, pay, mend]
    model: intent
    unless: intent
    description: What for
  wants_help: {type: number, source: derived, model: intent, probability_of: mend, description: Probability}
  value:
    type: category
    source: derived
    levels: [top_20, others]
    shares: {of: worth, top: [20%]}
    description: By what a customer is worth
  standing:
    type: category
    source: derived
    levels: [to_save, at_risk, safe]
    default: safe
    description: Whom to care for
    segments:
      - {level: to_save, when: 'customer.churn > 50.0 && customer.value == "top_20"'}
      - {level: at_risk, when: customer.churn > 50.0}
""",
    "models.yaml": """
models:
  churn:
    learns: {file: labels.parquet, label: left, type: flag}
    features: [age]
    description: Who leaves
  worth:
    learns: {file: labels.parquet, label: margin, type: number}
    features: [spend, churn]
    description: What they are worth
  intent:
    learns: {file: labels.parquet, label: came_for, type: category, levels: [browse, pay, mend]}
    features: [page]
    description: What they come for
""",
    "channels.yaml": """
channels:
  web: {direction: inbound, placements: {home: {limit: 3}}}
""",
    "actions/all.yaml": """
issue: service
groups:
  all:
    actions:
      gift:
        title: A gift
        propensity: 0.1
        eligibility: 'customer.standing == "to_save"'
        treatments: {gift_web: {channel: web}}
      help:
        title: Help
        propensity: 0.1
        eligibility: 'customer.likely == "mend"'
        treatments: {help_web: {channel: web}}
      hello: {title: Hello, propensity: 0.1, treatments: {hello_web: {channel: web}}}
""",
}
ROWS = 3_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The young leave, who spends much is worth much, and the page tells what somebody comes for."""
    folder = tmp_path_factory.mktemp("scores")
    (folder / "actions").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    rng = np.random.default_rng(5)
    age, spend, page = rng.uniform(18, 90, ROWS), rng.uniform(0, 100, ROWS), rng.integers(0, 3, ROWS)
    labels = {
        "decided_at": pa.array(np.full(ROWS, 1_700_000_000), pa.timestamp("s", "UTC")),
        "age": age,
        "spend": spend,
        "page": np.array(["home", "bill", "help"])[page],
        "left": rng.random(ROWS) < 1 / (1 + np.exp((age - 40) / 4)),
        "margin": 10 * spend + rng.normal(0, 30, ROWS),
        "came_for": np.array(["browse", "pay", "mend"])[np.where(rng.random(ROWS) < 0.8, page, 0)],
    }
    pq.write_table(pa.table(labels), folder / "labels.parquet")
    people = {"customer_id": ["young-rich", "young-poor", "old"], "age": [20, 20, 70], "spend": [95, 10, 95]}
    pq.write_table(pa.table(people), folder / "customers.parquet")
    workspace = load_workspace(folder)
    assert workspace.derivations.models == ("churn", "intent", "worth")
    train_workspace(
        workspace.specs,
        workspace.schema,
        workspace.action_models,
        folder,
        workspace.registry,
        growth=Growth(leaves=7),
        derivations=workspace.derivations,
    )
    return folder


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Iterator[EmbeddedStore]:
    async def fill(url: str) -> None:
        workspace = load_workspace(folder)
        customers = CustomerStore(connect(url, timeout=30), workspace.schema)
        await load_customers(folder / "customers.parquet", workspace.schema, customers)
        await customers.close()

    with EmbeddedStore(tmp_path / "store") as server:
        asyncio.run(fill(server.url))
        yield server


Start = Callable[[], AbstractContextManager[httpx.Client]]


@pytest.fixture
def start(folder: Path, store: EmbeddedStore, tmp_path: Path) -> Start:
    """Starts a service of the workspace on that store."""

    @contextmanager
    def started() -> Iterator[httpx.Client]:
        settings = Settings(workspace=folder, redis_url=store.url, data=tmp_path / "data", deadline_ms=10_000)
        with listening(create_app(settings)) as url, httpx.Client(base_url=url, timeout=30) as client:
            yield client

    return started


def offered(client: httpx.Client, customer: str, **context: str) -> set[str]:
    body = {
        "customer_id": customer,
        "channel": "web",
        "placements": [{"id": "home", "limit": 3}],
        "context": context,
    }
    answer = client.post("/v1/decisions", json=body)
    assert answer.status_code == 200, answer.text
    return {action["action"] for action in answer.json()["placements"][0]["actions"]}


def derived(client: httpx.Client, customer: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/customers/{customer}").json()["derived"]
    return found


def logged(store: EmbeddedStore) -> list[Movement]:
    async def read() -> Any:
        client = connect(store.url, timeout=30)
        try:
            return (await client.run([("XRANGE", MOVEMENT_LOG, "-", "+")]))[0]
        finally:
            await client.close()

    entries = asyncio.run(read())
    return [
        movement
        for _, fields in entries
        for movement in unpack_movements(
            dict(zip(fields[::2], fields[1::2], strict=True))[LOG_FIELD.encode()]
        )
    ]


def test_rules_read_scores_and_segments(start: Start) -> None:
    with start() as client:
        assert offered(client, "young-rich") == {"gift", "hello"}
        assert offered(client, "young-poor") == {"hello"}
        assert offered(client, "old", page="help") == {"help", "hello"}
        assert offered(client, "old", page="bill") == {"hello"}


def test_what_the_channel_states_counts_more_than_what_is_predicted(start: Start) -> None:
    with start() as client:
        assert "help" in offered(client, "old", page="bill", intent="mend")
        assert "help" not in offered(client, "old", page="help", intent="pay")
        assert "help" not in offered(client, "old", page="help", intent="other")


def test_the_view_of_a_customer_has_scores_and_segments(start: Start) -> None:
    with start() as client:
        rich, old = derived(client, "young-rich"), derived(client, "old")
        assert rich["churn"] > 90
        assert old["churn"] < 10
        assert (rich["value"], rich["standing"]) == ("top_20", "to_save")
        assert (old["value"], old["standing"]) == ("top_20", "safe")
        assert derived(client, "young-poor")["standing"] == "at_risk"
        assert 800 < rich["worth"] < 1_050


def test_an_explanation_names_them(start: Start) -> None:
    with start() as client:
        body = {
            "customer_id": "old",
            "channel": "web",
            "placements": [{"id": "home", "limit": 3}],
            "explain": "full",
        }
        explained = client.post("/v1/decisions", json=body).text
        assert "customer.standing" in explained


def test_a_movement_is_counted_and_logged_once(start: Start, store: EmbeddedStore) -> None:
    with start() as one, start() as other:
        before = movements(one)
        offered(one, "young-rich")  # where somebody is first is no movement
    with start() as one, start() as other:
        assert one.put("/v1/customers/young-rich", json={"profile": {"age": 70}}).status_code == 204
        for _ in range(3):
            offered(one, "young-rich")
            offered(other, "young-rich")
    assert [(m.customer_key, m.segment, m.before, m.after) for m in logged(store)] == [
        ("young-rich", "standing", "to_save", "safe")
    ]
    with start() as one:
        assert movements(one) - before == 1


def test_who_was_erased_does_not_come_back_by_a_movement(start: Start) -> None:
    with start() as client:
        offered(client, "old")
        assert client.delete("/v1/customers/old").status_code == 204
    with start() as client:
        assert client.get("/v1/customers/old").status_code == 404


def movements(client: httpx.Client) -> float:
    """All that were counted in this process."""
    counted = re.findall(
        r"^arbiter_segment_movements_total\{.*\} (\S+)$", client.get("/metrics").text, re.MULTILINE
    )
    return sum(map(float, counted))


def test_a_model_that_is_missing_keeps_the_workspace_from_loading(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "actions").mkdir(parents=True)
    for name, text in FILES.items():
        (copy / name).write_text(text)
    with pytest.raises(PreloadRefused) as refused:
        load_workspace(copy).snapshot()
    assert {refusal.name for refusal in refused.value.refusals} == {"churn", "intent", "worth"}
