"""`arbiter batch --source store`: outbound by what the store knows, and within what it counts."""

import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from feature_store.embedded import EmbeddedStore
from service.cli.main import app
from service.workspace.loading import Workspace
from tests.service.conftest import Serve, holding_customers

FILES: dict[str, Any] = {
    "features.yaml": {
        "features": {
            "tenure_months": {
                "type": "number",
                "source": "profile",
                "description": "Since the first contract",
            },
            "page": {"type": "category", "source": "context", "levels": ["a", "b"], "description": "Page"},
        }
    },
    "channels.yaml": {"channels": {"mail": {"direction": "outbound", "placements": {"letter": {}}}}},
    "models.yaml": {"models": {}},
    "actions/sales.yaml": {
        "issue": "sales",
        "groups": {
            "internet": {
                "actions": {
                    "fibre": {
                        "propensity": 0.9,
                        "eligibility": {"old_enough": "customer.tenure_months > 12.0"},
                        "treatments": {
                            "fibre_letter": {"channel": "mail", "content": {"say": "{price} EUR"}}
                        },
                        "offers": [{"name": "regular", "valid_for": "7d", "terms": {"price": "39.90"}}],
                    },
                    "dsl": {"propensity": 0.1, "treatments": {"dsl_letter": {"channel": "mail"}}},
                }
            }
        },
    },
}
Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    return tmp_path / "shop"


@pytest.fixture
def people() -> list[str]:
    """Customers of whom no other test has heard."""
    return [uuid.uuid4().hex for _ in range(12)]


@pytest.fixture
def run(folder: Path, tmp_path: Path, world_store: EmbeddedStore, people: list[str]) -> Run:
    """Runs the command for these people, and returns the rows of what it writes."""

    def command(*more: str, **columns: list[Any]) -> list[dict[str, Any]]:
        table = tmp_path / f"{uuid.uuid4().hex}.parquet"
        pq.write_table(pa.table({"customer_id": people, **columns}), table)
        out = table.with_suffix(".out.parquet")
        store = ("--source", "store", "--redis-url", world_store.url)
        result = CliRunner().invoke(app, ["batch", str(folder), str(table), str(out), *store, *more])
        assert result.exit_code == 0, result.output
        rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
        return rows

    return command


@pytest.fixture
def client(serve: Serve, folder: Path, people: list[str]) -> Iterator[httpx.Client]:
    """A service of the workspace over the same store, in which half of the people may have fibre."""
    with serve(workspace=folder) as client:
        for number, person in enumerate(people):
            profile = {"tenure_months": 24 if number % 2 else 6}
            assert client.put(f"/v1/customers/{person}", json={"profile": profile}).status_code == 204
        yield client


def policies(folder: Path, **content: Any) -> None:
    (folder / "policies.yaml").write_text(yaml.safe_dump(content))


def chosen(rows: list[dict[str, Any]]) -> list[str | None]:
    return [row["action"] for row in rows]


