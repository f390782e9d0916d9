"""Machine code that scores trees: every margin is LightGBM's, to the last bit."""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.choosing import choose
from models.forest import Forest, UnsupportedForest
from models.lightgbm_library import NativeBooster
from models.quickscorer import Panel, QuickScorer
from models.scorers import CompiledScorer, InvalidModel, LightGBMScorer
from models.tables import BoundForest, Told

WIDTH = 9
ACTION, CHANNEL = WIDTH - 2, WIDTH - 1
CODES = 70
"""How many codes a category has: more than fit into one word of LightGBM's sets."""


def drawn(count: int, seed: int = 0, missing: float = 0.1) -> NDArray[np.float64]:
    """Numbers, two categories among them, an action and a channel; some of it is missing."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, WIDTH)).round(2)
    rows[:, 4] = rng.integers(0, CODES, count)
    rows[:, 5] = rng.integers(0, 4, count)
    rows[:, ACTION] = rng.integers(0, 12, count)
    rows[:, CHANNEL] = rng.integers(0, 3, count)
    rows[rng.random(rows.shape) < missing] = np.nan
    return rows


def trained(missing: float = 0.1, trees: int = 30, **parameters: Any) -> bytes:
    """A model that has use for every column."""
    rows = drawn(4_000, missing=missing)
    known = np.nan_to_num(rows)
    truth = known[:, 0] + known[:, 1] * (known[:, ACTION] % 3) + (known[:, 4] % 5 == 2) - (known[:, 5] == 3)
    labels = (truth + known[:, CHANNEL] + np.random.default_rng(1).normal(size=len(rows)) > 1.0).astype(float)
    chosen = {
        "objective": "binary",
        "verbosity": -1,
        "num_threads": 1,
        "min_data_per_group": 5,
    } | parameters
    categories = [4, 5, ACTION, CHANNEL]
    data = lightgbm.Dataset(rows, labels, categorical_feature=categories, params=chosen)
    return lightgbm.train(chosen, data, trees).model_to_string().encode()


@pytest.fixture(scope="module")
def model() -> bytes:
    return trained()


def edges(forest: Forest) -> NDArray[np.float64]:
    """Rows that are all alike, at every threshold of the trees, right below and right above it, and where
    categories end."""
    thresholds = forest.threshold[~np.isnan(forest.threshold)]
    beside = [np.nextafter(thresholds, -np.inf), thresholds, np.nextafter(thresholds, np.inf)]
    special = [np.nan, np.inf, -np.inf, 1e-36, -1e-36, -0.5, 0.999, 31.5, 64.0, 1e12, 1e300]
    values = np.unique(np.concatenate([*beside, special, np.arange(-2.0, CODES + 3.0)]))
    return np.repeat(values[:, None], WIDTH, axis=1)


KINDS: dict[str, dict[str, Any]] = {
    "missing values in training": {},
    "none missing in training": {"missing": 0.0},
    "31 leaves": {"num_leaves": 31, "min_data_in_leaf": 5},
    "32 leaves, the most of a short word": {"num_leaves": 32, "min_data_in_leaf": 2},
    "33 leaves": {"num_leaves": 33, "min_data_in_leaf": 2},
    "64 leaves": {"num_leaves": 64, "min_data_in_leaf": 2},
    "one category against the others": {"max_cat_to_onehot": 100},
    "stumps": {"num_leaves": 2},
    "nothing to learn": {"min_data_in_leaf": 3_000},
    "a single tree": {"trees": 1},
    "missing values not told": {"use_missing": False},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_margin_is_lightgbms_to_the_last_bit(kind: str) -> None:
    text = trained(**KINDS[kind])
    reference, forest = NativeBooster(text), Forest.parse(text)
    scorer = QuickScorer(forest)
    for rows in (drawn(1_000, seed=2), drawn(300, seed=3, missing=0.6), edges(forest)):
        np.testing.assert_array_equal(scorer.margins(rows), reference.margins(rows))


@pytest.mark.parametrize("count", [*range(18), 31, 32, 33, 39])
def test_a_margin_does_not_depend_on_who_else_is_scored(model: bytes, count: int) -> None:
    scorer, rows = QuickScorer(Forest.parse(model)), drawn(40, seed=5)
    np.testing.assert_array_equal(scorer.margins(rows[:count]), scorer.margins(rows)[:count])


def test_rows_may_lie_in_memory_in_any_way_and_have_one_width(model: bytes) -> None:
    scorer, rows = QuickScorer(Forest.parse(model)), drawn(40)
    np.testing.assert_array_equal(scorer.margins(np.asfortranarray(rows)), scorer.margins(rows))
    np.testing.assert_array_equal(scorer.margins(rows[::-2]), scorer.margins(rows)[::-2])
    with pytest.raises(ValueError, match=rf"must have the shape \(m, {WIDTH}\)"):
        scorer.margins(np.zeros((3, WIDTH + 1)))


def test_threads_can_share_a_scorer(model: bytes) -> None:
    scorer, rows = QuickScorer(Forest.parse(model)), drawn(200)
    expected = scorer.margins(rows)
    with ThreadPoolExecutor(4) as pool:
        for margins in pool.map(lambda _: scorer.margins(rows), range(50)):
            np.testing.assert_array_equal(margins, expected)


def bound(forest: Forest, places: list[int], actions: list[int], codes: list[float]) -> BoundForest:
    return BoundForest(
        forest,
        places=np.array([*places, 0, 0], np.intp),
        actions=np.array(actions, np.intp),
        action=Told(ACTION, np.array(codes)),
        channel=Told(CHANNEL, np.array([0.0, 2.0, np.nan, 1.0])),
    )


@settings(max_examples=30, deadline=None)
@given(
    requests=st.integers(0, 50),
    share=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    seed=st.integers(0, 10_000),
)
def test_a_panel_gives_each_candidate_the_margin_of_its_row(requests: int, share: float, seed: int) -> None:
    places = [[0, 1, 2, 3, 4, 5, 6], [9, 8, 7, 3, 4, 5, 6]]
    actions, codes = [[5, 0, 3, 6], [1, 4]], [[3.0, 0.0, np.nan, 11.0], [7.0, 2.0]]
    bindings = list(zip(MODELS, places, actions, codes, strict=True))
    panel = Panel(
        [bound(Forest.parse(t), columns, scored, values) for t, columns, scored, values in bindings],
        columns=10,
        moments=np.array([3]),
    )
    rng = np.random.default_rng(seed)
    X = np.concatenate([drawn(requests, seed), rng.normal(size=(requests, 1))], axis=1)
    now, channel = rng.normal(size=requests), rng.integers(0, 4, requests)
    candidates = rng.random((requests, 7)) < share
    margins = np.full(candidates.shape, -123.0)
    panel.score(X, now, channel, candidates, margins)
    expected = np.full(candidates.shape, -123.0)
    relative = X.copy()
    relative[:, 3] -= now
    told = np.array([0.0, 2.0, np.nan, 1.0])[channel]
    for text, columns, scored, values in bindings:
        reference = NativeBooster(text)
        for action, code in zip(scored, values, strict=True):
            rows = np.column_stack([relative[:, columns], np.full(requests, code), told])
            asked = candidates[:, action]
            expected[asked, action] = reference.margins(rows[asked])
    np.testing.assert_array_equal(margins, expected)


MODELS = [trained(num_leaves=31), trained(trees=7, num_leaves=5)]


def test_a_panel_reads_no_memory_beyond_what_it_is_given() -> None:
    """Of many actions, few requests, and the other way round, the work space has to be large enough."""
    forest = Forest.parse(MODELS[0])
    for requests, actions in itertools.product((1, 11, 12, 31, 33, 200), (1, 2, 3, 400)):
        codes = [float(code % 12) for code in range(actions)]
        panel = Panel([bound(forest, list(range(7)), list(range(actions)), codes)], columns=7)
        X, margins = drawn(requests)[:, :7], np.zeros((requests, actions))
        everything = np.ones((requests, actions), np.bool_)
        panel.score(X, np.zeros(requests), np.zeros(requests, np.intp), everything, margins)
        first = drawn(requests)
        first[:, ACTION], first[:, CHANNEL] = codes[-1], 0.0
        np.testing.assert_array_equal(margins[:, -1], NativeBooster(MODELS[0]).margins(first))


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"num_leaves": 100, "min_data_in_leaf": 2}, "more than 64 leaves"),
        ({"zero_as_missing": True}, "zero for a missing value"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "averages its trees"),
        ({"objective": "multiclass", "num_class": 2}, "more than one output"),
        ({"linear_tree": True}, "linear"),
    ],
)
def test_trees_of_a_kind_that_is_not_known_are_refused(parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedForest, match=reason):
        Forest.parse(trained(trees=3, **parameters))


@pytest.mark.parametrize("content", [b"", b"not a model", b"tree\nnum_class=1\n", b"\xff\xfe"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(UnsupportedForest, match="does not read like"):
        Forest.parse(content)


@pytest.mark.parametrize("children", ["0 0", "1 1", "-1", "-1 -2 -3", "-1 x"])
def test_nodes_that_are_no_tree_are_refused(children: str) -> None:
    text = trained(trees=1, num_leaves=3).decode()
    assert "\nnum_leaves=3\n" in text
    damaged = re.sub(r"\nleft_child=.*", f"\nleft_child={children}", text).encode()
    with pytest.raises(UnsupportedForest, match="does not read like"):
        Forest.parse(damaged)


def test_a_model_is_compiled_unless_told_otherwise(model: bytes) -> None:
    reference, rows = LightGBMScorer(model), drawn(500)
    assert isinstance(choose(reference, model, rows, "compiled"), CompiledScorer)
    assert choose(reference, model, rows, "lightgbm") is reference
    chosen = choose(reference, model, rows, "auto")
    np.testing.assert_array_equal(chosen.margins(rows), reference.margins(rows))


def test_a_model_that_can_not_be_compiled_is_served_by_lightgbm() -> None:
    large = trained(trees=3, num_leaves=100, min_data_in_leaf=2)
    reference, rows = LightGBMScorer(large), drawn(50)
    assert choose(reference, large, rows, "auto") is reference
    with pytest.raises(InvalidModel, match="can't be scored by machine code: a tree has more than 64 leaves"):
        choose(reference, large, rows, "compiled")


def test_one_bit_of_difference_is_enough_to_be_served_by_lightgbm(model: bytes) -> None:
    """The reference of another model: its last leaf differs by the least that a number can."""
    forest = Forest.parse(model)
    value = forest.leaf_values[-1]
    text = f"{np.nextafter(value, np.inf):.17g}".encode()
    altered = model.replace(f"{value:.17g}".encode(), text)
    assert altered != model
    reference, rows = LightGBMScorer(model), drawn(2_000)
    assert choose(reference, altered, rows, "auto") is reference
    with pytest.raises(InvalidModel, match="rows get other scores than by LightGBM"):
        choose(reference, altered, rows, "compiled")


def test_a_compiled_scorer_says_what_its_margins_are_made_of(model: bytes) -> None:
    reference, rows = LightGBMScorer(model), drawn(20)
    compiled = CompiledScorer(reference, model)
    assert compiled.width == reference.width
    np.testing.assert_array_equal(compiled.contributions(rows), reference.contributions(rows))


def test_so_many_trees_that_they_are_asked_in_parts_give_the_same_margins() -> None:
    forests = [Forest.parse(trained(trees=400, num_leaves=4, seed=seed)) for seed in range(3)]
    codes = [4.0, 1.0]
    bindings = [bound(forest, list(range(7)), [2 * k, 2 * k + 1], codes) for k, forest in enumerate(forests)]
    X, channel = drawn(20)[:, :7], np.zeros(20, np.intp)
    everything, nothing = np.ones((20, 6), np.bool_), np.zeros(20)
    together, alone = np.zeros((20, 6)), np.zeros((20, 6))
    Panel(bindings, columns=7).score(X, nothing, channel, everything, together)
    for one in bindings:
        Panel([one], columns=7).score(X, nothing, channel, everything, alone)
    assert together.all()
    np.testing.assert_array_equal(together, alone)
