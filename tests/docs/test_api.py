"""The calls of the API guide, made to a real service; and the offers that any page shows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.workspace.loading import load_workspace

from .markdown import Block, blocks, http_answer, http_request
from .matching import differences, offers


@pytest.fixture(scope="module")
def calls(root: Path) -> list[tuple[Block, Block]]:
    """Each request of the guide with the answer that follows it."""
    found = blocks(root / "docs" / "api.md", "http")
    return list(zip(found[::2], found[1::2], strict=True))


def first_token(answer: Any) -> str:
    return next((str(offer["token"]) for offer in offers(answer)), "")


def test_every_call_of_the_guide_is_answered_as_the_guide_shows(
    calls: list[tuple[Block, Block]], client: httpx.Client
) -> None:
    token = ""
    for asked, answered in calls:
        request, (status, shown) = http_request(asked.text), http_answer(answered.text)
        body = request.body.replace("TOKEN", token)
        headers = {"content-type": "application/json"} if body else {}
        answer = client.request(request.method, request.path, content=body, headers=headers)
        assert answer.status_code == status, f"{asked}: {answer.text}"
        real = answer.json() if answer.content else None
        assert list(differences(shown, real)) == [], f"{answered} shows something else than {answer.text}"
        assert answer.headers.get("content-type", "") == _content_type(answered)
        if request.path == "/v1/decisions":
            token = token or first_token(real)


def _content_type(block: Block) -> str:
    _, _, rest = block.text.partition("Content-Type: ")
    return rest.partition("\n")[0]


def test_every_path_of_the_api_is_called_in_the_guide(
    calls: list[tuple[Block, Block]], client: httpx.Client
) -> None:
    served = client.get("/openapi.json").json()["paths"]
    operation = {"/health/live", "/health/ready", "/metrics"}
    called = {
        re.sub(r"/new-\d", "/{customer_id}", http_request(asked.text).path).replace("/sales/", "/{name}/")
        for asked, _ in calls
    }
    assert called == served.keys() - operation


def test_offers_are_shown_as_the_catalogue_and_the_formula_would_have_them(
    root: Path, telco: Path, client: httpx.Client
) -> None:
    catalogue = client.get("/v1/catalogue").json()
    actions = {action["action"]: action for action in catalogue["actions"]}
    values = stated_values(telco)
    shown = list(offers_on_pages(root))
    assert len(shown) >= 3
    for offer in shown:
        action = actions[offer["action"]]
        treatments = {entry["treatment"]: entry for entry in action["treatments"]}
        for key in ("issue", "group", "lever"):
            assert offer[key] == action[key], (offer["action"], key)
        if offer["action"] in values:
            assert offer["value"] == pytest.approx(values[offer["action"]], abs=0.05)
        terms = offer["offer"]["terms"] if offer["offer"] else {}
        assert offer["content"] == rendered(treatments[offer["treatment"]]["content"], terms)
        product = offer["propensity"] * offer["context_weight"] * offer["value"] * offer["lever"]
        assert offer["priority"] == pytest.approx(product, rel=0.005)


def stated_values(telco: Path) -> dict[str, float]:
    """What a response counts, by action, where that is the same for every customer."""
    workspace = load_workspace(telco)
    catalogue, valuation = workspace.catalogue, workspace.arbitration.valuation
    raw = catalogue.values + valuation.benefit_weight * catalogue.customer_values
    computed = {action for action, _ in (*valuation.business, *valuation.customer)}
    scaled = valuation.scaling.scaled(raw).tolist()
    return {
        action.name: value
        for number, (action, value) in enumerate(zip(catalogue.actions, scaled, strict=True))
        if number not in computed
    }


def rendered(content: dict[str, str], terms: dict[str, Any]) -> dict[str, str]:
    """The texts of a treatment with the terms of an offer in them."""
    return {key: text.format(**terms) if terms else text for key, text in content.items()}


def offers_on_pages(root: Path) -> Iterator[dict[str, Any]]:
    for block in blocks(root / "docs" / "api.md", "http"):
        if block.text.startswith("HTTP/"):
            yield from offers(http_answer(block.text)[1])
    for block in blocks(root / "README.md", "json"):
        yield from offers(json.loads(block.text))
