import re
import tomllib
from pathlib import Path

import pytest

Pins = dict[str, set[str]]


def pins(root: Path, name: str) -> Pins:
    """Each distribution with its pinned versions: there are two where an old Python needs an older one."""
    found: Pins = {}
    for line in (root / "requirements" / f"{name}.txt").read_text().splitlines():
        if pin := re.match(r"([\w.-]+)(?:\[\w+\])?==([^\s;]+)", line):
            found.setdefault(normal(pin[1]), set()).add(pin[2])
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=;~! ]", requirement)[0]) for requirement in requirements}


def test_all_that_the_service_needs_is_pinned(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needed = names(project["dependencies"] + project["optional-dependencies"]["build"])
    assert needed <= pins(root, "run").keys()


def test_all_that_tests_and_checks_need_is_pinned(root: Path) -> None:
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert names(extras["dev"] + extras["loadtest"]) - {"arbiter-nba"} <= pins(root, "dev").keys()


def test_tests_run_with_the_versions_that_serve(root: Path) -> None:
    tested = pins(root, "dev")
    assert {name: tested.get(name) for name in pins(root, "run")} == pins(root, "run")


@pytest.mark.parametrize("name", ["run", "dev", "lock"])
def test_every_pin_has_a_hash_and_no_file_names_an_index(root: Path, name: str) -> None:
    text = (root / "requirements" / f"{name}.txt").read_text()
    entries = text.replace("\\\n", " ").splitlines()
    assert entries
    assert [entry for entry in entries if not re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert "://" not in text
