"""The whole simulation: a population, two live services, days and nights, and what came of them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_store.client import connect
from feature_store.ingestion import load_customers
from feature_store.progress import Progress, silent
from feature_store.store import CustomerStore
from service.simulation.circle import Circle, Night, keep_log, train_customer_models
from service.simulation.contests import Earned
from service.simulation.draft import write_draft, write_that_stays
from service.simulation.drift import DAILY, MISJUDGED, Drift
from service.simulation.lane import DAY, Lane, Reported, Visited
from service.simulation.lift import Outcomes
from service.simulation.serving import LiveService, live_service
from service.workspace.loading import Workspace, load_workspace
from service.world.history import Visits
from service.world.living import LivingWorld

WINDOW = 43_200.0
"""Seconds for which outcomes count, where the workspace says nothing: seven days would be all of it."""
LOG = "log"
JOINS = 2
"""The day, from 0, on which the newcomer comes in."""
LATEST = 3.0
"""Days after the last one in which outcomes still come."""
BULK_TIMEOUT = 60.0
NAMES = ("learns", "stays")


@dataclass(frozen=True)
class Plan:
    """How much is simulated.

    begins     the first midnight, in epoch seconds, UTC
    stayed     share of the households whose service stays as it was on the first day
    explained  share of the decisions whose candidates are looked at
    drift      deviation of a day's step of each action's log-odds
    misjudged  deviation of the true log-odds of each action from what the declared priors take them for
    least_responses  before a model has so many to learn from, its actions go on with their priors
    """

    decisions: int
    days: int
    begins: float
    seed: int = 0
    stayed: float = 0.2
    explained: float = 0.05
    drift: float = DAILY
    misjudged: float = MISJUDGED
    least_responses: int = 100


@dataclass(frozen=True)
class Part:
    """What came of one part of the population, and of its service."""

    outcomes: Outcomes
    reported: Reported
    visited: Visited
    earned: Earned
    degraded: Counter[str]


@dataclass(frozen=True)
class Simulated:
    """What came of all: of the service that learns, and of the one that stays as it was on the first day."""

    plan: Plan
    world: LivingWorld
    nights: tuple[Night, ...]
    learns: Part
    stays: Part


def simulate(
    world: LivingWorld,
    source: Path,
    data: Path,
    folder: Path,
    plan: Plan,
    *,
    progress: Progress = silent,
    told: Callable[[Night], None] = lambda night: None,
) -> Simulated:
    """Run a plan for the workspace at `source`, whose world this is, with tables in `data`, in a new folder.

    Raises:
        SimulationError: a part of it is not fit for it, or a service refuses what it is asked.
    """
    learns, stays = (folder / name for name in NAMES)
    draft = learns / "workspace"
    write_draft(source, draft, newcomer=world.newcomer, joins=plan.begins + JOINS * DAY)
    workspace = load_workspace(draft)
    rules = replace(workspace.label_rules, default_window=WINDOW)
    train_customer_models(workspace, data, progress)
    write_that_stays(draft, stays / "workspace")
    with (
        live_service(draft, learns, plan.begins) as learning,
        live_service(stays / "workspace", stays, plan.begins) as staying,
    ):
        for service in (learning, staying):
            asyncio.run(_put(service, workspace, data / "customers.parquet", progress))
        lanes = _lane(world, learning, workspace, plan, 0), _lane(world, staying, workspace, plan, 1)
        circle = Circle(workspace, rules, learns / LOG, learning.client, plan.least_responses)
        nights = []
        kept = 0
        for day, visits in enumerate(_days(world, plan)):
            midnight = plan.begins + day * DAY
            _both(Lane.live_day, lanes, [(day, midnight, part) for part in visits])
            progress("Days", day + 1, plan.days)
            if day + 1 < plan.days:
                keep_log(learning.store_url, circle.log, len(lanes[0].visited.day) - kept)
                kept = len(lanes[0].visited.day)
                nights.append(circle.turn(day, midnight + DAY, plan.seed, progress))
                told(nights[-1])
        over = plan.begins + (plan.days + LATEST) * DAY
        _both(Lane.live_on, lanes, [(over,), (over,)])
        keep_log(learning.store_url, learns / LOG, len(lanes[0].visited.day) - kept)
        keep_log(staying.store_url, stays / LOG, len(lanes[1].visited.day))
    found = (
        _part(lane, Outcomes.of(log / LOG, rules, over, lane.visited, world.households, lane.clickable))
        for log, lane in zip((learns, stays), lanes, strict=True)
    )
    return Simulated(plan, world, tuple(nights), *found)


def _part(lane: Lane, outcomes: Outcomes) -> Part:
    return Part(outcomes, lane.reported, lane.visited, Earned.of(lane.contests), lane.degraded)


async def _put(service: LiveService, workspace: Workspace, customers: Path, progress: Progress) -> None:
    store = CustomerStore(connect(service.store_url, timeout=BULK_TIMEOUT), workspace.schema)
    try:
        await store.register_schema()
        await load_customers(customers, store.schema, store, strict=True, progress=progress)
    finally:
        await store.close()


def _lane(world: LivingWorld, service: LiveService, workspace: Workspace, plan: Plan, number: int) -> Lane:
    tiers = workspace.engagement.slate.tiers
    positions = [workspace.catalogue.action_index[action.name] for action in world.offers.actions]
    return Lane(
        world=world,
        drift=Drift.drawn(
            np.random.default_rng([plan.seed, 1]),
            plan.days,
            len(world.offers.actions),
            plan.drift,
            plan.misjudged,
        ),
        service=service,
        rng=np.random.default_rng([plan.seed, 2, number]),
        explained=plan.explained,
        classes=np.zeros(len(positions), np.intp) if tiers is None else tiers[positions].astype(np.intp),
    )


def _days(world: LivingWorld, plan: Plan) -> Iterator[tuple[Visits, Visits]]:
    """The visits of each day, of those whose service learns and of those whose stays: by household."""
    visits = world.coming(np.random.default_rng([plan.seed, 3]), plan.decisions, plan.begins, plan.days)
    household = world.households[visits.customer]
    lots = np.random.default_rng([plan.seed, 4]).random(int(world.households.max()) + 1)
    stays = lots[household] < plan.stayed
    day_of = np.floor((visits.at - plan.begins) / DAY).astype(np.intp)
    for day in range(plan.days):
        yield _chosen(visits, (day_of == day) & ~stays), _chosen(visits, (day_of == day) & stays)


def _chosen(visits: Visits, rows: NDArray[np.bool_]) -> Visits:
    return Visits(
        visits.number[rows],
        visits.customer[rows],
        visits.at[rows],
        visits.placement[rows],
        visits.context[rows],
    )


def _both(work: Callable[..., None], lanes: Sequence[Lane], arguments: Sequence[tuple[object, ...]]) -> None:
    """Both lanes at the same time, each in a thread of its own."""
    with ThreadPoolExecutor(len(lanes)) as threads:
        for done in [
            threads.submit(work, *each) for each in zip(lanes, *zip(*arguments, strict=True), strict=True)
        ]:
            done.result()
