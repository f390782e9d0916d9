"""Two configurations side by side: who gets something else, and what it is worth."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from feature_store.tables import open_table
from service.decisioning.catalogue import Catalogue
from service.decisioning.pipeline import decide
from service.decisioning.snapshot import Snapshot
from service.runtime.comparison import Comparison, compare
from service.runtime.population import Audience, context_row, customers
from service.workspace.loading import Workspace

NOW = 1_790_000_000.0


@pytest.fixture(scope="module")
def snapshot(world: Workspace) -> Snapshot:
    return world.snapshot()


def audience(snapshot: Snapshot, channel: str = "web") -> Audience:
    return Audience(snapshot, channel, context_row(snapshot.schema, {"page": "cart"}), NOW)


def compared(world: Workspace, old: Snapshot, new: Snapshot, rows: int = 150) -> Comparison:
    table = open_table(world.folder / "customers.parquet")
    return list(compare(audience(old), audience(new), customers(table, rows)))[-1]


def with_levers(snapshot: Snapshot, **levers: float) -> Snapshot:
    actions = tuple(
        replace(action, levers=(levers.get(action.name, 0.0), 0.0, 0.0))
        for action in snapshot.catalogue.actions
    )
    return replace(snapshot, catalogue=replace_actions(snapshot.catalogue, actions))


def replace_actions(catalogue: Catalogue, actions: tuple[object, ...]) -> Catalogue:
    return Catalogue(catalogue.channels, actions, catalogue.treatments, "changed")  # type: ignore[arg-type]


def test_a_workspace_does_not_differ_from_itself(world: Workspace, snapshot: Snapshot) -> None:
    found = compared(world, snapshot, snapshot)
    assert found.customers == 400
    assert (found.changed, found.moves(5), found.gain) == (0, [], 0.0)
    assert all(old == new for old, new in found.reach.values())


def test_shares_moves_and_values_are_those_of_deciding_twice(world: Workspace, snapshot: Snapshot) -> None:
    new = with_levers(snapshot, action_3=400.0)
    found = compared(world, snapshot, new)
    (data,) = customers(open_table(world.folder / "customers.parquet"), 1_000)
    batch, _ = audience(snapshot).requests(data)
    slot = snapshot.catalogue.slot_index["web", "home_hero"]
    names = [action.name for action in snapshot.catalogue.actions]
    firsts, values = [], []
    for one in (snapshot, new):
        decisions = decide(one, batch)
        here = (decisions.slate.slot == slot) & (decisions.slate.rank == 1)
        first = decisions.slate.action[here]
        assert len(first) == 400
        firsts.append([names[index] for index in first])
        factors = decide(new, batch).factors
        values.append((factors.propensity * factors.raw_value)[np.arange(400), first].sum())
    change = found.placements["home_hero"]
    moves = Counter(pair for pair in zip(*firsts, strict=True) if pair[0] != pair[1])
    assert change.moves == moves
    assert moves
    assert change.changed == moves.total()
    assert (change.old_value, change.new_value) == pytest.approx(tuple(values))
    assert found.reach["action_3"][1] > found.reach["action_3"][0]


def test_the_size_of_batches_changes_nothing(world: Workspace, snapshot: Snapshot) -> None:
    new = with_levers(snapshot, action_1=-90.0, action_2=90.0)
    whole, small = compared(world, snapshot, new, 1_000), compared(world, snapshot, new, 33)
    assert whole.reach == small.reach
    assert whole.moves(100) == small.moves(100)
    assert whole.changed == small.changed
    assert whole.gain == pytest.approx(small.gain)


def test_an_old_choice_that_is_gone_is_taken_as_the_old_workspace_sees_it(
    world: Workspace, snapshot: Snapshot
) -> None:
    favourite = compared(world, snapshot, snapshot).reach
    most = max(favourite, key=lambda name: favourite[name])
    kept = [action.name != most for action in snapshot.catalogue.actions]
    catalogue = snapshot.catalogue
    without = Catalogue(
        catalogue.channels,
        tuple(action for action in catalogue.actions if action.name != most),
        tuple(treatment for treatment in catalogue.treatments if treatment.action != most),
        "without",
    )
    models = tuple(
        replace(model, actions=model.actions[kept], action_codes=model.action_codes[kept])
        for model in snapshot.models
    )
    new = Snapshot(without, snapshot.schema, snapshot.priors[kept], models)
    found = compared(world, snapshot, new)
    old_value = compared(world, snapshot, snapshot)
    assert found.reach[most][1] == 0
    assert sum(change.by_old for change in found.placements.values()) > 0
    for name, change in found.placements.items():
        assert change.old_value == pytest.approx(old_value.placements[name].new_value)


def test_a_placement_that_only_one_has_goes_from_or_to_nothing(world: Workspace, snapshot: Snapshot) -> None:
    catalogue = snapshot.catalogue
    web, email = catalogue.channels
    fewer = tuple(placement for placement in web.placements if placement.id != "home_hero")
    treatments = tuple(
        replace(t, placements=tuple(place for place in t.placements if place != "home_hero"))
        for t in catalogue.treatments
    )
    old = replace(
        snapshot,
        catalogue=Catalogue((replace(web, placements=fewer), email), catalogue.actions, treatments, "less"),
    )
    found = compared(world, old, snapshot)
    change = found.placements["home_hero"]
    assert change.share_changed == 1.0
    assert {before for before, _ in change.moves} == {None}
    assert change.old_value == 0.0
    assert change.gain > 0.0


def test_the_context_is_that_of_every_request(world: Workspace, snapshot: Snapshot) -> None:
    (data,) = customers(open_table(world.folder / "customers.parquet"), 1_000)
    batch, unusable = audience(snapshot).requests(data)
    assert unusable == 0
    assert set(batch.X[:, snapshot.schema.slice("page")].ravel().tolist()) == {3.0}
    with pytest.raises(ValueError, match="page"):
        context_row(snapshot.schema, {"page": "nowhere"})
