"""What time it is for the service: one clock for all that it decides, counts and records.

It is that of the machine. Only who runs a service of its own for a simulation has it follow another one, in
that process and before anything is served: no setting and no request can.
"""

import time
from collections.abc import Callable

_source: Callable[[], float] = time.time


def now() -> float:
    """Epoch seconds."""
    return _source()


def follow(source: Callable[[], float]) -> None:
    """Have `now` be what `source` says, in epoch seconds, for the rest of this process."""
    global _source
    _source = source
