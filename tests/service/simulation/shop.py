"""A small shop with known truth: who likes what, which its declared priors get wrong."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from feature_store.schema import FeatureSchema
from service.world.history import Floats, Indices, Reaction, Visits
from service.world.living import LivingWorld
from service.world.offers import Offers, Placement

LIKES = {"tea": (0.30, 0.02), "coffee": (0.02, 0.30), "juice": (0.08, 0.08), "soda": (0.10, 0.01)}
"""By action, the chance of a response in either town."""
NEWCOMER = "water"
NEWCOMERS = (0.35, 0.35)
DAY = 86_400.0


def write_shop(folder: Path) -> Path:
    """The workspace; all priors are the same, and far from the truth."""
    (folder / "actions").mkdir(parents=True)
    features = {
        "town": {"type": "category", "source": "profile", "levels": ["old", "new"], "description": "Where"},
        "hour": {"type": "number", "source": "context", "description": "When"},
    }
    slots = {"hero": {"limit": 1, "description": "On top"}}
    channels = {"web": {"direction": "inbound", "description": "The site", "placements": slots}}
    actions = {
        name: {
            "title": name,
            "description": f"A cup of {name}",
            "value": 10,
            "propensity": 0.1,
            "treatments": {f"{name}_hero": {"channel": "web", "content": {"headline": name}}},
        }
        for name in (*LIKES, NEWCOMER)
    }
    actions[NEWCOMER]["active"] = False
    files = {
        "features.yaml": {"features": features},
        "channels.yaml": {"channels": channels},
        "models.yaml": {"models": {"drinks": {"positive": ["accept"], "description": "An order"}}},
        "policies.yaml": {
            "arbitration": {"propensity": True, "value": True},
            "exploration": {"method": "thompson", "share": 0.3, "floor": 0.05},
        },
        "actions/drinks.yaml": {
            "issue": "drinks",
            "model": "drinks",
            "groups": {"cups": {"actions": actions}},
        },
    }
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder


def imagine_shop(workspace: Path, data: Path, customers: int) -> LivingWorld:
    """Its customers, two to a household, and the table of them in `data`."""
    data.mkdir()
    schema, offers = FeatureSchema.load(workspace / "features.yaml"), Offers.load(workspace)
    town = np.arange(customers) % 2
    X = np.full((customers, schema.width), np.nan)
    X[:, schema.slice("town")] = town[:, None]
    ids = tuple(f"c{number}" for number in range(customers))
    levels = schema.feature("town").levels
    table = {"customer_id": ids, "town": [levels[code] for code in town]}
    pq.write_table(
        pa.table({name: pa.array(values) for name, values in table.items()}), data / "customers.parquet"
    )
    chances = np.array([{**LIKES, NEWCOMER: NEWCOMERS}[action.name] for action in offers.actions])

    def response(X: Floats, placement: Placement, actions: Indices) -> Floats:
        towns = X[:, schema.slice("town")][:, 0].astype(np.intp)
        found: Floats = chances[actions, towns]
        return found

    def coming(rng: np.random.Generator, count: int, midnight: float, days: int) -> Visits:
        at = np.sort(rng.uniform(midnight, midnight + days * DAY, count))
        hours = (at % DAY // 3600)[:, None]
        return Visits(
            np.arange(count), rng.integers(0, customers, count), at, np.zeros(count, np.intp), hours
        )

    return LivingWorld(
        schema=schema,
        offers=offers,
        X=X,
        customer_ids=ids,
        households=np.arange(customers) // 2,
        response=response,
        reactions=lambda channel, model: Reaction(final="accept", clicks=2.0, delay=600.0),
        coming=coming,
        newcomer=NEWCOMER,
    )
