"""`POST /v1/outcomes`, over real HTTP."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .conftest import metric


def offer(client: httpx.Client, customer_id: str, **request: Any) -> dict[str, Any]:
    """An offered action with its token."""
    asked = {"customer_id": customer_id, "channel": "web", **request}
    placements = client.post("/v1/decisions", json=asked).json()["placements"]
    return placements[0]["actions"][0]  # type: ignore[no-any-return]


def report(client: httpx.Client, body: Any) -> httpx.Response:
    return client.post("/v1/outcomes", json=body)


def history(client: httpx.Client, customer_id: str) -> list[dict[str, Any]]:
    return client.get(f"/v1/customers/{customer_id}").json()["history"]  # type: ignore[no-any-return]


def counted(client: httpx.Client, outcome: str, action: str) -> float:
    return metric(client, "arbiter_outcomes_total", outcome=outcome, action=action)


def test_an_outcome_is_accepted_kept_and_counted(client: httpx.Client) -> None:
    offered = offer(client, "outcome-1")
    before = counted(client, "accept", offered["action"])
    answer = report(client, {"token": offered["token"], "outcome": "accept", "value": 12.5})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "duplicates": 0, "dry_run": 0})
    assert counted(client, "accept", offered["action"]) == before + 1
    touch = history(client, "outcome-1")[-1]
    assert (touch["outcome"], touch["action"], touch["value"]) == ("accept", offered["action"], 12.5)
    assert (touch["issue"], touch["group"]) == (offered["issue"], offered["group"])
    assert (touch["channel"], touch["treatment"]) == ("web", offered["treatment"])


def test_the_same_outcome_counts_once_and_another_outcome_of_the_token_counts_too(
    client: httpx.Client,
) -> None:
    token = offer(client, "outcome-2")["token"]
    answers = [
        report(client, {"token": token, "outcome": name}).json() for name in ("click", "click", "accept")
    ]
    assert [(a["accepted"], a["duplicates"]) for a in answers] == [(1, 0), (0, 1), (1, 0)]
    assert [touch["outcome"] for touch in history(client, "outcome-2")] == ["click", "accept"]


def test_an_outcome_id_of_the_callers_own_decides_what_is_the_same(client: httpx.Client) -> None:
    token = offer(client, "outcome-3")["token"]
    click = {"token": token, "outcome": "click"}
    answers = [report(client, {**click, "outcome_id": name}).json() for name in ("a", "b", "a")]
    assert [a["accepted"] for a in answers] == [1, 1, 0]


def test_the_same_outcome_twice_in_one_list_counts_once(client: httpx.Client) -> None:
    row = {"token": offer(client, "outcome-4")["token"], "outcome": "click"}
    assert report(client, [row, row]).json() == {"accepted": 1, "duplicates": 1, "dry_run": 0}


def test_the_same_outcome_sent_at_once_by_many_counts_once(client: httpx.Client) -> None:
    row = {"token": offer(client, "outcome-5")["token"], "outcome": "convert"}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: report(client, row).json(), range(32)))
    assert sum(answer["accepted"] for answer in answers) == 1
    assert len(history(client, "outcome-5")) == 1


def test_a_bad_row_is_told_by_its_index_and_the_others_are_taken_in(client: httpx.Client) -> None:
    token = offer(client, "outcome-6")["token"]
    middle = len(token) // 2
    forged = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    answer = report(
        client,
        [
            {"token": token, "outcome": "click"},
            {"token": forged, "outcome": "click"},
            {"token": token, "outcome": "clicked"},
            {"token": token, "outcome": "accept", "occurred_at": "2001-01-01T00:00:00Z"},
            {"token": token, "outcome": "accept", "occurred_at": "2201-01-01T00:00:00Z"},
        ],
    )
    assert answer.status_code == 422
    faults = {fault["path"]: fault["message"] for fault in answer.json()["errors"]}
    assert set(faults) == {"[1].token", "[2].outcome", "[3].occurred_at", "[4].occurred_at"}
    assert "did you mean 'click'" in faults["[2].outcome"]
    assert answer.json()["accepted"] == 1
    assert [touch["outcome"] for touch in history(client, "outcome-6")] == ["click"]


def test_a_row_that_is_no_outcome_does_not_spoil_the_others(client: httpx.Client) -> None:
    token = offer(client, "outcome-10")["token"]
    answer = report(
        client,
        [
            {"token": token},
            {"token": token, "outcome": "click", "occurred_at": "2001-01-01T00:00:00Z"},
            {"token": token, "outcome": "click"},
            5,
            {"token": token, "outcome": "accept", "value": "much", "occurred_at": "yesterday"},
        ],
    )
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [
        "[0].outcome",
        "[1].occurred_at",
        "[3]",
        "[4].value",
        "[4].occurred_at",
    ]
    assert answer.json()["accepted"] == 1
    assert [touch["outcome"] for touch in history(client, "outcome-10")] == ["click"]


@pytest.mark.parametrize("token", ["x", "AAAA", "é", "=", "A" * 4096, "Zm9v" * 30])
def test_what_is_no_token_is_refused(client: httpx.Client, token: str) -> None:
    answer = report(client, {"token": token, "outcome": "click"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "token"


def test_a_token_of_another_service_is_refused(client: httpx.Client, serve: Any) -> None:
    with serve(token_secret="another secret of enough bytes") as other:
        token = offer(other, "outcome-7")["token"]
    assert report(client, {"token": token, "outcome": "click"}).status_code == 422


def test_an_expired_token_is_refused(serve: Any) -> None:
    with serve(token_days=1e-9) as client:
        token = offer(client, "outcome-8")["token"]
        answer = report(client, {"token": token, "outcome": "click"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0] == {"path": "token", "message": "has expired"}


def test_the_outcome_of_a_dry_run_is_accepted_and_counts_nothing(client: httpx.Client) -> None:
    token = offer(client, "outcome-9", dry_run=True)["token"]
    answer = report(client, {"token": token, "outcome": "click"})
    assert (answer.status_code, answer.json()["dry_run"], answer.json()["accepted"]) == (202, 1, 0)
    assert client.get("/v1/customers/outcome-9").status_code == 404


@pytest.mark.parametrize("body", [[], {}, 5, [5], {"token": "x", "outcome": "click", "extra": 1}])
def test_a_body_that_is_no_outcome_is_refused_with_the_reason(client: httpx.Client, body: Any) -> None:
    answer = report(client, body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
