"""Writes Telvara's demo data: customers.parquet, decisions.parquet and outcomes.parquet, and for models of
customers, churn.parquet, lifetime_value.parquet, leads.parquet and intents.parquet.

python demo.py OUT [--customers N] [--seed S]
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from feature_store.progress import Progress, silent
from feature_store.schema import FeatureSchema
from service.world.history import Recorder, Visits
from service.world.living import LivingWorld
from service.world.offers import Offers
from service.world.tables import (
    OUTCOMES,
    TableWriter,
    customers_schema,
    customers_table,
    decisions_schema,
    numbered,
)

WORKSPACE = Path(__file__).resolve().parent
if str(WORKSPACE) not in sys.path:  # the generator lies beside this file, wherever it is loaded from
    sys.path.insert(0, str(WORKSPACE))

from telco_demo.labels import write_labels  # noqa: E402
from telco_demo.population import draw_population  # noqa: E402
from telco_demo.response import Responses, reaction  # noqa: E402
from telco_demo.visits import coming_visits, draw_visits  # noqa: E402

SHOWN_PER_CUSTOMER = 15
VISITS_AT_A_TIME = 50_000


def write_demo(
    folder: Path,
    *,
    customers: int = 20_000,
    seed: int = 7,
    progress: Progress = silent,
    now: float | None = None,
) -> None:
    """Write a population and its logged history of the last 90 days into `folder`.

    `now` is in epoch seconds (default: the present). The same arguments write equal tables.

    Raises:
        ValueError: fewer than one customer.
    """
    if customers < 1:
        raise ValueError(f"there must be at least 1 customer, not {customers}")
    moment = np.floor(time.time() if now is None else now)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    schema = FeatureSchema.load(WORKSPACE / "features.yaml")
    offers = Offers.load(WORKSPACE)

    progress("customers", 0, customers)
    population = draw_population(rng, schema, customers, moment)
    ids = numbered("c", np.arange(customers))
    table = customers_table(population.customers.X, schema, ids, numbered("a", population.account))
    with TableWriter(folder / "customers.parquet", customers_schema(schema)) as file:
        file.write(table)
    progress("customers", customers, customers)

    responses = Responses(schema, offers)
    recorder = Recorder(schema, offers, responses.probability, reaction, responses.preference)
    shown = SHOWN_PER_CUSTOMER * customers
    visits = draw_visits(rng, population.customers, offers.placements, shown, moment)
    write_labels(folder, np.random.default_rng([seed, 1]), population.customers, ids, visits, moment)
    done = 0
    progress("visits", done, len(visits))
    with (
        TableWriter(folder / "decisions.parquet", decisions_schema(schema)) as decision_file,
        TableWriter(folder / "outcomes.parquet", OUTCOMES) as outcome_file,
    ):
        for block in visits.blocks(VISITS_AT_A_TIME):
            decisions, outcomes = recorder.record(rng, population.customers.X, ids, block)
            decision_file.write(decisions)
            outcome_file.write(outcomes)
            done += len(block)
            progress("visits", done, len(visits))


def imagine(*, customers: int = 20_000, seed: int = 7, now: float | None = None) -> LivingWorld:
    """The population that `write_demo` writes with the same arguments, and how it goes on to live."""
    moment = np.floor(time.time() if now is None else now)
    schema = FeatureSchema.load(WORKSPACE / "features.yaml")
    offers = Offers.load(WORKSPACE)
    population = draw_population(np.random.default_rng(seed), schema, customers, moment)
    people = population.customers

    def coming(rng: np.random.Generator, count: int, midnight: float, days: int) -> Visits:
        return coming_visits(rng, people, offers.placements, count, midnight, days)

    return LivingWorld(
        schema=schema,
        offers=offers,
        X=people.X,
        customer_ids=tuple(f"c{number}" for number in range(customers)),
        households=population.account,
        response=Responses(schema, offers).probability,
        reactions=reaction,
        coming=coming,
        newcomer="tablet_bundle",
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the demo data of the telco workspace.")
    parser.add_argument("out", type=Path, help="folder for the Parquet files")
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.customers < 1:
        parser.error("--customers must be at least 1")

    def show(what: str, done: int, total: int | None) -> None:
        sys.stderr.write(f"{what}: {done:,} of {total:,}\n")

    write_demo(arguments.out, customers=arguments.customers, seed=arguments.seed, progress=show)


if __name__ == "__main__":
    main()
