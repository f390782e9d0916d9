"""The rules of an answer as a whole, from `slate` in policies.yaml."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from feature_store.documents import Loc, did_you_mean
from service.decisioning.catalogue import Catalogue
from service.decisioning.slate_policy import AnswerLimit, Bundle, SlatePolicy
from service.workspace.coverage import Coverage
from service.workspace.shapes.slate import AnswerLimitDocument, BundleDocument, SlateDocument
from service.workspace.stakes import DeclaredMandate


def read_slate(coverage: Coverage, entry: SlateDocument, mandates: Sequence[DeclaredMandate]) -> SlatePolicy:
    """The policy as columns; what is wrong with it is among the problems of `coverage`."""
    _once(coverage, "limits", "limit", entry.limits)
    _once(coverage, "bundles", "bundle", entry.bundles)
    limits = [_limit(coverage, ("slate", "limits", place), limit) for place, limit in enumerate(entry.limits)]
    tiers = _tiers(coverage, entry.tiers)
    _in_one_bundle_only(coverage, entry.bundles)
    _no_mandatory_fallback(coverage, mandates)
    bundles = (
        _bundle(coverage, limits, mandates, ("slate", "bundles", place), bundle)
        for place, bundle in enumerate(entry.bundles)
    )
    return SlatePolicy(
        duplicates=entry.duplicates,
        limits=tuple(limits),
        tiers=tiers,
        bundles=tuple(bundle for bundle in bundles if bundle is not None),
    )


def _once(
    coverage: Coverage, key: str, kind: str, entries: Sequence[AnswerLimitDocument | BundleDocument]
) -> None:
    first: dict[str, int] = {}
    for place, entry in enumerate(entries):
        loc: Loc = ("slate", key, place, "name")
        if entry.name in first:
            _complain(coverage, loc, f"{kind} '{entry.name}' stands already in line {first[entry.name]}")
        first.setdefault(entry.name, coverage.document.line(loc))


def _limit(coverage: Coverage, loc: Loc, entry: AnswerLimitDocument) -> AnswerLimit:
    before = len(coverage.problems)
    actions = coverage.actions(loc, entry)
    if entry.tag is not None:
        tags = {tag for action in coverage.catalogue.actions for tag in action.tags}
        if entry.tag not in tags:
            _complain(
                coverage, (*loc, "tag"), f"no action has the tag '{entry.tag}'{did_you_mean(entry.tag, tags)}"
            )
        actions = actions & np.array([entry.tag in action.tags for action in coverage.catalogue.actions])
    if not actions.any() and len(coverage.problems) == before:
        _complain(coverage, loc, "covers no action of the catalogue")
    return AnswerLimit(
        entry.name, entry.at_most, actions, coverage.channels(loc, entry), description=entry.description
    )


def _tiers(coverage: Coverage, tiers: list[list[str]]) -> NDArray[np.int8] | None:
    """The tier of each action by its issue; issues that are not named come last."""
    tier_of: dict[str, int] = {}
    for tier, issues in enumerate(tiers):
        for place, issue in enumerate(issues):
            loc: Loc = ("slate", "tiers", tier, place)
            if issue not in coverage.groups:
                hint = did_you_mean(issue, coverage.groups)
                _complain(coverage, loc, f"the catalogue has no issue '{issue}'{hint}")
            elif issue in tier_of:
                _complain(coverage, loc, f"issue '{issue}' stands in a tier already")
            tier_of.setdefault(issue, tier)
    if not tiers:
        return None
    actions = coverage.catalogue.actions
    return np.array([tier_of.get(action.issue, len(tiers)) for action in actions], dtype=np.int8)


def _in_one_bundle_only(coverage: Coverage, bundles: list[BundleDocument]) -> None:
    owner: dict[str, str] = {}
    for number, bundle in enumerate(bundles):
        for place, name in enumerate(bundle.actions):
            if name in owner:
                message = f"'{name}' stands already in bundle '{owner[name]}': an action is in one bundle"
                _complain(coverage, ("slate", "bundles", number, "actions", place), message)
            owner.setdefault(name, bundle.name)


def _no_mandatory_fallback(coverage: Coverage, mandates: Sequence[DeclaredMandate]) -> None:
    actions = {action.name: action for action in coverage.catalogue.actions}
    for mandate in mandates:
        if actions[mandate.action].fallback:
            message = "a fallback comes last of all: it can't be mandatory"
            coverage.problems.append(mandate.document.problem(mandate.loc, message))


def _bundle(
    coverage: Coverage,
    limits: list[AnswerLimit],
    mandates: Sequence[DeclaredMandate],
    loc: Loc,
    entry: BundleDocument,
) -> Bundle | None:
    """A bundle whose actions are all known."""
    known = coverage.catalogue.action_index
    unknown = [(place, name) for place, name in enumerate(entry.actions) if name not in known]
    for place, name in unknown:
        message = f"the catalogue has no action '{name}'{did_you_mean(name, known)}"
        _complain(coverage, (*loc, "actions", place), message)
    if unknown:
        return None
    bundle = Bundle(
        entry.name,
        tuple(known[name] for name in entry.actions),
        fixed=entry.kind == "fixed",
        description=entry.description,
    )
    mandatory = {mandate.action for mandate in mandates}
    for place, name in enumerate(entry.actions):
        if bundle.fixed and place > 0 and name in mandatory:
            message = f"'{name}' is mandatory, but of a fixed bundle only the lead competes: let it lead"
            _complain(coverage, (*loc, "actions", place), message)
    for message in _faults(coverage.catalogue, limits, bundle):
        _complain(coverage, (*loc, "actions"), message)
    return bundle


def _faults(catalogue: Catalogue, limits: list[AnswerLimit], bundle: Bundle) -> Iterator[str]:
    """Why a bundle could never be offered."""
    actions = [catalogue.actions[index] for index in bundle.actions]
    if len({action.fallback for action in actions}) > 1:
        yield "some are fallbacks and some are not: they never stand in the same placement"
    fits = catalogue.slot_treatments[:, bundle.actions] >= 0
    if bundle.fixed and not fits.all(axis=1).any():
        yield "have no placement in common with treatments of all: the bundle could never be offered"
    if not bundle.fixed:
        for place, action in enumerate(actions[1:], start=1):
            if not (fits[:, 0] & fits[:, place]).any():
                yield (
                    f"'{action.name}' has no placement in common with the lead '{actions[0].name}': "
                    "it could never follow"
                )
    for limit in limits:
        counted = int(limit.actions[list(bundle.actions)].sum())
        if bundle.fixed and limit.channels.all() and counted > limit.at_most:
            yield (
                f"limit '{limit.name}' lets {limit.at_most} of its actions into an answer, and the bundle "
                f"has {counted}: it could never be offered"
            )


def _complain(coverage: Coverage, loc: Loc, message: str) -> None:
    coverage.problems.append(coverage.document.problem(loc, message))
