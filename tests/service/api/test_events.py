"""`POST /v1/events`, and events within a decision, over real HTTP."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import yaml

from feature_store.embedded import EmbeddedStore
from feature_store.event import unpack_events
from service.workspace.loading import Workspace

from .conftest import metric

AGGREGATES = {
    "views_30m": {"kind": "count", "event": "page_view", "window": "30m"},
    "fibre_views_7d": {"kind": "count", "event": "page_view", "where": {"topic": "fibre"}, "window": "7d"},
    "spent_90d": {"kind": "sum", "event": "order", "property": "revenue", "window": "90d"},
    "topics_7d": {"kind": "distinct", "event": "page_view", "property": "topic", "window": "7d"},
    "views_per_day": {"kind": "rate", "event": "page_view", "window": "7d", "unit": "d"},
    "last_topic": {"kind": "last", "event": "page_view", "property": "topic"},
    "visited_at": {"kind": "recency", "event": ["page_view", "order"]},
    "engagement": {"kind": "decayed", "event": "page_view", "half_life": "1d"},
}
TYPES: dict[str, dict[str, Any]] = {
    "last_topic": {"type": "category", "levels": ["fibre", "tv"]},
    "visited_at": {"type": "timestamp"},
}


@pytest.fixture(scope="module")
def shop(world: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world, with aggregates and an action only for those who look at much."""
    folder: Path = tmp_path_factory.mktemp("events") / "world"
    shutil.copytree(world.folder, folder)
    features = yaml.safe_load((folder / "features.yaml").read_text())
    for name, aggregate in AGGREGATES.items():
        kind = TYPES.get(name, {"type": "number"})
        said = {"source": "behaviour", "description": "Of events", "aggregate": aggregate}
        features["features"][name] = {**kind, **said}
    (folder / "features.yaml").write_text(yaml.safe_dump(features, sort_keys=False))
    path = min((folder / "actions").glob("*.yaml"))
    issue = yaml.safe_load(path.read_text())
    group = next(iter(issue["groups"].values()))
    next(iter(group["actions"].values()))["applicability"] = {"looks": "customer.views_30m >= 2.0"}
    path.write_text(yaml.safe_dump(issue, sort_keys=False))
    return folder


@pytest.fixture(scope="module")
def client(serve: Any, shop: Path) -> Iterator[httpx.Client]:
    with serve(workspace=shop, deadline_ms=20_000, store_timeout_ms=10_000) as started:
        yield started


def moment(seconds_ago: float = 0.0) -> str:
    return datetime.fromtimestamp(time.time() - seconds_ago, UTC).isoformat()


def view(message_id: str, customer: str | None, seconds_ago: float = 0.0, **more: Any) -> dict[str, Any]:
    owner = {} if customer is None else {"customer_id": customer}
    return {
        "message_id": message_id,
        "type": "track",
        "event": "page_view",
        "properties": {"topic": "fibre"},
        "timestamp": moment(seconds_ago),
        **owner,
        **more,
    }


