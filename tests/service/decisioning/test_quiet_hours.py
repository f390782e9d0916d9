"""Quiet hours on the customer's wall clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.decisioning.contact import Contact
from service.decisioning.pipeline import decide
from service.decisioning.quiet_hours import QuietHours, minutes_left, quiet_minutes
from service.decisioning.stages import Stage
from tests.service.decisioning.conftest import SCHEMA, MakeBatch, MakeSnapshot
from tests.service.decisioning.contact import ACTIONS

BERLIN, NEW_YORK, LORD_HOWE = (
    ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
)
EVERY_DAY = range(7)


def hours(start: int, end: int, *zones: ZoneInfo, days: object = EVERY_DAY) -> QuietHours:
    left = minutes_left(quiet_minutes(start * 60, end * 60, days))  # type: ignore[arg-type]
    column = SCHEMA.slice("intent").start if len(zones) > 1 else None
    return QuietHours("night", "", np.ones((2, 4), np.bool_), left, zones, column)


def until(quiet: QuietHours, *moments: datetime, zone: float = np.nan) -> list[float]:
    X = np.full((len(moments), SCHEMA.width), zone)
    found: list[float] = quiet.until(X, np.array([moment.timestamp() for moment in moments])).tolist()
    return found


def test_a_night_is_quiet_from_its_first_minute_to_its_last() -> None:
    night = hours(21, 8, BERLIN)
    eve = datetime(2026, 1, 10, 21, 0, tzinfo=BERLIN)
    morning = datetime(2026, 1, 11, 8, 0, tzinfo=BERLIN).timestamp()
    before, first, last, after = until(
        night,
        eve - timedelta(seconds=1),
        eve,
        eve + timedelta(hours=11, seconds=-1),
        eve + timedelta(hours=11),
    )
    assert (first, last) == (morning, morning)
    assert np.isnan([before, after]).all()


def test_days_are_those_on_which_the_quiet_begins() -> None:
    friday_night = hours(22, 6, BERLIN, days=(4,))
    assert until(friday_night, datetime(2026, 1, 10, 5, 0, tzinfo=BERLIN)) == [
        datetime(2026, 1, 10, 6, 0, tzinfo=BERLIN).timestamp()
    ]
    assert np.isnan(until(friday_night, datetime(2026, 1, 9, 5, 0, tzinfo=BERLIN))).all()


def test_a_weekend_ends_on_monday() -> None:
    weekend = hours(0, 24, BERLIN, days=(5, 6))
    assert until(weekend, datetime(2026, 1, 10, 9, 0, tzinfo=BERLIN)) == [
        datetime(2026, 1, 12, 0, 0, tzinfo=BERLIN).timestamp()
    ]


def test_the_zone_is_the_customer_s_or_else_the_declared_one() -> None:
    night = hours(21, 8, NEW_YORK, BERLIN)
    moment = datetime(2026, 1, 10, 22, 0, tzinfo=BERLIN)
    assert np.isnan(until(night, moment, zone=0.0)).all()
    assert not np.isnan(until(night, moment)).any()


@pytest.mark.parametrize("day", [datetime(2026, 3, 28), datetime(2026, 10, 24)])
def test_the_end_is_right_where_clocks_are_changed_at_night(day: datetime) -> None:
    eve, morning = (
        day.replace(hour=22, tzinfo=BERLIN),
        (day + timedelta(days=1)).replace(hour=8, tzinfo=BERLIN),
    )
    assert until(hours(21, 8, BERLIN), eve) == [morning.timestamp()]


@given(
    moment=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    start=st.integers(0, 23),
    length=st.integers(1, 23),
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("Asia/Kathmandu")]),
    days=st.sets(st.integers(0, 6), min_size=1, max_size=6),
)
def test_a_moment_is_quiet_as_the_wall_clock_says(
    moment: datetime, start: int, length: int, zone: ZoneInfo, days: set[int]
) -> None:
    end = (start + length) % 24 or 24
    quiet = hours(start, end, zone, days=days)
    wall = moment.astimezone(zone).replace(tzinfo=None)
    begins = [
        (wall - timedelta(days=ago)).replace(hour=start, minute=0, second=0, microsecond=0) for ago in (0, 1)
    ]
    expected = any(
        begin.weekday() in days and begin <= wall < begin + timedelta(hours=length) for begin in begins
    )
    [found] = until(quiet, moment)
    assert (not np.isnan(found)) == expected


@pytest.mark.parametrize("start", [90, 1260, 120, 150])
@pytest.mark.parametrize("end", [120, 150, 165, 180, 200])
@pytest.mark.parametrize(
    ("zone", "change"),
    [
        (BERLIN, datetime(2026, 3, 29, 1, tzinfo=UTC)),
        (BERLIN, datetime(2026, 10, 25, 1, tzinfo=UTC)),
        (LORD_HOWE, datetime(2026, 4, 4, 15, tzinfo=UTC)),
        (LORD_HOWE, datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ],
)
def test_quiet_ends_at_the_first_minute_that_is_not_quiet_also_when_clocks_are_changed(
    zone: ZoneInfo, change: datetime, start: int, end: int
) -> None:
    """Some wall clock times are skipped then, and others come twice."""
    if start == end:
        return
    quiet = QuietHours(
        "night",
        "",
        np.ones((2, 4), np.bool_),
        minutes_left(quiet_minutes(start, end, EVERY_DAY)),
        (zone,),
    )
    minutes = [change + timedelta(minutes=minute) for minute in range(-600, 2200)]
    ends = until(quiet, *minutes)
    for number, found in enumerate(ends[:700]):
        first = next(later for later in range(number, len(ends)) if np.isnan(ends[later]))
        assert np.isnan(found) if first == number else found == minutes[first].timestamp()


def test_quiet_hours_take_out_what_they_cover(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
    quiet = hours(21, 8, BERLIN)
    snapshot = make_snapshot(ACTIONS, contact=Contact(quiet_hours=(quiet,)))
    now = np.array([datetime(2026, 1, 10, hour, tzinfo=BERLIN).timestamp() for hour in (12, 22)])
    decisions = decide(snapshot, make_batch(snapshot, 2, now=now))
    assert set(decisions.slate.row.tolist()) == {0}
    removal = snapshot.removals[decisions.removed_by[1, 0]]
    assert removal is not None
    assert (removal.stage, removal.rule) == (Stage.CONTACT_POLICY, "night")
