"""The e-mail that moves a customer most, by the model of uplift, in this process."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from examples.hillstrom.trial import ARMS, Trial
from feature_store.schema import FeatureSchema
from models.manifest import Manifest
from models.scorers import LightGBMScorer
from models.spec import load_specs
from models.table import History
from models.training import train

WORKSPACE = Path(__file__).resolve().parent
MODEL = "visit_uplift"
NO_EMAIL = ARMS.index("no_email")
WORTH_SENDING = 0.001
"""Of visits for each e-mail: whom none of them moves so far gets none."""


def by_uplift(learn: Trial, decide: Trial, seed: int) -> NDArray[np.intp]:
    """The arm for each customer of `decide` (n), an index into `ARMS`, as learnt from `learn`."""
    gains, _ = uplifts(learn, decide, seed)
    best = gains.argmax(axis=1)
    return np.where(gains.max(axis=1) >= WORTH_SENDING, best, NO_EMAIL)


def uplifts(learn: Trial, decide: Trial, seed: int) -> tuple[NDArray[np.float64], Manifest]:
    """How much likelier each arm makes a visit of each customer of `decide`, n x arms, 0 for no e-mail; and
    what the model says of itself. What the customers of `decide` got and did is not read."""
    schema = FeatureSchema.load(WORKSPACE / "features.yaml")
    spec = load_specs(WORKSPACE / "models.yaml", schema)[MODEL]
    with tempfile.TemporaryDirectory(prefix="arbiter-hillstrom-") as folder:
        learn.write_history(Path(folder))
        staged = train(History(Path(folder), schema).table(spec, ARMS), spec, seed=seed)
        decide.write_history(Path(folder))
        asked = History(Path(folder), schema).table(spec, ARMS)
    scorer, manifest = LightGBMScorer(staged.model), staged.manifest
    gains = np.zeros((len(decide), len(ARMS)))
    for arm, name in enumerate(ARMS):
        if arm != NO_EMAIL:
            rows = asked.rows.copy()
            rows[:, -2] = manifest.actions.index(name)
            gains[:, arm] = manifest.calibration.apply(scorer.margins(rows))
    return gains, manifest
