"""Tokens for the answers of a run: whoever was sent something can report what became of it."""

import msgspec
import numpy as np

from service.runtime.outbound.answers import NOTHING, Answers
from service.runtime.outbound.customers import Customers
from service.runtime.outbound.order import Order
from service.runtime.tokens import Signer, packed

NAMED = ("channel", "placement", "issue", "group", "action", "treatment")


def signed(
    signer: Signer, order: Order, customers: Customers, accounts: list[str | None], answers: Answers
) -> list[str | None]:
    """A token for each chosen action; None in the rows of what stays empty. Its parts are packed in the order
    of a grant's fields; what says the same as before is packed once."""
    columns = answers.columns
    tokens: list[str | None] = [None] * len(columns["customer"])
    picked = np.flatnonzero(columns["action"] != NOTHING)
    texts = [
        (columns[name][picked].tolist(), [packed(text) for text in answers.texts(name)]) for name in NAMED
    ]
    offers = [*(packed(offer) for offer in answers.texts("offer")), packed(None)]
    arms = [packed(msgspec.json.decode(told)) for told in answers.texts("experiments")]
    when = packed(order.at, order.at + (order.token_seconds or 0.0), False)
    numbers = ("customer", "rank", "propensity", "selection_probability", "offer", "experiments")
    entries = zip(*(columns[name][picked].tolist() for name in numbers), strict=True)
    said = zip(*([names[position] for position in positions] for positions, names in texts), strict=True)
    for place, (customer, rank, p, probability, offer, arm), words in zip(
        picked.tolist(), entries, said, strict=True
    ):
        tokens[place] = signer.seal(
            packed(customers.decisions[customer], customers.ids[customer]),
            *words,
            packed(rank, p, probability),
            when,
            offers[offer],
            arms[arm],
            packed(accounts[customer], None),
        )
    return tokens
