"""The funnel of logs whose truth is known."""

from datetime import date

from service.reporting.funnel import ACTION, CHANNEL, ISSUE, Counts, funnel
from service.workspace.loading import Workspace

from .conftest import DAY, NOON, Log, answers_of, offer

YES = {"impression": 1.0, "click": 5.0, "accept": 60.0}


def test_each_stage_counts_what_came_so_far(shop: Workspace, log: Log) -> None:
    log.decide("d1", "ada", offer(outcomes=YES), offer("atlas"))
    log.decide("d2", "ben", offer(outcomes={"impression": 1.0, "click": 9.0}))
    log.decide("d3", "ben", offer(outcomes={}))  # not seen: the web reports impressions
    log.decide("d4", "cleo", offer("poems", outcomes={}), channel="email")  # e-mail does not
    log.decide("d5", "cleo", empty="nothing_eligible")
    with answers_of(shop, log) as answers:
        found = funnel(answers)
    assert (found.decisions, found.customers, found.answered) == (5, 3, 4)
    assert found.counts == Counts(offered=5, seen=4, clicked=2, accepted=1, value=10.0)
    assert found.counts.acceptance == 0.25
    assert found.by[ISSUE] == {"sales": found.counts}
    assert found.by[CHANNEL] == {"web": Counts(4, 3, 2, 1, 10.0), "email": Counts(1, 1, 0, 0, 0.0)}
    assert list(found.by[ACTION]) == [
        "sales / books / novel",
        "sales / books / atlas",
        "sales / books / poems",
    ]
    [empty] = found.empty
    assert (empty.reason, empty.placements) == ("nothing_eligible", 1)
    assert empty.meaning == "the customer may have none of the actions"


def test_a_value_is_what_was_reported_or_else_what_the_offer_said(shop: Workspace, log: Log) -> None:
    log.decide("d1", "ada", offer(outcomes=YES, reported=99.0))
    log.decide("d2", "ben", offer(outcomes=YES, value=7.0))
    with answers_of(shop, log) as answers:
        assert funnel(answers).counts.value == 106.0


def test_an_action_without_a_model_is_accepted_by_accept_and_convert(shop: Workspace, log: Log) -> None:
    log.decide("d1", "ada", offer("poems", {"convert": 9.0}), channel="email")
    log.decide("d2", "ben", offer("out_of_the_catalogue", {"accept": 9.0}), channel="email")
    log.decide("d3", "ben", offer("novel", {"impression": 1.0, "convert": 9.0}))  # not positive for its model
    with answers_of(shop, log) as answers:
        assert funnel(answers).counts.accepted == 2


def test_a_day_without_decisions_is_an_empty_day(shop: Workspace, log: Log) -> None:
    log.decide("d1", "ada", offer(), at=NOON)
    log.decide("d2", "ada", offer(), at=NOON + 3 * DAY)
    with answers_of(shop, log) as answers:
        days = funnel(answers).days
    assert list(days) == [date(2026, 1, day) for day in (1, 2, 3, 4)]
    assert [counts.seen for counts in days.values()] == [1, 0, 0, 1]


def test_only_the_period_counts_and_only_what_was_known_at_its_end(shop: Workspace, log: Log) -> None:
    log.decide("d0", "ada", offer(outcomes=YES), at=NOON - DAY)
    log.decide("d1", "ada", offer(outcomes={"impression": 1.0, "accept": 7200.0}))
    log.decide("d2", "ada", offer(), at=NOON + DAY)
    with answers_of(shop, log, since=NOON, until=NOON + 3600) as answers:
        assert funnel(answers).counts == Counts(offered=1, seen=1)


def test_files_that_are_there_twice_count_once(shop: Workspace, log: Log) -> None:
    log.decide("d1", "ada", offer(outcomes=YES))
    log.write(times=2)
    with answers_of(shop, log) as answers:
        found = funnel(answers)
        assert answers.findings.offers_twice > 0
    assert (found.decisions, found.counts) == (1, Counts(1, 1, 1, 1, 10.0))


def test_an_empty_log_is_an_empty_funnel(shop: Workspace, log: Log) -> None:
    with answers_of(shop, log) as answers:
        found = funnel(answers)
    assert (found.decisions, found.counts, found.days, found.empty) == (0, Counts(), {}, ())
