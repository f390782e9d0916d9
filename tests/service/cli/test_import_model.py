"""`arbiter import-model` on the command line: a model from elsewhere serves beside our own."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.main import app
from service.runtime.service import warm_up
from service.workspace.loading import Workspace, load_workspace


@pytest.fixture
def shop(world: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(world.folder, tmp_path / "shop")
    return load_workspace(tmp_path / "shop")


def imported(shop: Workspace, name: str, file: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["import-model", str(shop.folder), name, str(file), *options])


def test_a_scorecard_decides_in_place_of_the_model_before(shop: Workspace, tmp_path: Path) -> None:
    before = shop.snapshot()
    replaced = before.models[0]
    column = shop.schema.columns[0]
    card = {
        "base_score": 0,
        "base_odds": 0.1,
        "points_to_double_odds": 20,
        "characteristics": [{"column": column, "bins": [{"below": 1, "points": 0}, {"points": 20}]}],
    }
    (tmp_path / "card.json").write_text(json.dumps(card))
    result = imported(shop, replaced.name, tmp_path / "card.json", "--as-it-is")
    assert result.exit_code == 0, result.output
    assert replaced.name in result.output
    after = load_workspace(shop.folder).snapshot()
    kinds = {model.name: model.scorer.kind for model in after.models}
    assert kinds[replaced.name] == "scorecard"
    assert len(kinds) == len(before.models)
    warm_up(after)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("card.pkl", "", "a model's file ends in .txt, .onnx, .json"),
        ("card.json", "{}", "the scorecard is not right: base_score: Field required"),
        ("none.json", None, "No such file or directory"),
    ],
)
def test_what_can_not_be_used_is_told(
    shop: Workspace, tmp_path: Path, name: str, content: str | None, complaint: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    model = shop.snapshot().models[0]
    result = imported(shop, model.name, tmp_path / name)
    assert result.exit_code == 1
    assert complaint in " ".join(result.output.split())
    assert load_workspace(shop.folder).registry.champion(model.name) == model.version
