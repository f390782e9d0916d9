"""Tables with labels: what models of customers learn from."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_store.columns import ColumnErrors
from feature_store.documents import did_you_mean
from feature_store.feature import GIVEN
from feature_store.schema import STORED, FeatureSchema, FeatureType, Source
from models.deriving import Derive, as_it_is
from models.errors import TrainingError
from models.files import coded, epoch_of, features_of, misfits, read_columns, text_of
from models.layout import Layout
from models.profiles import CUSTOMERS, Profiles
from models.spec import ModelSpec, Target
from models.table import TrainingTable

_OWNER, _MOMENT = "customer_id", "decided_at"


def labelled_table(
    folder: Path, spec: ModelSpec, target: Target, schema: FeatureSchema, derive: Derive = as_it_is
) -> TrainingTable:
    """The table that a model of customers learns from; rows without a label are left out.

    Features that the table does not have are those of its `customer_id` in customers.parquet. Without that
    column each row is a customer of its own. `decided_at` says when a row was so; timestamps and derived
    features need it. `derive` fills in the latter.

    Raises:
        TrainingError: a file or a column is missing, or does not fit.
    """
    given = [feature.name for feature in schema.features if feature.source in GIVEN]
    others = sorted({*given, _OWNER, _MOMENT} - {target.label})
    whole = read_columns(folder / target.file, (target.label,), others)
    labels, errors = _labels(whole, target)
    kept = np.flatnonzero(~np.isnan(labels))
    table = whole.take(kept).drop_columns([target.label])
    read = spec.read_schema(schema)
    X, misfitting = _features(folder, table, target.file, schema, read)
    now = _moments(table, target.file, read)
    np.copyto(X, schema.defaults, where=np.isnan(X))
    derive(X, now)
    customer_ids, customers = _owners(table)
    nothing = np.full(len(X), np.nan)
    return TrainingTable(
        rows=Layout.of(schema, read.columns).rows(X, np.arange(len(X)), now, nothing, nothing),
        chances=nothing,
        labels=labels[kept],
        now=now,
        customers=customers,
        customer_ids=customer_ids,
        schema=read,
        actions=(),
        channels=(),
        warnings=(
            *_unlabelled(target, len(labels), len(kept)),
            *misfits(errors, FeatureSchema((target.feature,))),
            *misfits(misfitting, read),
        ),
    )


def _labels(table: pa.Table, target: Target) -> tuple[NDArray[np.float64], list[tuple[str, ColumnErrors]]]:
    """The label of each row, shape (n,); NaN where there is none."""
    label = FeatureSchema((target.feature,))
    found, errors = features_of(target.file, table.select([target.label]), label, (Source.PROFILE,))
    return found[:, 0], errors


def _features(
    folder: Path, table: pa.Table, file: str, schema: FeatureSchema, read: FeatureSchema
) -> tuple[NDArray[np.float64], list[tuple[str, ColumnErrors]]]:
    """X of all that is known of the rows, and what was wrong with it."""
    X, errors = features_of(file, table, schema, GIVEN)
    missing = [
        feature
        for feature in read.features
        if feature.source in GIVEN and feature.name not in table.column_names
    ]
    joins = _OWNER in table.column_names and (folder / CUSTOMERS).is_file()
    if joins:
        profiles = Profiles(folder, schema)
        general = [feature for feature in profiles.known if feature.name not in table.column_names]
        profiles.fill(X, text_of(table, _OWNER), general)
        errors += profiles.errors
        missing = [feature for feature in missing if feature not in general]
    if missing:
        name = missing[0].name
        elsewhere = f", and {CUSTOMERS} has none either" if joins and missing[0].source in STORED else ""
        hint = did_you_mean(name, table.column_names)
        raise TrainingError(f"{folder / file}: the column '{name}' is missing{elsewhere}{hint}")
    return X, errors


def _moments(table: pa.Table, file: str, read: FeatureSchema) -> NDArray[np.float64]:
    """When each row was so, in epoch seconds; 0 where nobody asks."""
    if _MOMENT in table.column_names:
        return epoch_of(file, table)
    for feature in read.features:
        if feature.type is FeatureType.TIMESTAMP or feature.source is Source.DERIVED:
            raise TrainingError(
                f"{file}: the column '{_MOMENT}' is missing: the model reads '{feature.name}', which depends "
                "on when a row was so"
            )
    return np.zeros(table.num_rows)


def _owners(table: pa.Table) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Whose rows they are; without customers each is by itself."""
    if _OWNER not in table.column_names:
        return tuple(map(str, range(table.num_rows))), np.arange(table.num_rows)
    ids, owners = coded(text_of(table, _OWNER))
    if np.isnan(owners).any():
        raise TrainingError(f"the column '{_OWNER}' is empty in {int(np.isnan(owners).sum())} rows")
    return ids, owners.astype(np.intp)


def _unlabelled(target: Target, rows: int, labelled: int) -> list[str]:
    if labelled == rows:
        return []
    return [f"{target.file}: {rows - labelled:,} of {rows:,} rows have no '{target.label}' and are left out"]
