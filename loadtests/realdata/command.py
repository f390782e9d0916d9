"""`make bench-models`: the training pipeline on public data, beside published figures."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtests.bench.page import PageUnfit
from loadtests.realdata.bandit import CAMPAIGNS, bts_by_lot
from loadtests.realdata.folder import DataMissing
from loadtests.realdata.measuring import measure
from loadtests.realdata.page import MARKS, section, write_page
from loadtests.realdata.sets import SETS
from models.evaluation.value import evaluate


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(prog="loadtests.realdata", description=__doc__)
    parser.add_argument(
        "--docs", type=Path, default=Path("docs"), help="the folder of models.md (%(default)s)"
    )
    options = parser.parse_args(arguments)
    try:
        MARKS.around(options.docs)
        results = {}
        for name, read in SETS.items():
            print(f"{name} ...", file=sys.stderr, flush=True)
            found = read()
            results[name] = found, measure(found)
        campaigns = {}
        for campaign in CAMPAIGNS:
            logged, live = bts_by_lot(campaign)
            campaigns[campaign] = evaluate(logged), float(live.clicks.mean())
        text = section(results, campaigns)
        print(text)
        print(f"written to {write_page(options.docs, text)}", file=sys.stderr)
    except (DataMissing, PageUnfit) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0
