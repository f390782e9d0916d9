"""What happened to an action that was shown: as it is recorded and logged."""

from collections.abc import Sequence

import msgspec

from feature_store import history

OUTCOME_LOG = "arb:outcomes"
OUTCOME_ID_BYTES = 16


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome of one shown action. Times are epoch seconds.

    `outcome_id`, 16 bytes, is what it is counted once by, remembered until `expires_at`.
    """

    outcome_id: bytes
    customer_id: str
    decision_id: str
    outcome: str
    channel: str
    placement: str
    issue: str
    group: str
    action: str
    treatment: str
    rank: int
    propensity: float
    selection_probability: float
    value: float | None
    occurred_at: float
    expires_at: float
    account_id: str | None = None
    predicted: float | None = None
    """The propensity before it was corrected by outcomes; None where it does not follow any."""
    offer: str | None = None
    """The name of the offer that the action was made on."""
    experiments: dict[str, str] = {}
    """The arm of each experiment that the customer took part in when the action was chosen."""

    def record(self) -> bytes:
        """Its record in the contact history."""
        return history.pack(
            self.occurred_at,
            self.value,
            self.outcome,
            self.channel,
            self.issue,
            self.group,
            self.action,
            self.treatment,
        )


_decoder = msgspec.msgpack.Decoder(list[Outcome])


def pack_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """Outcomes as one entry of the log: MessagePack."""
    return msgspec.msgpack.encode(list(outcomes))


def unpack_outcomes(entry: bytes) -> list[Outcome]:
    """The outcomes of one entry of the log.

    Raises:
        msgspec.DecodeError: the bytes are no such entry.
    """
    return _decoder.decode(entry)
