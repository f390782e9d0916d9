"""The MineThatData e-mail trial: 64,000 customers, three arms by lot, and what they did then.

Kevin Hillstrom's published data. Each customer got an e-mail about men's merchandise, one about women's, or
none, with a probability of one third each, whoever they were.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

ARMS = ("mens_email", "womens_email", "no_email")
ARM_NAMES = {"Mens E-Mail": 0, "Womens E-Mail": 1, "No E-Mail": 2}
PROPENSITY = 1 / 3
METRICS = ("visit", "conversion", "spend")
ZIP_CODES = {"Surburban": "suburban"}  # the file's own spelling
WHEN = np.datetime64("2008-03-20T12:00:00", "us")  # the file is of that month; no feature depends on the day


class TrialMissing(Exception):
    """The trial's file is not there; the message says where it was looked for."""


@dataclass(frozen=True)
class Trial:
    """The trial as columns over n customers.

    `customers` are the columns of customers.parquet; `arm` (n) is what each got, an index into `ARMS`;
    `outcomes` has a column (n) for each of `METRICS`: 0 or 1 for visit and conversion, USD for spend.
    """

    customers: pa.Table
    arm: NDArray[np.intp]
    outcomes: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.arm)

    def customer_ids(self) -> list[str]:
        """Their ids (n)."""
        return [str(name) for name in self.customers["customer_id"].to_pylist()]

    def take(self, rows: NDArray[np.intp]) -> "Trial":
        """Some of the customers."""
        outcomes = {name: values[rows] for name, values in self.outcomes.items()}
        return Trial(self.customers.take(rows), self.arm[rows], outcomes)

    def halves(self, seed: int) -> tuple["Trial", "Trial"]:
        """The customers in two halves by lot: one to learn from, one to decide for."""
        order = np.random.default_rng(seed).permutation(len(self))
        middle = len(self) // 2
        return self.take(np.sort(order[:middle])), self.take(np.sort(order[middle:]))

    def write_history(self, folder: Path) -> None:
        """Write the three tables that models are trained on: who they are, what they got, what they did."""
        self.write_customers(folder / "customers.parquet")
        n = len(self)
        ids = self.customers["customer_id"]
        actions = np.array(ARMS)[self.arm]
        always = {"channel": "email", "placement": "mailing", "issue": "marketing", "group": "mailing"}
        decisions = {
            "decision_id": ids,
            "customer_id": ids,
            "decided_at": pa.array(np.full(n, WHEN), pa.timestamp("us", "UTC")),
            **{name: pa.array([value] * n) for name, value in always.items()},
            "action": pa.array(actions),
            "treatment": pa.array([f"{action}_mailing" for action in actions]),
            "rank": pa.array(np.ones(n, np.int64)),
            "propensity": pa.nulls(n, pa.float64()),
            "selection_probability": pa.array(np.full(n, PROPENSITY)),
        }
        pq.write_table(pa.table(decisions), folder / "decisions.parquet")
        visited = np.flatnonzero(self.outcomes["visit"])
        clicks = {
            "decision_id": ids.take(visited),
            "action": pa.array(actions[visited]),
            "outcome": pa.array(["click"] * len(visited)),
            "occurred_at": pa.array(np.full(len(visited), WHEN), pa.timestamp("us", "UTC")),
            "value": pa.nulls(len(visited), pa.float64()),
        }
        pq.write_table(pa.table(clicks), folder / "outcomes.parquet")

    def write_customers(self, path: Path) -> None:
        """Write who they are, without what they got or did."""
        pq.write_table(self.customers, path)


def find_file() -> Path:
    """The trial's file in ARBITER_DATA_DIR. Raises `TrialMissing` where it is not."""
    folder = Path(os.environ.get("ARBITER_DATA_DIR", "../shared/data"))
    file = folder / "hillstrom" / "hillstrom.csv.gz"
    if not file.is_file():
        raise TrialMissing(
            f"{file} is not there. It is Hillstrom's MineThatData e-mail trial, as gzipped CSV with the "
            "columns recency, history, mens, womens, zip_code, newbie, channel, segment, visit, conversion "
            "and spend. ARBITER_DATA_DIR names the folder that holds hillstrom/hillstrom.csv.gz."
        )
    return file


def read_trial(file: Path) -> Trial:
    """Read the trial's file."""
    raw = pyarrow.csv.read_csv(file)
    zip_codes = [ZIP_CODES.get(str(name), str(name).lower()) for name in raw["zip_code"].to_pylist()]
    flags = {name: raw[name].cast(pa.bool_()) for name in ("mens", "womens", "newbie")}
    customers = {
        "customer_id": pa.array([f"h{row:05d}" for row in range(len(raw))]),
        "recency": raw["recency"].cast(pa.float64()),
        "history": raw["history"].cast(pa.float64()),
        **flags,
        "zip_code": pa.array(zip_codes),
        "purchase_channel": pc.utf8_lower(raw["channel"]),
    }
    return Trial(
        pa.table(customers),
        np.array([ARM_NAMES[str(name)] for name in raw["segment"].to_pylist()], np.intp),
        {name: raw[name].to_numpy().astype(np.float64) for name in METRICS},
    )
