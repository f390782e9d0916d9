"""Challengers beside champions of the small world: better, worse, and no different."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feature_store.schema import FeatureSchema
from models.calibration import Platt
from models.errors import ModelRefused
from models.evaluation.paired import differences
from models.gate import PRIORS, beside_priors, judge
from models.metrics import expected_calibration_error
from models.model import PropensityModel
from models.promotions import How
from models.registry import Registry
from models.spec import ModelSpec
from models.table import History, TrainingTable
from models.training import Growth
from models.verdict import VERDICT, Verdict
from models.workshop import train_workspace

SALES = ["fibre", "mobile", "tablet"]


@pytest.fixture(scope="module")
def champion(trained: Registry, schema: FeatureSchema) -> PropensityModel:
    return trained.load("sales", schema)


@pytest.fixture(scope="module")
def table(history: History, specs: dict[str, ModelSpec]) -> TrainingTable:
    return history.table(specs["sales"], SALES)


def distorted(model: PropensityModel, slope: float, intercept: float) -> PropensityModel:
    """The same model with another calibration."""
    calibration = Platt(slope=slope, intercept=intercept)
    return replace(model, manifest=model.manifest.model_copy(update={"calibration": calibration}))


def test_the_same_model_makes_no_difference_and_does_not_pass(
    champion: PropensityModel, table: TrainingTable
) -> None:
    verdict = judge(champion, champion, table, table)
    assert not verdict.passed
    assert verdict.comparison is not None
    assert {d.value for d in verdict.comparison.differences.values()} == {0.0}
    assert verdict.comparison.decisions == champion.manifest.data.test_rows


def test_a_better_calibrated_challenger_passes_and_a_worse_one_does_not(
    champion: PropensityModel, table: TrainingTable
) -> None:
    worse = distorted(champion, 0.3, -2.0)
    passes, fails = judge(champion, worse, table, table), judge(worse, champion, table, table)
    assert passes.passed
    assert not fails.passed
    assert any(reason.startswith("log loss -") and reason.endswith("better") for reason in passes.reasons)
    assert any(reason.startswith("log loss +") and reason.endswith("worse") for reason in fails.reasons)


def test_a_challenger_that_ranks_better_but_promises_far_too_much_does_not_pass(
    champion: PropensityModel, table: TrainingTable
) -> None:
    blind = distorted(champion, 0.0, float(np.log(0.4 / 0.6)))
    verdict = judge(distorted(champion, 1.0, 5.0), blind, table, table)
    assert not verdict.passed
    said = " ".join(verdict.reasons)
    assert "AUC +" in said
    assert "worse" in said


def test_the_value_is_told_where_chance_has_chosen(champion: PropensityModel, table: TrainingTable) -> None:
    by_chance = replace(table, chances=np.full(len(table.labels), 1 / 3))
    backwards = replace(champion, manifest=champion.manifest, scorer=_Backwards(champion))
    verdict = judge(champion, backwards, by_chance, by_chance)
    assert verdict.passed
    assert verdict.comparison is not None
    assert verdict.comparison.values["snips"].low > 0
    assert verdict.comparison.values["dr"].low > 0
    assert not judge(backwards, champion, by_chance, by_chance).passed
    assert "value: not told" in judge(champion, backwards, table, table).reasons[-1]


def test_a_first_version_has_to_be_better_than_what_was_declared(
    champion: PropensityModel, table: TrainingTable
) -> None:
    far_off = dict.fromkeys(SALES, 0.9)
    passes = beside_priors(champion, table, far_off)
    assert passes.passed
    assert passes.champion == PRIORS
    assert any(reason.startswith("log loss -") and reason.endswith("better") for reason in passes.reasons)
    rates = {
        name: float(table.labels[table.rows[:, -2] == code].mean()) for code, name in enumerate(table.actions)
    }
    fails = beside_priors(distorted(champion, 0.0, 1.0), table, rates)
    assert not fails.passed
    assert any(reason.startswith("log loss +") and reason.endswith("worse") for reason in fails.reasons)


def test_a_first_version_that_is_no_better_is_kept_and_does_not_serve(
    world: Path, schema: FeatureSchema, specs: dict[str, ModelSpec], tmp_path: Path
) -> None:
    registry, models = Registry(tmp_path), {"call_back": "service"}
    specs = {"service": replace(specs["service"], starts_untrained=True)}
    [report] = train_workspace(
        specs, schema, models, world, registry, seed=1, growth=Growth(1, 2), priors={"call_back": 0.999}
    ).responses
    assert report.promoted
    other = Registry(tmp_path / "other")
    rate = report.positives / report.rows
    [blind] = train_workspace(
        specs, schema, models, world, other, seed=1, growth=Growth(1, 2), priors={"call_back": rate}
    ).responses
    assert blind.promoted == (other.serving("service") is not None)
    assert blind.verdict is not None
    assert blind.verdict.champion == PRIORS


class _Backwards:
    """A model that likes what the other one does not."""

    kind = "backwards"

    def __init__(self, model: PropensityModel) -> None:
        self._scorer, self.width = model.scorer, model.scorer.width

    def margins(self, rows: np.ndarray) -> np.ndarray:
        return -self._scorer.margins(rows)


def test_without_decisions_newer_than_what_both_have_learned_from_nothing_passes(
    champion: PropensityModel, table: TrainingTable
) -> None:
    data = champion.manifest.data.model_copy(update={"seen_until": champion.manifest.data.last_decision})
    knows_all = replace(champion, manifest=champion.manifest.model_copy(update={"data": data}))
    verdict = judge(champion, knows_all, table, table)
    assert not verdict.passed
    assert "only 0 decisions, 0 with a response, are newer" in verdict.reasons[0]


def test_differences_are_those_of_the_measures_and_customers_share_their_luck() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.05, 0.6, 4_000)
    labels = (rng.random(4_000) < truth).astype(float)
    found = differences(labels, truth, np.clip(truth + 0.2, 0, 1), rng.integers(0, 500, 4_000), 0)
    gap = expected_calibration_error(labels, truth) - expected_calibration_error(labels, truth + 0.2)
    assert found["ece"].value == pytest.approx(gap, abs=0.01)
    assert found["auc"].value == pytest.approx(0.0, abs=1e-3)
    assert found["log_loss"].high < 0
    assert all(interval.low <= interval.value <= interval.high for interval in found.values())


def test_training_again_keeps_the_champion_unless_forced_and_says_why(
    world: Path,
    schema: FeatureSchema,
    specs: dict[str, ModelSpec],
    registry: Registry,
) -> None:
    before, models = registry.champion("service"), {"call_back": "service"}
    [report] = train_workspace(specs, schema, models, world, registry, seed=1, growth=Growth(1, 2)).responses
    assert not report.promoted
    assert registry.champion("service") == before
    kept = Verdict.model_validate_json((registry.folder / "service" / report.version / VERDICT).read_bytes())
    assert kept == report.verdict
    assert kept.champion == before
    [forced] = train_workspace(
        specs, schema, models, world, registry, seed=2, growth=Growth(1, 2), force=True
    ).responses
    assert registry.champion("service") == forced.version
    assert registry.promotions("service")[-1].how is How.FORCED
    [better] = train_workspace(specs, schema, models, world, registry, seed=3).responses
    assert better.promoted
    assert registry.promotions("service")[-1].how is How.TRAINED


def test_a_champion_that_does_not_fit_any_more_is_replaced(
    world: Path, specs: dict[str, ModelSpec], schema: FeatureSchema, registry: Registry
) -> None:
    [broken] = (registry.folder / "service").glob("2*/model.txt")
    broken.write_text("tree")
    [report] = train_workspace(specs, schema, {"call_back": "service"}, world, registry, seed=4).responses
    assert report.promoted
    assert report.verdict is not None
    assert "can't serve any more" in report.verdict.reasons[0]


def test_going_back_twice_goes_further_back(registry: Registry) -> None:
    name = "service"
    first = registry.champion(name)
    versions = [first]
    for second in ("1", "2"):
        copy = registry.folder / name / f"2099010{second}T000000Z-00000000"
        copy.mkdir()
        registry.promote(name, copy.name)
        registry.promote(name, copy.name)  # which it is already: no news
        versions.append(copy.name)
    for expected in (versions[1], first):
        assert registry.previous(name) == expected
        registry.promote(name, expected, How.ROLLED_BACK)
        assert registry.champion(name) == expected
    hows = [promotion.how for promotion in registry.promotions(name)]
    assert hows == [How.TRAINED, How.PROMOTED, How.PROMOTED, How.ROLLED_BACK, How.ROLLED_BACK]
    with pytest.raises(ModelRefused, match="no version served before it"):
        registry.previous(name)
