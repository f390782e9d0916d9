"""`reasons:` of actions and treatments, compiled to wordings; and what is said of those that can't be."""

from typing import Any

import pytest

from feature_store.documents import WorkspaceError
from service.decisioning.wording import Form, Wording
from service.workspace.loading import load_workspace

Files = Any  # the class of the fixture

ACTION = "        title: Fibre 500\n"
TREATMENT = "            content: {headline: Fibre at last, price: 49.9}\n"
MODEL = "features: [age, intent]"


def reasons(
    files: Files, written: str, *, on: str = ACTION, reads: str = "age, segment, intent, returning"
) -> None:
    """Give the action fibre_500 (or its hero) reasons, and its model some features."""
    files.edit("models.yaml", MODEL, f"features: [{reads}]")
    indent = " " * (len(on) - len(on.lstrip()))
    files.edit("actions/sales.yaml", on, f"{on}{indent}reasons: {written}\n")


def wordings(files: Files, treatment: str) -> list[Wording]:
    workspace = load_workspace(files.folder)
    names = [entry.name for entry in workspace.catalogue.treatments]
    return list(workspace.wordings[names.index(treatment)])


def said(files: Files, treatment: str, *values: float) -> list[str | None]:
    """What the only wording of a treatment says of some values."""
    (wording,) = wordings(files, treatment)
    return [wording.said(value) for value in values]


def test_without_reasons_no_treatment_has_words(files: Files) -> None:
    assert not any(load_workspace(files.folder).wordings)


def test_the_reasons_of_an_action_are_those_of_all_its_treatments(files: Files) -> None:
    reasons(files, '{age: "You are {value}"}')
    assert said(files, "fibre_500_hero", 41.0) == ["You are 41"]
    assert said(files, "fibre_500_mail", 41.0) == ["You are 41"]
    assert wordings(files, "mobile_5g_web") == []


def test_a_treatment_has_its_own_words_for_a_feature_and_the_actions_for_the_others(files: Files) -> None:
    reasons(files, '{age: "You are {value}", returning: "You came back"}')
    files.edit(
        "actions/sales.yaml", TREATMENT, TREATMENT + '            reasons: {age: "{value} years young"}\n'
    )
    assert [wording.text for wording in wordings(files, "fibre_500_hero")] == [
        "{value} years young",
        "You came back",
    ]
    assert [wording.text for wording in wordings(files, "fibre_500_mail")] == [
        "You are {value}",
        "You came back",
    ]


def test_a_number_may_have_bounds(files: Files) -> None:
    reasons(files, '{age: {text: "You are {value}", at_least: 60, at_most: 99}}')
    assert said(files, "fibre_500_hero", 59, 60, 100) == [None, "You are 60", None]


def test_a_flag_has_words_for_true_or_for_both(files: Files) -> None:
    reasons(files, "{returning: Welcome back}")
    assert said(files, "fibre_500_hero", 1.0, 0.0) == ["Welcome back", None]
    files.edit("actions/sales.yaml", "{returning: Welcome back}", "{returning: {false: Nice to meet you}}")
    assert said(files, "fibre_500_hero", 1.0, 0.0) == [None, "Nice to meet you"]


def test_a_category_has_one_text_for_all_levels_or_one_for_each(files: Files) -> None:
    reasons(files, '{intent: "You came to {value}"}')
    assert [wording.said(1.0) for wording in wordings(files, "fibre_500_hero")] == [
        None,
        "You came to cancel",
    ]
    files.edit("actions/sales.yaml", '"You came to {value}"', "{cancel: You want to leave}")
    assert said(files, "fibre_500_hero", 1.0, 0.0) == ["You want to leave", None]


def test_a_set_speaks_member_by_member_and_a_timestamp_as_a_date(files: Files) -> None:
    files.edit(
        "features.yaml",
        "  age:",
        "  likes: {type: set, source: profile, members: [tv, films], description: What}\n"
        "  since: {type: timestamp, source: profile, description: When}\n  age:",
    )
    reasons(files, '{likes: "You like {value}", since: "Since {value}"}', reads="age, likes, since")
    assert wordings(files, "fibre_500_hero") == [
        Wording(0, "You like tv", least=1.0, most=1.0),
        Wording(1, "You like films", least=1.0, most=1.0),
        Wording(2, "Since {value}", Form.DATE),
    ]


def test_a_brace_can_be_written(files: Files) -> None:
    reasons(files, '{returning: "Welcome {{back}}", age: "{{{value}}}"}')
    assert [wording.said(1.0) for wording in wordings(files, "fibre_500_hero")] == ["Welcome {back}", "{1}"]


MISTAKES = [
    ('{agee: "x"}', "agee: there is no feature 'agee'; did you mean 'age'?"),
    ('{basket: "x"}', "basket: the model 'fibre' does not read it: it never speaks for the action"),
    ('{age: "{valu}"}', "age: may hold no placeholder but {value}, not {valu}"),
    ('{age: "{value:.1f}"}', "may hold no placeholder but {value}"),
    ('{age: "{value"}', "a brace itself is written {{"),
    ('{age: "  "}', "age: must be a text, not '  '"),
    ("{age: 3}", "age: must be a text, or {text: ..., at_least: ..., at_most: ...}"),
    ("{age: {text: 3}}", "age.text: must be a text, not 3"),
    ("{age: {text: x, atleast: 3}}", "age.atleast: is not read here; a number takes text, at_least, at_most"),
    ("{age: {text: x, at_least: many}}", "age.at_least: must be a number, not 'many'"),
    ("{age: {text: x, at_least: 3, at_most: 2}}", "it would never be said"),
    ("{returning: 3}", "returning: must be a text for true, or {true: ..., false: ...}"),
    ("{returning: {maybe: x}}", "returning: must be a text for true, or {true: ..., false: ...}"),
    ('{returning: "{value}"}', "returning: may hold no placeholder, not {value}"),
    ("{intent: {cancle: x}}", "intent.cancle: 'intent' has no level 'cancle'; did you mean 'cancel'?"),
    ("{intent: [x]}", "intent: must be a text, or texts by level"),
]


@pytest.mark.parametrize(("written", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_what_would_be_right(
    files: Files, written: str, message: str
) -> None:
    reasons(files, written)
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(files.folder)
    (only,) = caught.value.problems
    assert only.file == "actions/sales.yaml"
    assert only.line == 11
    assert message in str(only)


def test_an_action_without_a_model_can_not_have_reasons(files: Files) -> None:
    line = "        propensity: 0.2\n"
    files.edit("actions/service.yaml", line, line + '        reasons: {age: "x"}\n')
    with pytest.raises(WorkspaceError, match="'check_up' has no model, so that no feature speaks for it"):
        load_workspace(files.folder)
