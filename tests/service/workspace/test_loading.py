"""A workspace from its files: what they mean, and what is said of each kind of mistake."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from feature_store.documents import WorkspaceError
from service.decisioning.catalogue import Action
from service.workspace.loading import load_workspace

Files = Any  # the class of the fixture


def problems(files: Files) -> list[str]:
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(files.folder)
    return [str(problem) for problem in caught.value.problems]


def epoch(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


def actions(files: Files) -> dict[str, Action]:
    return {action.name: action for action in load_workspace(files.folder).catalogue.actions}


def test_a_valid_workspace_reads_into_its_catalogue(files: Files) -> None:
    workspace = load_workspace(files.folder)
    catalogue = workspace.catalogue
    assert [action.name for action in catalogue.actions] == ["dsl_50", "fibre_500", "mobile_5g", "check_up"]
    assert [(slot.channel, slot.placement.id, slot.placement.limit) for slot in catalogue.slots] == [
        ("web", "home_hero", 1),
        ("web", "home_tiles", 3),
        ("email", "newsletter", 1),
    ]
    assert [(t.name, t.action, t.channel, t.placements) for t in catalogue.treatments] == [
        ("fibre_500_hero", "fibre_500", "web", ("home_hero",)),
        ("fibre_500_mail", "fibre_500", "email", ("newsletter",)),
        ("mobile_5g_web", "mobile_5g", "web", ("home_hero", "home_tiles")),
    ]
    assert json.loads(catalogue.treatments[0].content) == {"headline": "Fibre at last", "price": 49.9}
    assert workspace.files.groups == {"sales": ("internet", "mobile"), "service": ("care",)}
    assert list(workspace.specs) == ["sales", "internet", "fibre"]


def test_an_action_reads_into_all_its_fields(files: Files) -> None:
    assert actions(files)["fibre_500"] == Action(
        name="fibre_500",
        issue="sales",
        group="internet",
        title="Fibre 500",
        model="fibre",
        propensity=0.03,
        value=120.0,
        levers=(20.0, 10.0, 25.0),
        start=epoch(2026, 1, 1),
        end=epoch(2027, 1, 1),
    )


def test_an_action_without_a_title_is_called_by_its_name(files: Files) -> None:
    assert actions(files)["mobile_5g"].title == "Mobile 5g"


def test_levers_add_up(files: Files) -> None:
    assert actions(files)["fibre_500"].lever == 1.55
    assert actions(files)["mobile_5g"].lever == 1.2


def test_a_model_is_the_action_s_own_or_its_group_s_or_its_issue_s(files: Files) -> None:
    models = {name: action.model for name, action in actions(files).items()}
    assert models == {"fibre_500": "fibre", "dsl_50": "internet", "mobile_5g": "sales", "check_up": None}
    assert load_workspace(files.folder).action_models == {
        "fibre_500": "fibre",
        "dsl_50": "internet",
        "mobile_5g": "sales",
    }


def test_an_end_date_includes_its_whole_day_and_an_end_time_is_exclusive(files: Files) -> None:
    found = actions(files)
    assert found["fibre_500"].end == epoch(2027, 1, 1)
    assert (found["dsl_50"].start, found["dsl_50"].end) == (epoch(2026, 1, 1, 5), epoch(2026, 2, 1))
    assert (found["check_up"].start, found["check_up"].end) == (float("-inf"), float("inf"))


@pytest.mark.parametrize("end", ["9999-12-31", "9999-12-31T23:59:59-14:00"])
def test_an_end_beyond_the_calendar_is_never(files: Files, end: str) -> None:
    files.edit("actions/sales.yaml", "end: 2026-12-31", f"end: {end}")
    files.edit("actions/sales.yaml", "start: 2026-01-01\n", "start: 0001-01-01T00:00:00+14:00\n")
    found = actions(files)["fibre_500"]
    assert (found.start, found.end) == (float("-inf"), float("inf"))


def test_an_action_may_be_available_for_one_day(files: Files) -> None:
    files.edit("actions/sales.yaml", "end: 2026-12-31", "end: 2026-01-01")
    found = actions(files)["fibre_500"]
    assert found.end - found.start == 86_400


def test_outcomes_are_the_standard_ones_and_those_declared(files: Files) -> None:
    outcomes = load_workspace(files.folder).files.outcomes
    assert {"impression", "click", "accept", "reject", "convert", "dismiss", "no_response"} < set(outcomes)
    assert outcomes["callback"] == "the customer asked to be called"


Mistake = tuple[str, str, str, int, tuple[str, ...]]


def mistake(file: str, old: str, new: str, *said: str, above: int = 0) -> Mistake:
    """What is spoiled, by how many lines above it the problem is seen, and what is said of it."""
    return file, old, new, above, said


MISTAKES = [
    mistake(
        "features.yaml",
        "type: number, source: profile",
        "type: numbr, source: profile",
        "did you mean 'number'",
    ),
    mistake("features.yaml", "default: 40", "default: forty", "features.age.default", "number"),
    mistake("features.yaml", "levels: [buy, cancel]", "level: [buy, cancel]", "levels", "did you mean"),
    mistake("features.yaml", "  returning:", "  Returning:", "lower-case"),
    mistake("features.yaml", "  returning:", "  channel:", "built-in"),
    mistake("channels.yaml", "direction: inbound", "direction: inbund", "inbound", "did you mean 'inbound'"),
    mistake("channels.yaml", "limit: 3", "limit: 0", "channels.web.placements.home_tiles.limit", "greater"),
    mistake("channels.yaml", "limit: 3", "limt: 3", "did you mean 'limit'"),
    mistake("channels.yaml", "home_tiles:", "HomeTiles:", "channels.web.placements"),
    mistake(
        "channels.yaml",
        "      newsletter: {}",
        "      {}",
        "channels.email.placements",
        "at least 1",
        above=1,
    ),
    mistake("channels.yaml", "  email:", "  web:", "second time"),
    mistake(
        "models.yaml",
        "[accept, convert]",
        "[acept, convert]",
        "models.sales.positive",
        "did you mean 'accept'",
    ),
    mistake("models.yaml", "positive: [callback]", "positives: [callback]", "did you mean 'positive'"),
    mistake(
        "models.yaml", "[age, intent]", "[agee, intent]", "models.fibre.features.0", "did you mean 'age'"
    ),
    mistake("actions/sales.yaml", "lever: 20", "lever: twenty", "lever", "number"),
    mistake("actions/sales.yaml", "lever: 20", "lever: .nan", "lever", "finite"),
    mistake("actions/sales.yaml", "title: Fibre 500", "titel: Fibre 500", "did you mean 'title'"),
    mistake("actions/sales.yaml", "value: 120", "value: -1", "actions.fibre_500.value", "greater"),
    mistake(
        "actions/sales.yaml", "propensity: 0.03", "propensity: 3", "actions.fibre_500.propensity", "less"
    ),
    mistake(
        "actions/sales.yaml", "propensity: 0.03", "propensity: 0", "actions.fibre_500.propensity", "greater"
    ),
    mistake("actions/sales.yaml", "active: false", "active: 'no'", "actions.dsl_50.active", "boolean"),
    mistake("actions/sales.yaml", "model: fibre", "model: fiber", "did you mean 'fibre'"),
    mistake("actions/sales.yaml", "model: internet", "model: internt", "groups.internet.model", "'internet'"),
    mistake("actions/sales.yaml", "model: sales", "model: sale", "model", "did you mean 'sales'"),
    mistake("actions/sales.yaml", "lever: 25", "lever: -130.5", "actions.fibre_500.lever", "-100.5 %"),
    mistake("actions/sales.yaml", "end: 2026-12-31", "end: 2025-12-31", "not after 'start'"),
    mistake(
        "actions/sales.yaml", "end: 2026-12-31", "end: '2026-12-31'", "must be a date such as", "unquoted"
    ),
    mistake("actions/sales.yaml", "2026-02-01T00:00:00Z", "2026-02-01T00:00:00", "must have an offset"),
    mistake(
        "actions/sales.yaml", "channel: email", "channel: mail", "no channel 'mail'", "did you mean 'email'"
    ),
    mistake("actions/sales.yaml", "[home_hero]", "[home_heros]", "placements.0", "did you mean 'home_hero'"),
    mistake("actions/sales.yaml", "{channel: web}", "{chanel: web}", "'channel' is missing"),
    mistake("actions/sales.yaml", "mobile_5g:", "mobile-5g:", "groups.mobile.actions", "pattern"),
    mistake("actions/service.yaml", "check_up:", "fibre_500:", "action 'fibre_500' stands already in"),
    mistake("actions/service.yaml", "issue: service", "issue: sales", "issue 'sales' stands already in"),
    mistake(
        "actions/service.yaml", "propensity: 0.2", "value: 3", "neither a model nor a propensity", above=1
    ),
    mistake("actions/service.yaml", "groups:", "groups: [", "not YAML", above=-2),
    mistake("actions/service.yaml", "issue: service", "", "'issue' is missing", above=-1),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "above", "said"), MISTAKES, ids=[f"{entry[0]}: {entry[2]}" for entry in MISTAKES]
)
def test_a_mistake_is_told_with_its_file_its_line_and_what_would_be_right(
    files: Files, file: str, old: str, new: str, above: int, said: tuple[str, ...]
) -> None:
    text = (files.folder / file).read_text()
    line = 1 + text[: text.index(old)].count("\n") - above
    files.edit(file, old, new)
    told = problems(files)
    assert any(
        problem.startswith(f"{file}:{line}: ") and all(word in problem for word in said) for problem in told
    ), told


def test_a_day_that_does_not_exist_is_refused(files: Files) -> None:
    files.edit("actions/sales.yaml", "end: 2026-12-31", "end: 2026-02-30")
    assert problems(files) == ["actions/sales.yaml: not YAML: day is out of range for month"]


def test_all_problems_of_all_files_are_told_at_once(files: Files) -> None:
    for file, old, new in (
        ("features.yaml", "type: number, source: profile", "type: numbr, source: profile"),
        ("channels.yaml", "limit: 3", "limit: 0"),
        ("models.yaml", "[callback]", "[]"),
        ("actions/sales.yaml", "value: 120", "value: -1"),
        ("actions/service.yaml", "propensity: 0.2", "propensity: 2"),
        ("policies.yaml", "weight: 100", "weight: true"),
    ):
        files.edit(file, old, new)
    assert {problem.partition(":")[0] for problem in problems(files)} == {
        "features.yaml",
        "channels.yaml",
        "models.yaml",
        "actions/sales.yaml",
        "actions/service.yaml",
        "policies.yaml",
    }


def test_one_mistake_in_models_yaml_is_not_taken_for_a_mistake_of_every_action(files: Files) -> None:
    files.edit("models.yaml", "[callback]", "[]")
    assert [problem.partition(":")[0] for problem in problems(files)] == ["models.yaml"]


def test_several_problems_of_one_file_are_told_at_once(files: Files) -> None:
    files.edit("actions/sales.yaml", "model: fibre", "model: fiber")
    files.edit("actions/sales.yaml", "channel: email", "channel: mail")
    files.edit("actions/sales.yaml", "{channel: web}", "{channel: web, placements: [top]}")
    assert len(problems(files)) == 3


def test_a_treatment_name_is_unique_over_all_actions(files: Files) -> None:
    files.edit("actions/sales.yaml", "mobile_5g_web:", "fibre_500_mail:")
    (problem,) = problems(files)
    assert problem == (
        "actions/sales.yaml:32: groups.mobile.actions.mobile_5g.treatments.fibre_500_mail: "
        "treatment 'fibre_500_mail' stands already in actions/sales.yaml:22"
    )


@pytest.mark.parametrize("file", ["channels.yaml", "models.yaml"])
def test_a_missing_file_is_told_by_its_name(files: Files, file: str) -> None:
    (files.folder / file).unlink()
    assert problems(files) == [f"{file}: there is no such file in {files.folder}"]


def test_a_folder_without_features_is_no_workspace(files: Files) -> None:
    (files.folder / "features.yaml").unlink()
    assert problems(files) == [
        f"{files.folder}: {files.folder} is not a workspace: it has no features.yaml",
    ]


def test_a_workspace_without_actions_is_refused(files: Files) -> None:
    for path in (files.folder / "actions").iterdir():
        path.unlink()
    assert problems(files) == ["actions/: has no *.yaml file: there is nothing to offer"]


CONTENT = "{headline: Fibre at last, price: 49.9}"


@pytest.mark.parametrize("content", ["&loop {again: *loop}", "{1: x}"])
def test_content_that_cannot_be_json_is_refused_with_its_place(files: Files, content: str) -> None:
    files.edit("actions/sales.yaml", CONTENT, content)
    (problem,) = problems(files)
    assert problem.startswith("actions/sales.yaml:21: ")
    assert "fibre_500_hero.content" in problem


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ("{big: 99999999999999999999999999}", {"big": 99999999999999999999999999}),
        ("{day: 2026-01-01, raw: !!binary aGk=}", {"day": "2026-01-01", "raw": "aGk="}),
        ("{deep: [[{1: x}]], none: ~}", {"deep": [[{"1": "x"}]], "none": None}),
    ],
)
def test_content_is_sent_as_the_json_nearest_to_it(files: Files, content: str, sent: object) -> None:
    files.edit("actions/sales.yaml", CONTENT, content)
    assert json.loads(load_workspace(files.folder).catalogue.treatments[0].content) == sent


def test_a_file_of_actions_that_nobody_reads_is_told(files: Files) -> None:
    (files.folder / "actions" / "more.yml").write_text("issue: more\n")
    with pytest.raises(WorkspaceError, match=r"actions/more\.yml: is not read"):
        load_workspace(files.folder)
