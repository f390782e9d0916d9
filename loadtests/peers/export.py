"""A world as plain data for services that know nothing of this project.

In the folder: `catalogue.json` and one LightGBM text file per model. In the store: one JSON document per
customer under `features:{customer_id}`, its values already numbers, as models read them.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml
from redis.asyncio import Redis

from feature_store.columns import columns_from_arrow
from feature_store.schema import FeatureSchema, FeatureType, Source
from models.model import PropensityModel
from models.registry import Registry
from service.world.policies import STAGES

CATALOGUE = "catalogue.json"
CHANNEL = "web"
CHUNK = 5_000

_SHAPES = {
    "above": re.compile(r"!has\(customer\.(\w+)\) \|\| customer\.\1 > (\S+)"),
    "not_equal": re.compile(r'!has\(customer\.(\w+)\) \|\| customer\.\1 != "(\w+)"'),
    "lacks": re.compile(r'!has\(customer\.(\w+)\) \|\| !\("(\w+)" in customer\.\1\)'),
}


def export_world(world: Path, folder: Path) -> None:
    """Write the catalogue and the champion models of a world of ours into a folder."""
    folder.mkdir(parents=True)
    schema = FeatureSchema.load(world / "features.yaml")
    registry = Registry(world / "models")
    models = registry.preload(registry.names(), schema)
    for name, model in models.items():
        trees = registry.folder / name / model.manifest.version / "model.txt"
        (folder / f"{name}.txt").write_bytes(trees.read_bytes())
    context = {feature.name: list(feature.levels) or None for feature in schema.by_source(Source.CONTEXT)}
    catalogue = {
        "features": list(schema.columns),
        "timestamps": [f.name for f in schema.features if f.type is FeatureType.TIMESTAMP],
        "context": context,
        "models": list(models),
        "actions": list(_actions(world, schema, models)),
    }
    (folder / CATALOGUE).write_text(json.dumps(catalogue, indent=1))


def _actions(
    world: Path, schema: FeatureSchema, models: Mapping[str, PropensityModel]
) -> Iterator[dict[str, Any]]:
    rules = yaml.safe_load((world / "policies.yaml").read_text())
    conditions: dict[str, list[dict[str, Any]]] = {}
    for stage in STAGES:
        for rule in rules.get(stage, []):
            conditions.setdefault(rule["action"], []).append(_condition(rule["when"], schema))
    for path in sorted((world / "actions").glob("*.yaml")):
        issue = yaml.safe_load(path.read_text())
        for group_name, group in issue["groups"].items():
            for name, action in group["actions"].items():
                treatment = f"{name}_{CHANNEL}"
                model = models[action["model"]]
                yield {
                    "name": name,
                    "issue": issue["issue"],
                    "group": group_name,
                    "value": action["value"],
                    "model": action["model"],
                    "codes": [model.action_codes[name], model.channel_codes[CHANNEL]],
                    "treatment": treatment,
                    "content": action["treatments"][treatment]["content"],
                    "conditions": conditions.get(name, []),
                }


def _condition(expression: str, schema: FeatureSchema) -> dict[str, Any]:
    """A rule of a synthetic world as column, operator and number; who has no value fulfils it."""
    for operator, shape in _SHAPES.items():
        found = shape.fullmatch(expression)
        if found is None:
            continue
        name, value = found.groups()
        feature = schema.feature(name)
        if operator == "above":
            return {"column": name, "operator": operator, "value": float(value)}
        if operator == "not_equal":
            return {"column": name, "operator": operator, "value": float(feature.levels.index(value))}
        column = schema.columns[schema.slice(name)][feature.members.index(value)]
        return {"column": column, "operator": "not_equal", "value": 1.0}
    raise ValueError(f"no peer can read the rule {expression}")


def load_features(world: Path, redis_url: str) -> None:
    """Put the customers of a world into a store, as peers read them."""
    asyncio.run(_load(world, redis_url))


async def _load(world: Path, redis_url: str) -> None:
    schema = FeatureSchema.load(world / "features.yaml")
    stored = (Source.PROFILE, Source.BEHAVIOUR)
    columns = np.concatenate(
        [np.arange(schema.width)[schema.slice(f.name)] for source in stored for f in schema.by_source(source)]
    )
    names = [schema.columns[column] for column in columns]
    async with Redis.from_url(redis_url) as redis:
        for batch in pq.ParquetFile(world / "customers.parquet").iter_batches(CHUNK):
            X, _ = columns_from_arrow(batch, schema, stored)
            values = {
                f"features:{id_}": json.dumps(
                    {name: value for name, value in zip(names, row, strict=True) if value == value}
                )
                for id_, row in zip(batch["customer_id"].to_pylist(), X[:, columns].tolist(), strict=True)
            }
            await redis.mset(values)
