"""The examples of a Markdown page: its fenced blocks, and what stands in them."""

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCED = re.compile(r"^```(?P<language>\w*)(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block, and where it stands; `info` is what follows the language."""

    page: str
    line: int
    language: str
    text: str
    info: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Request:
    """An HTTP request as a page shows it."""

    method: str
    path: str
    body: str = ""


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page, in order; with `languages`, those alone."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(
            page.name,
            text.count("\n", 0, match.start()) + 1,
            match["language"],
            match["text"],
            match["info"].strip(),
        )
        for match in _FENCED.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def named_file(block: Block) -> str | None:
    """The file that a block is, by its first line: `# shop/features.yaml`."""
    first = re.match(r"# (\S+\.(?:yaml|csv))\n", block.text)
    return first[1] if first else None


def http_request(text: str) -> Request:
    """`POST /path`, then, after an empty line, the body."""
    head, _, body = text.partition("\n\n")
    method, path = head.split("\n")[0].split()
    return Request(method, path, body.strip())


def http_answer(text: str) -> tuple[int, Any]:
    """The status and the JSON of `HTTP/1.1 200 OK`, with the body after an empty line; None without one."""
    head, _, body = text.partition("\n\n")
    return int(head.split()[1]), json.loads(body) if body.strip() else None


def commands(block: Block) -> Iterator[tuple[list[str], str]]:
    """The commands of a shell block with what each prints. In a `console` block a command follows a `$ `."""
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            yield shlex.split(line, comments=True), output
    else:
        for words in _shell_commands(text):
            yield words, ""


def _shell_commands(text: str) -> Iterator[list[str]]:
    """The words of each command; one goes on over lines while a quotation is open."""
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:
            continue
        pending = ""
        if words:
            yield words
    assert not pending, f"a quotation is not closed: {pending}"


def curl_request(words: list[str]) -> Request:
    """What a curl command sends. Only what the pages use is known; anything else ends the test."""
    parser = argparse.ArgumentParser(prog="curl", exit_on_error=False)
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body", default="")
    parser.add_argument("url")
    given = parser.parse_args(words[1:])
    if given.body:
        assert given.headers == ["content-type: application/json"], given.headers
    path = given.url.removeprefix("http://127.0.0.1:8080")
    assert path.startswith("/"), f"{given.url} is not where `make run` serves"
    return Request(given.method or ("POST" if given.body else "GET"), path, given.body)
