"""The arms of experiments, each beside whom chance has put elsewhere.

The unit is the customer, or the account where whole accounts take part: whoever was decided for while the
experiment ran. An arm that changes nothing is what the others of its experiment are compared with; without
one it is everybody else: who is in no arm of the namespace at all. A customer who was in both, because a
share was changed meanwhile, is in neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from models.evaluation.bootstrap import Interval
from service.decisioning.experiments import Arm, Experiment
from service.reporting.answers import Answers
from service.reporting.comparison import Group, lift, units_needed, value_difference

EVERYBODY_ELSE = ""
"""The name of the group that is in no arm."""
UNLIKELY = 0.001
"""So improbable must a group's size be to be told: with tens of arms a rarer alarm than one in a hundred."""


@dataclass(frozen=True)
class Comparison:
    """An arm, and what it is compared with: the arm `other`, or everybody else.

    withholds  whether it is a control group, from which something is withheld
    moved      customers who were left out because they were in several arms
    share      the declared one; `found` the one among the `units` that the experiment saw in all
    """

    experiment: str
    arm: str
    other: str
    description: str
    by_account: bool
    withholds: bool
    group: Group
    beside: Group
    moved: int
    share: float
    found: float
    units: int

    @cached_property
    def lift(self) -> Interval | None:
        """By what part more of the arm respond than of the others; None where too few did to tell."""
        return lift(self.group, self.beside)

    @cached_property
    def value(self) -> Interval | None:
        """By how much more each of the arm has brought; None where too few responded to tell."""
        return value_difference(self.group, self.beside)

    @cached_property
    def needed(self) -> int | None:
        """How many customers the arm needs in all, to tell a difference like this one from chance."""
        return units_needed(self.group, self.beside)

    @property
    def missing(self) -> int | None:
        """How many it still needs."""
        return None if self.needed is None else max(0, self.needed - self.group.units)

    @cached_property
    def lopsided(self) -> bool:
        """Whether chance alone can't have made a group of this size."""
        from scipy.stats import binomtest

        found = binomtest(self.group.units, self.units, self.share) if self.units else None
        return found is not None and bool(found.pvalue < UNLIKELY)

    @property
    def earned(self) -> Interval | None:
        """Of an arm that withholds something, what the others have brought beyond it, all together."""
        if self.value is None:
            return None
        number = self.beside.units
        return Interval(-self.value.value * number, -self.value.high * number, -self.value.low * number)


def comparisons(answers: Answers, experiments: Sequence[Experiment]) -> tuple[Comparison, ...]:
    """Each arm of each experiment that began before the report's end, except those that others are compared
    with."""
    answers.connection.execute(
        "CREATE TEMP TABLE came_of AS SELECT decision_id, bool_or(accepted) AS accepted, "
        "sum(brought) AS brought FROM offers GROUP BY 1"
    )
    running = [experiment for experiment in experiments if experiment.start < answers.until]
    return tuple(
        comparison for experiment in running for comparison in _compared(answers, experiment, experiments)
    )


def _compared(
    answers: Answers, experiment: Experiment, experiments: Sequence[Experiment]
) -> list[Comparison]:
    siblings = [other.name for other in experiments if other.namespace == experiment.namespace]
    groups, moved, units = _groups(answers, experiment, siblings)
    plain = next((arm.name for arm in experiment.arms if not _changes(arm)), EVERYBODY_ELSE)
    return [
        Comparison(
            experiment=experiment.name,
            arm=arm.name,
            other=plain,
            description=arm.description or experiment.description,
            by_account=experiment.by_account,
            withholds=arm.withheld is not None,
            group=groups.get(arm.name, Group()),
            beside=groups.get(plain, Group()),
            moved=moved,
            share=arm.end - arm.start,
            found=groups.get(arm.name, Group()).units / units if units else 0.0,
            units=units,
        )
        for arm in experiment.arms
        if arm.name != plain
    ]


def _changes(arm: Arm) -> bool:
    return arm.conduct is not None or arm.withheld is not None


def _groups(
    answers: Answers, experiment: Experiment, siblings: Sequence[str]
) -> tuple[Mapping[str, Group], int, int]:
    """The groups by arm, how many units were in several, and how many the experiment saw in all, those in
    arms of its siblings in the namespace among them."""
    unit = "coalesce(account_id, customer_id)" if experiment.by_account else "customer_id"
    query = f"""
        WITH placed AS (
            SELECT {unit} AS unit, decision_id,
                CASE WHEN map_contains(experiments, $name) THEN experiments[$name]
                     WHEN list_has_any(map_keys(experiments), $siblings) THEN NULL
                     ELSE $nobody END AS arm
            FROM decided WHERE decided_at >= to_timestamp($start) AND decided_at < to_timestamp($end)
        ), units AS (
            SELECT unit, min(arm) AS arm, count(DISTINCT coalesce(arm, '-')) > 1 AS moved,
                coalesce(bool_or(accepted), false) AS responded, coalesce(sum(brought), 0) AS brought,
                count(accepted) > 0 AS offered
            FROM placed LEFT JOIN came_of USING (decision_id) GROUP BY 1
        )
        SELECT arm, moved, count(*), count(*) FILTER (WHERE responded), avg(brought),
            coalesce(var_samp(brought), 0), count(*) FILTER (WHERE offered)
        FROM units GROUP BY ALL
        """
    found = answers.rows(
        query,
        name=experiment.name,
        siblings=list(siblings),
        nobody=EVERYBODY_ELSE,
        start=max(experiment.start, answers.since, 0.0),
        end=min(experiment.end, answers.until),
    )
    groups = {arm: Group(*figures) for arm, moved, *figures in found if arm is not None and not moved}
    return groups, sum(row[2] for row in found if row[1]), sum(row[2] for row in found)
