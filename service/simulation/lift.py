"""What a learning service brings beside one that stays as it was on the first day, from both their logs."""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from feature_store.logbook.reading import open_log
from feature_store.logbook.tables import OUTCOMES
from models.evaluation.bootstrap import Interval, cluster_sums, resampled
from models.label_rules import LabelRules
from models.labels import Findings, labels
from service.simulation.lane import Visited

Floats = NDArray[np.float64]

CLICK = "click"
MEASURES = ("click-through", "responses", "value")
CLICKS, RESPONSES, VALUE, ONLINE, VISITS = range(5)
"""Columns of what is summed up by household."""
_OF = {"click-through": (CLICKS, ONLINE), "responses": (RESPONSES, VISITS), "value": (VALUE, VISITS)}


@dataclass(frozen=True)
class Outcomes:
    """What came of visits, n x 5: see `CLICKS` and so on; `day` and `household` of each."""

    sums: Floats
    day: NDArray[np.intp]
    household: NDArray[np.intp]
    findings: Findings
    logged: int
    """Outcomes in the log, each counted once."""

    @classmethod
    def of(
        cls,
        log: Path,
        rules: LabelRules,
        as_of: float,
        visited: Visited,
        households: NDArray[np.intp],
        clickable: frozenset[str],
    ) -> "Outcomes":
        """From a log, joined with its outcomes, for these visits; `clickable` are the channels where what is
        offered can be clicked."""
        responded: dict[str, tuple[float, float]] = {}
        with labels(log, rules, as_of) as found:
            for batch in found.rows:
                columns = (batch.column(name).to_pylist() for name in ("decision_id", "responded"))
                values = batch.column("response_value").to_pylist()
                responded |= {
                    id_: (float(came or 0), value) for id_, came, value in zip(*columns, values, strict=True)
                }
            findings = found.findings
        with open_log(log) as reader, duckdb.connect() as connection:
            relation = reader.relation(OUTCOMES)
            clicked = connection.execute(
                f"SELECT DISTINCT decision_id FROM {relation} WHERE outcome = $click",
                {"click": CLICK},
            )
            clicks = {id_ for (id_,) in clicked.fetchall()}
            counted = connection.execute(f"SELECT count(DISTINCT outcome_id) FROM {relation}")
            ((logged,),) = counted.fetchall()
        rows = [
            (
                id_ in clicks,
                *responded.get(id_, (0.0, 0.0)),
                action >= 0 and channel in clickable,
                1.0,
            )
            for id_, action, channel in zip(visited.decision, visited.action, visited.channel, strict=True)
        ]
        return cls(
            sums=np.array(rows, np.float64).reshape(-1, 5),
            day=np.array(visited.day, np.intp),
            household=households[np.array(visited.customer, np.intp)],
            findings=findings,
            logged=int(logged),
        )

    def rate(self, measure: str, days: range) -> float:
        """A measure on some days."""
        over, under = _OF[measure]
        total = self.sums[np.isin(self.day, days)].sum(axis=0)
        return float(total[over] / total[under]) if total[under] else float("nan")

    def by_household(self, days: range) -> Floats:
        """What is summed up on some days, households x 5."""
        rows = np.isin(self.day, days)
        return cluster_sums(self.sums[rows], self.household[rows])


def lift(learning: Outcomes, stayed: Outcomes, measure: str, days: range, seed: int) -> Interval:
    """By what share a measure is higher where is learnt, on some days; households are drawn as a whole."""
    over, under = _OF[measure]
    totals, drawn = [], []
    for number, outcomes in enumerate((learning, stayed)):
        sums = outcomes.by_household(days)
        totals.append(sums.sum(axis=0))
        drawn.append(resampled(sums, seed + number))
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = [total[over] / total[under] for total in totals]
        chances = [draw[:, over] / draw[:, under] for draw in drawn]
        return Interval.of(rates[0] / rates[1] - 1.0, chances[0] / chances[1] - 1.0)