def post(client: httpx.Client, body: Any, status: int = 202) -> dict[str, Any]:
    answer = client.post("/v1/events", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()  # type: ignore[no-any-return]


def behaviour(client: httpx.Client, customer: str) -> dict[str, Any]:
    found = client.get(f"/v1/customers/{customer}")
    return found.json()["behaviour"] if found.status_code == 200 else {}


def seen(client: httpx.Client, **asked: Any) -> float | None:
    """How many views a decision saw."""
    answer = client.post("/v1/decisions", json={"channel": "web", "explain": "full", **asked})
    assert answer.status_code == 200, answer.text
    assert answer.json()["degraded"] == []
    removed = [c for c in answer.json()["explanation"] if (c["rule"] or "").endswith("looks")]
    return removed[0]["observed"]["customer.views_30m"] if removed else None


def test_events_are_taken_in_and_aggregated(client: httpx.Client) -> None:
    order = {"event": "order", "properties": {"revenue": 19.5}}
    answer = post(
        client,
        [
            view("1", "ev-1", 60),
            view("2", "ev-1", 3600, properties={"topic": "tv"}),
            view("3", "ev-1", 86_400),
            view("4", "ev-1", 80 * 86_400, **order),
            view("5", "ev-1", 8 * 86_400, properties={"topic": "phones"}),
        ],
    )
    assert answer == {"accepted": 5, "duplicates": 0, "warnings": []}
    found = behaviour(client, "ev-1")
    assert (found["views_30m"], found["fibre_views_7d"], found["spent_90d"]) == (1, 2, 19.5)
    assert (found["topics_7d"], found["last_topic"]) == (2, "fibre")
    assert found["views_per_day"] == pytest.approx(3 / 7)
    assert found["engagement"] == pytest.approx(1 + 0.97 + 0.5 + 2**-8, abs=0.01)
    assert datetime.fromisoformat(found["visited_at"]).timestamp() == pytest.approx(time.time() - 60, abs=10)


def test_the_very_next_decision_sees_them(client: httpx.Client) -> None:
    assert seen(client, customer_id="ev-2") == 0
    post(client, view("1", "ev-2"))
    assert seen(client, customer_id="ev-2") == 1
    post(client, view("2", "ev-2"))
    assert seen(client, customer_id="ev-2") is None


def test_a_message_counts_once_however_often_it_comes(client: httpx.Client) -> None:
    before = metric(client, "arbiter_event_duplicates_total")
    once = post(client, [view("a", "ev-3"), view("a", "ev-3"), view("b", "ev-3")])
    assert (once["accepted"], once["duplicates"]) == (2, 1)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(client, view("c", "ev-3")), range(32)))
    assert sum(answer["accepted"] for answer in answers) == 1
    assert behaviour(client, "ev-3")["views_30m"] == 3
    assert metric(client, "arbiter_event_duplicates_total") == before + 32


def test_an_event_without_a_time_happens_now_and_a_wrong_clock_is_corrected(client: httpx.Client) -> None:
    now = view("1", "ev-4")
    del now["timestamp"]
    hour = 3600
    ahead = view("2", "ev-4", -5 * hour, sent_at=moment(-5 * hour - 60))  # one minute ago, five hours fast
    behind = view("3", "ev-4", 900 * 86_400, sent_at=moment(900 * 86_400 - 60))
    assert post(client, [now, ahead, behind])["accepted"] == 3
    assert behaviour(client, "ev-4")["views_30m"] == 3


def test_what_can_not_be_used_is_told_by_its_index_and_the_others_are_taken_in(client: httpx.Client) -> None:
    refused = metric(client, "arbiter_events_refused_total")
    late = metric(client, "arbiter_events_late_total")
    answer = post(
        client,
        [
            view("1", "ev-5"),
            view("2", "ev-5", -86_400),
            view("3", "ev-5", 500 * 86_400),
            {**view("4", "ev-5"), "type": "page"},
            view("5", None),
            {"message_id": "6", "type": "alias", "customer_id": "ev-5"},
            {"message_id": "7", "type": "track", "customer_id": "ev-5"},
            {**view("8", "ev-5"), "messageId": "8"},
            {**view("9", "ev-5"), "timestamp": "yesterday"},
            7,
            view("10", "ev-5", properties={"big": 10**30}),
            view("11", "ev-5", 7200),
        ],
        status=422,
    )
    assert (answer["accepted"], answer["duplicates"]) == (2, 0)
    faults = {fault["path"]: fault["message"] for fault in answer["errors"]}
    assert set(faults) == {
        "[1].timestamp",
        "[2].timestamp",
        "[3].type",
        "[4]",
        "[5]",
        "[6]",
        "[7].messageId",
        "[8].timestamp",
        "[9]",
        "[10].properties",
    }
    assert "future" in faults["[1].timestamp"]
    assert "400 days" in faults["[2].timestamp"]
    assert behaviour(client, "ev-5")["engagement"] > 1
    assert metric(client, "arbiter_events_refused_total") == refused + 3
    assert metric(client, "arbiter_events_late_total") == late + 1


