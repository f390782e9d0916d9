"""How the propensities of a worker follow outcomes: what is left to be counted, and what is learned of it.

Decisions wait for none of it. Every second a worker counts what is there for all, and takes up what all have
learned.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import structlog

from feature_store.blocks import Blocks, Length
from feature_store.lessons import (
    RESPONDED,
    SHOWN,
    SHOWN_AS_OFFERED,
    Classroom,
    Lessons,
    Report,
    Showing,
    offer_id,
)
from feature_store.store import StoreUnavailable
from models.label_rules import IMPRESSION, LabelRules
from service import clock
from service.decisioning.adaptation import NOWHERE, Adaptation, Learned, learned
from service.decisioning.snapshot import Snapshot
from service.observability import metrics
from service.runtime.tokens import Grant

if TYPE_CHECKING:
    from service.runtime.decision import Decision

log = structlog.get_logger()

# finding the series of some labels takes the client longer than setting it does
_correction = cache(metrics.PROPENSITY_CORRECTION.labels)
_evidence = cache(metrics.PROPENSITY_EVIDENCE.labels)

REFRESH = 1.0
"""Seconds between two looks at what there is to count, and what has been learned."""
SHARE = 0.05
"""Of the time may be spent on learning: who follows thousands of cells looks less often."""
RETRY = 5.0
"""Seconds until a store that was away is asked again."""


@dataclass(slots=True)
class _Showing:
    length: Length
    decided_at: float
    number: int = 0
    expected: float = 0.0


@dataclass
class Following:
    """How the propensities of one snapshot follow outcomes. `rules` say what counts as a response.

    `learned` is what they are corrected by now, and `showings` what was offered where nobody reports that it
    was shown, by cell.
    """

    snapshot: Snapshot
    adaptation: Adaptation
    rules: LabelRules
    learned: Learned | None = None
    showings: dict[int, _Showing] = field(default_factory=dict)

    def report(self, grant: Grant, outcome: str, occurred_at: float) -> Report | None:
        """What an outcome teaches; None where it is nothing: as labels have it, only a response within the
        action's window counts, and what was shown where a channel reports impressions."""
        action = self.snapshot.catalogue.action_index.get(grant.action)
        model = self.rules.actions.get(grant.action)
        if grant.basis is None or action is None or model is None:
            return None
        window = self.rules.windows.get(grant.action, self.rules.default_window)
        reports = grant.channel in self.rules.impressions
        said = RESPONDED if outcome in self.rules.families[model] else 0
        said |= SHOWN if reports and outcome == IMPRESSION else 0
        if not said or occurred_at >= grant.decided_at + window:
            return None
        cell, predicted = grant.basis
        return Report(
            cell=cell,
            length=self.adaptation.length(action),
            decided_at=grant.decided_at,
            predicted=predicted,
            said=said if reports else said | SHOWN_AS_OFFERED,
            customer=grant.customer,
            offer=offer_id(grant.decision_id, grant.placement, grant.action),
            until=grant.expires_at,
        )

    def note(self, answers: Sequence["Decision"]) -> None:
        """Note what answers, none of them a dry run, offer in channels that report no impressions."""
        channels = self.snapshot.catalogue.channel_index
        for answer in answers:
            if answer.request.channel in self.rules.impressions or not answer.scored:
                continue
            cells = self.adaptation.numbers[channels[answer.request.channel]]
            for _, _, action, *_, predicted, _, _, _, _, _ in answer.chosen.picks_of(answer.row):
                self._offered(cells[action], action, predicted, answer.decided_at)

    def _offered(self, cell: int, action: int, predicted: float, at: float) -> None:
        if cell == NOWHERE:
            return
        showing = self.showings.get(cell)
        if showing is None:
            showing = self.showings[cell] = _Showing(self.adaptation.length(action), at)
        showing.number += 1
        showing.expected += predicted

    def lessons(self) -> Lessons:
        """What has been noted since the last time."""
        noted, self.showings = self.showings, {}
        return Lessons(
            showings=[
                Showing(cell, one.length, one.decided_at, one.number, one.expected)
                for cell, one in noted.items()
            ]
        )

    def take_up(self, cells: Mapping[int, Blocks], now: float) -> None:
        """Learn what counts teach as of now."""
        found = learned(self.adaptation, cells, self.snapshot.trained, now)
        if self.snapshot.leaves_to_chance:
            self.snapshot.ways_knowing(found.known[0])  # a decision finds it made
        self.learned = found

    def show(self) -> None:
        """Show the corrections, and how many responses each is made of."""
        catalogue, found = self.snapshot.catalogue, self.learned
        if found is None:
            return
        for place in self.adaptation.places.values():
            where, what = divmod(place, len(catalogue.actions))
            action = catalogue.actions[what]
            labels = action.issue, action.group, action.name, catalogue.channels[where].name
            _correction(*labels).set(float(found.corrections[where, what]))
            _evidence(*labels).set(float(found.responses[where, what]))


