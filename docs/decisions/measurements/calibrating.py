"""What calibrating a batch of margins costs: all curves in one compiled call, beside a line by numpy.

`python docs/decisions/measurements/calibrating.py`: CPU microseconds, the least of several rounds in turns.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.curves import Curve, Curves
from service.cli.console import table

ROUNDS = 7
KNOTS = tuple(np.linspace(-3, 3, 30).tolist())
CURVES = {
    "a line": Curve(0.9, 0.9, 0.1),
    "a bent line": Curve(0.9, 1.1, 0.1),
    "30 knots": Curve(knots=KNOTS, values=KNOTS),
}

Floats = NDArray[np.float64]


def line(margins: Floats, slopes: Floats, intercepts: Floats) -> Floats:
    """Platt's by numpy, a call for each step."""
    against = margins * np.negative(slopes)
    against -= intercepts
    np.minimum(against, 700.0, out=against)
    np.exp(against, out=against)
    against += 1.0
    return np.reciprocal(against, out=against)


def main() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for requests, actions in ((1, 50), (64, 50), (1, 1_000), (64, 1_000)):
        margins = rng.normal(size=(requests, actions))
        margins[rng.random(margins.shape) < 0.4] = np.nan
        ones = np.ones(actions)
        ways: dict[str, Callable[[], Floats]] = {"numpy": lambda m=margins, o=ones: line(m, o, o)}
        for name, curve in CURVES.items():
            curves = Curves.of([curve] * actions)
            ways[name] = lambda m=margins, c=curves: c.apply(m)
        best = dict.fromkeys(ways, np.inf)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                best[name] = min(best[name], cost(way, max(3, 20_000 // margins.size)))
        rows.append((f"{requests} x {actions}", *(f"{value:,.1f}" for value in best.values())))
    table("Calibrating, microseconds", ("requests x actions", "numpy", *CURVES), rows)


def cost(way: Callable[[], Floats], times: int) -> float:
    """CPU microseconds of a call."""
    started = time.process_time()
    for _ in range(times):
        way()
    return (time.process_time() - started) / times * 1e6


if __name__ == "__main__":
    main()
