"""What a worker process serves."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess

from fastapi import FastAPI

from service.app import create_app
from service.observability.metrics import forget_dead_workers
from service.runtime.service import Loaded

_handed: list[Loaded] = []


def hand_over(loaded: Loaded) -> None:
    """Leave what this process has loaded for the worker that it becomes."""
    _handed.append(loaded)


def create_worker() -> FastAPI:
    """The application, in a process that ends when the one that started it does: it would keep the port."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    forget_dead_workers()
    return create_app(loaded=_handed.pop() if _handed else None)


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
