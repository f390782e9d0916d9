"""What an outcome teaches, by the definitions of labels."""

from dataclasses import replace

import pytest

from feature_store.lessons import RESPONDED, SHOWN, SHOWN_AS_OFFERED, offer_id
from models.label_rules import DEFAULT_WINDOW
from models.spec import Adapts
from service.decisioning.adaptation import NOWHERE
from service.runtime.following import Following
from service.runtime.tokens import Grant
from service.workspace.adaptation import compile_adaptation
from service.workspace.loading import Workspace

DECIDED = 1_767_225_600.0  # 2026-01-01
LENGTH = (50 / 8, 600 / 8)


@pytest.fixture(scope="module")
def following(world: Workspace) -> Following:
    """Of the world's snapshot, if its models adapted and its site reported what it shows."""
    adapts = Adapts.model_validate({"delay": "10m"})
    specs = {name: replace(spec, adapts=adapts) for name, spec in world.specs.items()}
    workspace = replace(world, specs=specs)
    snapshot = workspace.snapshot()
    assert snapshot.adaptation is not None
    rules = replace(workspace.label_rules, impressions=("web",), windows={other(workspace): 60.0})
    return Following(snapshot, snapshot.adaptation, rules)


def first(workspace: Workspace) -> str:
    return workspace.catalogue.actions[0].name


def other(workspace: Workspace) -> str:
    return workspace.catalogue.actions[1].name


def grant(action: str, channel: str = "web", basis: tuple[int, float] | None = (7, 0.25)) -> Grant:
    return Grant(
        decision_id="d1",
        customer="c1",
        channel=channel,
        placement="home_hero",
        issue="sales",
        group="internet",
        action=action,
        treatment="t",
        rank=1,
        propensity=0.5,
        selection_probability=1.0,
        decided_at=DECIDED,
        expires_at=DECIDED + 30 * 86_400,
        basis=basis,
    )


def positive(workspace: Workspace, action: str) -> str:
    return workspace.specs[workspace.action_models[action]].positive[0]


def test_a_response_counts_for_the_version_that_has_predicted_it(
    following: Following, world: Workspace
) -> None:
    action = first(world)
    report = following.report(grant(action), positive(world, action), DECIDED + 1)
    assert report is not None
    assert (report.cell, report.predicted, report.decided_at, report.said) == (7, 0.25, DECIDED, RESPONDED)
    assert (report.customer, report.offer) == ("c1", offer_id("d1", "home_hero", action))
    assert (report.length, report.until) == (LENGTH, DECIDED + 30 * 86_400)


def test_what_is_shown_is_an_impression_where_these_are_reported_and_an_offer_elsewhere(
    following: Following, world: Workspace
) -> None:
    action = first(world)
    shown = following.report(grant(action), "impression", DECIDED + 1)
    assert shown is not None
    assert shown.said == SHOWN
    assert following.report(grant(action, "email"), "impression", DECIDED + 1) is None
    response = following.report(grant(action, "email"), positive(world, action), DECIDED + 1)
    assert response is not None
    assert response.said == RESPONDED | SHOWN_AS_OFFERED


def test_nothing_is_learned_of_what_labels_leave_out(following: Following, world: Workspace) -> None:
    action, short = first(world), other(world)
    response = positive(world, action)
    assert following.report(grant(action), "dismiss", DECIDED + 1) is None
    assert following.report(grant("gone"), response, DECIDED + 1) is None
    assert following.report(grant(action, basis=None), response, DECIDED + 1) is None
    assert following.report(grant(action), response, DECIDED + DEFAULT_WINDOW - 1) is not None
    assert following.report(grant(action), response, DECIDED + DEFAULT_WINDOW) is None
    assert following.report(grant(short), positive(world, short), DECIDED + 59) is not None
    assert following.report(grant(short), positive(world, short), DECIDED + 60) is None


def test_cells_are_told_apart_by_channel_action_and_version(following: Following, world: Workspace) -> None:
    adaptation = following.adaptation
    assert len(set(adaptation.cells.reshape(-1).tolist())) == adaptation.cells.size
    assert NOWHERE not in adaptation.cells
    snapshot = following.snapshot
    again = tuple(replace(model, version="20990101T000000Z-00000000") for model in snapshot.models)
    adapts = Adapts.model_validate({"delay": 0})
    specs = {name: replace(spec, adapts=adapts) for name, spec in world.specs.items()}
    new = compile_adaptation(world.catalogue, specs, again, snapshot.priors)
    assert new is not None
    assert not set(new.places) & set(adaptation.places)
    same = compile_adaptation(world.catalogue, specs, snapshot.models, snapshot.priors)
    assert same is not None
    assert set(same.places) == set(adaptation.places)


def test_only_models_that_adapt_are_followed(world: Workspace) -> None:
    assert world.snapshot().adaptation is None
    name = world.action_models[first(world)]
    adapts = Adapts.model_validate({"delay": 0})
    specs = {**world.specs, name: replace(world.specs[name], adapts=adapts)}
    adaptation = replace(world, specs=specs).snapshot().adaptation
    assert adaptation is not None
    follows = [world.action_models[action.name] == name for action in world.catalogue.actions]
    assert ((adaptation.cells != NOWHERE) == follows).all()
