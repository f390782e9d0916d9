"""The guide to operation: what it tells to type works as it stands."""

import shutil
import subprocess
from pathlib import Path

import pytest

from models.registry import Registry

from .markdown import Block, blocks

LATER = "20991231T235959Z-00000000"


@pytest.fixture
def registry(telco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A checkout's registry with two versions of the model `sales`, of which the later one serves."""
    models = tmp_path / "examples" / "telco" / "models"
    shutil.copytree(telco / "models" / "sales", models / "sales")
    shutil.copytree(models / "sales" / Registry(models).champion("sales"), models / "sales" / LATER)
    Registry(models).promote("sales", LATER)
    monkeypatch.chdir(tmp_path)
    return Registry(models)


def only(root: Path, language: str) -> Block:
    (block,) = blocks(root / "docs" / "operations.md", language)
    return block


def test_a_model_is_rolled_back_in_the_shell(root: Path, registry: Registry) -> None:
    subprocess.run(["sh", "-euc", only(root, "sh").text], check=True, capture_output=True)
    assert registry.champion("sales") == registry.versions("sales")[0] != LATER


def test_a_model_is_rolled_back_from_python(root: Path, registry: Registry) -> None:
    exec(only(root, "python").text, {})
    assert registry.champion("sales") == registry.versions("sales")[0] != LATER
