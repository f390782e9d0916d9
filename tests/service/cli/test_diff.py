"""`arbiter diff`: what a change of a workspace would change."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.workspace.loading import Workspace


@pytest.fixture
def new(world: Workspace, tmp_path: Path) -> Path:
    """The world with one issue pushed, not trained yet."""
    copied = tmp_path / "new"
    shutil.copytree(world.folder, copied, ignore=shutil.ignore_patterns("models", "*.parquet"))
    path = copied / "actions" / "service.yaml"
    path.write_text("lever: 400\n" + path.read_text().replace("lever: 0", ""))
    return copied


def run(world: Workspace, new: Path, *more: str) -> tuple[int, str]:
    file = str(world.folder / "customers.parquet")
    result = CliRunner().invoke(app, ["diff", str(world.folder), str(new), "--customers", file, *more])
    return result.exit_code, result.stdout if result.exit_code == 0 else result.output


def test_it_says_who_would_get_what_instead_and_what_it_is_worth(world: Workspace, new: Path) -> None:
    status, output = run(world, new, "--context", "page=cart", "--channel", "web")
    assert status == 0, output
    assert "400 customers, channel web" in output
    assert "of the customers would get another first action" in output
    for title in ("expected value", "from which action to which", "reach"):
        assert title in output
    assert "home_hero" in output


def test_json_has_the_same_figures(world: Workspace, new: Path) -> None:
    status, output = run(world, new, "--json")
    assert status == 0, output
    document = json.loads(output)
    assert document["customers"] == 400
    assert document["channel"] == "web"
    assert 0 < document["share_changed"] <= 1
    hero = document["placements"]["home_hero"]
    assert hero["gain_per_1000"] == pytest.approx(hero["new_value_per_1000"] - hero["old_value_per_1000"])
    assert document["gain_per_1000"] == pytest.approx(
        sum(placement["gain_per_1000"] for placement in document["placements"].values())
    )
    assert sum(move["customers"] for move in document["moves"]) > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--channel", "wep"], "there is no channel 'wep' in both workspaces; did you mean 'web'?"),
        (["--context", "pages=cart"], "there is no context feature 'pages'; did you mean 'page'?"),
        (["--context", "page"], "write KEY=VALUE"),
        (["--context", "page=crt"], "must be one of"),
    ],
)
def test_what_can_not_be_asked_is_told(world: Workspace, new: Path, options: list[str], said: str) -> None:
    status, output = run(world, new, *options)
    assert status == 1
    assert said in output


def test_a_table_without_customers_is_told(world: Workspace, new: Path, tmp_path: Path) -> None:
    for text, said in (
        ("id\n1\n", "there is no column 'customer_id'"),
        ("customer_id\n", "has no customers"),
    ):
        table = tmp_path / "customers.csv"
        table.write_text(text)
        result = CliRunner().invoke(app, ["diff", str(world.folder), str(new), "--customers", str(table)])
        assert result.exit_code == 1
        assert said in result.output
