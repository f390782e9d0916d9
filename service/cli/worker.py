"""What a worker process serves."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess

from fastapi import FastAPI

from service.app import create_app
from service.observability.metrics import forget_dead_workers


def create_worker() -> FastAPI:
    """The application, in a process that ends when the one that started it does: it would keep the port."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    forget_dead_workers()
    return create_app()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
