"""`arbiter evaluate`: what logged decisions would have been worth."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.workspace.loading import Workspace


def run(world: Workspace, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["evaluate", str(world.folder), *more])
    return result.exit_code, result.stdout if result.exit_code == 0 else result.output


def test_it_says_what_the_log_would_have_been_worth(world: Workspace) -> None:
    status, output = run(world, "--reward", "response")
    assert status == 0, output
    assert "logged offers to" in output
    for estimator in ("ips", "snips", "direct", "dr", "switch_dr"):
        assert f"\n{estimator}: " in output
    assert "offers of equal weight" in output
    assert "the workspace profits from luck that it knows; use --since" in " ".join(output.split())


def test_json_has_the_same_figures(world: Workspace) -> None:
    status, output = run(world, "--json")
    assert status == 0, output
    document = json.loads(output)
    assert document["reward"] == "value"
    assert (
        document["values"]["dr"]["low"] < document["values"]["dr"]["value"] < document["values"]["dr"]["high"]
    )
    assert document["gains"]["ips"]["value"] == pytest.approx(
        document["values"]["ips"]["value"] - document["logged"]["value"]
    )


def test_a_folder_without_a_log_is_told(world: Workspace, tmp_path: Path) -> None:
    status, output = run(world, "--log", str(tmp_path))
    assert status == 1
    assert "is here: name the folder of a log" in " ".join(output.split())
