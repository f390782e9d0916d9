"""`make hillstrom`: what the engine would have earned on a real randomised e-mail trial.

For each of several random halvings it learns from one half of the customers and has the real service decide
for every customer of the other half. Since the trial gave the three e-mails by lot, what the served actions
would have earned can be read off it without bias.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from examples.hillstrom.rehearsal import RehearsalFailed, rehearse
from examples.hillstrom.trial import ARMS, METRICS, PROPENSITY, Trial, TrialMissing, find_file, read_trial
from examples.hillstrom.uplift import by_uplift
from examples.hillstrom.value import Comparison, Estimate, Floats, Picks, Row, contributions
from loadtests.server import ServerFailed

BASELINE = "always Men's"
UNSEEN = 100
"""The seed of the first halving: those of 0 to 9 were looked at when the features were chosen."""
DECIMALS = {"visit": 4, "conversion": 5, "spend": 3}
UNITS = {"visit": "share who visited", "conversion": "share who bought", "spend": "USD per customer"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate and print the table."""
    parser = argparse.ArgumentParser(prog="examples.hillstrom.evaluate", description=__doc__)
    parser.add_argument("--splits", type=int, default=10, help="how many random halvings")
    parser.add_argument(
        "--seed", type=int, default=UNSEEN, help="the seed of the first; the others follow (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.splits < 2:
        parser.error("--splits: an interval over splits needs at least two of them")
    try:
        comparisons = evaluate(read_trial(find_file()), range(options.seed, options.seed + options.splits))
    except (TrialMissing, RehearsalFailed, ServerFailed) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    print(report(comparisons, options.splits))
    return 0


def evaluate(trial: Trial, seeds: Sequence[int]) -> dict[str, Comparison]:
    """Compare the policies under every metric, one halving of the trial for each seed."""
    comparisons = {metric: Comparison(BASELINE) for metric in METRICS}
    for number, seed in enumerate(seeds, 1):
        started = time.perf_counter()
        learn, decide = trial.halves(seed)
        with tempfile.TemporaryDirectory(prefix="arbiter-hillstrom-") as folder:
            served = rehearse(learn, decide, Path(folder))
        moved = by_uplift(learn, decide, seed)
        for metric in METRICS:
            comparisons[metric].add(policies(decide, served, moved, decide.outcomes[metric]))
        shares = ", ".join(f"{name} {np.mean(served == arm):.1%}" for arm, name in enumerate(ARMS))
        said = f"split {number} of {len(seeds)}: {len(decide):,} customers decided for; {shares}"
        print(f"{said} ({time.perf_counter() - started:.0f} s)", file=sys.stderr, flush=True)
    return comparisons


def policies(trial: Trial, served: Picks, moved: Picks, outcome: Floats) -> dict[str, Floats]:
    """What each customer adds to the value of each policy, of `served` and `moved` as an index into `ARMS`
    (n). Random is what the trial itself did."""

    def value_of(picks: Picks) -> Floats:
        return contributions(picks, trial.arm, outcome, PROPENSITY)

    fixed = {name: value_of(np.full(len(trial), arm, np.intp)) for arm, name in enumerate(ARMS)}
    return {
        "Arbiter": value_of(served),
        "Arbiter, by uplift": value_of(moved),
        BASELINE: fixed["mens_email"],
        "always Women's": fixed["womens_email"],
        "nobody": fixed["no_email"],
        "random": outcome,
    }


def report(comparisons: Mapping[str, Comparison], splits: int) -> str:
    """The comparison as a Markdown table, and what it says of each metric."""
    lead = f"visit, lead on {BASELINE}"
    header = ["policy", *(f"{metric} ({UNITS[metric]})" for metric in METRICS), lead, "splits won"]
    rows = {metric: comparisons[metric].rows() for metric in METRICS}
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for place, row in enumerate(rows["visit"]):
        cells = [row.policy, *(shown(rows[metric][place].value, DECIMALS[metric]) for metric in METRICS)]
        cells += ["", ""] if row.lead is None else [points(row.lead), f"{row.won} of {splits}"]
        lines.append("| " + " | ".join(cells) + " |")
    said = (verdict(metric, rows[metric][place]) for place in (0, 1) for metric in METRICS)
    return "\n".join([*lines, "", *said])


def verdict(metric: str, row: Row) -> str:
    """One sentence on whether a policy beats the baseline."""
    if row.lead is None:
        return f"- {metric}: {row.policy} is what the others are compared with."
    digits = DECIMALS[metric]
    lead = f"{row.lead.value:+.{digits}f} [{row.lead.low:+.{digits}f}, {row.lead.high:+.{digits}f}]"
    if row.lead.low > 0:
        said = f"beats {BASELINE}"
    elif row.lead.high < 0:
        said = f"loses to {BASELINE}"
    else:
        said = f"can't be told from {BASELINE}"
    return f"- {metric}: {row.policy} {said}: {lead}"


def shown(estimate: Estimate, digits: int) -> str:
    """A value with its interval."""
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def points(estimate: Estimate) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * estimate.value:+.2f} points [{100 * estimate.low:+.2f}, {100 * estimate.high:+.2f}]"


if __name__ == "__main__":
    sys.exit(main())
