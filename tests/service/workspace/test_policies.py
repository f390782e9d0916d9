"""policies.yaml, compiled to columns: what weighs more, where, and by how much."""

from typing import Any

import numpy as np
import pytest

from feature_store.documents import WorkspaceError
from service.decisioning.arbitration import Arbitration
from service.workspace.loading import Workspace, load_workspace

Files = Any  # the class of the fixture


def arbitration(files: Files) -> Arbitration:
    return load_workspace(files.folder).arbitration


def weighted(workspace: Workspace, index: int) -> list[str]:
    """The actions that a context weight is for."""
    actions = workspace.arbitration.context_weights[index].actions
    return [action.name for action, meant in zip(workspace.catalogue.actions, actions, strict=True) if meant]


def problem(files: Files) -> str:
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(files.folder)
    (only,) = caught.value.problems
    return str(only)


def test_without_the_file_every_factor_counts_and_no_context_weighs(files: Files) -> None:
    (files.folder / "policies.yaml").unlink()
    assert arbitration(files) == Arbitration()


def test_an_empty_file_is_like_none(files: Files) -> None:
    (files.folder / "policies.yaml").write_text("# nothing yet\n")
    assert arbitration(files) == Arbitration()


def test_a_factor_is_switched_off_by_its_name(files: Files) -> None:
    found = arbitration(files)
    assert (found.propensity, found.context_weight, found.value, found.lever) == (True, True, False, True)


def test_a_weight_is_for_a_group_or_a_whole_issue(files: Files) -> None:
    workspace = load_workspace(files.folder)
    assert weighted(workspace, 0) == ["mobile_5g"]
    assert weighted(workspace, 1) == ["dsl_50", "fibre_500", "mobile_5g"]
    assert [weight.percent for weight in workspace.arbitration.context_weights] == [-50.0, 100.0]


def test_a_condition_holds_where_the_context_has_all_its_values(files: Files) -> None:
    workspace = load_workspace(files.folder)
    column = {name: workspace.schema.slice(name).start for name in ("intent", "returning", "basket")}
    X = np.full((4, workspace.schema.width), np.nan)
    X[1, [column["returning"], column["basket"]]] = 1.0, 0.0
    X[2, [column["returning"], column["basket"]]] = 1.0, 3.0
    X[3, column["intent"]] = workspace.schema.feature("intent").codes["cancel"]
    computed = workspace.engagement.rules.program.run(X, np.zeros(4))
    holds = [computed[w.when].tolist() for w in workspace.arbitration.context_weights if w.when is not None]
    assert holds == [[False, False, False, True], [False, True, False, False]]


MISTAKES = [
    ("intent: cancel", "intent: cancle", "context_weights.0.when.intent: must be one of buy, cancel"),
    ("intent: cancel", "intent: cancle", "did you mean 'cancel'"),
    ("intent: cancel", "intnt: cancel", "did you mean 'intent'"),
    (
        "intent: cancel",
        "age: 3",
        "context_weights.0.when.age: is not a category, flag or number of the context",
    ),
    ("intent: cancel", "returning: maybe", "must be true or false, not 'maybe'"),
    ("intent: cancel", "basket: .inf", "must be a finite number"),
    ("intent: cancel", "", "context_weights.0.when: "),
    ("issue: sales, group: mobile", "issue: sale, group: mobile", "no issue 'sale'; did you mean 'sales'"),
    ("group: mobile", "group: mobil", "issue 'sales' has no group 'mobil'; did you mean 'mobile'"),
    ("group: mobile", "group: care", "issue 'sales' has no group 'care'"),
    ("weight: -50", "weight: true", "context_weights.0.weight: must be a valid number"),
    ("weight: -50", "weight: [5]", "context_weights.0.weight: must be a valid number"),
    ("weight: -50", "weight: {formula: '5.0'}", "'otherwise' is missing"),
    ("weight: -50", "weight: .nan", "context_weights.0.weight: must be a finite number"),
    ("weight: -50", "wait: -50", "did you mean 'weight'"),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_what_would_be_right(
    files: Files, old: str, new: str, said: str
) -> None:
    files.edit("policies.yaml", old, new)
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(files.folder)
    told = [str(entry) for entry in caught.value.problems]
    assert any(entry.startswith("policies.yaml:3: ") and said in entry for entry in told), told


def test_an_unknown_switch_is_told_with_the_right_one(files: Files) -> None:
    files.edit("policies.yaml", "value: false", "values: false")
    assert problem(files).startswith("policies.yaml:1: arbitration.values: is not a known key here")
    assert "did you mean 'value'" in problem(files)


def test_a_switch_is_true_or_false(files: Files) -> None:
    files.edit("policies.yaml", "value: false", "value: 0")
    assert problem(files) == "policies.yaml:1: arbitration.value: must be a valid boolean, not 0"


def test_all_mistakes_are_told_at_once(files: Files) -> None:
    files.edit("policies.yaml", "intent: cancel", "intnt: cancel")
    files.edit("policies.yaml", "group: mobile", "group: mobil")
    files.edit("policies.yaml", "returning: true", "returning: soon")
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(files.folder)
    assert [entry.line for entry in caught.value.problems] == [3, 3, 4]
