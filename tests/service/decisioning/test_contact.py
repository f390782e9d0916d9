"""Contact policies: caps, gaps and pauses over histories, what they cover and when they end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from feature_store.history import RECORD
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Catalogue
from service.decisioning.contact import Contact
from service.decisioning.counters import Cells
from service.decisioning.frequency import Frequency, Gap
from service.decisioning.pipeline import decide
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import Stage
from service.decisioning.touches import Touches, Vocabulary
from tests.service.decisioning.conftest import NOW, MakeBatch, MakeSnapshot
from tests.service.decisioning.contact import (
    ACTIONS,
    DAY,
    Touch,
    cap,
    contact,
    counting,
    pause,
    touches,
)

PLACES = {action.name: {"web": ("hero", "tiles"), "email": ("lead",)} for action in ACTIONS}

Out = Callable[..., set[str]]
Make = Callable[[Snapshot], list[Frequency]]


@pytest.fixture
def bare(make_snapshot: MakeSnapshot) -> Snapshot:
    return make_snapshot(ACTIONS, PLACES)


@pytest.fixture
def out(bare: Snapshot, make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> Out:
    """The actions that policies take out of one request with a history."""

    def ask(
        policies: list[Frequency], history: list[Touch] | Touches, *, channel: str = "web", **columns: Any
    ) -> set[str]:
        snapshot = make_snapshot(ACTIONS, PLACES, contact=contact(bare.catalogue, *policies))
        told = history if isinstance(history, Touches) else touches(1, history)
        batch = make_batch(snapshot, channel=channel, touches=told, **columns)
        removed_by = decide(snapshot, batch).removed_by[0]
        removals = [snapshot.removals[code] for code in removed_by.tolist()]
        return {
            action.name
            for action, removal in zip(snapshot.catalogue.actions, removals, strict=True)
            if removal is not None and removal.stage is Stage.CONTACT_POLICY
        }

    return ask


def test_a_cap_is_full_at_its_number_and_not_before(bare: Snapshot, out: Out) -> None:
    policy = cap(2, 7 * DAY, counting(bare.catalogue, "action"))
    assert out([policy], [Touch(0, NOW - DAY)]) == set()
    assert out([policy], [Touch(0, NOW - DAY), Touch(0, NOW)]) == {"fibre"}


def test_the_window_of_a_cap_is_open_at_its_beginning(bare: Snapshot, out: Out) -> None:
    policy = cap(1, DAY, counting(bare.catalogue, "action"))
    assert out([policy], [Touch(0, NOW - DAY)]) == set()
    assert out([policy], [Touch(0, np.nextafter(NOW - DAY, np.inf))]) == {"fibre"}


def test_a_record_of_a_clock_that_is_ahead_counts_already(bare: Snapshot, out: Out) -> None:
    assert out([cap(1, DAY, counting(bare.catalogue, "action"))], [Touch(0, NOW + 60)]) == {"fibre"}


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        ("action", {"fibre"}),
        ("group", {"fibre", "dsl"}),
        ("issue", {"fibre", "dsl", "phone"}),
        ("channel", {"fibre", "dsl", "phone", "wifi_help"}),
        ("everything", {"fibre", "dsl", "phone", "wifi_help"}),
    ],
)
def test_per_is_what_is_counted_together(bare: Snapshot, out: Out, per: Any, expected: set[str]) -> None:
    assert out([cap(1, DAY, counting(bare.catalogue, per))], [Touch(0, NOW)]) == expected


@pytest.mark.parametrize(
    ("scope", "history", "expected"),
    [
        ({"issue": "sales"}, Touch(0, NOW, action="phone"), {"fibre", "dsl", "phone"}),
        ({"issue": "sales"}, Touch(0, NOW, action="wifi_help"), set()),
        ({"group": "internet"}, Touch(0, NOW, action="dsl"), {"fibre", "dsl", "wifi_help"}),
        ({"issue": "service", "group": "internet"}, Touch(0, NOW, action="dsl"), set()),
        ({"action": "dsl"}, Touch(0, NOW, action="dsl"), {"dsl"}),
        ({"action": "dsl"}, Touch(0, NOW, action="fibre"), set()),
        ({"channels": ("email",)}, Touch(0, NOW, channel="email"), set()),
        ({"channels": ("web",)}, Touch(0, NOW, channel="email"), set()),
        ({"channels": ("web",)}, Touch(0, NOW), {"fibre", "dsl", "phone", "wifi_help"}),
    ],
)
def test_a_scope_narrows_what_is_covered_and_what_is_counted(
    bare: Snapshot, out: Out, scope: dict[str, Any], history: Touch, expected: set[str]
) -> None:
    assert out([cap(1, DAY, counting(bare.catalogue, "everything", **scope))], [history]) == expected


def test_a_cap_per_channel_counts_only_the_channel_of_the_request(bare: Snapshot, out: Out) -> None:
    policy = cap(1, DAY, counting(bare.catalogue, "channel"))
    assert out([policy], [Touch(0, NOW, channel="email")]) == set()
    assert len(out([policy], [Touch(0, NOW, channel="email")], channel="email")) == 4


@pytest.mark.parametrize("number", [1, 2])
def test_records_count_in_the_form_in_which_they_are_read(bare: Snapshot, out: Out, number: int) -> None:
    made = touches(1, [Touch(0, NOW)] * number)
    read = replace(made, records=np.frombuffer(made.records.tobytes(), RECORD))
    assert out([cap(number, DAY, counting(bare.catalogue, "action"))], read) == {"fibre"}


def test_only_the_declared_outcomes_count(bare: Snapshot, out: Out) -> None:
    policy = cap(1, DAY, counting(bare.catalogue, "action", of=("click", "reject")))
    assert out([policy], [Touch(0, NOW, "impression")]) == set()
    assert out([policy], [Touch(0, NOW, "reject"), Touch(0, NOW, "unheard_of")]) == {"fibre"}


def test_an_action_that_has_left_the_catalogue_still_counts_for_all_but_itself(
    bare: Snapshot, out: Out
) -> None:
    gone = [Touch(0, NOW, action="satellite", issue="sales", group="internet")]
    assert out([cap(1, DAY, counting(bare.catalogue, "action"))], gone) == set()
    assert out([cap(1, DAY, counting(bare.catalogue, "group"))], gone) == {"fibre", "dsl"}
    assert len(out([cap(1, DAY, counting(bare.catalogue, "everything"))], gone)) == 4


def test_a_pause_begins_when_its_number_is_reached_and_lasts_its_time(bare: Snapshot, out: Out) -> None:
    policy = pause(3, 7 * DAY, 10 * DAY, counting(bare.catalogue, "action"))
    thrice = [Touch(0, NOW - age * DAY) for age in (12, 11, 9)]
    assert out([policy], thrice) == {"fibre"}
    assert out([policy], thrice, now=np.array([NOW + DAY])) == set()  # ten days after the third
    assert out([policy], [Touch(0, NOW - age * DAY) for age in (10, 5, 3)]) == set()  # 7 days: not within


def test_a_pause_after_one_outcome_needs_no_window(bare: Snapshot, out: Out) -> None:
    policy = pause(1, np.inf, 90 * DAY, counting(bare.catalogue, "group", of=("reject",)))
    assert out([policy], [Touch(0, NOW - 89 * DAY, "reject")]) == {"fibre", "dsl"}
    assert out([policy], [Touch(0, NOW - 90 * DAY, "reject")]) == set()


def test_a_later_record_prolongs_a_pause(bare: Snapshot, out: Out) -> None:
    policy = pause(2, 5 * DAY, 3 * DAY, counting(bare.catalogue, "action"))
    assert out([policy], [Touch(0, NOW - age * DAY) for age in (6, 5)]) == set()
    assert out([policy], [Touch(0, NOW - age * DAY) for age in (6, 5, 2)]) == {"fibre"}


@pytest.mark.parametrize("since", [NOW - DAY + 1, np.inf])
def test_a_count_that_can_not_be_known_does_what_the_policy_declares(
    bare: Snapshot, out: Out, since: float
) -> None:
    for suppress, expected in ((True, {"fibre", "dsl", "phone"}), (False, set())):
        policy = cap(1, DAY, counting(bare.catalogue, "action", issue="sales"), suppress=suppress)
        assert out([policy], touches(1, [], since=np.array([since]))) == expected
        assert out([policy], touches(1, [], since=np.array([NOW - DAY]))) == set()


def test_a_full_count_holds_although_there_may_have_been_more(bare: Snapshot, out: Out) -> None:
    policy = cap(1, DAY, counting(bare.catalogue, "action"), suppress=False)
    assert out([policy], touches(1, [Touch(0, NOW)], since=np.array([NOW - 60]))) == {"fibre"}


def test_a_pause_looks_as_far_back_as_what_could_have_begun_it(bare: Snapshot, out: Out) -> None:
    policy = pause(2, DAY, 3 * DAY, counting(bare.catalogue, "action"), suppress=True)
    assert out([policy], touches(1, [], since=np.array([NOW - 4 * DAY + 1]))) == {a.name for a in ACTIONS}
    assert out([policy], touches(1, [], since=np.array([NOW - 4 * DAY]))) == set()


def test_a_reservation_counts_until_it_expires(bare: Snapshot, out: Out) -> None:
    outcomes = ("impression", "reserved:cap")
    policy = cap(1, DAY, counting(bare.catalogue, "action", outcomes, outcomes), reserve=600.0)
    snapshot = bare.catalogue
    assert policy.reservation == "reserved:cap"
    history = [Touch(0, NOW - 60, "reserved:cap", expires=NOW + 540)]
    assert _held(policy, snapshot, history, NOW, outcomes).untils.tolist() == [NOW + 540]
    assert not _held(policy, snapshot, history, NOW + 540, outcomes).rows.size


def test_where_nothing_can_be_reserved_a_reserving_cap_lets_nothing_through(bare: Snapshot, out: Out) -> None:
    closed = touches(1, [], closed=np.array([True]))
    policy = cap(1, DAY, counting(bare.catalogue, "action", issue="sales"), reserve=60.0)
    assert out([policy], closed) == {"fibre", "dsl", "phone"}
    assert out([cap(1, DAY, counting(bare.catalogue, "action"))], closed) == set()


def test_a_policy_of_the_account_counts_the_account_s_history(bare: Snapshot, out: Out) -> None:
    policy = cap(1, DAY, counting(bare.catalogue, "action"), by_account=True)
    assert out([policy], [Touch(0, NOW)]) == set()
    assert out([policy], [], account_touches=touches(1, [Touch(0, NOW)])) == {"fibre"}


def _held(
    policy: Frequency,
    catalogue: Catalogue,
    history: list[Touch],
    now: float = NOW,
    outcomes: tuple[str, ...] = ("impression",),
) -> Cells:
    asked = Batch(
        X=np.empty((1, 0)),
        now=np.array([now]),
        channel=np.zeros(1, np.intp),
        limits=np.zeros((1, 0), np.int32),
        scored=np.ones(1, np.bool_),
        touches=touches(1, history),
    )
    return Contact((policy,), vocabulary=Vocabulary.of(catalogue, outcomes)).cells(asked)


def test_a_policy_tells_when_it_ends_and_what_it_has_counted(bare: Snapshot) -> None:
    history = [Touch(0, NOW - age * DAY) for age in (8, 6, 3, 1)]
    by_action = counting(bare.catalogue, "action", outcomes=("impression",))
    held = _held(cap(2, 7 * DAY, by_action), bare.catalogue, history)
    assert (held.counts.tolist(), held.untils.tolist()) == ([3], [NOW + 4 * DAY])
    held = _held(pause(2, 4 * DAY, 5 * DAY, by_action), bare.catalogue, history)
    assert (held.counts.tolist(), held.untils.tolist()) == ([2], [NOW + 4 * DAY])


def test_a_cap_per_treatment_leaves_the_action_to_its_other_treatments(
    bare: Snapshot, make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    policy = cap(1, DAY, counting(bare.catalogue, "treatment"))
    snapshot = make_snapshot(ACTIONS, PLACES, contact=contact(bare.catalogue, policy))
    history = touches(1, [Touch(0, NOW, treatment="fibre_web")])
    for channel, offered in (("web", False), ("email", True)):
        decisions = decide(snapshot, make_batch(snapshot, channel=channel, touches=history))
        chosen = {snapshot.catalogue.actions[index].name for index in decisions.slate.action}
        assert ("fibre" in chosen) == offered
        if not offered:
            removal = snapshot.removals[decisions.removed_by[0, snapshot.catalogue.action_index["fibre"]]]
            assert removal is not None
            assert (removal.stage, removal.rule) == (Stage.TREATMENT, "cap")


def test_a_batch_without_any_history_is_decided_as_without_policies(
    bare: Snapshot, make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    policy = cap(9, DAY, counting(bare.catalogue, "everything"), suppress=True)
    snapshot = make_snapshot(ACTIONS, PLACES, contact=contact(bare.catalogue, policy))
    decided = decide(snapshot, make_batch(snapshot, 2))
    plain = decide(bare, make_batch(bare, 2))
    assert decided.slate.action.tolist() == plain.slate.action.tolist()


def test_a_cap_holds_for_the_actions_of_one_answer_together_too(
    bare: Snapshot, make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    policy = cap(2, DAY, counting(bare.catalogue, "issue", issue="sales"))
    snapshot = make_snapshot(ACTIONS, PLACES, contact=contact(bare.catalogue, policy))
    history = touches(2, [Touch(1, NOW, action="phone")])
    decisions = decide(snapshot, make_batch(snapshot, 2, touches=history))
    names = [snapshot.catalogue.actions[index].name for index in decisions.slate.action]
    shown = [[n for n, row in zip(names, decisions.slate.row, strict=True) if row == r] for r in (0, 1)]
    assert shown == [["fibre", "dsl", "wifi_help"], ["fibre", "wifi_help"]]
    removal = snapshot.removals[decisions.removed_by[1, snapshot.catalogue.action_index["dsl"]]]
    assert removal is not None
    assert (removal.stage, removal.rule) == (Stage.SLATE, "cap")


def test_what_stands_in_one_answer_is_one_contact_for_a_gap(
    bare: Snapshot, make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    gap = Gap(
        name="gap",
        meaning="",
        counting=counting(bare.catalogue, "everything"),
        within=DAY,
        suppress=False,
    )
    snapshot = make_snapshot(ACTIONS, PLACES, contact=contact(bare.catalogue, gap))
    assert len(decide(snapshot, make_batch(snapshot)).slate.action) == 4
    asked = make_batch(snapshot, touches=touches(1, [Touch(0, NOW - DAY + 1)]))
    assert not len(decide(snapshot, asked).slate.action)
