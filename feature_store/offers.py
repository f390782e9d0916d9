"""Offers that were made to a customer, as they are kept with them: one per action, until it is over.

A record begins with what the server needs to know of it (see `scripts.KEEP_OFFERS`): until when it holds (a
double), how long the action's name and the rest are (2 and 4 bytes), and the name. The rest is MessagePack.
"""

import math
import struct
from collections.abc import Sequence

import msgspec

FIELD = b"o"
"""Of the customer's hash."""

_HEAD = struct.Struct("<dHI")


class KeptOffer(msgspec.Struct, frozen=True, kw_only=True):
    """An offer that was made: of which action, on which terms (a JSON object), until when it holds, and by
    which decision. Times are epoch seconds; `valid_until` is exclusive."""

    action: str
    name: str
    terms: bytes
    valid_until: float
    made_at: float
    decision_id: str
    channel: str

    def record(self) -> bytes:
        """Its record in the customer's hash."""
        action = self.action.encode()
        rest = _encoder.encode((self.name, self.terms, self.made_at, self.decision_id, self.channel))
        return _HEAD.pack(self.valid_until, len(action), len(rest)) + action + rest


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[str, bytes, float, str, str])


def pack_offers(offers: Sequence[KeptOffer]) -> bytes:
    """Offers as records, one behind the other."""
    return b"".join(offer.record() for offer in offers)


def unpack_offers(blob: bytes | None, after: float = -math.inf) -> list[KeptOffer]:
    """The offers of one customer that hold after a time, all of them if none is named; what is no record ends
    the list."""
    if not blob:
        return []
    offers: list[KeptOffer] = []
    at = 0
    while at + _HEAD.size <= len(blob):
        valid_until, name_size, rest_size = _HEAD.unpack_from(blob, at)
        name_at = at + _HEAD.size
        rest_at = name_at + name_size
        at = rest_at + rest_size
        if valid_until > after:
            try:
                action = blob[name_at:rest_at].decode()
                name, terms, made_at, decision_id, channel = _decoder.decode(blob[rest_at:at])
            except (UnicodeDecodeError, msgspec.DecodeError):
                break
            offers.append(
                KeptOffer(
                    action=action,
                    name=name,
                    terms=terms,
                    valid_until=valid_until,
                    made_at=made_at,
                    decision_id=decision_id,
                    channel=channel,
                )
            )
    return offers
