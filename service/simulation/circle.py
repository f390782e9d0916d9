"""What happens every night: the log into files, joined with its outcomes, trained on, judged, and served."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from feature_store.logbook.keeping import drain_log
from feature_store.progress import Progress
from models.errors import TrainingError
from models.logged_history import LogSource
from models.model import CustomerModel
from models.table import Derive
from models.workshop import TrainingReport, train_workspace
from service.simulation.client import Client
from service.simulation.draft import Draft
from service.simulation.errors import SimulationError
from service.workspace.loading import Workspace, load_workspace

WRITTEN_WITHIN = 60.0
"""Seconds within which a service has handed its decisions to the store."""


class Night(NamedTuple):
    """What came of a night after a day, from 0: the models that were trained, or why none was."""

    day: int
    trained: tuple[TrainingReport, ...]
    failed: str | None = None


def set_up_models(draft: Draft, data: Path, progress: Progress) -> None:
    """Train the models of customers, which derived features need; none of responses is there yet."""
    workspace = load_workspace(draft.folder)
    train_workspace(
        workspace.specs,
        workspace.schema,
        {},
        data,
        workspace.registry,
        progress=progress,
        derivations=workspace.derivations,
    )


@dataclass
class Circle:
    """Simulated services log at a time ahead of the machine's: `now` is theirs, in epoch seconds."""

    draft: Draft
    log: Path
    store_url: str
    client: Client
    written: int = 0

    def turn(self, day: int, decided: int, now: float, seed: int, progress: Progress) -> Night:
        """Once around: what serves afterwards are the champions that the gate has let pass."""
        self.keep_log(decided)
        self.draft.declare_models()
        workspace = load_workspace(self.draft.folder)
        try:
            reports = train_workspace(
                workspace.specs,
                workspace.schema,
                workspace.action_models,
                None,
                workspace.registry,
                log=LogSource(self.log, workspace.label_rules, now),
                progress=progress,
                seed=seed,
                derivations=_AsTheyServe(workspace),
            ).responses
        except TrainingError as error:
            return Night(day, (), str(error))
        if any(report.promoted for report in reports):
            self.client.reload()
        return Night(day, tuple(reports))

    def keep_log(self, decided: int) -> None:
        """Have the log's consumer write all that was decided, and what came of it.

        Raises:
            SimulationError: some of the decisions do not come.
        """
        deadline = time.monotonic() + WRITTEN_WITHIN
        while True:
            consumer = asyncio.run(drain_log(self.store_url, self.log))
            self.written += consumer.written["decisions"]
            if self.written >= decided:
                return
            if time.monotonic() > deadline:
                raise SimulationError(f"{self.log}: {self.written:,} of {decided:,} decisions were logged")
            time.sleep(0.2)


@dataclass(frozen=True)
class _AsTheyServe:
    """Derived features by the champions that the workspace has: they are not trained again every night."""

    workspace: Workspace
    models: Sequence[str] = ()

    def derive(self, models: Mapping[str, CustomerModel]) -> Derive:
        derivations, registry = self.workspace.derivations, self.workspace.registry
        found = registry.preload_customer_models(derivations.models, self.workspace.schema)
        return derivations.derive(found)
