"""Whether what a model was trained on still means the same in the live feature schema."""

from collections.abc import Iterator

from feature_store.documents import did_you_mean
from feature_store.schema import Feature, FeatureSchema


def mismatches(trained: FeatureSchema, live: FeatureSchema) -> list[str]:
    """Why a model of the `trained` schema can't read rows of the `live` one; empty if it can.

    Levels may be added behind the known ones and members to a set: the codes and columns that the model
    reads keep their meaning, and what it has never seen stays unseen.
    """
    if trained.fingerprint == live.fingerprint:
        return []
    known = {feature.name: feature for feature in live.features}
    reasons = []
    for feature in trained.features:
        if feature.name not in known:
            hint = did_you_mean(feature.name, known)
            reasons.append(f"it reads the feature '{feature.name}', which is not in features.yaml{hint}")
        else:
            reasons.extend(
                f"feature '{feature.name}': {why}" for why in _changes(feature, known[feature.name])
            )
    return reasons


def _changes(trained: Feature, live: Feature) -> Iterator[str]:
    if trained.type is not live.type:
        yield f"it was a {trained.type} in training and is a {live.type} now"
        return
    if trained.source is not live.source:
        yield f"it came from {trained.source} in training and comes from {live.source} now"
    if trained.aggregate != live.aggregate:
        yield "what it aggregates has changed since the training"
    if live.levels[: len(trained.levels)] != trained.levels:
        yield (
            f"its levels were {_listed(trained.levels)} in training and are {_listed(live.levels)} now "
            "(new ones may only be added at the end)"
        )
    gone = [member for member in trained.members if member not in live.members]
    if gone:
        yield f"its members {_listed(gone)} of training are gone"


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return "[" + ", ".join(names) + "]"
