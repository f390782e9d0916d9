"""The README: what it tells to type works, and what it shows comes back."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.cli.main import app

from .markdown import Block, blocks, commands, curl_request
from .matching import differences, offers

NOT_RUN = ("make", "docker")
"""What sets up or needs more than a test has."""
SERVES = ("run", "serve")
"""What does not end by itself: whether it can be given like this is tested elsewhere."""


@pytest.fixture
def readme(root: Path) -> list[Block]:
    return blocks(root / "README.md", "sh", "json")


def test_each_request_is_answered_as_shown(readme: list[Block], client: httpx.Client) -> None:
    answer: Any = None
    tokens: dict[str, str] = {}
    compared = 0
    for block in readme:
        if block.language == "json":
            shown = json.loads(block.text)
            assert list(differences(shown, answer)) == [], f"{block} shows something else than {answer}"
            pairs = zip(offers(shown), offers(answer), strict=True)
            tokens |= {told["token"]: real["token"] for told, real in pairs}
            compared += 1
            continue
        for words, _ in commands(block):
            if words[0] == "curl":
                request = curl_request(words)
                body = request.body
                for told, real in tokens.items():
                    body = body.replace(told, real)
                headers = {"content-type": "application/json"} if body else {}
                response = client.request(request.method, request.path, content=body, headers=headers)
                assert response.is_success, f"{block}: {response.text}"
                answer = response.json()
    assert compared == 2


def test_the_commands_do_what_they_are_there_for(
    readme: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = []
    for block in (block for block in readme if block.language == "sh"):
        for words, _ in commands(block):
            if words[0] in (*NOT_RUN, "curl") or words[1] in SERVES:
                continue
            assert words[0] == ".venv/bin/arbiter", f"{block}: {words}"
            result = CliRunner().invoke(app, words[1:])
            assert result.exit_code == 0, f"{block}: {words}: {result.output}"
            ran.append(words[1])
    assert ran == ["world", "validate"]


def test_every_make_command_is_a_target(root: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in (root / "README.md", *root.glob("docs/**/*.md")):
        told = set(re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert told <= targets, page


def test_every_folder_of_the_map_is_there(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8").partition("## Find your way")[2]
    folders = [name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in row.split(", ")]
    assert len(folders) >= 10
    for name in folders:
        assert (root / name.strip("`")).is_dir(), name


def test_the_figures_stand_between_their_marks(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    for mark in ("hillstrom", "figures"):
        assert re.search(rf"^<!-- {mark} -->\n.+\n<!-- /{mark} -->$", text, re.DOTALL | re.MULTILINE), mark
