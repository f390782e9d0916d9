"""The contact history as columns: names found by their hashes, requests taken out of a batch."""

from dataclasses import fields
from typing import Any, cast

import numba
import numpy as np

from feature_store.history import RECORD, name_hash
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action
from service.decisioning.offers import Promises
from service.decisioning.tally import find_names
from service.decisioning.touches import KINDS, Hashes, Kind, Touches, Vocabulary, words_of
from tests.service.decisioning.conftest import NOW, MakeBatch, MakeSnapshot

find: Any = numba.njit(cast(Any, find_names).py_func)
"""As compiled loops find names: a part of theirs can't be called from Python."""


def record(**names: str) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    found = np.zeros(1, RECORD)
    for kind, name in names.items():
        found[kind] = name_hash(name)
    return found


def places_of(hashes: Hashes, kind: Kind, records: np.ndarray[tuple[int], np.dtype[np.void]]) -> list[int]:
    """The places of the names of a kind."""
    kinds = np.full((len(KINDS), 3), -1)
    kinds[KINDS.index(kind)] = 0, len(hashes.slots) - 1, hashes.count
    found = find(words_of(records), kinds, hashes.slots, hashes.places)
    told: list[int] = found[KINDS.index(kind)].tolist()
    return told


def places(hashes: Hashes, *asked: int) -> list[int]:
    """The same of names by their hashes."""
    records = np.zeros(len(asked), RECORD)
    records["action"] = asked
    return places_of(hashes, "action", records)


def test_hashes_tell_the_place_of_each_name_and_the_count_for_unknown_ones() -> None:
    assert places(Hashes([30, 10, 20]), 10, 20, 30, 40, 0) == [1, 2, 0, 3, 3]
    assert places(Hashes([]), 7) == [0]


def test_names_whose_hashes_end_alike_are_told_apart() -> None:
    assert places(Hashes([64, 0, 128, 64]), 64, 0, 128, 192) == [0, 1, 2, 4]


def test_a_group_is_told_by_its_issue_too(make_snapshot: MakeSnapshot) -> None:
    actions = [
        Action("a", "sales", "mobile", propensity=0.1),
        Action("b", "service", "mobile", propensity=0.1),
    ]
    vocabulary = Vocabulary.of(make_snapshot(actions).catalogue, ("impression",))
    assert vocabulary.groups == (("sales", "mobile"), ("service", "mobile"))
    for issue, place in (("sales", 0), ("service", 1), ("retention", 2)):
        assert places_of(vocabulary.hashes("group"), "group", record(issue=issue, group="mobile")) == [place]


def test_requests_are_taken_out_of_a_batch_with_all_their_columns(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([Action("a", "sales", "mobile", propensity=0.1)])
    n = 3
    columns = {
        "excluded": np.array([[True], [False], [True]]),
        "consents": np.zeros((n, 1, 2), np.int8),
        "seeds": np.arange(n, dtype=np.uint64),
        "units": np.arange(n, dtype=np.uint64),
        "account_units": np.arange(n, dtype=np.uint64),
        "budgets": np.arange(n, dtype=np.int32)[:, None],
        "explores": np.array([True, False, True]),
        "promises": Promises(
            rows=np.array([0, 2]),
            actions=np.array([0, 0]),
            names=np.array([b"x", b"z"]),
            terms=np.array([b"{}", b"{}"]),
            valid_until=np.array([NOW, NOW]),
            sayable=np.array([True, True]),
        ),
    }
    touches = Touches(
        records=np.concatenate([record(action=name) for name in ("x", "y", "z")]),
        rows=np.array([2, 0, 2]),
        expires=np.array([1.0, 2.0, 3.0]),
        since=np.array([10.0, 20.0, 30.0]),
        closed=np.array([False, True, False]),
    )
    batch = make_batch(
        snapshot, n, now=NOW + np.arange(n), touches=touches, account_touches=touches, **columns
    )
    taken = batch.take(np.array([2, 1]))
    assert len(taken) == 2
    assert taken.now.tolist() == [NOW + 2, NOW + 1]
    assert taken.seeds is not None
    assert taken.seeds.tolist() == [2, 1]
    assert taken.promises is not None
    assert (taken.promises.rows.tolist(), taken.promises.actions.tolist()) == ([0], [0])
    for kept in (taken.touches, taken.account_touches):
        assert kept is not None
        assert kept.records["action"].tolist() == [name_hash("x"), name_hash("z")]
        assert (kept.rows.tolist(), kept.expires.tolist()) == ([0, 0], [1.0, 3.0])
        assert kept.since.tolist() == [30.0, 20.0]
        assert kept.closed is not None
        assert kept.closed.tolist() == [False, True]
    lost = {
        f.name for f in fields(Batch) if (getattr(taken, f.name) is None) != (getattr(batch, f.name) is None)
    }
    assert lost == set()
