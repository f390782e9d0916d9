import os
import re
import subprocess
from pathlib import Path

import pytest


def make(root: Path, *arguments: str) -> str:
    command = ["make", "--no-print-directory", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_help_is_the_default_and_names_every_command(root: Path) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    commands = set(phony[1].split()) - {"help"}
    shown = make(root)
    assert set(re.findall(r"^  make ([\w-]+) +\S", shown, re.MULTILINE)) == commands
    assert {"run", "test", "check", "bench", "loadtest", "image"} <= commands


def test_arguments_are_passed_on_to_the_command(root: Path) -> None:
    planned = make(root, "--dry-run", "test", "ARGS=-k store")
    assert planned.splitlines()[0] == "sh requirements/setup.sh dev"
    assert planned.splitlines()[1].startswith("exec .venv/bin/pytest ")
    assert planned.endswith(" -k store\n")


def test_every_command_sets_itself_up_first(root: Path) -> None:
    for command in ("run", "test", "check", "bench", "loadtest", "hillstrom"):
        assert make(root, "--dry-run", command).startswith("sh requirements/setup.sh "), command


@pytest.mark.parametrize(("given", "used"), [("C", "C.UTF-8"), ("POSIX", "C.UTF-8"), ("de_DE.UTF-8", None)])
def test_a_locale_without_umlauts_is_not_passed_on_to_commands(
    root: Path, given: str, used: str | None
) -> None:
    command = ["make", "-C", str(root), '--eval=locale: ; @echo "<$$LC_ALL>"', "locale"]
    said = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": given}
    )
    assert f"<{used or given}>" in said.stdout


def test_ci_runs_what_a_developer_runs(root: Path) -> None:
    script = (root / ".ci" / "run").read_text()
    made = " ".join(re.findall(r"^make (.+)$", script, re.MULTILINE)).split()
    assert {word for word in made if not word.startswith("-")} == {"check", "guard", "test"}
    assert "run: .ci/run" in (root / ".github" / "workflows" / "ci.yml").read_text()
    subprocess.run(["bash", "-n", root / ".ci" / "run"], check=True)
