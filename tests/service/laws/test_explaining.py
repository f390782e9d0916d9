"""What holds for the explanation of every decision."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.decisioning.batch import Batch
from service.decisioning.explain import explain
from service.decisioning.exploration import Exploration, Method
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import STILL_IN, Stage

from .conftest import Case, cases

EXAMPLES = 15
A_LITTLE = 1e-6


def with_lever(snapshot: Snapshot, action: int, lever: float) -> Snapshot:
    levers = snapshot.catalogue.levers.copy()
    levers[action] = lever
    return replace(snapshot, arbitration=replace(snapshot.arbitration, levers=levers))


def wins(snapshot: Snapshot, batch: Batch, action: int) -> bool:
    return bool(decide(snapshot, batch).removed_by[0, action] == STILL_IN)


@settings(max_examples=EXAMPLES)
@given(cases())
def test_just_above_the_lever_of_its_break_even_a_candidate_wins_and_just_below_it_loses(case: Case) -> None:
    for row in range(min(len(case.batch), 3)):
        batch = case.without_chance().take(np.array([row]))
        found = explain(case.snapshot, decide(case.snapshot, batch), 0, everything=True)
        for candidate in found:
            if candidate.break_even is None or candidate.break_even.lever is None:
                continue
            needed = candidate.break_even.lever
            action = case.snapshot.catalogue.action_index[candidate.action]
            assert wins(with_lever(case.snapshot, action, needed * (1 + A_LITTLE) + 1e-12), batch, action)
            assert not wins(with_lever(case.snapshot, action, needed * (1 - A_LITTLE)), batch, action)


@settings(max_examples=EXAMPLES)
@given(cases(), st.sampled_from(["none", "epsilon", "softmax", "thompson", "uniform"]))
def test_to_explain_changes_nothing_and_says_the_same_whoever_is_in_the_batch(
    case: Case, method: Method
) -> None:
    snapshot = replace(case.snapshot, exploration=Exploration(method=method))
    decisions = decide(snapshot, case.batch)
    before = copy.deepcopy(columns(decisions))
    row = len(case.batch) - 1
    alone = decide(snapshot, case.batch.take(np.array([row])))
    assert explain(snapshot, decisions, row, everything=True) == explain(snapshot, alone, 0, everything=True)
    np.testing.assert_equal(columns(decisions), before)


def columns(decisions: Decisions) -> list[Any]:
    return [decisions.removed_by, decisions.factors.priority, decisions.slate.action, decisions.batch.X]


@settings(max_examples=EXAMPLES)
@given(cases())
def test_every_action_has_a_reason_or_a_place(case: Case) -> None:
    decisions = decide(case.snapshot, case.batch)
    for row in range(len(case.batch)):
        found = explain(case.snapshot, decisions, row, everything=True)
        names = {action.name for action in case.snapshot.catalogue.actions}
        assert {candidate.action for candidate in found} == names
        shown = {
            case.snapshot.catalogue.actions[action].name
            for action in decisions.slate.action[decisions.slate.row == row].tolist()
        }
        assert {candidate.action for candidate in found if candidate.rule is None} == shown
        for candidate in found:
            assert (candidate.stage is None) == (candidate.rule is None) == (candidate.meaning is None)
            if candidate.break_even is not None:
                assert candidate.priority is not None
                assert candidate.stage in (
                    Stage.SLATE,
                    Stage.ARBITRATION,
                    Stage.PROPENSITY,
                    Stage.CONTACT_POLICY,
                )


@settings(max_examples=EXAMPLES)
@given(cases(), st.sampled_from(["epsilon", "softmax", "thompson"]))
def test_the_draws_of_an_explanation_are_those_of_the_answer(case: Case, method: Method) -> None:
    snapshot = replace(case.snapshot, exploration=Exploration(method=method))
    decisions = decide(snapshot, case.of_nobody())
    slate, catalogue = decisions.slate, snapshot.catalogue
    for row in range(len(case.batch)):
        found = explain(snapshot, decisions, row, everything=True)
        drawn = {
            (draw.placement, draw.rank): (candidate.action, draw.probability)
            for candidate in found
            for draw in candidate.draws or ()
            if draw.chosen
        }
        told = {
            (catalogue.slots[slate.slot[place]].placement.id, int(slate.rank[place])): (
                catalogue.actions[slate.action[place]].name,
                float(slate.selection_probability[place]),
            )
            for place in np.flatnonzero((slate.row == row) & (slate.position < 2)).tolist()
        }
        assert drawn.keys() == told.keys()
        for turn, (action, probability) in told.items():
            assert drawn[turn][0] == action
            np.testing.assert_allclose(drawn[turn][1], probability, rtol=1e-9)
        for turn in drawn:
            chances = [
                draw.probability
                for candidate in found
                for draw in candidate.draws or ()
                if (draw.placement, draw.rank) == turn
            ]
            np.testing.assert_allclose(sum(chances), 1.0, rtol=1e-9)


@settings(max_examples=EXAMPLES)
@given(cases())
def test_who_is_chosen_by_drawn_propensities_had_the_highest_priority_with_them(case: Case) -> None:
    snapshot = replace(case.snapshot, exploration=Exploration("thompson"))
    if not snapshot.arbitration.propensity:
        return
    batch = replace(case.of_nobody(), explores=None)
    decisions = decide(snapshot, batch)
    for row in range(len(batch)):
        turns: dict[tuple[str, int], list[tuple[bool, float]]] = {}
        for candidate in explain(snapshot, decisions, row, everything=True):
            for draw in candidate.draws or ():
                assert draw.propensity is not None
                assert candidate.propensity is not None
                assert candidate.priority is not None
                priority = draw.propensity / candidate.propensity * candidate.priority
                turns.setdefault((draw.placement, draw.rank), []).append((draw.chosen, priority))
        for drawn in turns.values():
            (chosen,) = (priority for was_chosen, priority in drawn if was_chosen)
            np.testing.assert_allclose(chosen, max(priority for _, priority in drawn), rtol=1e-6)
