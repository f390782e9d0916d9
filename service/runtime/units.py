"""Who a request is for, as experiments count: a customer, or their whole account."""

from collections.abc import Sequence

import numpy as np

from feature_store.keys import ACCOUNT
from feature_store.store import CustomerRows
from service.decisioning.draws import UNKNOWN, Keys, key_of
from service.runtime.requests import DecisionRequest


def account_units(requests: Sequence[DecisionRequest], rows: CustomerRows | None) -> Keys:
    """A key of the account of each request: the one that it names, or else the one that is stored with its
    customer in `rows`. Who has none is a unit by themselves. Where nothing could be read it
    is not known: an arm that was guessed would be another one than at the next visit."""
    return np.array(
        [
            key_of(request.account_id) if request.account_id else _stored(rows, row, request)
            for row, request in enumerate(requests)
        ],
        dtype=np.uint64,
    )


def _stored(rows: CustomerRows | None, row: int, request: DecisionRequest) -> int:
    if rows is None or rows.unread[row]:
        return int(UNKNOWN)
    account = rows.also[ACCOUNT][row]
    return key_of(account.decode() if account else request.customer_key)
