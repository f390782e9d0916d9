"""policies.yaml, compiled to columns: what weighs more, and who may get what."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_store.documents import Document, Problem, WorkspaceError, did_you_mean, load_document, parse
from feature_store.schema import FeatureSchema
from service.decisioning.arbitration import Arbitration
from service.decisioning.catalogue import Catalogue
from service.decisioning.conduct import Conduct
from service.decisioning.consent import Purpose
from service.decisioning.contact import Contact
from service.decisioning.experiments import Experiments
from service.decisioning.exploration import Exploration
from service.decisioning.offers import OfferBook
from service.decisioning.rulebook import RuleBook
from service.decisioning.slate_policy import SlatePolicy
from service.decisioning.volumes import VolumeLimit
from service.workspace.arbitration import read_arbitration
from service.workspace.catalogue import CatalogueFiles
from service.workspace.consent import read_purposes
from service.workspace.contact import read_contact
from service.workspace.coverage import Coverage
from service.workspace.experiments import ExperimentFile, read_experiments
from service.workspace.exploration import read_exploration
from service.workspace.offers import read_offers
from service.workspace.rules import CompiledRule, RuleReader
from service.workspace.shapes.policies import PoliciesDocument
from service.workspace.slate import read_slate
from service.workspace.stakes import read_stakes
from service.workspace.volumes import read_volumes


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


@dataclass(frozen=True)
class Engagement:
    """Who may get what, and how it is arbitrated: rules over actions and treatments, consents, how often a
    customer is addressed, what is stopped at once (A), how often something is chosen, on which terms it is
    offered, the standard arbitration and exploration, the experiments that decide otherwise, and what an
    answer may be as a whole. All share the columns of the rules' program. `written` has the rules as they
    are written."""

    rules: RuleBook
    purposes: tuple[Purpose, ...]
    contact: Contact
    stopped: NDArray[np.bool_] | None
    volumes: tuple[VolumeLimit, ...]
    offers: OfferBook
    arbitration: Arbitration
    exploration: Exploration
    experiments: Experiments
    slate: SlatePolicy
    written: tuple[CompiledRule, ...] = ()


def compile_engagement(
    file: PolicyFile, schema: FeatureSchema, files: CatalogueFiles, experiments: ExperimentFile
) -> Engagement:
    """Turn policies.yaml, experiments.yaml, and the rules and formulas of the catalogue's files, into one
    program.

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
    stakes = read_stakes(reader, files.stakes)
    arbitration = read_arbitration(reader, file.document, (), file.policies, stakes)
    exploration = read_exploration(
        file.document, ("exploration",), file.policies.exploration, arbitration, reader.problems
    )
    trials = read_experiments(reader, experiments, Conduct(arbitration, exploration))
    slate = read_slate(coverage, file.policies.slate, files.stakes.mandates)
    if reader.problems:
        raise WorkspaceError(reader.problems)
    return Engagement(
        rules=RuleBook(reader.builder.build(), rules),
        purposes=purposes,
        contact=contact,
        stopped=stopped,
        volumes=volumes,
        offers=offers,
        arbitration=arbitration,
        exploration=exploration,
        experiments=trials,
        slate=slate,
        written=tuple(reader.compiled_rules),
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
