"""What a decision lets through and why, stage by stage."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.calibration import Platt
from models.layout import Layout
from service.decisioning.catalogue import Action
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.scoring import BoundModel
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import (
    ENDED,
    EXCLUDED,
    INACTIVE,
    NOT_IN_CHANNEL,
    NOT_IN_PLACEMENT,
    NOT_STARTED,
    OUTRANKED,
    STAGES,
    STILL_IN,
    Stage,
)

from .conftest import NOW, SCHEMA, MakeBatch, MakeSnapshot, book

A = Action("a", "sales", "mobile", propensity=0.1, value=100.0)
B = Action("b", "sales", "mobile", propensity=0.2, value=100.0)


def removed_by(snapshot: Snapshot, decisions: Decisions, action: str, row: int = 0) -> int:
    return int(decisions.removed_by[row, snapshot.catalogue.action_index[action]])


def names(snapshot: Snapshot, decisions: Decisions, row: int = 0) -> list[tuple[str, str, int]]:
    """(placement, action, rank) of what one request gets."""
    slate, catalogue = decisions.slate, snapshot.catalogue
    return [
        (
            catalogue.slots[slate.slot[i]].placement.id,
            catalogue.actions[slate.action[i]].name,
            int(slate.rank[i]),
        )
        for i in range(len(slate.row))
        if slate.row[i] == row
    ]


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (replace(A, active=False), INACTIVE),
        (replace(A, start=NOW + 1), NOT_STARTED),
        (replace(A, end=NOW), ENDED),
        (replace(A, start=NOW, end=NOW + 1), STILL_IN),
    ],
)
def test_an_action_is_available_from_its_start_until_before_its_end_and_only_while_it_is_switched_on(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, action: Action, code: int
) -> None:
    snapshot = make_snapshot([action])
    assert removed_by(snapshot, decide(snapshot, make_batch(snapshot)), "a") == code


def test_each_request_is_judged_at_its_own_time(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
    snapshot = make_snapshot([replace(A, start=NOW)])
    decisions = decide(snapshot, make_batch(snapshot, 2, now=np.array([NOW - 1, NOW])))
    assert [removed_by(snapshot, decisions, "a", row) for row in (0, 1)] == [NOT_STARTED, STILL_IN]


def test_an_excluded_action_is_out_for_that_request_only(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A, B])
    excluded = np.array([[True, False], [False, False]])
    decisions = decide(snapshot, make_batch(snapshot, 2, excluded=excluded))
    assert removed_by(snapshot, decisions, "a", 0) == EXCLUDED
    assert removed_by(snapshot, decisions, "a", 1) == STILL_IN


def test_an_action_without_a_treatment_in_the_channel_is_out_at_that_stage(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A, B], {"a": {"email": ("lead",)}, "b": {"web": ("hero",)}})
    assert removed_by(snapshot, decide(snapshot, make_batch(snapshot)), "a") == NOT_IN_CHANNEL


def test_an_action_without_a_treatment_in_a_placement_asked_for_is_out_and_not_scored(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A, B], {"a": {"web": ("tiles",)}, "b": {"web": ("hero",)}})
    decisions = decide(snapshot, make_batch(snapshot, limits={"hero": 1}))
    assert removed_by(snapshot, decisions, "a") == NOT_IN_PLACEMENT
    assert np.isnan(decisions.factors.propensity[0, 0])


def test_the_first_reason_stays(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
    snapshot = make_snapshot([replace(A, active=False, end=NOW - 5)], {"a": {"email": ("lead",)}})
    assert removed_by(snapshot, decide(snapshot, make_batch(snapshot)), "a") == INACTIVE


@pytest.mark.parametrize(
    "stage",
    [Stage.ELIGIBILITY, Stage.APPLICABILITY, Stage.SUITABILITY, Stage.CONSENT, Stage.CONTACT_POLICY],
)
def test_a_rule_takes_its_actions_from_the_requests_for_which_it_does_not_hold(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, stage: Stage
) -> None:
    adults = book((stage, "customer.age >= 18.0", {"actions": (0,)}))
    snapshot = make_snapshot([A, B], rules=adults)
    X = np.full((2, SCHEMA.width), np.nan)
    X[:, 0] = [17, 18]
    decisions = decide(snapshot, make_batch(snapshot, 2, X=X))
    removal = snapshot.removals[removed_by(snapshot, decisions, "a", 0)]
    assert removal is not None
    assert (removal.stage, removal.rule) == (stage, "customer.age >= 18.0")
    assert removed_by(snapshot, decisions, "b", 0) == STILL_IN
    assert removed_by(snapshot, decisions, "a", 1) == STILL_IN


def test_an_earlier_stage_speaks_before_a_later_one(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    everything: dict[str, tuple[int, ...]] = {"actions": (0,)}
    rules = book((Stage.CONSENT, "false", everything), (Stage.ELIGIBILITY, "1.0 > 2.0", everything))
    snapshot = make_snapshot([A], rules=rules)
    removal = snapshot.removals[removed_by(snapshot, decide(snapshot, make_batch(snapshot)), "a")]
    assert removal is not None
    assert removal.rule == "1.0 > 2.0"


def test_the_higher_priority_gets_the_better_place_and_no_action_is_shown_twice(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A, B])
    decisions = decide(snapshot, make_batch(snapshot))
    assert names(snapshot, decisions) == [("hero", "b", 1), ("tiles", "a", 1)]


def test_what_was_good_but_not_good_enough_is_outranked(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A, B])
    decisions = decide(snapshot, make_batch(snapshot, limits={"hero": 1}))
    assert removed_by(snapshot, decisions, "a") == OUTRANKED
    assert removed_by(snapshot, decisions, "b") == STILL_IN


def test_ties_go_to_the_action_that_stands_first_by_issue_group_and_name(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    tied = [
        Action("z", "a_issue", "g", propensity=0.1),
        Action("y", "b_issue", "g", propensity=0.1),
        Action("x", "b_issue", "f", propensity=0.1),
        Action("w", "b_issue", "f", propensity=0.1),
    ]
    snapshot = make_snapshot(tied[::-1])
    decisions = decide(snapshot, make_batch(snapshot))
    assert [action for _, action, _ in names(snapshot, decisions)] == ["z", "w", "x", "y"]


@pytest.mark.parametrize(
    ("actions", "places", "reason_stage"),
    [
        ([replace(A, active=False)], None, Stage.AVAILABILITY),
        ([A], {"a": {"web": ("tiles",)}}, Stage.TREATMENT),
    ],
)
def test_an_empty_placement_names_the_stage_that_took_its_last_candidate(
    make_snapshot: MakeSnapshot,
    make_batch: MakeBatch,
    actions: list[Action],
    places: dict[str, dict[str, tuple[str, ...]]] | None,
    reason_stage: Stage,
) -> None:
    snapshot = make_snapshot(actions, places)
    slate = decide(snapshot, make_batch(snapshot, limits={"hero": 1})).slate
    assert len(slate.row) == 0
    assert [snapshot.no_actions[code].stage for code in slate.empty_code] == [reason_stage]


def test_a_placement_whose_only_candidate_is_shown_elsewhere_says_so(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A])
    slate = decide(snapshot, make_batch(snapshot)).slate
    assert [snapshot.no_actions[code].stage for code in slate.empty_code] == [Stage.SLATE]


def test_an_empty_catalogue_gives_empty_placements_with_a_reason(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([])
    slate = decide(snapshot, make_batch(snapshot, 2)).slate
    assert len(slate.row) == 0
    assert len(slate.empty_row) == 4


def test_an_empty_batch_is_decided_too(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
    snapshot = make_snapshot([A])
    decisions = decide(snapshot, make_batch(snapshot, 0))
    assert decisions.removed_by.shape == (0, 1)
    assert len(decisions.slate.row) == 0


def test_every_stage_reports_that_it_is_done_in_order(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot, done = make_snapshot([A]), list[Stage]()
    decide(snapshot, make_batch(snapshot), done.append)
    assert tuple(done) == STAGES


class AgeScorer:
    """Gives back a column of its rows: which one tells how the rows were laid out."""

    kind = "age"
    width = 3

    def __init__(self, column: int) -> None:
        self.column = column

    def margins(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log(rows[:, self.column] / (1.0 - rows[:, self.column]))


def bound(column: int, actions: list[bool]) -> BoundModel:
    return BoundModel(
        name="m",
        version="1",
        scorer=AgeScorer(column),
        calibration=Platt(),
        layout=Layout.of(SCHEMA, ["age"]),
        action_codes=np.array([0.7, np.nan]),
        channel_codes=np.array([0.3, 0.4]),
        actions=np.array(actions),
    )


def test_a_model_scores_its_own_actions_and_the_prior_speaks_for_the_others(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A, B], models=(bound(0, [True, False]),))
    X = np.full((2, SCHEMA.width), np.nan)
    X[:, 0] = [0.5, 0.6]
    decisions = decide(snapshot, make_batch(snapshot, 2, X=X))
    np.testing.assert_allclose(decisions.factors.propensity, [[0.5, 0.2], [0.6, 0.2]], rtol=1e-12)


def test_the_action_and_the_channel_are_inputs_of_the_model(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    for column, expected in ((1, 0.7), (2, 0.3)):
        snapshot = make_snapshot([A, B], models=(bound(column, [True, False]),))
        assert decide(snapshot, make_batch(snapshot)).factors.propensity[0, 0] == pytest.approx(expected)


def test_a_request_without_time_for_models_gets_declared_propensities(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A, B], models=(bound(0, [True, True]),))
    X = np.full((2, SCHEMA.width), 0.9)
    decisions = decide(snapshot, make_batch(snapshot, 2, X=X, scored=np.array([True, False])))
    np.testing.assert_allclose(decisions.factors.propensity, [[0.9, 0.9], [0.1, 0.2]], rtol=1e-12)
