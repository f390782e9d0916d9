"""Objectives in logs whose truth is known, and forecasts that hold what they promise."""

import numpy as np
import pytest
from scipy import stats

from service.reporting.objectives import Outlook, Progress, forecast_sum, progress
from service.workspace.loading import Workspace, load_workspace

from .conftest import DAY, NOON, Log, answers_of, offer

MIDNIGHT = NOON - DAY / 2


def declared(shop: Workspace, text: str) -> Workspace:
    (shop.folder / "objectives.yaml").write_text(f"objectives:\n  goal: {{{text}}}\n", encoding="utf-8")
    return load_workspace(shop.folder)


def found(shop: Workspace, log: Log, text: str, until: float) -> Progress:
    workspace = declared(shop, text)
    with answers_of(workspace, log, since=until - 1, until=until) as answers:
        [one] = progress(answers, workspace.objectives)
    return one


def accept_daily(log: Log, days: int, each: int = 2, value: float = 10.0) -> None:
    for day in range(days):
        for number in range(each):
            log.decide(
                f"d{day}-{number}",
                f"c{day}-{number}",
                offer(outcomes={"impression": 1.0, "click": 2.0, "accept": 60.0}, value=value),
                at=NOON + day * DAY,
            )


def test_accepts_add_up_by_the_day_on_which_they_happened(shop: Workspace, log: Log) -> None:
    accept_daily(log, 10)
    log.decide("late", "zoe", offer(outcomes={"impression": 1.0, "accept": DAY - 1}), at=NOON - DAY)
    one = found(
        shop, log, "metric: accepts, target: 60, start: 2026-01-01, end: 2026-01-30", MIDNIGHT + 10 * DAY
    )
    assert one.days == [3.0] + [2.0] * 9
    assert one.so_far == 21.0
    assert one.forecast is not None
    assert one.forecast.value == pytest.approx(21 + 20 * 2.1)
    assert one.forecast.low < one.forecast.value < one.forecast.high
    assert one.outlook is Outlook.OPEN if one.forecast.low < 60 else one.outlook is Outlook.WILL_BE


def test_without_a_spread_the_forecast_is_sure(shop: Workspace, log: Log) -> None:
    accept_daily(log, 10)
    when = MIDNIGHT + 10 * DAY
    for target, outlook in ((60, Outlook.WILL_BE), (61, Outlook.WILL_NOT_BE), (20, Outlook.REACHED)):
        one = found(shop, log, f"metric: accepts, target: {target}, start: 2026-01-01, end: 2026-01-30", when)
        assert (one.outlook, one.so_far) == (outlook, 20.0)
        assert one.forecast is not None
        assert (one.forecast.low, one.forecast.high) == (60.0, 60.0)


@pytest.mark.parametrize(("metric", "sum_"), [("clicks", 20.0), ("value", 140.0)])
def test_clicks_and_values_add_up_too(shop: Workspace, log: Log, metric: str, sum_: float) -> None:
    accept_daily(log, 10, value=7.0)
    one = found(
        shop, log, f"metric: {metric}, target: 1, start: 2026-01-01, end: 2026-01-30", MIDNIGHT + 10 * DAY
    )
    assert (one.so_far, one.outlook) == (sum_, Outlook.REACHED)


def test_only_what_it_covers_counts(shop: Workspace, log: Log) -> None:
    accept_daily(log, 2)
    log.decide("p", "eve", offer("poems", {"accept": 60.0}), channel="email")
    when = MIDNIGHT + 3 * DAY
    dates = "start: 2026-01-01, end: 2026-01-30"
    assert found(shop, log, f"metric: accepts, target: 9, action: poems, {dates}", when).so_far == 1.0
    assert found(shop, log, f"metric: accepts, target: 9, channels: [web], {dates}", when).so_far == 4.0


def test_before_between_and_after(shop: Workspace, log: Log) -> None:
    accept_daily(log, 3)
    text = "metric: accepts, target: 6, start: 2026-01-01, end: 2026-01-03"
    assert found(shop, log, text, MIDNIGHT).outlook is Outlook.NOT_BEGUN
    assert found(shop, log, text, MIDNIGHT + 2 * DAY).outlook is Outlook.TOO_EARLY
    over = found(shop, log, text, MIDNIGHT + 5 * DAY)
    assert (over.outlook, over.forecast) == (Outlook.REACHED, None)
    missed = found(shop, log, text.replace("6", "7", 1), MIDNIGHT + 5 * DAY)
    assert missed.outlook is Outlook.MISSED


def test_a_log_that_begins_late_is_told_and_not_taken_for_nothing(shop: Workspace, log: Log) -> None:
    accept_daily(log, 10)
    one = found(
        shop, log, "metric: accepts, target: 60, start: 2025-12-01, end: 2026-01-30", MIDNIGHT + 10 * DAY
    )
    assert one.log_begins == NOON
    assert len(one.days) == 9
    assert one.forecast is not None
    assert one.forecast.value == pytest.approx(20 + 20 * 2.0)


def test_a_share_is_of_what_was_seen_and_is_final(shop: Workspace, log: Log) -> None:
    rng = np.random.default_rng(2)
    seen, accepted = np.zeros(200), np.zeros(200)
    for customer in range(200):
        for visit in range(int(rng.integers(1, 4))):
            yes = rng.random() < 0.2
            outcomes = {"impression": 1.0, "accept": 9.0} if yes else None
            log.decide(f"d{customer}-{visit}", f"c{customer}", offer(outcomes=outcomes))
            seen[customer] += 1
            accepted[customer] += yes
        log.decide(f"u{customer}", f"c{customer}", offer(outcomes={}))  # not seen
        log.decide(f"n{customer}", f"c{customer}", offer(), at=NOON + 4.5 * DAY)  # not final
    one = found(
        shop,
        log,
        "metric: acceptance_rate, target: 0.5, start: 2026-01-01, end: 2026-01-30",
        NOON + 5 * DAY,
    )
    assert one.so_far == pytest.approx(accepted.sum() / seen.sum())
    assert one.forecast is not None
    draws = [
        accepted[rows].sum() / seen[rows].sum() for rows in rng.integers(200, size=(4_000, 200))
    ]  # the bootstrap of customers
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (one.forecast.low, one.forecast.high) == pytest.approx((low, high), abs=0.004)
    assert one.outlook is Outlook.WILL_NOT_BE


def test_an_empty_log_says_nothing(shop: Workspace, log: Log) -> None:
    dates = "start: 2026-01-01, end: 2026-01-30"
    share = found(shop, log, f"metric: acceptance_rate, target: 0.5, {dates}", NOON + 9 * DAY)
    assert (share.so_far, share.outlook) == (None, Outlook.TOO_EARLY)
    assert found(shop, log, f"metric: accepts, target: 5, {dates}", NOON + 9 * DAY).so_far == 0.0


def test_forecasts_hold_as_often_as_they_promise() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(1_000):
        days = rng.poisson(20, 30).astype(float)
        forecast = forecast_sum(days[:12].sum(), days[:12].tolist(), 18)
        assert forecast is not None
        held += forecast.low <= days.sum() <= forecast.high
    assert stats.binomtest(held, 1_000, 0.95).pvalue > 0.001
