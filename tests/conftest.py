"""Fixtures for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from feature_store.embedded import EmbeddedStore


@pytest.fixture(scope="session")
def embedded_store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded store that all tests share: use ids of your own."""
    folder: Path = tmp_path_factory.mktemp("store")
    with EmbeddedStore(folder) as server:
        yield server.url
