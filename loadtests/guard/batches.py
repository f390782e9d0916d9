"""Batches that are always the same, with everything that a service would have read for them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from feature_store.columns import columns_from_arrow
from feature_store.schema import Source
from loadtests.bench.contacts import draw_histories
from service.decisioning.batch import Batch
from service.decisioning.snapshot import Snapshot
from service.decisioning.touches import Touches
from service.decisioning.volumes import UNLIMITED
from service.world.offers import Offers

NOW = 1_790_000_000.0
SLOT, ACTIONS = ("web", "home_tiles"), 3


def fixed_batches(world: Path, snapshot: Snapshot, size: int) -> Iterator[Batch]:
    """Requests about the customers of a synthetic world, so many in a batch, without end."""
    catalogue, schema = snapshot.catalogue, snapshot.schema
    rng, offers = np.random.default_rng(size), Offers.load(world)
    X, _ = columns_from_arrow(
        pq.read_table(world / "customers.parquet"), schema, [Source.PROFILE, Source.BEHAVIOUR]
    )
    X = np.where(np.isnan(X), np.broadcast_to(schema.defaults, X.shape), X)
    limits = np.zeros((size, len(catalogue.slots)), np.int32)
    limits[:, catalogue.slot_index[SLOT]] = ACTIONS
    while True:
        records, counts = draw_histories(offers, rng, size, NOW)
        yield Batch(
            X=X[rng.integers(0, len(X), size)],
            now=np.full(size, NOW),
            channel=np.full(size, catalogue.channel_index[SLOT[0]], np.intp),
            limits=limits,
            scored=np.ones(size, np.bool_),
            consents=rng.choice(
                np.array([-1, 0, 1], np.int8), (size, len(snapshot.purposes), len(catalogue.channels))
            ),
            seeds=rng.integers(0, 2**63, size, np.uint64),
            units=rng.integers(0, 2**63, size, np.uint64),
            touches=Touches(
                records,
                np.repeat(np.arange(size), counts),
                np.full(len(records), np.inf),
                np.full(size, -np.inf),
            ),
            budgets=np.full((size, len(snapshot.volumes)), UNLIMITED, np.int32),
        )
