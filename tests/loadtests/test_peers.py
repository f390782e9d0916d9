"""Peers do the same work: the same customers, the same rules, the same models."""

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from lightgbm import Booster
from redis.asyncio import Redis

from feature_store.columns import columns_from_arrow
from feature_store.embedded import EmbeddedStore
from feature_store.schema import Source
from loadtests.peers import environments, usual
from loadtests.peers.command import HEADER, Result
from loadtests.peers.export import export_world, load_features
from loadtests.peers.fleet import PEERS, Peer, Place
from loadtests.peers.work import Work, key, parsed
from service.decisioning.batch import Batch
from service.decisioning.pipeline import decide
from service.decisioning.stages import Stage
from service.workspace.loading import load_workspace

RULED = {Stage.ELIGIBILITY, Stage.APPLICABILITY, Stage.SUITABILITY}
CUSTOMERS = 40
CONTEXT = {"page": "cart", "device": "phone", "cart_value": 80.0}


@pytest.fixture
def answers(world: Path, store: EmbeddedStore, tmp_path: Path) -> list[usual.DecisionResponse]:
    """What the usual way says to each customer, when it is asked for everything."""
    export_world(world, tmp_path / "peer")
    load_features(world, store.url)

    async def ask() -> list[usual.DecisionResponse]:
        async with Redis.from_url(store.url) as redis:
            decider = usual.Decider(tmp_path / "peer", redis)
            place = usual.Placement(id="home_tiles", limit=100)
            return [
                await decider.decide(
                    usual.DecisionRequest(
                        customer_id=f"c{i}", channel="web", placements=[place], context=CONTEXT
                    )
                )
                for i in range(CUSTOMERS)
            ]

    return asyncio.run(ask())


def test_the_usual_way_offers_what_our_rules_leave_by_what_our_models_say(
    world: Path, answers: list[usual.DecisionResponse]
) -> None:
    workspace = load_workspace(world)
    snapshot, schema = workspace.snapshot(), workspace.schema
    table = pq.read_table(world / "customers.parquet").slice(0, CUSTOMERS)
    X, _ = columns_from_arrow(table, schema, [Source.PROFILE, Source.BEHAVIOUR])
    for name, value in CONTEXT.items():
        X[:, schema.slice(name)] = schema.feature(name).encode(value)
    n, catalogue = len(X), snapshot.catalogue
    decided = decide(
        snapshot,
        Batch(
            X=X,
            now=np.full(n, time.time()),
            channel=np.full(n, catalogue.channel_index["web"], np.intp),
            limits=np.ones((n, len(catalogue.slots)), np.int32),
            scored=np.ones(n, np.bool_),
        ),
    )
    ruled_out = [code for code, found in enumerate(snapshot.removals) if found and found.stage in RULED]
    left = ~np.isin(decided.removed_by, ruled_out)
    assert 0 < left.sum() < left.size
    for row, answer in enumerate(answers):
        offers = answer.placements[0].actions
        expected = {catalogue.actions[action].name for action in np.flatnonzero(left[row])}
        assert {offer.action for offer in offers} == expected
        priorities = [offer.priority for offer in offers]
        assert priorities == sorted(priorities, reverse=True)
    assert len({answer.placements[0].actions[0].action for answer in answers}) > 1


def test_the_usual_way_predicts_what_the_model_does(
    world: Path, answers: list[usual.DecisionResponse]
) -> None:
    workspace = load_workspace(world)
    schema, names = workspace.schema, workspace.action_models
    table = pq.read_table(world / "customers.parquet").slice(0, CUSTOMERS)
    X, _ = columns_from_arrow(table, schema, [Source.PROFILE, Source.BEHAVIOUR])
    for name, value in CONTEXT.items():
        X[:, schema.slice(name)] = schema.feature(name).encode(value)
    models = workspace.registry.preload(names.values(), schema)
    for row, answer in enumerate(answers):
        offer = answer.placements[0].actions[0]
        model = models[names[offer.action]]
        codes = (model.action_codes[offer.action], model.channel_codes["web"])
        rows = model.bind(schema).rows(
            X, np.array([row]), np.array([time.time()]), *(np.array([float(code)]) for code in codes)
        )
        raw = (workspace.registry.folder / model.name / model.version / "model.txt").read_text()
        expected = Booster(model_str=raw).predict(rows)
        np.testing.assert_allclose(offer.propensity, expected[0], rtol=1e-9)


def test_the_other_peers_offer_what_the_usual_way_does(
    store: EmbeddedStore, answers: list[usual.DecisionResponse], tmp_path: Path
) -> None:
    work = Work(tmp_path / "peer")
    placement = {"id": "home_tiles", "limit": 100}
    requests: list[dict[str, Any]] = [
        {"customer_id": f"c{i}", "channel": "web", "placements": [placement], "context": CONTEXT}
        for i in range(CUSTOMERS)
    ]

    async def read() -> list[dict[str, float]]:
        async with Redis.from_url(store.url) as redis:
            stored = await redis.mget([key(request["customer_id"]) for request in requests])
            return [work.customer(parsed(text), CONTEXT) for text in stored]

    for answer, usually in zip(work.decide(requests, asyncio.run(read())), answers, strict=True):
        [placed] = answer["placements"]
        expected = usually.placements[0].actions
        assert [offer["action"] for offer in placed["actions"]] == [offer.action for offer in expected]
        np.testing.assert_allclose(
            [offer["priority"] for offer in placed["actions"]], [offer.priority for offer in expected]
        )


def test_a_peer_that_does_not_install_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    (tmp_path / "nothing.txt").write_text("--no-index\nno-such-peer==1.0\n")
    with pytest.raises(environments.NotInstalled, match="no-such-peer"):
        environments.environment("nothing", tmp_path / "home")
    failure = Result("nothing", failure="nothing does not install")
    assert failure.row[1] == "not measured: nothing does not install"
    assert len(failure.row) == len(HEADER)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_peer_has_pinned_requirements_and_a_command(peer: Peer, tmp_path: Path) -> None:
    lines = (environments.REQUIREMENTS / f"{peer.environment}.txt").read_text().splitlines()
    assert lines
    assert all("==" in line for line in lines)
    words = peer.command(Place(tmp_path / "env", tmp_path, tmp_path, "redis://127.0.0.1:1", 1234))
    assert "1234" in words or "settings.json" in peer.settings(1234)
