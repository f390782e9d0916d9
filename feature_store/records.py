"""Fixed-size records of a batch of customers, as they are kept one behind the other in a field of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def packed(blobs: Sequence[bytes | None]) -> tuple[bytes, NDArray[np.intp]]:
    """The bytes of a batch, one customer's behind the other's, and how many each has, shape (n,)."""
    filled = [blob or b"" for blob in blobs]
    return b"".join(filled), np.fromiter(map(len, filled), np.intp, len(filled))


def join(blobs: Sequence[bytes | None], dtype: np.dtype[Any]) -> tuple[NDArray[np.void], NDArray[np.intp]]:
    """The records of a batch, one customer's behind the other's, and how many each has, shape (n,).

    Bytes after a customer's last whole record are passed over.
    """
    filled = [blob or b"" for blob in blobs]
    sizes = np.fromiter(map(len, filled), np.intp, len(filled))
    counts = sizes // dtype.itemsize
    whole = counts * dtype.itemsize
    if (whole < sizes).any():
        filled = [blob[:size] for blob, size in zip(filled, whole.tolist(), strict=True)]
    return np.frombuffer(b"".join(filled), dtype), counts
