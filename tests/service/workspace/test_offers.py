"""Offers as they are written with an action, and what is said of each kind of mistake."""

from typing import Any

import msgspec
import pytest

from feature_store.documents import WorkspaceError
from service.decisioning.offers import OfferBook
from service.workspace.loading import load_workspace

Files = Any  # the class of the fixture

OFFERS = """\
        model: fibre
        offers:
          - {name: loyal_20, when: customer.age > 60.0, valid_for: 14d, terms: {price: 39.99, discount: 20}}
          - name: standard
            valid_for: 12h
            terms: {price: "49,90"}
"""


@pytest.fixture
def offering(files: Files) -> Files:
    """The valid workspace with two offers of fibre_500."""
    files.edit("actions/sales.yaml", "        model: fibre\n", OFFERS)
    files.edit("actions/sales.yaml", "Fibre at last, price: 49.9", "'Fibre at {price}', tags: ['{price}']")
    return files


def offers(files: Files) -> OfferBook:
    return load_workspace(files.folder).engagement.offers


def problem(files: Files) -> str:
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(files.folder)
    (found,) = caught.value.problems
    return str(found)


def test_offers_are_read_in_their_order_with_their_terms_and_validity(offering: Files) -> None:
    catalogue, book = load_workspace(offering.folder).catalogue, offers(offering)
    action = catalogue.action_index["fibre_500"]
    loyal, standard = book.offers
    assert (loyal.action, loyal.name, loyal.valid_for) == (action, "loyal_20", 14 * 86_400)
    assert msgspec.json.decode(loyal.terms) == {"price": 39.99, "discount": 20}
    assert loyal.place is not None
    assert (standard.valid_for, msgspec.json.decode(standard.terms)) == (43_200, {"price": "49,90"})
    assert standard.place is None
    assert book.named == {action: {"price"}}


def test_a_workspace_without_offers_has_an_empty_book(files: Files) -> None:
    assert not offers(files)


def test_braces_mean_nothing_in_the_content_of_an_action_without_offers(files: Files) -> None:
    files.edit("actions/sales.yaml", "Fibre at last", "'Fibre at {prise}'")
    assert not offers(files)


@pytest.mark.parametrize(
    ("old", "new", "stands_in", "path", "message"),
    [
        (
            "Fibre at {price}",
            "Fibre at {prise}",
            "{prise}",
            "treatments.fibre_500_hero.content.headline",
            "offer 'loyal_20' has no term 'prise' for {prise}; did you mean 'price'?",
        ),
        (
            "tags: ['{price}']",
            "tags: ['{discount}']",
            "{discount}",
            "treatments.fibre_500_hero.content.tags.0",
            "offer 'standard' has no term 'discount' for {discount}",
        ),
        (
            "- name: standard",
            "- name: loyal_20",
            "- name: loyal_20",
            "offers.1.name",
            "offer 'loyal_20' stands already above",
        ),
        (
            "when: customer.age > 60.0, ",
            "",
            "name: standard",
            "offers.1",
            "is never made: offer 'loyal_20' above has no condition, so everybody gets that",
        ),
        (
            "valid_for: 12h",
            "valid_for: 12 hours",
            "12 hours",
            "offers.1.valid_for",
            "must be a number and a unit, such as 90s, 15m, 12h or 30d, not '12 hours'",
        ),
        (
            "valid_for: 12h",
            "valid_for: 99999d",
            "99999d",
            "offers.1.valid_for",
            "must be at most a hundred years (36525d), not 99999d",
        ),
        (
            '            terms: {price: "49,90"}\n',
            "",
            "name: standard",
            "offers.1",
            "'terms' is missing",
        ),
    ],
)
def test_a_mistake_in_an_offer_is_told_where_it_stands(
    offering: Files, old: str, new: str, stands_in: str, path: str, message: str
) -> None:
    offering.edit("actions/sales.yaml", old, new)
    file, line, told = problem(offering).split(":", 2)
    text = (offering.folder / file).read_text().splitlines()
    assert stands_in in text[int(line) - 1]
    assert told == f" groups.internet.actions.fibre_500.{path}: {message}"


def test_a_mistake_in_a_condition_is_told_by_line_and_column(offering: Files) -> None:
    offering.edit("actions/sales.yaml", "customer.age", "customer.aeg")
    assert "offers.0.when: there is no feature 'customer.aeg'; did you mean 'age'?" in problem(offering)
