"""Derived features that can't be: told with file, line and what would be right."""

import pytest

from feature_store.documents import WorkspaceError
from service.workspace.loading import load_workspace

from .conftest import Files

LEAVING = """
  leaving:
    learns: {file: churn.parquet, label: left, type: flag}
    features: [age, risk]
    description: Leaves
"""


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("type: number, source: derived, model: laving", "no model 'laving'; did you mean"),
        (
            "type: number, source: derived, model: sales",
            "predicts the response to an action",
        ),
        ("type: flag, source: derived, model: leaving", "is a number, not a flag"),
        ("type: number, source: derived, model: leaving", "in a circle: risk > risk"),
        ("type: number, source: derived", "by one of model, segments and shares"),
        ("type: number, source: profile, model: leaving", "only a derived feature has it"),
        ("type: number, source: derived, model: leaving, max_age: 3d", "has no age"),
        (
            "type: category, source: derived, levels: [a], segments: [{level: b, when: 'true'}]",
            "'b' is not one of its levels",
        ),
        (
            "type: category, source: derived, levels: [a], segments: [{level: a, when: customer.aeg > 3.0}]",
            "no feature 'customer.aeg'; did you mean 'age'?",
        ),
        (
            "type: category, source: derived, levels: [a, b], shares: {of: age, top: [20%]}",
            "'age' is not the score of a model",
        ),
        (
            "type: category, source: derived, levels: [a, b], shares: {of: age, top: [20%, 30%]}",
            "these make 3 levels, and it has 2",
        ),
    ],
)
def test_a_derived_feature_that_cannot_be_is_told(files: Files, feature: str, said: str) -> None:
    path = files.folder / "features.yaml"
    path.write_text(path.read_text() + f"  risk: {{{feature}, description: d}}\n")
    line = path.read_text().count("\n")
    models = files.folder / "models.yaml"
    models.write_text(models.read_text() + LEAVING)
    with pytest.raises(WorkspaceError) as refused:
        load_workspace(files.folder)
    told = [str(problem) for problem in refused.value.problems]
    assert any(text.startswith(f"features.yaml:{line}") and said in text for text in told), told


def test_an_action_needs_a_model_of_responses(files: Files) -> None:
    models = files.folder / "models.yaml"
    models.write_text(models.read_text() + LEAVING.replace(", risk", ""))
    path = files.folder / "actions" / "sales.yaml"
    path.write_text(
        path.read_text() + "model: leaving\n"
        if "\nmodel:" not in path.read_text()
        else path.read_text().replace("\nmodel: sales", "\nmodel: leaving")
    )
    with pytest.raises(WorkspaceError, match="'leaving' predicts something about the customer"):
        load_workspace(files.folder)
