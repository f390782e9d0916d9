"""Volume limits in the core: what a budget takes out, what an even pace frees, and when something is free
again."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.decisioning.catalogue import Action
from service.decisioning.explain import explain
from service.decisioning.periods import Campaign, Daily, Hourly, Period, Span
from service.decisioning.pipeline import decide
from service.decisioning.stages import Stage
from service.decisioning.volumes import UNLIMITED, VolumeLimit

from .conftest import MakeBatch, MakeSnapshot

DAY = 86_400.0
MIDNIGHT = datetime(2026, 3, 28, tzinfo=UTC).timestamp()
ACTIONS = [Action(name, "sales", "internet", propensity=0.5) for name in ("dsl", "fibre", "tv")]
EVERYWHERE = np.array([True, True])


def limit(
    at_most: int = 100, period: Period | None = None, *, even: bool = False, of: str = "fibre"
) -> VolumeLimit:
    actions = np.array([action.name == of for action in ACTIONS])
    return VolumeLimit(f"{of}_limit", at_most, period or Daily(), actions, EVERYWHERE, even)


def test_an_action_whose_limit_leaves_nothing_is_taken_out_by_that_limit(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot(ACTIONS, volumes=(limit(of="tv"), limit(of="fibre")))
    budgets = np.array([[UNLIMITED, 0], [1, 2], [0, 0]], dtype=np.int32)
    decisions = decide(snapshot, make_batch(snapshot, 3, budgets=budgets))
    said = [[snapshot.removals[code] for code in row] for row in decisions.removed_by]
    assert [[removal and removal.rule for removal in row] for row in said] == [
        [None, "volume:fibre_limit", None],
        [None, None, None],
        [None, "volume:fibre_limit", "volume:tv_limit"],
    ]
    assert said[0][1] is not None
    assert (said[0][1].stage, said[0][1].meaning) == (
        Stage.CONTACT_POLICY,
        "chosen at most 100 times per day",
    )


def test_the_explanation_has_the_count_of_the_limit_and_when_more_is_free(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot(ACTIONS, volumes=(limit(of="tv"), limit(10, of="fibre")))
    batch = make_batch(
        snapshot,
        now=np.array([MIDNIGHT + 5]),
        budgets=np.array([[UNLIMITED, 0]], dtype=np.int32),
        volume_used=np.array([[7.0, 10.0]]),
    )
    explained = {c.action: c.cap for c in explain(snapshot, decide(snapshot, batch), 0, everything=True)}
    assert explained == {
        "dsl": None,
        "tv": None,
        "fibre": {
            "name": "fibre_limit",
            "kind": "volume",
            "count": 10,
            "at_most": 10,
            "within": "day",
            "next_free": "2026-03-29T00:00:00Z",
        },
    }


def test_without_budgets_no_limit_is_near(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
    snapshot = make_snapshot(ACTIONS, volumes=(limit(),))
    assert not decide(snapshot, make_batch(snapshot)).removed_by.any()


def test_the_actions_of_limits_are_rows_of_a_matrix(make_snapshot: MakeSnapshot) -> None:
    limited = make_snapshot(ACTIONS, volumes=(limit(of="tv"), limit(of="dsl")))
    assert limited.volume_actions.tolist() == [[False, False, True], [True, False, False]]
    assert make_snapshot(ACTIONS).volume_actions.shape == (0, 3)


def test_days_are_those_of_the_time_zone_also_when_its_clocks_change() -> None:
    berlin = Daily(ZoneInfo("Europe/Berlin"))
    summer_begins = berlin.span(datetime(2026, 3, 29, 12, tzinfo=UTC).timestamp())
    assert summer_begins.start == datetime(2026, 3, 28, 23, tzinfo=UTC).timestamp()
    assert summer_begins.end == datetime(2026, 3, 29, 22, tzinfo=UTC).timestamp()
    winter_begins = berlin.span(datetime(2026, 10, 25, 12, tzinfo=UTC).timestamp())
    assert winter_begins.end - winter_begins.start == 25 * 3600


@given(st.sampled_from([Hourly(), Daily(), Daily(ZoneInfo("America/New_York"))]), st.floats(0, 4e9))
def test_periods_follow_one_another_without_a_gap(period: Period, now: float) -> None:
    span = period.span(now)
    assert span.has(now)
    assert period.span(span.start) == span
    assert period.span(span.end).start == span.end


def test_an_even_pace_follows_the_clock_behind_a_small_head_start() -> None:
    paced = limit(1000, even=True)
    freed = [paced.ceiling(MIDNIGHT + hours * 3600) for hours in (0, 6, 12, 18)]
    assert freed == [10, 260, 510, 760]
    assert paced.ceiling(MIDNIGHT + DAY - 0.001) == 1000
    assert [limit(4, even=True).ceiling(MIDNIGHT + hours * 3600) for hours in (0, 5.9, 6, 12)] == [1, 1, 2, 3]
    assert limit(1000).ceiling(MIDNIGHT) == 1000


def test_a_campaign_frees_nothing_outside_of_its_dates() -> None:
    campaign = limit(10, Campaign(Span(MIDNIGHT, MIDNIGHT + DAY)))
    assert [campaign.ceiling(MIDNIGHT + at) for at in (-1, 0, DAY - 1, DAY)] == [0, 10, 10, 0]
    assert campaign.next_free(0, MIDNIGHT - 5) == MIDNIGHT
    assert campaign.next_free(9, MIDNIGHT + 5) == MIDNIGHT + 5
    assert campaign.next_free(10, MIDNIGHT + 5) is None
    assert campaign.next_free(0, MIDNIGHT + DAY) is None


def test_what_is_used_up_is_free_again_in_the_next_period() -> None:
    assert limit(10).next_free(10, MIDNIGHT + 5) == MIDNIGHT + DAY
    assert limit(10, Hourly()).next_free(10, MIDNIGHT + 5) == MIDNIGHT + 3600


@given(st.integers(1, 100_000), st.floats(0, 1), st.floats(0, DAY - 1))
def test_an_even_pace_frees_one_more_exactly_when_it_says(at_most: int, share: float, passed: float) -> None:
    paced, now = limit(at_most, even=True), MIDNIGHT + passed
    used = int(share * at_most)
    free = paced.next_free(used, now)
    assert free is not None
    assert free >= now
    if free > now:
        of_the_period = used if free < MIDNIGHT + DAY else 0
        assert paced.ceiling(free + 0.01) > of_the_period
        if free < MIDNIGHT + DAY:
            assert paced.ceiling(free - 0.01) <= used
    else:
        assert paced.ceiling(now + 0.01) > used


@pytest.mark.parametrize("even", [True, False])
def test_no_more_than_the_limit_is_ever_freed(even: bool) -> None:
    freed = [limit(7, even=even).ceiling(MIDNIGHT + second) for second in range(0, 86_400, 60)]
    assert max(freed) <= 7
    assert freed == sorted(freed)
    assert (freed[0], freed[-1]) == (1 if even else 7, 7)
