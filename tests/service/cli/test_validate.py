"""`arbiter validate`: what is wrong with a workspace, and where."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.workspace.loading import Workspace


@pytest.fixture
def folder(world: Workspace, tmp_path: Path) -> Path:
    """A workspace of one's own, without data and models."""
    copied = tmp_path / "copied"
    shutil.copytree(world.folder, copied, ignore=shutil.ignore_patterns("models", "*.parquet"))
    return copied


def test_a_good_workspace_is_counted_up(folder: Path) -> None:
    result = CliRunner().invoke(app, ["validate", str(folder)])
    assert result.exit_code == 0, result.output
    assert "no problems" in result.output
    assert "12 actions" in result.output
    assert "24 features" in result.output
    assert "2 models" in result.output


def test_every_problem_of_every_file_is_told_with_its_line_and_the_exit_status_is_1(folder: Path) -> None:
    (folder / "policies.yaml").write_text("arbitration:\n  valu: false\n  lever: maybe\n")
    (folder / "channels.yaml").write_text(
        "channels:\n  web:\n    direction: inbund\n    placements: {a: {}}\n"
    )
    result = CliRunner().invoke(app, ["validate", str(folder)])
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line.partition(": ")[0] for line in lines[:3]] == [
        "channels.yaml:3",
        "policies.yaml:3",
        "policies.yaml:2",
    ]
    assert "did you mean 'inbound'?" in lines[0]
    assert lines[-1] == "3 problems to mend"


@pytest.mark.parametrize("name", ["nowhere", "[bold]nowhere"])
def test_a_folder_that_is_not_there_is_told_as_it_was_written(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(app, ["validate", str(tmp_path / name)])
    assert result.exit_code == 1
    assert f"{name} is not a workspace" in result.output


def test_no_path_of_ours_is_taken_for_markup(folder: Path, tmp_path: Path) -> None:
    moved = folder.rename(tmp_path / "[red]world [closed")
    result = CliRunner().invoke(app, ["validate", str(moved)])
    assert result.exit_code == 0, result.output
    assert "[red]world [closed: no problems" in result.output


def test_what_is_hardly_meant_is_a_warning_and_with_strict_the_exit_status_is_1(folder: Path) -> None:
    (folder / "policies.yaml").write_text("emergency_exclusion: [action_1, action_2]\n")
    result = CliRunner().invoke(app, ["validate", str(folder)])
    assert result.exit_code == 0, result.output
    assert [line.partition(": emer")[0] for line in result.output.splitlines()[:-1]] == [
        "warning: policies.yaml:1",
        "warning: policies.yaml:1",
    ]
    assert "no errors, 2 warnings" in result.output
    strict = CliRunner().invoke(app, ["validate", str(folder), "--strict"])
    assert strict.exit_code == 1
    assert strict.output == result.output
