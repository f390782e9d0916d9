"""`arbiter import-model`: a model that was made elsewhere becomes a champion."""

from pathlib import Path
from typing import Annotated

import typer

from models.deriving import Derive
from models.kinds import KINDS
from models.workshop import import_model as register
from service.cli.console import ProgressDisplay, fail
from service.cli.demo import find_data
from service.cli.errors import explained
from service.cli.options import Seed, Workspace
from service.cli.train import show_responses
from service.settings import Settings
from service.workspace.loading import Workspace as LoadedWorkspace
from service.workspace.loading import load_workspace

SUFFIXES = {Path(kind.file).suffix: name for name, kind in KINDS.items()}


def import_model(
    workspace: Workspace,
    name: Annotated[str, typer.Argument(help="The model's name in models.yaml.", show_default=False)],
    file: Annotated[
        Path,
        typer.Argument(
            help="The model: .onnx, .json (a scorecard) or .txt (LightGBM's trees).", show_default=False
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder with customers.parquet, decisions.parquet and outcomes.parquet.",
            show_default="those of the workspace, or its demo data",
        ),
    ] = None,
    as_it_is: Annotated[
        bool, typer.Option("--as-it-is", help="Keep its probabilities; do not calibrate them.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Register a model from elsewhere, calibrated and measured on logged decisions, as the champion."""
    with explained():
        if file.suffix not in SUFFIXES:
            fail(f"{file}: a model's file ends in {', '.join(SUFFIXES)}")
        checked, content = load_workspace(workspace), file.read_bytes()
        with ProgressDisplay() as display:
            tables = data or find_data(workspace, Settings().data, display.update, display.announce)
            display.update("Measuring the model", 0, None)
            report = register(
                name,
                SUFFIXES[file.suffix],
                content,
                checked.specs,
                checked.schema,
                checked.action_models,
                tables,
                checked.registry,
                calibrated=not as_it_is,
                seed=seed,
                derive=_derive(checked),
            )
        show_responses([report])


def _derive(workspace: LoadedWorkspace) -> Derive:
    """Derived features by the champions that are there."""
    wanted = workspace.derivations.models
    return workspace.derivations.derive(workspace.registry.preload_customer_models(wanted, workspace.schema))
