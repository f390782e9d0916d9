"""The offers of actions, checked against what their treatments say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from feature_store.documents import Document, Loc, Problem, did_you_mean
from service.decisioning.content import placeholders
from service.decisioning.offers import Offer, OfferBook
from service.workspace.rules import RuleReader
from service.workspace.shapes.catalogue import ActionDocument
from service.workspace.shapes.offers import OfferDocument


@dataclass(frozen=True)
class DeclaredOffers:
    """An action that has offers, as it is written; `loc` is its place."""

    document: Document
    loc: Loc
    action: str
    written: ActionDocument


def read_offers(reader: RuleReader, declared: Sequence[DeclaredOffers]) -> OfferBook:
    """The offers with their conditions; what is wrong with them is among the reader's problems."""
    offers: list[Offer] = []
    named: dict[int, frozenset[str]] = {}
    for one in declared:
        action = reader.catalogue.action_index[one.action]
        reader.problems += _problems(one)
        offers += [
            _offer(reader, one, action, number, offer) for number, offer in enumerate(one.written.offers)
        ]
        named[action] = frozenset(
            name
            for treatment in one.written.treatments.values()
            if treatment.active
            for _, name in placeholders(treatment.content)
        )
    return OfferBook(tuple(offers), named)


def _offer(
    reader: RuleReader, declared: DeclaredOffers, action: int, number: int, offer: OfferDocument
) -> Offer:
    place = None
    if offer.when is not None:
        compiled = reader.compiled(declared.document, (*declared.loc, "offers", number, "when"), offer.when)
        place = None if compiled is None else reader.builder.true(compiled.node)
    return Offer(action, offer.name, msgspec.json.encode(offer.terms), offer.valid_for, place)


def _problems(declared: DeclaredOffers) -> Iterator[Problem]:
    """Names that stand twice, offers that nobody is made, and terms that are named but not there."""
    document, offers = declared.document, declared.written.offers
    everybody: str | None = None
    seen: set[str] = set()
    for number, offer in enumerate(offers):
        loc = (*declared.loc, "offers", number)
        if offer.name in seen:
            yield document.problem((*loc, "name"), f"offer '{offer.name}' stands already above")
        if everybody is not None:
            message = f"is never made: offer '{everybody}' above has no condition, so everybody gets that"
            yield document.problem(loc, message)
        elif offer.when is None:
            everybody = offer.name
        seen.add(offer.name)
    for treatment, entry in declared.written.treatments.items():
        for place, name in placeholders(entry.content):
            lacking = [offer for offer in offers if name not in offer.terms]
            if lacking:
                hint = did_you_mean(name, lacking[0].terms)
                message = f"offer '{lacking[0].name}' has no term '{name}' for {{{name}}}{hint}"
                yield document.problem((*declared.loc, "treatments", treatment, "content", *place), message)
