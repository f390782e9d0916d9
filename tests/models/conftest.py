"""A small world whose truth is simple: the older, the likelier; and one action is liked best."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_store.schema import FeatureSchema
from models.registry import Registry
from models.spec import ModelSpec, load_specs
from models.table import History
from models.workshop import TrainingReport, train_workspace

FEATURES = """
features:
  age: {type: number, source: profile, default: 40, description: Age in years}
  is_business: {type: flag, source: profile, default: false, description: Whether it is a company}
  segment: {type: category, source: profile, levels: [consumer, soho, enterprise], description: Segment}
  products: {type: set, source: profile, members: [fibre, mobile], default: [], description: What they have}
  contract_end: {type: timestamp, source: profile, description: When the contract ends}
  visits: {type: number, source: behaviour, description: Visits of the last 30 days}
  page: {type: category, source: context, levels: [home, cart], description: The page}
"""
MODELS = """
models:
  sales: {positive: [click, convert], description: Whether an offer is taken up}
  service: {positive: [accept], description: Whether help is accepted, features: [age, page, contract_end]}
"""
ACTION_MODELS = {"fibre": "sales", "mobile": "sales", "tablet": "sales", "call_back": "service"}
CUSTOMERS, DECISIONS = 800, 6_000
START = datetime(2026, 1, 1, tzinfo=UTC)


def write_history(folder: Path) -> None:
    """Write the three data tables of the small world."""
    rng = np.random.default_rng(7)
    ages = rng.uniform(18, 90, CUSTOMERS).round()
    ends = [START + timedelta(days=float(day)) for day in rng.uniform(-200, 400, CUSTOMERS)]
    customers = pa.table(
        {
            "customer_id": [f"c{i}" for i in range(CUSTOMERS)],
            "age": pa.array(ages, mask=rng.random(CUSTOMERS) < 0.1),
            "is_business": rng.random(CUSTOMERS) < 0.2,
            "segment": rng.choice(["consumer", "soho", "enterprise"], CUSTOMERS),
            "products": [["fibre"] if has else [] for has in rng.random(CUSTOMERS) < 0.3],
            "contract_end": pa.array(ends, pa.timestamp("us", "UTC")),
            "visits": rng.poisson(3, CUSTOMERS).astype(float),
        }
    )
    owners = rng.integers(0, CUSTOMERS, DECISIONS)
    actions = rng.choice(list(ACTION_MODELS), DECISIONS)
    log_odds = (ages[owners] - 60) / 15 + np.where(actions == "fibre", 1.0, -0.5) - 1.0
    responds = rng.random(DECISIONS) < 1 / (1 + np.exp(-log_odds))
    times = [START + timedelta(minutes=20 * i) for i in range(DECISIONS)]
    decision_ids = np.array([f"d{i}" for i in range(DECISIONS)])
    decisions = pa.table(
        {
            "decision_id": decision_ids,
            "customer_id": [f"c{i}" for i in owners],
            "decided_at": pa.array(times, pa.timestamp("us", "UTC")),
            "channel": rng.choice(["web", "email"], DECISIONS),
            "action": actions,
            "page": rng.choice(["home", "cart"], DECISIONS),
        }
    )
    kinds = np.where(actions == "call_back", "accept", "click")
    outcomes = pa.table(
        {
            "decision_id": np.concatenate(
                [decision_ids, decision_ids[responds], decision_ids[responds][::3]]
            ),
            "action": np.concatenate([actions, actions[responds], actions[responds][::3]]),
            "outcome": np.concatenate(
                [
                    np.full(DECISIONS, "impression"),
                    kinds[responds],
                    np.full(len(kinds[responds][::3]), "convert"),
                ]
            ),
        }
    )
    for name, table in (("customers", customers), ("decisions", decisions), ("outcomes", outcomes)):
        pq.write_table(table, folder / f"{name}.parquet")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small world: its declarations and its data. Not to be changed."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "features.yaml").write_text(FEATURES)
    (folder / "models.yaml").write_text(MODELS)
    write_history(folder)
    return folder


@pytest.fixture(scope="session")
def schema(world: Path) -> FeatureSchema:
    return FeatureSchema.load(world / "features.yaml")


@pytest.fixture(scope="session")
def specs(world: Path, schema: FeatureSchema) -> dict[str, ModelSpec]:
    return load_specs(world / "models.yaml", schema)


@pytest.fixture(scope="session")
def history(world: Path, schema: FeatureSchema) -> History:
    return History(world, schema)


@pytest.fixture(scope="session")
def action_models() -> dict[str, str]:
    return ACTION_MODELS


@pytest.fixture(scope="session")
def reports(world: Path, schema: FeatureSchema, specs: dict[str, ModelSpec]) -> list[TrainingReport]:
    """The models of the small world, trained once."""
    return train_workspace(specs, schema, ACTION_MODELS, world, Registry(world / "models"), seed=1).responses


@pytest.fixture(scope="session")
def trained(world: Path, reports: list[TrainingReport]) -> Registry:
    """The registry with the trained models. Not to be changed."""
    return Registry(world / "models")


@pytest.fixture
def registry(trained: Registry, tmp_path: Path) -> Registry:
    """A copy of the registry that a test may spoil."""
    shutil.copytree(trained.folder, tmp_path / "models")
    for path in (tmp_path / "models").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Registry(tmp_path / "models")


@pytest.fixture
def data(world: Path, tmp_path: Path) -> Path:
    """A copy of the data tables that a test may spoil."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in world.glob("*.parquet"):
        shutil.copy(path, folder)
    return folder
