"""The service's clock."""

import time

import pytest

from service import clock


def test_it_is_that_of_the_machine() -> None:
    assert abs(clock.now() - time.time()) < 1.0


def test_it_follows_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_source", time.time)  # as it was, afterwards
    clock.follow(lambda: 42.0)
    assert clock.now() == 42.0
