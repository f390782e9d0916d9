"""Fixtures for all tests."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from feature_store.embedded import EmbeddedStore

# What is tested are laws, not the speed of the machine that tests them. In CI the same cases every time.
settings.register_profile(
    "arbiter",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("arbiter")

# What a shell starts in the background ignores Ctrl-C, and so would all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: what a test waits for, another one computes meanwhile."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def embedded_store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded store that all tests share: use ids of your own."""
    folder: Path = tmp_path_factory.mktemp("store")
    with EmbeddedStore(folder) as server:
        yield server.url
