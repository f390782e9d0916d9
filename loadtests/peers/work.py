"""The work that peers do for a request: rules, one prediction for each model, the three best by value.

It runs in the peers' own environments and needs NumPy and LightGBM alone. `export.py` writes what it reads.
"""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

Customer = dict[str, float]
Request = Mapping[str, Any]


class Work:
    """The catalogue and its models, loaded once."""

    def __init__(self, folder: Path) -> None:
        catalogue = json.loads((folder / "catalogue.json").read_text())
        self.features: list[str] = catalogue["features"]
        self.actions: list[dict[str, Any]] = catalogue["actions"]
        self._timestamps: list[str] = catalogue["timestamps"]
        self._context: dict[str, list[str] | None] = catalogue["context"]
        self._models = {
            name: lightgbm.Booster(model_file=str(folder / f"{name}.txt")) for name in catalogue["models"]
        }

    @property
    def stored(self) -> list[str]:
        """The features that are kept of a customer; the others come with the request."""
        return [name for name in self.features if name not in self._context]

    def customer(self, stored: Mapping[str, float], context: Mapping[str, Any]) -> Customer:
        """What is known of the customer and of the moment, as numbers."""
        customer = dict(stored)
        now = time.time()
        for name in self._timestamps:
            if name in customer:
                customer[name] -= now
        for name, levels in self._context.items():
            if name in context:
                customer[name] = levels.index(context[name]) if levels else context[name]
        return customer

    def eligible(self, customer: Customer) -> list[int]:
        """The actions that the customer may have."""
        return [
            index
            for index, action in enumerate(self.actions)
            if all(_holds(condition, customer) for condition in action["conditions"])
        ]

    def decide(self, requests: Sequence[Request], customers: Sequence[Customer]) -> list[dict[str, Any]]:
        """An answer to each request, with one prediction for each model over all of them."""
        known = np.array([[c.get(name, math.nan) for name in self.features] for c in customers])
        rows: dict[str, list[tuple[int, int]]] = {}
        for request, customer in enumerate(customers):
            for index in self.eligible(customer):
                rows.setdefault(self.actions[index]["model"], []).append((request, index))
        scored: list[list[tuple[float, float, int]]] = [[] for _ in requests]
        for model, pairs in rows.items():
            codes = np.array([self.actions[index]["codes"] for _, index in pairs])
            X = np.hstack([known[[request for request, _ in pairs]], codes])
            for (request, index), p in zip(
                pairs, np.asarray(self._models[model].predict(X)).tolist(), strict=True
            ):
                scored[request].append((p * self.actions[index]["value"], p, index))
        return [self.answer(request, found) for request, found in zip(requests, scored, strict=True)]

    def answer(self, request: Request, scored: list[tuple[float, float, int]]) -> dict[str, Any]:
        """Fill the placements with the best of `(priority, propensity, action)`."""
        scored = sorted(scored, reverse=True)
        placements = []
        for placement in request["placements"]:
            limit = placement["limit"]
            best, scored = scored[:limit], scored[limit:]
            offers = [self._offer(rank, *entry) for rank, entry in enumerate(best, 1)]
            placements.append({"id": placement["id"], "actions": offers})
        return {
            "customer_id": request["customer_id"],
            "channel": request["channel"],
            "placements": placements,
        }

    def _offer(self, rank: int, priority: float, propensity: float, index: int) -> dict[str, Any]:
        names = ("issue", "group", "treatment", "value", "content")
        action = self.actions[index]
        said = {name: action[name] for name in names}
        return {
            "rank": rank,
            "action": action["name"],
            "propensity": propensity,
            "priority": priority,
            **said,
        }


def load_work() -> Work:
    """The work of the exported world that the environment names."""
    return Work(Path(os.environ["PEER_WORLD"]))


def store_url() -> str:
    """The store that the environment names."""
    return os.environ["PEER_STORE"]


def key(customer_id: str) -> str:
    """Where the store has the features of a customer, as a JSON object."""
    return f"features:{customer_id}"


def parsed(stored: bytes | str | None) -> dict[str, float]:
    """The features of a customer; none of one whom the store does not know."""
    return json.loads(stored) if stored else {}


def _holds(condition: Mapping[str, Any], customer: Customer) -> bool:
    value = customer.get(condition["column"])
    if value is None:
        return True
    if condition["operator"] == "above":
        return bool(value > condition["value"])
    return bool(value != condition["value"])
