"""Quiet hours: when a customer is left alone, by the clock on the customer's wall."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from service.decisioning.stages import Removal, Stage

DAY = 1440
WEEK = 7 * DAY
"""Minutes."""

THURSDAY = 3
"""The weekday of the first of January 1970, Monday being 0."""

_STEADY = 900
"""Seconds: clocks are changed at a quarter of an hour of UTC and at no other time."""


def quiet_minutes(start: int, end: int, days: Collection[int]) -> NDArray[np.bool_]:
    """The minutes of a week, from Monday 0:00, that lie from `start` to `end` (minutes of a day, the end
    exclusive) where that begins on one of the days (0 is Monday). An `end` not after `start` is on the next
    day."""
    quiet = np.zeros(WEEK, np.bool_)
    length = (end - start) % DAY or DAY
    for day in days:
        quiet[(day * DAY + start + np.arange(length)) % WEEK] = True
    return quiet


def minutes_left(quiet: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many minutes of quiet are left at each minute of a week; 0 where it isn't quiet.

    Raises:
        ValueError: it is quiet all week.
    """
    loud = np.flatnonzero(~quiet)
    if not len(loud):
        raise ValueError("is quiet all week")
    ends = np.append(loud, loud[0] + WEEK)
    return ends[np.searchsorted(loud, np.arange(WEEK))] - np.arange(WEEK)


@dataclass(frozen=True, eq=False)
class QuietHours:
    """Hours at which some actions are not offered in some channels.

    covers  C x A
    left    how many minutes of quiet are left, by the minute of the local week
    column  the column of X with the place of the customer's zone among `zones`; the last of them is for whom
            it is missing. None: the last is everybody's
    """

    name: str
    meaning: str
    covers: NDArray[np.bool_]
    left: NDArray[np.intp]
    zones: tuple[tzinfo, ...]
    column: int | None = None

    @cached_property
    def channels(self) -> NDArray[np.bool_]:
        """C: where they are about anything."""
        return np.array([actions.any() for actions in self.covers], np.bool_)

    @property
    def removal(self) -> Removal:
        return Removal(Stage.CONTACT_POLICY, self.name, self.meaning)

    def until(self, X: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
        """n: when the quiet ends in which each request lies, in epoch seconds; NaN where it is not quiet."""
        zone, until, rows = self._zone(X), now.copy(), np.arange(len(now))
        while rows.size:
            moment = until[rows]
            ahead = self._offsets(zone[rows], moment)
            minute = np.floor((moment + ahead) / 60).astype(np.intp)
            left = self.left[(minute + THURSDAY * DAY) % WEEK]
            end = np.where(left > 0, (minute + left) * 60.0 - ahead, moment)
            changed = self._offsets(zone[rows], end) != ahead
            until[rows] = end
            rows = rows[changed]  # another time is on the wall before the end: look again from there on
            until[rows] = self._change(zone[rows], moment[changed], end[changed], ahead[changed])
        return np.where(until > now, until, np.nan)

    def _change(
        self,
        zone: NDArray[np.intp],
        moment: NDArray[np.float64],
        end: NDArray[np.float64],
        ahead: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """When clocks that are `ahead` at a moment are changed, where they have been at the end."""
        before, after = np.floor(moment / _STEADY), np.floor(end / _STEADY)
        while (after - before > 1).any():
            between = np.floor((before + after) / 2)
            same = self._offsets(zone, between * _STEADY) == ahead
            before, after = np.where(same, between, before), np.where(same, after, between)
        return after * _STEADY

    def _zone(self, X: NDArray[np.float64]) -> NDArray[np.intp]:
        last = len(self.zones) - 1
        if self.column is None:
            return np.full(len(X), last, np.intp)
        code = X[:, self.column]
        return np.where(np.isnan(code), last, code).astype(np.intp)

    def _offsets(self, zone: NDArray[np.intp], moment: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds by which the clocks of each zone are ahead of UTC at each moment.

        A time zone is asked once for all requests of the same quarter of an hour.
        """
        quarter = np.floor(moment / _STEADY).astype(np.int64)
        asked, which = np.unique(quarter * len(self.zones) + zone, return_inverse=True)
        found = (divmod(cell, len(self.zones)) for cell in asked.tolist())
        offsets = [_offset(self.zones[index], number * _STEADY) for number, index in found]
        return np.array(offsets, np.float64)[which]


@lru_cache(maxsize=4_096)
def _offset(zone: tzinfo, moment: int) -> float:
    ahead = datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
    return 0.0 if ahead is None else ahead.total_seconds()
