import re
from dataclasses import replace

import numpy as np
import pytest

from feature_store.schema import FeatureSchema
from models.errors import TrainingError
from models.package import GoldenRows
from models.registry import Registry
from models.spec import ModelSpec
from models.table import History, TrainingTable
from models.training import Growth, train
from models.workshop import TrainingReport


@pytest.fixture(scope="module")
def table(history: History, specs: dict[str, ModelSpec]) -> TrainingTable:
    return history.table(specs["service"], ["call_back"])


def test_a_model_finds_what_drives_responses(
    reports: list[TrainingReport], trained: Registry, schema: FeatureSchema
) -> None:
    assert reports[0].auc > 0.75
    model = trained.load("sales", schema)
    layout = model.bind(schema)
    X = np.full((1, schema.width), np.nan)
    ages = np.repeat(X, 3, axis=0)
    ages[:, schema.slice("age")] = [[25.0], [55.0], [85.0]]
    now, web = np.zeros(3), np.full(3, float(model.channel_codes["web"]))
    fibre = np.full(3, float(model.action_codes["fibre"]))
    older = model.score(layout.rows(ages, np.arange(3), now, fibre, web))
    assert (np.diff(older) > 0).all()
    actions = np.array([float(model.action_codes[name]) for name in ("fibre", "mobile", "tablet")])
    offers = model.score(layout.rows(ages, np.full(3, 1), now, actions, web))
    assert offers.argmax() == 0


def test_propensities_mean_what_they_say_on_customers_that_were_not_trained_on(
    reports: list[TrainingReport], trained: Registry, schema: FeatureSchema
) -> None:
    manifest = trained.load("sales", schema).manifest
    assert manifest.metrics.ece < 0.06
    assert manifest.metrics.log_loss < -np.log(0.5)
    assert (
        manifest.data.rows
        == manifest.data.training_rows + manifest.data.validation_rows + manifest.data.test_rows
    )


def test_a_model_can_be_grown_to_an_exact_size(table: TrainingTable, specs: dict[str, ModelSpec]) -> None:
    staged = train(table, specs["service"], growth=Growth(trees=7, leaves=4))
    assert staged.manifest.trees == 7
    assert staged.manifest.parameters["num_leaves"] == 4
    leaves = re.findall(rb"^num_leaves=(\d+)$", staged.model, re.MULTILINE)
    assert [int(number) for number in leaves] == [4] * 7


def test_the_same_seed_gives_the_same_model_and_another_one_another(
    table: TrainingTable, specs: dict[str, ModelSpec]
) -> None:
    first, again, other = (train(table, specs["service"], seed=seed) for seed in (3, 3, 4))
    assert first.model == again.model
    assert first.golden == again.golden
    assert first.manifest.calibration == again.manifest.calibration
    assert first.model != other.model


def test_codes_are_split_as_categories_not_as_numbers(
    table: TrainingTable, specs: dict[str, ModelSpec]
) -> None:
    """Channels in code order differ as little, much, little: one split of categories, two of numbers."""
    channels = np.random.default_rng(0).integers(0, 3, len(table.labels))
    rows = np.zeros_like(table.rows)
    rows[:, -1] = channels
    only = replace(table, rows=rows, labels=(channels == 1).astype(float), channels=("a", "b", "c"))
    text = train(only, specs["service"]).model.decode()
    first_tree = text.split("Tree=1")[0]
    assert "num_leaves=2\nnum_cat=1" in first_tree


def test_training_leaves_the_table_as_it_was(table: TrainingTable, specs: dict[str, ModelSpec]) -> None:
    rows = table.rows.copy()
    train(table, specs["service"])
    np.testing.assert_array_equal(table.rows, rows)


def test_golden_rows_of_a_tiny_test_part_are_as_many_as_there_are(
    table: TrainingTable, specs: dict[str, ModelSpec]
) -> None:
    few = replace(
        table,
        rows=table.rows[:300],
        labels=table.labels[:300],
        now=table.now[:300],
        customers=table.customers[:300],
    )
    staged = train(few, specs["service"])
    assert len(GoldenRows.parse(staged.golden).rows) == staged.manifest.data.test_rows + 25


def test_training_is_silent_and_tells_its_progress(
    table: TrainingTable, specs: dict[str, ModelSpec], capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[str, int, int | None]] = []
    train(table, specs["service"], progress=lambda *step: told.append(step))
    assert capfd.readouterr() == ("", "")
    assert {what for what, _, _ in told} == {"Training service"}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1] == told[-1][2]


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_that_are_all_alike_are_an_error_that_says_what_to_look_at(
    table: TrainingTable, specs: dict[str, ModelSpec], label: float
) -> None:
    alike = replace(table, labels=np.full(len(table.labels), label))
    with pytest.raises(
        TrainingError, match=r"part have a positive outcome \(accept\).*`positive` in models.yaml"
    ):
        train(alike, specs["service"])


def test_a_stranger_gets_about_the_average_propensity(trained: Registry, schema: FeatureSchema) -> None:
    model = trained.load("sales", schema)
    X = schema.defaults[None, :]
    codes = np.arange(3, dtype=np.float64)
    rows = model.bind(schema).rows(X, np.zeros(3, np.intp), np.full(3, 1.77e9), codes, np.zeros(3))
    average = model.manifest.metrics.base_rate
    assert abs(model.score(rows).mean() - average) < 0.2
