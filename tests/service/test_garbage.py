"""When nobody looks for garbage."""

import gc
from collections.abc import Iterator

import pytest

from service.garbage import kept, uncollected


@pytest.fixture
def _looked_at_again() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_no_garbage_is_looked_for_meanwhile_and_then_as_before() -> None:
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.usefixtures("_looked_at_again")
def test_nobody_looks_at_what_is_kept_when_garbage_is_looked_for_again() -> None:
    with kept():
        many: list[list[int]] = [[] for _ in range(10_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(many)
    assert gc.get_count()[0] < len(many)
