"""Arms of experiments, by customer, in logs whose truth is known."""

import numpy as np
import pytest

from service.reporting.arms import Comparison, comparisons
from service.workspace.loading import Workspace, load_workspace

from .conftest import DAY, NOON, Log, answers_of, offer

YES = {"impression": 1.0, "accept": 60.0}
HELD, RANDOM = {"holdout": "control"}, {"impact": "random"}


def compared(shop: Workspace, log: Log) -> dict[str, Comparison]:
    with answers_of(shop, log) as answers:
        found = comparisons(answers, shop.engagement.experiments.experiments)
    return {f"{one.experiment}.{one.arm}": one for one in found}


def test_a_customer_counts_once_however_often_they_come(shop: Workspace, log: Log) -> None:
    for visit in range(5):
        log.decide(f"a{visit}", "ada", offer(outcomes=YES, reported=10.0))
        log.decide(f"b{visit}", "ben", offer())
        log.decide(f"c{visit}", "cleo", empty="control_group", experiments=HELD)
    control = compared(shop, log)["holdout.control"]
    assert (control.group.units, control.group.responders, control.group.value) == (1, 0, 0.0)
    assert (control.beside.units, control.beside.responders, control.beside.value) == (2, 1, 25.0)
    assert control.beside.variance == pytest.approx(np.var([50.0, 0.0], ddof=1))
    assert (control.group.offered, control.beside.offered) == (0, 2)
    assert (control.lift, control.value, control.earned) == (None, None, None)


def test_everybody_else_is_in_no_arm_of_the_namespace(shop: Workspace, log: Log) -> None:
    log.decide("d1", "ada", offer(), experiments=RANDOM)
    log.decide("d2", "ben", offer(), experiments={"prices": "champion"})
    log.decide("d3", "cleo", offer(), experiments={"prices": "challenger"})
    log.decide("d4", "dora", offer(), experiments=HELD)
    log.decide("d5", "eve", offer())
    found = compared(shop, log)
    assert list(found) == ["holdout.control", "impact.random", "prices.challenger"]
    assert (found["impact.random"].group.units, found["impact.random"].beside.units) == (1, 2)
    assert (found["holdout.control"].group.units, found["holdout.control"].beside.units) == (1, 4)


def test_an_arm_that_changes_nothing_is_what_others_are_compared_with(shop: Workspace, log: Log) -> None:
    log.decide("d2", "ben", offer(), experiments={"prices": "champion"})
    log.decide("d3", "cleo", offer(outcomes=YES), experiments={"prices": "challenger"})
    log.decide("d5", "eve", offer())
    challenger = compared(shop, log)["prices.challenger"]
    assert (challenger.other, challenger.beside.units, challenger.group.responders) == ("champion", 1, 1)


def test_who_was_in_several_arms_is_left_out(shop: Workspace, log: Log) -> None:
    log.decide("d1", "ada", offer())
    log.decide("d2", "ada", empty="control_group", experiments=HELD, at=NOON + DAY)
    log.decide("d3", "ben", offer())
    control = compared(shop, log)["holdout.control"]
    assert (control.group.units, control.beside.units, control.moved) == (0, 1, 1)


def test_lift_value_and_what_was_earned_against_control(shop: Workspace, log: Log) -> None:
    for number in range(1_000):
        yes = number % 5 == 0
        log.decide(f"n{number}", f"n{number}", offer(outcomes=YES if yes else None, reported=20.0))
    for number in range(100):
        yes = number % 10 == 0
        log.decide(
            f"c{number}", f"c{number}", offer(outcomes=YES if yes else None, reported=20.0), experiments=HELD
        )
    control = compared(shop, log)["holdout.control"]
    assert (control.group.rate, control.beside.rate) == (0.1, 0.2)
    assert control.lift is not None
    assert control.lift.value == pytest.approx(-0.5)
    assert control.lift.high < 0
    assert control.value is not None
    assert control.value.value == pytest.approx(-2.0)
    assert control.earned is not None
    assert control.earned.value == pytest.approx(2_000.0)
    assert 0 < control.earned.low < 2_000.0 < control.earned.high
    assert control.needed is not None
    assert control.missing == max(0, control.needed - 100)
    assert not control.lopsided


def test_a_group_that_is_too_small_for_its_share_is_told(shop: Workspace, log: Log) -> None:
    for number in range(400):
        log.decide(f"n{number}", f"n{number}", offer())
    for number in range(5):
        log.decide(f"c{number}", f"c{number}", offer(), experiments=HELD)
    control = compared(shop, log)["holdout.control"]
    assert control.lopsided
    assert control.share == pytest.approx(0.1)
    assert control.found == pytest.approx(5 / 405)


def test_whole_accounts_take_part_where_the_experiment_says_so(shop: Workspace, log: Log) -> None:
    path = shop.folder / "experiments.yaml"
    path.write_text(
        path.read_text().replace("namespace: holdout\n", "namespace: holdout\n    unit: account\n")
    )
    log.decide("d1", "ada", offer(outcomes=YES), account_id="household")
    log.decide("d2", "ben", offer(), account_id="household")
    log.decide("d3", "cleo", offer())
    control = compared(load_workspace(shop.folder), log)["holdout.control"]
    assert (control.beside.units, control.beside.responders) == (2, 1)


def test_only_the_time_of_an_experiment_counts(shop: Workspace, log: Log) -> None:
    path = shop.folder / "experiments.yaml"
    path.write_text(
        path.read_text().replace("namespace: holdout\n", "namespace: holdout\n    start: 2026-01-02\n")
    )
    log.decide("d1", "ada", offer())
    log.decide("d2", "ben", offer(), at=NOON + DAY)
    assert compared(load_workspace(shop.folder), log)["holdout.control"].beside.units == 1


def test_an_empty_log_compares_nobody(shop: Workspace, log: Log) -> None:
    for one in compared(shop, log).values():
        assert (one.group.units, one.beside.units, one.lift, one.needed, one.lopsided) == (
            0,
            0,
            None,
            None,
            False,
        )
