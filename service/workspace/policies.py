"""policies.yaml, compiled to columns: what weighs more, and who may get what."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_store.documents import Document, Problem, WorkspaceError, did_you_mean, load_document, parse
from feature_store.schema import FeatureSchema, FeatureType, Source
from service.decisioning.arbitration import Arbitration, ContextWeight
from service.decisioning.catalogue import Catalogue
from service.decisioning.consent import Purpose
from service.decisioning.contact import Contact
from service.decisioning.offers import OfferBook
from service.decisioning.rulebook import RuleBook
from service.decisioning.volumes import VolumeLimit
from service.workspace.catalogue import CatalogueFiles
from service.workspace.consent import read_purposes
from service.workspace.contact import read_contact
from service.workspace.coverage import Coverage
from service.workspace.offers import read_offers
from service.workspace.rules import RuleReader
from service.workspace.shapes.policies import ContextWeightDocument, PoliciesDocument
from service.workspace.volumes import read_volumes

MATCHABLE = (FeatureType.CATEGORY, FeatureType.FLAG, FeatureType.NUMBER)


@dataclass(frozen=True)
class PolicyFile:
    """policies.yaml as it is written."""

    document: Document
    policies: PoliciesDocument


def read_policies(folder: Path) -> PolicyFile:
    """Read policies.yaml; without the file every factor is on and there are no context weights.

    Raises:
        WorkspaceError: with every problem of its form and its line.
    """
    path = folder / "policies.yaml"
    document = load_document(path) if path.exists() else Document(path.name, {}, {})
    return PolicyFile(document, parse(document, PoliciesDocument))


def compile_arbitration(
    file: PolicyFile, schema: FeatureSchema, catalogue: Catalogue, groups: Mapping[str, tuple[str, ...]]
) -> Arbitration:
    """Turn policies into columns.

    Raises:
        WorkspaceError: with every name or value that is not in the schema or the catalogue, and its line.
    """
    compiler = _Compiler(file.document, schema, catalogue, groups)
    entries = enumerate(file.policies.context_weights)
    weights = [compiler.context_weight(index, entry) for index, entry in entries]
    if compiler.error.problems:
        raise compiler.error
    return Arbitration(**file.policies.arbitration.model_dump(), context_weights=tuple(weights))


@dataclass(frozen=True)
class Engagement:
    """Who may get what: rules over actions and treatments, consents, how often a customer is addressed,
    what is stopped at once (A), how often something is chosen, and on which terms it is offered."""

    rules: RuleBook
    purposes: tuple[Purpose, ...]
    contact: Contact
    stopped: NDArray[np.bool_] | None
    volumes: tuple[VolumeLimit, ...]
    offers: OfferBook


def compile_engagement(file: PolicyFile, schema: FeatureSchema, files: CatalogueFiles) -> Engagement:
    """Turn the rules of policies.yaml and of the catalogue's files into one program.

    Raises:
        WorkspaceError: with everything that is wrong, by line and column.
    """
    reader = RuleReader(schema, files.catalogue, file.document, file.policies, files.groups)
    rules = reader.rules(files.rules, files.ownerships)
    purposes = read_purposes(reader)
    stopped = _stopped(file, files.catalogue, reader.problems)
    coverage = Coverage(file.document, files.catalogue, files.groups, reader.problems)
    contact = read_contact(coverage, schema, files.outcomes, file.policies.contact_policies)
    volumes = read_volumes(coverage, file.policies.volume_limits)
    offers = read_offers(reader, files.offers)
    if reader.problems:
        raise WorkspaceError(reader.problems)
    return Engagement(
        rules=RuleBook(reader.builder.build(), rules),
        purposes=purposes,
        contact=contact,
        stopped=stopped,
        volumes=volumes,
        offers=offers,
    )


def _stopped(file: PolicyFile, catalogue: Catalogue, problems: list[Problem]) -> NDArray[np.bool_] | None:
    names = file.policies.emergency_exclusion
    for index, name in enumerate(names):
        if name not in catalogue.action_index:
            message = f"the catalogue has no action '{name}'{did_you_mean(name, catalogue.action_index)}"
            problems.append(file.document.problem(("emergency_exclusion", index), message))
    if not names:
        return None
    return np.array([action.name in names for action in catalogue.actions], dtype=np.bool_)


class _Compiler:
    def __init__(
        self,
        document: Document,
        schema: FeatureSchema,
        catalogue: Catalogue,
        groups: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.document, self.schema, self.catalogue, self.groups = document, schema, catalogue, groups
        self.error = WorkspaceError([])

    def context_weight(self, index: int, entry: ContextWeightDocument) -> ContextWeight:
        loc = ("context_weights", index)
        when = [self._condition((*loc, "when", name), name, value) for name, value in entry.when.items()]
        return ContextWeight(tuple(filter(None, when)), self._scope(loc, entry), entry.weight)

    def _condition(self, loc: tuple[str | int, ...], name: str, value: object) -> tuple[int, float] | None:
        usable = {f.name: f for f in self.schema.by_source(Source.CONTEXT) if f.type in MATCHABLE}
        if name not in usable:
            self._complain(
                loc, f"is not a category, flag or number of the context{did_you_mean(name, usable)}"
            )
            return None
        try:
            return self.schema.slice(name).start, float(usable[name].encode(value)[0])
        except ValueError as error:
            self._complain(loc, str(error))
            return None

    def _scope(self, loc: tuple[str | int, ...], entry: ContextWeightDocument) -> NDArray[np.bool_]:
        if entry.issue not in self.groups:
            self._complain(
                (*loc, "issue"), f"no issue '{entry.issue}'{did_you_mean(entry.issue, self.groups)}"
            )
        elif entry.group is not None and entry.group not in self.groups[entry.issue]:
            hint = did_you_mean(entry.group, self.groups[entry.issue])
            self._complain((*loc, "group"), f"issue '{entry.issue}' has no group '{entry.group}'{hint}")
        return np.array(
            [
                action.issue == entry.issue and entry.group in (None, action.group)
                for action in self.catalogue.actions
            ],
            dtype=np.bool_,
        )

    def _complain(self, loc: tuple[str | int, ...], message: str) -> None:
        self.error = WorkspaceError([*self.error.problems, self.document.problem(loc, message)])
