"""`arbiter evaluate`: what a workspace would have been worth on decisions that others have logged."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from feature_store.feature import iso_timestamp
from models.evaluation.bootstrap import Interval
from models.evaluation.value import Evaluation
from models.evaluation.value import evaluate as estimated
from service.cli.console import ProgressDisplay, out, table
from service.cli.demo import find_data
from service.cli.errors import explained
from service.cli.labels import seconds
from service.cli.options import Seed, Workspace, period
from service.runtime.evaluation import choices
from service.runtime.logged import Reward, read_logged
from service.settings import Settings
from service.workspace.loading import compile_snapshot, load_workspace

MEANINGS: Mapping[str, str] = {
    "ips": "weighted",
    "snips": "normalised",
    "direct": "model alone",
    "dr": "model and weights",
    "switch_dr": "small weights",
}
"""Of each estimator."""


def evaluate(
    workspace: Workspace,
    log: Annotated[
        Path | None,
        typer.Option(
            help="A folder with the log, or with customers, decisions and outcomes (Parquet).",
            show_default="the tables of the workspace, or its demo data",
        ),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Decisions from then on (UTC).", show_default="all")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Decisions before then (UTC).", show_default="all")
    ] = None,
    reward: Annotated[
        Literal["value", "response"],
        typer.Option(help="The values that came, or 1 where a positive outcome of the action's model came."),
    ] = "value",
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what logged decisions would have been worth, had this workspace made them: estimated from the
    choices that were made, by the probabilities that they were made with. Contact histories, consents,
    promises, used volume and experiments are left out."""
    now = time.time()
    bounds = (now, *period(seconds(since, -inf), min(seconds(until, inf), now)))
    with explained():
        draft = load_workspace(workspace)
        models = draft.load_models(draft.registry)
        snapshot = compile_snapshot(draft, models)
        with ProgressDisplay() as display:
            folder = log or find_data(workspace, Settings().data, display.update, display.announce)
            wanted = Reward(draft.acceptance_rules, responses=reward == "response")
            logged = read_logged(folder, draft.schema, wanted, *bounds)
            found = estimated(choices(snapshot, logged, seed=seed, progress=display.update), seed=seed)
    learnt = max(
        (model.manifest.data.last_decision.timestamp() for model in models.responses.values()), default=0.0
    )
    known = float(np.mean(logged.now <= learnt))
    if known:
        said = (
            f"{known:.0%} of the decisions are not after those that the models have learnt from (until "
            f"{iso_timestamp(int(learnt))}): the workspace profits from luck that it knows; use --since"
        )
        found = replace(found, warnings=(said, *found.warnings))
    found = replace(found, warnings=(*logged.remarks, *found.warnings))
    if as_json:
        out.print(json.dumps({"reward": reward, **asdict(found)}, indent=2))
    else:
        _show(found, reward)


def _show(found: Evaluation, reward: str) -> None:
    out.print(
        f"{found.choices:,} logged offers to {found.customers:,} customers; {reward} of an offer as logged: "
        f"{_interval(found.logged)}"
    )
    table(
        f"\n{reward} of an offer, had this workspace decided (95 % intervals)",
        ("by", "value", "gain", "in all"),
        [
            (
                f"{name}: {MEANINGS[name]}",
                _interval(found.values[name]),
                _interval(gain, sign="+"),
                f"{gain.value * found.choices:+,.1f}",
            )
            for name, gain in found.gains.items()
        ],
    )
    out.print(
        f"\nThe log says as much as {found.effective:,.0f} offers of equal weight "
        f"({found.effective / found.choices:.0%}); switch-DR leaves weights "
        f"over {found.switch:,.1f} to the model."
    )
    for warning in found.warnings:
        out.print(f"Beware: {warning}.")


def _interval(interval: Interval, sign: str = "") -> str:
    value, low, high = (f"{number:{sign},.4f}" for number in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"
