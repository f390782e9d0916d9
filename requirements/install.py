"""Set up `.venv/` for the Makefile: `python requirements/install.py run|dev`.

Only the standard library, since nothing is installed yet. Wheels come by pip, pinned by hash, and never as
source, so no compiler is needed. When everything is in place it returns at once; what an interrupted set-up
left is made afresh.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STATE = VENV / "arbiter.json"
LOG = VENV / "install.log"
PYTHON = VENV / "bin" / "python"
BASE_PYTHON = getattr(
    sys, "_base_executable", sys.executable
)  # this may be the one in .venv, which may have to go
PROFILES = {"run": ("run", "dev"), "dev": ("dev",)}  # what is wanted: the installed sets that have it

COMPILED = (
    ["service.decisioning.turns"],
    [
        *("service.decisioning.lines", "service.decisioning.removal", "service.decisioning.tally"),
        *("models.curves", "models.kernel", "feature_store.unpacking"),
    ],
)
"""Modules with loops that become machine code, in two parts that take about as long."""
CAUSES = {  # what pip's words mean, the most telling first
    "No space left on device": "The disk is full.",
    "CERTIFICATE_VERIFY_FAILED": (
        "The package index's certificate is not trusted here. If a proxy signs the traffic again, name its "
        "certificate: PIP_CERT=/path/to/ca.pem"
    ),
    "NewConnection|NameResolution|Connection(?: refused| reset|Error)|(?:Read|Connect)Timeout|ProxyError": (
        "The package index can't be reached. Check the network, or point pip at an index within reach "
        "(pip config, PIP_INDEX_URL); then run the same command again."
    ),
    "DO NOT MATCH THE HASHES": (
        "A downloaded file is not the one that was locked: requirements/ holds its SHA-256. A mirror may "
        "have altered it, or it was cut short. Try `pip cache purge`, then the same command again."
    ),
    r"No matching distribution found for (\S+)": (
        "There is no ready-made wheel of {0} for {here}. Arbiter installs wheels only, so that no compiler "
        "is needed. Try another Python, 3.11 to 3.13: make run PYTHON=python3.12"
    ),
}


class SetupError(Exception):
    """The set-up can't go on; the message says what to do."""


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in PROFILES:
        print("usage: install.py run|dev", file=sys.stderr)
        return 2
    try:
        with one_at_a_time():
            if not is_ready(arguments[0]):
                set_up(arguments[0])
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command starts the set-up again.", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold a lock on the checkout's folder, which needs no file and which the system gives back by itself."""
    descriptor = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is at work in this folder; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_ready(profile: str) -> bool:
    state = read_state()
    return is_usable(state) and any(state.get(name) == digest(name) for name in PROFILES[profile])


def is_usable(state: dict[str, str]) -> bool:
    """Whether the environment belongs to this Python and this folder: its scripts name both."""
    return state.get("python") == identity() and PYTHON.exists()


