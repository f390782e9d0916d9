"""The whole circle, small: two live services, days and nights, and what came of them."""

import time
from pathlib import Path

import msgspec
import pytest

from models.gate import PRIORS
from service.simulation.circle import Night
from service.simulation.contests import ARBITER, RULES
from service.simulation.figures import Figures
from service.simulation.report import FIGURES, REPORT, write_report
from service.simulation.simulation import Plan, Simulated, simulate

from .shop import DAY, NEWCOMER, imagine_shop, write_shop

DAYS = 4


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("simulation")
    shop = write_shop(folder / "shop")
    world = imagine_shop(shop, folder / "data", customers=400)
    begins = (time.time() // DAY + 1) * DAY
    plan = Plan(
        decisions=12_000,
        days=DAYS,
        begins=begins,
        seed=5,
        stayed=0.3,
        explained=0.05,
        drift=0.05,
        least_responses=60,
    )
    told: list[Night] = []
    found = simulate(world, shop, folder / "data", folder / "out", plan, told=told.append)
    assert tuple(told) == found.nights
    return found


def test_a_model_is_trained_from_the_log_and_becomes_champion(simulated: Simulated) -> None:
    assert [night.day for night in simulated.nights] == list(range(DAYS - 1))
    assert all(night.failed is None for night in simulated.nights)
    trained = [report for night in simulated.nights for report in night.trained]
    assert {report.model for report in trained} == {"drinks"}
    first = next(report for report in trained if report.promoted)
    assert first.verdict is not None
    assert first.verdict.champion == PRIORS


def test_the_value_goes_up_beside_the_service_that_stays(simulated: Simulated) -> None:
    last = range(DAYS - 1, DAYS)
    learns, stays = (part.outcomes.rate("value", last) for part in (simulated.learns, simulated.stays))
    assert learns > 1.3 * stays
    earned = simulated.learns.earned.of_day(DAYS - 1)
    assert earned.gain(ARBITER) > earned.gain(RULES)


def test_every_outcome_counts_once_however_often_it_was_reported(simulated: Simulated) -> None:
    for part in (simulated.learns, simulated.stays):
        reported, outcomes = part.reported, part.outcomes
        assert reported.sent > 0
        assert reported.accepted == reported.sent == outcomes.logged == outcomes.findings.outcomes
        assert reported.duplicates == reported.repeated > 0
        assert outcomes.findings.offers == sum(action >= 0 for action in part.visited.action)
        assert not part.degraded


def test_the_newcomer_comes_on_the_third_day(simulated: Simulated) -> None:
    assert simulated.world.newcomer == NEWCOMER
    newcomer = simulated.world.offers.position(NEWCOMER)
    for part in (simulated.learns, simulated.stays):
        offered = {
            day
            for day, action in zip(part.visited.day, part.visited.action, strict=True)
            if action == newcomer
        }
        assert offered == {2, 3}


def test_the_report_has_all_figures_and_plots(simulated: Simulated, tmp_path: Path) -> None:
    figures = Figures.of(simulated)
    write_report(tmp_path, figures, simulated.learns.earned)
    text = (tmp_path / REPORT).read_text()
    for plot in tmp_path.glob("*.svg"):
        assert f"({plot.name})" in text
        assert plot.read_bytes().startswith(b"<svg")
    assert len(list(tmp_path.glob("*.svg"))) == 4
    kept = msgspec.json.decode((tmp_path / FIGURES).read_bytes())
    assert kept["decisions"] == list(figures.decisions)
    assert set(kept["lift"]) == {"click-through", "responses", "value"}
    assert f"{figures.decisions[0]:,} decisions" in text
