"""Laws that hold for every workspace and every request."""

import copy
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.decisioning.exploration import Exploration, Method
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.stages import STILL_IN

from .conftest import Case, Files, answers, cases, compiled, order, reasons

EXAMPLES = 25
"""Of each law; each is a workspace of its own, which takes longer to load than to decide for."""


@settings(max_examples=EXAMPLES)
@given(cases(), st.integers(0, 99))
def test_neither_the_order_of_requests_nor_the_size_of_the_batch_changes_anyone_s_answer(
    case: Case, seed: int
) -> None:
    rows = order(seed, len(case.batch))
    together = decide(case.snapshot, case.batch)
    some = decide(case.snapshot, case.batch.take(rows))
    told, told_some = answers(case.snapshot, together), answers(case.snapshot, some)
    for place, row in enumerate(rows.tolist()):
        assert told_some[place] == told[row]
        assert reasons(case.snapshot, some, place) == reasons(case.snapshot, together, row)


@settings(max_examples=EXAMPLES)
@given(cases())
def test_the_same_question_gets_the_same_answer(case: Case) -> None:
    first, second = decide(case.snapshot, case.batch), decide(compiled(case.files), case.batch)
    assert answers(case.snapshot, first) == answers(case.snapshot, second)
    assert np.array_equal(first.removed_by, second.removed_by)


@settings(max_examples=EXAMPLES)
@given(cases())
def test_what_was_removed_is_not_shown_and_what_is_shown_was_not_removed(case: Case) -> None:
    decisions = decide(case.snapshot, case.batch)
    shown = np.zeros(decisions.removed_by.shape, np.bool_)
    shown[decisions.slate.row, decisions.slate.action] = True
    assert np.array_equal(shown, decisions.removed_by == STILL_IN)


@settings(max_examples=EXAMPLES)
@given(cases())
def test_an_answer_is_what_was_asked_for(case: Case) -> None:
    batch, slate = case.batch, decide(case.snapshot, case.batch).slate
    catalogue = case.snapshot.catalogue
    assert (slate.rank <= batch.limits[slate.row, slate.slot]).all()
    assert len(set(zip(slate.row, slate.slot, slate.rank, strict=True))) == len(slate.row)
    assert len(set(zip(slate.row, slate.slot, slate.action, strict=True))) == len(slate.row)
    for slot, action, treatment in zip(slate.slot, slate.action, slate.treatment, strict=True):
        said, place = catalogue.treatments[treatment], catalogue.slots[slot]
        assert said.action == catalogue.actions[action].name
        assert said.channel == place.channel
        assert place.placement.id in said.placements
    asked = batch.limits > 0
    filled = np.zeros_like(asked)
    filled[slate.row, slate.slot] = True
    empty = np.zeros_like(asked)
    empty[slate.empty_row, slate.empty_slot] = True
    assert np.array_equal(filled ^ empty, asked)
    assert not (filled & empty).any()


@settings(max_examples=EXAMPLES)
@given(cases())
def test_probabilities_are_above_0_and_at_most_1(case: Case) -> None:
    probability = decide(case.snapshot, case.batch).slate.selection_probability
    assert (probability > 0).all()
    assert (probability <= 1 + 1e-12).all()


@settings(max_examples=EXAMPLES)
@given(cases(), st.sampled_from([5, 100, 1000]))
def test_raising_a_lever_never_lowers_its_action_and_never_reorders_the_others(
    case: Case, percent: int
) -> None:
    before = decide(case.snapshot, case.without_chance())
    after = decide(compiled(raised(case.files, percent)), case.without_chance())
    alpha = case.snapshot.catalogue.action_index["alpha"]
    for row in range(len(case.batch)):
        was, is_now = before.factors.priority[row], after.factors.priority[row]
        others = np.flatnonzero(~np.isnan(was) & (np.arange(len(was)) != alpha))
        assert np.array_equal(was[others], is_now[others])
        if not np.isnan(was[alpha]):
            assert is_now[alpha] >= was[alpha]
            assert (is_now[alpha] > is_now[others]).sum() >= (was[alpha] > was[others]).sum()


