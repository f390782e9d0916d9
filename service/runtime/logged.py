"""Logged decisions: what was known when they were made, what they offered, and what came of it.

They lie in a folder in one of two forms: as the service's log (`decisions/`, `offers/` and `outcomes/`, by
day and hour), or as the tables that models are trained on (`customers.parquet`, `decisions.parquet`,
`outcomes.parquet`), whose profiles are those of today.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from feature_store.columns import columns_from_arrow
from feature_store.schema import FeatureSchema, Source
from models.errors import ModelError
from models.labels import DEFAULT_WINDOW
from models.profiles import CUSTOMERS
from models.table import DECISIONS, OUTCOMES

OFFERED = ("decision_id", "placement", "rank", "action", "selection_probability")
CAME = ("decision_id", "action", "outcome", "value", "occurred_at")
_ONE_OFFER = "\x1f"
"""Stands between a decision and an action; no name has it."""


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


@dataclass(frozen=True)
class Reward:
    """What counts as one: the sum of the values that channels have reported, or, with `positive`, 1 where an
    outcome came that its action is offered for (a name without an entry: any of `otherwise`). What came after
    the window of its action, in seconds from the decision, does not count."""

    positive: Mapping[str, Sequence[str]] | None = None
    otherwise: Sequence[str] = ()
    windows: Mapping[str, float] = field(default_factory=dict)
    default_window: float = DEFAULT_WINDOW

    def of(self, offers: pa.Table, outcomes: pa.Table) -> NDArray[np.float64]:
        """The reward of each offer, of which `decided_at` is known."""
        actions = [str(action) for action in outcomes["action"].to_pylist()]
        came = [str(outcome) for outcome in outcomes["outcome"].to_pylist()]
        place = (
            pc.index_in(_key(outcomes), value_set=_key(offers)).fill_null(-1).to_numpy(zero_copy_only=False)
        )
        delay = _seconds(outcomes["occurred_at"]) - _seconds(offers["decided_at"])[place]
        window = np.array([self.windows.get(action, self.default_window) for action in actions], np.float64)
        met = (place >= 0) & (delay < window) & self._wanted(actions, came)
        values = np.nan_to_num(outcomes["value"].cast(pa.float64()).to_numpy())
        found = np.zeros(offers.num_rows)
        if self.positive is None:
            np.add.at(found, place[met], values[met])
        else:
            found[place[met]] = 1.0
        return found

    def _wanted(self, actions: Sequence[str], outcomes: Sequence[str]) -> NDArray[np.bool_]:
        if self.positive is None:
            return np.ones(len(actions), np.bool_)
        came = zip(actions, outcomes, strict=True)
        wanted = [outcome in self.positive.get(action, self.otherwise) for action, outcome in came]
        return np.array(wanted, np.bool_)


def read_logged(
    folder: Path,
    schema: FeatureSchema,
    reward: Reward,
    since: datetime | None = None,
    until: datetime | None = None,
) -> LoggedOffers:
    """The offers that were decided on from `since` on and before `until`.

    Raises:
        LogUnfit: there is no log, nothing was offered in that time, or a column is missing.
    """
    of_service = (folder / "decisions").is_dir()
    decisions, offers, outcomes = _log(folder) if of_service else _tables(folder, schema)
    decisions = _between(decisions, since, until)
    known = pc.index_in(offers["decision_id"], value_set=decisions["decision_id"].combine_chunks())
    offers = offers.append_column("decision", known).filter(pc.is_valid(known))
    if not offers.num_rows:
        raise LogUnfit(f"{folder}: nothing was offered in that time")
    if offers["selection_probability"].null_count:
        raise LogUnfit(f"{folder}: 'selection_probability' is null in an offer: it can't be evaluated by")
    offers = offers.sort_by([("decision", "ascending"), ("placement", "ascending"), ("rank", "ascending")])
    offers = offers.append_column("decided_at", decisions["decided_at"].take(offers["decision"]))
    X, _ = columns_from_arrow(decisions, schema, tuple(Source))
    np.copyto(X, schema.defaults, where=np.isnan(X))
    owners = pc.coalesce(decisions["customer_id"], decisions["decision_id"])
    _, customer = np.unique(_texts(owners), return_inverse=True)
    return LoggedOffers(
        X=X,
        now=_seconds(decisions["decided_at"]),
        channel=_texts(decisions["channel"]),
        ids=_texts(decisions["decision_id"]),
        customer=customer.astype(np.intp),
        decision=offers["decision"].to_numpy().astype(np.intp),
        placement=_texts(offers["placement"]),
        rank=offers["rank"].to_numpy().astype(np.intp),
        action=_texts(offers["action"]),
        probability=offers["selection_probability"].to_numpy().astype(np.float64),
        reward=reward.of(offers, outcomes),
    )


_Tables = tuple[pa.Table, pa.Table, pa.Table]
"""Decisions with a column for each feature, offers, and outcomes."""


def _log(folder: Path) -> _Tables:
    decisions = _read(
        folder / "decisions", ("decision_id", "customer_id", "decided_at", "channel", "features")
    )
    features = decisions["features"].combine_chunks()
    for place, feature in enumerate(features.type):
        decisions = decisions.append_column(feature.name, pc.struct_field(features, [place]))
    decisions = decisions.drop_columns(["features"])
    return decisions, _read(folder / "offers", OFFERED), _read(folder / "outcomes", CAME)


def _tables(folder: Path, schema: FeatureSchema) -> _Tables:
    context = [feature.name for feature in schema.by_source(Source.CONTEXT)]
    shown = _read(folder / DECISIONS, (*OFFERED, "customer_id", "decided_at", "channel"), context)
    stored = [feature.name for feature in schema.features if feature.source is not Source.CONTEXT]
    customers = _read(folder / CUSTOMERS, ("customer_id",), stored)
    ids = _texts(shown["decision_id"])
    _, first = np.unique(ids, return_index=True)
    columns = ["decision_id", "customer_id", "decided_at", "channel"]
    decisions = shown.take(np.sort(first)).select(
        [*columns, *(n for n in context if n in shown.column_names)]
    )
    places = pc.index_in(decisions["customer_id"], value_set=customers["customer_id"].combine_chunks())
    for name in customers.column_names[1:]:
        decisions = decisions.append_column(name, customers[name].take(places))
    return decisions, shown.select(list(OFFERED)), _read(folder / OUTCOMES, CAME)


def _read(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pa.Table:
    if not path.exists():
        raise LogUnfit(
            f"{path} is not there: name the folder of a log, or of customers, decisions and outcomes"
        )
    try:
        data = ds.dataset(path, format="parquet", partitioning="hive" if path.is_dir() else None)
        if missing := [name for name in columns if name not in data.schema.names]:
            raise LogUnfit(f"{path}: the column '{missing[0]}' is missing")
        return data.to_table([*columns, *(name for name in optional if name in data.schema.names)])
    except (OSError, pa.ArrowInvalid) as error:
        raise LogUnfit(f"{path}: can't be read as Parquet: {error}") from error


def _between(decisions: pa.Table, since: datetime | None, until: datetime | None) -> pa.Table:
    moments = decisions["decided_at"].cast(pa.timestamp("us", "UTC"))
    for bound, holds in ((since, pc.greater_equal), (until, pc.less)):
        if bound is not None:
            kept: Any = holds(moments, pa.scalar(bound, pa.timestamp("us", "UTC")))
            decisions, moments = decisions.filter(kept), moments.filter(kept)
    return decisions


def _key(table: pa.Table) -> Any:
    """What identifies an offer to its outcomes."""
    join: Any = pc.binary_join_element_wise
    texts = [table[name].cast(pa.string()).combine_chunks() for name in ("decision_id", "action")]
    return join(*texts, _ONE_OFFER)


def _seconds(moments: Any) -> NDArray[np.float64]:
    seconds: NDArray[np.float64] = moments.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() / 1e6
    return seconds


def _texts(column: Any) -> NDArray[np.str_]:
    return np.array(column.to_pylist(), np.str_)
