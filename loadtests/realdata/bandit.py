"""Open Bandit: a shop's recommendations, logged by lot and by Bernoulli Thompson sampling (BTS), with the
probabilities that each choice was made with. Saito et al., Open Bandit Dataset and Pipeline (2020)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtests.realdata.folder import read
from models.evaluation.logged import LoggedChoices

CAMPAIGNS = ("all", "men", "women")


@dataclass(frozen=True)
class BanditLog:
    """n logged choices of an item for a position (codes from 0), their `propensity`, and their `clicks`."""

    item: NDArray[np.intp]
    position: NDArray[np.intp]
    propensity: NDArray[np.float64]
    clicks: NDArray[np.float64]

    def policy(self, items: int) -> NDArray[np.float64]:
        """The policy that has logged this, items x positions: how likely it was to choose each, as it says
        itself. BTS takes no context into account, and what it learnt meanwhile is averaged: the harmonic mean
        of logged probabilities, as likelier choices are logged more often. What was never chosen has none."""
        shape = items, int(self.position.max()) + 1
        count, inverse = np.zeros(shape), np.zeros(shape)
        np.add.at(count, (self.item, self.position), 1.0)
        np.add.at(inverse, (self.item, self.position), 1.0 / self.propensity)
        mean = np.divide(count, inverse, out=np.zeros(shape), where=inverse > 0)
        found: NDArray[np.float64] = mean / mean.sum(axis=0)
        return found

    def under(self, policy: NDArray[np.float64]) -> LoggedChoices:
        """The log as a policy (items x positions) sees it."""
        return LoggedChoices.single(self.clicks, policy[self.item, self.position] / self.propensity)


def read_log(live: str, campaign: str) -> BanditLog:
    """What the policy `random` or `bts` has logged for a campaign. Raises `DataMissing`."""
    raw = read(f"open_bandit/{live}/{campaign}/{campaign}.csv.gz")
    columns = {name: raw[name].to_numpy() for name in ("item_id", "position", "propensity_score", "click")}
    return BanditLog(
        item=columns["item_id"].astype(np.intp),
        position=columns["position"].astype(np.intp) - 1,
        propensity=columns["propensity_score"].astype(np.float64),
        clicks=columns["click"].astype(np.float64),
    )


def bts_by_lot(campaign: str) -> tuple[LoggedChoices, BanditLog]:
    """The log by lot as BTS sees it, and what BTS has logged itself. Raises `DataMissing`."""
    by_lot, live = read_log("random", campaign), read_log("bts", campaign)
    items = int(max(by_lot.item.max(), live.item.max())) + 1
    return by_lot.under(live.policy(items)), live
