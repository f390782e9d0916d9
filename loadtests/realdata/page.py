"""The part of `docs/models.md` that says how the pipeline does on public data."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from loadtests.bench.page import Marks
from loadtests.realdata.measuring import Measured
from loadtests.realdata.sets import RealSet
from models.evaluation.bootstrap import Interval
from models.evaluation.value import Evaluation

MARKS = Marks("models.md", "<!-- bench-models -->", "<!-- /bench-models -->")
HEADER = ("data", "rows", "responses", "AUC", "average precision", "ECE", "lift of the top 10 %", "published")
BANDIT_HEADER = (
    "campaign",
    "clicks by lot",
    "BTS live",
    "by IPS",
    "by SNIPS",
    "effective choices",
    "IPS / by lot",
)


def section(
    results: Mapping[str, tuple[RealSet, Measured]], campaigns: Mapping[str, tuple[Evaluation, float]]
) -> str:
    """The tables: of response models by data set, and of BTS as the log by lot and the live one have it."""
    return "\n".join([*_models(results), "", *_bandit(campaigns), ""])


def write_page(docs: Path, text: str) -> Path:
    """Put the tables in their place in the page. Raises `PageUnfit` where the page or a mark is missing."""
    before, after = MARKS.around(docs)
    page = docs / MARKS.page
    page.write_text(f"{before}\n{text}{after}", encoding="utf-8")
    return page


def _models(results: Mapping[str, tuple[RealSet, Measured]]) -> Iterator[str]:
    yield from _head(HEADER)
    for name, (found, measured) in results.items():
        spread = "" if math.isnan(measured.spread) else f" ± {measured.spread:.3f}"
        cells = (
            name,
            f"{measured.rows:,}",
            f"{measured.positives:,}",
            f"{measured.auc:.3f}{spread}",
            f"{measured.average_precision:.3f}",
            f"{measured.ece:.3f}",
            f"{measured.lift:.2f}",
            "; ".join(filter(None, (found.published, found.note))),
        )
        yield _row(cells)


def _bandit(campaigns: Mapping[str, tuple[Evaluation, float]]) -> Iterator[str]:
    yield from _head(BANDIT_HEADER)
    for campaign, (found, live) in campaigns.items():
        ips = found.values["ips"]
        cells = (
            f"open_bandit, {campaign}",
            _percent(found.logged),
            f"{live:.2%}",
            _percent(ips),
            _percent(found.values["snips"]),
            f"{found.effective:,.0f} of {found.choices:,}",
            f"{ips.value / found.logged.value:.2f}",
        )
        yield _row(cells)


def _percent(interval: Interval) -> str:
    return f"{interval.value:.2%} [{interval.low:.2%}, {interval.high:.2%}]"


def _head(names: tuple[str, ...]) -> Iterator[str]:
    yield _row(names)
    yield "|" + "---|" * len(names)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
