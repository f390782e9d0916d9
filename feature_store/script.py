"""Scripts that are sent once and then named by their hash: the text of a long one takes the server longer to
read than to run."""

import hashlib
from collections.abc import Sequence
from typing import Any

from feature_store.client import Client, Command

_UNKNOWN = "NOSCRIPT "


class Script:
    """A script of one key."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._hash = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def call(self, key: bytes, *arguments: object) -> Command:
        """The command that runs it where it is known."""
        return ("EVALSHA", self._hash, 1, key, *arguments)

    def told(self, call: Command) -> Command:
        """The command that runs it anywhere, and makes it known there."""
        return ("EVAL", self._text, *call[2:])


async def run_calls(
    client: Client,
    script: Script,
    calls: Sequence[Command],
    before: Sequence[Command] = (),
    within: float | None = None,
) -> list[Any]:
    """The replies to calls of a script, in one round trip with the commands `before` them, whose replies come
    first; a server that has not met the script is told it. `within`, in seconds, stands in for the client's
    own.

    Raises:
        StoreUnavailable: see `Client.run`.
    """
    replies = await client.run([*before, *calls], within)
    strangers = [row for row, reply in enumerate(replies) if _is_stranger(reply)]
    if strangers:
        again = await client.run([script.told(calls[row - len(before)]) for row in strangers], within)
        for row, reply in zip(strangers, again, strict=True):
            replies[row] = reply
    return replies


def _is_stranger(reply: Any) -> bool:
    return isinstance(reply, Exception) and str(reply).startswith(_UNKNOWN)
