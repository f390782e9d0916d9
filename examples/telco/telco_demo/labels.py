"""What became of the customers: the labels that the models of customers learn from."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_store.arrow import arrow_columns, times
from feature_store.schema import FeatureSchema, Source
from service.world.history import Visits
from telco_demo.frame import Floats, Frame

MOST_INTENTS = 40_000
MARGIN = 0.45
"""Of an invoice."""


def write_labels(
    folder: Path, rng: np.random.Generator, people: Frame, ids: "pa.Array[Any]", visits: Visits, now: float
) -> None:
    """Write churn.parquet, lifetime_value.parquet and leads.parquet, a row for each customer, and
    intents.parquet, a row for each visit of the site in which the customer has said what they want."""
    leaving = chance_of_leaving(people)
    _write(folder / "churn.parquet", customer_id=ids, left=rng.random(len(people)) < leaving)
    moments = times(np.full(len(people), now))
    margin = expected_margin(people) * rng.lognormal(-0.06, 0.35, len(people))
    _write(folder / "lifetime_value.parquet", customer_id=ids, decided_at=moments, margin=np.round(margin, 2))
    ordered = rng.random(len(people)) < chance_of_order(people)
    _write(folder / "leads.parquet", customer_id=ids, ordered=ordered)
    _write_intents(folder, rng, people, ids, visits)


def chance_of_leaving(people: Frame) -> Floats:
    """The true probability that somebody leaves within 90 days, shape (n,)."""
    ending = people("months_to_contract_end", 12) <= 3
    odds = (
        -3.3
        + 1.3 * ending
        + 1.1 * people("open_complaint")
        + 1.5 * people.has("topics_viewed_30d", "cancel_contract")
        + 0.35 * np.minimum(people("tickets_90d"), 4)
        + 0.02 * np.maximum(people("bill_change_pct"), 0)
        - 0.22 * (people("nps", 7) - 7)
        - 0.008 * np.minimum(people("tenure_months", 24), 120)
    )
    return _sigmoid(odds)


def expected_margin(people: Frame) -> Floats:
    """What a customer brings in a year, in EUR, as long as they stay, shape (n,)."""
    share = people("monthly_spend", 20) / people("household_size", 1)
    cost = 4.0 * people("care_calls_90d") + 15.0 * people.among("credit_band", "d")
    return np.maximum(12 * MARGIN * share * (1 - 0.5 * chance_of_leaving(people)) - cost, 1.0)


def chance_of_order(people: Frame) -> Floats:
    """The true probability that somebody orders something new within 90 days, shape (n,)."""
    topics = ("fibre", "mobile_plans", "phones", "tv")
    looked = np.sum([people.has("topics_viewed_30d", topic) for topic in topics], axis=0)
    odds = -3.0 + 0.9 * looked + 0.05 * np.minimum(people("web_visits_30d"), 20)
    return _sigmoid(odds - 1.5 * people("open_complaint") - 1.0 * (people("days_past_due") > 14))


def _write_intents(
    folder: Path, rng: np.random.Generator, people: Frame, ids: "pa.Array[Any]", visits: Visits
) -> None:
    own = FeatureSchema(people.schema.by_source(Source.CONTEXT))
    context = Frame(own, visits.context)
    stated = np.flatnonzero(context.known("intent") & context.known("page"))
    chosen = np.sort(rng.permutation(stated)[:MOST_INTENTS])
    columns = arrow_columns(visits.context[chosen], own, own.features)
    named = dict(zip([feature.name for feature in own.features], columns, strict=True))
    _write(folder / "intents.parquet", customer_id=ids.take(pa.array(visits.customer[chosen])), **named)


def _sigmoid(odds: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-odds))


def _write(path: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), path)
