"""The log and the models in the column names of Pega's open `pdstools`, for who has notebooks for those.

model_snapshots.parquet         `ADMDatamart`: each model by action, treatment and channel, by day
interaction_history.parquet     `IH`: each outcome of what was seen
explainability_extract.parquet  `DecisionAnalyzer`: each offer with its factors
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from models.label_rules import IMPRESSION
from models.scorers import LightGBMScorer
from service.reporting.answers import Answers
from service.workspace.loading import NO_MODEL, Workspace
from service.world.tables import TableWriter

MOST_SNAPSHOTS = 30
"""Days of which snapshots are taken; of more, as many that lie evenly, and the last one."""
OUTCOMES = {
    "impression": "Impression",
    "click": "Clicked",
    "accept": "Accepted",
    "reject": "Rejected",
    "convert": "Conversion",
    "dismiss": "Dismissed",
    "no_response": "NoResponse",
}
"""What Pega calls the standard outcomes; others keep their names."""
GRADIENT_BOOST = "GradientBoost"
_CONTEXT = (
    'issue AS "pyIssue", "group" AS "pyGroup", action AS "pyName", treatment AS "pyTreatment", '
    'channel AS "pyChannel", getvariable(\'directions\')[channel] AS "pyDirection"'
)
_CELL = 'model, issue, "group", action, treatment, channel'
_HISTORY = f"""
    WITH happened AS (
        SELECT o.*, m.outcome AS word, m.occurred_at FROM offers o
        JOIN matched m USING (decision_id, placement, rank) WHERE o.seen AND m.place = 'within'
        UNION ALL
        SELECT o.*, '{IMPRESSION}', o.decided_at FROM offers o ANTI JOIN (
            FROM matched WHERE place = 'within' AND outcome = '{IMPRESSION}'
        ) m USING (decision_id, placement, rank) WHERE o.seen
    )
    SELECT decision_id AS "pxInteractionID", customer_id AS "pySubjectID",
        coalesce(getvariable('outcomes')[word], word) AS "pyOutcome",
        strftime(occurred_at::TIMESTAMP, '%Y%m%dT%H%M%S.%g GMT') AS "pxOutcomeTime",
        decided_at::TIMESTAMP AS "pxDecisionTime", {_CONTEXT},
        propensity AS "pyPropensity", rank AS "pxRank", arm AS "ExperimentGroup"
    FROM happened ORDER BY occurred_at, decision_id, placement, rank, word
    """
_EXTRACT = f"""
    SELECT customer_id AS "pySubjectID", decision_id AS "pxInteractionID",
        decided_at::TIMESTAMP AS "pxDecisionTime", {_CONTEXT}, value AS "Value",
        context_weight AS "ContextWeight", lever AS "Weight", propensity AS "pyPropensity",
        propensity AS "FinalPropensity", priority AS "Priority",
        arm AS "ModelControlGroup", placement AS "PlacementType", rank AS "pxRank"
    FROM offers ORDER BY decided_at, decision_id, placement, rank
    """


def export(answers: Answers, workspace: Workspace, folder: Path) -> Mapping[Path, int]:
    """Write the three tables of the report's period into a folder; returns how many rows each has."""
    folder.mkdir(parents=True, exist_ok=True)
    directions = {channel.name: channel.direction.capitalize() for channel in workspace.catalogue.channels}
    answers.connection.execute(f"SET VARIABLE directions = {_map(directions)}")
    answers.connection.execute(f"SET VARIABLE outcomes = {_map(OUTCOMES)}")
    answers.connection.execute(f"SET VARIABLE techniques = {_map(_techniques(workspace))}")
    tables = {
        "model_snapshots": [_snapshot(moment) for moment in _moments(answers)],
        "interaction_history": [_HISTORY],
        "explainability_extract": [_EXTRACT],
    }
    paths = {name: folder / f"{name}.parquet" for name in tables}
    return {path: _write(answers, tables[name], path) for name, path in paths.items()}


def _write(answers: Answers, queries: Sequence[str], path: Path) -> int:
    """One query's rows after the other's; returns how many there are."""
    rows = 0
    with TableWriter(path, answers.batches(queries[0]).schema) as writer:
        for query in queries:
            for batch in answers.batches(query):
                writer.write(pa.Table.from_batches([batch]))
                rows += batch.num_rows
    return rows


def _moments(answers: Answers) -> list[datetime]:
    """The ends of the days of which snapshots are taken, the last one now."""
    ((first, last),) = answers.rows("SELECT min(decided_at)::DATE, max(decided_at)::DATE FROM decided")
    if first is None:
        return [datetime.fromtimestamp(answers.until, UTC).replace(tzinfo=None)]
    days = (last - first).days + 1
    chosen = np.unique(np.linspace(days, 1, min(days, MOST_SNAPSHOTS)).round().astype(int))
    return [datetime.combine(first, datetime.min.time()) + timedelta(days=int(day)) for day in chosen]


def _techniques(workspace: Workspace) -> Mapping[str, str]:
    """What Pega calls the kind of each model that serves."""
    registry = workspace.registry
    serving = {name: registry.serving(name) for name in sorted(set(workspace.action_models.values()))}
    kinds = {name: registry.manifest(name, version).kind for name, version in serving.items() if version}
    return {name: GRADIENT_BOOST if kind == LightGBMScorer.kind else kind for name, kind in kinds.items()}


def _snapshot(moment: datetime) -> str:
    """SQL of what was known at a moment. The performance is the AUC, by the mean rank of the positives (Mann
    and Whitney, 1947); 0.5 as long as there is nothing to rank."""
    return f"""
        WITH known AS (
            SELECT {_CELL}, propensity, coalesce(accepted_at < TIMESTAMPTZ '{moment}+00', false) AS positive
            FROM offers
            WHERE seen AND model != '{NO_MODEL}' AND decided_at < TIMESTAMPTZ '{moment}+00'
        ), ranked AS (
            SELECT *, rank() OVER (PARTITION BY {_CELL} ORDER BY propensity)
                + (count(*) OVER (PARTITION BY {_CELL}, propensity) - 1) / 2 AS place
            FROM known
        ), counted AS (
            SELECT {_CELL}, count(*)::DOUBLE AS n, (count(*) FILTER (WHERE positive))::DOUBLE AS p,
                sum(place) FILTER (WHERE positive) AS places
            FROM ranked GROUP BY ALL
        )
        SELECT concat_ws('/', model, channel, issue, "group", action, treatment) AS "pyModelID",
            model AS "pyConfigurationName", TIMESTAMP '{moment}' AS "pySnapshotTime", {_CONTEXT},
            CASE WHEN p > 0 AND p < n THEN (places - p * (p + 1) / 2) / (p * (n - p)) ELSE 0.5 END
                AS "pyPerformance",
            n AS "pyResponseCount", p AS "pyPositives", n - p AS "pyNegatives", p / n AS "pySuccessRate",
            getvariable('techniques')[model] AS "pyModelTechnique"
        FROM counted ORDER BY 1
        """


def _map(texts: Mapping[str, str]) -> str:
    """SQL of a map of texts."""
    if not texts:
        return "map([]::VARCHAR[], []::VARCHAR[])"
    quoted = (f"[{', '.join(_quoted(text) for text in part)}]" for part in (texts, texts.values()))
    return f"map({', '.join(quoted)})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
