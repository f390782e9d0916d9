"""A catalogue as flat tuples."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from service.world.offers import Offers

CHANNELS = """
channels:
  web:
    direction: inbound
    description: Site
    placements:
      hero: {limit: 1, description: Top}
      tiles: {limit: 2, description: Below}
"""
ACTIONS = """
issue: sales
model: sales
groups:
  internet:
    model: orders
    actions:
      always:
        title: A
        propensity: 0.1
        value: 5
        treatments:
          always_web: {channel: web, content: {}}
      summer:
        title: B
        propensity: 0.2
        model: clicks
        start: 2026-06-01
        end: 2026-06-30
        treatments:
          summer_hero: {channel: web, placements: [hero], content: {}}
  mobile:
    actions:
      never:
        title: C
        propensity: 0.3
        active: false
        treatments:
          never_hero: {channel: web, placements: [hero], content: {}}
"""


@pytest.fixture
def offers(tmp_path: Path) -> Offers:
    (tmp_path / "channels.yaml").write_text(CHANNELS)
    (tmp_path / "models.yaml").write_text("models: {orders: {positive: [accept], description: x}}")
    (tmp_path / "actions").mkdir()
    (tmp_path / "actions" / "sales.yaml").write_text(ACTIONS)
    return Offers.load(tmp_path)


def at(*moments: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([datetime.fromisoformat(m).replace(tzinfo=UTC).timestamp() for m in moments])


def test_an_action_takes_the_model_of_its_group_and_the_group_that_of_its_issue(offers: Offers) -> None:
    assert [action.model for action in offers.actions] == ["orders", "clicks", "sales"]


def test_a_treatment_that_names_no_placements_is_shown_in_all_of_its_channel(offers: Offers) -> None:
    hero, tiles = offers.placements
    assert [offers.treatments[i].name for i in offers.shown_in(tiles)] == ["always_web"]
    assert [offers.treatments[i].name for i in offers.shown_in(hero)] == [
        "always_web",
        "summer_hero",
        "never_hero",
    ]


def test_an_end_date_includes_its_whole_day_and_an_inactive_action_is_never_live(offers: Offers) -> None:
    hero = offers.placements[0]
    times = at("2026-05-31T23:59:59", "2026-06-01", "2026-06-30T23:59:59", "2026-07-01")
    live = offers.live(offers.shown_in(hero), times)
    assert live.tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, False],
        [True, False, False],
    ]
