"""Outcome tokens: signed and self-contained, so that accepting an outcome needs no look-up and no session.

A token is base64url(message + signature): the message is a msgpack array, the signature a keyed BLAKE2b (RFC
7693) of 16 bytes over it.
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


class Signer:
    """Makes and reads tokens with one secret."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < LEAST_SECRET:
            raise ValueError(f"the token secret must have at least {LEAST_SECRET} bytes, not {len(secret)}")
        self._key = hashlib.blake2b(secret, digest_size=32, person=b"arbiter-token").digest()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Grant)

    def sign(self, grant: Grant) -> str:
        """The token of a grant."""
        message = bytes([VERSION]) + self._encoder.encode(grant)
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
        return hashlib.blake2b(message, digest_size=SIGNATURE_BYTES, key=self._key).digest()


def _encoded(signed: bytes) -> str:
    return base64.urlsafe_b64encode(signed).decode("ascii").rstrip("=")


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
