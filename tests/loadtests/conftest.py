from collections.abc import Iterator
from pathlib import Path

import pytest

from feature_store.embedded import EmbeddedStore
from models.training import Growth
from models.workshop import train_workspace
from service.workspace.loading import load_workspace
from service.world import write_world


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world with every kind of policy and trained models."""
    folder = tmp_path_factory.mktemp("worlds") / "world"
    write_world(folder, actions=12, customers=300, features=30, models=2, decisions=6_000, policies=True)
    workspace = load_workspace(folder)
    train_workspace(
        workspace.specs,
        workspace.schema,
        workspace.action_models,
        folder,
        workspace.registry,
        growth=Growth(trees=5, leaves=8),
    )
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(tmp_path / "store") as running:
        yield running
