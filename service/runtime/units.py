"""Who a request is for, as experiments count: a customer, or their whole account."""

from collections.abc import Sequence

from feature_store.keys import ACCOUNT
from feature_store.store import CustomerRows
from service.decisioning.draws import Keys, keys_of
from service.runtime.requests import DecisionRequest


def account_units(
    requests: Sequence[DecisionRequest], positions: Sequence[int], rows: CustomerRows | None
) -> Keys:
    """A key of the account of each request: the one that it names, or else the one that is stored with its
    customer at that position of a read. Who has none is a unit by themselves."""
    return keys_of(
        [
            request.account_id or _stored(rows, position) or request.customer_key
            for request, position in zip(requests, positions, strict=True)
        ]
    )


def _stored(rows: CustomerRows | None, position: int) -> str | None:
    account = None if rows is None else rows.also[ACCOUNT][position]
    return account.decode() if account else None
