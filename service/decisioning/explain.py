"""Why each candidate was or was not chosen: read off the decision itself, so it is exact and has no side
effects.

An explanation is made of columns, like the decision: the steps that Python takes for a candidate are those of
writing it down.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_store.consents import UNKNOWN
from feature_store.feature import Source, iso_timestamp
from service.decisioning.arbitration import Factors
from service.decisioning.barriers import ContactCost
from service.decisioning.batch import Batch
from service.decisioning.consent import STATES
from service.decisioning.counterfactuals import BreakEven, break_evens
from service.decisioning.odds import Draw, draws
from service.decisioning.pipeline import Decisions
from service.decisioning.reasons import Contribution, contributions, in_words, strongest
from service.decisioning.retracing import Retracing
from service.decisioning.rivals import Rivals
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import BUILT_IN_REMOVALS, DO_NOTHING, Removal, Stage
from service.decisioning.standing import CapView, standing

MOST_CONTRIBUTIONS = 8
"""How many features an explanation names as what moved the model most."""


@dataclass(slots=True)
class Candidate:
    """One action of the catalogue in one decision.

    `stage`, `rule` and `meaning` say what took it out (None when it was chosen); a rule of the workspace has
    its `source`, and the values that it `observed`, None for what was missing; a contact policy its `cap`.
    The factors are None where the candidate was out before they were computed.

    `worth` says what V is made of where it is not simply the value to the business: `business`, `customer`,
    both together as `raw`, before it is scaled, and whether a declared number was `assumed` for one that
    could not be computed. A `mandatory` action comes first.

    Where propensities follow outcomes, `predicted` is what the model says, and `correction` by what that was
    multiplied.

    One that lost has its `break_even`, see `counterfactuals`; None where nothing would have been enough.
    Where choices are left to chance, the likely ones have the `draws` that they took part in, see `odds`.
    Of a chosen action, `contributions` are what its features added to the log-odds of a response, the
    strongest first, and `reasons` the treatment's words for what speaks for it; None for the others.
    """

    issue: str
    group: str
    action: str
    stage: Stage | None
    rule: str | None
    meaning: str | None
    source: str | None
    observed: dict[str, object] | None
    cap: CapView | None
    propensity: float | None
    predicted: float | None
    correction: float | None
    context_weight: float | None
    value: float | None
    lever: float | None
    priority: float | None
    break_even: BreakEven | None
    worth: dict[str, float | bool] | None
    mandatory: bool
    draws: list[Draw] | None
    contributions: list[Contribution] | None
    reasons: list[str] | None


def explain(snapshot: Snapshot, decisions: Decisions, row: int, *, everything: bool) -> list[Candidate]:
    """The candidates of one request, the highest priority first; those without one follow in catalogue order.

    With `everything` False only the candidates that have a priority.
    """
    factors, order = decisions.factors, _in_order(snapshot, decisions, row, everything)
    scored = ~np.isnan(factors.propensity[row, order])
    columns = (
        order.tolist(),
        decisions.removed_by[row, order].tolist(),
        _or_none(factors.propensity[row, order]),
        *_corrections(decisions, row, order),
        _or_none(np.where(scored, factors.context_weight[row, order], np.nan)),
        _or_none(factors.value[row, order]),
        _or_none(factors.lever[row, order]),
        _or_none(factors.priority[row, order]),
        _worths(factors, row, order),
        [False] * len(order) if factors.mandatory is None else factors.mandatory[row, order].tolist(),
    )
    attributed = _attributed(snapshot, decisions, row)
    retracing = Retracing(snapshot, decisions, row)
    turns = list(retracing.turns())
    enough = break_evens(snapshot, decisions, row, Rivals.of(retracing, turns))
    drawn = draws(snapshot, decisions, row, turns)
    out = cache(partial(_out, snapshot, decisions, row))
    caps = _caps(snapshot, decisions, row)
    return [
        Candidate(
            issue=(action := snapshot.catalogue.actions[index]).issue,
            group=action.group,
            action=action.name,
            stage=(why := out(code)).stage,
            rule=why.rule,
            meaning=why.meaning,
            source=why.source,
            observed=why.observed,
            cap=caps(code, index),
            propensity=propensity,
            predicted=predicted,
            correction=correction,
            context_weight=context_weight,
            value=value,
            lever=lever,
            priority=priority,
            break_even=enough.get(index),
            worth=worth,
            mandatory=mandatory,
            draws=drawn.get(index),
            contributions=(spoke := attributed.get(index, NOTHING_SPOKE)).contributions,
            reasons=spoke.reasons,
        )
        for (
            index,
            code,
            propensity,
            predicted,
            correction,
            context_weight,
            value,
            lever,
            priority,
            worth,
            mandatory,
        ) in zip(*columns, strict=True)
    ]


def _in_order(snapshot: Snapshot, decisions: Decisions, row: int, everything: bool) -> NDArray[np.intp]:
    priority = decisions.factors.priority[row]
    order = np.argsort(np.where(np.isnan(priority), np.inf, -priority), kind="stable")
    return order if everything else order[~np.isnan(priority[order])]


def _or_none(column: NDArray[np.float64]) -> list[float | None]:
    """As a list, None for NaN."""
    return [None if isnan(number) else number for number in column.tolist()]


def _corrections(
    decisions: Decisions, row: int, order: NDArray[np.intp]
) -> tuple[list[float | None], list[float | None]]:
    """What models have predicted of each candidate, and by what it was multiplied."""
    corrections = decisions.batch.corrections
    if corrections is None:
        nothing: list[float | None] = [None] * len(order)
        return nothing, nothing
    predicted = decisions.predicted[row, order]
    by = np.where(np.isnan(predicted), np.nan, corrections[row, order].astype(np.float64))
    return _or_none(predicted), _or_none(by)


def _worths(factors: Factors, row: int, order: NDArray[np.intp]) -> list[dict[str, float | bool] | None]:
    """What the value of each candidate is made of; None where it is the business value as it stands."""
    value, raw = factors.value[row, order], factors.raw_value[row, order]
    business, customer = factors.business_value[row, order], factors.customer_value[row, order]
    assumed = np.zeros(len(order), np.bool_) if factors.assumed is None else factors.assumed[row, order]
    found: list[dict[str, float | bool] | None] = [None] * len(order)
    for at in np.flatnonzero(assumed | (raw != value) | (business != raw) | (customer != 0.0)).tolist():
        found[at] = {
            "business": float(business[at]),
            "customer": float(customer[at]),
            "raw": float(raw[at]),
            "assumed": bool(assumed[at]),
        }
    return found


class _Spoke(NamedTuple):
    """What spoke for and against an offered action."""

    contributions: list[Contribution] | None
    reasons: list[str] | None


NOTHING_SPOKE = _Spoke(None, None)


def _attributed(snapshot: Snapshot, decisions: Decisions, row: int) -> dict[int, _Spoke]:
    """What spoke for and against each offered action of a request, by its index."""
    slate, X = decisions.slate, decisions.batch.X[row]
    picks = slice(*slate.row.searchsorted([row, row + 1]).tolist())
    chosen, treatments = slate.action[picks], slate.treatment[picks]
    added = contributions(snapshot, decisions.batch, np.full_like(chosen, row), chosen)
    wordings = snapshot.wordings or ((),) * len(snapshot.catalogue.treatments)
    return {
        action: _Spoke(
            strongest(snapshot.schema, X, entry, MOST_CONTRIBUTIONS) or None,
            in_words(wordings[treatment], X, entry),
        )
        for action, treatment, entry in zip(chosen.tolist(), treatments.tolist(), added, strict=True)
    }


class _Out(NamedTuple):
    """What a candidate is out for: the same for all that it took out."""

    stage: Stage | None = None
    rule: str | None = None
    meaning: str | None = None
    source: str | None = None
    observed: dict[str, object] | None = None


def _out(snapshot: Snapshot, decisions: Decisions, row: int, code: int) -> _Out:
    removal = snapshot.removals[code]
    if removal is None:
        return _Out()
    observed = _observed(snapshot, decisions, row, removal)
    return _Out(removal.stage, removal.rule, removal.meaning, removal.source, observed)


def _caps(snapshot: Snapshot, decisions: Decisions, row: int) -> Callable[[int, int], CapView | None]:
    """What the contact policy or the volume limit of a code says of an action that it took out; None for
    other codes."""
    first = snapshot.first_code("contact")
    codes = range(first, first + len(snapshot.contact.removals))
    volume = partial(_volume, snapshot, decisions.batch, row)
    if not np.isin(decisions.removed_by[row], codes).any():
        return lambda code, action: volume(code)
    found = standing(snapshot.contact, snapshot.catalogue, decisions.batch, row)
    return lambda code, action: found.view(code - first, action) if code in codes else volume(code)


def _volume(snapshot: Snapshot, batch: Batch, row: int, code: int) -> CapView | None:
    """What the volume limit of a code had counted; None for other codes."""
    position = code - snapshot.first_code("volumes")
    if not 0 <= position < len(snapshot.volumes):
        return None
    limit = snapshot.volumes[position]
    used = None if batch.volume_used is None else float(batch.volume_used[row, position])
    free = None if used is None else limit.next_free(used, float(batch.now[row]))
    return CapView(
        name=limit.name,
        kind="volume",
        count=None if used is None else int(used),
        at_most=limit.at_most,
        within=limit.period.kind,
        next_free=None if free is None else iso_timestamp(free),
    )


def _observed(
    snapshot: Snapshot, decisions: Decisions, row: int, removal: Removal
) -> dict[str, object] | None:
    """What a rule of the workspace found, by the names that it has in the rule."""
    if removal.purpose is not None:
        return _observed_consent(snapshot, decisions, row, removal.purpose)
    if removal is BUILT_IN_REMOVALS[DO_NOTHING]:
        return _observed_cost(decisions, row)
    if removal.source is None:
        return None
    found = _values(snapshot, decisions.batch, row, removal.features)
    if removal.reads_now:
        found["now"] = iso_timestamp(float(decisions.batch.now[row]))
    return found


def _observed_cost(decisions: Decisions, row: int) -> dict[str, object]:
    """The priority of doing nothing: what a contact in the channel costs."""
    assigned, channel = decisions.assigned, int(decisions.batch.channel[row])
    barriers = assigned.conducts[int(assigned.conduct[row])].arbitration.barriers
    costs = (float(cost.channels[channel]) for cost in barriers if isinstance(cost, ContactCost))
    return {"cost_of_contact": next(costs)}


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
