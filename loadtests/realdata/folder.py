"""Where the public data lies: the folder that ARBITER_DATA_DIR names."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

DEFAULT = "../shared/data"


class DataMissing(Exception):
    """A data set that is not there; the message says where it was looked for."""


def find(name: str) -> Path:
    """A file of the folder. Raises `DataMissing` where it is not."""
    file = Path(os.environ.get("ARBITER_DATA_DIR", DEFAULT)) / name
    if not file.is_file():
        raise DataMissing(f"{file} is not there; ARBITER_DATA_DIR names the folder that holds {name}")
    return file


def read(name: str, delimiter: str = ",") -> pa.Table:
    """A CSV file of the folder, gzipped or not; an empty field is null. Raises `DataMissing`."""
    return pyarrow.csv.read_csv(
        find(name),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
        convert_options=pyarrow.csv.ConvertOptions(null_values=["", " "], strings_can_be_null=True),
    )
