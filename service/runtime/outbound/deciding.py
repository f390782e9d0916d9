"""What answers are made of: the table alone, or the table and the store."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.draws import keys_of
from service.decisioning.pipeline import decide
from service.runtime.outbound.answers import Answers
from service.runtime.outbound.customers import Customers
from service.runtime.population import Audience, rows_at_a_time

Accounts = list[str | None]


class Decides(Protocol):
    """Decides for customers, however many."""

    def collect(self, customers: Customers, answers: Answers) -> Accounts:
        """Add the answers for all of them, by their numbers. Returns for each the account for which contacts
        count, too.

        Raises:
            OutboundError: there is something missing that will be there another time.
        """


class ByTable:
    """Decides by what the table says: nothing is known of anybody's contacts, consents and promises, and
    volume limits are not counted."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience

    def collect(self, customers: Customers, answers: Answers) -> Accounts:
        """See `Decides`."""
        snapshot = self._audience.snapshot
        for numbers, some in batches(customers, self._audience):
            answers.add(decide(snapshot, requests(some, self._audience)), numbers)
        return customers.accounts if snapshot.contact.reads_accounts else [None] * len(customers)


def batches(customers: Customers, audience: Audience) -> Iterator[tuple[NDArray[np.intp], Customers]]:
    """As many customers as are decided for at once, with their numbers; once, if there are none."""
    size = rows_at_a_time([audience.snapshot])
    for first in range(0, max(len(customers), 1), size):
        some = customers.some(slice(first, first + size))
        yield np.arange(first, first + len(some)), some


def requests(customers: Customers, audience: Audience) -> Batch:
    """Customers as requests of which nothing is known but their features, their ids and their accounts."""
    snapshot, experiments = audience.snapshot, audience.snapshot.experiments
    owners = [account or id_ for account, id_ in zip(customers.accounts, customers.ids, strict=True)]
    return replace(
        audience.batch(customers.X),
        seeds=customers.seeds if snapshot.leaves_to_chance else None,
        units=keys_of(customers.ids) if experiments.needs_units else None,
        account_units=keys_of(owners) if experiments.needs_accounts else None,
    )
