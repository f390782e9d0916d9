"""`arbiter world`: a synthetic workspace of any size whose true response probabilities are known."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_store.progress import Progress, silent
from feature_store.schema import FeatureSchema
from service.world.history import Reaction, Recorder, Visits
from service.world.layout import synthetic_offers, write_workspace
from service.world.nature import draw_truth
from service.world.people import CONTEXT, DAY, EPOCH, People, synthetic_features
from service.world.policies import EXPERIMENTS, synthetic_policies
from service.world.tables import (
    CELLS,
    OUTCOMES,
    TableWriter,
    customers_schema,
    customers_table,
    decisions_schema,
    numbered,
)

Floats = NDArray[np.float64]

MAX_CHUNK = 5_000
SAMPLE = 1_000
"""Customers on whom the truth is scaled."""
HISTORY_DAYS = 90.0
VISIT_SHARES = {
    ("web", "home_hero"): 0.3,
    ("web", "home_tiles"): 0.3,
    ("web", "cart_banner"): 0.2,
    ("web", "account_tile"): 0.1,
    ("email", "newsletter"): 0.1,
}


def write_world(
    folder: Path,
    *,
    actions: int = 50,
    customers: int = 20_000,
    features: int = 64,
    models: int = 10,
    decisions: int = 150_000,
    policies: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Write a synthetic workspace with its population, its logged history and its truth into `folder`.

    `decisions` counts requests: one that fills several ranks has several rows. The logging policy is
    uniformly random. With `policies` the workspace has rules, consent, contact policies, a volume limit,
    exploration and experiments, too: see `service.world.policies`; its tables are the same.

    The same arguments write the same YAML, byte for byte, and equal tables.

    Raises:
        ValueError: sizes that make no world.
        FileExistsError: `folder` holds something already.
    """
    _check(actions, customers, features, models, decisions)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: choose a new folder for the world")
    folder.mkdir(parents=True, exist_ok=True)
    progress("catalogue and truth", 0, 1)
    rng = np.random.default_rng([seed, 0])
    schema = synthetic_features(rng, features)
    offers = synthetic_offers(rng, actions, models)
    people = People(rng, schema)
    sample = people.draw(rng, SAMPLE)
    _add_context(rng, schema, sample, np.ones(SAMPLE, bool))
    names = [action.name for action in offers.actions]
    truth = draw_truth(rng, schema, names, [i % models for i in range(actions)], sample)
    priors = np.round(truth.probabilities(sample).mean(axis=0), 4)
    offers = offers.with_propensities(priors)
    rules = synthetic_policies(np.random.default_rng([seed, 2]), schema, offers, sample) if policies else {}
    write_workspace(folder, schema, offers, rules, EXPERIMENTS if policies else {})
    truth.save(folder)
    progress("catalogue and truth", 1, 1)
    recorder = Recorder(schema, offers, lambda X, _, chosen: truth.probability(X, None, chosen), _reaction)
    _write_tables(folder, people, recorder, customers, decisions, seed, progress)


def _check(actions: int, customers: int, features: int, models: int, decisions: int) -> None:
    least = len(CONTEXT) + 1
    if actions < 1:
        raise ValueError(f"a world needs at least 1 action, not {actions}")
    if customers < 1:
        raise ValueError(f"a world needs at least 1 customer, not {customers}")
    if features < least:
        named = ", ".join(feature.name for feature in CONTEXT)
        raise ValueError(
            f"a world needs at least {least} features, not {features}: {named} and one of the customer's"
        )
    if not 1 <= models <= actions:
        raise ValueError(f"models must be from 1 to the number of actions ({actions}), not {models}")
    if decisions < 0:
        raise ValueError(f"decisions can't be negative ({decisions})")


def _write_tables(
    folder: Path,
    people: People,
    recorder: Recorder,
    customers: int,
    decisions: int,
    seed: int,
    progress: Progress,
) -> None:
    schema = recorder.schema
    with (
        TableWriter(folder / "customers.parquet", customers_schema(schema)) as customer_file,
        TableWriter(folder / "decisions.parquet", decisions_schema(schema)) as decision_file,
        TableWriter(folder / "outcomes.parquet", OUTCOMES) as outcome_file,
    ):
        progress("customers and their history", 0, customers)
        for start, stop in _chunks(customers, schema.width):
            rng = np.random.default_rng([seed, 1, start])
            X = people.draw(rng, stop - start)
            ids = numbered("c", np.arange(start, stop))
            accounts = numbered("a", np.arange(start, stop) // 2)
            customer_file.write(customers_table(X, schema, ids, accounts))
            first, last = decisions * start // customers, decisions * stop // customers
            visits = _draw_visits(rng, recorder, len(X), first, last)
            shown, outcomes = recorder.record(rng, X, ids, visits)
            decision_file.write(shown)
            outcome_file.write(outcomes)
            progress("customers and their history", stop, customers)


def _chunks(customers: int, width: int) -> Iterator[tuple[int, int]]:
    size = max(1, min(MAX_CHUNK, CELLS // width))
    for start in range(0, customers, size):
        yield start, min(start + size, customers)


def _draw_visits(rng: np.random.Generator, recorder: Recorder, people: int, first: int, last: int) -> Visits:
    """Visits with the numbers from `first` to `last` of customers of whom a few come often."""
    n = last - first
    keen = rng.lognormal(0.0, 1.0, people)
    placements = recorder.offers.placements
    shares = np.array([VISIT_SHARES[placement.channel, placement.name] for placement in placements])
    placement = rng.choice(len(placements), n, p=shares / shares.sum())
    context = np.full((n, recorder.context_schema.width), np.nan)
    web = np.array([entry.channel == "web" for entry in placements])[placement]
    _add_context(rng, recorder.context_schema, context, web)
    return Visits(
        number=np.arange(first, last),
        customer=rng.choice(people, n, p=keen / keen.sum()),
        at=np.sort(np.rint(EPOCH - DAY * rng.uniform(0, HISTORY_DAYS, n))),
        placement=placement,
        context=context,
    )


def _add_context(rng: np.random.Generator, schema: FeatureSchema, X: Floats, web: NDArray[np.bool_]) -> None:
    """Fill the context columns of X for visits to the site; other channels have no context."""
    n = len(X)
    page = rng.choice(5, n, p=[0.35, 0.2, 0.25, 0.1, 0.1]).astype(np.float64)
    device = rng.choice(3, n, p=[0.4, 0.52, 0.08]).astype(np.float64)
    full = rng.random(n) < np.where(page == 3, 0.95, 0.2)
    cart = np.where(full, np.round(np.exp(rng.normal(3.8, 0.9, n)), 2), 0.0)
    for name, values in (("page", page), ("device", device), ("cart_value", cart)):
        X[:, schema.slice(name)] = np.where(web, values, np.nan)[:, None]


def _reaction(channel: str, model: str | None) -> Reaction:
    """Even models count clicks, odd ones accepted offers."""
    if int(str(model).removeprefix("model_")) % 2 == 0:
        return Reaction(final="convert", clicks=1.0, finals=0.3)
    return Reaction(final="accept", clicks=2.5, refusal="reject")
