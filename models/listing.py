"""All versions of all models of a registry, what each of them is for, and how good it was."""

from collections.abc import Iterator
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from models.metrics import LevelMetrics, Metrics, NumberMetrics
from models.promotions import How
from models.registry import Registry

MEASURED = ("auc", "log_loss", "ece")


class Role(StrEnum):
    """What a version is for."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"


class ListedVersion(BaseModel):
    """One version. `share` is of the customers for whom it decides. `since` and `how` say when it last became
    champion, or since when it is tried out. Metrics are of what it was not trained on, None where that kind
    of model has none."""

    model_config = ConfigDict(frozen=True)

    model: str
    version: str
    role: Role | None
    share: float
    since: AwareDatetime | None
    how: How | None
    auc: float | None = None
    log_loss: float | None = None
    ece: float | None = None


def listed(registry: Registry) -> list[ListedVersion]:
    """The models by name, the versions of each with the newest first.

    Raises:
        ModelError: a file of the registry is damaged.
    """
    return [found for name in registry.names() for found in _versions(registry, name)]


def _versions(registry: Registry, name: str) -> Iterator[ListedVersion]:
    promotions = {promotion.version: promotion for promotion in registry.promotions(name)}
    champion, tried = registry.serving(name), registry.trials().of(name)
    others = sum(trial.share for version, trial in tried.items() if version != champion)
    for version in reversed(registry.versions(name)):
        promotion, trial = promotions.get(version), tried.get(version)
        role, share = None, 0.0
        if version == champion:
            role, share, trial = Role.CHAMPION, 1.0 - others, None
        elif trial is not None:
            role, share = Role.CHALLENGER if trial.parts else Role.SHADOW, trial.share
        yield ListedVersion(
            model=name,
            version=version,
            role=role,
            share=share,
            since=trial.since if trial else promotion.at if promotion else None,
            how=promotion.how if promotion and not trial else None,
            **_measured(registry.manifest(name, version).metrics),
        )


def _measured(metrics: Metrics | NumberMetrics | LevelMetrics) -> dict[str, float]:
    return {name: getattr(metrics, name) for name in MEASURED if hasattr(metrics, name)}
