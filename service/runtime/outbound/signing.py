"""Tokens for the answers of a run: whoever was sent something can report what became of it."""

import msgspec
import numpy as np

from service.runtime.outbound.answers import NOTHING, Answers
from service.runtime.outbound.customers import Customers
from service.runtime.outbound.order import Order
from service.runtime.tokens import Grant, Signer

TEXTS = ("channel", "placement", "issue", "group", "action", "treatment")


def signed(
    signer: Signer, order: Order, customers: Customers, accounts: list[str | None], answers: Answers
) -> list[str | None]:
    """A token for each chosen action; None in the rows of what stays empty."""
    columns, expires_at = answers.columns, order.at + (order.token_seconds or 0.0)
    tokens: list[str | None] = [None] * len(columns["customer"])
    texts = {name: answers.texts(name) for name in (*TEXTS, "offer")}
    arms = [msgspec.json.decode(told, type=dict[str, str]) for told in answers.texts("experiments")]
    picked = np.flatnonzero(columns["action"] != NOTHING)
    named = ("customer", *TEXTS, "experiments", "offer", "rank", "propensity", "selection_probability")
    values = {name: columns[name][picked].tolist() for name in named}
    for pick, place in enumerate(picked.tolist()):
        customer, offer = values["customer"][pick], values["offer"][pick]
        tokens[place] = signer.sign(
            Grant(
                decision_id=customers.decisions[customer],
                customer=customers.ids[customer],
                account=accounts[customer],
                rank=values["rank"][pick],
                propensity=values["propensity"][pick],
                selection_probability=values["selection_probability"][pick],
                decided_at=order.at,
                expires_at=expires_at,
                offer=None if offer == NOTHING else texts["offer"][offer],
                experiments=arms[values["experiments"][pick]],
                **{name: texts[name][values[name][pick]] for name in TEXTS},
            )
        )
    return tokens
