"""Actions that can't come through arbitration, and weights and thresholds that do nothing."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from feature_store.documents import Problem
from service.decisioning.barriers import Threshold
from service.decisioning.quantities import Formula
from service.workspace.lint.subject import Subject, listed, warning


def worthless(subject: Subject) -> Iterator[Problem]:
    """Actions whose priority is always 0: everything else goes first."""
    arbitration = subject.workspace.arbitration
    message = "makes the priority 0: the action is offered only where nothing else is left"
    value, hopeless = _highest_value(subject), _hopeless(subject)[0]
    for index in np.flatnonzero(subject.live & ~hopeless).tolist():
        if arbitration.value and value[index] == 0:
            yield warning(subject.action(index, "value"), message)
        if arbitration.lever and subject.catalogue.levers[index] == 0:
            because = "(those of issue, group and action add up to -100 %)"
            yield warning(subject.action(index, "lever"), f"{message} {because}")


def unreachable(subject: Subject) -> Iterator[Problem]:
    """Actions whose highest possible priority, or propensity, is too low in all their channels."""
    propensity, priority = _highest(subject)
    hopeless, reasons = _hopeless(subject)
    for index in np.flatnonzero(hopeless).tolist():
        most = f"propensity at most {propensity[:, index].max():g} and priority {priority[:, index].max():g}"
        message = f"is never offered: with {most} it fails in all its channels"
        yield warning(subject.action(index), f"{message} ({' and '.join(reasons[index])})")


def _hopeless(subject: Subject) -> tuple[NDArray[np.bool_], list[list[str]]]:
    """A: the live actions that a barrier stops in each of their channels, and the barriers of each action."""
    catalogue, arbitration = subject.catalogue, subject.workspace.arbitration
    propensity, priority = _highest(subject)
    channels = np.arange(len(catalogue.channels))
    reasons: list[list[str]] = [[] for _ in catalogue.actions]
    stopped = np.zeros_like(catalogue.channel_actions)
    for barrier in arbitration.barriers:
        stops = barrier.stops(propensity, priority, channels) & catalogue.channel_actions
        stopped |= stops
        for index in np.flatnonzero(stops.any(axis=0)).tolist():
            named = (
                f"threshold '{barrier.name}'" if isinstance(barrier, Threshold) else "the cost of a contact"
            )
            reasons[index].append(named)
    said = catalogue.channel_actions.any(axis=0)
    hopeless = said & (stopped | ~catalogue.channel_actions).all(axis=0) & subject.live
    hopeless[[mandate.action for mandate in arbitration.mandates]] = False
    return hopeless, reasons


def _highest(subject: Subject) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """C x A: the highest propensity and the highest priority that an action may have in a channel."""
    catalogue, arbitration = subject.catalogue, subject.workspace.arbitration
    drawn = subject.workspace.engagement.exploration.method == "thompson"
    certain = [1.0 if action.model or drawn else action.propensity or 1.0 for action in catalogue.actions]
    shape = len(catalogue.channels), len(catalogue.actions)
    propensity = np.broadcast_to(np.array(certain), shape)
    priority = propensity.copy() if arbitration.propensity else np.ones(shape)
    if arbitration.context_weight:
        priority *= _highest_weights(subject)
    for on, factor in ((arbitration.value, _highest_value(subject)), (arbitration.lever, catalogue.levers)):
        if on:
            with np.errstate(invalid="ignore"):
                priority = np.where(factor == 0, 0.0, priority * factor)
    return propensity, priority


def _highest_weights(subject: Subject) -> NDArray[np.float64]:
    """C x A: the context weight where all that add to it match; unbounded with a formula among them."""
    catalogue = subject.catalogue
    percent = np.zeros((len(catalogue.channels), len(catalogue.actions)))
    for weight in subject.workspace.arbitration.context_weights:
        more = np.inf if isinstance(weight.percent, Formula) else max(weight.percent, 0.0)
        everywhere = np.ones(len(catalogue.channels), dtype=np.bool_)
        channels = everywhere if weight.channels is None else weight.channels
        percent[channels[:, None] & weight.actions] += more
    return 1.0 + percent / 100.0


def _highest_value(subject: Subject) -> NDArray[np.float64]:
    """A: the value as it counts; unbounded where it is a formula."""
    catalogue, valuation = subject.catalogue, subject.workspace.arbitration.valuation
    value = np.maximum(catalogue.values + valuation.benefit_weight * catalogue.customer_values, 0.0)
    value[[action for action, _ in valuation.business]] = np.inf
    if valuation.benefit_weight:
        value[[action for action, _ in valuation.customer]] = np.inf
    return valuation.scaling.scaled(value)


def idle_weights(subject: Subject) -> Iterator[Problem]:
    """Context weights that never weigh."""
    said = subject.catalogue.channel_actions
    entries = subject.workspace.policies.policies.context_weights
    weights = subject.workspace.arbitration.context_weights
    for index, (entry, weight) in enumerate(zip(entries, weights, strict=True)):
        place = (subject.policies, ("context_weights", index))
        covered = said if weight.channels is None else said[weight.channels]
        if not (covered & weight.actions).any():
            yield warning(
                place, "weighs nothing: no action that it covers has a live treatment in its channels"
            )
        elif weight.percent == 0.0:
            yield warning((subject.policies, (*place[1], "weight")), "is 0: it changes nothing")
        elif isinstance(entry.when, str):
            node = subject.node(entry.when)
            if not subject.solver.possible([node]):
                yield warning(
                    (subject.policies, (*place[1], "when")), "can never hold: the weight changes nothing"
                )


def idle_thresholds(subject: Subject) -> Iterator[Problem]:
    """Thresholds that cover nothing, or behind which a higher one stands."""
    names = [entry.name for entry in subject.workspace.policies.policies.thresholds]
    barriers = subject.workspace.arbitration.barriers
    thresholds = [barrier for barrier in barriers if isinstance(barrier, Threshold)]
    for position, threshold in enumerate(thresholds):
        place = (subject.policies, ("thresholds", names.index(threshold.name)))
        if not (subject.catalogue.channel_actions[threshold.channels] & threshold.actions).any():
            yield warning(
                place, "stops nothing: no action that it covers has a live treatment in its channels"
            )
            continue
        higher = [
            other.name
            for at, other in enumerate(thresholds)
            if at != position and _implies(other, threshold, at < position)
        ]
        if higher:
            yield warning(place, f"its {threshold.factor} stops nothing that {listed(higher)} lets through")


def _implies(other: Threshold, threshold: Threshold, earlier: bool) -> bool:
    """Whether a threshold stops all that another one does. Of two that are equal the later one is idle."""
    covers = (threshold.actions <= other.actions).all() and (threshold.channels <= other.channels).all()
    higher = other.least > threshold.least or (other.least == threshold.least and earlier)
    return bool(covers) and other.factor == threshold.factor and higher