def test_a_single_event_has_faults_without_an_index(client: httpx.Client) -> None:
    answer = post(client, view("1", "ev-6", -86_400), status=422)
    assert [fault["path"] for fault in answer["errors"]] == ["timestamp"]
    [fault] = post(client, [], status=422)["errors"]
    assert fault["message"] == "must have at least 1 item, not 0"
    [fault] = post(client, view("", "ev-6"), status=422)["errors"]
    assert fault == {"path": "message_id", "message": "must have at least 1 character"}


def test_a_property_that_does_not_fit_is_left_out_with_a_warning(client: httpx.Client) -> None:
    body = [view("1", "ev-7"), view("2", "ev-7", event="order", properties={"revenue": "much"})]
    answer = post(client, body)
    assert answer["accepted"] == 2
    assert answer["warnings"] == [
        "[1].properties.revenue: must be a number of at most 1e+15, not 'much'; left out of spent_90d"
    ]
    assert behaviour(client, "ev-7")["spent_90d"] == 0


def test_a_name_that_is_almost_that_of_a_counted_event_is_taken_in_with_a_warning(
    client: httpx.Client,
) -> None:
    names = ["page_veiw", "Page_view", "case_opened", "page_view"]
    answer = post(client, [view(str(place), "ev-31", event=name) for place, name in enumerate(names)])
    assert answer["accepted"] == 4
    assert answer["warnings"] == [
        f"[{place}].event: no feature counts it; did you mean 'page_view'?" for place in (0, 1)
    ]
    assert behaviour(client, "ev-31")["views_30m"] == 1


def test_events_of_a_decision_are_seen_by_it_and_counted_once(client: httpx.Client) -> None:
    bare = {key: value for key, value in view("1", None).items() if key != "timestamp"}
    assert seen(client, customer_id="ev-8", events=[bare]) == 1
    assert seen(client, customer_id="ev-8", events=[bare]) == 1
    assert post(client, view("1", "ev-8"))["duplicates"] == 1
    batch = {"requests": [{"channel": "web", "customer_id": "ev-8", "events": [view("2", None)]}]}
    assert client.post("/v1/decisions/batch", json=batch).status_code == 200
    assert behaviour(client, "ev-8")["views_30m"] == 2


def test_a_dry_run_sees_its_events_and_stores_none(client: httpx.Client) -> None:
    post(client, view("1", "ev-9"))
    both = [view("1", None), view("2", None), view("2", None)]
    assert seen(client, customer_id="ev-9", events=both[:1], dry_run=True) == 1
    assert (
        seen(client, customer_id="ev-9", events=both, dry_run=True) is None
    )  # two are enough for the action
    assert behaviour(client, "ev-9")["views_30m"] == 1
    identify = {"message_id": "3", "type": "identify", "anonymous_id": "ev-9v", "customer_id": "ev-9"}
    asked = {"channel": "web", "customer_id": "ev-9", "events": [identify], "dry_run": True}
    warnings = client.post("/v1/decisions", json=asked).json()["warnings"]
    assert warnings == ["events[0]: a dry run sees only what is tracked of its own customer"]


def test_a_decision_with_a_bad_event_or_a_bad_channel_applies_none(client: httpx.Client) -> None:
    good, future = view("1", None), view("2", None, -86_400)
    asked = {"channel": "web", "customer_id": "ev-10", "events": [good, future]}
    answer = client.post("/v1/decisions", json=asked)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "events[1].timestamp"
    asked = {"channel": "wbe", "customer_id": "ev-10", "events": [good]}
    assert client.post("/v1/decisions", json=asked).json()["errors"][0]["path"] == "channel"
    assert behaviour(client, "ev-10") == {}


