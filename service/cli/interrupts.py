"""Ctrl-C while the command line loads."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130
"""The exit status of a command that Ctrl-C has stopped."""


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """While the context lasts, Ctrl-C ends the process. As an exception it might come up in a callback, which
    can't pass it on: it would be printed and forgotten, and the command would go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
