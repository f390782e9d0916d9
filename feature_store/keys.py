"""Where what belongs to one customer, or to one account, is kept. The braces make the id the hash tag in a
cluster, so that everything of one lies on one node.
"""

from collections.abc import Sequence

ANONYMOUS_PREFIX = "anonymous:"
"""Visitors are kept beside customers under this prefix, which no customer_id may have."""


def customer_or_visitor(customer_id: str | None, anonymous_id: str | None) -> str:
    """The store's id of a customer, or of a visitor who is not known yet."""
    return customer_id if customer_id is not None else f"{ANONYMOUS_PREFIX}{anonymous_id}"


def customer_key(customer_id: str) -> bytes:
    """The key of a customer's hash."""
    return b"arb:{%b}" % customer_id.encode("utf-8", "surrogatepass")


def customer_keys(customer_ids: Sequence[str]) -> list[bytes]:
    """The keys of many customers."""
    return [b"arb:{%b}" % customer_id.encode("utf-8", "surrogatepass") for customer_id in customer_ids]


def customer_of(key: bytes) -> str:
    """Whose key it is."""
    return key[len(b"arb:{") : -len(b"}")].decode("utf-8", "surrogatepass")


def account_key(account_id: str) -> bytes:
    """The key of an account's hash: the contact history of all its customers."""
    return b"arb:account:{%b}" % account_id.encode("utf-8", "surrogatepass")


HISTORY, RESERVATIONS, REVISION, ACCOUNT = b"h", b"r", b"n", b"a"
"""Fields: records of contacts, reservations, how often these two were changed, and the customer's account."""
