"""Model cards: what a version is, what it was made of and how good it is, in Markdown with plots.

Mitchell et al., Model Cards for Model Reporting, 2019.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.kinds import KINDS
from models.layout import Inputs
from models.manifest import Manifest
from models.metrics import Metrics, UpliftMetrics, reliability
from models.package import StagedModel
from models.plots import Point, bars, curve, rounded_up
from models.scorers import Attributing, Scorer
from models.table import TrainingTable
from models.training import split_of
from models.verdict import Verdict

CARD = "card.md"
MOST_FEATURES = 20
ATTRIBUTED = 1_000
"""Rows whose scores are taken apart to tell which features matter."""
_CURVE_POINTS = 100


@dataclass(frozen=True)
class Evidence:
    """What the plots show, of the decisions that the metrics are of.

    reliability  the promised and the observed share of responses, bin by bin of equally many decisions
    roc          the share of the others above a threshold, and that of the responses; both are empty for a
                 model of uplift, which promises no responses
    importance   by column what it adds to the log-odds before calibration, for or against, in the mean; the
                 greatest first; empty where the model can't say
    """

    reliability: tuple[Point, ...]
    roc: tuple[Point, ...]
    importance: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, staged: StagedModel[Manifest], table: TrainingTable) -> Self:
        """Of a model and the table that it was made of."""
        manifest = staged.manifest
        test = split_of(table, int(manifest.parameters["seed"])).test
        rows, labels = table.rows[test], table.labels[test]
        scorer = KINDS[manifest.kind].make(staged.model, Inputs(table.schema, table.actions, table.channels))
        importance = tuple(_importance(scorer, manifest.inputs, rows[-ATTRIBUTED:]))
        if manifest.uplift is not None:
            return cls((), (), importance)
        scores = manifest.calibration.apply(scorer.margins(rows))
        return cls(tuple(reliability(labels, scores)), tuple(_roc(labels, scores)), importance)


def card(manifest: Manifest, evidence: Evidence, verdict: Verdict | None) -> Mapping[str, bytes]:
    """The card and its plots, by the names of their files."""
    plots = {}
    if evidence.reliability:
        most = rounded_up(max(max(point) for point in evidence.reliability))
        plots["reliability.svg"] = curve(
            "Reliability", "promised", "observed", evidence.reliability, most=(most, most), dots=True
        )
        plots["roc.svg"] = curve("ROC", "of the others", "of the responses", evidence.roc)
    if evidence.importance:
        plots["importance.svg"] = bars("What moves the prediction", evidence.importance)
    text = "\n".join(_lines(manifest, verdict, list(plots)))
    return {CARD: f"{text}\n".encode(), **plots}


def _roc(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> Iterator[Point]:
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(labels, scores)
    kept = np.unique(np.linspace(0, len(false) - 1, _CURVE_POINTS).round().astype(np.intp))
    yield from zip(false[kept].tolist(), true[kept].tolist(), strict=True)


def _importance(scorer: Scorer, names: tuple[str, ...], rows: NDArray[np.float64]) -> list[tuple[str, float]]:
    if not isinstance(scorer, Attributing):
        return []
    added = np.abs(scorer.contributions(rows)).mean(axis=0)
    order = np.argsort(-added, kind="stable")[:MOST_FEATURES]
    return [(names[column], float(added[column])) for column in order.tolist() if added[column] > 0]


def _lines(manifest: Manifest, verdict: Verdict | None, plots: list[str]) -> Iterator[str]:
    yield f"# {manifest.name} {manifest.version}"
    yield ""
    more = f" beyond that with {manifest.control}" if manifest.control else ""
    yield f"Predicts the probability of {', '.join(manifest.positive)}{more},"
    yield f"of {len(manifest.actions)} actions in {', '.join(manifest.channels)}."
    yield f"Kind: {manifest.kind}, {manifest.trees} trees."
    yield from _data(manifest)
    yield from _gate(verdict)
    yield from _quality(manifest) if manifest.uplift is None else _uplift(manifest.uplift)
    yield ""
    yield from (f"![{name.removesuffix('.svg')}]({name})" for name in plots)
    yield from _cells(manifest)
    yield from ("", "## How it was made", "", "| parameter | |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in manifest.parameters.items())
    yield from (f"| {feature} | {direction} |" for feature, direction in manifest.monotone.items())
    yield from (f"| {name} | {version} |" for name, version in manifest.libraries.items())


def _data(manifest: Manifest) -> Iterator[str]:
    data = manifest.data
    yield from ("", "## What it was made of", "", "| | |", "|---|---|")
    yield f"| decisions | {data.rows:,} of {data.customers:,} customers, {data.positives:,} with a response |"
    yield f"| from, to | {data.first_decision:%Y-%m-%d %H:%M}, {data.last_decision:%Y-%m-%d %H:%M} UTC |"
    yield f"| trained on | the oldest {data.training_rows:,} |"
    yield f"| tuned and calibrated on | the {data.validation_rows:,} after those |"
    yield f"| measured on | the newest {data.test_rows:,} |"
    yield f"| chosen by chance | {data.explored_rows:,} of those that it was trained on |"
    if data.effective_rows is not None:
        yield f"| effective sample size | {data.effective_rows:,.0f}, weighted by inverse probabilities |"
    yield f"| SHA-256 | `{data.sha256}` |"


def _gate(verdict: Verdict | None) -> Iterator[str]:
    if verdict is None:
        return
    yield from ("", "## The gate", "")
    passed = "It passes" if verdict.passed else "It does not pass"
    beside = f" beside {verdict.champion}" if verdict.champion else ""
    if verdict.comparison is not None:
        compared = verdict.comparison
        beside += (
            f", on {compared.decisions:,} decisions of {compared.customers:,} customers after "
            f"{compared.since:%Y-%m-%d %H:%M} UTC. Differences, with intervals of 95 % confidence"
        )
    yield f"{passed}{beside}:"
    yield ""
    yield from (f"- {reason}" for reason in verdict.reasons)


def _quality(manifest: Manifest) -> Iterator[str]:
    tried = ", ".join(f"{name} {loss:.5f}" for name, loss in manifest.calibration_losses.items())
    yield from ("", "## How good it is", "")
    yield f"Calibration: {manifest.calibration.method}" + (
        f" (log loss of those tried: {tried})." if tried else "."
    )
    yield from ("", "| | calibrated | before |", "|---|---|---|")
    for name in Metrics.model_fields:
        after, before = getattr(manifest.metrics, name), getattr(manifest.uncalibrated, name)
        yield f"| {name.replace('_', ' ')} | {after:.4f} | {before:.4f} |"


def _uplift(found: UpliftMetrics) -> Iterator[str]:
    parts = {"all": "whole", "the first 10 %": "at_10", "the first 20 %": "at_20", "the first 30 %": "at_30"}
    yield from ("", "## How good it is", "", "| of | uplift | from | to |", "|---|---|---|---|")
    for words, name in {**parts, "Qini coefficient": "qini"}.items():
        yield "| {} | {:.4f} | {:.4f} | {:.4f} |".format(words, *getattr(found, name))
    yield from ("", "| tenth of the scores | promised | observed |", "|---|---|---|")
    for tenth, (promised, observed) in enumerate(zip(found.promised, found.observed, strict=True), 1):
        yield f"| {tenth} | {promised:.4f} | {observed:.4f} |"


def _cells(manifest: Manifest) -> Iterator[str]:
    if not manifest.cells:
        return
    yield from ("", "## By action and channel", "")
    yield from ("| action | channel | decisions | promised | observed | ECE |", "|---|---|---|---|---|---|")
    for cell in manifest.cells:
        yield (
            f"| {cell.action} | {cell.channel} | {cell.rows:,} | {cell.promised:.4f} | "
            f"{cell.positives / cell.rows:.4f} | {cell.ece:.4f} |"
        )
