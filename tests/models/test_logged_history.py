"""Learning from the log: what its files say is what a model trains on."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from feature_store.logbook.folder import BadLog, LogFolder
from feature_store.logbook.rows import decision_rows, offer_rows, outcome_rows
from feature_store.logbook.tables import DECISIONS, OFFERS, OUTCOMES
from models.errors import TrainingError
from models.label_rules import LabelRules
from models.logged_history import LoggedHistory, LogSource
from models.promotions import How
from models.registry import Registry
from models.spec import ModelSpec
from models.workshop import train_workspace
from tests.feature_store.logbook.conftest import NOON, SCHEMA, entry, outcome

SPEC = ModelSpec("response", ("click", "convert"), "Somebody joins")
RULES = LabelRules(
    families={"response": ["click", "convert"]},
    actions={"join_club": "response"},
    windows={"join_club": 3600.0},
)
LATER = NOON + 1e6


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 decisions of two days: the older the customer, the likelier the response."""
    folder = tmp_path_factory.mktemp("log")
    files, rng = LogFolder(folder), np.random.default_rng(0)
    files.prepare()
    files.keep_schema(SCHEMA.fingerprint, SCHEMA.packed)
    for batch in range(40):
        at, age = NOON + 3600.0 * batch, 20.0 + 1.5 * batch * 7 % 60
        ids, row = [f"d{batch}-{number}" for number in range(50)], (age, 1.0, 1.0, 0.0, 86_400.0, 1.0)
        made = entry(ids, at, row=row)
        files.add(DECISIONS, decision_rows([made], SCHEMA), f"{batch}-1", lambda: False)
        files.add(OFFERS, offer_rows([made]), f"{batch}-1", lambda: False)
        came = [outcome(id_, occurred_at=at + 60) for id_ in made.decision_id if rng.random() < age / 100]
        files.add(OUTCOMES, outcome_rows([(each, at + 61) for each in came]), f"{batch}-2", lambda: False)
    return folder


def test_a_table_has_what_was_shown_known_and_answered(log: Path) -> None:
    table = LoggedHistory(LogSource(log, RULES, LATER), SCHEMA).table(SPEC, ["join_club"])
    assert len(table.rows) == 2_000
    assert (table.actions, table.channels) == (("join_club",), ("web",))
    assert set(table.chances) == {0.9}
    assert 0.3 < table.labels.mean() < 0.7
    first = dict(zip(table.schema.columns, table.rows[0], strict=False))
    assert first == {
        "age": 20.0,
        "is_member": 1.0,
        "genres=crime": 1.0,
        "genres=poetry": 0.0,
        "member_until": 86_400.0,
        "page": 1.0,
    }
    assert table.customer_ids[table.customers[0]].startswith("c-d0-")
    assert (np.diff(table.now) >= 0).all()


def test_what_may_still_be_answered_is_left_out(log: Path) -> None:
    source = LogSource(log, RULES, NOON + 3600.0 * 10)
    assert len(LoggedHistory(source, SCHEMA).table(SPEC, ["join_club"]).rows) == 10 * 50
    with pytest.raises(TrainingError, match="nothing that was shown has a window that is over"):
        LoggedHistory(LogSource(log, RULES, NOON + 60.0), SCHEMA)


def test_errors_name_the_log_and_what_it_has(log: Path, tmp_path: Path) -> None:
    history = LoggedHistory(LogSource(log, RULES, LATER), SCHEMA)
    with pytest.raises(TrainingError, match=r"none of its 1 actions \(leave_club, ...\).*it has join_club"):
        history.table(SPEC, ["leave_club"])
    with pytest.raises(BadLog):
        LoggedHistory(LogSource(tmp_path / "none", RULES, LATER), SCHEMA)


def test_a_workspace_is_trained_from_the_log_alone(log: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    source = LogSource(log, RULES, LATER)
    [report] = train_workspace(
        {"response": SPEC}, SCHEMA, {"join_club": "response"}, None, registry, log=source
    ).responses
    assert report.promoted
    assert report.auc > 0.6
    model = registry.load("response", SCHEMA)
    assert model.manifest.data.explored_rows == model.manifest.data.training_rows
    assert model.manifest.data.first_decision == datetime.fromtimestamp(NOON, UTC)
    assert registry.promotions("response")[0].how is How.TRAINED


def test_nothing_is_learnt_from_offers_whose_decisions_are_lost(log: Path, tmp_path: Path) -> None:
    torn = tmp_path / "log"
    shutil.copytree(log, torn)
    next(torn.glob("decisions/*/hour=13/*.parquet")).unlink()
    history = LoggedHistory(LogSource(torn, RULES, LATER), SCHEMA)
    assert len(history.table(SPEC, ["join_club"]).rows) == 1_950
    assert any("50 offers are of decisions that are not in the log" in remark for remark in history.remarks)
    shutil.rmtree(torn / "decisions")
    with pytest.raises(TrainingError, match="there are offers, but no decisions with their features"):
        LoggedHistory(LogSource(torn, RULES, LATER), SCHEMA)
