"""One part of the population and the service that decides for it, visit by visit."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_store.feature import iso_timestamp
from service.simulation.contests import Contest
from service.simulation.drift import Drift
from service.simulation.serving import LiveService
from service.world.history import Recorder, Shown, Visits
from service.world.living import LivingWorld

DAY = 86_400.0
TICK = 1800.0
"""Seconds of simulated time that are decided at once: the clock goes on in such steps."""
REPEATED = 0.01
"""Of the reports of outcomes that a channel sends twice."""

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass
class Visited:
    """What became of visits, a row for each.

    customer  row in the world's X
    day       from 0
    decision  its id
    action    what was offered, a position in the catalogue; -1: nothing
    channel   where
    """

    customer: list[int] = field(default_factory=list)
    day: list[int] = field(default_factory=list)
    decision: list[str] = field(default_factory=list)
    action: list[int] = field(default_factory=list)
    channel: list[str] = field(default_factory=list)


@dataclass
class Reported:
    """Reports that were sent, how many of them for the second time, and what the service has said."""

    sent: int = 0
    repeated: int = 0
    accepted: int = 0
    duplicates: int = 0


@dataclass
class Lane:
    """`explained` is the share of decisions of which the candidates are asked for, `classes` (actions,) the
    tier of each action."""

    world: LivingWorld
    drift: Drift
    service: LiveService
    rng: np.random.Generator
    explained: float
    classes: Indices
    visited: Visited = field(default_factory=Visited)
    reported: Reported = field(default_factory=Reported)
    contests: list[Contest] = field(default_factory=list)
    degraded: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        world = self.world
        self._recorder = Recorder(world.schema, world.offers, world.response, world.reactions)
        self._treatments = {one.name: place for place, one in enumerate(world.offers.treatments)}
        self._waiting: list[tuple[float, dict[str, Any]]] = []

    @property
    def clickable(self) -> frozenset[str]:
        """The channels where what is offered can be clicked."""
        offers = self.world.offers
        return frozenset(
            treatment.channel
            for treatment in offers.treatments
            if self.world.reactions(treatment.channel, offers.actions[treatment.action].model).clicks > 0
        )

    def live_day(self, day: int, midnight: float, visits: Visits) -> None:
        """The visits of one day, from a midnight on, and the outcomes that come meanwhile."""
        tick_of = np.floor((visits.at - midnight) / TICK).astype(np.intp)
        for tick in range(round(DAY / TICK)):
            now = midnight + (tick + 0.5) * TICK
            self.service.turn_clock(now)
            self._report_until(now)
            rows = np.flatnonzero(tick_of == tick)
            if len(rows):
                self._decide(day, now, visits, rows)

    def live_on(self, now: float) -> None:
        """What still comes of it until then, without any visit."""
        self.service.turn_clock(now)
        self._report_until(now)

    def _decide(self, day: int, now: float, visits: Visits, rows: Indices) -> None:
        asked = self.rng.random(len(rows)) < self.explained
        requests = list(self._requests(visits, rows, asked))
        answers = list(self.service.client.decide(requests, len(self.world.offers.actions)))
        X = self.world.X[visits.customer[rows]]
        X[:, self._recorder.context_columns] = visits.context[rows]
        offered = [answer["placements"][0]["actions"] for answer in answers]
        self.degraded.update(why for answer in answers for why in answer["degraded"])
        position = self.world.offers.position
        self.visited.customer += visits.customer[rows].tolist()
        self.visited.day += [day] * len(rows)
        self.visited.decision += [answer["decision_id"] for answer in answers]
        self.visited.action += [position(one[0]["action"]) if one else -1 for one in offered]
        self.visited.channel += [answer["channel"] for answer in answers]
        for at, (answer, offers) in enumerate(zip(answers, offered, strict=True)):
            if asked[at] and offers:
                number = len(self.visited.day) - len(rows) + at
                placement = visits.placement[rows[at]]
                self._contest(number, day, answer["explanation"], X[at], placement, offers[0]["action"])
        some = np.flatnonzero([bool(one) for one in offered])
        if len(some):
            self._react(day, now, visits, rows[some], X[some], [offered[place][0] for place in some])

    def _requests(self, visits: Visits, rows: Indices, asked: NDArray[np.bool_]) -> Iterator[dict[str, Any]]:
        schema, world = self._recorder.context_schema, self.world
        for row, explained in zip(rows.tolist(), asked.tolist(), strict=True):
            values = visits.context[row]
            placement = world.offers.placements[visits.placement[row]]
            context = {
                feature.name: feature.decode(values[schema.slice(feature.name)].tolist())
                for feature in schema.features
                if not np.isnan(values[schema.slice(feature.name)]).any()
            }
            yield {
                "customer_id": world.customer_ids[visits.customer[row]],
                "channel": placement.channel,
                "placements": [{"id": placement.name, "limit": 1}],
                "context": context,
                "explain": "factors" if explained else "none",
            }

    def _true(self, day: int, X: Floats, placement: Indices, actions: Indices) -> Floats:
        """The probabilities of a response (n,) on a day, in these placements (n,) to these actions (n,)."""
        found = np.empty(len(X))
        for place in np.unique(placement):
            rows = np.flatnonzero(placement == place)
            found[rows] = self.world.response(X[rows], self.world.offers.placements[place], actions[rows])
        return self.drift.moved(found, day, actions)

    def _contest(
        self, number: int, day: int, explanation: list[dict[str, Any]], x: Floats, placement: int, chosen: str
    ) -> None:
        offers = self.world.offers
        rivals = [one for one in explanation if one["stage"] is None or one["rule"] == "outranked"]
        rivals.sort(key=lambda one: offers.position(one["action"]))  # else who is equal has Arbiter's order
        actions = np.array([offers.position(one["action"]) for one in rivals], np.intp)
        classes = np.where([one["mandatory"] for one in rivals], -1, self.classes[actions])
        first = np.flatnonzero(classes == classes.min())
        actions = actions[first]
        propensity = np.array([rivals[place]["propensity"] for place in first])
        true = self._true(day, np.tile(x, (len(first), 1)), np.full(len(first), placement), actions)
        self.contests.append(
            Contest(
                number=number,
                day=day,
                weight=np.array([rivals[place]["priority"] for place in first]) / propensity,
                prior=offers.propensities[actions],
                propensity=propensity,
                true=true,
                chosen=int(np.flatnonzero(actions == offers.position(chosen))[0]),
            )
        )

    def _react(
        self, day: int, now: float, visits: Visits, rows: Indices, X: Floats, offers: list[dict[str, Any]]
    ) -> None:
        """Have customers do what they do with what they are offered, and keep it until it is due."""
        treatment = np.array([self._treatments[one["treatment"]] for one in offers], np.intp)
        actions = self.world.offers.action_of[treatment]
        shown = Shown(
            number=visits.number[rows],
            customer=visits.customer[rows],
            at=np.full(len(rows), now),
            placement=visits.placement[rows],
            treatment=treatment,
            rank=np.ones(len(rows), np.int32),
            selection_probability=np.array([one["selection_probability"] for one in offers]),
            true_probability=self._true(day, X, visits.placement[rows], actions),
            context=visits.context[rows],
        )
        happened = self._recorder.react(self.rng, shown)
        columns = (happened.row, happened.outcome, happened.at, happened.value)
        for row, outcome, at, value in zip(*(column.tolist() for column in columns), strict=True):
            report = {
                "token": offers[row]["token"],
                "outcome": happened.names[outcome],
                "occurred_at": iso_timestamp(at),
            }
            if not np.isnan(value):
                report["value"] = value
            self._waiting.append((at, report))

    def _report_until(self, now: float) -> None:
        due = [report for at, report in self._waiting if at <= now]
        if not due:
            return
        self._waiting = [entry for entry in self._waiting if entry[0] > now]
        again = [report for report in due if self.rng.random() < REPEATED]
        receipt = self.service.client.report(due + again)
        self.reported.sent += len(due)
        self.reported.repeated += len(again)
        self.reported.accepted += receipt.accepted
        self.reported.duplicates += receipt.duplicates
