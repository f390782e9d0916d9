"""`python -m examples.hillstrom.qini FILE.svg`: the Qini curve of the model of uplift, and its promises."""

import sys
from pathlib import Path

from examples.hillstrom.evaluate import UNSEEN
from examples.hillstrom.trial import find_file, read_trial
from examples.hillstrom.uplift import uplifts
from models.metrics import UpliftMetrics


def draw(found: UpliftMetrics, path: Path) -> None:
    """Write the picture: the curve beside choosing by lot, the best shares, and tenths of the score."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "arbiter", "svg.fonttype": "none", "font.size": 9}):
        picture = Figure(figsize=(10.2, 2.8), layout="constrained")
        curve, best, tenths = (picture.add_subplot(1, 3, place + 1) for place in range(3))
        curve.plot(range(101), [100 * gained for gained in found.curve], color="#0b6e4f", label="by uplift")
        curve.plot([0, 100], [0, 100 * found.curve[-1]], color="#9aa0a6", label="by lot")
        curve.set(xlabel="% of customers treated", ylabel="visits gained, % of all")
        curve.legend(frameon=False)
        shares = {"10 %": found.at_10, "20 %": found.at_20, "30 %": found.at_30, "all": found.whole}
        values = [100 * value for value, _, _ in shares.values()]
        below = [100 * (value - low) for value, low, _ in shares.values()]
        above = [100 * (high - value) for value, _, high in shares.values()]
        best.errorbar(list(shares), values, [below, above], fmt="o", color="#0b6e4f", capsize=3)
        best.set(xlabel="with the highest scores", ylabel="uplift, points")
        promised, observed = ([100 * v for v in values] for values in (found.promised, found.observed))
        tenths.plot(promised, observed, "o", color="#0b6e4f")
        tenths.axline((promised[0], promised[0]), slope=1, color="#9aa0a6")
        tenths.set(xlabel="promised, points, by tenths", ylabel="observed, points")
        for panel in (curve, best, tenths):
            panel.grid(alpha=0.3)
            panel.spines[["top", "right"]].set_visible(False)
        picture.savefig(path, metadata={"Date": None}, bbox_inches="tight")


if __name__ == "__main__":
    learn, decide = read_trial(find_file()).halves(UNSEEN)
    draw(uplifts(learn, decide, UNSEEN)[1].uplift, Path(sys.argv[1]))  # type: ignore[arg-type]