def test_an_identified_visitor_brings_their_history(client: httpx.Client) -> None:
    post(client, [view("1", None, anonymous_id="v-11"), view("2", "ev-11", 7200)])
    asked = {"channel": "web", "anonymous_id": "v-11", "placements": [{"id": "home_hero"}]}
    offered = client.post("/v1/decisions", json=asked).json()["placements"][0]["actions"][0]
    identify = {
        "message_id": "3",
        "type": "identify",
        "anonymous_id": "v-11",
        "customer_id": "ev-11",
        "traits": {"shoe_size": 43},
    }
    answer = post(client, identify)
    assert answer["accepted"] == 1
    assert any(
        warning.startswith("traits.shoe_size: is not a profile feature") for warning in answer["warnings"]
    )
    assert post(client, identify)["duplicates"] == 1
    post(client, view("4", None, anonymous_id="v-11"))
    assert post(client, view("1", None, anonymous_id="v-11"))["duplicates"] == 1
    found = behaviour(client, "ev-11")
    assert (found["views_30m"], found["fibre_views_7d"]) == (2, 3)
    said = client.post("/v1/outcomes", json={"token": offered["token"], "outcome": "click"})
    assert said.json()["accepted"] == 1
    assert [t["outcome"] for t in client.get("/v1/customers/ev-11").json()["history"]] == ["click"]


def test_an_alias_merges_too_and_an_erasure_forgets_the_link(client: httpx.Client) -> None:
    post(client, view("1", None, anonymous_id="v-12"))
    post(client, {"message_id": "2", "type": "alias", "anonymous_id": "v-12", "customer_id": "ev-12"})
    assert behaviour(client, "ev-12")["views_30m"] == 1
    assert client.delete("/v1/customers/ev-12").status_code == 204
    post(client, view("3", None, anonymous_id="v-12"))
    assert behaviour(client, "ev-12") == {}


def test_traits_are_written_to_the_profile_or_refused(client: httpx.Client, world: Workspace) -> None:
    feature = next(f for f in world.schema.features if f.source == "profile" and f.type == "number")
    identify = {"message_id": "1", "type": "identify", "customer_id": "ev-13"}
    assert post(client, {**identify, "traits": {feature.name: 3}})["accepted"] == 1
    assert client.get("/v1/customers/ev-13").json()["profile"][feature.name] == 3
    bad = post(client, {**identify, "message_id": "2", "traits": {feature.name: "three"}}, status=422)
    assert [fault["path"] for fault in bad["errors"]] == [f"traits.{feature.name}"]


def test_what_happens_in_one_list_happens_in_its_order(client: httpx.Client) -> None:
    """A device that two people use: what was done before the second one signed in is the first one's."""
    first, second = ({"type": "identify", "customer_id": f"ev-14{x}", "anonymous_id": "v-14"} for x in "ab")
    views = [view(str(number), None, anonymous_id="v-14") for number in range(3)]
    ids = [{**first, "message_id": "i1"}, {**second, "message_id": "i2"}]
    assert post(client, [views[0], ids[0], views[1], ids[1], views[2]])["accepted"] == 5
    assert behaviour(client, "ev-14a")["views_30m"] == 2
    assert behaviour(client, "ev-14b")["views_30m"] == 1


def test_raw_events_are_kept_in_the_stream(client: httpx.Client, world_store: EmbeddedStore) -> None:
    post(client, view("raw", "ev-15", 60, properties={"topic": "tv", "depth": [1, {"a": None}]}))
    path = world_store.url.removeprefix("unix://")
    with redis.Redis(unix_socket_path=path) as server:
        entries: Any = server.xrevrange("arb:events", count=1)
    [event] = unpack_events(entries[0][1][b"events"])
    assert (event.message_id, event.event, event.customer_id) == ("raw", "page_view", "ev-15")
    assert event.properties == {"topic": "tv", "depth": [1, {"a": None}]}
    assert event.occurred_at == pytest.approx(time.time() - 60, abs=10)
