"""The guides, followed word by word: what they show is what comes back."""

from pathlib import Path

import pytest

from .markdown import Block, blocks
from .reader import Reader

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "guides"
CHAPTERS = sorted(GUIDES.glob("[0-9]*.md"))
GROUND = 2
"""The chapters that build the shop; the others begin with the shop as these leave it."""
LONGEST = 250
"""Lines of a page that somebody still reads to its end."""


def builds(block: Block) -> bool:
    """Whether a block of the first chapters is a part of the shop, and not only looks at it."""
    return block.language in ("yaml", "csv") or block.text.startswith(("$ arbiter load", "PUT "))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_following_a_chapter_shows_what_it_shows(
    chapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = CHAPTERS[: min(CHAPTERS.index(chapter), GROUND)]
    with Reader(tmp_path, monkeypatch) as reader:
        for block in (block for page in before for block in blocks(page) if builds(block)):
            reader.do(block)
        for block in blocks(chapter):
            reader.do(block)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_begins_with_a_question_and_shows_answers(chapter: Path) -> None:
    text = chapter.read_text(encoding="utf-8")
    title, question = text.split("\n\n")[:2]
    assert title.startswith(f"# {int(chapter.stem[:2])}. ")
    assert question.startswith("> ")
    assert "?" in question
    assert any(block.language in ("console", "http") for block in blocks(chapter))
    assert text.count("\n") <= LONGEST


def test_the_list_of_chapters_names_them_all_in_order() -> None:
    listed = (GUIDES / "README.md").read_text(encoding="utf-8")
    places = [listed.index(f"]({chapter.name})") for chapter in CHAPTERS]
    assert places == sorted(places)
