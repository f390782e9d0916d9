"""A model of uplift, from the log to a score, where the truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from models.errors import TrainingError
from models.registry import Registry
from models.spec import ModelSpec
from models.table import TrainingTable
from models.training import train

SCHEMA = FeatureSchema((Feature("age", FeatureType.NUMBER, Source.PROFILE),))
SPEC = ModelSpec("moved", ("click",), "Who is moved", control="nothing")


@pytest.fixture(scope="module")
def table() -> TrainingTable:
    """Who is over 50 is moved by 25 points by the mail; who is under 50 likes to click anyway."""
    rng = np.random.default_rng(0)
    n = 30_000
    age, mail = rng.uniform(20, 80, n), rng.random(n) < 0.3
    likely = np.where(age > 50, 0.1 + 0.25 * mail, 0.4)
    return TrainingTable(
        rows=np.column_stack([age, np.where(mail, 0.0, 1.0), np.zeros(n)]),
        labels=(rng.random(n) < likely).astype(float),
        now=np.zeros(n),
        customers=np.arange(n),
        customer_ids=tuple(map(str, range(n))),
        schema=SCHEMA,
        actions=("mail", "nothing"),
        channels=("email",),
        chances=np.where(mail, 0.3, 0.7),
    )


def test_it_finds_whom_an_action_moves_and_is_served_like_others(
    table: TrainingTable, tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    version = registry.publish(train(table, SPEC))
    model = registry.load("moved", SCHEMA, version)
    young, old = model.score(np.array([[30.0, 0.0, 0.0], [70.0, 0.0, 0.0]]))
    assert old == pytest.approx(0.25, abs=0.07)
    assert 0 < young < 0.07  # though they click more often
    found = model.manifest.uplift
    assert found is not None
    assert model.manifest.control == "nothing"
    assert found.whole[1] < 0.125 < found.whole[2]
    assert found.at_20[1] < 0.25 < found.at_20[2]
    assert found.qini[1] > 0.01
    assert model.manifest.metrics.base_rate == found.whole[0]


def test_it_needs_the_control_in_the_log(table: TrainingTable) -> None:
    with pytest.raises(TrainingError, match="the log has no decision of its control 'nobody'"):
        train(table, replace(SPEC, control="nobody"))


def test_it_needs_known_probabilities(table: TrainingTable) -> None:
    with pytest.raises(TrainingError, match="selection_probability has to be there for every decision"):
        train(replace(table, chances=np.full(len(table.labels), np.nan)), SPEC)
