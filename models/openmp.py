"""LightGBM's OpenMP runtime, also where the system has none.

LightGBM's Linux wheel links against the system's `libgomp.so.1`, which slim images lack and which a user
without root can't install. scikit-learn, which we need anyway, ships a copy of it under a mangled name.
`ensure` loads that copy under the real name, so that the linker finds it there when LightGBM asks for it.
"""

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

SYSTEM_NAME = "libgomp.so.1"


class OpenMPMissing(ImportError):
    """No OpenMP runtime is to be had: the message says which package brings one."""


def ensure() -> None:
    """Make `import lightgbm` possible on this machine; does nothing where it is already.

    Raises `OpenMPMissing` on Linux when neither the system nor scikit-learn has an OpenMP runtime.
    """
    # Threads that spin while they wait make training many times slower on cores that others use too.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read once, when the runtime is loaded
    if not sys.platform.startswith("linux") or system_has_one():
        return
    bundled = find_bundled()
    if bundled is None:
        raise OpenMPMissing(
            f"LightGBM needs {SYSTEM_NAME}, which this machine lacks. "
            "Install it: `apt-get install libgomp1` (Debian, Ubuntu) or `dnf install libgomp` (Fedora, RHEL)."
        )
    load_under_system_name(bundled)


def system_has_one() -> bool:
    """Whether the dynamic linker finds (and thereby loads) the system's copy."""
    try:
        ctypes.CDLL(SYSTEM_NAME)
    except OSError:
        return False
    return True


def find_bundled() -> Path | None:
    """The copy in scikit-learn's wheel, found without importing scikit-learn."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        return None
    libraries = Path(spec.origin).parent.parent / "scikit_learn.libs"
    return next(iter(sorted(libraries.glob("libgomp*.so*"))), None)


def load_under_system_name(library: Path) -> None:
    """Load a copy of `library` whose SONAME is the system's, from memory: no file is written.

    A wheel's bundled library is named after its SONAME, and the shorter original name takes its place in the
    string table.
    """
    mangled = library.name.encode() + b"\0"
    original = SYSTEM_NAME.encode().ljust(len(mangled), b"\0")
    descriptor = os.memfd_create(SYSTEM_NAME)
    try:
        with open(descriptor, "wb", closefd=False) as memory:
            memory.write(library.read_bytes().replace(mangled, original))
        ctypes.CDLL(f"/proc/self/fd/{descriptor}", ctypes.RTLD_GLOBAL)
    finally:
        os.close(descriptor)
