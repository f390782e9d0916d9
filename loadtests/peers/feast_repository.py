"""Feast's repository: the customer's features, defined and put into its online store.

python -m loadtests.peers.feast_repository FOLDER, in Feast's environment
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float64
from feast.value_type import ValueType
from redis import Redis

from loadtests.peers.work import Work, key, load_work, parsed, store_url

VIEW, CHUNK = "customer", 5_000


def field_names(work: Work) -> dict[str, str]:
    """A name that Feast allows for each stored feature."""
    return {name: name.replace("=", "_is_") for name in work.stored}


def write_configuration(folder: Path) -> None:
    """The repository's `feature_store.yaml`, with the online store in Redis."""
    folder.mkdir(parents=True, exist_ok=True)
    store = urlsplit(store_url()).netloc
    (folder / "feature_store.yaml").write_text(
        f"project: peers\nprovider: local\nregistry: {folder / 'registry.db'}\n"
        f'online_store: {{type: redis, connection_string: "{store}"}}\n'
        "entity_key_serialization_version: 3\n"
    )


def customers(work: Work) -> pd.DataFrame:
    """Every customer whom the peers' store knows."""
    prefix, fields = key(""), field_names(work)
    rows = []
    with Redis.from_url(store_url()) as redis:
        keys = sorted(name.decode() for name in redis.scan_iter(f"{prefix}*", count=10_000))
        for start in range(0, len(keys), CHUNK):
            part = keys[start : start + CHUNK]
            for name, stored in zip(part, redis.mget(part), strict=True):
                known = parsed(stored)
                values = {field: known.get(feature) for feature, field in fields.items()}
                rows.append({"customer_id": name.removeprefix(prefix), **values})
    frame = pd.DataFrame(rows).astype(dict.fromkeys(fields.values(), "float64"))
    return frame.assign(at=datetime.now(UTC))


def main(folder: Path) -> None:
    """Define the features and write them to the online store."""
    work = load_work()
    write_configuration(folder)
    frame = customers(work)
    source = folder / "customers.parquet"
    frame.to_parquet(source)
    entity = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name=VIEW,
        entities=[entity],
        schema=[Field(name=field, dtype=Float64) for field in field_names(work).values()],
        source=FileSource(path=str(source), timestamp_field="at"),
        online=True,
    )
    store = FeatureStore(repo_path=str(folder))
    store.apply([entity, view])
    for start in range(0, len(frame), CHUNK):
        store.write_to_online_store(VIEW, df=frame.iloc[start : start + CHUNK])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
