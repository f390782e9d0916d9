import subprocess
import sys
from pathlib import Path

import pytest

from models import openmp

linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux wheels link to libgomp.so.1"
)

TRAIN_ON_THE_BUNDLED_COPY = """
from models import openmp  # finds the system's copy, or loads the bundled one, as always
import numpy, lightgbm
rows = numpy.random.default_rng(0).random((500, 3))
booster = lightgbm.train({"verbose": -1, "num_threads": 2}, lightgbm.Dataset(rows, rows[:, 0]), 5)
assert numpy.corrcoef(booster.predict(rows), rows[:, 0])[0, 1] > 0.9
print(open("/proc/self/maps").read())
"""
HIDE_THE_SYSTEMS_COPY = """
import ctypes, sys
real = ctypes.CDLL
def without_system_copy(name, *rest, **options):
    if name == "libgomp.so.1":
        raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")
    return real(name, *rest, **options)
ctypes.CDLL = without_system_copy
"""


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@linux_only
def test_lightgbm_trains_on_the_bundled_runtime_where_the_system_has_none() -> None:
    maps = python(HIDE_THE_SYSTEMS_COPY + TRAIN_ON_THE_BUNDLED_COPY)
    assert "memfd:libgomp.so.1" in maps
    assert "/libgomp.so.1" not in maps, "the system's copy was loaded beside the bundled one"


@linux_only
def test_the_bundled_copy_is_left_alone_where_the_system_has_its_own() -> None:
    if not openmp.system_has_one():
        pytest.skip("this machine has no libgomp.so.1 of its own")
    assert "memfd:libgomp.so.1" not in python(TRAIN_ON_THE_BUNDLED_COPY)


@linux_only
def test_a_machine_with_no_runtime_at_all_is_told_which_package_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openmp, "system_has_one", lambda: False)
    monkeypatch.setattr(openmp, "find_bundled", lambda: None)
    with pytest.raises(openmp.OpenMPMissing, match="apt-get install libgomp1"):
        openmp.ensure()


def test_the_bundled_copy_is_found_in_scikit_learns_wheel() -> None:
    bundled = openmp.find_bundled()
    assert bundled is None or Path(bundled).is_file()
    if sys.platform.startswith("linux"):
        assert bundled is not None


@pytest.mark.parametrize(("given", "kept"), [({}, "passive"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_waiting_threads_sleep_unless_the_environment_says_otherwise(
    given: dict[str, str], kept: str
) -> None:
    preset = f"import os; os.environ.pop('OMP_WAIT_POLICY', None); os.environ.update({given})"
    assert python(f"{preset}; import models; print(os.environ['OMP_WAIT_POLICY'])").strip() == kept
