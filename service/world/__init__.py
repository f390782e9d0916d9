"""Demo data and synthetic worlds: populations, logged histories and the truth behind them."""

from service.world.synthetic import write_world
from service.world.truth import Truth, load_truth

__all__ = ["Truth", "load_truth", "write_world"]
