"""Logs whose truth is known, row by row, of a small bookshop."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from feature_store.logbook.folder import LogFolder
from feature_store.logbook.tables import TABLES, LogTable
from service.reporting.answers import Answers, open_answers
from service.workspace.loading import Workspace, load_workspace

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
DAY = 86_400.0

FILES = {
    "features.yaml": "features: {age: {type: number, source: profile, description: Age}}\n",
    "channels.yaml": """\
channels:
  web: {direction: inbound, reports_impressions: true, placements: {hero: {limit: 1}}}
  email: {direction: outbound, placements: {lead: {limit: 1}}}
""",
    "models.yaml": "models: {response: {positive: [accept], description: Says yes}}\n",
    "actions/sales.yaml": """\
issue: sales
groups:
  books:
    actions:
      novel: {model: response, outcome_window: 1d, treatments: {novel_web: {channel: web}}}
      atlas: {model: response, outcome_window: 1d, treatments: {atlas_web: {channel: web}}}
      poems: {propensity: 0.1, outcome_window: 1d, treatments: {poems_mail: {channel: email}}}
      gone: {active: false, propensity: 0.1, treatments: {gone_mail: {channel: email}}}
""",
    "experiments.yaml": """\
experiments:
  holdout:
    namespace: holdout
    arms: {control: {share: 10%, withhold: everything}}
  impact:
    namespace: impact
    arms:
      random: {share: 10%, conduct: random_eligible}
  prices:
    namespace: impact
    arms:
      champion: {from: 40%, share: 20%}
      challenger: {from: 60%, share: 20%, conduct: no_levers}
""",
}


@dataclass
class Log:
    """Rows of the log, made one by one."""

    folder: Path
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in TABLES})

    def decide(
        self,
        decision_id: str,
        customer_id: str,
        *offers: Mapping[str, Any],
        at: float = NOON,
        channel: str = "web",
        experiments: Mapping[str, str] | None = None,
        empty: str | None = None,
        account_id: str | None = None,
    ) -> None:
        """A decision with its offers; each of these may name its `outcomes`, {name: seconds after}, and any
        column."""
        moment = datetime.fromtimestamp(at, UTC)
        common = {"decision_id": decision_id, "customer_id": customer_id, "channel": channel}
        self.rows["decisions"].append(
            common
            | {
                "decided_at": moment,
                "account_id": account_id,
                "experiments": list((experiments or {}).items()),
                "models": [("response", "20260101T000000Z-00000000")],
                "empty": [{"placement": "hero", "reason": empty}] if empty else [],
            }
        )
        for rank, offer in enumerate(offers, start=1):
            self._offer(common | {"decided_at": moment, "placement": "hero", "rank": rank}, dict(offer), at)

    def _offer(self, common: Mapping[str, Any], offer: dict[str, Any], at: float) -> None:
        outcomes: Mapping[str, float] = offer.pop("outcomes", {})
        reported = offer.pop("reported", None)
        row = {
            "issue": "sales",
            "group": "books",
            "action": "novel",
            "treatment": "novel_web",
            "arm": "a",
            "propensity": 0.1,
            "context_weight": 1.0,
            "value": 10.0,
            "lever": 1.0,
            "priority": 1.0,
            "selection_probability": 1.0,
            **common,
            **offer,
        }
        self.rows["offers"].append(row)
        for name, after in outcomes.items():
            moment = datetime.fromtimestamp(at + after, UTC)
            kept = {key: row[key] for key in row if key in TABLES["outcomes"].columns.names}
            self.rows["outcomes"].append(
                kept
                | {
                    "outcome_id": f"{row['decision_id']}-{row['rank']}-{name}",
                    "occurred_at": moment,
                    "received_at": moment,
                    "outcome": name,
                    "value": reported if name == "accept" else None,
                }
            )

    def write(self, times: int = 1) -> Path:
        """Into files, so many times over."""
        log = LogFolder(self.folder)
        log.prepare()
        for time in range(times):
            for table in TABLES.values():
                self._write(log, table, f"{time}-0")
        return self.folder

    def _write(self, log: LogFolder, table: LogTable, last: str) -> None:
        if self.rows[table.name]:
            rows = pa.Table.from_pylist(self.rows[table.name], schema=table.columns)
            log.add(table, rows, last, lambda: False)


def offer(
    action: str = "novel", outcomes: Mapping[str, float] | None = None, **columns: Any
) -> dict[str, Any]:
    """An offer for `Log.decide`; shown, unless its outcomes say otherwise."""
    return {"action": action, "outcomes": {"impression": 1.0} if outcomes is None else outcomes, **columns}


@contextmanager
def answers_of(
    shop: Workspace, log: Log, *, since: float = -inf, until: float = NOON + 100 * DAY
) -> Iterator[Answers]:
    """The tables of a log that is written now."""
    with open_answers(shop, log.write(), since, until) as answers:
        yield answers


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """An empty log."""
    return Log(tmp_path / "log")


@pytest.fixture
def shop_folder(tmp_path: Path) -> Path:
    """The workspace's files."""
    for name, text in FILES.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "shop"


@pytest.fixture
def shop(shop_folder: Path) -> Workspace:
    """The bookshop."""
    return load_workspace(shop_folder)
