"""Demo data of a workspace: customers, and a logged history to train on."""

import importlib.util
import shutil
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from feature_store.errors import Mendable
from feature_store.progress import Progress
from service.world.living import LivingWorld

TABLES = ("customers.parquet", "decisions.parquet", "outcomes.parquet")


class NoData(Mendable):
    """A workspace with neither data nor a way to make some; the message says what to do."""


def find_data(workspace: Path, data: Path, progress: Progress, announce: Callable[[str], None]) -> Path:
    """The folder with the tables of a workspace.

    It is the workspace itself where the tables stand beside its files (`arbiter world` puts them there);
    otherwise they are made once, by the workspace's own `demo.py`, and kept in the data folder.

    Raises:
        NoData: the workspace has neither.
    """
    if _complete(workspace):
        return workspace
    kept = data / "demo" / workspace.resolve().name
    if _complete(kept):
        return kept
    script = workspace / "demo.py"
    if not script.exists():
        missing = [name for name in TABLES if not (workspace / name).is_file()]
        raise NoData(f"{workspace} has no {', '.join(missing)} and no demo.py that could make them")
    announce(f"Making the demo data of {workspace}")
    draft = kept.with_name(f".{kept.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(parents=True)
    try:
        _module(script).write_demo(draft, progress=progress)
        shutil.rmtree(kept, ignore_errors=True)
        draft.rename(kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return kept


def imagined(
    workspace: Path, customers: int, seed: int, now: float, folder: Path, progress: Progress
) -> LivingWorld:
    """The world that a workspace's own demo.py imagines, with its tables in a folder, as of `now`, in epoch
    seconds.

    Raises:
        NoData: there is none.
    """
    script = workspace / "demo.py"
    if not script.is_file():
        raise NoData(
            f"{workspace} has no demo.py: to simulate it, its true responses have to be known; "
            "examples/telco/demo.py shows how a workspace says them"
        )
    demo = _module(script)
    if not hasattr(demo, "imagine"):
        raise NoData(f"{script} has no function `imagine`, which says how customers truly respond")
    demo.write_demo(folder, customers=customers, seed=seed, progress=progress, now=now)
    world: LivingWorld = demo.imagine(customers=customers, seed=seed, now=now)
    return world


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in TABLES)


def _module(script: Path) -> ModuleType:
    """A workspace's script as a module; it finds the modules beside it, as if it had been started by
    itself."""
    spec = importlib.util.spec_from_file_location(f"{script.parent.name}_demo", script)
    if spec is None or spec.loader is None:
        raise NoData(f"{script} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(script.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module
