"""Experiments from experiments.yaml: who takes part, and what is different for them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_store.documents import Document, Loc, did_you_mean, load_document, parse
from service.decisioning.conduct import STANDING_ARMS, Conduct
from service.decisioning.experiments import MOST_NAMESPACES, Arm, Experiment, Experiments
from service.workspace.arbitration import read_arbitration
from service.workspace.exploration import read_exploration
from service.workspace.rules import RuleReader
from service.workspace.shapes.experiments import (
    ArmDocument,
    ConfigurationDocument,
    ExperimentDocument,
    ExperimentsDocument,
    LeversDocument,
    WithholdDocument,
)


@dataclass(frozen=True)
class ExperimentFile:
    """experiments.yaml as it is written."""

    document: Document
    experiments: Mapping[str, ExperimentDocument]


def load_experiments(folder: Path) -> ExperimentFile:
    """Read experiments.yaml; without the file there are none.

    Raises:
        WorkspaceError: with every problem of its form and its line.
    """
    path = folder / "experiments.yaml"
    document = load_document(path) if path.exists() else Document(path.name, {}, {})
    return ExperimentFile(document, parse(document, ExperimentsDocument).experiments)


def read_experiments(reader: RuleReader, file: ExperimentFile, standard: Conduct) -> Experiments:
    """The experiments as columns; what is wrong with them is among the reader's problems. `standard` is how
    is decided for whoever takes no part."""
    reading = _Reading(reader, file, standard)
    reading.check_namespaces()
    return Experiments(tuple(reading.experiment(name, entry) for name, entry in file.experiments.items()))


class _Reading:
    def __init__(self, reader: RuleReader, file: ExperimentFile, standard: Conduct) -> None:
        self._reader, self._file, self._standard = reader, file, standard
        self._catalogue = reader.catalogue

    def experiment(self, name: str, entry: ExperimentDocument) -> Experiment:
        loc: Loc = ("experiments", name)
        if entry.starts_at >= entry.ends_at:
            self._complain((*loc, "end"), "is not after 'start': the experiment has no time")
        return Experiment(
            name=name,
            namespace=entry.namespace,
            arms=tuple(self._arm((*loc, "arms", arm), arm, said) for arm, said in entry.arms.items()),
            start=entry.starts_at,
            end=entry.ends_at,
            by_account=entry.unit == "account",
            description=entry.description,
        )

    def check_namespaces(self) -> None:
        """Arms of a namespace must not overlap, its units be of one kind, and one namespace decide."""
        arms = list(self._arms())
        for index, (loc, experiment, arm) in enumerate(arms):
            for other_loc, other_experiment, other in arms[:index]:
                if self._overlap((experiment, arm), (other_experiment, other)):
                    message = (
                        f"overlaps '{other_loc[1]}.{other_loc[3]}' ({_range(other)}) in namespace "
                        f"'{experiment.namespace}': nobody can be in both"
                    )
                    self._complain((*loc, "from"), message)
        self._check_number()
        self._check_units()
        self._check_deciding([(loc, experiment) for loc, experiment, arm in arms if arm.decides])

    def _arms(self) -> Iterator[tuple[Loc, ExperimentDocument, ArmDocument]]:
        for name, experiment in self._file.experiments.items():
            for arm_name, arm in experiment.arms.items():
                yield ("experiments", name, "arms", arm_name), experiment, arm

    @staticmethod
    def _overlap(
        one: tuple[ExperimentDocument, ArmDocument], other: tuple[ExperimentDocument, ArmDocument]
    ) -> bool:
        (first, arm), (second, beside) = one, other
        return (
            first.namespace == second.namespace
            and first.starts_at < second.ends_at
            and second.starts_at < first.ends_at
            and arm.from_ < beside.from_ + beside.share
            and beside.from_ < arm.from_ + arm.share
        )

    def _check_number(self) -> None:
        namespaces = dict.fromkeys(entry.namespace for entry in self._file.experiments.values())
        if len(namespaces) > MOST_NAMESPACES:
            message = f"need {len(namespaces)} namespaces: outcome tokens can name {MOST_NAMESPACES} of them"
            self._complain(("experiments",), message)

    def _check_units(self) -> None:
        first: dict[str, tuple[str, str]] = {}
        for name, experiment in self._file.experiments.items():
            other, unit = first.setdefault(experiment.namespace, (name, experiment.unit))
            if unit != experiment.unit:
                message = f"namespace '{experiment.namespace}' is by {unit} already, in '{other}'"
                self._complain(("experiments", name, "unit"), message)

    def _check_deciding(self, deciding: list[tuple[Loc, ExperimentDocument]]) -> None:
        """Of two namespaces whose arms decide in their own way, which one would decide for a customer who is
        in both?"""
        for loc, experiment in deciding:
            other_loc, other = deciding[0]
            if experiment.namespace != other.namespace:
                message = (
                    f"'{other_loc[1]}.{other_loc[3]}' decides in its own way, too, in "
                    f"'{other.namespace}': both need one namespace"
                )
                self._complain(loc, message)

    def _arm(self, loc: Loc, name: str, entry: ArmDocument) -> Arm:
        return Arm(
            name=name,
            start=float(entry.from_),
            end=float(entry.from_ + entry.share),
            conduct=self._conduct(loc, entry),
            withheld=self._withheld((*loc, "withhold"), entry.withhold),
            description=entry.description,
        )

    def _conduct(self, loc: Loc, entry: ArmDocument) -> Conduct | None:
        if entry.conduct is not None:
            return STANDING_ARMS[entry.conduct](self._standard)
        if entry.configuration is not None:
            return self._challenger((*loc, "configuration"), entry.configuration)
        return None

    def _challenger(self, loc: Loc, entry: ConfigurationDocument) -> Conduct:
        standard, document, problems = self._standard, self._file.document, self._reader.problems
        arbitration = read_arbitration(self._reader, document, loc, entry, standard.arbitration)
        if "levers" in entry.model_fields_set:
            arbitration = replace(arbitration, levers=self._levers((*loc, "levers"), entry.levers))
        place = (*loc, "exploration")
        limits = entry.exploration is not None and entry.exploration.daily_cost is not None
        if limits and standard.exploration.method != "none":
            message = "is one limit for everybody who explores: declare it in policies.yaml"
            self._complain((*place, "daily_cost"), message)
        exploration = read_exploration(
            document, place, entry.exploration, arbitration, problems, standard.exploration
        )
        return replace(standard, arbitration=arbitration, exploration=exploration)

    def _levers(self, loc: Loc, entry: LeversDocument) -> NDArray[np.float64]:
        """L of every action, with some percents in place of the catalogue's."""
        groups = {group for names in self._reader.groups.values() for group in names}
        self._check_names((*loc, "issue"), entry.issue, self._reader.groups, "issue")
        self._check_names((*loc, "group"), entry.group, groups, "group")
        self._check_names((*loc, "action"), entry.action, self._catalogue.action_index, "action")
        levers = []
        for action in self._catalogue.actions:
            issue, group, own = action.levers
            percent = (
                entry.issue.get(action.issue, issue)
                + entry.group.get(action.group, group)
                + entry.action.get(action.name, own)
            )
            if percent < -100:
                message = f"of '{action.name}' add up to {percent:g} %: below -100 % the priority is negative"
                self._complain(loc, message)
            levers.append(1.0 + percent / 100.0)
        return np.array(levers, dtype=np.float64)

    def _withheld(self, loc: Loc, entry: str | WithholdDocument | None) -> NDArray[np.bool_] | None:
        if entry is None:
            return None
        actions = self._catalogue.actions
        if isinstance(entry, str):
            return np.ones(len(actions), dtype=np.bool_)
        groups = {group for names in self._reader.groups.values() for group in names}
        self._check_names((*loc, "issues"), entry.issues, self._reader.groups, "issue")
        self._check_names((*loc, "groups"), entry.groups, groups, "group")
        self._check_names((*loc, "actions"), entry.actions, self._catalogue.action_index, "action")
        withheld = [
            action.issue in entry.issues or action.group in entry.groups or action.name in entry.actions
            for action in actions
        ]
        return np.array(withheld, dtype=np.bool_)

    def _check_names(self, loc: Loc, names: Collection[str], known: Collection[str], kind: str) -> None:
        for place, name in enumerate(names):
            if name not in known:
                message = f"the catalogue has no {kind} '{name}'{did_you_mean(name, known)}"
                self._complain((*loc, name if isinstance(names, dict) else place), message)

    def _complain(self, loc: Loc, message: str) -> None:
        self._reader.problems.append(self._file.document.problem(loc, message))


def _range(arm: ArmDocument) -> str:
    return f"{float(100 * arm.from_):g}% to {float(100 * (arm.from_ + arm.share)):g}%"
