"""Objectives as objectives.yaml says them."""

from datetime import UTC, datetime

import pytest

from feature_store.documents import WorkspaceError
from service.workspace.loading import load_workspace
from service.workspace.objectives import Objective

from .conftest import Files

DATES = "start: 2026-01-01, end: 2026-01-31"


def declare(files: Files, entry: str) -> tuple[Objective, ...]:
    text = f"objectives:\n  goal: {{{entry}}}\n"
    (files.folder / "objectives.yaml").write_text(text, encoding="utf-8")
    return load_workspace(files.folder).objectives


def test_without_the_file_there_are_none(files: Files) -> None:
    assert load_workspace(files.folder).objectives == ()


def test_an_objective_has_everything_that_is_said_of_it(files: Files) -> None:
    [goal] = declare(
        files, f"metric: value, target: 5000, issue: sales, group: internet, channels: [web], {DATES}"
    )
    start, end = (datetime(2026, month, 1, tzinfo=UTC).timestamp() for month in (1, 2))
    assert goal == Objective(
        "goal", "value", 5000.0, start, end, frozenset({"fibre_500", "dsl_50"}), frozenset({"web"})
    )
    assert not goal.is_rate


def test_without_a_scope_it_covers_everything(files: Files) -> None:
    [goal] = declare(files, f"metric: acceptance_rate, target: 0.03, {DATES}")
    assert len(goal.actions) == len(load_workspace(files.folder).catalogue.actions)
    assert goal.channels == {"web", "email"}
    assert goal.is_rate


def test_objectives_are_part_of_the_workspace_s_version(files: Files) -> None:
    before = load_workspace(files.folder).archive.version
    declare(files, f"metric: clicks, target: 5, {DATES}")
    assert load_workspace(files.folder).archive.version != before


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (f"metric: sales, target: 5, {DATES}", "objectives.yaml:2: objectives.goal.metric"),
        (f"metric: clicks, target: 0, {DATES}", "objectives.yaml:2: objectives.goal.target"),
        (
            f"metric: acceptance_rate, target: 3, {DATES}",
            "is a share from 0 to 1, such as 0.03 for 3 %, not 3",
        ),
        ("metric: clicks, target: 5", "needs its 'start' and 'end': an objective is to be reached in a time"),
        ("metric: clicks, target: 5, start: 2026-01-01", "needs its 'end'"),
        ("metric: clicks, target: 5, start: 2026-02-01, end: 2026-01-01", "is not after 'start'"),
        (f"metric: clicks, target: 5, issue: sale, {DATES}", "no issue 'sale'; did you mean 'sales'?"),
        (f"metric: clicks, target: 5, channels: [wep], {DATES}", "no channel 'wep'; did you mean 'web'?"),
        (f"metric: clicks, target: 5, by: june, {DATES}", "objectives.yaml:2: objectives.goal.by"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(
    files: Files, entry: str, said: str
) -> None:
    with pytest.raises(WorkspaceError) as caught:
        declare(files, entry)
    assert said in str(caught.value)
    assert str(caught.value).startswith("objectives.yaml:2: objectives.goal")
