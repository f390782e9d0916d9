"""The catalogue from its files: channels.yaml and actions/*.yaml, cross-checked so that every name is
found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from feature_store.documents import (
    Document,
    Loc,
    Problem,
    WorkspaceError,
    did_you_mean,
    load_document,
    parse,
)
from models.spec import ModelSpec
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.workspace.archive import Archive
from service.workspace.offers import DeclaredOffers
from service.workspace.quantities import formula_text, stand_in
from service.workspace.reasons import DeclaredReasons
from service.workspace.rules import DeclaredRule, Ownership, inline_rules
from service.workspace.shapes.catalogue import (
    ActionDocument,
    ChannelDocument,
    ChannelsDocument,
    GroupDocument,
    IssueDocument,
    TreatmentDocument,
)
from service.workspace.stakes import Stakes

Shape = TypeVar("Shape", ChannelsDocument, IssueDocument)

STANDARD_OUTCOMES: Mapping[str, str] = {
    "impression": "the treatment was shown to the customer",
    "click": "the customer clicked or asked for more",
    "accept": "the customer said yes",
    "reject": "the customer said no",
    "convert": "what was offered has happened: bought, signed, solved",
    "dismiss": "the customer closed it",
    "no_response": "the time for an answer has passed",
}


@dataclass(frozen=True)
class CatalogueFiles:
    """What the catalogue's files say: the catalogue, its outcomes, and the issues with their groups; and the
    files themselves, with the place of each issue, action and treatment by kind and name."""

    catalogue: Catalogue
    outcomes: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]
    rules: tuple[DeclaredRule, ...] = ()
    ownerships: tuple[Ownership, ...] = ()
    offers: tuple[DeclaredOffers, ...] = ()
    reasons: tuple[DeclaredReasons, ...] = ()
    documents: tuple[Document, ...] = ()
    places: Mapping[tuple[str, str], tuple[Document, Loc]] = field(default_factory=dict)
    stakes: Stakes = field(default_factory=Stakes)


def load_catalogue(folder: Path, models: Mapping[str, ModelSpec] | None) -> CatalogueFiles:
    """Read and check the catalogue of a workspace whose declared models are `models`; None: not known.

    Raises:
        WorkspaceError: with every problem of all the files, each with its file and line.
    """
    channels_path = folder / "channels.yaml"
    action_paths = sorted((folder / "actions").glob("*.yaml"))
    reading = _Reading(models)
    channels = reading.load(channels_path, folder, ChannelsDocument)
    issues = [(path, reading.load(path, folder, IssueDocument)) for path in action_paths]
    reading.problems += [
        Problem(f"actions/{path.name}", 0, "", "is not read: files of actions end with .yaml")
        for path in sorted((folder / "actions").glob("*.yml"))
    ]
    if not action_paths:
        reading.problems.append(Problem("actions/", 0, "", "has no *.yaml file: there is nothing to offer"))
    if channels is None:
        raise WorkspaceError(reading.problems)
    reading.channels = channels[1].channels
    for _, read in issues:
        if read is not None:
            reading.issue(*read)
    if reading.problems:
        raise WorkspaceError(reading.problems)
    actions = sorted(reading.actions, key=lambda action: (action.issue, action.group, action.name))
    order = {action.name: index for index, action in enumerate(actions)}
    treatments = sorted(reading.treatments, key=lambda treatment: order[treatment.action])
    catalogue = Catalogue(
        channels=tuple(_channel(name, entry) for name, entry in reading.channels.items()),
        actions=tuple(actions),
        treatments=tuple(treatments),
        version=Archive.of(folder).version,
    )
    return CatalogueFiles(
        catalogue,
        outcomes={**STANDARD_OUTCOMES, **channels[1].outcomes},
        groups={issue: tuple(groups) for issue, groups in reading.groups.items()},
        rules=tuple(reading.rules),
        ownerships=tuple(reading.ownerships),
        offers=tuple(reading.offers),
        reasons=tuple(reading.reasons),
        documents=(channels[0], *(read[0] for _, read in issues if read is not None)),
        places=reading.places,
        stakes=reading.stakes,
    )


def _channel(name: str, entry: ChannelDocument) -> Channel:
    placements = tuple(Placement(place, p.limit, p.description) for place, p in entry.placements.items())
    return Channel(name, entry.direction, placements, entry.description, entry.reports_impressions)


@dataclass
class _Reading:
    """What has been read so far, and every problem met on the way."""

    models: Mapping[str, ModelSpec] | None
    channels: Mapping[str, ChannelDocument] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    treatments: list[Treatment] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    rules: list[DeclaredRule] = field(default_factory=list)
    ownerships: list[Ownership] = field(default_factory=list)
    offers: list[DeclaredOffers] = field(default_factory=list)
    reasons: list[DeclaredReasons] = field(default_factory=list)
    stakes: Stakes = field(default_factory=Stakes)
    problems: list[Problem] = field(default_factory=list)
    places: dict[tuple[str, str], tuple[Document, Loc]] = field(default_factory=dict)

    def load(self, path: Path, folder: Path, shape: type[Shape]) -> tuple[Document, Shape] | None:
        try:
            document = load_document(path, folder)
            return document, parse(document, shape)
        except WorkspaceError as error:
            self.problems += error.problems
            return None

    def issue(self, document: Document, issue: IssueDocument) -> None:
        self._once("issue", issue.issue, document, ("issue",))
        self.groups[issue.issue] = list(issue.groups)
        self._model(document, ("model",), issue.model)
        self.rules += inline_rules(document, (), issue, issue.issue, issue=issue.issue)
        for name, group in issue.groups.items():
            self.rules += inline_rules(document, ("groups", name), group, name, issue=issue.issue, group=name)
            self._model(document, ("groups", name, "model"), group.model)
            for action_name, action in group.actions.items():
                loc = ("groups", name, "actions", action_name)
                self._action(document, loc, issue, name, group, action)

    def _action(
        self,
        document: Document,
        loc: tuple[str, ...],
        issue: IssueDocument,
        group_name: str,
        group: GroupDocument,
        action: ActionDocument,
    ) -> None:
        name = loc[-1]
        self._once("action", name, document, loc)
        self._model(document, (*loc, "model"), action.model)
        built = Action(
            name=name,
            issue=issue.issue,
            group=group_name,
            title=action.title or name.replace("_", " ").capitalize(),
            description=action.description,
            model=action.model or group.model or issue.model,
            propensity=action.propensity,
            evidence=action.evidence,
            value=stand_in(action.value),
            customer_value=stand_in(action.customer_value),
            value_formula=formula_text(action.value),
            customer_value_formula=formula_text(action.customer_value),
            levers=(issue.lever, group.lever, action.lever),
            tags=tuple(action.tags),
            fallback=action.fallback,
            active=action.active,
            start=action.starts_at,
            end=action.ends_at,
            outcome_window=action.outcome_window or group.outcome_window or issue.outcome_window,
        )
        self.problems += [document.problem((*loc, *where), message) for where, message in _faults(built)]
        self.actions.append(built)
        self.rules += inline_rules(document, loc, action, name, action=name)
        self.stakes.declare(document, loc, name, action)
        if action.owns:
            self.ownerships.append(Ownership(document, (*loc, "owns"), name, action.owns))
        if action.offers:
            self.offers.append(DeclaredOffers(document, loc, name, action))
        if action.reasons:
            self.reasons.append(DeclaredReasons(document, (*loc, "reasons"), name, None, action.reasons))
        for treatment_name, treatment in action.treatments.items():
            self._treatment(document, (*loc, "treatments", treatment_name), name, treatment)

    def _treatment(
        self, document: Document, loc: tuple[str, ...], action: str, treatment: TreatmentDocument
    ) -> None:
        self._once("treatment", loc[-1], document, loc)
        channel = self.channels.get(treatment.channel)
        if channel is None:
            hint = did_you_mean(treatment.channel, self.channels)
            message = f"channels.yaml has no channel '{treatment.channel}'{hint}"
            self.problems.append(document.problem((*loc, "channel"), message))
            return
        placements = list(channel.placements) if treatment.placements is None else treatment.placements
        for index, placement in enumerate(placements):
            if placement not in channel.placements:
                hint = did_you_mean(placement, channel.placements)
                message = f"channel '{treatment.channel}' has no placement '{placement}'{hint}"
                self.problems.append(document.problem((*loc, "placements", index), message))
        try:
            content = msgspec.json.encode(treatment.content)
        except (RecursionError, TypeError, ValueError) as error:
            message = f"can't be written as JSON: {error}"
            self.problems.append(document.problem((*loc, "content"), message))
            return
        self.treatments.append(
            Treatment(
                name=loc[-1],
                action=action,
                channel=treatment.channel,
                placements=tuple(placements),
                content=content,
                active=treatment.active,
            )
        )
        self.rules += inline_rules(document, loc, treatment, loc[-1], treatment=loc[-1])
        if treatment.reasons:
            place = (*loc, "reasons")
            self.reasons.append(DeclaredReasons(document, place, action, loc[-1], treatment.reasons))

    def _once(self, kind: str, name: str, document: Document, loc: Loc) -> None:
        """Names of a kind are unique over all files: the answer to a request names nothing twice."""
        first, there = self.places.setdefault((kind, name), (document, loc))
        if (first.file, there) != (document.file, loc):
            where = f"{first.file}:{first.line(there)}"
            self.problems.append(document.problem(loc, f"{kind} '{name}' stands already in {where}"))

    def _model(self, document: Document, loc: tuple[str, ...], model: str | None) -> None:
        if model is None or self.models is None:
            return
        if model not in self.models:
            hint = did_you_mean(model, self.models)
            self.problems.append(document.problem(loc, f"models.yaml has no model '{model}'{hint}"))
        elif self.models[model].target is not None:
            message = f"'{model}' predicts something about the customer, not the response to an action"
            self.problems.append(document.problem(loc, message))


def _faults(action: Action) -> Iterator[tuple[tuple[str, ...], str]]:
    if action.model is None and action.propensity is None:
        yield (
            (),
            "has neither a model nor a propensity: give it one, or its group or issue a model",
        )
    if action.lever < 0:
        total = sum(action.levers)
        yield (
            ("lever",),
            f"levers of issue, group and action add up to {total:g} %: below -100 % the priority is negative",
        )
    if action.start >= action.end:
        yield ("end",), "is not after 'start': the action would never be available"