def ask(client: httpx.Client, person: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/decisions", json={"customer_id": person, "channel": "mail", **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_features_are_those_of_the_store(client: httpx.Client, run: Run) -> None:
    assert chosen(run()) == ["dsl", "fibre"] * 6
    assert chosen(run(tenure_months=[99.0] * 12)) == ["dsl", "fibre"] * 6, "the table has only context"


def test_answers_are_those_of_the_service_for_the_customers_of_the_world(
    world: Workspace, serve: Serve, tmp_path: Path, world_store: EmbeddedStore, customer_ids: list[str]
) -> None:
    out = tmp_path / "out.parquet"
    table = str(world.folder / "customers.parquet")
    store = ["--source", "store", "--redis-url", world_store.url]
    asked = ["--channel", "web", "--placement", "home_tiles"]
    result = CliRunner().invoke(app, ["batch", str(world.folder), table, str(out), *store, *asked])
    assert result.exit_code == 0, result.output
    rows = pq.read_table(out).to_pylist()
    with serve() as client:
        for number, customer in enumerate(customer_ids[:30]):
            request = {"customer_id": customer, "channel": "web", "placements": [{"id": "home_tiles"}]}
            (placement,) = client.post("/v1/decisions", json=request).json()["placements"]
            mine = rows[3 * number : 3 * number + 3]
            assert [row["customer_id"] for row in mine] == [customer] * 3
            assert [row["action"] for row in mine] == [action["action"] for action in placement["actions"]]


def test_an_offer_is_with_the_customer_before_the_answer_is_written(
    client: httpx.Client, run: Run, people: list[str]
) -> None:
    first = run()[1]
    assert (first["offer"], first["offer_terms"]) == ("regular", '{"price":"39.90"}')
    assert first["content"] == '{"say":"39.90 EUR"}'
    (kept,) = client.get(f"/v1/customers/{people[1]}").json()["offers"]
    assert kept["name"] == "regular"
    again = run()[1]
    assert again["offer_valid_until"] == first["offer_valid_until"], "what was promised is kept"
    (action,) = ask(client, people[1])["placements"][0]["actions"]
    assert action["offer"]["valid_until"] == kept["valid_until"]


def test_contacts_that_were_reported_count(
    client: httpx.Client, run: Run, folder: Path, people: list[str]
) -> None:
    (action,) = ask(client, people[1])["placements"][0]["actions"]
    body = {"token": action["token"], "outcome": "impression"}
    assert client.post("/v1/outcomes", json=body).status_code == 202
    cap = {"name": "once", "at_most": 1, "of": ["impression"], "within": "7d", "per": "action"}
    policies(folder, contact_policies={"caps": [{**cap, "without_history": "allow"}]})
    assert chosen(run()) == ["dsl", "dsl", "dsl", "fibre", *["dsl", "fibre"] * 4]


def test_a_contact_that_has_to_be_reserved_is_reserved_for_every_channel(
    client: httpx.Client, run: Run, folder: Path, people: list[str], serve: Serve
) -> None:
    cap = {"name": "once", "at_most": 1, "of": ["impression"], "within": "7d", "per": "everything"}
    policies(folder, contact_policies={"caps": [{**cap, "reserve": "1h", "without_history": "suppress"}]})
    assert chosen(run()) == ["dsl", "fibre"] * 6
    rows = run()
    assert chosen(rows) == [None] * 12
    assert {row["no_action_stage"] for row in rows} == {"contact_policy"}
    with serve(workspace=folder) as other:
        assert ask(other, people[0])["placements"][0]["actions"] == []


def test_whoever_is_in_the_table_twice_is_told_only_as_often_as_may_be(
    client: httpx.Client, run: Run, folder: Path, people: list[str]
) -> None:
    cap = {"name": "once", "at_most": 1, "of": ["impression"], "within": "7d", "per": "everything"}
    policies(folder, contact_policies={"caps": [{**cap, "reserve": "1h", "without_history": "suppress"}]})
    people[6:] = people[:6]
    rows = run()
    assert Counter(row["customer_id"] for row in rows if row["action"]) == dict.fromkeys(people[:6], 1)


def test_contacts_of_the_account_count_and_tokens_name_it(
    client: httpx.Client,
    run: Run,
    folder: Path,
    people: list[str],
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARBITER_DATA", str(tmp_path / "data"))
    cap = {"name": "house", "at_most": 1, "of": ["impression"], "within": "7d", "per": "everything"}
    policies(folder, contact_policies={"caps": [{**cap, "unit": "account", "without_history": "allow"}]})
    accounts = [f"home-of-{people[0]}"] * 4 + [None] * 8
    rows = run("--tokens", account_id=accounts)
    with serve(workspace=folder, data=tmp_path / "data") as other:
        body = {"token": rows[0]["token"], "outcome": "impression"}
        assert other.post("/v1/outcomes", json=body).status_code == 202
    assert chosen(run(account_id=accounts)) == [None] * 4 + ["dsl", "fibre"] * 4


def test_consent_that_was_denied_is_heeded(
    client: httpx.Client, run: Run, folder: Path, people: list[str], serve: Serve
) -> None:
    policies(folder, consent={"marketing": {"channels": ["mail"], "unknown": "granted"}})
    with serve(workspace=folder) as other:
        body = {"consents": {"marketing": {"mail": "denied"}}}
        assert other.put(f"/v1/customers/{people[3]}/consents", json=body).status_code == 204
    rows = run()
    assert [row["customer_id"] for row in rows if row["action"] is None] == [people[3]]


def test_a_volume_limit_is_used_up_and_never_exceeded(client: httpx.Client, run: Run, folder: Path) -> None:
    name = f"t{uuid.uuid4().hex}"
    limit = {"name": name, "at_most": 4, "per": "day", "action": "fibre"}
    policies(folder, volume_limits=[limit])
    assert chosen(run()) == ["dsl", "fibre"] * 4 + ["dsl"] * 4
    assert chosen(run()) == ["dsl"] * 12
    policies(folder, volume_limits=[{**limit, "at_most": 5}])
    assert Counter(chosen(run())) == {"dsl": 11, "fibre": 1}


def test_a_store_that_is_away_stops_the_run_and_what_is_done_is_kept(
    folder: Path, tmp_path: Path, world: Workspace
) -> None:
    out = tmp_path / "out.parquet"
    table = str(world.folder / "customers.parquet")
    away = ["--source", "store", "--redis-url", f"unix://{tmp_path}/nobody.sock"]
    result = CliRunner().invoke(app, ["batch", str(folder), table, str(out), *away])
    assert result.exit_code == 1
    assert "the store is away; the same command goes on from here" in result.output
    assert not out.exists()
    assert (tmp_path / "out.parquet.parts" / "order.json").exists()


def test_propensities_are_corrected_by_outcomes_as_those_of_the_service_are(
    world: Workspace, serve: Serve, tmp_path: Path, customer_ids: list[str]
) -> None:
    folder, asked = tmp_path / "following", customer_ids[:40]
    shutil.copytree(world.folder, folder)
    models = yaml.safe_load((folder / "models.yaml").read_text())
    for model in models["models"].values():
        model["adapts"] = {"half_life": 20, "prior": 5, "delay": 0}
    (folder / "models.yaml").write_text(yaml.safe_dump(models, sort_keys=False))
    pq.write_table(pa.table({"customer_id": asked}), tmp_path / "asked.parquet")
    with (
        holding_customers(world, tmp_path / "own-store") as store,
        serve(workspace=folder, redis_url=store.url) as client,
    ):

        def corrections() -> dict[str, float]:
            body = {"customer_id": asked[0], "channel": "email", "explain": "full", "dry_run": True}
            candidates = client.post("/v1/decisions", json=body).json()["explanation"]
            return {one["action"]: one["correction"] or 1.0 for one in candidates}

        for person in asked:  # the channel shows what it offers, and nobody responds
            answer = client.post("/v1/decisions", json={"customer_id": person, "channel": "email"})
            assert answer.status_code == 200, answer.text
        seen, deadline = corrections(), time.monotonic() + 30.0
        while time.monotonic() < deadline:
            time.sleep(2.5)  # a worker counts every second, so nothing is on its way any more
            before, seen = seen, corrections()
            if before == seen and min(seen.values()) < 0.999:
                break
        assert min(seen.values()) < 0.999
        words = ("batch", str(folder), str(tmp_path / "asked.parquet"), str(tmp_path / "out.parquet"))
        options = ("--source", "store", "--redis-url", store.url, "--channel", "email")
        result = CliRunner().invoke(app, [*words, *options])
        assert result.exit_code == 0, result.output
        body = {"channel": "email", "explain": "full", "dry_run": True}
        for row in pq.read_table(tmp_path / "out.parquet").to_pylist():
            if row["action"] is None:
                continue
            document = client.post("/v1/decisions", json=body | {"customer_id": row["customer_id"]}).json()
            [found] = [one for one in document["explanation"] if one["action"] == row["action"]]
            assert row["propensity"] == pytest.approx(found["propensity"], rel=1e-5)
