"""Logged decisions: what was known when they were made, what they offered, and what came of it.

They lie in a folder in one of two forms: as the service's log (`decisions/`, `offers/` and `outcomes/`, by
day and hour), or as the tables that models are trained on (`customers.parquet`, `decisions.parquet`,
`outcomes.parquet`), whose profiles are those of today. Both are joined by the same code.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from feature_store.logbook.folder import LogFolder
from feature_store.logbook.tables import DECISIONS
from feature_store.schema import FeatureSchema, Source
from models.errors import ModelError
from models.files import CHANCE, columns_of, features_of, misfits
from models.label_rules import LabelRules
from models.labels import PROVISIONAL, Join, joined
from models.table import DECISIONS as TABLE
from service.runtime.training_tables import joined_tables


class LogUnfit(ModelError):
    """A folder whose log can't be evaluated by; the message says what is missing."""


@dataclass(frozen=True)
class LoggedOffers:
    """m offers of d decisions, the offers in the order of decision, placement and rank.

    X            d x F  the features in the schema's columns; NaN is missing
    now          d      epoch seconds
    channel      d      names
    ids          d      of the decisions
    customer     d      a number for each different customer
    decision     m      the decision of each offer
    placement    m      names
    rank         m      from 1
    action       m      names
    probability  m      with which it was chosen at its turn
    reward       m      what came of it
    remarks             what somebody should look at
    """

    X: NDArray[np.float64]
    now: NDArray[np.float64]
    channel: NDArray[np.str_]
    ids: NDArray[np.str_]
    customer: NDArray[np.intp]
    decision: NDArray[np.intp]
    placement: NDArray[np.str_]
    rank: NDArray[np.intp]
    action: NDArray[np.str_]
    probability: NDArray[np.float64]
    reward: NDArray[np.float64]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reward:
    """What counts as one: the sum of the values that channels have reported, or, with `responses`, 1 where an
    outcome came that `rules` take for a response. What came after the window of its action does not count."""

    rules: LabelRules
    responses: bool = False

    @property
    def query(self) -> str:
        """SQL of all offers of the join, each with its reward."""
        reward = "coalesce(a.responded, false)::DOUBLE" if self.responses else "coalesce(r.reported, 0.0)"
        return f"""
            SELECT a.decision_id, a.placement, a.rank, a.action, a.{CHANCE}, a.state, {reward} AS reward
            FROM answered a LEFT JOIN (
                SELECT decision_id, placement, rank, sum(value) AS reported FROM matched
                WHERE place = 'within' GROUP BY ALL
            ) r USING (decision_id, placement, rank)
        """


def read_logged(
    folder: Path,
    schema: FeatureSchema,
    reward: Reward,
    as_of: float = inf,
    since: float = -inf,
    until: float = inf,
) -> LoggedOffers:
    """The offers that were decided on from `since` on and before `until`, and what was known `as_of` a third
    moment to have come of them; all in epoch seconds.

    Raises:
        BadLog, TrainingError, LogUnfit: there is no log, one of its files can't be used, nothing was offered
            in that time, or nobody knows how likely it was.
    """
    with _join(folder, schema, reward.rules, as_of, since, until) as join:
        oddities = join.match().oddities
        decisions = join.connection.sql(
            f"""
            SELECT DISTINCT ON (decision_id) * FROM {join.reader.relation(DECISIONS, since, until)}
            SEMI JOIN offered USING (decision_id) ORDER BY decision_id, decided_at
            """
        ).to_arrow_table()
        offers = join.connection.sql(reward.query).to_arrow_table()
    known = pc.index_in(offers["decision_id"], value_set=decisions["decision_id"].combine_chunks())
    offers = offers.append_column("decision", known).filter(pc.is_valid(known))
    if not offers.num_rows:
        raise LogUnfit("; ".join((f"{folder}: nothing was offered in that time", *oddities)))
    offers = offers.sort_by([("decision", "ascending"), ("placement", "ascending"), ("rank", "ascending")])
    X, errors = features_of(str(folder), columns_of(decisions), schema, tuple(Source))
    np.copyto(X, schema.defaults, where=np.isnan(X))
    owners = pc.coalesce(decisions["customer_id"], decisions["decision_id"])
    _, customer = np.unique(_texts(owners), return_inverse=True)
    return LoggedOffers(
        X=X,
        now=decisions["decided_at"].cast(pa.int64()).to_numpy() / 1e6,
        channel=_texts(decisions["channel"]),
        ids=_texts(decisions["decision_id"]),
        customer=customer.astype(np.intp),
        decision=offers["decision"].to_numpy().astype(np.intp),
        placement=_texts(offers["placement"]),
        rank=offers["rank"].to_numpy().astype(np.intp),
        action=_texts(offers["action"]),
        probability=_chances(folder, offers),
        reward=offers["reward"].to_numpy().astype(np.float64),
        remarks=(*oddities, *misfits(errors, schema), *_unfinished(offers)),
    )


def _join(
    folder: Path, schema: FeatureSchema, rules: LabelRules, as_of: float, since: float, until: float
) -> AbstractContextManager[Join]:
    """The join of whatever lies in the folder."""
    if LogFolder(folder).is_there:
        return joined(folder, rules, as_of, since, until)
    if not (folder / TABLE).exists():
        raise LogUnfit(
            f"{folder}: neither a log nor {TABLE} is here: name the folder of a log, or of customers, "
            "decisions and outcomes"
        )
    return joined_tables(folder, schema, rules, as_of, since, until)


def _chances(folder: Path, offers: pa.Table) -> NDArray[np.float64]:
    """With which probability each offer was chosen at its turn."""
    chances = offers[CHANCE].to_numpy().astype(np.float64)
    wrong = np.flatnonzero(~((chances > 0.0) & (chances <= 1.0)))
    if len(wrong):
        first = offers.slice(int(wrong[0]), 1).to_pylist()[0]
        raise LogUnfit(
            f"{folder}: '{CHANCE}' is {'null' if first[CHANCE] is None else first[CHANCE]} of "
            f"'{first['action']}' in decision {first['decision_id']}, the first of {len(wrong):,} such: the "
            "probability of what was chosen lies above 0 and is 1 at most"
        )
    return chances


def _unfinished(offers: pa.Table) -> Iterator[str]:
    waiting = offers["state"].to_pylist().count(PROVISIONAL)
    if waiting:
        yield (
            f"{waiting:,} of {offers.num_rows:,} offers can still be answered, since their windows are not "
            "over: they will be worth more than they are now; use --until"
        )


def _texts(column: Any) -> NDArray[np.str_]:
    return np.array(column.to_pylist(), np.str_)
