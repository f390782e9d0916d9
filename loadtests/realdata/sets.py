"""The public data sets as the training pipeline takes them: features, responses, and what is published."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds
from numpy.typing import NDArray

from feature_store.columns import columns_from_arrow
from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from loadtests.realdata.folder import read
from loadtests.realdata.purchases import repeat_buyers
from models.layout import BUILT_IN
from models.table import TrainingTable

PAGE_VALUES = "PageValues"
KNOWN_AFTERWARDS = (
    "Tags",
    "Lead Quality",
    "Last Activity",
    "Last Notable Activity",
    "Lead Profile",
    "Asymmetrique Activity Index",
    "Asymmetrique Profile Index",
    "Asymmetrique Activity Score",
    "Asymmetrique Profile Score",
)


@dataclass(frozen=True)
class RealSet:
    """One question to one data set.

    table      what is known of each row, and whether it responded
    published  what others report, by whom or what
    in_order   the rows are in the order of time: learnt from the first ones, measured on the last ones
    note       what to know before the figures are compared
    """

    table: TrainingTable
    published: str = ""
    in_order: bool = False
    note: str = ""


def bank(*, in_order: bool) -> RealSet:
    """A bank's telephone campaign: who takes a deposit. How long the call took is known only after it."""
    raw = read("bank_marketing/bank-additional-full.csv.gz", ";")
    published = "AUC .659 by date" if in_order else "AUC .804 shuffled"
    return RealSet(_table(raw, _is(raw, "y", "yes"), {"y", "duration"}), published, in_order)


def telco() -> RealSet:
    """Which customers of a telephone company leave."""
    raw = read("telco_churn/telco-customer-churn.csv.gz")
    published = "AUC .849 logistic, .828 XGBoost"
    return RealSet(_table(raw, _is(raw, "Churn", "Yes"), {"Churn", "customerID"}), published)


def leads() -> RealSet:
    """Which leads of a school become students, from what is known when they come."""
    raw = read("lead_scoring/lead-scoring.csv.gz")
    dropped = {"Converted", "Prospect ID", "Lead Number", *KNOWN_AFTERWARDS}
    return RealSet(_table(raw, _numbers(raw, "Converted"), dropped), "AUC .877 (.985 with the leaks)")


def shoppers(*, page_values: bool) -> RealSet:
    """Which sessions in a shop end in a purchase; a page's value is made of the purchases that followed."""
    raw = read("online_shoppers/online-shoppers-intention.csv.gz")
    dropped = {"Revenue"} if page_values else {"Revenue", PAGE_VALUES}
    codes = {"OperatingSystems", "Browser", "Region", "TrafficType"}
    published = "AUC .937 XGBoost" if page_values else "AUC .788"
    return RealSet(_table(raw, _numbers(raw, "Revenue"), dropped, codes), published)


def funnel() -> RealSet:
    """Which leads of a marketplace become sellers, from where they come."""
    raw = read("olist_funnel/qualified-leads.csv.gz")
    won = read("olist_funnel/closed-deals.csv.gz")["mql_id"]
    labels = pc.is_in(raw["mql_id"], value_set=won.combine_chunks()).to_numpy().astype(np.float64)
    return RealSet(
        _table(raw, labels, {"mql_id", "first_contact_date"}), note="origin and landing page alone"
    )


def mailing() -> RealSet:
    """Which customers of a shop visit its site after an e-mail, or none: the arm is the action."""
    raw = read("hillstrom/hillstrom.csv.gz")
    dropped = {"visit", "conversion", "spend", "segment", "history_segment"}
    table = _table(raw, _numbers(raw, "visit"), dropped, actions=raw["segment"])
    return RealSet(table, note="published for uplift, not for response")


def purchases() -> RealSet:
    """Which new customers of a music shop buy again in the second half of the time."""
    buyers = repeat_buyers()
    return RealSet(
        _table(buyers.known, buyers.again, set()),
        f"AUC {buyers.reference_auc():.3f} BG/NBD, fitted here".replace("0.", "."),
        note=buyers.described(),
    )


SETS: Mapping[str, Callable[[], RealSet]] = {
    "bank_marketing, by date": lambda: bank(in_order=True),
    "bank_marketing, shuffled": lambda: bank(in_order=False),
    "telco_churn": telco,
    "lead_scoring": leads,
    "online_shoppers": lambda: shoppers(page_values=True),
    "online_shoppers without PageValues": lambda: shoppers(page_values=False),
    "olist_funnel": funnel,
    "hillstrom, visit": mailing,
    "cdnow": purchases,
}


def _is(table: pa.Table, column: str, value: str) -> NDArray[np.float64]:
    return np.array([text == value for text in table[column].to_pylist()], np.float64)


def _numbers(table: pa.Table, column: str) -> NDArray[np.float64]:
    return table[column].to_numpy().astype(np.float64)


def _table(
    raw: pa.Table,
    labels: NDArray[np.float64],
    dropped: Collection[str],
    codes: Collection[str] = (),
    actions: "pa.ChunkedArray[Any] | None" = None,
) -> TrainingTable:
    """All columns but the dropped ones as features: texts and `codes` are categories, the rest numbers."""
    kept = [name for name in raw.column_names if name not in dropped]
    columns = {name: raw[name].cast(pa.string()) if name in codes else raw[name] for name in kept}
    schema = FeatureSchema(tuple(_feature(name, column) for name, column in columns.items()))
    X, _ = columns_from_arrow(pa.table(columns), schema, (Source.PROFILE,))
    n = len(labels)
    chosen = np.full(n, "all") if actions is None else np.array(actions.to_pylist(), np.str_)
    names, places = np.unique(chosen, return_inverse=True)
    return TrainingTable(
        rows=np.column_stack([X, places, np.zeros(n)]),
        chances=np.full(n, np.nan),
        labels=labels,
        now=np.zeros(n),
        customers=np.arange(n),
        customer_ids=tuple(map(str, range(n))),
        schema=schema,
        actions=tuple(map(str, names)),
        channels=BUILT_IN[1:],
    )


def _feature(name: str, column: "pa.ChunkedArray[Any]") -> Feature:
    if kinds.is_string(column.type):
        levels = tuple(sorted(filter(None, pc.unique(column).to_pylist())))
        return Feature(name, FeatureType.CATEGORY, Source.PROFILE, levels=levels)
    kind = FeatureType.FLAG if kinds.is_boolean(column.type) else FeatureType.NUMBER
    return Feature(name, kind, Source.PROFILE)
