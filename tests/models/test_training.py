import re
from dataclasses import replace

import numpy as np
import pytest

from feature_store.schema import FeatureSchema
from models.errors import TrainingError
from models.package import GoldenRows
from models.registry import Registry
from models.scorers import LightGBMScorer
from models.spec import Direction, ModelSpec
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
        chances=table.chances[:300],
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


def test_the_newest_decisions_are_what_a_model_is_measured_on(
    table: TrainingTable, specs: dict[str, ModelSpec]
) -> None:
    """The newest have their labels turned round: who had trained on some would do better than guessing."""
    newest = table.now > np.quantile(table.now, 0.85)
    turned = replace(table, labels=np.where(newest, 1.0 - table.labels, table.labels))
    data = train(table, specs["service"]).manifest.data
    assert train(turned, specs["service"]).manifest.metrics.auc < 0.4
    assert data.seen_until is not None
    assert (table.now > data.seen_until.timestamp()).sum() == data.test_rows


def test_choices_by_chance_stand_for_those_that_were_not_made(
    table: TrainingTable, specs: dict[str, ModelSpec]
) -> None:
    """The old were asked four times as often as the young, and chance says so: the model is that of all."""
    rng = np.random.default_rng(3)
    n = 40_000
    old, asked_twice = rng.random(n) < 0.5, rng.random(n)
    chances = np.where(old, 0.8, 0.2)
    chosen = asked_twice < chances
    rows = np.zeros((chosen.sum(), table.rows.shape[1]))
    labels = (rng.random(n) < np.where(old, 0.6, 0.2)).astype(float)[chosen]
    now = np.arange(len(rows), dtype=float)
    blind = replace(
        table,
        rows=rows,
        labels=labels,
        now=now,
        chances=chances[chosen],
        customers=np.arange(len(rows)),
        customer_ids=tuple(map(str, range(len(rows)))),
    )
    said = GoldenRows.parse(train(blind, specs["service"]).golden).scores[0]
    assert said == pytest.approx(0.4, abs=0.04)
    unknown = replace(blind, chances=np.full(len(rows), np.nan))
    staged = train(unknown, specs["service"])
    assert GoldenRows.parse(staged.golden).scores[0] == pytest.approx(labels.mean(), abs=0.04) != said
    assert staged.manifest.data.explored_rows == 0
    assert staged.manifest.data.effective_rows == staged.manifest.data.training_rows


@pytest.mark.parametrize(("direction", "sign"), [("increasing", 1), ("decreasing", -1)])
def test_a_prediction_moves_one_way_only_where_that_is_declared(
    table: TrainingTable, specs: dict[str, ModelSpec], direction: Direction, sign: int
) -> None:
    rng = np.random.default_rng(1)
    rows = table.rows.copy()
    rows[:, 0] = rng.uniform(0, 6, len(rows))
    wavy = replace(
        table, rows=rows, labels=(rng.random(len(rows)) < 0.5 + 0.4 * np.sin(rows[:, 0])).astype(float)
    )
    held = replace(specs["service"], monotone={"age": direction})
    asked = np.repeat(rows[:1], 200, axis=0)
    asked[:, 0] = np.linspace(0, 6, 200)
    free, bound = (train(wavy, spec) for spec in (specs["service"], held))
    ways = [np.diff(LightGBMScorer(staged.model).margins(asked)) for staged in (free, bound)]
    assert (ways[0] > 0).any()
    assert (ways[0] < 0).any()
    assert (sign * ways[1] >= 0).all()
    assert bound.manifest.monotone == {"age": direction}


def test_calibration_is_told_for_each_action_and_channel_with_enough_rows(
    history: History, specs: dict[str, ModelSpec]
) -> None:
    table = history.table(specs["sales"], ["fibre", "mobile", "tablet"])
    many = replace(
        table,
        rows=np.repeat(table.rows, 3, axis=0),
        labels=np.repeat(table.labels, 3),
        now=np.repeat(table.now, 3),
        chances=np.repeat(table.chances, 3),
        customers=np.repeat(table.customers, 3),
    )
    manifest = train(many, specs["sales"]).manifest
    assert {(cell.action, cell.channel) for cell in manifest.cells} == {
        (action, channel) for action in table.actions for channel in table.channels
    }
    assert sum(cell.rows for cell in manifest.cells) == manifest.data.test_rows
    assert all(0 <= cell.ece < 0.2 and cell.positives <= cell.rows for cell in manifest.cells)
    assert not train(table, specs["sales"], growth=Growth(1)).manifest.cells[6:]
