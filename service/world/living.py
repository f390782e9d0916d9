"""A world that goes on: people who come by, and what they would do if they were offered something."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from feature_store.schema import FeatureSchema
from service.world.history import Floats, Indices, Reactions, Response, Visits
from service.world.offers import Offers

Coming = Callable[[np.random.Generator, int, float, int], Visits]
"""About so many visits of the days from a midnight (epoch seconds, UTC) on."""


@dataclass(frozen=True)
class LivingWorld:
    """A workspace's population with its truth, as the `imagine` of its demo.py makes it.

    X is (customers, schema.width), `households` (customers,) numbers who belongs together. `newcomer` is the
    action that a simulation holds back until its third day.
    """

    schema: FeatureSchema
    offers: Offers
    X: Floats
    customer_ids: tuple[str, ...]
    households: Indices
    response: Response
    reactions: Reactions
    coming: Coming
    newcomer: str
