"""Laws of the slate with all its rules, against every slate that would be allowed (small cases)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.decisioning.slate import Slate, fill
from service.decisioning.slate_policy import AnswerLimit, Bundle, SlatePolicy
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import INACTIVE, OUTRANKED, STILL_IN

from .conftest import SCHEMA

ACTIONS, SLOTS, ROWS = 5, 2, 3
CHANNEL = Channel("web", "inbound", tuple(Placement(f"p{slot}", 1) for slot in range(SLOTS)))

Answer = tuple[tuple[int, ...], ...]
"""The actions of each slot, in order of their ranks."""


@dataclass(frozen=True)
class Case:
    """Requests with their candidates: fits is S x A, out and mandatory and priority n x A, limits n x S."""

    policy: SlatePolicy
    fits: NDArray[np.bool_]
    priority: NDArray[np.float64]
    out: NDArray[np.bool_]
    limits: NDArray[np.int32]
    mandatory: NDArray[np.bool_] | None = None
    fallbacks: tuple[int, ...] = ()

    @property
    def snapshot(self) -> Snapshot:
        actions = tuple(
            Action(f"a{index}", "i", "g", fallback=index in self.fallbacks) for index in range(ACTIONS)
        )
        treatments = tuple(
            Treatment(
                f"t{a}", f"a{a}", "web", tuple(f"p{slot}" for slot in np.flatnonzero(self.fits[:, a])), b""
            )
            for a in range(ACTIONS)
        )
        catalogue = Catalogue((CHANNEL,), actions, treatments, "v")
        return Snapshot(catalogue, SCHEMA, np.ones(ACTIONS), slate_policy=self.policy)

    def fill(self, rows: slice = slice(None)) -> tuple[Slate, NDArray[np.int32]]:
        """The slate of some of the requests, and what it says of who is not in it."""
        limits, n = self.limits[rows], len(self.limits[rows])
        removed_by = np.where(self.out[rows], INACTIVE, STILL_IN).astype(np.int32)
        batch = Batch(
            np.zeros((n, SCHEMA.width)), np.zeros(n), np.zeros(n, np.intp), limits, np.ones(n, np.bool_)
        )
        mandatory = None if self.mandatory is None else self.mandatory[rows]
        slate = fill(self.snapshot, batch, removed_by, self.priority[rows], mandatory=mandatory)
        return slate, removed_by

    def answers(self) -> list[Answer]:
        """What each request gets."""
        slate, _ = self.fill()
        found: list[list[list[int]]] = [[[] for _ in range(SLOTS)] for _ in self.limits]
        for row, slot, action in zip(
            *map(np.ndarray.tolist, (slate.row, slate.slot, slate.action)), strict=True
        ):
            found[row][slot].append(action)
        return [tuple(tuple(slot) for slot in answer) for answer in found]

    def total(self, row: int, answer: Answer) -> float:
        return sum(float(self.priority[row, action]) for slot in answer for action in slot)

    def allowed(self, row: int) -> Iterator[Answer]:
        """Every slate that breaks no rule."""
        return self._filled(row, ())

    def _filled(self, row: int, answer: Answer) -> Iterator[Answer]:
        if len(answer) == SLOTS:
            yield answer
            return
        for chosen in self._ranks(row, answer, ()):
            yield from self._filled(row, (*answer, chosen))

    def _ranks(self, row: int, answer: Answer, chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        yield chosen
        for unit in self._units():
            longer = chosen + unit
            if self._holds(row, (*answer, longer), unit):
                yield from self._ranks(row, answer, longer)

    def _units(self) -> list[tuple[int, ...]]:
        """What is placed as a whole: actions and fixed bundles."""
        fixed = [bundle.actions for bundle in self.policy.bundles]
        bundled = {action for actions in fixed for action in actions}
        return [*fixed, *((action,) for action in range(ACTIONS) if action not in bundled)]

    def _holds(self, row: int, answer: Answer, unit: tuple[int, ...]) -> bool:
        slot, everything = len(answer) - 1, [action for chosen in answer for action in chosen]
        once = answer[-1] if self.policy.duplicates else everything
        return (
            len(answer[-1]) <= self.limits[row, slot]
            and all(self.fits[slot, action] and not self.out[row, action] for action in unit)
            and len(set(once)) == len(once)
            and all(
                sum(bool(limit.actions[action]) for action in everything) <= limit.at_most
                for limit in self.policy.limits
            )
        )

    def order(self, row: int) -> Callable[[Answer], list[tuple[float, float, int]]]:
        """Slates in their order, the better first: by slot, by rank, by class, priority, catalogue."""

        def key(answer: Answer) -> list[tuple[float, float, int]]:
            return [
                self._standing(row, chosen[rank]) if rank < len(chosen) else (inf, 0.0, 0)
                for slot, chosen in enumerate(answer)
                for rank in range(self.limits[row, slot])
            ]

        return key

    def _standing(self, row: int, action: int) -> tuple[float, float, int]:
        tier = 0 if self.policy.tiers is None else int(self.policy.tiers[action])
        first = self.mandatory is not None and bool(self.mandatory[row, action])
        return (-1.0 if first else float(tier), -float(self.priority[row, action]), action)


def limit_of(actions: NDArray[np.bool_], at_most: int, number: int) -> AnswerLimit:
    return AnswerLimit(f"limit{number}", at_most, actions, np.ones(1, np.bool_))


@st.composite
def policies(draw: st.DrawFn) -> SlatePolicy:
    members = draw(st.lists(hnp.arrays(np.bool_, ACTIONS), max_size=2))
    limits = [limit_of(actions, draw(st.integers(1, 2)), number) for number, actions in enumerate(members)]
    bundles = draw(st.sampled_from([(), ((0, 1),), ((3, 1),), ((4, 0, 2),), ((2, 0), (1, 3))]))
    return SlatePolicy(
        duplicates=draw(st.booleans()),
        limits=tuple(limits),
        tiers=draw(st.none() | hnp.arrays(np.int8, ACTIONS, elements=st.integers(0, 2))),
        bundles=tuple(Bundle(f"b{n}", actions, fixed=True) for n, actions in enumerate(bundles)),
    )


@st.composite
def cases(
    draw: st.DrawFn,
    policy: st.SearchStrategy[SlatePolicy] = policies(),  # noqa: B008 - a strategy is a constant
    *,
    everyone_fits: bool = False,
    mandatory: bool = True,
) -> Case:
    few = st.sampled_from([0.0, 1.0, 2.0, 3.0, 10.0])  # so that ties are frequent
    fits = (
        np.ones((SLOTS, ACTIONS), np.bool_) if everyone_fits else draw(hnp.arrays(np.bool_, (SLOTS, ACTIONS)))
    )
    return Case(
        policy=draw(policy),
        fits=fits,
        priority=draw(hnp.arrays(np.float64, (ROWS, ACTIONS), elements=few)),
        out=draw(
            hnp.arrays(np.bool_, (ROWS, ACTIONS), elements=st.sampled_from([False, False, False, True]))
        ),
        limits=draw(hnp.arrays(np.int32, (ROWS, SLOTS), elements=st.integers(0, 3))),
        mandatory=draw(st.none() | hnp.arrays(np.bool_, (ROWS, ACTIONS))) if mandatory else None,
    )


@st.composite
def partitions(draw: st.DrawFn) -> SlatePolicy:
    """Limits of which each action is in one at most."""
    kind = draw(hnp.arrays(np.int8, ACTIONS, elements=st.integers(0, 2)))
    limits = [limit_of(kind == number, draw(st.integers(1, 2)), number) for number in (1, 2)]
    return SlatePolicy(limits=tuple(limits))


@st.composite
def overlapping(draw: st.DrawFn) -> SlatePolicy:
    """Two limits, which may share actions."""
    members = draw(hnp.arrays(np.bool_, (2, ACTIONS)))
    limits = [limit_of(actions, draw(st.integers(1, 2)), number) for number, actions in enumerate(members)]
    return SlatePolicy(limits=tuple(limits))


@given(cases())
def test_the_slate_is_the_first_of_all_that_are_allowed_by_slot_and_rank(case: Case) -> None:
    for row, answer in enumerate(case.answers()):
        assert answer == min(case.allowed(row), key=case.order(row))


@given(cases(partitions(), everyone_fits=True, mandatory=False))
def test_no_slate_has_a_higher_total_where_all_fit_everywhere_and_each_is_in_one_limit(case: Case) -> None:
    for row, answer in enumerate(case.answers()):
        best = max(case.total(row, other) for other in case.allowed(row))
        assert case.total(row, answer) == best


@given(cases(st.just(SlatePolicy()), mandatory=False))
def test_without_limits_no_slate_has_more_than_twice_the_total(case: Case) -> None:
    for row, answer in enumerate(case.answers()):
        best = max(case.total(row, other) for other in case.allowed(row))
        assert 2 * case.total(row, answer) >= best


@given(cases(overlapping(), everyone_fits=True, mandatory=False))
def test_no_slate_has_more_than_k_times_the_total_where_an_action_is_in_k_limits(case: Case) -> None:
    for row, answer in enumerate(case.answers()):
        best = max(case.total(row, other) for other in case.allowed(row))
        assert 2 * case.total(row, answer) >= best


@given(cases())
def test_whoever_a_limit_keeps_out_is_in_a_limit_that_is_full(case: Case) -> None:
    snapshot, (slate, removed_by) = case.snapshot, case.fill()
    first = snapshot.first_code("slate")
    bundled = {action for bundle in case.policy.bundles for action in bundle.actions}
    for number, limit in enumerate(case.policy.limits):
        rows, actions = np.nonzero(removed_by == first + number)
        for row, action in zip(rows.tolist(), actions.tolist(), strict=True):
            counted = int(limit.actions[slate.action[slate.row == row]].sum())
            assert counted == limit.at_most or action in bundled
            assert limit.actions[action] or action in bundled


@given(cases(), st.sets(st.integers(0, ACTIONS - 1)))
def test_fallbacks_stand_only_where_nothing_else_could_and_change_nothing_else(
    case: Case, fallbacks: set[int]
) -> None:
    bundled = {action for bundle in case.policy.bundles for action in bundle.actions}
    chosen = tuple(sorted(fallbacks - bundled))
    without = np.isin(np.arange(ACTIONS), chosen) | case.out
    ordinary = replace(case, out=without).answers()
    for row, answer in enumerate(replace(case, fallbacks=chosen).answers()):
        for slot in range(SLOTS):
            assert answer[slot] == ordinary[row][slot] or not ordinary[row][slot]
            assert ordinary[row][slot] or set(answer[slot]) <= fallbacks


@given(cases())
def test_with_all_its_rules_a_request_gets_the_same_alone_as_in_any_batch(case: Case) -> None:
    together, reasons = case.fill()
    for row in range(ROWS):
        alone, reason = case.fill(slice(row, row + 1))
        mine = together.row == row
        for column in ("slot", "rank", "action", "treatment", "bundle", "position", "selection_probability"):
            assert getattr(alone, column).tolist() == getattr(together, column)[mine].tolist()
        assert alone.empty_code.tolist() == together.empty_code[together.empty_row == row].tolist()
        assert reason.tolist() == reasons[[row]].tolist()


@given(cases())
def test_an_action_that_is_out_changes_nothing_for_the_others(case: Case) -> None:
    """As long as no bundle needs it."""
    bundled = {action for bundle in case.policy.bundles for action in bundle.actions}
    slate, removed_by = case.fill()
    for action in set(range(ACTIONS)) - bundled:
        out = case.out.copy()
        out[:, action] |= ~(slate.row[slate.action == action, None] == np.arange(ROWS)).any(axis=0)
        again, reasons = replace(case, out=out).fill()
        assert again.action.tolist() == slate.action.tolist()
        others = np.arange(ACTIONS) != action
        assert (reasons[:, others] == removed_by[:, others]).all()


def test_a_slot_that_comes_first_may_take_what_would_be_worth_more_later() -> None:
    """The gap that is accepted: the better place gets the better action (decision 015)."""
    case = Case(
        policy=SlatePolicy(limits=(limit_of(np.array([True, True, False, False, False]), 1, 0),)),
        fits=np.array([[True, False, False, False, False], [False, True, False, False, False]]),
        priority=np.array([[1.0, 100.0, 0.0, 0.0, 0.0]]),
        out=np.zeros((1, ACTIONS), np.bool_),
        limits=np.ones((1, SLOTS), np.int32),
    )
    assert case.answers() == [((0,), ())]
    assert max(case.allowed(0), key=lambda answer: case.total(0, answer)) == ((), (1,))
    _, removed_by = case.fill()
    assert removed_by[0, 1] == case.snapshot.first_code("slate") != OUTRANKED
