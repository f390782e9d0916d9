"""What follows outcomes, by what models.yaml says of each model and the versions that serve."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.spec import ModelSpec
from service.decisioning.adaptation import NOWHERE, Adaptation
from service.decisioning.catalogue import Action, Catalogue
from service.decisioning.draws import key_of
from service.decisioning.scoring import BoundModel


def compile_adaptation(
    catalogue: Catalogue,
    specs: Mapping[str, ModelSpec],
    models: Sequence[BoundModel],
    priors: NDArray[np.float64],
) -> Adaptation | None:
    """For the actions whose models adapt; None where no one does. `priors` (A) are the propensities of
    actions of which models have seen nothing."""
    adapts = [specs[action.model].adapts if action.model else None for action in catalogue.actions]
    if not any(adapts):
        return None
    versions = [_version(action, place, models, priors) for place, action in enumerate(catalogue.actions)]
    cells = [
        [
            NOWHERE
            if how is None
            else key_of("\0".join((channel.name, action.name, version, repr(how.half_life))))
            for action, version, how in zip(catalogue.actions, versions, adapts, strict=True)
        ]
        for channel in catalogue.channels
    ]
    together = [
        (channel.name, action.issue, action.group, action.model)
        for channel in catalogue.channels
        for action in catalogue.actions
    ]
    numbers = {group: number for number, group in enumerate(dict.fromkeys(together))}
    seen = np.any([model.actions for model in models], axis=0) if models else np.zeros(len(adapts), np.bool_)
    shape = len(catalogue.channels), len(catalogue.actions)
    return Adaptation(
        cells=np.array(cells, np.uint64).reshape(shape),
        groups=np.array([numbers[group] for group in together], np.intp).reshape(shape),
        half_life=np.array([1.0 if how is None else how.half_life for how in adapts]),
        prior=np.array([1.0 if how is None else how.prior for how in adapts]),
        delay=np.array([0.0 if how is None else how.delay for how in adapts]),
        unseen=np.where(seen | ~np.isnan(catalogue.priors), np.nan, priors),
    )


def _version(action: Action, place: int, models: Sequence[BoundModel], priors: NDArray[np.float64]) -> str:
    """What predicts the responses to an action: the version of a model, or the same number for everybody."""
    for model in models:
        if model.actions[place]:
            return f"{model.name} {model.version}"
    return f"{action.model} {float(priors[place])!r}"
