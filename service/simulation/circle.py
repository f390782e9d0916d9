"""What happens every night: the log into files, joined with its outcomes, trained on, judged, and served."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb

from feature_store.logbook.keeping import drain_log
from feature_store.logbook.reading import open_log
from feature_store.logbook.tables import OUTCOMES
from feature_store.progress import Progress
from models.deriving import Derive
from models.errors import TrainingError
from models.label_rules import LabelRules
from models.logged_history import LogSource
from models.model import CustomerModel
from models.workshop import TrainingReport, train_workspace
from service.simulation.client import Client
from service.simulation.errors import SimulationError
from service.workspace.loading import Workspace

WRITTEN_WITHIN = 60.0
"""Seconds within which a service has handed its decisions to the store."""


class Night(NamedTuple):
    """What came of a night after a day, from 0: the models that were trained, those that have too little to
    learn from yet, and what went wrong."""

    day: int
    trained: tuple[TrainingReport, ...]
    waiting: tuple[str, ...]
    failed: str | None = None


def train_customer_models(workspace: Workspace, data: Path, progress: Progress) -> None:
    """Train the models that derived features need; none of responses is there yet."""
    train_workspace(
        workspace.specs,
        workspace.schema,
        {},
        data,
        workspace.registry,
        progress=progress,
        derivations=workspace.derivations,
    )


def keep_log(store_url: str, log: Path, decided: int) -> None:
    """Have the log's consumer write what has come, until so many decisions more are in its files.

    Raises:
        SimulationError: they do not come.
    """
    deadline = time.monotonic() + WRITTEN_WITHIN
    written = 0
    while True:
        consumer = asyncio.run(drain_log(store_url, log))
        written += consumer.written["decisions"]
        if written >= decided:
            return
        if time.monotonic() > deadline:
            raise SimulationError(f"{log}: only {written:,} of {decided:,} decisions were logged")
        time.sleep(0.2)


@dataclass(frozen=True)
class Circle:
    """What goes round: the log of a service, and the models of the workspace that it serves. A model is
    trained when there are `least_responses` to learn from."""

    workspace: Workspace
    rules: LabelRules
    log: Path
    client: Client
    least_responses: int

    def turn(self, day: int, now: float, seed: int, progress: Progress) -> Night:
        """Once around, by the simulation's time `now`, in epoch seconds: what serves afterwards are the
        champions that the gate has let pass."""
        models = self.workspace.action_models
        enough = self._enough()
        waiting = tuple(sorted(set(models.values()) - enough))
        if not enough:
            return Night(day, (), waiting)
        try:
            reports = train_workspace(
                self.workspace.specs,
                self.workspace.schema,
                {action: model for action, model in models.items() if model in enough},
                None,
                self.workspace.registry,
                log=LogSource(self.log, self.rules, now),
                progress=progress,
                seed=seed,
                derivations=_AsTheyServe(self.workspace),
                priors=self.workspace.declared_priors,
            ).responses
        except TrainingError as error:
            return Night(day, (), waiting, str(error))
        if any(report.promoted for report in reports):
            self.client.reload()
        return Night(day, tuple(reports), waiting)

    def _enough(self) -> set[str]:
        """The models that have something to learn from."""
        with open_log(self.log) as reader, duckdb.connect() as connection:
            relation = reader.relation(OUTCOMES)
            came = connection.execute(
                f"SELECT action, outcome, count(DISTINCT outcome_id) FROM {relation} GROUP BY ALL"
            ).fetchall()
        responses: Counter[str] = Counter()
        for action, outcome, count in came:
            model = self.rules.actions.get(action)
            if model and outcome in self.rules.families[model]:
                responses[model] += count
        return {model for model, count in responses.items() if count >= self.least_responses}


@dataclass(frozen=True)
class _AsTheyServe:
    """Derived features by the champions that there are: they are not trained again every night."""

    workspace: Workspace
    models: Sequence[str] = ()

    def derive(self, models: Mapping[str, CustomerModel]) -> Derive:
        derivations = self.workspace.derivations
        found = self.workspace.registry.preload_customer_models(derivations.models, self.workspace.schema)
        return derivations.derive(found)
