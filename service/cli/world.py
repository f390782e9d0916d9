"""`arbiter world`: a synthetic workspace whose true response probabilities are known."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.console import ProgressDisplay, fail, out
from service.cli.errors import explained
from service.cli.options import Seed
from service.world.synthetic import write_world

MODELS = 10


def world(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write.", show_default=False)],
    actions: Annotated[int, typer.Option(help="How many actions.")] = 50,
    customers: Annotated[int, typer.Option(help="How many customers.")] = 20_000,
    features: Annotated[int, typer.Option(help="How many features.")] = 64,
    models: Annotated[
        int | None,
        typer.Option(help="How many models.", show_default=f"{MODELS}, but no more than actions"),
    ] = None,
    decisions: Annotated[int, typer.Option(help="How many requests the logged history has.")] = 150_000,
    policies: Annotated[
        bool,
        typer.Option("--policies", help="Rules, contact policies, exploration and so on, too."),
    ] = False,
    seed: Seed = 0,
) -> None:
    """Write a synthetic workspace with customers and a logged history."""
    models = min(MODELS, actions) if models is None else models
    with explained(), ProgressDisplay() as display:
        try:
            write_world(
                folder,
                actions=actions,
                customers=customers,
                features=features,
                models=models,
                decisions=decisions,
                policies=policies,
                seed=seed,
                progress=display.update,
            )
        except ValueError as error:
            fail(str(error))
    out.print(
        f"{folder}: {actions:,} actions, {customers:,} customers, {features:,} features, {models:,} models"
    )
    out.print(f"Next: arbiter run {folder}")
