"""From decisions to what was accepted, and where on the way it was lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from service.decisioning.stages import NO_ACTION, NO_ACTION_BY_RULE, NO_ACTION_MEANINGS
from service.reporting.answers import Answers

ISSUE, ACTION, CHANNEL = "issue", "action", "channel"
KINDS: Mapping[str, str] = {
    ISSUE: "issue",
    ACTION: "issue || ' / ' || \"group\" || ' / ' || action",
    CHANNEL: "channel",
}
"""What offers are counted by, and the SQL that names one."""
_COUNTS = (
    "count(*), count(*) FILTER (WHERE seen), count(*) FILTER (WHERE clicked), "
    "count(*) FILTER (WHERE accepted), coalesce(sum(brought), 0)"
)
_MEANINGS = {said.reason: NO_ACTION_MEANINGS[stage] for stage, said in NO_ACTION.items()} | NO_ACTION_BY_RULE


@dataclass(frozen=True)
class Counts:
    """Of some offers, how many there are, how many were seen, clicked and accepted, and what they brought."""

    offered: int = 0
    seen: int = 0
    clicked: int = 0
    accepted: int = 0
    value: float = 0.0

    @property
    def acceptance(self) -> float | None:
        """The share of what was seen that was accepted; None where nothing was seen."""
        return self.accepted / self.seen if self.seen else None


@dataclass(frozen=True)
class Empty:
    """Placements that stayed empty for a reason."""

    reason: str
    meaning: str
    placements: int


@dataclass(frozen=True)
class Funnel:
    """All of a period.

    decisions, customers  how many there were, for how many customers
    answered              decisions that offered something
    counts                of all offers
    by                    by kind (`KINDS`) and name, the most offered first
    days                  from the first to the last day on which something was decided, all of them
    empty                 why placements stayed empty, the most frequent reason first
    """

    decisions: int
    customers: int
    answered: int
    counts: Counts
    by: Mapping[str, Mapping[str, Counts]]
    days: Mapping[date, Counts]
    empty: tuple[Empty, ...]


def funnel(answers: Answers) -> Funnel:
    """Count the offers of the period."""
    ((decisions, customers),) = answers.rows("SELECT count(*), count(DISTINCT customer_id) FROM decided")
    ((answered,),) = answers.rows("SELECT count(DISTINCT decision_id) FROM offers")
    (counts,) = answers.rows(f"SELECT {_COUNTS} FROM offers")
    return Funnel(
        decisions=decisions,
        customers=customers,
        answered=answered,
        counts=Counts(*counts),
        by={kind: _by(answers, name) for kind, name in KINDS.items()},
        days=_days(answers),
        empty=_empty(answers),
    )


def _by(answers: Answers, name: str) -> Mapping[str, Counts]:
    query = f"SELECT {name}, {_COUNTS} FROM offers GROUP BY 1 ORDER BY 2 DESC, 1"
    return {found: Counts(*counts) for found, *counts in answers.rows(query)}


def _days(answers: Answers) -> Mapping[date, Counts]:
    query = f"""
        WITH every AS (
            SELECT unnest(
                generate_series(min(decided_at)::DATE, max(decided_at)::DATE, INTERVAL 1 DAY)
            )::DATE AS day FROM decided
        ), counted AS (SELECT decided_at::DATE AS day, {_COUNTS} FROM offers GROUP BY 1)
        SELECT every.day, counted.* EXCLUDE (day) FROM every LEFT JOIN counted USING (day) ORDER BY 1
        """
    return {day: Counts(*(count or 0 for count in counts)) for day, *counts in answers.rows(query)}


def _empty(answers: Answers) -> tuple[Empty, ...]:
    query = """
        SELECT place.reason, count(*) FROM (SELECT unnest(empty) AS place FROM decided)
        GROUP BY 1 ORDER BY 2 DESC, 1
        """
    return tuple(Empty(reason, _MEANINGS.get(reason, ""), number) for reason, number in answers.rows(query))
