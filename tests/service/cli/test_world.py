"""`arbiter world` on the command line: sizes that leave out others, and sizes that make no world."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.main import app
from service.workspace.loading import load_workspace


def world(folder: Path, *options: str) -> Result:
    small = ("--customers", "20", "--features", "8", "--decisions", "20")
    return CliRunner().invoke(app, ["world", str(folder), *small, *options])


def test_a_world_of_few_actions_has_no_more_models_than_actions(tmp_path: Path) -> None:
    result = world(tmp_path, "--actions", "1")
    assert result.exit_code == 0, result.output
    assert len(load_workspace(tmp_path).specs) == 1


def test_more_models_than_actions_are_refused_if_asked_for(tmp_path: Path) -> None:
    result = world(tmp_path, "--actions", "1", "--models", "2")
    assert result.exit_code == 1
    assert "models must be from 1 to the number of actions (1), not 2" in result.output


@pytest.mark.parametrize("seed", ["-1", str(2**40)])
def test_a_seed_out_of_range_is_told_by_its_option(tmp_path: Path, seed: str) -> None:
    result = world(tmp_path, "--seed", seed)
    assert result.exit_code == 2
    assert "--seed" in result.output
