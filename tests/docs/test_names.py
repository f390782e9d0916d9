"""What the pages name exists: files, sections, settings, metrics, commands."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from service.cli import reference
from service.cli.main import app
from service.settings import Settings

from .markdown import blocks, commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), ROOT / "deploy" / "README.md"]
EXAMPLE_OWN = {"ARBITER_DATA_DIR"}
"""Variables that are not the service's: where the trial of examples/hillstrom keeps its data."""


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(params=PAGES, ids=named)
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            yield target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        found = (page.parent / path) if path else page
        assert found.exists(), f"{named(page)} links to {target}"
        assert not anchor or anchor in anchors(found), f"{named(page)} links to {target}"


def test_settings_are_real(page: Path) -> None:
    known = {f"ARBITER_{name.upper()}" for name in Settings.model_fields} | EXAMPLE_OWN
    assert set(re.findall(r"ARBITER_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8"))) <= known


def test_metrics_are_real(page: Path) -> None:
    known = set(re.findall(r"^\| `(\w+)`", reference.metrics_table(), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\barbiter_[a-z_]+", text)}
    assert told <= known


def test_commands_can_be_given_as_they_stand(page: Path) -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    for block in blocks(page, "sh", "console"):
        for words, _ in commands(block):
            if words[0].endswith("arbiter"):
                assert words[1] in known, f"{block}: {words}"
                known[words[1]].make_context(words[1], list(words[2:])).close()
