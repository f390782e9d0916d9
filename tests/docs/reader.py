"""Somebody who does what a guide tells: writes files, gives commands, calls the service, and compares."""

import contextlib
import re
import shutil
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from feature_store.embedded import EmbeddedStore
from service.app import create_app
from service.cli.console import out
from service.cli.main import app
from service.settings import Settings
from tests.service.conftest import listening

from .markdown import Block, commands, http_answer, http_request
from .matching import differences, offers

SHOP = "bookshop"
WIDTH = 100
"""Characters of a line that commands print on."""
_FILE = re.compile(r"# (?P<part>in )?(?P<name>\S+\.(?:yaml|csv))\n")
_AT = re.compile(r"at (\S+)")


class Reader:
    """Works in an empty folder, with a store of their own, and a service once a page calls one.

    A file is written where the first line of its block says: `# bookshop/features.yaml`. With `# in
    bookshop/features.yaml` the block is a part of that file: it is added, in place of what stands there under
    the same keys. A block with `at 2031-03-03T19:30:00Z` behind its language happens at that time. `TOKEN` in
    a request is the token of the first action that was offered last, `DECISION_ID` in a command the decision.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder, self._patch = folder, patch
        self._ends, self._serving = contextlib.ExitStack(), contextlib.ExitStack()
        self._client: httpx.Client | None = None
        self._changed = False
        self._answer: httpx.Response | None = None
        self._token = self._decision_id = ""

    def __enter__(self) -> Self:
        self._patch.chdir(self._folder)
        self._patch.setattr(out, "width", WIDTH)
        store = self._ends.enter_context(EmbeddedStore(self._folder / "store"))
        self._patch.setenv("ARBITER_REDIS_URL", store.url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serving.close()
        self._ends.close()

    def do(self, block: Block) -> None:
        """What a block tells, or a comparison with what it shows."""
        moment = _AT.fullmatch(block.info)
        if moment is not None:
            now = datetime.fromisoformat(moment[1]).timestamp()
            self._patch.setattr("time.time", lambda: now)
            self._patch.setattr("service.clock._source", lambda: now)
        match block.language:
            case "yaml" | "csv":
                self._write(block)
            case "console":
                self._command(block)
            case "http" if block.text.startswith("HTTP/"):
                self._compare(block)
            case "http":
                self._call(block)

    def _write(self, block: Block) -> None:
        head = _FILE.match(block.text)
        assert head is not None, f"{block}: its first line must name the file"
        path = self._folder / head["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        text = block.text
        if head["part"]:
            before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
            text = yaml.safe_dump(merged(before, yaml.safe_load(text)), sort_keys=False, allow_unicode=True)
        elif path.suffix == ".csv":
            text = text[head.end() :]
        path.write_text(text, encoding="utf-8")
        self._changed = True

    def _command(self, block: Block) -> None:
        for words, shown in commands(block):
            if words[0] == "cp":
                _, _, source, copy = words
                shutil.copytree(source, copy)
                continue
            assert words[0] == "arbiter", f"{block}: {words[0]} is not run here"
            lines = self._printed(words[1:])
            pattern = ".*".join(map(re.escape, shown.strip().split("...")))
            assert re.fullmatch(pattern, lines, re.DOTALL), f"{block} prints something else:\n{lines}"

    def _stop(self) -> None:
        """End the service; what is still to be recorded is, before it ends."""
        self._serving.close()
        self._client = None

    def _printed(self, words: list[str]) -> str:
        if words[0] == "explain":
            words = [*words, "--url", str(self._service().base_url)]
        elif words[0] == "replay":
            words = [word.replace("DECISION_ID", self._decision_id) for word in words]
            self._stop()
        printed = CliRunner().invoke(app, words).output
        if self._decision_id:
            printed = printed.replace(self._decision_id, "DECISION_ID")
        return "\n".join(line.rstrip() for line in printed.strip().splitlines())

    def _call(self, block: Block) -> None:
        request = http_request(block.text)
        body = request.body.replace("TOKEN", self._token)
        headers = {"content-type": "application/json"} if body else {}
        self._answer = self._service().request(request.method, request.path, content=body, headers=headers)
        if request.path == "/v1/decisions" and self._answer.is_success:
            self._decision_id = self._answer.json()["decision_id"]
            self._token = next((offer["token"] for offer in offers(self._answer.json())), self._token)

    def _compare(self, block: Block) -> None:
        status, shown = http_answer(block.text)
        assert self._answer is not None, f"{block} answers nothing"
        assert self._answer.status_code == status, f"{block}: {self._answer.text}"
        real: Any = self._answer.json() if self._answer.content else None
        found = list(differences(shown, real, exact=True))
        assert found == [], f"{block} shows something else than {self._answer.text}"

    def _service(self) -> httpx.Client:
        """A client of the running service, which has read the files as they are now."""
        if self._client is None:
            settings = Settings(
                workspace=self._folder / SHOP,
                data=self._folder / "data",
                replay_share=1.0,
                deadline_ms=10_000,  # a busy test machine must not degrade decisions
            )
            url = self._serving.enter_context(listening(create_app(settings)))
            self._client = self._serving.enter_context(httpx.Client(base_url=url, timeout=30))
        elif self._changed:
            assert self._client.post("/v1/admin/reload").is_success
        self._changed = False
        return self._client


def merged(before: Any, part: Any) -> Any:
    """`part` in place of what `before` has under the same keys."""
    if isinstance(before, dict) and isinstance(part, dict):
        return before | {key: merged(before.get(key), value) for key, value in part.items()}
    return part
