"""The customers whom the load asks about."""

import os
from pathlib import Path
from random import Random

import pyarrow.parquet as pq

from loadtests.popularity import Popularity
from loadtests.scenarios.moments import Json

CUSTOMERS = "ARBITER_LOADTEST_CUSTOMERS"  # the environment variable that names the population's Parquet file
UNKNOWN_SHARE = 0.05
ANONYMOUS_SHARE = 0.10


class People:
    """The population of the store, some whom it has never seen, and visitors without a name."""

    def __init__(self, customer_ids: list[str]) -> None:
        self._ids = customer_ids
        self._popularity = Popularity(len(customer_ids))

    @classmethod
    def load(cls) -> "People":
        """The population in the file that `ARBITER_LOADTEST_CUSTOMERS` names."""
        file = os.environ.get(CUSTOMERS)
        if not file or not Path(file).is_file():
            raise SystemExit(
                f"{CUSTOMERS} has to name the customers.parquet that the service has, not {file!r}. "
                "`make loadtest` does it all."
            )
        return cls(
            [str(name) for name in pq.read_table(file, columns=["customer_id"])["customer_id"].to_pylist()]
        )

    def known(self, random: Random) -> str:
        """A customer whom the store has."""
        return self._ids[self._popularity.draw(random)]

    def customer(self, random: Random) -> str:
        """A customer, now and then one whom the store has never seen."""
        if random.random() < UNKNOWN_SHARE:
            return f"unknown-{random.randrange(1_000_000)}"
        return self.known(random)

    def visitor(self, random: Random) -> Json:
        """Whoever opens a page: signed in or not."""
        if random.random() < ANONYMOUS_SHARE:
            return {"anonymous_id": f"visitor-{random.randrange(100_000)}"}
        return {"customer_id": self.customer(random)}
