"""Synthetic policies: that every kind is there, that they load, and how many actions their rules leave."""

import re
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from feature_store.columns import columns_from_arrow
from feature_store.schema import Source
from service.decisioning.batch import Batch
from service.decisioning.pipeline import decide
from service.decisioning.stages import Stage
from service.workspace.loading import load_workspace
from service.world import write_world
from service.world.policies import PREDICATES, STAGES


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worlds") / "world"
    write_world(folder, customers=1_000, decisions=0, policies=True, seed=2)
    return without_models(folder)


def without_models(world: Path) -> Path:
    """The world with the actions' prior propensities alone, so that it can be served untrained."""
    for file in (world / "actions").iterdir():
        file.write_text(re.sub(r"^ *model: .*\n", "", file.read_text(), flags=re.MULTILINE))
    return world


def test_every_kind_of_policy_is_live(world: Path) -> None:
    snapshot = load_workspace(world).snapshot()
    assert len(snapshot.purposes) == len(snapshot.volumes) == 1
    assert snapshot.contact.reads_customers
    assert snapshot.leaves_to_chance
    assert snapshot.experiments.needs_units


def test_each_action_has_a_rule_of_each_stage_from_sixty_predicates(world: Path) -> None:
    policies = yaml.safe_load((world / "policies.yaml").read_text())
    rules = [rule for stage in STAGES for rule in policies[stage]]
    assert len(rules) == 150
    assert len({(rule["action"], rule["name"]) for rule in rules}) == 150
    assert len({rule["when"] for rule in rules}) == PREDICATES
    for action in {rule["action"] for rule in rules}:
        assert len({rule["when"] for rule in rules if rule["action"] == action}) == 3


def test_the_rules_leave_about_thirty_of_fifty_actions(world: Path) -> None:
    workspace = load_workspace(world)
    snapshot = workspace.snapshot()
    table = pq.read_table(world / "customers.parquet")
    X, errors = columns_from_arrow(table, workspace.schema, [Source.PROFILE, Source.BEHAVIOUR])
    assert not errors
    n, catalogue = len(X), snapshot.catalogue
    decided = decide(
        snapshot,
        Batch(
            X=X,
            now=np.full(n, time.time()),
            channel=np.full(n, catalogue.channel_index["web"], np.intp),
            limits=np.ones((n, len(catalogue.slots)), np.int32),
            scored=np.ones(n, np.bool_),
        ),
    )
    codes = [
        code
        for code, removal in enumerate(snapshot.removals)
        if removal is not None
        and removal.stage in (Stage.ELIGIBILITY, Stage.APPLICABILITY, Stage.SUITABILITY)
    ]
    left = (~np.isin(decided.removed_by, codes)).sum(axis=1)
    assert 27 < left.mean() < 33
    assert left.std() > 2


def test_a_world_of_few_features_has_fewer_predicates(tmp_path: Path) -> None:
    write_world(tmp_path / "world", actions=3, features=5, models=1, customers=5, decisions=0, policies=True)
    text = (tmp_path / "world" / "policies.yaml").read_text()
    assert 0 < len(set(re.findall(r"when: (.*has.*)", text))) < PREDICATES
    load_workspace(without_models(tmp_path / "world")).snapshot()


def test_policies_change_nothing_else_of_a_world(tmp_path: Path) -> None:
    for name, policies in (("plain", False), ("ruled", True)):
        write_world(
            tmp_path / name, actions=4, customers=50, features=9, models=2, decisions=60, policies=policies
        )
    plain, ruled = tmp_path / "plain", tmp_path / "ruled"
    for file in (*plain.glob("*.parquet"), *plain.rglob("*.yaml")):
        if file.name != "policies.yaml":
            assert file.read_bytes() == (ruled / file.relative_to(plain)).read_bytes(), file.name
    assert not (plain / "experiments.yaml").exists()
    assert (ruled / "experiments.yaml").exists()
