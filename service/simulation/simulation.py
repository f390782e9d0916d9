"""The whole simulation: a population, two live services, days and nights, and what came of them."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_store.client import connect
from feature_store.ingestion import load_customers
from feature_store.progress import Progress, silent
from feature_store.store import CustomerStore
from service.simulation.circle import Circle, Night, set_up_models
from service.simulation.contests import Earned
from service.simulation.draft import Draft
from service.simulation.drift import DAILY, Drift
from service.simulation.lane import DAY, Lane, Reported, Visited
from service.simulation.lift import Outcomes
from service.simulation.serving import LiveService, live_service
from service.workspace.loading import Workspace, load_workspace
from service.world.history import Visits
from service.world.living import LivingWorld

WINDOW = "12h"
"""For how long outcomes count, where the workspace says nothing: seven days would be most of a simulation."""
JOINS = 2
"""The day, from 0, on which the newcomer comes in."""
LATEST = 3.0
"""Days after the last one in which outcomes still come."""
BULK_TIMEOUT = 60.0
LEARNS, STAYS = 0, 1
NAMES = ("learns", "stays")


@dataclass(frozen=True)
class Plan:
    """How much is simulated.

    begins     the first midnight, in epoch seconds, UTC
    stayed     share of the households whose service stays as it was on the first day
    explained  share of the decisions whose candidates are looked at
    drift      deviation of a day's step of each action's log-odds
    """

    decisions: int
    days: int
    begins: float
    seed: int = 0
    stayed: float = 0.25
    explained: float = 0.05
    drift: float = DAILY


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
    joins = plan.begins + JOINS * DAY
    draft = Draft(source, folder / "workspace", newcomer=world.newcomer, joins=joins, window=WINDOW)
    set_up_models(draft, data, progress)
    stays = folder / "stays"
    shutil.copytree(draft.folder, stays / "workspace")
    (folder / NAMES[LEARNS]).mkdir()
    with (
        live_service(draft.folder, folder / NAMES[LEARNS], plan.begins) as learning,
        live_service(stays / "workspace", stays, plan.begins) as staying,
    ):
        workspace = load_workspace(draft.folder)
        services = (learning, staying)
        for service in services:
            asyncio.run(_put(service, workspace, data / "customers.parquet", progress))
        lanes = tuple(
            _lane(world, service, workspace, plan, number) for number, service in enumerate(services)
        )
        circles = tuple(
            Circle(draft, folder / name / "log", service.store_url, service.client)
            for name, service in zip(NAMES, services, strict=True)
        )
        nights = []
        for day, parts in enumerate(_days(world, plan)):
            midnight = plan.begins + day * DAY
            _both(lambda lane, part, at=midnight, d=day: lane.live_day(d, at, part), lanes, parts)
            progress("Days", day + 1, plan.days)
            if day + 1 < plan.days:
                decided = len(lanes[LEARNS].visited.day)
                night = circles[LEARNS].turn(day, decided, midnight + DAY, plan.seed, progress)
                nights.append(night)
                told(night)
        over = plan.begins + (plan.days + LATEST) * DAY
        _both(lambda lane, _: lane.live_on(over), lanes, lanes)
        draft.declare_models()
        rules = load_workspace(draft.folder).label_rules
        for circle, lane in zip(circles, lanes, strict=True):
            circle.keep_log(len(lane.visited.day))
        return Simulated(
            plan,
            world,
            tuple(nights),
            *(
                Part(
                    Outcomes.of(circle.log, rules, over, lane.visited, world.households, lane.clickable),
                    lane.reported,
                    lane.visited,
                    Earned.of(lane.contests),
                    lane.degraded,
                )
                for circle, lane in zip(circles, lanes, strict=True)
            ),
        )


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
            np.random.default_rng([plan.seed, 1]), plan.days, len(world.offers.actions), plan.drift
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


def _both(work: Callable[..., None], lanes: tuple[Lane, ...], parts: tuple[object, ...]) -> None:
    """Both lanes at the same time, each in a thread of its own."""
    with ThreadPoolExecutor(len(lanes)) as threads:
        list(threads.map(work, lanes, parts))
