"""The telco workspace, its generator, and a small population with its history."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_store.columns import columns_from_arrow
from feature_store.schema import FeatureSchema, Source

TELCO = Path(__file__).parents[2] / "examples" / "telco"
NOW = 1_790_000_000.0  # 21 September 2026


@pytest.fixture(scope="session")
def telco() -> Path:
    """The workspace."""
    return TELCO


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    """Its demo.py."""
    spec = importlib.util.spec_from_file_location("telco_generator", TELCO / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Demo:
    """What demo.py wrote; `people` reads features by name."""

    now: float
    customers: pa.Table
    decisions: pa.Table
    outcomes: pa.Table
    schema: FeatureSchema
    people: Any

    @property
    def size(self) -> int:
        """How many customers there are."""
        return self.customers.num_rows

    def seconds(self, table: str, column: str) -> Any:
        """A timestamp column as epoch seconds."""
        return getattr(self, table)[column].cast(pa.int64()).to_numpy() / 1e6

    def texts(self, table: str, column: str) -> Any:
        """A text column as a numpy array."""
        return np.array(getattr(self, table)[column].to_pylist())


@pytest.fixture(scope="session")
def demo(generator: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A small population with its history, as of NOW."""
    folder = tmp_path_factory.mktemp("telco")
    generator.write_demo(folder, customers=4_000, seed=7, now=NOW)
    tables = [pq.read_table(folder / f"{name}.parquet") for name in ("customers", "decisions", "outcomes")]
    schema = FeatureSchema.load(TELCO / "features.yaml")
    X, errors = columns_from_arrow(tables[0], schema, [Source.PROFILE, Source.BEHAVIOUR])
    assert not errors
    frame = importlib.import_module("telco_demo.frame").Frame(schema, X)
    customers, decisions, outcomes = tables
    return Demo(NOW, customers, decisions, outcomes, schema, frame)
