"""By whom experiments count."""

import numpy as np

from feature_store.customer import CustomerRows
from feature_store.keys import ACCOUNT
from service.decisioning.draws import UNKNOWN, key_of
from service.runtime.requests import DecisionRequest
from service.runtime.units import account_units

REQUESTS = [
    DecisionRequest(customer_id="ada", channel="web", account_id="lovelace"),
    DecisionRequest(customer_id="bob", channel="web"),
    DecisionRequest(customer_id="eve", channel="web"),
]


def rows(*, unread: bool) -> CustomerRows:
    """What is stored: Bob belongs to an account, Eve to none; or nothing that could be read."""
    nothing, nobody = np.full(3, np.nan), np.zeros(3, np.bool_)
    accounts = [None] * 3 if unread else [b"byron", b"byron", None]
    return CustomerRows(
        nothing[:, None], nobody, nothing, nobody, also={ACCOUNT: accounts}, unread=np.full(3, unread)
    )


def test_the_account_is_the_one_that_a_request_names_or_else_the_stored_one_or_else_the_customer() -> None:
    found = account_units(REQUESTS, rows(unread=False))
    assert found.tolist() == [key_of("lovelace"), key_of("byron"), key_of("eve")]


def test_an_account_that_can_not_be_read_is_not_guessed() -> None:
    expected = [key_of("lovelace"), UNKNOWN, UNKNOWN]
    assert account_units(REQUESTS, None).tolist() == expected
    assert account_units(REQUESTS, rows(unread=True)).tolist() == expected
