"""How long a report takes: `python docs/decisions/measurements/reporting.py FOLDER DECISIONS DAYS`.

Writes a log of the telco company into FOLDER/log, with responses that are drawn from known probabilities,
then its report into FOLDER/report.html and the tables for pdstools into FOLDER/tables, and says how long each
took.
"""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_store.arrow import times
from feature_store.logbook.folder import LogFolder
from feature_store.logbook.tables import DECISIONS, OFFERS, OUTCOMES, LogTable
from service.decisioning.draws import keys_of
from service.decisioning.experiments import arm_of, places
from service.reporting.answers import open_answers
from service.reporting.page import page
from service.reporting.pdstools import export
from service.reporting.report import report
from service.workspace.loading import Workspace, load_workspace

TELCO = Path(__file__).resolve().parents[3] / "examples" / "telco"
ENDS = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
DAY = 86_400.0
AT_A_TIME = 250_000
EFFECTS = {"random_eligible": 0.45, "propensity_only": 1.05, "no_levers": 0.9, "challenger": 1.1}
"""How much likelier the customers of an arm respond."""
OUTCOMES_OF = {"click": (1.8, 30.0), "accept": (1.0, 3_600.0)}
"""How much likelier than a response, and how many seconds after the decision."""


class Company:
    """Decisions for customers of the telco company, an offer each, some never answered."""

    def __init__(self, workspace: Workspace, decisions: int, days: int, seed: int = 3) -> None:
        self._rng, self._decisions = np.random.default_rng(seed), decisions
        self._actions = [action for action in workspace.catalogue.actions if action.active][:-2]
        self._popular = self._rng.dirichlet(np.full(len(self._actions), 0.6))
        self._rates = self._rng.beta(1.3, 20, len(self._actions))
        self._rates[0] = 0.0
        self._channels = [channel.name for channel in workspace.catalogue.channels]
        self._days = days
        self._customers = [f"c{number}" for number in range(max(1, decisions // 4))]
        self._arms = self._arms_of(workspace)

    def _arms_of(self, workspace: Workspace) -> list[dict[str, str]]:
        arms: list[dict[str, str]] = [{} for _ in self._customers]
        for experiment in workspace.engagement.experiments.experiments:
            place = places(keys_of(self._customers), experiment.key)
            for arm in experiment.arms:
                for customer in np.flatnonzero((arm.start <= place) & (place < arm.end)).tolist():
                    arms[customer][experiment.name] = arm.name
        return arms

    def parts(self) -> Iterator[dict[LogTable, pa.Table]]:
        """The rows of all tables, some decisions at a time."""
        for first in range(0, self._decisions, AT_A_TIME):
            yield self._part(first, min(AT_A_TIME, self._decisions - first))

    def _part(self, first: int, n: int) -> dict[LogTable, pa.Table]:
        rng = self._rng
        whose = rng.integers(len(self._customers), size=n).tolist()
        arms = [self._arms[customer] for customer in whose]
        held = np.array(["universal_control" in arm for arm in arms])
        offered = ~held & (rng.random(n) < 0.9)
        moment = ENDS - self._days * DAY * rng.random(n)
        common = {
            "decision_id": [f"d{number:09d}" for number in range(first, first + n)],
            "customer_id": [self._customers[customer] for customer in whose],
            "channel": rng.choice(self._channels, n).tolist(),
            "decided_at": times(moment),
            "arm": [arm_of(arm) for arm in arms],
        }
        offers = _table(OFFERS, common | self._offers(n))
        return {
            DECISIONS: _table(DECISIONS, common | self._decided(arms, offered.tolist(), held.tolist())),
            OFFERS: offers.filter(pa.array(offered)),
            OUTCOMES: pa.concat_tables(self._outcomes(offers, offered, moment, arms)),
        }

    def _offers(self, n: int) -> dict[str, Any]:
        number = self._rng.choice(len(self._actions), n, p=self._popular)
        actions = [self._actions[place] for place in number.tolist()]
        truth = np.clip(self._rates[number] * self._rng.lognormal(0.0, 0.6, n), 0.0, 0.9)
        value = np.array([action.value for action in actions])
        return {
            "placement": ["home_hero"] * n,
            "rank": np.ones(n, np.int32),
            "issue": [action.issue for action in actions],
            "group": [action.group for action in actions],
            "action": [action.name for action in actions],
            "treatment": [f"{action.name}_web" for action in actions],
            "propensity": truth,
            "context_weight": np.ones(n),
            "value": value,
            "lever": np.array([action.lever for action in actions]),
            "priority": truth * value,
            "selection_probability": np.full(n, 0.9),
        }

    def _decided(self, arms: list[dict[str, str]], offered: list[bool], held: list[bool]) -> dict[str, Any]:
        reasons = self._rng.choice(["nothing_eligible", "contact_limit_reached"], len(arms)).tolist()
        empty = [
            [] if there else [{"placement": "home_hero", "reason": "control_group" if out else reason}]
            for there, out, reason in zip(offered, held, reasons, strict=True)
        ]
        models = [[(name, "20260901T000000Z-0badcafe") for name in ("sales", "service", "retention")]]
        return {
            "experiments": [list(arm.items()) for arm in arms],
            "models": models * len(arms),
            "empty": empty,
        }

    def _outcomes(
        self,
        offers: pa.Table,
        offered: NDArray[np.bool_],
        moment: NDArray[np.float64],
        arms: list[dict[str, str]],
    ) -> Iterator[pa.Table]:
        effect = np.array([max((EFFECTS.get(arm, 1.0) for arm in its.values()), default=1.0) for its in arms])
        truth = offers["propensity"].to_numpy() * effect
        for outcome, (times_as_likely, after) in OUTCOMES_OF.items():
            came = np.flatnonzero(offered & (self._rng.random(len(arms)) < times_as_likely * truth))
            rows = offers.take(pa.array(came))
            when = times(moment[came] + after)
            own = {
                "outcome_id": [f"{outcome}-{decision}" for decision in rows["decision_id"].to_pylist()],
                "outcome": [outcome] * len(came),
                "occurred_at": when,
                "received_at": when,
                "value": None,
            }
            yield _table(OUTCOMES, {name: rows[name] for name in rows.column_names} | own)


def _table(table: LogTable, columns: dict[str, Any]) -> pa.Table:
    """Columns as a table of the log; what is not there is null."""
    rows = len(columns["decision_id"])
    made = []
    for wanted in table.columns:
        found = columns.get(wanted.name)
        if found is None:
            found = pa.nulls(rows, wanted.type)
        made.append(found if isinstance(found, pa.ChunkedArray) else pa.array(found, wanted.type))
    return pa.Table.from_arrays(made, schema=table.columns)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long it took."""
    began, used = time.perf_counter(), time.process_time()
    yield
    say(f"{what}: {time.perf_counter() - began:.1f} s, {time.process_time() - used:.1f} s of the processor")


def main(folder: Path, decisions: int, days: int) -> None:
    """Write the log, the report and the tables."""
    workspace = load_workspace(TELCO)
    log = LogFolder(folder / "log")
    log.prepare()
    for number, part in enumerate(Company(workspace, decisions, days).parts()):
        for table, rows in part.items():
            log.add(table, rows, f"{number}-0", lambda: False)
    with timed("all of it"), open_answers(workspace, folder / "log", float("-inf"), ENDS) as answers:
        with timed("report"):
            (folder / "report.html").write_text(page(report(answers, workspace)), encoding="utf-8")
        with timed("tables for pdstools"):
            export(answers, workspace, folder / "tables")
    say(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
