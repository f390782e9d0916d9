"""Laws of contact policies, against an oracle that counts one record after another."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Treatment
from service.decisioning.counting import Per
from service.decisioning.frequency import Cap, Frequency, Pause
from service.decisioning.pipeline import decide
from service.decisioning.quiet_hours import QuietHours, minutes_left, quiet_minutes
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import Stage
from service.decisioning.standing import standing
from tests.service.decisioning.conftest import CHANNELS, NOW, SCHEMA
from tests.service.decisioning.contact import (
    ACTIONS,
    OUTCOMES,
    Touch,
    cap,
    contact,
    counting,
    pause,
    touches,
)

HOUR = 3600.0
PERS: list[Per] = ["action", "group", "issue", "channel", "everything"]
ORDERED = tuple(sorted(ACTIONS, key=lambda action: (action.issue, action.group, action.name)))
CATALOGUE = Catalogue(
    CHANNELS,
    ORDERED,
    tuple(
        Treatment(f"{action.name}_{channel}", action.name, channel, places, b"{}")
        for action in ORDERED
        for channel, places in (("web", ("hero", "tiles")), ("email", ("lead",)))
    ),
    "v1",
)

times = st.integers(-60, 0).map(lambda hours: NOW + hours * HOUR)
histories = st.lists(
    st.builds(
        Touch,
        row=st.integers(0, 2),
        time=times,
        outcome=st.sampled_from([*OUTCOMES, "gone"]),
        channel=st.sampled_from(["web", "email", "gone"]),
        action=st.sampled_from([*(action.name for action in ACTIONS), "gone"]),
        issue=st.none(),
        group=st.none(),
        treatment=st.none(),
        expires=st.just(np.inf),
    ),
    max_size=25,
)
scopes = st.fixed_dictionaries(
    {},
    optional={
        "channels": st.sampled_from([("web",), ("email",), ("web", "email")]),
        "issue": st.sampled_from(["sales", "service"]),
        "group": st.sampled_from(["internet", "mobile"]),
        "action": st.sampled_from(["fibre", "wifi_help"]),
    },
)


@st.composite
def policies(draw: st.DrawFn) -> tuple[Frequency, dict[str, Any], Per, tuple[str, ...]]:
    """A policy, with its scope, what it is per, and what it counts."""
    per = draw(st.sampled_from(PERS))
    of = tuple(draw(st.sets(st.sampled_from(OUTCOMES), min_size=1)))
    scope = draw(scopes)
    counted = counting(CATALOGUE, per, of, **scope)
    number, within = draw(st.integers(1, 4)), draw(st.integers(1, 50)) * HOUR
    if draw(st.booleans()):
        return cap(number, within, counted), scope, per, of
    rest = draw(st.integers(1, 50)) * HOUR
    return pause(number, within, rest, counted), scope, per, of


def snapshot(*frequencies: Frequency, **parts: Any) -> Snapshot:
    priors = np.array([action.propensity for action in ORDERED])
    return Snapshot(CATALOGUE, SCHEMA, priors, contact=contact(CATALOGUE, *frequencies, **parts))


def batch(channels: list[int], history: list[Touch], now: float = NOW) -> Batch:
    n = len(channels)
    limits = np.zeros((n, len(CATALOGUE.slots)), np.int32)
    for row, channel in enumerate(channels):
        limits[row, list(CATALOGUE.channel_slots[CHANNELS[channel].name])] = 1
    return Batch(
        X=np.full((n, SCHEMA.width), np.nan),
        now=np.full(n, now),
        channel=np.array(channels, np.intp),
        limits=limits,
        scored=np.ones(n, np.bool_),
        touches=touches(n, history),
    )


def blocked(snapshot: Snapshot, asked: Batch) -> list[set[str]]:
    """The actions of each request that contact policies took out."""
    removed_by = decide(snapshot, asked).removed_by
    stages = np.array([removal and removal.stage is Stage.CONTACT_POLICY for removal in snapshot.removals])
    return [{ORDERED[index].name for index in np.flatnonzero(stages[row])} for row in removed_by]


def key(per: str, action: Action | Touch, channel: str) -> object:
    known = {one.name: one for one in ORDERED}
    if per == "everything":
        return None
    if per == "channel":
        return channel
    if isinstance(action, Touch):
        one = known.get(action.action)
        names = (one.issue, one.group, one.name) if one else ("gone", "gone", "gone")
    else:
        names = action.issue, action.group, action.name
    return {"action": names[2], "group": names[:2], "issue": names[0]}[per]


def in_scope(scope: dict[str, Any], issue: str, group: str, action: str, channel: str) -> bool:
    return (
        channel in scope.get("channels", (channel,))
        and scope.get("issue", issue) == issue
        and scope.get("group", group) == group
        and scope.get("action", action) == action
    )


def counted_times(
    history: list[Touch],
    row: int,
    scope: dict[str, Any],
    per: str,
    of: tuple[str, ...],
    action: Action,
    channel: str,
) -> Iterator[float]:
    """When something happened that counts for an action in a channel."""
    known = {one.name: one for one in ORDERED}
    for touch in history:
        one = known.get(touch.action)
        issue, group = (one.issue, one.group) if one else ("gone", "gone")
        if (
            touch.row == row
            and touch.outcome in of
            and in_scope(scope, issue, group, touch.action, touch.channel)
            and key(per, touch, touch.channel) == key(per, action, channel)
        ):
            yield touch.time


def holds(policy: Frequency, moments: list[float], now: float) -> bool:
    if isinstance(policy, Cap):
        return sum(moment > now - policy.within for moment in moments) >= policy.at_most
    assert isinstance(policy, Pause)
    return any(
        moment > now - policy.pause
        and sum(moment - policy.within < other <= moment for other in moments) >= policy.after
        for moment in moments
    )


@given(st.lists(policies(), min_size=1, max_size=4), histories)
def test_policies_take_out_what_an_oracle_takes_out(
    found: list[tuple[Frequency, dict[str, Any], str, tuple[str, ...]]], history: list[Touch]
) -> None:
    channels = [0, 1, 0]
    answer = blocked(snapshot(*(policy for policy, *_ in found)), batch(channels, history))
    for row, channel in enumerate(channels):
        name = CHANNELS[channel].name
        expected = {
            action.name
            for action in ORDERED
            for policy, scope, per, of in found
            if in_scope(scope, action.issue, action.group, action.name, name)
            and holds(policy, list(counted_times(history, row, scope, per, of, action, name)), NOW)
        }
        assert answer[row] == expected


@given(st.lists(policies(), min_size=1, max_size=3), histories, st.permutations(range(3)))
def test_nobody_s_answer_depends_on_who_else_asks(
    found: list[tuple[Frequency, dict[str, Any], str, tuple[str, ...]]],
    history: list[Touch],
    order: list[int],
) -> None:
    rules = snapshot(*(policy for policy, *_ in found))
    together = batch([0, 1, 0], history)
    removed_by = decide(rules, together).removed_by
    assert np.array_equal(decide(rules, together.take(np.array(order))).removed_by, removed_by[order])
    for row in range(3):
        assert np.array_equal(decide(rules, together.take(np.array([row]))).removed_by[0], removed_by[row])


NIGHT = QuietHours(
    "night",
    "",
    np.array([[True, True, False, False], [True] * 4]),
    minutes_left(quiet_minutes(21 * 60, 8 * 60, range(7))),
    (ZoneInfo("Europe/Berlin"),),
)


@given(st.lists(policies(), max_size=3), histories, st.booleans(), st.integers(0, 23))
def test_an_action_is_free_at_the_time_that_is_told_and_not_a_moment_before(
    found: list[tuple[Frequency, dict[str, Any], str, tuple[str, ...]]],
    history: list[Touch],
    quiet: bool,
    hour: int,
) -> None:
    rules = snapshot(*(policy for policy, *_ in found), quiet_hours=(NIGHT,) if quiet else ())
    asked = batch([0, 1, 0], history, NOW + hour * HOUR)
    out = blocked(rules, asked)
    for row, channel in enumerate([0, 1, 0]):
        told = standing(rules.contact, CATALOGUE, asked, row)
        for index, action in enumerate(ORDERED):
            free_at = told.free_at[index]
            assert (free_at > asked.now[row]) == (action.name in out[row])
            mine = [touch._replace(row=0) for touch in history if touch.row == row]
            assert action.name not in blocked(rules, batch([channel], mine, free_at))[0]
            if free_at > asked.now[row]:
                before = np.nextafter(free_at, 0)
                assert action.name in blocked(rules, batch([channel], mine, before))[0]


@given(
    st.integers(1, 4),
    st.integers(1, 30),
    st.sampled_from(PERS),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_a_cap_is_never_exceeded_at_any_instant_of_any_window(
    at_most: int, hours: int, per: Any, visits: list[tuple[int, int]], random: Any
) -> None:
    """Whatever is offered is also seen, at once."""
    policy = cap(at_most, hours * HOUR, counting(CATALOGUE, per))
    rules, now, history = snapshot(policy), NOW, list[Touch]()
    for channel, pause_hours in visits:
        now += pause_hours * HOUR + random.choice([0.0, 0.5])
        asked = replace(batch([channel], history, now))
        slate = decide(rules, asked).slate
        history += [
            Touch(0, now, channel=CHANNELS[channel].name, action=ORDERED[index].name)
            for index in slate.action.tolist()
        ]
    by_key: dict[object, list[float]] = {}
    for touch in history:
        by_key.setdefault(key(per, touch, touch.channel), []).append(touch.time)
    for moments in by_key.values():
        for moment in moments:
            assert sum(moment - policy.within < other <= moment for other in moments) <= at_most


@pytest.mark.parametrize("suppress", [True, False])
def test_what_is_unknown_is_told_as_unknown(suppress: bool) -> None:
    rules = snapshot(cap(1, HOUR, counting(CATALOGUE, "action"), suppress=suppress))
    asked = replace(batch([0], []), touches=touches(1, [], since=np.array([np.inf])))
    told = standing(rules.contact, CATALOGUE, asked, 0)
    assert np.isnan(told.free_at).all() == suppress
    view = told.view(0, 0)
    assert (view["count"], view["at_most"], view["within"]) == (None if suppress else 0, 1, "1h")
    assert (view["next_free"] is None) == suppress
