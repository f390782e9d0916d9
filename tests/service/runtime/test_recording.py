"""Recorded decisions: nothing of a batch is forgotten, and all comes back as it was."""

from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from feature_store.history import RECORD
from service.decisioning.batch import Batch
from service.decisioning.offers import Promises
from service.decisioning.touches import Touches
from service.runtime.recording import pack_columns, repeatable, unpack_batch
from service.runtime.replaying import Difference, differences

N = 3


def column(*shape: int, dtype: Any = np.float64) -> NDArray[Any]:
    """Numbers that differ from row to row."""
    size = int(np.prod(shape))
    return np.arange(size).reshape(shape).astype(dtype)


@pytest.fixture
def full() -> Batch:
    """A batch with every column that there is."""
    records = np.zeros(4, RECORD)
    records["time"] = [1.5, 2.5, 3.5, 4.5]
    rows = np.array([0, 1, 1, 2])
    since = np.array([-np.inf, np.inf, 9.0])
    touches = Touches(records, rows, np.full(4, np.inf), since, np.array([False, True, False]))
    X = column(N, 5)
    X[1, 2] = np.nan
    return Batch(
        X=X,
        now=column(N),
        channel=column(N, dtype=np.intp),
        limits=column(N, 2, dtype=np.int32),
        scored=np.array([True, False, True]),
        excluded=column(N, 4, dtype=np.bool_),
        consents=column(N, 2, 2, dtype=np.int8),
        seeds=column(N, dtype=np.uint64),
        units=column(N, dtype=np.uint64),
        account_units=column(N, dtype=np.uint64),
        touches=touches,
        account_touches=touches,
        promises=Promises(
            rows=np.array([1, 1]),
            actions=np.array([0, 3]),
            names=np.array([b"loyal", b"standard"]),
            terms=np.array([b'{"price":39.99}', b'{"price":5}']),
            valid_until=np.array([10.5, 11.5]),
            sayable=np.array([True, False]),
        ),
        budgets=column(N, 2, dtype=np.int32),
        volume_used=column(N, 2),
        explores=np.array([False, True, False]),
        corrections=column(N, 4, dtype=np.float32),
        known=column(N, 4, dtype=np.int8),
    )


def same(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    if is_dataclass(left):
        return all(same(getattr(left, f.name), getattr(right, f.name)) for f in fields(left))
    alike: bool = left.dtype == right.dtype and left.shape == right.shape
    return alike and left.tobytes() == right.tobytes()


def test_every_column_of_a_batch_comes_back_bit_for_bit(full: Batch) -> None:
    empty = [field.name for field in fields(full) if getattr(full, field.name) is None]
    assert empty == [], "a new column: give it a value here, so that its way back is tested"
    for index in range(N):
        row = full.take(np.array([index]))
        assert len(row) == 1
        assert same(unpack_batch(msgspec.msgpack.encode(pack_columns(row))), row)


def test_columns_that_are_not_there_stay_away(full: Batch) -> None:
    bare = Batch(full.X, full.now, full.channel, full.limits, full.scored)
    row = bare.take(np.array([1]))
    assert same(unpack_batch(msgspec.msgpack.encode(pack_columns(row))), row)


def test_a_row_has_what_is_its_own(full: Batch) -> None:
    row = full.take(np.array([1]))
    assert row.touches is not None
    assert row.touches.records["time"].tolist() == [2.5, 3.5]
    assert row.touches.rows.tolist() == [0, 0]
    assert row.touches.since.tolist() == [np.inf]
    assert row.promises is not None
    assert row.promises.actions.tolist() == [0, 3]


def test_ids_tokens_and_times_are_no_part_of_what_is_repeated() -> None:
    action = {"rank": 1, "token": "secret"}
    document = {
        "decision_id": "d",
        "customer_id": "c",
        "anonymous_id": None,
        "channel": "web",
        "placements": [{"id": "hero", "actions": [action]}],
        "timings_ms": {"total": 1.0},
    }
    assert repeatable(document) == {
        "channel": "web",
        "placements": [{"id": "hero", "actions": [{"rank": 1}]}],
    }
    assert action["token"] == "secret"


def test_differences_are_told_by_their_path() -> None:
    then = {"mode": "full", "placements": [{"id": "a", "actions": [{"rank": 1, "value": 2.0}]}], "gone": 1}
    now = {
        "mode": "full",
        "placements": [{"id": "a", "actions": [{"rank": 1, "value": 3.0}, {}]}],
        "new": None,
    }
    assert list(differences(then, now)) == [
        Difference("placements[0].actions[0].value", 2.0, 3.0),
        Difference("placements[0].actions[1]", None, {}),
        Difference("gone", 1, None),
    ]


def test_a_number_that_became_a_flag_is_a_difference() -> None:
    assert list(differences({"a": 1}, {"a": True})) == [Difference("a", 1, True)]
