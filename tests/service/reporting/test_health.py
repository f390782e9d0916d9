"""How models do in logs whose truth is known, and actions that say nothing."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.metrics import Metrics
from service.reporting.health import health
from service.workspace.loading import Workspace

from .conftest import DAY, NOON, Log, answers_of, offer

YES = {"impression": 1.0, "accept": 60.0}


def test_a_model_is_judged_by_what_was_seen_and_is_final(shop: Workspace, log: Log) -> None:
    rng = np.random.default_rng(8)
    promised = rng.uniform(0.05, 0.6, 600)
    came = rng.random(600) < promised
    for number, (p, yes) in enumerate(zip(promised.tolist(), came.tolist(), strict=True)):
        log.decide(f"d{number}", f"c{number}", offer(outcomes=YES if yes else None, propensity=p))
        log.decide(f"u{number}", f"c{number}", offer(outcomes={}, propensity=0.9))
        log.decide(f"n{number}", f"c{number}", offer(propensity=0.9), at=NOON + 9 * DAY)
    with answers_of(shop, log, until=NOON + 9.5 * DAY) as answers:
        [model] = health(answers, shop).models
    assert (model.name, model.versions) == ("response", ("20260101T000000Z-00000000",))
    assert (model.shown, model.came) == (600, int(came.sum()))
    assert model.promised == pytest.approx(promised.mean())
    assert model.auc == pytest.approx(roc_auc_score(came, promised))
    assert model.ece is not None
    assert model.ece < 0.15
    assert model.at_training is None
    assert [len(model.reliability), model.reliability[0][0]] == [
        20,
        pytest.approx(np.sort(promised)[:30].mean()),
    ]


def test_of_too_little_nothing_is_told(shop: Workspace, log: Log) -> None:
    for number in range(20):
        log.decide(f"d{number}", "ada", offer(outcomes=YES if number < 5 else None))
    with answers_of(shop, log) as answers:
        [model] = health(answers, shop).models
    assert (model.shown, model.came, model.auc, model.ece, model.reliability) == (20, 5, None, None, ())


def test_actions_that_say_nothing(shop: Workspace, log: Log) -> None:
    for number in range(40):
        log.decide(f"d{number}", "ada", offer("novel", propensity=0.2))
    log.decide("a", "ada", offer("atlas", {}))
    with answers_of(shop, log) as answers:
        found = health(answers, shop)
    assert [action.name for action in found.never_offered] == ["poems"]  # `gone` is switched off
    assert [action.name for action in found.never_seen] == ["atlas"]
    [silent] = found.never_answered
    assert (silent.action.name, silent.seen) == ("novel", 40)
    assert silent.promised == pytest.approx(8.0)
    assert silent.surprising


def test_a_click_is_an_answer(shop: Workspace, log: Log) -> None:
    log.decide("d", "ada", offer("novel", {"impression": 1.0, "click": 3.0}))
    with answers_of(shop, log) as answers:
        assert health(answers, shop).never_answered == ()


def test_the_model_that_serves_says_how_it_was_at_training(world: Workspace, log: Log) -> None:
    with answers_of(world, log) as answers:
        models = health(answers, world).models
    assert models
    for model in models:
        metrics = world.registry.manifest(model.name, world.registry.champion(model.name)).metrics
        assert isinstance(metrics, Metrics)
        assert model.at_training == metrics.auc
