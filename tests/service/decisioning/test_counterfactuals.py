"""Break-evens: just above them a candidate wins, just below them it loses, and where there is none nothing
helps."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.decisioning.arbitration import Arbitration, ContextWeight
from service.decisioning.barriers import Barrier, ContactCost, Threshold
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Treatment
from service.decisioning.counterfactuals import BreakEven, break_evens
from service.decisioning.exploration import Exploration
from service.decisioning.periods import Hourly
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.retracing import Retracing
from service.decisioning.rivals import Rivals
from service.decisioning.slate_policy import AnswerLimit, Bundle, SlatePolicy
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import STILL_IN
from service.decisioning.valuation import Scaling, Valuation
from service.decisioning.volumes import VolumeLimit

from .conftest import CHANNELS, NOW, SCHEMA

A_LITTLE = 1e-6
EVERYWHERE = np.ones(len(CHANNELS), np.bool_)
HERO, TILES = "hero", "tiles"
METHODS: list[Literal["none", "logarithm", "square_root"]] = ["none", "none", "logarithm", "square_root"]


@dataclass(frozen=True)
class Case:
    """A request, and the candidates that compete in it."""

    snapshot: Snapshot
    batch: Batch

    def decided(self, **changes: Any) -> Decisions:
        return decide(replace(self.snapshot, **changes), self.batch)

    def wins(self, action: int, **changes: Any) -> bool:
        return bool(self.decided(**changes).removed_by[0, action] == STILL_IN)

    def arbitrated(self, **changes: Any) -> dict[str, Any]:
        return {"arbitration": replace(self.snapshot.arbitration, **changes)}

    def with_lever(self, action: int, lever: float) -> dict[str, Any]:
        levers = self.snapshot.catalogue.levers.copy()
        levers[action] = lever
        return self.arbitrated(levers=levers)

    def with_context_weight(self, action: int, weight: float) -> dict[str, Any]:
        only = np.arange(len(self.snapshot.catalogue.actions)) == action
        return self.arbitrated(context_weights=(ContextWeight(None, only, (weight - 1.0) * 100.0),))

    def with_value(self, action: int, value: float) -> dict[str, Any]:
        actions = list(self.snapshot.catalogue.actions)
        actions[action] = replace(actions[action], value=value)
        return {"catalogue": replace(self.snapshot.catalogue, actions=tuple(actions))}

    def with_propensity(self, action: int, propensity: float) -> dict[str, Any]:
        priors = self.snapshot.priors.copy()
        priors[action] = propensity
        return {"priors": priors}


def made(
    propensities: list[float],
    values: list[float],
    levers: list[float],
    places: list[tuple[str, ...]],
    limits: tuple[int, int],
    *,
    fallbacks: set[int] = frozenset(),  # type: ignore[assignment]
    budget: int | None = None,
    **parts: Any,
) -> Case:
    count = len(propensities)
    actions = tuple(
        Action(
            f"a{i}",
            "i",
            "g",
            propensity=propensities[i],
            value=values[i],
            levers=(0.0, 0.0, levers[i]),
            fallback=i in fallbacks,
        )
        for i in range(count)
    )
    treatments = tuple(Treatment(f"t{i}", f"a{i}", "web", places[i], b"{}") for i in range(count))
    volumes: tuple[VolumeLimit, ...] = ()
    if budget is not None:
        some = np.arange(count) % 3 == 0
        volumes = (VolumeLimit("v", 100, Hourly(), some, EVERYWHERE),)
    snapshot = Snapshot(
        Catalogue(CHANNELS, actions, treatments, "v1"),
        SCHEMA,
        np.array(propensities),
        volumes=volumes,
        **parts,
    )
    batch = Batch(
        X=np.full((1, SCHEMA.width), np.nan),
        now=np.full(1, NOW),
        channel=np.zeros(1, np.intp),
        limits=np.array([[*limits, 0]], np.int32),
        scored=np.ones(1, np.bool_),
        budgets=None if budget is None else np.array([[budget]], np.int32),
    )
    return Case(snapshot, batch)


def flags(count: int) -> st.SearchStrategy[Any]:
    return st.lists(st.booleans(), min_size=count, max_size=count).map(np.array)


@st.composite
def policies(draw: st.DrawFn, count: int) -> SlatePolicy:
    """Rules of the slate, now and then."""
    limits = [
        AnswerLimit(f"l{number}", draw(st.integers(1, 2)), draw(flags(count)), EVERYWHERE)
        for number in range(draw(st.integers(0, 2)))
    ]
    tiers = draw(st.none() | st.lists(st.integers(0, 2), min_size=count, max_size=count))
    bundles = []
    if draw(st.booleans()):
        members = draw(st.permutations(range(count)))[: draw(st.integers(2, 3))]
        bundles = [Bundle("b", tuple(members), draw(st.booleans()))]
    return SlatePolicy(
        duplicates=draw(st.booleans()),
        limits=tuple(limits),
        tiers=None if tiers is None else np.array(tiers, np.int8),
        bundles=tuple(bundles),
    )


@st.composite
def barriers(draw: st.DrawFn, count: int) -> tuple[Barrier, ...]:
    everywhere = np.ones(len(CHANNELS), np.bool_)
    found: list[Barrier] = []
    if draw(st.booleans()):
        found.append(
            Threshold(
                "likely", "propensity", draw(st.sampled_from([0.1, 0.3])), draw(flags(count)), everywhere
            )
        )
    if draw(st.booleans()):
        found.append(
            Threshold(
                "worth_it", "priority", draw(st.sampled_from([1.0, 8.0])), draw(flags(count)), everywhere
            )
        )
    if draw(st.booleans()):
        found.append(ContactCost(np.array([draw(st.sampled_from([0.5, 5.0])), np.nan])))
    return tuple(found)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(3, 7))

    def each(*choices: Any) -> list[Any]:
        return draw(st.lists(st.sampled_from(choices), min_size=count, max_size=count))

    method = draw(st.sampled_from(METHODS))
    counts = st.sampled_from([True, True, True, False])
    return made(
        each(0.01, 0.1, 0.2, 0.5, 0.9),
        each(0.0, 5.0, 20.0, 60.0),
        each(-20.0, 0.0, 50.0),
        each((HERO, TILES), (HERO,), (TILES,)),
        draw(st.sampled_from([(1, 2), (1, 0), (2, 3), (0, 1)])),
        fallbacks=set(draw(st.lists(st.integers(0, count - 1), max_size=2))),
        budget=draw(st.sampled_from([None, None, 1, 2])),
        slate_policy=draw(policies(count)),
        arbitration=Arbitration(
            propensity=draw(counts),
            value=draw(counts),
            lever=draw(counts),
            barriers=draw(barriers(count)),
            valuation=Valuation(scaling=Scaling(method, 30.0)),
        ),
    )


def of_first(snapshot: Snapshot, decisions: Decisions) -> dict[int, BreakEven]:
    """Those of the first request."""
    retracing = Retracing(snapshot, decisions, 0)
    return break_evens(snapshot, decisions, 0, Rivals.of(retracing, retracing.turns()))


def lost(case: Case) -> tuple[dict[int, BreakEven], list[int]]:
    """The break-evens of a request, and all of its candidates that reached arbitration and lost."""
    decisions = case.decided()
    scored = ~np.isnan(decisions.factors.priority[0])
    losers = np.flatnonzero(scored & (decisions.removed_by[0] != STILL_IN)).tolist()
    found = of_first(case.snapshot, decisions)
    assert found.keys() <= set(losers)
    return found, losers


@settings(max_examples=150, deadline=None)
@given(cases())
def test_just_above_its_break_even_a_candidate_wins_and_just_below_it_loses(case: Case) -> None:
    for action, found in lost(case)[0].items():
        for change, needed in (
            (case.with_lever, found.lever),
            (case.with_context_weight, found.context_weight),
            (case.with_value, found.value),
            (case.with_propensity, found.propensity),
        ):
            if needed is None:
                continue
            above = max(needed * (1 + A_LITTLE), A_LITTLE * A_LITTLE)
            if change != case.with_propensity or above <= 1.0:
                assert case.wins(action, **change(action, above)), (change, found)
            assert not case.wins(action, **change(action, needed * (1 - A_LITTLE))), (change, found)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_without_a_break_even_nothing_helps(case: Case) -> None:
    found, losers = lost(case)
    bundled = {action for bundle in case.snapshot.slate_policy.bundles for action in bundle.actions}
    barred = set(case.snapshot.barrier_codes.values())
    removed_by = case.decided().removed_by[0]
    for action in losers:
        if action in bundled and removed_by[action] in barred:
            continue  # with one of a bundle the others come, too: it is not said
        needs = found.get(action)
        if needs is None or needs.lever is None:
            assert not case.wins(action, **case.with_lever(action, 1e9))
        if needs is None or needs.value is None:
            assert not case.wins(action, **case.with_value(action, 1e9))
        if needs is None or needs.propensity is None:
            assert not case.wins(action, **case.with_propensity(action, 1.0))


@settings(max_examples=50, deadline=None)
@given(cases())
def test_the_factors_agree_with_the_priority_and_the_lever_with_its_percent(case: Case) -> None:
    decisions = case.decided()
    arbitration, factors = case.snapshot.arbitration, decisions.factors
    for action, found in of_first(case.snapshot, decisions).items():
        if found.lever is None or found.lever_percent is None:
            continue
        lever = factors.lever[0, action]
        assert found.lever_percent == pytest.approx((found.lever - lever) * 100.0)
        if arbitration.lever:
            rest = factors.priority[0, action] / lever
            assert found.priority == pytest.approx(rest * found.lever)


def simple(values: list[float], limits: tuple[int, int] = (1, 0), **parts: Any) -> Case:
    """Candidates with a propensity of 0.1 and no levers, whose order is that of their values."""
    count = len(values)
    return made([0.1] * count, values, [0.0] * count, [(HERO, TILES)] * count, limits, **parts)


def test_a_break_even_says_whom_it_beats_where_and_by_what() -> None:
    found, _ = lost(simple([50.0, 40.0]))
    assert (found[1].beats, found[1].placement) == ("a0", "hero")
    numbers = {"priority": 5.0, "lever": 1.25, "lever_percent": 25.0, "value": 50.0}
    numbers |= {"context_weight": 1.25, "propensity": 0.125}
    assert {name: getattr(found[1], name) for name in numbers} == pytest.approx(numbers)


def test_the_easiest_place_counts() -> None:
    found, _ = lost(simple([50.0, 40.0, 30.0], (1, 1)))
    assert (found[2].beats, found[2].placement) == ("a1", "tiles")


def test_a_propensity_above_1_is_none_and_so_is_a_factor_that_is_switched_off() -> None:
    found, _ = lost(simple([500.0, 40.0], arbitration=Arbitration(lever=False)))
    assert (found[1].propensity, found[1].lever, found[1].lever_percent) == (None, None, None)
    assert found[1].value == pytest.approx(500.0)


def test_who_is_below_a_better_tier_has_none() -> None:
    policy = SlatePolicy(tiers=np.array([1, 0], np.int8))
    found, losers = lost(simple([50.0, 40.0], slate_policy=policy))
    assert (found, losers) == ({}, [0])


def test_where_a_limit_is_full_it_is_the_one_who_filled_it_that_has_to_be_beaten() -> None:
    both = AnswerLimit("one", 1, np.array([True, False, True]), EVERYWHERE)
    found, _ = lost(simple([50.0, 40.0, 45.0], (1, 1), slate_policy=SlatePolicy(limits=(both,))))
    assert (found[2].beats, found[2].placement) == ("a0", "hero")


def test_where_nobody_is_worth_the_contact_its_cost_has_to_be_exceeded_and_nobody_beaten() -> None:
    costly = Arbitration(barriers=(ContactCost(np.array([8.0, np.nan])),))
    found, losers = lost(simple([50.0, 40.0], arbitration=costly))
    assert losers == [0, 1]
    assert [(found[action].priority, found[action].beats) for action in losers] == [(8.0, None)] * 2


def test_below_a_least_propensity_only_a_higher_propensity_helps() -> None:
    likely = Threshold("likely", "propensity", 0.2, np.array([True, False]), EVERYWHERE)
    found, _ = lost(simple([50.0, 40.0], arbitration=Arbitration(barriers=(likely,))))
    assert (found[0].propensity, found[0].lever, found[0].value) == (0.2, None, None)


def test_a_huge_value_under_the_logarithm_is_none_and_no_warning() -> None:
    scaled = Arbitration(valuation=Valuation(scaling=Scaling("logarithm", 0.01)))
    case = made([0.9, 0.001], [1e9, 1.0], [0.0, 0.0], [(HERO,)] * 2, (1, 0), arbitration=scaled)
    assert lost(case)[0][1].value is None


def test_where_choices_are_left_to_chance_it_is_what_makes_the_best_of_a_turn() -> None:
    case = simple([50.0, 40.0, 30.0], exploration=Exploration("epsilon", epsilon=1.0))
    chosen = set()
    for seed in range(40):
        drawn = replace(case, batch=replace(case.batch, seeds=np.array([seed], np.uint64)))
        found, losers = lost(drawn)
        chosen |= {0, 1, 2} - set(losers)
        assert 0 not in found, "it was the best, and lost by chance or not at all"
        assert {entry.beats for entry in found.values()} == {"a0"}
    assert chosen == {0, 1, 2}


def test_where_priorities_do_not_decide_there_is_none() -> None:
    case = simple([50.0, 40.0, 30.0], exploration=Exploration("uniform"))
    drawn = replace(case, batch=replace(case.batch, seeds=np.array([7], np.uint64)))
    found, losers = lost(drawn)
    assert (found, len(losers)) == ({}, 2)
