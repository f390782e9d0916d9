"""Set-up, where it has to say no. That it works is shown by CI, which starts from a fresh clone."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A checkout with nothing set up."""
    shutil.copytree(root / "requirements", tmp_path / "checkout" / "requirements")
    shutil.copy(root / "pyproject.toml", tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.fixture
def install(checkout: Path) -> ModuleType:
    """The module `requirements/install.py` of that checkout."""
    spec = importlib.util.spec_from_file_location("install", checkout / "requirements" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def set_up(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(checkout / "requirements" / "setup.sh"), "run"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=dict(os.environ) | environment
    )


def test_a_machine_without_python_is_told_what_to_install(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    result = set_up(checkout, PATH=str(tmp_path / "bin"), PYTHON="")
    assert result.returncode == 1
    assert "needs Python 3.11 or later, and none was found" in result.stderr


def test_an_older_python_is_passed_over(checkout: Path, tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("python3.11", "python3"):
        (binaries / name).write_text("#!/bin/sh\nexit 1\n")
        (binaries / name).chmod(0o755)
    result = set_up(checkout, PATH=str(binaries), PYTHON="")
    assert "none was found" in result.stderr


def test_a_python_that_was_named_but_is_none_is_refused(checkout: Path) -> None:
    result = set_up(checkout, PYTHON="/nowhere/python3.11")
    assert result.returncode == 1
    assert "PYTHON=/nowhere/python3.11 is not a Python of 3.11 or later" in result.stderr


def test_an_index_out_of_reach_is_named_as_the_cause_and_the_next_run_starts_afresh(checkout: Path) -> None:
    nobody_listens = "http://127.0.0.1:9/simple"
    away = {"PYTHON": sys.executable, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_RETRIES": "1"}
    result = set_up(checkout, PIP_INDEX_URL=nobody_listens, PIP_EXTRA_INDEX_URL="", **away)
    assert result.returncode == 1, result.stdout
    assert "The package index can't be reached" in result.stderr
    assert "Traceback" not in result.stderr

    result = set_up(checkout, PIP_NO_INDEX="1", **away)
    assert "Removing an environment that is unfinished" in result.stdout
    assert "There is no ready-made wheel of annotated-doc==" in result.stderr
    assert "no compiler is needed" in result.stderr


def test_a_folder_that_can_not_be_written_is_named(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.os, "access", lambda path, mode: False)  # root may write everywhere
    assert install.main(["run"]) == 1
    assert f"{install.ROOT} is read-only" in capsys.readouterr().err


def test_a_python_without_venv_is_told_debians_package(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    assert install.main(["run"]) == 1
    assert f"apt-get install python{install.version()}-venv" in capsys.readouterr().err


def test_a_second_set_up_has_nothing_to_do(install: ModuleType) -> None:
    pretend_it_is_installed(install, "run")
    assert install.is_ready("run")
    assert not install.is_ready("dev")


def test_what_tests_need_is_enough_to_run(install: ModuleType) -> None:
    pretend_it_is_installed(install, "dev")
    assert install.is_ready("run")


def test_new_pins_are_installed_the_next_time(install: ModuleType) -> None:
    pretend_it_is_installed(install, "run")
    with (install.ROOT / "requirements" / "run.txt").open("a") as pins:
        pins.write("one-more==1.0 --hash=sha256:0\n")
    assert not install.is_ready("run")


def test_settings_of_the_linters_are_no_reason_to_install_again(install: ModuleType) -> None:
    pretend_it_is_installed(install, "run")
    with (install.ROOT / "pyproject.toml").open("a") as project:
        project.write("[tool.something]\nnew = true\n")
    assert install.is_ready("run")


def test_an_interrupted_set_up_does_not_count(install: ModuleType) -> None:
    pretend_it_is_installed(install, "run")
    (install.VENV / "unfinished").touch()
    assert not install.is_ready("run")


def test_a_folder_that_was_moved_is_set_up_again(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_it_is_installed(install, "run")
    monkeypatch.setattr(install, "identity", lambda: "3.11 x86_64 /somewhere/else")
    assert not install.is_ready("run")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "is not the one that was locked",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]",
            "certificate is not trusted",
        ),
        ("something never seen\n", "something never seen"),
    ],
)
def test_what_pip_says_is_put_in_terms_of_what_to_do(install: ModuleType, said: str, cause: str) -> None:
    assert cause in install.explain(said)


def pretend_it_is_installed(install: ModuleType, profile: str) -> None:
    install.PYTHON.parent.mkdir(parents=True)
    install.PYTHON.symlink_to(sys.executable)
    install.write_state({"python": install.identity(), profile: install.digest(profile)})
