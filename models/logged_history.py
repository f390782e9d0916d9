"""The log as what models learn from: what was shown, on what it was decided, and what came of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.feature import GIVEN
from feature_store.logbook.tables import FEATURES
from feature_store.schema import FeatureSchema
from models.deriving import Derive, as_it_is
from models.errors import TrainingError
from models.files import CHANCE, columns_of, features_of, text_of
from models.label_rules import LabelRules
from models.labels import FINAL, labels
from models.spec import ModelSpec
from models.table import TrainingTable, table_of

_COLUMNS = ("decision_id", "customer_id", "decided_at", "channel", "action", CHANCE, "labels", FEATURES)


@dataclass(frozen=True)
class LogSource:
    """A folder of the log, what counts as a response, and the moment as of which it is read, in epoch
    seconds."""

    folder: Path
    rules: LabelRules
    as_of: float


class LoggedHistory:
    """All that was shown and whose window is over: what may still be answered says nothing yet.

    Features are those that each decision was made on; one that it did not know yet has its default. An offer
    whose decision is not in the log is left out. `remarks` says what somebody should look at.

    Raises:
        BadLog: there is no log, or a file of it can't be used.
        TrainingError: nothing in it is final.
    """

    def __init__(self, source: LogSource, schema: FeatureSchema, derive: Derive = as_it_is) -> None:
        """`derive` fills in derived features."""
        self._file, self._schema, self._derive = str(source.folder), schema, derive
        with labels(source.folder, source.rules, source.as_of) as found:
            wanted = [name for name in _COLUMNS if name in found.rows.schema.names]
            parts = [batch.filter(_learnable(batch)).select(wanted) for batch in found.rows]
        self.remarks = found.findings.remarks
        if found.findings.without_decision and FEATURES not in wanted:
            raise TrainingError(f"{source.folder}: there are offers, but no decisions with their features")
        self._shown = pa.Table.from_batches(parts) if parts else pa.table({})
        if not self._shown.num_rows:
            raise TrainingError(
                f"{source.folder}: nothing that was shown has a window that is over; wait, or say a shorter "
                "`outcome_window` of the actions"
            )

    def table(self, spec: ModelSpec, actions: Collection[str]) -> TrainingTable:
        """The table of one model: what was shown of `actions`, and whether an outcome of the model came.

        Raises:
            TrainingError: the log has none of these actions.
        """
        logged = text_of(self._shown, "action")
        chosen = self._shown.filter(pc.is_in(logged, value_set=pa.array(sorted(actions), pa.string())))
        if not chosen.num_rows:
            raise TrainingError(self._nothing(spec, actions, pc.unique(logged).to_pylist()))
        responded = pc.struct_field(chosen.column("labels").combine_chunks(), spec.name)
        X, errors = features_of(self._file, columns_of(chosen), self._schema, GIVEN)
        np.copyto(X, self._schema.defaults, where=np.isnan(X))
        return table_of(
            self._file,
            chosen,
            X,
            responded.to_numpy(zero_copy_only=False).astype(np.float64),
            self._schema,
            spec.read_schema(self._schema),
            self._derive,
            errors,
            (),
        )

    def _nothing(self, spec: ModelSpec, actions: Collection[str], logged: Sequence[Any]) -> str:
        seen = ", ".join(sorted(filter(None, logged))[:5])
        asked = ", ".join(sorted(actions)[:5])
        return (
            f"model '{spec.name}': {self._file} has none of its {len(actions)} actions ({asked}, ...) that "
            f"was shown and is final; it has {seen}"
        )


def _learnable(batch: pa.RecordBatch) -> Any:
    """Which rows are final, and of a decision that is known."""
    final: Any = pc.equal(batch.column("state"), pa.scalar(FINAL))
    if FEATURES not in batch.schema.names:
        return final
    return pc.and_(final, pc.is_valid(batch.column(FEATURES)))
