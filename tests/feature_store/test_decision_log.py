"""The log of decisions: an entry comes back as it was written, and the stream keeps no more than it may."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
import pytest
import redis

from feature_store.client import StoreUnavailable, connect
from feature_store.decision_log import DECISION_LOG, VERSION, DecisionEntry, DecisionLog, Empty, Picks

X = np.array([[1.5, np.nan], [0.0, -2.0]], np.float32)


def entry(decision_id: str = "d1") -> DecisionEntry:
    return DecisionEntry(
        software="1.0",
        snapshot="s",
        catalogue="c",
        features="f",
        models={"sales": "20260101T000000Z-1"},
        decided_at=[1_767_225_600.5, 1_767_225_600.75],
        columns=("age", "page"),
        X=X.tobytes(),
        decision_id=[decision_id, "d2"],
        customer_id=["c1", "anonymous:a1"],
        account_id=["acme", None],
        channel=["web", "web"],
        arm=["holdout.control", "next_best_action"],
        experiments=[{"holdout": "control"}, {}],
        mode=["full", "degraded"],
        degraded=[(), ("features:timeout",)],
        known=[True, False],
        actions={"fibre_500": ("sales", "internet")},
        picks=Picks(
            decision=[1],
            placement=["home_hero"],
            rank=[1],
            action=["fibre_500"],
            treatment=["fibre_500_hero"],
            propensity=[0.083],
            context_weight=[1.0],
            value=[120.0],
            lever=[1.55],
            priority=[15.4],
            selection_probability=[0.93],
        ),
        empty=Empty(decision=[0], placement=["home_hero"], reason=["control_group"]),
    )


def run(url: str, scenario: Callable[[DecisionLog], Awaitable[None]], length: int = 1000) -> None:
    async def whole() -> None:
        log = DecisionLog(connect(url, timeout=30), length)
        try:
            await scenario(log)
        finally:
            await log.close()

    asyncio.run(whole())


def test_an_entry_comes_back_as_it_was_packed() -> None:
    found = DecisionEntry.unpack(entry().pack())
    assert found == entry()
    np.testing.assert_array_equal(found.matrix, X)


def test_an_entry_of_version_3_has_one_moment_for_all_of_its_decisions() -> None:
    old = DecisionEntry.unpack(msgspec.structs.replace(entry(), version=3, decided_at=1_767_225_600.5).pack())
    assert old.times.tolist() == [1_767_225_600.5] * 2
    assert entry().times.tolist() == [1_767_225_600.5, 1_767_225_600.75]


def test_an_entry_of_a_later_version_is_refused_by_its_number() -> None:
    later = msgspec.msgpack.encode(msgspec.structs.replace(entry(), version=VERSION + 1))
    with pytest.raises(ValueError, match=f"version {VERSION + 1}"):
        DecisionEntry.unpack(later)


def test_entries_are_written_in_their_order(embedded_store_url: str) -> None:
    server = redis.Redis.from_url(embedded_store_url)
    server.delete(DECISION_LOG)

    async def scenario(log: DecisionLog) -> None:
        await log.write([entry("first").pack(), entry("second").pack()], {})

    run(embedded_store_url, scenario)
    stream: Any = server.xrange(DECISION_LOG)
    found = [DecisionEntry.unpack(fields[b"decisions"]) for _, fields in stream]
    assert [one.decision_id[0] for one in found] == ["first", "second"]


def test_the_stream_keeps_about_as_many_entries_as_it_may(embedded_store_url: str) -> None:
    server = redis.Redis.from_url(embedded_store_url)
    server.delete(DECISION_LOG)

    async def scenario(log: DecisionLog) -> None:
        for _ in range(10):
            await log.write([b"x"] * 100, {})

    run(embedded_store_url, scenario, length=150)
    kept: Any = server.xlen(DECISION_LOG)
    assert 150 <= kept < 400


def test_a_store_that_is_away_says_so() -> None:
    async def scenario(log: DecisionLog) -> None:
        with pytest.raises(StoreUnavailable):
            await log.write([entry().pack()], {})

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        run(f"redis://127.0.0.1:{taken.getsockname()[1]}", scenario)
