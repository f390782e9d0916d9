"""What shadows would have said of what was offered, beside who has decided."""

from collections.abc import Sequence

import numpy as np

from service.decisioning.pipeline import Decisions
from service.decisioning.shadows import Shadow
from service.observability import metrics


def shadowed(
    shadows: Sequence[Shadow], decisions: Decisions, rows: Sequence[int], actions: Sequence[int]
) -> list[dict[str, float]]:
    """The propensities of k offered actions, each a row of a batch and an action, by the versions of those
    shadows that have scored it; empty where there are no shadows.

    They score all the candidates that their champions have scored, and what they say is counted.
    """
    said: list[dict[str, float]] = [{} for _ in rows] if shadows else []
    for shadow in shadows:
        predicted = decisions.predicted  # before outcomes have corrected it, as shadows are not corrected
        propensity = shadow.propensities(decisions.batch, predicted)[rows, actions]
        scored = np.flatnonzero(~np.isnan(propensity))
        for place, found in zip(scored.tolist(), propensity[scored].tolist(), strict=True):
            said[place][shadow.model.version] = found
        differences = np.abs(propensity - predicted[rows, actions])[scored]
        labels = shadow.model.name, shadow.model.version
        metrics.SHADOW_DIFFERENCE.labels(*labels).observe_all(differences.tolist())
    return said
