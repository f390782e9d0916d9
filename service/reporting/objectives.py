"""How far objectives are, and whether they will be reached if it goes on as it did.

What adds up (accepts, clicks, value) is counted on the day on which it happened. The days to come are taken
to be like the whole days so far, each a draw of its own: the interval is the one in which their sum lies with
95 % (Student's t, for the mean that is not known and for the days themselves). Weekdays that differ make it
wider.

A share is of what was seen, was decided in the objective's time, and can't be answered any more; its interval
is that of a ratio of sums over customers (Cochran, Sampling Techniques, 1977, section 6.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, sqrt

import numpy as np

from models.evaluation.bootstrap import Interval
from service.reporting.answers import Answers
from service.reporting.comparison import ALPHA
from service.workspace.objectives import Objective

DAY = 86_400.0
LEAST_DAYS = 7
"""Whole days before a forecast is made: a week has slow and busy ones."""
LEAST_ACCEPTED = 10
"""Of a share: an interval of fewer would promise too much."""


class Outlook(StrEnum):
    """What is to be said of an objective."""

    NOT_BEGUN = "not begun"
    REACHED = "reached"
    MISSED = "missed"
    WILL_BE = "will be reached"
    WILL_NOT_BE = "will be missed"
    OPEN = "open"
    TOO_EARLY = "too early to tell"


@dataclass(frozen=True)
class Progress:
    """An objective as it stands.

    so_far      the sum, or the share; None where there is nothing to make a share of
    forecast    what it will be at the end, with its interval; None where it is too early, or over
    days        the sum of each whole day so far
    log_begins  the first decision of the log, if it lies more than a day behind the objective's start
    """

    objective: Objective
    outlook: Outlook
    so_far: float | None
    forecast: Interval | None
    days: Sequence[float]
    log_begins: float | None


def progress(answers: Answers, objectives: Sequence[Objective]) -> tuple[Progress, ...]:
    """Each objective, as it was known when the report ends."""
    ((first,),) = answers.rows("SELECT epoch(min(decided_at)) FROM decision")
    return tuple(_progress(answers, objective, inf if first is None else first) for objective in objectives)


def _progress(answers: Answers, objective: Objective, first: float) -> Progress:
    late = first if objective.start + DAY < first < inf else None
    if answers.until <= objective.start:
        return Progress(objective, Outlook.NOT_BEGUN, None, None, (), None)
    if objective.is_rate:
        so_far, forecast = _share(answers, objective)
        days: Sequence[float] = ()
    else:
        days, so_far = _sums(answers, objective, max(objective.start, late or objective.start))
        forecast = forecast_sum(so_far, days, max(0.0, objective.end - answers.until) / DAY)
    over = answers.until >= objective.end
    outlook = outlook_of(objective, so_far, forecast, over=over)
    return Progress(objective, outlook, so_far, None if over else forecast, days, late)


def outlook_of(
    objective: Objective, so_far: float | None, forecast: Interval | None, *, over: bool
) -> Outlook:
    """What is to be said: a sum that is reached stays so, a share may still fall."""
    reached = so_far is not None and so_far >= objective.target
    if over:
        return Outlook.REACHED if reached else Outlook.MISSED
    if reached and not objective.is_rate:
        return Outlook.REACHED
    if forecast is None:
        return Outlook.TOO_EARLY
    if forecast.low >= objective.target:
        return Outlook.WILL_BE
    return Outlook.WILL_NOT_BE if forecast.high < objective.target else Outlook.OPEN


def forecast_sum(so_far: float, days: Sequence[float], remaining: float) -> Interval | None:
    """The sum at the end, `remaining` days from now, of whole days so far; None where they are too few."""
    from scipy.stats import t  # only reports have the time to import it

    if len(days) < LEAST_DAYS:
        return None
    mean, deviation = float(np.mean(days)), float(np.std(days, ddof=1))
    margin = float(t.ppf(1.0 - ALPHA / 2, len(days) - 1)) * deviation
    margin *= sqrt(remaining + remaining**2 / len(days))
    expected = so_far + remaining * mean
    return Interval(expected, max(so_far, expected - margin), expected + margin)


def _sums(answers: Answers, objective: Objective, begins: float) -> tuple[list[float], float]:
    """What each whole day since `begins` has added, and all so far."""
    ends = min(objective.end, answers.until)
    moment, what = {
        "accepts": ("accepted_at", "count(*)"),
        "value": ("accepted_at", "sum(brought)"),
        "clicks": ("clicked_at", "count(*)"),
    }[objective.metric]
    query = f"""
        SELECT floor((epoch({moment}) - $begins) / {DAY})::BIGINT AS day, {what} FROM offer
        WHERE {moment} >= to_timestamp($begins) AND {moment} < to_timestamp($ends)
            AND action IN $actions AND channel IN $channels
        GROUP BY 1
        """
    found = dict(answers.rows(query, begins=begins, ends=ends, **_scope(objective)))
    whole = int((ends - begins) // DAY)
    return [float(found.get(day, 0.0)) for day in range(whole)], float(sum(found.values()))


def _share(answers: Answers, objective: Objective) -> tuple[float | None, Interval | None]:
    """The share that was accepted of what was seen, and its interval if enough was."""
    query = """
        WITH customers AS (
            SELECT customer_id, count(*) AS seen, count(*) FILTER (WHERE accepted) AS accepted FROM offer
            WHERE seen AND final AND decided_at >= to_timestamp($begins) AND decided_at < to_timestamp($ends)
                AND action IN $actions AND channel IN $channels
            GROUP BY 1
        )
        SELECT count(*), sum(seen), sum(accepted),
            sum(seen * seen), sum(seen * accepted), sum(accepted * accepted)
        FROM customers
        """
    ends = min(objective.end, answers.until)
    ((customers, *sums),) = answers.rows(query, begins=objective.start, ends=ends, **_scope(objective))
    if not customers:
        return None, None
    seen, accepted, *squares = map(float, sums)
    share = accepted / seen
    if accepted < LEAST_ACCEPTED or customers < 2:
        return share, None
    return share, _ratio_interval(share, seen, squares, customers)


def _ratio_interval(share: float, seen: float, squares: Sequence[float], customers: int) -> Interval:
    """Of a ratio of sums over customers; the squares are those of what each has seen, of it with what it has
    accepted, and of the latter."""
    from scipy.stats import norm

    of_seen, of_both, of_accepted = squares
    residual = of_accepted - 2 * share * of_both + share**2 * of_seen
    margin = float(norm.ppf(1.0 - ALPHA / 2)) * sqrt(max(0.0, residual) * customers / (customers - 1)) / seen
    return Interval(share, max(0.0, share - margin), min(1.0, share + margin))


def _scope(objective: Objective) -> dict[str, list[str]]:
    return {"actions": sorted(objective.actions), "channels": sorted(objective.channels)}
