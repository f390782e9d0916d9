"""How candidates are arbitrated: the sections of policies.yaml that say it, as columns."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from feature_store.documents import Document, Loc, did_you_mean
from feature_store.schema import FeatureType, Source
from service.decisioning.arbitration import Arbitration, ContextWeight
from service.decisioning.barriers import Barrier, ContactCost, Threshold
from service.decisioning.rules import nodes
from service.decisioning.valuation import Scaling
from service.workspace.coverage import Coverage
from service.workspace.quantities import read_quantity
from service.workspace.rules import RuleReader
from service.workspace.shapes.arbitration import (
    ArbitrationDocument,
    ArbitrationSections,
    ContextWeightDocument,
    DoNothingDocument,
    ThresholdDocument,
)

MATCHABLE = (FeatureType.CATEGORY, FeatureType.FLAG, FeatureType.NUMBER)


def read_arbitration(
    reader: RuleReader, document: Document, loc: Loc, sections: ArbitrationSections, standard: Arbitration
) -> Arbitration:
    """`standard`, with what the sections at `loc` of a document say otherwise. What is wrong with them is
    among the reader's problems."""
    reading = _Reading(reader, document, loc)
    said = sections.model_fields_set
    arbitration = _switched(sections.arbitration, standard)
    if "context_weights" in said:
        weights = enumerate(sections.context_weights)
        found = [reading.context_weight(index, entry) for index, entry in weights]
        arbitration = replace(arbitration, context_weights=tuple(filter(None, found)))
    thresholds = [b for b in standard.barriers if isinstance(b, Threshold)]
    costs: list[Barrier] = [b for b in standard.barriers if isinstance(b, ContactCost)]
    if "thresholds" in said:
        thresholds = reading.thresholds(sections.thresholds)
    if "do_nothing" in said:
        costs = [] if sections.do_nothing is None else [reading.contact_cost(sections.do_nothing)]
    # doing nothing is the last to be compared with, so that it is named only where all else was passed
    return replace(arbitration, barriers=(*thresholds, *costs))


def _switched(entry: ArbitrationDocument, standard: Arbitration) -> Arbitration:
    said = entry.model_fields_set
    switches = {name: getattr(entry, name) for name in ("propensity", "context_weight", "value", "lever")}
    valuation = standard.valuation
    if "customer_benefit_weight" in said:
        valuation = replace(valuation, benefit_weight=entry.customer_benefit_weight)
    if "value_scaling" in said:
        scaling = Scaling(entry.value_scaling.method, entry.value_scaling.reference)
        valuation = replace(valuation, scaling=scaling)
    return replace(
        standard, valuation=valuation, **{name: on for name, on in switches.items() if name in said}
    )


class _Reading:
    """Reads the sections at one place."""

    def __init__(self, reader: RuleReader, document: Document, loc: Loc) -> None:
        self._reader, self._document, self._loc = reader, document, loc
        self._coverage = Coverage(document, reader.catalogue, reader.groups, reader.problems)

    def context_weight(self, index: int, entry: ContextWeightDocument) -> ContextWeight | None:
        loc = (*self._loc, "context_weights", index)
        when = self._condition((*loc, "when"), entry.when)
        actions, channels = self._coverage.actions(loc, entry), self._coverage.channels(loc, entry)
        percent = read_quantity(self._reader, self._document, (*loc, "weight"), entry.weight, otherwise=0.0)
        if when is None or percent is None:
            return None
        place = None if when == nodes.TRUE else self._reader.builder.true(when)
        return ContextWeight(place, actions, percent, None if entry.channels is None else channels)

    def thresholds(self, entries: Sequence[ThresholdDocument]) -> list[Threshold]:
        found: list[Threshold] = []
        first: dict[str, int] = {}
        for index, entry in enumerate(entries):
            loc = (*self._loc, "thresholds", index)
            if entry.name in first:
                self._complain(
                    (*loc, "name"), f"threshold '{entry.name}' stands already in line {first[entry.name]}"
                )
            first.setdefault(entry.name, self._document.line((*loc, "name")))
            actions, channels = self._coverage.actions(loc, entry), self._coverage.channels(loc, entry)
            of = (actions, channels, entry.description)
            if entry.propensity is not None:
                found.append(Threshold(entry.name, "propensity", entry.propensity, *of))
            if entry.priority is not None:
                found.append(Threshold(entry.name, "priority", entry.priority, *of))
        return found

    def contact_cost(self, entry: DoNothingDocument) -> ContactCost:
        known = self._reader.catalogue.channel_index
        for name in entry.cost:
            if name not in known:
                message = f"the catalogue has no channel '{name}'{did_you_mean(name, known)}"
                self._complain((*self._loc, "do_nothing", "cost", name), message)
        return ContactCost(np.array([entry.cost.get(name, np.nan) for name in known], dtype=np.float64))

    def _condition(self, loc: Loc, when: str | dict[str, str | bool | float]) -> nodes.Flag | None:
        if isinstance(when, str):
            compiled = self._reader.compiled(self._document, loc, when)
            return None if compiled is None else compiled.node
        tests = [self._test((*loc, name), name, value) for name, value in when.items()]
        found = [test for test in tests if test is not None]
        return nodes.conjunction(found) if len(found) == len(tests) else None

    def _test(self, loc: Loc, name: str, value: object) -> nodes.Flag | None:
        """Whether a feature of the context has a value."""
        schema = self._reader.schema
        usable = {f.name: f for f in schema.by_source(Source.CONTEXT) if f.type in MATCHABLE}
        if name not in usable:
            self._complain(
                loc, f"is not a category, flag or number of the context{did_you_mean(name, usable)}"
            )
            return None
        feature, column = usable[name], schema.slice(name).start
        try:
            number = float(feature.encode(value)[0])
        except ValueError as error:
            self._complain(loc, str(error))
            return None
        match feature.type:
            case FeatureType.FLAG:
                return nodes.Bit(column) if number else nodes.negation(nodes.Bit(column))
            case FeatureType.CATEGORY:
                return nodes.level(column, [code == number for code in range(len(feature.levels))])
        return nodes.comparison("==", nodes.Column(column), nodes.Constant(number))

    def _complain(self, loc: Loc, message: str) -> None:
        self._reader.problems.append(self._document.problem(loc, message))
