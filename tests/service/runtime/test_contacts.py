"""The contacts of a batch are the contacts of each of its requests."""

import numpy as np
import pytest

from feature_store.contacts import FIELDS, RESERVATION, Kept
from feature_store.history import MAX_RECORDS, RECORD, pack
from feature_store.keys import account_key, customer_key
from feature_store.store import CustomerRows
from service.decisioning.touches import Touches
from service.runtime.contacts import BatchContacts, touches_of
from service.runtime.requests import DecisionRequest


def touch(time: float) -> bytes:
    return pack(time, None, "impression", "web", "sales", "internet", "fibre", "hero")


def reservation(time: float, expires: float) -> bytes:
    record = np.frombuffer(touch(time), RECORD)[0]
    return np.array([(b"\1" * 16, expires, record)], RESERVATION).tobytes()


KEPT = [
    Kept(touch(1.0) + touch(2.0), None, b"2"),
    Kept(),
    Kept(None, reservation(3.0, 9.0), b"1"),
    None,
    Kept(b"".join(touch(5.0 + number) for number in range(MAX_RECORDS)), reservation(4.0, 8.0), b"7"),
]
"""What is kept of customers c0, c1...; None where it could not be read."""


def read(
    *kept: Kept | None, account_ids: tuple[str | None, ...] = (), accounts: tuple[Kept | None, ...] = ()
) -> CustomerRows:
    known = [one or Kept() for one in kept]
    nothing = np.zeros(len(kept), bool)
    return CustomerRows(
        X=np.empty((len(kept), 0)),
        known=nothing,
        assembled_at=np.empty(len(kept)),
        incomplete=nothing,
        also=dict(zip(FIELDS, zip(*known, strict=True), strict=True)),
        unread=np.array([one is None for one in kept]),
        account_ids=account_ids,
        accounts=accounts,
    )


def request(number: int, account_id: str | None = None) -> DecisionRequest:
    return DecisionRequest(channel="web", customer_id=f"c{number}", account_id=account_id)


def as_lists(touches: Touches | None) -> list[object]:
    assert touches is not None
    columns = (touches.records, touches.rows, touches.expires, touches.since)
    return [column.tobytes() for column in columns]


@pytest.mark.parametrize("positions", [[0, 1, 2, 3, 4], [1, 2, 4], [0, 1]])
def test_a_batch_has_the_contacts_of_its_requests(positions: list[int]) -> None:
    rows = read(*KEPT).take(positions)
    contacts = BatchContacts([request(number) for number in positions], rows, False)
    assert as_lists(contacts.of_customers()) == as_lists(touches_of([KEPT[number] for number in positions]))
    for row, number in enumerate(positions):
        assert contacts[row].customer == KEPT[number]
        assert contacts[row].customer_key == contacts[row].account_key == customer_key(f"c{number}")


def test_contacts_know_from_when_on_they_are_complete_and_until_when_they_count() -> None:
    touches = BatchContacts([request(n) for n in range(5)], read(*KEPT), False).of_customers()
    assert touches is not None
    assert touches.since.tolist() == [-np.inf, -np.inf, -np.inf, np.inf, 5.0]
    assert touches.rows.tolist() == [0, 0, *[4] * MAX_RECORDS, 2, 4]
    assert touches.expires[-2:].tolist() == [9.0, 8.0]
    assert np.isinf(touches.expires[:-2]).all()
    assert touches.records["time"][-2:].tolist() == [3.0, 4.0]


def test_nobody_who_was_ever_addressed_needs_no_columns() -> None:
    assert BatchContacts([request(0)], read(Kept()), False).of_customers() is None


def test_of_a_read_that_failed_nothing_is_known() -> None:
    contacts = BatchContacts([request(0, "a"), request(1)], None, True)
    touches = contacts.of_customers()
    assert touches is not None
    assert touches.since.tolist() == [np.inf, np.inf]
    assert contacts.account_ids == ["a", None]
    assert (contacts[0].customer, contacts[0].account) == (None, None)
    assert contacts[0].account_key == account_key("a")


def test_who_has_no_account_is_one_by_themselves() -> None:
    rows = read(KEPT[0], KEPT[1], account_ids=(None, "a"), accounts=(None, KEPT[2]))
    contacts = BatchContacts([request(0), request(1)], rows, True)
    assert contacts[0].account == KEPT[0]
    assert contacts[0].account_key == customer_key("c0")
    assert contacts[1].account == KEPT[2]
    assert as_lists(contacts.of_accounts()) == as_lists(touches_of([KEPT[0], KEPT[2]]))