def set_up(profile: str) -> None:
    started = time.monotonic()
    if not os.access(ROOT, os.W_OK):
        raise SetupError(f"{ROOT} is read-only, and .venv/ has to go there. Clone into a folder of your own.")
    try:
        prepare_environment()
        install_wheels(profile)
        run_pip("Installing arbiter itself", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        compile_loops()
        (VENV / "unfinished").unlink()
        write_state(read_state() | {"python": identity(), profile: digest(profile)})
    except OSError as error:
        raise SetupError(f"The set-up in {VENV} failed: {error}") from error
    say(f"Set up in {time.monotonic() - started:.0f} s")


def prepare_environment() -> None:
    """Make the virtual environment, unless a whole one is there."""
    unfinished = VENV / "unfinished"
    if VENV.exists() and (unfinished.exists() or (STATE.exists() and not is_usable(read_state()))):
        say("Removing an environment that is unfinished, or was made for another Python or folder")
        shutil.rmtree(VENV)
    VENV.mkdir(exist_ok=True)
    unfinished.touch()
    if PYTHON.exists():
        return
    if not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
        raise SetupError(
            f"{BASE_PYTHON} has no `venv` module to make a virtual environment with. Install it "
            f"(Debian, Ubuntu: apt-get install python{version()}-venv), or name another Python: "
            "make run PYTHON=/path/to/python"
        )
    say(f"Making .venv with Python {platform.python_version()}")
    creation = subprocess.run(
        [BASE_PYTHON, "-I", "-m", "venv", str(VENV)], capture_output=True, text=True, check=False
    )
    if creation.returncode != 0:
        raise SetupError(f"Making .venv failed:\n{creation.stdout}{creation.stderr}")


def install_wheels(profile: str) -> None:
    requirements = requirements_of(profile)
    total = len(re.findall(r"^[\w.-]+==", requirements.read_text(), re.MULTILINE))
    run_pip(
        "Installing packages",
        *("--only-binary", ":all:", "--require-hashes", "--no-compile", "--requirement", str(requirements)),
        total=total,
    )
    # pip compiles on one core, and tests that nobody imports; this takes a third of the time.
    say("Compiling them")
    library = VENV / "lib" / f"python{version()}" / "site-packages"
    subprocess.run(
        [PYTHON, "-I", "-m", "compileall", "-q", "-j", "0", "-x", r"[\\/]tests?[\\/]", library],
        capture_output=True,
        check=False,  # a file that can't be compiled (a template) is not imported either
    )


def compile_loops() -> None:
    """Have machine code made now, on two cores, that the first start would else wait for; it is kept beside
    the source. Whatever goes wrong here, the first start tells."""
    say("Compiling loops for this processor")
    parts = [f"import {', '.join(modules)}" for modules in COMPILED]
    running = [
        subprocess.Popen([PYTHON, "-c", part], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        for part in parts
    ]
    for process in running:
        process.wait()


def run_pip(title: str, *arguments: str, total: int | None = None) -> None:
    """Run `pip install`, showing what it is at; its own words go to the log. A failure is a `SetupError`."""
    command = [str(PYTHON), "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", *arguments]
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        progress = Progress(title, total)
        for line in lines_of(pip):
            if line is not None:
                lines.append(line)
                progress.read(line)
            progress.show()
        progress.end()
    LOG.write_text("".join(lines))
    if pip.returncode != 0:
        raise SetupError(explain("".join(lines)))


def lines_of(process: "subprocess.Popen[str]") -> Iterator[str | None]:
    """The lines that a process prints, and None whenever it has been silent for a second."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=1)
        except queue.Empty:
            yield None
            continue
        if line == "":
            return
        yield line


class Progress:
    """One line that is rewritten on a terminal, and a new line every five seconds elsewhere."""

    def __init__(self, title: str, total: int | None) -> None:
        self.title, self.total = title, total
        self.done, self.at = 0, ""
        self.started = self.shown = time.monotonic()
        self.terminal = sys.stdout.isatty()

    def read(self, line: str) -> None:
        if found := re.match(r"(?:Collecting|Processing|Ignoring) (?:\S*/)?([\w.-]+?)(?:-\d|==|:|\s)", line):
            self.done, self.at = self.done + 1, found[1]
        elif found := re.search(r"Downloading (?:\S*/)?([\w.]+?)-\d\S* (\([\d.]+ [kMG]B\))", line):
            self.at = f"{found[1]} {found[2]}"
        elif line.startswith("Installing collected"):
            self.at = "unpacking"

    def show(self) -> None:
        now = time.monotonic()
        if now - self.shown < (0.1 if self.terminal else 5):
            return
        self.shown = now
        say(self.text(), end="" if self.terminal else "\n")

    def text(self) -> str:
        count = f" {min(self.done, self.total)}/{self.total}" if self.total else ""
        return f"{self.title}{count} {self.at} ({time.monotonic() - self.started:.0f} s)".replace("  ", " ")

    def end(self) -> None:
        self.at = ""
        say(self.text())


def say(text: str, end: str = "\n") -> None:
    start = "\r\033[K" if sys.stdout.isatty() else ""
    print(f"{start}{text[: shutil.get_terminal_size().columns - 1] if start else text}", end=end, flush=True)


def explain(output: str) -> str:
    """The cause of a failed `pip install` from what it printed, and what to do about it."""
    for pattern, advice in CAUSES.items():
        if found := re.search(pattern, output):
            here = f"Python {version()} on {platform.system()} {platform.machine()}"
            return f"{advice.format(*found.groups(), here=here)}\nAll of pip's words: {LOG}"
    return "pip failed:\n" + "\n".join(output.splitlines()[-15:])


def requirements_of(profile: str) -> Path:
    return ROOT / "requirements" / f"{profile}.txt"


def digest(profile: str) -> str:
    """Of all that decides what gets installed: the pins, and the project's own name, scripts and packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    own = {key: project.get(key) for key in ("build-system", "project")}
    own["hatch"] = project.get("tool", {}).get("hatch")
    content = requirements_of(profile).read_bytes() + json.dumps(own, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def identity() -> str:
    return f"{version()} {platform.machine()} {ROOT}"


def version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def read_state() -> dict[str, str]:
    """What is installed; empty before the first set-up, and while one is unfinished."""
    if (VENV / "unfinished").exists():
        return {}
    try:
        state: dict[str, str] = json.loads(STATE.read_text())
    except (OSError, ValueError):
        return {}
    return state


def write_state(state: dict[str, str]) -> None:
    temporary = STATE.with_suffix(".new")
    temporary.write_text(json.dumps(state, indent=1))
    temporary.replace(STATE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
