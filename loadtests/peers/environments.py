"""An environment of its own for each peer: they are no dependencies of ours, nor of each other."""

import hashlib
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements")
LAST_WORDS = 400  # characters


class NotInstalled(Exception):
    """The peer can't be installed here; the message ends with what the installer said last."""


def environment(name: str, home: Path) -> Path:
    """The virtual environment of that name under `home`, made at the first call and when its list changes.

    Raises:
        NotInstalled: the installer failed.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    folder = home / name
    mark = folder / "installed"
    if mark.is_file() and mark.read_text() == wanted:
        return folder
    python = str(folder / "bin" / "python")
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "-r", str(requirements)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotInstalled(f"{name} does not install: {done.stderr.strip()[-LAST_WORDS:]}")
    mark.write_text(wanted)
    return folder
