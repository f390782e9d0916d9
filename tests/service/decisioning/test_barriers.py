"""What a candidate has to reach: thresholds, and the worth of doing nothing. And who need not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.decisioning.arbitration import Arbitration, Mandate
from service.decisioning.barriers import Barrier, ContactCost, Threshold
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Treatment
from service.decisioning.explain import explain
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import Stage

from .conftest import CHANNELS, NOW, SCHEMA, Expressions, MakeBatch, MakeSnapshot, book

A = Action("a", "sales", "mobile", propensity=0.02, value=100.0)  # a priority of 2
B = Action("b", "sales", "mobile", propensity=0.2, value=25.0)  # of 5
BOTH_CHANNELS = {name: {"web": ("hero", "tiles"), "email": ("lead",)} for name in "ab"}
ALL, EVERYWHERE = np.array([True, True]), np.array([True, True])


def why(snapshot: Snapshot, decisions: Decisions, row: int = 0) -> dict[str, tuple[str, str] | None]:
    """(stage, rule) of each action that is out."""
    found = [snapshot.removals[code] for code in decisions.removed_by[row].tolist()]
    names = [action.name for action in snapshot.catalogue.actions]
    return {
        name: None if removal is None else (str(removal.stage), removal.rule)
        for name, removal in zip(names, found, strict=True)
    }


def empty(snapshot: Snapshot, decisions: Decisions) -> list[str]:
    """Why slots stay empty."""
    return [snapshot.no_actions[code].reason for code in decisions.slate.empty_code]


def told(*barriers: Barrier, **parts: Any) -> Arbitration:
    return Arbitration(barriers=barriers, **parts)


def test_who_is_below_a_threshold_is_out_at_its_stage_and_who_just_reaches_it_is_not(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    cases = [
        (Threshold("sure", "propensity", 0.1, ALL, EVERYWHERE), {"a": ("propensity", "sure"), "b": None}),
        (Threshold("sure", "propensity", 0.02, ALL, EVERYWHERE), {"a": None, "b": None}),
        (Threshold("worth", "priority", 5.0, ALL, EVERYWHERE), {"a": ("arbitration", "worth"), "b": None}),
    ]
    for threshold, expected in cases:
        snapshot = make_snapshot([A, B], arbitration=told(threshold))
        assert why(snapshot, decide(snapshot, make_batch(snapshot))) == expected


def test_a_threshold_is_for_its_actions_in_its_channels(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    threshold = Threshold("t", "priority", 99.0, np.array([True, False]), np.array([False, True]))
    snapshot = make_snapshot([A, B], BOTH_CHANNELS, arbitration=told(threshold))
    assert why(snapshot, decide(snapshot, make_batch(snapshot, channel="web"))) == {"a": None, "b": None}
    found = why(snapshot, decide(snapshot, make_batch(snapshot, channel="email")))
    assert found == {"a": ("arbitration", "t"), "b": None}


def test_an_explanation_tells_the_number_that_was_not_reached(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    threshold = Threshold("worth_it", "priority", 2.5, ALL, EVERYWHERE)
    snapshot = make_snapshot([A, B], arbitration=told(threshold))
    entries = explain(snapshot, decide(snapshot, make_batch(snapshot)), 0, everything=False)
    assert [(entry.action, entry.priority, entry.meaning) for entry in entries] == [
        ("b", 5.0, None),
        ("a", 2.0, "the priority is below 2.5"),
    ]
    said = replace(threshold, description="Not worth a glance").removal
    assert said.meaning == "Not worth a glance (the priority is below 2.5)"


def test_doing_nothing_is_a_candidate_whose_priority_is_the_cost_of_a_contact_in_the_channel(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    cost = ContactCost(np.array([np.nan, 5.0]))
    snapshot = make_snapshot([A, B], BOTH_CHANNELS, arbitration=told(cost))
    assert why(snapshot, decide(snapshot, make_batch(snapshot, channel="web"))) == {"a": None, "b": None}
    decisions = decide(snapshot, make_batch(snapshot, channel="email"))
    out = ("arbitration", "do_nothing")
    assert why(snapshot, decisions) == {"a": out, "b": out}  # 5 does not exceed 5
    assert empty(snapshot, decisions) == ["doing_nothing_is_better"]
    (best, *_) = explain(snapshot, decisions, 0, everything=False)
    assert (best.action, best.priority, best.observed) == ("b", 5.0, {"cost_of_contact": 5.0})


def test_an_action_that_is_worth_nothing_is_not_shown_where_a_contact_costs_nothing_either(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    worthless = Action("a", "sales", "mobile", propensity=0.5, value=0.0)
    for costs, shown in (([np.nan, np.nan], True), ([0.0, np.nan], False)):
        snapshot = make_snapshot([worthless], arbitration=told(ContactCost(np.array(costs))))
        assert bool(len(decide(snapshot, make_batch(snapshot)).slate.row)) is shown


def test_a_placement_says_which_stage_its_last_candidate_reached(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    cases = [
        ((Threshold("t", "propensity", 0.9, ALL, EVERYWHERE),), "propensity_too_low"),
        ((Threshold("t", "priority", 90.0, ALL, EVERYWHERE),), "priority_too_low"),
        (
            (Threshold("t", "priority", 3.0, ALL, EVERYWHERE), ContactCost(np.array([9.0, 9.0]))),
            "doing_nothing_is_better",
        ),
    ]
    for barriers, reason in cases:
        snapshot = make_snapshot([A, B], arbitration=told(*barriers))
        decisions = decide(snapshot, make_batch(snapshot, limits={"hero": 1}))
        assert empty(snapshot, decisions) == [reason]


def test_what_is_mandatory_comes_first_whatever_its_priority_and_passes_every_threshold(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    written = Expressions()
    arbitration = told(
        Threshold("t", "propensity", 0.1, ALL, EVERYWHERE),
        ContactCost(np.array([3.0, 3.0])),
        mandates=(Mandate(0, written.true("customer.age < 18.0")),),
    )
    snapshot = make_snapshot([A, B], arbitration=arbitration, rules=written.book())
    X = np.full((3, SCHEMA.width), np.nan)
    X[:2, 0] = 12.0, 40.0
    decisions = decide(snapshot, make_batch(snapshot, 3, X=X))  # where the age is missing, nothing is
    hero = decisions.slate.slot == 0
    assert decisions.slate.action[hero].tolist() == [
        0,
        1,
        1,
    ]
    assert [why(snapshot, decisions, row)["a"] for row in range(3)] == [None, *[("propensity", "t")] * 2]
    assert [entry.mandatory for entry in explain(snapshot, decisions, 0, everything=True)] == [False, True]


def test_what_is_mandatory_obeys_the_rules_all_the_same(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    adults = book((Stage.ELIGIBILITY, "customer.age >= 18.0", {"actions": (0,)}))
    snapshot = make_snapshot([A, B], arbitration=Arbitration(mandates=(Mandate(0),)), rules=adults)
    X = np.full((2, SCHEMA.width), np.nan)
    X[:, 0] = 12.0, 40.0
    decisions = decide(snapshot, make_batch(snapshot, 2, X=X))
    assert why(snapshot, decisions, 0)["a"] == ("eligibility", "customer.age >= 18.0")
    assert decisions.slate.action[(decisions.slate.row == 1) & (decisions.slate.slot == 0)].tolist() == [0]


NUMBERS = st.floats(0.0, 1.0)


@given(
    scores=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=3),
    least=NUMBERS,
    cost=NUMBERS,
    mandatory=st.sets(st.integers(0, 2)),
)
@pytest.mark.parametrize("factor", ["propensity", "priority"])
def test_exactly_those_are_left_that_reach_everything_or_are_mandatory(
    factor: Any, scores: list[tuple[float, float]], least: float, cost: float, mandatory: set[int]
) -> None:
    actions = tuple(
        Action(name, "i", "g", propensity=p, value=v) for name, (p, v) in zip("abc", scores, strict=True)
    )
    treatments = tuple(Treatment(f"{a.name}_t", a.name, "web", ("tiles",), b"{}") for a in actions)
    arbitration = told(
        Threshold("t", factor, least, np.ones(3, np.bool_), EVERYWHERE),
        ContactCost(np.array([cost, np.nan])),
        mandates=tuple(Mandate(action) for action in sorted(mandatory)),
    )
    snapshot = Snapshot(
        Catalogue(CHANNELS, actions, treatments, "v"),
        SCHEMA,
        np.array([p for p, _ in scores]),
        arbitration=arbitration,
    )
    limits = np.zeros((1, len(snapshot.catalogue.slots)), np.int32)
    limits[0, 1] = 3
    row = np.arange(1)
    batch = Batch(np.full((1, SCHEMA.width), np.nan), np.full(1, NOW), row, limits, row == 0)
    chosen = set(decide(snapshot, batch).slate.action.tolist())

    def passes(p: float, v: float) -> bool:
        return (p if factor == "propensity" else p * v) >= least and p * v > cost

    assert chosen == mandatory | {index for index, (p, v) in enumerate(scores) if passes(p, v)}
