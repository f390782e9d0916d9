"""What is known of customers in general: `customers.parquet`, as it is today."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from feature_store.schema import STORED, Feature, FeatureSchema
from models.files import features_of, read_columns, text_of

CUSTOMERS = "customers.parquet"


class Profiles:
    """The profiles and the behaviour of the customers of a folder; `errors` has what was wrong with them.

    Raises:
        TrainingError: the file is missing, is not Parquet, or has no customers.
    """

    def __init__(self, folder: Path, schema: FeatureSchema) -> None:
        self._schema = schema
        stored = [feature for feature in schema.features if feature.source in STORED]
        table = read_columns(folder / CUSTOMERS, ("customer_id",), [feature.name for feature in stored])
        self.known = tuple(feature for feature in stored if feature.name in table.column_names)
        self._X, self.errors = features_of(CUSTOMERS, table, schema, STORED)
        self._ids = text_of(table, "customer_id")

    def fill(
        self, X: NDArray[np.float64], customer_ids: Any, features: Iterable[Feature]
    ) -> NDArray[np.bool_]:
        """Write features of some customers into X, shape (n, F); which of them there are, shape (n,)."""
        places = pc.index_in(customer_ids, value_set=self._ids)
        owners = places.fill_null(-1).to_numpy(zero_copy_only=False)
        met: NDArray[np.bool_] = owners >= 0
        for feature in features:
            columns = self._schema.slice(feature.name)
            X[met, columns] = self._X[owners[met], columns]
        return met
