"""What a treatment says, with the terms of the offer in it: `{price}` in its texts stands for a term."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

PLACEHOLDER = re.compile(r"(?<!\{)\{([a-z][a-z0-9_]*)\}(?!\})")
"""A name in single braces. Double braces are the channel's own and stay."""

Loc = tuple[str | int, ...]
Term = str | bool | int | float


def placeholders(content: object, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    """Every term that a content names, with the place of the text that does."""
    if isinstance(content, str):
        yield from ((loc, name) for name in PLACEHOLDER.findall(content))
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from placeholders(value, (*loc, key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from placeholders(value, (*loc, index))


@lru_cache(maxsize=8192)
def rendered(content: bytes, terms: bytes) -> bytes:
    """A content with the terms of an offer in it, both JSON objects. A text that is nothing but a placeholder
    becomes the term itself, a number for instance.

    Remembered, so that each offer is written into each treatment once.

    Raises:
        KeyError: the content names a term that is not there.
    """
    known: dict[str, Term] = msgspec.json.decode(terms)
    return msgspec.json.encode(_replaced(msgspec.json.decode(content), lambda text: _filled(text, known)))


def _replaced(content: Any, fill: Callable[[str], Term]) -> Any:
    if isinstance(content, str):
        return fill(content)
    if isinstance(content, dict):
        return {key: _replaced(value, fill) for key, value in content.items()}
    return [_replaced(value, fill) for value in content] if isinstance(content, list) else content


def _filled(text: str, terms: Mapping[str, Term]) -> Term:
    alone = PLACEHOLDER.fullmatch(text)
    if alone:
        return terms[alone[1]]
    return PLACEHOLDER.sub(lambda found: _written(terms[found[1]]), text)


def _written(term: Term) -> str:
    """A term within a text: 40.0 is 40, True is true."""
    if isinstance(term, str):
        return term
    whole = isinstance(term, float) and term.is_integer()
    return msgspec.json.encode(int(term) if whole else term).decode()
