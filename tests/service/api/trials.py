"""Versions of models whose propensities are constants: an answer shows which of them has scored it."""

import math
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np

from models.calibration import Platt
from models.package import GoldenRows, StagedModel
from models.registry import Registry
from service.workspace.loading import Workspace, load_workspace

RATES = (0.125, 0.375, 0.625)
"""Far from one another."""


def constant_versions(world: Workspace, folder: Path, model: str) -> dict[str, float]:
    """A copy of the world in `folder`, in which a model has a version for each of the rates, with the
    propensity that it gives to everything, the oldest first, which is the champion."""
    shutil.copytree(world.folder, folder)
    registry = Registry(folder / "models")
    schema = load_workspace(folder).schema
    trained = registry.load(model, schema)
    content = (registry.folder / model / trained.version / "model.txt").read_bytes()
    with np.load(registry.folder / model / trained.version / "golden.npz") as golden:
        rows = golden["rows"]
    versions = {}
    for number, rate in enumerate(RATES, start=1):
        calibration = Platt(slope=0.0, intercept=math.log(rate / (1.0 - rate)))
        at = trained.manifest.created_at + timedelta(seconds=number)
        manifest = trained.manifest.model_copy(update={"calibration": calibration, "created_at": at})
        scores = calibration.apply(np.zeros(len(rows)))
        staged = StagedModel.of(manifest, content, GoldenRows(rows, scores))
        versions[registry.publish(staged)] = float(scores[0])
    registry.promote(model, next(iter(versions)))
    return versions
