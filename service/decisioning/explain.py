"""Why each candidate was or was not chosen: read off the decision itself, so it is exact and has no side
effects."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from feature_store.consents import UNKNOWN
from feature_store.feature import Source, iso_timestamp
from service.decisioning.batch import Batch
from service.decisioning.consent import STATES
from service.decisioning.pipeline import Decisions
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import STILL_IN, Removal, Stage


@dataclass(frozen=True, slots=True)
class Candidate:
    """One action of the catalogue in one decision: `stage`, `rule` and `meaning` say what took it out (None
    when it was chosen); the factors are None where the candidate was out before they were computed. A rule of
    the workspace has its `source`, and the values that it `observed`, None for what was missing."""

    issue: str
    group: str
    action: str
    stage: Stage | None
    rule: str | None
    meaning: str | None
    source: str | None
    observed: dict[str, object] | None
    propensity: float | None
    context_weight: float | None
    value: float
    lever: float
    priority: float | None


def explain(snapshot: Snapshot, decisions: Decisions, row: int, *, everything: bool) -> list[Candidate]:
    """The candidates of one request, the highest priority first; those without one follow in catalogue order.

    With `everything` False only the candidates that reached arbitration.
    """
    priority = decisions.factors.priority[row]
    order = np.argsort(np.where(np.isnan(priority), np.inf, -priority), kind="stable")
    candidates = (_candidate(snapshot, decisions, row, int(action)) for action in order)
    return [candidate for candidate in candidates if everything or _arbitrated(candidate)]


def _arbitrated(candidate: Candidate) -> bool:
    return candidate.stage in (None, Stage.SLATE)


def _candidate(snapshot: Snapshot, decisions: Decisions, row: int, index: int) -> Candidate:
    action = snapshot.catalogue.actions[index]
    code = int(decisions.removed_by[row, index])
    removal = None if code == STILL_IN else snapshot.removals[code]
    scored = not np.isnan(decisions.factors.propensity[row, index])
    return Candidate(
        issue=action.issue,
        group=action.group,
        action=action.name,
        stage=removal.stage if removal else None,
        rule=removal.rule if removal else None,
        meaning=removal.meaning if removal else None,
        source=removal.source if removal else None,
        observed=_observed(snapshot, decisions, row, removal) if removal else None,
        propensity=float(decisions.factors.propensity[row, index]) if scored else None,
        context_weight=float(decisions.factors.context_weight[row, index]) if scored else None,
        value=float(decisions.factors.value[row, index]),
        lever=float(decisions.factors.lever[row, index]),
        priority=float(decisions.factors.priority[row, index]) if scored else None,
    )


def _observed(
    snapshot: Snapshot, decisions: Decisions, row: int, removal: Removal
) -> dict[str, object] | None:
    """What a rule of the workspace found, by the names that it has in the rule."""
    if removal.purpose is not None:
        return _observed_consent(snapshot, decisions, row, removal.purpose)
    if removal.source is None:
        return None
    found = _values(snapshot, decisions.batch, row, removal.features)
    if removal.reads_now:
        found["now"] = iso_timestamp(float(decisions.batch.now[row]))
    return found


def _values(snapshot: Snapshot, batch: Batch, row: int, names: Iterable[str]) -> dict[str, object]:
    schema = snapshot.schema
    found: dict[str, object] = {}
    for name in names:
        feature = schema.feature(name)
        owner = "context" if feature.source is Source.CONTEXT else "customer"
        found[f"{owner}.{name}"] = feature.decode(batch.X[row, schema.slice(name)].tolist())
    return found


def _observed_consent(snapshot: Snapshot, decisions: Decisions, row: int, name: str) -> dict[str, object]:
    """The consent of one request in its channel, and what it was taken from where nothing is stored."""
    batch, channel = decisions.batch, int(decisions.batch.channel[row])
    position = [purpose.name for purpose in snapshot.purposes].index(name)
    stored = UNKNOWN if batch.consents is None else int(batch.consents[row, position, channel])
    found: dict[str, object] = {f"consent.{name}.{snapshot.catalogue.channels[channel].name}": STATES[stored]}
    sources = snapshot.purposes[position].imported
    imported = sources[channel] if sources else None
    if stored == UNKNOWN and imported is not None:
        found |= _values(snapshot, batch, row, imported.features)
    return found
