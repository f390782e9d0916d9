"""Decisions and outcomes as workers log them, and a store of a test's own."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from feature_store.decision_log import DecisionEntry, Empty, Picks
from feature_store.embedded import EmbeddedStore
from feature_store.outcomes import Outcome
from feature_store.schema import Feature, FeatureSchema, FeatureType, Source

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z

SCHEMA = FeatureSchema(
    (
        Feature("age", FeatureType.NUMBER, Source.PROFILE),
        Feature("is_member", FeatureType.FLAG, Source.PROFILE),
        Feature("genres", FeatureType.SET, Source.PROFILE, members=("crime", "poetry")),
        Feature("member_until", FeatureType.TIMESTAMP, Source.PROFILE),
        Feature("page", FeatureType.CATEGORY, Source.CONTEXT, levels=("home", "basket")),
    )
)
ROW = (34.5, 1.0, 1.0, 0.0, 86_400.0, 1.0)
"""In the columns of the schema; the timestamp is from the decision on."""


def entry(
    ids: Sequence[str],
    decided_at: float = NOON,
    schema: FeatureSchema = SCHEMA,
    row: Sequence[float] = ROW,
    customers: Sequence[str] | None = None,
) -> DecisionEntry:
    """A batch of decisions; each has offered `join_club` in one placement and left another one empty."""
    count = len(ids)
    places = list(range(count))
    return DecisionEntry(
        software="1.0",
        snapshot="s",
        catalogue="c",
        features=schema.fingerprint,
        models={"response": "20260101T000000Z-1"},
        decided_at=[decided_at] * count,
        columns=schema.columns,
        timestamps=tuple(schema.timestamps),
        X=np.tile(np.array(row, "<f4"), (count, 1)).tobytes(),
        decision_id=list(ids),
        customer_id=list(customers) if customers else [f"c-{id_}" for id_ in ids],
        account_id=[None] * count,
        channel=["web"] * count,
        arm=["next_best_action"] * count,
        experiments=[{"holdout": "treated"}] * count,
        mode=["full"] * count,
        degraded=[()] * count,
        known=[True] * count,
        actions={"join_club": ("sales", "club")},
        picks=Picks(
            decision=places,
            placement=["home_hero"] * count,
            rank=[1] * count,
            action=["join_club"] * count,
            treatment=["club_tip"] * count,
            propensity=[0.1] * count,
            context_weight=[1.0] * count,
            value=[25.0] * count,
            lever=[1.3] * count,
            priority=[3.25] * count,
            selection_probability=[0.9] * count,
        ),
        empty=Empty(decision=places, placement=["basket_tip"] * count, reason=["no_offer"] * count),
    )


def outcome(
    decision_id: str, name: str = "click", occurred_at: float = NOON + 60, number: int = 0, **changed: object
) -> Outcome:
    """An outcome of what a decision has offered; `number` tells those of one decision apart."""
    fields = {
        "outcome_id": f"{decision_id}:{name}:{number}".encode().rjust(16, b"-")[-16:],
        "customer_id": f"c-{decision_id}",
        "decision_id": decision_id,
        "outcome": name,
        "channel": "web",
        "placement": "home_hero",
        "issue": "sales",
        "group": "club",
        "action": "join_club",
        "treatment": "club_tip",
        "rank": 1,
        "propensity": 0.1,
        "selection_probability": 0.9,
        "value": None,
        "occurred_at": occurred_at,
        "expires_at": occurred_at + 1e6,
    }
    return Outcome(**(fields | changed))  # type: ignore[arg-type]


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A store whose streams nobody else writes to."""
    with EmbeddedStore(tmp_path / "store") as store:
        yield store
