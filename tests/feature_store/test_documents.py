from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from feature_store.documents import Document, Problem, WorkspaceError, did_you_mean, load_document, parse

MEAN = "; did you mean '%s'?"


class Placement(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = 1
    sizes: list[int] = []


class Channel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    direction: Literal["inbound", "outbound"]
    placements: dict[str, Placement] | None = None
    opened: str = Field(default="", alias="from")

    @field_validator("opened")
    @classmethod
    def not_never(cls, opened: str) -> str:
        if opened == "never":
            raise ValueError("a channel must open some day")
        return opened


class Channels(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channels: dict[str, Channel]


def document(tmp_path: Path, text: str) -> Document:
    path = tmp_path / "channels.yaml"
    path.write_text(text)
    return load_document(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(WorkspaceError) as caught:
        parse(document(tmp_path, text), Channels)
    return str(caught.value).splitlines()


def test_a_good_file_becomes_its_model(tmp_path: Path) -> None:
    text = "channels:\n  web:\n    direction: inbound\n    placements:\n      hero: {limit: 2}\n"
    channels = parse(document(tmp_path, text), Channels).channels
    assert channels["web"].placements == {"hero": Placement(limit=2)}


def test_the_line_of_a_part_is_known_and_of_what_is_not_there_its_parents(tmp_path: Path) -> None:
    found = document(tmp_path, "a:\n  b:\n    - 1\n    - c: 2\n")
    assert [found.line(loc) for loc in [("a",), ("a", "b", 0), ("a", "b", 1, "c"), ("a", "x", "y"), ()]] == [
        1,
        3,
        4,
        1,
        1,
    ]


def test_every_problem_is_reported_with_its_line_and_path(tmp_path: Path) -> None:
    text = (
        "channels:\n"
        "  web:\n"
        "    direction: inbond\n"
        "    placements:\n"
        "      hero: {limt: 2}\n"
        "      tiles:\n"
        "        limit: many\n"
        "        sizes: [1, big]\n"
        "  push:\n"
        "    from: never\n"
    )
    web = "channels.web.placements"
    assert problems(tmp_path, text) == [
        "channels.yaml:3: channels.web.direction: must be 'inbound' or 'outbound', not 'inbond'"
        + MEAN % "inbound",
        f"channels.yaml:5: {web}.hero.limt: is not a known key here (limit, sizes)" + MEAN % "limit",
        f"channels.yaml:7: {web}.tiles.limit: must be a valid integer, not 'many'",
        f"channels.yaml:8: {web}.tiles.sizes.1: must be a valid integer, not 'big'",
        "channels.yaml:9: channels.push: 'direction' is missing",
        "channels.yaml:10: channels.push.from: a channel must open some day",
    ]


def test_a_word_that_yaml_takes_for_something_else_must_be_quoted(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, "channels:\n  web: {direction: inbound, from: no}\n")
    assert problem.endswith("must be a valid string, not False (put it in quotes)")


def test_an_empty_file_lacks_what_is_required(tmp_path: Path) -> None:
    assert problems(tmp_path, "# nothing yet\n") == ["channels.yaml:1: 'channels' is missing"]


def test_a_key_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    assert problems(tmp_path, "channels:\n  web: {}\n  push: {}\n  web: {}\n") == [
        "channels.yaml:4: channels.web: stands here for the second time, first in line 2"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1,\nb: 2\n", "channels.yaml:3: not YAML: "),
        (
            "a: !!python/object/apply:os.getcwd []\n",
            "channels.yaml:1: not YAML: could not determine",
        ),
        ("a: 2026-02-30\n", "channels.yaml: not YAML: day is out of range for month"),
        ("a: 1\n---\nb: 2\n", "channels.yaml:2: not YAML: expected a single document"),
        ("{[1]: 2}\n", "channels.yaml:1: not YAML: while constructing a mapping found unhashable key"),
    ],
)
def test_what_is_not_plain_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(WorkspaceError) as caught:
        document(tmp_path, text)
    assert str(caught.value).startswith(message)


def test_an_alias_to_its_own_parent_does_no_harm(tmp_path: Path) -> None:
    assert problems(tmp_path, "channels: &all\n  web: *all\n")


def test_merged_mappings_are_understood(tmp_path: Path) -> None:
    text = "channels:\n  web: &base {direction: inbound}\n  push:\n    <<: *base\n    from: now\n"
    assert parse(document(tmp_path, text), Channels).channels["push"].direction == "inbound"


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"^nothing\.yaml: there is no such file"):
        load_document(tmp_path / "nothing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(WorkspaceError, match=r"^latin\.yaml: must be UTF-8"):
        load_document(tmp_path / "latin.yaml")
    with pytest.raises(WorkspaceError, match="can't be read"):
        load_document(tmp_path)


def test_files_can_be_named_from_the_folder_they_belong_to(tmp_path: Path) -> None:
    folder = tmp_path / "actions"
    folder.mkdir()
    (folder / "sales.yaml").write_text("issue: sales\n")
    found = load_document(folder / "sales.yaml", tmp_path)
    assert str(found.problem(("issue",), "why?")) == "actions/sales.yaml:1: issue: why?"


def test_a_problem_without_a_line_or_a_path_says_what_it_can() -> None:
    assert str(Problem("a.yaml", 0, "", "is empty")) == "a.yaml: is empty"


def test_a_suggestion_is_made_only_for_something_alike() -> None:
    assert did_you_mean("Enterprize", ["consumer", "enterprise"]) == "; did you mean 'enterprise'?"
    assert did_you_mean("zzz", ["consumer", "enterprise"]) == ""


@pytest.mark.parametrize(
    ("written", "line", "column"),
    [
        ("when: a && WRONG", 1, 12),
        ("when: 'a && WRONG'", 1, 13),
        ('when: "a && WRONG"', 1, 13),
        (r'when: "\"a\" && WRONG"', 1, 17),
        ("when: |\n  a &&\n    WRONG", 3, 5),
        ("# above\nwhen: >-\n    a\n    && WRONG\n", 4, 8),
        ("when:\n  a &&\n  WRONG", 3, 3),
        ("list:\n  - {when: 'a && WRONG'}", 2, 18),
    ],
)
def test_a_problem_inside_a_text_is_told_with_its_line_and_column_in_the_file(
    tmp_path: Path, written: str, line: int, column: int
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(written)
    document = load_document(path)
    loc = ("list", 0, "when") if "list" in document.data else ("when",)
    value = document.data["list"][0]["when"] if "list" in document.data else document.data["when"]
    before, _, _ = value.partition("WRONG")
    lines = before.split("\n")
    problem = document.problem_within(loc, value, len(lines), len(lines[-1]) + 1, "is wrong")
    assert str(problem) == f"rules.yaml:{line}:{column}: {'.'.join(map(str, loc))}: is wrong"


def test_a_problem_inside_an_empty_text_is_told_with_where_it_would_begin(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("when: ''\n")
    problem = load_document(path).problem_within(("when",), "", 1, 1, "is empty")
    assert str(problem) == "rules.yaml:1:8: when: is empty"
