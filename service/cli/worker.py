"""What a worker process serves."""

from fastapi import FastAPI

from service.app import create_app
from service.observability.metrics import forget_dead_workers
from service.orphans import end_with_parent
from service.runtime.service import Loaded

_handed: list[Loaded] = []


def hand_over(loaded: Loaded) -> None:
    """Leave what this process has loaded for the worker that it becomes."""
    _handed.append(loaded)


def create_worker() -> FastAPI:
    """The application, in a process that ends when the one that started it does."""
    end_with_parent()
    forget_dead_workers()
    return create_app(loaded=_handed.pop() if _handed else None)
