"""When to look for garbage."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

atexit.register(gc.unfreeze)  # libraries look at what is left when the process ends


@contextmanager
def uncollected() -> Iterator[None]:
    """For what nearly all stays of, such as models: looking for garbage among it again and again takes a
    fifth of the time of loading it."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def kept() -> Iterator[None]:
    """For what stays as long as the process, such as modules: nobody looks for garbage among it, or among
    what was there before, neither meanwhile nor later. The first look alone takes a tenth of the time of
    importing, and there would be two until a service is ready."""
    with uncollected():
        yield
        gc.freeze()
