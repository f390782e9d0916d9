"""`arbiter simulate`: a population with known truth against the live service, the whole circle round."""

import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from service.cli.console import ProgressDisplay, fail, out, table
from service.cli.demo import imagined
from service.cli.errors import explained
from service.cli.train import show_responses
from service.settings import Settings
from service.simulation.circle import Night
from service.simulation.figures import Figures
from service.simulation.lane import DAY
from service.simulation.report import REPORT, by_day, by_policy, headlines, write_report
from service.simulation.simulation import Plan
from service.simulation.simulation import simulate as run

LEAST_DAYS = 3
"""The newcomer comes on the third."""
MARK = ".simulation"
"""A file that says that a folder is ours, and may go."""
CONTESTS = 10_000
"""Decisions whose candidates are looked at, if there are so many."""


def simulate(
    workspace: Annotated[
        Path | None,
        typer.Argument(
            help="A workspace with a demo.py.", show_default="ARBITER_WORKSPACE, or examples/telco"
        ),
    ] = None,
    decisions: Annotated[
        int, typer.Option(help="How many decisions are asked for, about.", min=1_000, max=10_000_000)
    ] = 60_000,
    days: Annotated[int, typer.Option(help="Over how many days.", min=LEAST_DAYS, max=365)] = 10,
    customers: Annotated[int, typer.Option(help="How many customers there are.", min=100)] = 10_000,
    stayed: Annotated[
        float,
        typer.Option(
            help="Share of the households for whom the first day's policy stays, the control.",
            min=0.05,
            max=0.95,
        ),
    ] = Plan.stayed,
    drift: Annotated[
        float,
        typer.Option(help="By how much the log-odds of each action move in a day.", min=0.0, max=2.0),
    ] = Plan.drift,
    misjudged: Annotated[
        float,
        typer.Option(
            help="By how much the true log-odds of each action differ from its declared prior.",
            min=0.0,
            max=3.0,
        ),
    ] = Plan.misjudged,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**31 - 1,
            help="The same seed gives the same customers, visits and tastes; what chance decides in the "
            "service hangs on the ids of decisions, which are new each time.",
        ),
    ] = 7,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The folder for everything that comes of it; what a former simulation left there goes.",
            show_default="simulation/ in ARBITER_DATA",
        ),
    ] = None,
) -> None:
    """Simulate, log, join, train, gate, promote: what learning is worth beside a control that stayed."""
    began = time.perf_counter()
    with explained():
        settings = Settings()
        source, place = workspace or settings.workspace, folder or settings.data / "simulation"
        _empty(place)
        begins = (time.time() // DAY + 1) * DAY
        with ProgressDisplay() as display:
            world = imagined(source, customers, seed, begins, place / "demo", display.update)
            plan = Plan(
                decisions=decisions,
                days=days,
                begins=begins,
                seed=seed,
                stayed=stayed,
                explained=min(1.0, CONTESTS / decisions),
                drift=drift,
                misjudged=misjudged,
            )
            found = run(world, source, place / "demo", place, plan, progress=display.update, told=_tell)
        figures = Figures.of(found)
        write_report(place, figures, found.learns.earned)
        table("By day", *by_day(figures))
        table("By policy, with the same candidates", *by_policy(figures))
        for line in headlines(figures):
            out.print(f"  {line}")
        out.print(f"{place / REPORT}: written after {time.perf_counter() - began:.0f} s")


def _tell(night: Night) -> None:
    """What came of a night."""
    out.print(f"\nThe night after day {night.day + 1}")
    if night.waiting:
        out.print(f"  too little to learn from yet: {', '.join(night.waiting)}")
    if night.failed:
        out.print(f"  nothing was trained: {night.failed}")
    show_responses(night.trained)


def _empty(place: Path) -> None:
    """Make a folder for a simulation, in place of what a former one has left."""
    if place.exists() and any(place.iterdir()) and not (place / MARK).is_file():
        fail(f"--out {place}: holds something else than a simulation; name a new folder, or an empty one")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / MARK).touch()
