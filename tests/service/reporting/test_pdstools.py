"""What is written for `pdstools` is opened with `pdstools` itself."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from service.reporting.pdstools import GRADIENT_BOOST, MOST_SNAPSHOTS, export
from service.workspace.loading import Workspace

from .conftest import DAY, NOON, Log, answers_of, offer

YES = {"impression": 1.0, "click": 2.0, "accept": 60.0}


@pytest.fixture
def exported(shop: Workspace, log: Log, tmp_path: Path) -> Path:
    """Three days of novels and poems, some accepted, in the folder that `pdstools` reads."""
    rng = np.random.default_rng(3)
    for number in range(90):
        p = float(rng.uniform(0.1, 0.6))
        yes = rng.random() < p
        log.decide(
            f"n{number}",
            f"c{number % 30}",
            offer(outcomes=YES if yes else None, propensity=p),
            offer("atlas", {}),
            at=NOON + number // 30 * DAY,
        )
    log.decide("p", "eve", offer("poems", {"convert": 60.0, "reject": 5.0}), channel="email")
    with answers_of(shop, log) as answers:
        written = export(answers, shop, tmp_path / "pds")
    assert {path.name for path in written} == {path.name for path in (tmp_path / "pds").iterdir()}
    for path, rows in written.items():
        assert pq.read_metadata(path).num_rows == rows
    return tmp_path / "pds"


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def test_pdstools_reads_the_model_snapshots(exported: Path) -> None:
    from pdstools import ADMDatamart

    datamart = ADMDatamart.from_ds_export(base_path=exported)
    assert datamart.context_keys == ["Channel", "Direction", "Issue", "Group", "Name", "Treatment"]
    models = datamart.model_data.collect()
    assert models["SnapshotTime"].to_list() == [datetime(2026, 1, day) for day in (2, 3, 4)]
    assert models["ResponseCount"].to_list() == [30, 60, 90]
    last = datamart.aggregates.last(table="model_data").collect().to_dicts()[0]
    decided = [row for row in rows_of(exported, "explainability_extract") if row["pyName"] == "novel"]
    history = rows_of(exported, "interaction_history")
    accepted = {row["pxInteractionID"] for row in history if row["pyOutcome"] == "Accepted"}
    labels = [row["pxInteractionID"] in accepted for row in decided]
    assert last["Positives"] == sum(labels)
    assert last["Performance"] == pytest.approx(
        roc_auc_score(labels, [row["pyPropensity"] for row in decided])
    )
    [web] = datamart.aggregates.summary_by_channel().collect().to_dicts()
    assert (web["Channel"], web["Responses"]) == ("web", 60)  # from the first snapshot to the last


def test_pdstools_reads_the_interaction_history(exported: Path) -> None:
    from pdstools import IH

    history = IH.from_ds_export(exported / "interaction_history.parquet")
    data = history.data.collect()
    assert data["OutcomeTime"].min() == datetime(2026, 1, 1, 12)
    outcomes = set(data["Outcome"].to_list())
    assert outcomes == {"Impression", "Clicked", "Accepted", "Conversion", "Rejected"}
    by_channel = history.aggregates.summary_success_rates(by=["Channel"]).collect().to_dicts()
    found = {row["Channel"]: row for row in by_channel}
    accepted = [row for row in rows_of(exported, "interaction_history") if row["pyOutcome"] == "Accepted"]
    assert (found["web"]["Interactions"], found["web"]["Positives_Engagement"]) == (90, len(accepted))
    assert found["email"]["Positives_Conversion"] == 1


def test_pdstools_reads_the_decisions(exported: Path) -> None:
    from pdstools.decision_analyzer import DecisionAnalyzer

    decisions = DecisionAnalyzer.from_explainability_extract(exported / "explainability_extract.parquet")
    assert decisions.validation_error is None
    said = decisions.overview_stats
    assert (said["Actions"], said["Decisions"], said["Customers"]) == (3, 91, 31)


def test_of_many_days_some_are_taken_and_the_last(shop: Workspace, log: Log, tmp_path: Path) -> None:
    for day in range(80):
        log.decide(f"d{day}", "ada", offer(), at=NOON + day * DAY)
    with answers_of(shop, log) as answers:
        export(answers, shop, tmp_path / "pds")
    moments = [row["pySnapshotTime"] for row in rows_of(tmp_path / "pds", "model_snapshots")]
    assert len(moments) == MOST_SNAPSHOTS
    assert max(moments) == datetime(2026, 1, 1) + timedelta(days=80)


def test_an_empty_log_makes_tables_without_rows(shop: Workspace, log: Log, tmp_path: Path) -> None:
    with answers_of(shop, log) as answers:
        assert set(export(answers, shop, tmp_path / "pds").values()) == {0}


def test_the_technique_is_that_of_the_model_that_serves(world: Workspace, log: Log, tmp_path: Path) -> None:
    action = next(action for action in world.catalogue.actions if action.model)
    log.decide("d", "ada", offer(action.name))
    with answers_of(world, log) as answers:
        export(answers, world, tmp_path / "pds")
    assert [row["pyModelTechnique"] for row in rows_of(tmp_path / "pds", "model_snapshots")] == [
        GRADIENT_BOOST
    ]
