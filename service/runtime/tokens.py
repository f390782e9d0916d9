"""Outcome tokens: signed and self-contained, so that accepting an outcome needs no look-up and no session.

A token is base64url(message + signature): the message is a msgpack array, the signature a keyed BLAKE2b (RFC
7693) of 16 bytes over it.

A decision offers several actions, and a service the same ones time and again: what their grants have in
common is packed once (`packed`), and a token is sealed of packed parts.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

import msgspec

VERSION = 1
SIGNATURE_BYTES = 16
SECRET_BYTES = 32
LEAST_SECRET = 16
MAX_TOKEN = 4096
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_pack = msgspec.msgpack.Encoder().encode


class InvalidToken(ValueError):
    """A token that was not made here, was altered, or is too old; the message says which."""


class Grant(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a token carries: everything that an outcome of this offer has to say. Times are epoch seconds."""

    decision_id: str
    customer: str
    channel: str
    placement: str
    issue: str
    group: str
    action: str
    treatment: str
    rank: int
    propensity: float
    selection_probability: float
    decided_at: float
    expires_at: float
    dry_run: bool = False
    offer: str | None = None
    experiments: dict[str, str] = {}
    account: str | None = None
    basis: tuple[int, float] | None = None
    """The cell whose counts the outcome adds to, and the propensity that was predicted; None: to none."""


_OPENING = bytes([VERSION]) + b"\xdc" + len(Grant.__struct_fields__).to_bytes(2, "big")
"""What every message begins with: its version, and msgpack's header of an array of so many fields."""
_MOST_PACKED = 15
"""Values whose header is one byte long."""


def packed(*fields: object) -> bytes:
    """Some fields of a grant, at most 15, in their order and as they stand in a message."""
    assert len(fields) <= _MOST_PACKED, "the header of more has another length"  # noqa: S101
    return _pack(fields)[1:]


class Signer:
    """Makes and reads tokens with one secret."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < LEAST_SECRET:
            raise ValueError(f"the token secret must have at least {LEAST_SECRET} bytes, not {len(secret)}")
        key = hashlib.blake2b(secret, digest_size=32, person=b"arbiter-token").digest()
        self._keyed = hashlib.blake2b(digest_size=SIGNATURE_BYTES, key=key)
        self._decoder = msgspec.msgpack.Decoder(Grant)

    def sign(self, grant: Grant) -> str:
        """The token of a grant."""
        return self.seal(*(packed(field) for field in msgspec.structs.astuple(grant)))

    def seal(self, *parts: bytes) -> str:
        """The token of the grant whose fields were `packed` in these parts."""
        message = _OPENING + b"".join(parts)
        return _encoded(message + self._signature(message))

    def verify(self, token: str, now: float) -> Grant:
        """The grant of a token.

        Raises:
            InvalidToken: it is malformed, altered, signed with another secret, or expired at `now`.
        """
        if len(token) > MAX_TOKEN:
            raise InvalidToken("is not a token of this service")
        try:
            signed = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise InvalidToken("is not a token of this service") from None
        message, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
        if _encoded(signed) != token or not hmac.compare_digest(signature, self._signature(message)):
            raise InvalidToken("was not signed by this service, or was altered")
        if message[0] != VERSION:
            raise InvalidToken(f"is of version {message[0]}; this service reads version {VERSION}")
        grant = self._decoder.decode(message[1:])
        if now > grant.expires_at:
            raise InvalidToken("has expired")
        return grant

    def _signature(self, message: bytes) -> bytes:
        signature = self._keyed.copy()
        signature.update(message)
        return signature.digest()


def _encoded(signed: bytes) -> str:
    return binascii.b2a_base64(signed, newline=False).translate(_URL_SAFE).rstrip(b"=").decode("ascii")


def kept_secret(folder: Path) -> bytes:
    """The secret kept in a data folder, made at the first call; only its owner may read it."""
    path = folder / "token.secret"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=".token.secret.", dir=folder)
        draft = Path(name)
        with os.fdopen(number, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(number)
        try:
            os.link(draft, path)  # fails where another worker was first: then its secret counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return path.read_bytes()
