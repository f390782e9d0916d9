"""The reference of the workspace, built and checked with the real commands as one reads along."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feature_store.schema import FeatureSchema
from service.cli.main import app
from service.workspace.loading import load_workspace

from .markdown import Block, blocks, commands, named_file


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded_store_url: str) -> Path:
    """An empty folder to work in, with a store running."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARBITER_REDIS_URL", embedded_store_url)
    return tmp_path


def pages(root: Path) -> list[Block]:
    """The blocks of the reference; the page of the policies is read before anything is checked."""
    around = blocks(root / "docs" / "workspace.md", "yaml", "csv", "console")
    policies = blocks(root / "docs" / "policies.md", "yaml", "csv", "console")
    first_look = [block.language for block in around].index("console")
    return [*around[:first_look], *policies, *around[first_look:]]


def put(block: Block, folder: Path) -> None:
    """Write a block as the file that its first line names."""
    name = named_file(block)
    assert name is not None, f"{block}: its first line must name the file"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    keep = path.suffix != ".csv"  # a comment is part of a YAML file, and counts as a line of it
    path.write_text(block.text if keep else block.text.partition("\n")[2], encoding="utf-8")


def check(block: Block) -> None:
    """Run the commands of a block, and compare what they print; `...` stands for anything."""
    for words, shown in commands(block):
        assert words[0] == "arbiter", f"{block}: {words[0]} is not run here"
        printed = CliRunner().invoke(app, words[1:]).output
        pattern = ".*".join(map(re.escape, shown.strip().split("...")))
        assert re.fullmatch(pattern, printed.strip(), re.DOTALL), f"{block} prints something else:\n{printed}"


def test_reading_along_builds_a_workspace_and_sees_what_the_guide_shows(root: Path, desk: Path) -> None:
    for block in pages(root):
        if block.language == "console":
            check(block)
        else:
            put(block, desk)


def test_the_files_of_the_guide_are_a_whole_workspace(root: Path, tmp_path: Path) -> None:
    for block in pages(root):
        if block.language == "console":
            break
        put(block, tmp_path)
    kiosk = FeatureSchema.load(tmp_path / "kiosk" / "features.yaml")
    assert len(kiosk.aggregated) == len(kiosk.features) == 6
    workspace = load_workspace(tmp_path / "bookshop")
    assert {path.name for path in (tmp_path / "bookshop").glob("*.yaml")} == {
        "features.yaml",
        "channels.yaml",
        "experiments.yaml",
        "models.yaml",
        "objectives.yaml",
        "policies.yaml",
    }
    assert [goal.name for goal in workspace.objectives] == ["new_members", "newsletter_worth_reading"]
    assert workspace.action_models == {"crime_of_the_month": "response", "summer_reading": "response"}
    assert "reserved" in workspace.files.outcomes
    (weight,) = workspace.arbitration.context_weights
    assert weight.percent == 50
    assert workspace.engagement.exploration.method == "thompson"
    assert [limit.name for limit in workspace.engagement.slate.limits] == ["one_price"]
    assert [action.name for action in workspace.catalogue.actions if action.fallback] == [
        "crime_of_the_month"
    ]
    assert [arm.name for arm in workspace.engagement.experiments.experiments[2].arms] == [
        "random_eligible", "champion", "challenger",
    ]  # fmt: skip
    assert [offer.name for offer in workspace.engagement.offers.offers] == ["regular", "standard"]
