"""Models of customers: what they learn from, what they say, and how they serve."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_store.schema import FeatureSchema, FeatureType
from models.customer_training import TrainedCustomerModel, train_customer_model
from models.errors import ModelRefused, TrainingError
from models.heads import Heads
from models.labelled import labelled_table
from models.metrics import LevelMetrics, Metrics, NumberMetrics
from models.registry import Registry
from models.scorers import CompiledScorer
from models.spec import ModelSpec, Target
from models.training import Growth

FEATURES = """
features:
  age: {type: number, source: profile, default: 40, description: Age in years}
  plan: {type: category, source: profile, levels: [s, m, l], description: Plan}
  page: {type: category, source: context, levels: [home, bill, help], description: Page}
"""
ROWS = 4_000
INTENTS = ("browse", "pay", "mend")
TARGETS = {
    "churn": Target(file="table.parquet", label="churned", type=FeatureType.FLAG),
    "worth": Target(file="table.parquet", label="margin", type=FeatureType.NUMBER),
    "intent": Target(file="table.parquet", label="came_for", type=FeatureType.CATEGORY, levels=INTENTS),
}
READS = ("age", "plan", "page")


def spec(name: str) -> ModelSpec:
    return ModelSpec(name, (), "", READS, TARGETS[name])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose truth is simple: the young leave, the old are worth more, pages tell why one comes."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "features.yaml").write_text(FEATURES)
    rng = np.random.default_rng(3)
    age = rng.uniform(18, 90, ROWS).round()
    page = rng.integers(0, 3, ROWS)
    came_for = np.where(rng.random(ROWS) < 0.7, page, rng.integers(0, 3, ROWS))
    table = pa.table(
        {
            "customer_id": [f"c{row}" for row in range(ROWS)],
            "age": age,
            "page": np.array(["home", "bill", "help"])[page],
            "churned": rng.random(ROWS) < 1 / (1 + np.exp((age - 40) / 8)),
            "margin": pa.array(10 * age + rng.normal(0, 100, ROWS), mask=np.arange(ROWS) < 5),
            "came_for": np.array(INTENTS)[came_for],
        }
    )
    pq.write_table(table, folder / "table.parquet")
    plans = pa.table({"customer_id": table["customer_id"], "plan": rng.choice(["s", "m", "l"], ROWS)})
    pq.write_table(plans, folder / "customers.parquet")
    return folder


@pytest.fixture(scope="module")
def own_schema(folder: Path) -> FeatureSchema:
    return FeatureSchema.load(folder / "features.yaml")


def trained(folder: Path, schema: FeatureSchema, name: str) -> TrainedCustomerModel:
    table = labelled_table(folder, spec(name), TARGETS[name], schema)
    return train_customer_model(table, spec(name), TARGETS[name], growth=Growth(leaves=7))


def test_a_flag_becomes_a_calibrated_probability(folder: Path, own_schema: FeatureSchema) -> None:
    metrics = trained(folder, own_schema, "churn").model.manifest.metrics
    assert isinstance(metrics, Metrics)
    assert metrics.auc > 0.85
    assert metrics.ece < 0.06


def test_a_number_becomes_an_expected_value_and_rows_without_a_label_are_left_out(
    folder: Path, own_schema: FeatureSchema
) -> None:
    table = labelled_table(folder, spec("worth"), TARGETS["worth"], own_schema)
    assert len(table.rows) == ROWS - 5
    assert table.warnings == (f"table.parquet: 5 of {ROWS:,} rows have no 'margin' and are left out",)
    manifest = trained(folder, own_schema, "worth").model.manifest
    assert isinstance(manifest.metrics, NumberMetrics)
    assert manifest.metrics.rank_correlation > 0.85
    assert manifest.metrics.r_squared > 0.7
    assert len(manifest.percentiles) == 101
    assert list(manifest.percentiles) == sorted(manifest.percentiles)


def test_a_category_becomes_probabilities_of_its_levels_that_add_up_to_one(
    folder: Path, own_schema: FeatureSchema
) -> None:
    model = trained(folder, own_schema, "intent").model
    table = labelled_table(folder, spec("intent"), TARGETS["intent"], own_schema)
    scores = model.score(table.rows)
    assert scores.shape == (ROWS, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0)
    metrics = model.manifest.metrics
    assert isinstance(metrics, LevelMetrics)
    assert metrics.accuracy > 0.75
    assert set(metrics.levels) == set(INTENTS)
    assert all(of_level.ece < 0.08 for of_level in metrics.levels.values())
    assert metrics.auc == pytest.approx(np.mean([of_level.auc for of_level in metrics.levels.values()]))


def test_what_the_table_lacks_comes_from_the_customers(folder: Path, own_schema: FeatureSchema) -> None:
    table = labelled_table(folder, spec("churn"), TARGETS["churn"], own_schema)
    assert set(table.rows[:, 1]) == {0.0, 1.0, 2.0}


def test_a_column_that_is_nowhere_is_named(folder: Path, own_schema: FeatureSchema, tmp_path: Path) -> None:
    shutil.copy(folder / "table.parquet", tmp_path)
    with pytest.raises(TrainingError, match=r"table\.parquet: the column 'plan' is missing"):
        labelled_table(tmp_path, spec("churn"), TARGETS["churn"], own_schema)
    shutil.copy(folder / "table.parquet", tmp_path / "customers.parquet")
    with pytest.raises(TrainingError, match=r"'plan' is missing, and customers\.parquet has none either"):
        labelled_table(tmp_path, spec("churn"), TARGETS["churn"], own_schema)
    wrong = TARGETS["churn"].model_copy(update={"label": "churn"})
    with pytest.raises(TrainingError, match=r"the column 'churn' is missing; did you mean 'churned'\?"):
        labelled_table(folder, spec("churn"), wrong, own_schema)


def test_a_label_that_a_part_lacks_is_an_error(folder: Path, own_schema: FeatureSchema) -> None:
    more = TARGETS["intent"].model_copy(update={"levels": (*INTENTS, "leave")})
    table = labelled_table(folder, spec("intent"), more, own_schema)
    with pytest.raises(TrainingError, match=r"in the training part none has the 'came_for' leave"):
        train_customer_model(table, spec("intent"), more)


@pytest.mark.parametrize("name", TARGETS)
def test_a_version_serves_what_was_trained_and_no_version_that_was_changed(
    name: str, folder: Path, own_schema: FeatureSchema, tmp_path: Path
) -> None:
    made = trained(folder, own_schema, name)
    registry = Registry(tmp_path)
    version = registry.publish(made.staged)
    registry.promote(name, version)
    model = registry.load_customer_model(name, own_schema)
    assert all(isinstance(scorer, CompiledScorer) for scorer in model.heads.scorers)
    rows = labelled_table(folder, spec(name), TARGETS[name], own_schema).rows[:200]
    np.testing.assert_array_equal(model.score(rows), made.model.score(rows))
    with pytest.raises(ModelRefused, match=r"manifest\.json is not a manifest"):
        registry.load(name, own_schema)
    file = tmp_path / name / version / Heads.file
    file.chmod(0o644)
    file.write_bytes(json.dumps(json.loads(file.read_bytes())[:-1]).encode())
    with pytest.raises(ModelRefused, match="truncated"):
        registry.load_customer_model(name, own_schema)
