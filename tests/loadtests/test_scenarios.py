"""The moments of the scenarios fit the workspace that they are meant for."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
import yaml

from feature_store.feature import Source
from feature_store.schema import FeatureSchema
from loadtests.scenarios import moments, reactions
from loadtests.scenarios.moments import Json
from loadtests.scenarios.people import CUSTOMERS, People

MOMENTS: list[Callable[[Random], Json]] = [
    moments.page_view,
    moments.call,
    moments.desk,
    lambda random: moments.mailing(),
    lambda random: moments.push(),
]


@pytest.fixture(scope="module")
def telco(root: Path) -> Path:
    return root / "examples" / "telco"


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_context_is_one_that_the_workspace_declares(
    telco: Path, moment: Callable[[Random], Json]
) -> None:
    schema, random = FeatureSchema.load(telco / "features.yaml"), Random(1)
    for _ in range(200):
        context = moment(random).get("context", {})
        assert isinstance(context, dict)
        assert schema.encode(context, np.full(schema.width, np.nan), {Source.CONTEXT}) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_placement_is_one_of_its_channel(telco: Path, moment: Callable[[Random], Json]) -> None:
    channels = yaml.safe_load((telco / "channels.yaml").read_text())["channels"]
    random = Random(1)
    for _ in range(200):
        asked = moment(random)
        placements = asked.get("placements", [])
        assert isinstance(placements, list)
        assert {placement["id"] for placement in placements} <= set(channels[asked["channel"]]["placements"])


def test_the_same_seed_tells_the_same_story() -> None:
    assert [moments.page_view(Random(7)) for _ in range(3)] == [
        moments.page_view(Random(7)) for _ in range(3)
    ]


DECISION = {
    "placements": [
        {"actions": [{"rank": 1, "token": "a", "value": 9.0}, {"rank": 2, "token": "b", "value": 9.0}]},
        {"actions": []},
        {"actions": [{"rank": 1, "token": "c", "value": 9.0}]},
    ]
}


def test_a_visitor_sees_everything_that_was_offered() -> None:
    told = reactions.of_a_visitor(Random(1), DECISION)
    assert [entry["token"] for entry in told if entry["outcome"] == "impression"] == ["a", "b", "c"]


def test_nothing_is_accepted_that_was_not_clicked() -> None:
    random = Random(1)
    told = [reactions.of_a_visitor(random, DECISION) for _ in range(2_000)]
    clicked = [{entry["token"] for entry in visit if entry["outcome"] == "click"} for visit in told]
    accepted = [{entry["token"] for entry in visit if entry["outcome"] == "accept"} for visit in told]
    assert any(accepted)
    assert all(some <= more for some, more in zip(accepted, clicked, strict=True))


def test_an_agent_reports_only_what_was_brought_up() -> None:
    assert [entry["token"] for entry in reactions.of_a_conversation(Random(1), DECISION)] == ["a"]
    assert reactions.of_a_conversation(Random(1), {"placements": [{"actions": []}]}) == []


def test_some_of_those_who_come_are_not_in_the_store() -> None:
    people, random = People([f"c{i}" for i in range(100)]), Random(1)
    came = [people.customer(random) for _ in range(1_000)]
    unknown = sum(name.startswith("unknown-") for name in came)
    assert 20 < unknown < 100
    assert not any(people.known(random).startswith("unknown-") for _ in range(1_000))


def test_without_a_population_the_load_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CUSTOMERS, raising=False)
    with pytest.raises(SystemExit, match=CUSTOMERS):
        People.load()
