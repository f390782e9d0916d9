"""`arbiter world`: what is written, that it is the same again, and that its truth is true."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from feature_store.columns import columns_from_arrow
from feature_store.schema import FeatureSchema, FeatureType, Source
from models.spec import load_specs
from service.workspace.loading import load_workspace
from service.world import Truth, load_truth, write_world

TABLES = ("customers", "decisions", "outcomes")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worlds") / "world"
    write_world(folder, actions=12, customers=3_000, features=30, models=3, decisions=30_000, seed=3)
    return folder


def shown_features(world: Path, truth: Truth) -> tuple[Any, Any]:
    """X of each logged decision, and its action."""
    decisions = pq.read_table(world / "decisions.parquet")
    customers = pq.read_table(world / "customers.parquet")
    X, errors = columns_from_arrow(customers, truth.schema, [Source.PROFILE, Source.BEHAVIOUR])
    context, more = columns_from_arrow(decisions, truth.schema, [Source.CONTEXT])
    assert not errors
    assert not more
    rows = pc.index_in(
        decisions["customer_id"], value_set=customers["customer_id"].combine_chunks()
    ).to_numpy()
    seen = X[rows]
    for feature in truth.schema.by_source(Source.CONTEXT):
        columns = truth.schema.slice(feature.name)
        seen[:, columns] = context[:, columns]
    return seen, decisions["action"].to_pylist()


def test_the_workspace_is_valid_and_of_the_size_asked_for(world: Path) -> None:
    workspace = load_workspace(world)
    assert len(workspace.catalogue.actions) == 12
    assert len(workspace.schema.features) == 30
    assert list(load_specs(world / "models.yaml", workspace.schema)) == ["model_1", "model_2", "model_3"]
    assert set(workspace.action_models.values()) == {"model_1", "model_2", "model_3"}


def test_the_names_that_clients_count_on_are_there(world: Path) -> None:
    schema = FeatureSchema.load(world / "features.yaml")
    assert [f.name for f in schema.by_source(Source.CONTEXT)] == ["page", "device", "cart_value"]
    assert {f.type for f in schema.features} == set(FeatureType)
    assert {f.source for f in schema.features} == set(Source) - {Source.DERIVED}
    slots = pq.read_table(world / "decisions.parquet", columns=["channel", "placement"])
    web = {row["placement"] for row in slots.to_pylist() if row["channel"] == "web"}
    assert {"home_hero", "home_tiles"} < web
    ids = pq.read_table(world / "customers.parquet", columns=["customer_id"])["customer_id"].to_pylist()
    assert ids == [f"c{i}" for i in range(3_000)]


def test_the_true_probability_of_each_logged_row_can_be_computed_again_exactly(world: Path) -> None:
    truth = load_truth(world)
    X, actions = shown_features(world, truth)
    logged = pq.read_table(world / "decisions.parquet")["true_probability"].to_numpy()
    np.testing.assert_array_equal(truth.probability(X, None, actions), logged)
    everything = truth.probabilities(X[:200])
    picked = everything[np.arange(200), [truth.actions.index(name) for name in actions[:200]]]
    np.testing.assert_allclose(picked, logged[:200], rtol=1e-12)


def test_context_given_by_name_counts_like_context_in_the_matrix(world: Path) -> None:
    truth = load_truth(world)
    X, _ = shown_features(world, truth)
    X = X[:50].copy()
    context = {"page": "cart", "device": "phone", "cart_value": 80.0}
    by_name = truth.probability(X, context, "action_1")
    for name, value in context.items():
        X[:, truth.schema.slice(name)] = truth.schema.feature(name).encode(value)
    np.testing.assert_array_equal(by_name, truth.probability(X, None, "action_1"))
    elsewhere = truth.probability(X, {"page": "home", "device": "desktop"}, "action_1")
    assert not np.array_equal(by_name, elsewhere)


def test_questions_about_another_world_are_refused(world: Path, tmp_path: Path) -> None:
    truth = load_truth(world)
    with pytest.raises(KeyError, match="did you mean 'action_1'"):
        truth.probability(np.zeros((1, truth.schema.width)), None, "acton_1")
    with pytest.raises(ValueError, match=f"must have {truth.schema.width} columns"):
        truth.probability(np.zeros((1, 3)), None, "action_1")
    write_world(tmp_path / "other", actions=1, customers=5, features=5, models=1, decisions=5)
    (tmp_path / "other" / "features.yaml").write_text((world / "features.yaml").read_text())
    with pytest.raises(ValueError, match="is not the one"):
        load_truth(tmp_path / "other")


def test_outcomes_happen_as_often_as_the_truth_says(world: Path) -> None:
    positive = {name: spec.positive for name, spec in load_specs(world / "models.yaml").items()}
    model = load_workspace(world).action_models
    decisions = pq.read_table(world / "decisions.parquet")
    expected = decisions["true_probability"].to_numpy()
    responses = {
        (row["decision_id"], row["action"])
        for row in pq.read_table(world / "outcomes.parquet").to_pylist()
        if row["outcome"] in positive[model[row["action"]]]
    }
    noise = np.sqrt((expected * (1 - expected)).sum())
    assert abs(len(responses) - expected.sum()) < 4 * noise


def test_rates_are_realistic_and_customers_differ(world: Path) -> None:
    truth = load_truth(world)
    X, _ = shown_features(world, truth)
    probabilities = truth.probabilities(X[:5_000])
    rates = probabilities.mean(axis=0)
    assert (rates > 0.004).all()
    assert (rates < 0.22).all()
    assert (probabilities.std(axis=0) > 0.3 * rates).all()


def test_the_policy_logged_its_exact_chances(world: Path) -> None:
    decisions = pq.read_table(
        world / "decisions.parquet", columns=["placement", "rank", "selection_probability"]
    )
    columns = {name: decisions[name].to_numpy() for name in decisions.column_names}
    tiles = columns["placement"] == "home_tiles"
    for rank in (1, 2, 3):
        chances = columns["selection_probability"][tiles & (columns["rank"] == rank)]
        assert len(chances) > 1_000
        np.testing.assert_allclose(chances, 1 / (13 - rank))


def test_the_same_seed_writes_the_same_world_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_world(tmp_path / name, actions=4, customers=300, features=9, models=2, decisions=900, seed=seed)
    a, b, c = (tmp_path / name for name in "abc")
    files = sorted(path.relative_to(a) for path in a.rglob("*.yaml"))
    assert files == sorted(path.relative_to(b) for path in b.rglob("*.yaml"))
    assert all((a / file).read_bytes() == (b / file).read_bytes() for file in files)
    for table in TABLES:
        assert pq.read_table(a / f"{table}.parquet").equals(pq.read_table(b / f"{table}.parquet"))
    assert not pq.read_table(a / "customers.parquet").equals(pq.read_table(c / "customers.parquet"))


def test_the_same_customers_come_out_whatever_the_number_of_decisions(tmp_path: Path) -> None:
    for decisions in (0, 50):
        write_world(
            tmp_path / str(decisions), actions=2, customers=40, features=6, models=1, decisions=decisions
        )
    few, many = (pq.read_table(tmp_path / str(n) / "customers.parquet") for n in (0, 50))
    assert few.equals(many)
    assert pq.read_table(tmp_path / "0" / "decisions.parquet").num_rows == 0


@pytest.mark.parametrize(("actions", "models", "features"), [(1, 1, 4), (2_500, 50, 500)])
def test_the_smallest_and_the_largest_world_can_be_made(
    tmp_path: Path, actions: int, models: int, features: int
) -> None:
    folder = tmp_path / "world"
    write_world(folder, actions=actions, customers=60, features=features, models=models, decisions=80)
    truth = load_truth(folder)
    assert len(truth.actions) == actions
    assert len(truth.schema.features) == features
    assert len(load_specs(folder / "models.yaml", truth.schema)) == models
    assert pq.read_metadata(folder / "customers.parquet").num_rows == 60
    X, shown = shown_features(folder, truth)
    logged = pq.read_table(folder / "decisions.parquet")["true_probability"].to_numpy()
    np.testing.assert_array_equal(truth.probability(X, None, shown), logged)


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ({"actions": 0}, "at least 1 action"),
        ({"customers": 0}, "at least 1 customer"),
        ({"features": 3}, "at least 4 features, not 3: page, device, cart_value"),
        ({"actions": 3, "models": 4}, r"from 1 to the number of actions \(3\), not 4"),
        ({"models": 0}, "models must be from 1"),
        ({"decisions": -1}, "can't be negative"),
    ],
)
def test_sizes_that_make_no_world_are_refused_before_anything_is_written(
    tmp_path: Path, sizes: dict[str, int], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        write_world(tmp_path / "world", **sizes)  # type: ignore[arg-type]
    assert not (tmp_path / "world").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        write_world(tmp_path, customers=5, decisions=5)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
