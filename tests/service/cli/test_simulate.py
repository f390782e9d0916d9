"""`arbiter simulate`: what it refuses, and why. What it does is in tests/service/simulation."""

from pathlib import Path

from typer.testing import CliRunner

from service.cli.main import app


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["simulate", *arguments])
    assert result.exit_code != 0
    return " ".join(result.output.split())


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "holds something else than a simulation" in refused("examples/telco", "--out", str(tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_workspace_without_a_truth_is_refused(tmp_path: Path) -> None:
    workspace = tmp_path / "mine"
    workspace.mkdir()
    out = str(tmp_path / "out")
    assert "has no demo.py: to simulate it" in refused(str(workspace), "--out", out)
    (workspace / "demo.py").write_text("def write_demo(folder, **kwargs): ...")
    assert "demo.py has no function `imagine`" in refused(str(workspace), "--out", out)


def test_a_newcomer_of_the_third_day_needs_three_days(tmp_path: Path) -> None:
    assert "should be greater than or equal to 3" in refused(
        "examples/telco", "--days", "2", "--out", str(tmp_path / "out")
    )
