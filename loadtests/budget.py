"""Whether a load test kept its budget: Locust's figures against `budgets.yaml`."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from feature_store.documents import load_document, parse

Milliseconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
TOTAL = "Aggregated"  # Locust's name for all endpoints together


class Percentiles(BaseModel):
    """The most that the percentiles of an endpoint's response time may be."""

    model_config = ConfigDict(extra="forbid")
    p50: Milliseconds
    p95: Milliseconds
    p99: Milliseconds


class Budget(BaseModel):
    """What a load test may cost. Degraded decisions are those that the service made without some input."""

    model_config = ConfigDict(extra="forbid")
    endpoints: Annotated[dict[str, Percentiles], Field(min_length=1)]
    error_rate: Share
    degraded_rate: Share
    requests_per_second: Annotated[float, Field(gt=0)]

    @classmethod
    def load(cls, path: Path) -> "Budget":
        """Read a budget file. Raises `WorkspaceError`, which names file and line."""
        return parse(load_document(path), cls)


@dataclass(frozen=True)
class Measured:
    """One line of Locust's statistics; response times in milliseconds."""

    requests: int
    failures: int
    per_second: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Verdict:
    """One figure and whether it is within its budget."""

    what: str
    figure: str
    measured: str
    allowed: str
    kept: bool


def read_statistics(path: Path) -> dict[str, Measured]:
    """Locust's `*_stats.csv` by the name of the endpoint; all of them together are `Aggregated`."""
    with path.open(newline="") as file:
        return {
            row["Name"]: Measured(
                requests=int(row["Request Count"]),
                failures=int(row["Failure Count"]),
                per_second=float(row["Requests/s"]),
                p50=_milliseconds(row["50%"]),
                p95=_milliseconds(row["95%"]),
                p99=_milliseconds(row["99%"]),
            )
            for row in csv.DictReader(file)
        }


def judge(measured: Mapping[str, Measured], degraded: float, budget: Budget) -> list[Verdict]:
    """Every figure of the budget with its verdict. What was not measured is not kept.

    Args:
        measured: Locust's statistics.
        degraded: the share of decisions that were degraded.
        budget: what is allowed.
    """
    verdicts: list[Verdict] = []
    for name, allowed in budget.endpoints.items():
        verdicts += _judge_endpoint(name, measured.get(name), allowed)
    most = budget.degraded_rate
    verdicts.append(Verdict("decisions", "degraded", f"{degraded:.2%}", f"{most:.2%}", degraded <= most))
    return verdicts + _judge_total(measured.get(TOTAL), budget)


def _judge_endpoint(name: str, measured: Measured | None, allowed: Percentiles) -> list[Verdict]:
    if measured is None or measured.requests == 0:
        return [Verdict(name, "requests", "none", "some", kept=False)]
    return [
        Verdict(name, figure, f"{got:.0f} ms", f"{most:g} ms", kept=got <= most)
        for figure, got, most in (
            ("p50", measured.p50, allowed.p50),
            ("p95", measured.p95, allowed.p95),
            ("p99", measured.p99, allowed.p99),
        )
    ]


def _judge_total(total: Measured | None, budget: Budget) -> list[Verdict]:
    if total is None or total.requests == 0:
        return [Verdict("all", "requests", "none", "some", kept=False)]
    errors = total.failures / total.requests
    least = budget.requests_per_second
    return [
        Verdict("all", "errors", f"{errors:.2%}", f"{budget.error_rate:.2%}", errors <= budget.error_rate),
        Verdict("all", "throughput", f"{total.per_second:.0f}/s", f"{least:g}/s", total.per_second >= least),
    ]


def _milliseconds(text: str) -> float:
    return float("inf") if text in ("", "N/A") else float(text)
