"""Requests as bytes, told apart without a parser."""

import re
from functools import lru_cache

MOST_HEAD = 2048
"""Bytes of a head; of one that is longer nothing is said."""
HEADS = 256
"""Heads that are remembered: a client sends the same ones time and again."""

_NOTHING = -1
_LENGTH = re.compile(rb"\r\ncontent-length: ?(\d{1,9})(?=\r\n)", re.IGNORECASE)
_UNUSUAL = re.compile(
    rb"(?<!\r)\n|\r(?!\n)|\r\n(?:[ \t]|connection|expect|transfer-encoding|upgrade"
    rb"|content-length(?!: ?\d+\r\n)|content-type(?!: ?application/json *[\r;]))",
    re.IGNORECASE,
)
"""Lines that end otherwise or go on, and headers that say more than that a body is JSON of a size."""


def is_whole(data: bytes, opening: bytes, most: int) -> bool:
    """Whether these bytes are one request with this first line, all of it and nothing else, and as plain as
    can be: a body of at most so many bytes that is said to be JSON, if anything, and a connection that stays.
    Whatever is in doubt is not."""
    if not data.startswith(opening):
        return False
    end = data.find(b"\r\n\r\n", 0, MOST_HEAD) + 4
    return end > len(opening) and _body_said(data[:end]) == len(data) - end <= most


@lru_cache(HEADS)
def _body_said(head: bytes) -> int:
    """The bytes of the body, where a head, up to the empty line, is plain and says it."""
    lengths = _LENGTH.findall(head)
    if len(lengths) != 1 or _UNUSUAL.search(head, 0, len(head) - 2):
        return _NOTHING
    return int(lengths[0])