class Follower:
    """Follows outcomes for one worker: for the snapshot that decides, and for those of challengers."""

    def __init__(self, classroom: Classroom) -> None:
        self._classroom = classroom
        self._followings: tuple[Following, ...] = ()
        self._former: list[Following] = []
        self._seen: bytes | None = None
        self._cells: Mapping[int, Blocks] = {}
        self._seconds = 0.0
        """That learning took the last time."""
        self._task: asyncio.Task[None] | None = None

    async def adopt(self, followings: tuple[Following, ...]) -> None:
        """Follow outcomes for what is about to decide, the snapshot of the champions first, from what is
        learned already. What the last ones have noted is counted still."""
        if followings:
            try:
                await self._look()
            except StoreUnavailable as error:
                _failed(error)
            await asyncio.to_thread(_take_up, followings, self._cells)
        self._former += self._followings
        self._followings = followings

    def start(self) -> None:
        """Follow from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Follow no more; what is noted is left to be counted."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        try:
            await self._leave_lessons()
        except StoreUnavailable as error:
            _failed(error)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(max(REFRESH, self._seconds / SHARE))
            try:
                await self.follow()
            except StoreUnavailable as error:
                _failed(error)
                await asyncio.sleep(RETRY)
            except Exception:  # whatever it is, decisions go on, and the next look may do better
                log.exception("following_failed")
                await asyncio.sleep(RETRY)

    async def follow(self) -> None:
        """Count what there is to count, and learn of it.

        Raises:
            StoreUnavailable: the store is away; what was noted meanwhile may be lost.
        """
        await self._leave_lessons()
        while await self._classroom.fold():
            pass
        followings = self._followings
        if not followings:
            return
        is_new = await self._look()
        if is_new or followings[0].adaptation.delay.any():  # with a delay, time alone teaches
            started = time.perf_counter()
            await asyncio.to_thread(_take_up, followings, self._cells)
            self._seconds = time.perf_counter() - started

    async def _leave_lessons(self) -> None:
        former, self._former = self._former, []
        for following in (*former, *self._followings):
            lessons = following.lessons()
            if lessons.showings:
                await self._classroom.add(lessons)

    async def _look(self) -> bool:
        """Read what all have counted; whether there was something new."""
        found = await self._classroom.learned(self._seen)
        if found is not None:
            self._seen, self._cells = found
        return found is not None


def _take_up(followings: Sequence[Following], cells: Mapping[int, Blocks]) -> None:
    """Learn what counts teach now; metrics show it of the champions."""
    for following in followings:
        following.take_up(cells, clock.now())
    followings[0].show()


def _failed(error: StoreUnavailable) -> None:
    metrics.STORE_ERRORS.labels("follow_outcomes").inc()
    log.warning("store_unavailable", operation="follow_outcomes", reason=str(error))