@settings(max_examples=EXAMPLES)
@given(cases(), st.sampled_from([5, 100, 1000]))
def test_raising_a_lever_never_moves_its_action_to_a_later_place(case: Case, percent: int) -> None:
    """Whatever limits, tiers, bundles and fallbacks there are: nothing changes until it has a place."""
    before = decide(case.snapshot, case.without_chance())
    after = decide(compiled(raised(case.files, percent)), case.without_chance())
    was, is_now = first_places(case, before, "alpha"), first_places(case, after, "alpha")
    for row, place in was.items():
        assert is_now[row] <= place


def raised(files: Files, percent: int) -> Files:
    """The files with a higher lever of the action alpha."""
    files = copy.deepcopy(files)
    for path, content in files.items():
        if path.startswith("actions/"):
            for group in content["groups"].values():
                if "alpha" in group["actions"]:
                    group["actions"]["alpha"]["lever"] += percent
    return files


def first_places(case: Case, decisions: Decisions, action: str) -> dict[int, tuple[int, int]]:
    """The first slot and rank of an action in each answer that has it."""
    slate, found = decisions.slate, dict[int, tuple[int, int]]()
    for at in np.flatnonzero(slate.action == case.snapshot.catalogue.action_index[action]).tolist():
        place = int(slate.slot[at]), int(slate.rank[at])
        found[int(slate.row[at])] = min(place, found.get(int(slate.row[at]), place))
    return found


@settings(max_examples=EXAMPLES)
@given(cases())
def test_a_factor_that_is_off_leaves_the_product_of_the_others(case: Case) -> None:
    arbitration = case.snapshot.arbitration
    factors = decide(case.snapshot, case.without_chance()).factors
    product = np.where(np.isnan(factors.propensity), np.nan, 1.0)
    for name in ("propensity", "context_weight", "value", "lever"):
        if getattr(arbitration, name):
            product = product * getattr(factors, name)
    known = ~np.isnan(product)
    np.testing.assert_allclose(factors.priority[known], product[known], rtol=1e-12)


@settings(max_examples=EXAMPLES)
@given(cases())
def test_adding_an_action_that_nobody_may_have_changes_nothing(case: Case) -> None:
    more = copy.deepcopy(case.files)
    more["actions/sales.yaml"]["groups"]["phone"]["actions"]["aaa_new"] = {
        "propensity": 1.0,
        "value": 1e6,
        "mandatory": True,
        "eligibility": "customer.age < 0.0",
        "treatments": {"aaa_web": {"channel": "web"}, "aaa_desk": {"channel": "desk"}},
    }
    larger = compiled(more)
    at = larger.catalogue.action_index["aaa_new"]
    batch = case.batch
    promises = batch.promises
    if promises is not None:
        moved = promises.actions + (promises.actions >= at)
        promises = replace(promises, actions=moved)
    assert batch.excluded is not None
    excluded = np.insert(batch.excluded, at, values=False, axis=1)
    wider = replace(batch, excluded=excluded, promises=promises)
    before, after = decide(case.snapshot, batch), decide(larger, wider)
    assert answers(larger, after) == answers(case.snapshot, before)


@settings(max_examples=EXAMPLES)
@given(cases(), st.sampled_from(["epsilon", "softmax", "thompson"]))
def test_whatever_is_left_to_chance_only_candidates_are_chosen(case: Case, method: Method) -> None:
    exploring = replace(case.snapshot, exploration=Exploration(method=method))
    plain, chance = decide(case.snapshot, case.without_chance()), decide(exploring, case.of_nobody())
    assert np.array_equal(plain.factors.priority, chance.factors.priority, equal_nan=True)
    assert not np.isnan(chance.factors.priority[chance.slate.row, chance.slate.action]).any()
