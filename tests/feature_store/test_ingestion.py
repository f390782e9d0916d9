import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_store.ingestion import LoadReport, RowsRefused, TableError, load_customers
from feature_store.schema import FeatureSchema
from feature_store.store import Customer, CustomerStore, connect

NOW = 1_767_225_600.0


@pytest.fixture
def prefix() -> str:
    """Of ids that no other test has."""
    return uuid.uuid4().hex


@pytest.fixture
def with_store(
    embedded_store_url: str, schema: FeatureSchema
) -> Callable[[Callable[[CustomerStore], Any]], Any]:
    def run(work: Callable[[CustomerStore], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            store = CustomerStore(connect(embedded_store_url), schema)
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(main())

    return run


@pytest.fixture
def load(with_store: Any, schema: FeatureSchema) -> Callable[..., LoadReport]:
    def run(path: Path, **options: Any) -> LoadReport:
        report: LoadReport = with_store(lambda store: load_customers(path, schema, store, now=NOW, **options))
        return report

    return run


@pytest.fixture
def get(with_store: Any) -> Callable[[str], Customer | None]:
    def run(customer_id: str) -> Customer | None:
        found: Customer | None = with_store(lambda store: store.get(customer_id))
        return found

    return run


def parquet(tmp_path: Path, columns: dict[str, Any]) -> Path:
    path = tmp_path / "customers.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "customers.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_parquet_and_csv_load_the_same_customers(tmp_path: Path, prefix: str, load: Any, get: Any) -> None:
    table = {
        "customer_id": [f"{prefix}1", f"{prefix}2"],
        "account_id": ["acme", None],
        "age": [37.5, None],
        "products": [["tv", "fibre_500"], []],
        "contract_end": pa.array([1_767_225_600_500_000, None], pa.timestamp("us", "UTC")),
        "visits_30d": [3.0, 4.0],
    }
    text = (
        "customer_id,account_id,age,products,contract_end,visits_30d\n"
        f"{prefix}1,acme,37.5,fibre_500|tv,2026-01-01T00:00:00.5Z,3\n"
        f'"{prefix}2",,,|,,4.0\n'
    )
    for path in (parquet(tmp_path, table), csv(tmp_path, text)):
        report = load(path)
        assert (report.rows, report.loaded, report.refused, report.errors) == (2, 2, 0, [])
        first, second = get(f"{prefix}1"), get(f"{prefix}2")
        assert first.account_id == "acme"
        assert first.profile == {
            "age": 37.5,
            "products": ["fibre_500", "tv"],
            "contract_end": "2026-01-01T00:00:00.500000Z",
        }
        assert first.behaviour == {"visits_30d": 3}
        assert (second.account_id, second.profile, second.updated_at) == (None, {"products": []}, NOW)


def test_bad_rows_are_reported_by_row_and_column_and_not_loaded(
    tmp_path: Path, prefix: str, load: Any, get: Any
) -> None:
    text = (
        "customer_id,age,segment\n"
        f"{prefix}1,20,soho\n"
        f"{prefix}2,old,soha\n"
        f"{prefix}3,20\n"
        "\n"
        ",30,soho\n"
        f"{'x' * 129},30,soho\n"
        f"{prefix}6,30,soho\n"
        f"{prefix}7,30,soho,more\n"
        f"{prefix}8,30,house\n"
    )
    report = load(csv(tmp_path, text))
    assert (report.rows, report.loaded, report.refused) == (8, 2, 6)
    assert [str(error) for error in report.errors] == [
        "row 2, age: must be a finite number, not 'old'",
        "row 2, segment: must be one of consumer, soho, enterprise, not 'soha'; did you mean 'soho'?",
        "row 3 has 2 values, not 3",
        "row 4, customer_id: must have 1 to 128 characters",
        "row 5, customer_id: must have 1 to 128 characters",
        "row 7 has 4 values, not 3",
        "row 8, segment: must be one of consumer, soho, enterprise, not 'house'",
    ]
    assert get(f"{prefix}1") is not None
    assert get(f"{prefix}6") is not None
    assert get(f"{prefix}2") is None


def test_a_strict_load_writes_nothing_if_any_row_is_bad(
    tmp_path: Path, prefix: str, load: Any, get: Any
) -> None:
    ids = [f"{prefix}{number}" for number in range(25_000)]
    good = parquet(tmp_path, {"customer_id": ids, "segment": ["soho"] * 25_000})
    assert load(good, strict=True).loaded == 25_000
    with pytest.raises(RowsRefused, match="1 of 25000 rows can't be loaded, so nothing was") as refused:
        load(parquet(tmp_path, {"customer_id": ids, "segment": ["consumer"] * 24_999 + ["x"]}), strict=True)
    assert [error.row for error in refused.value.report.errors] == [25_000]
    assert get(ids[0]).profile == {"segment": "soho"}


def test_all_bad_rows_are_counted_and_the_first_hundred_reported(tmp_path: Path, load: Any) -> None:
    columns = {"customer_id": [None] * 15_000, "age": pa.array([float("inf")] * 15_000)}
    report = load(parquet(tmp_path, columns | {"customer_id": pa.array([None] * 15_000, pa.string())}))
    assert (report.rows, report.loaded, report.refused) == (15_000, 0, 15_000)
    assert [(error.row, error.column) for error in report.errors] == [
        (row, column) for row in range(1, 51) for column in ("age", "customer_id")
    ]


def test_a_load_replaces_what_its_sources_held_and_leaves_the_rest(
    tmp_path: Path, prefix: str, load: Any, get: Any
) -> None:
    both = {
        "customer_id": [prefix],
        "account_id": ["acme"],
        "age": [1],
        "segment": ["soho"],
        "visits_30d": [5],
    }
    load(parquet(tmp_path, both))
    load(parquet(tmp_path, {"customer_id": [prefix, prefix], "age": [2, 3]}))
    found = get(prefix)
    assert (found.account_id, found.profile, found.behaviour) == ("acme", {"age": 3}, {"visits_30d": 5})


def test_ids_may_be_integers(tmp_path: Path, load: Any, get: Any) -> None:
    assert load(parquet(tmp_path, {"customer_id": [9_007_199_254_740_993], "age": [2]})).loaded == 1
    assert get("9007199254740993").profile == {"age": 2}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("customer_id,agee", "column 'agee' is not a feature; did you mean 'age'?"),
        ("customer_id,acount_id", "column 'acount_id' is not a feature; did you mean 'account_id'?"),
        ("customer_id,page", "column 'page' is a context feature, which is not stored"),
        ("customer_id,age,age", "column 'age' is there twice"),
        ("customer_id", "there is no column but 'customer_id', so there is nothing to load"),
        ("customerid,age", "there is no column 'customer_id'; did you mean 'customerid'?"),
    ],
)
def test_columns_that_cannot_be_meant_refuse_the_file(
    tmp_path: Path, load: Any, header: str, message: str
) -> None:
    with pytest.raises(TableError) as refused:
        load(csv(tmp_path, header + "\n" + ",".join("1" * len(header.split(","))) + "\n"))
    assert str(refused.value) == message


def test_a_column_of_the_wrong_type_refuses_the_file(tmp_path: Path, load: Any) -> None:
    with pytest.raises(TableError, match="column 'segment' is int64, but the feature is a category"):
        load(parquet(tmp_path, {"customer_id": ["a"], "segment": [1]}))
    for ids in ([{"id": "a"}], [b"\xff"]):
        with pytest.raises(TableError, match=r"column 'customer_id' is .*, which is not text"):
            load(parquet(tmp_path, {"customer_id": ids, "segment": ["soho"]}))


def test_a_file_that_is_none_is_refused(tmp_path: Path, load: Any) -> None:
    for name in ("none.parquet", "none.csv"):
        with pytest.raises(TableError, match="there is no file"):
            load(tmp_path / name)
    for name, content in (
        ("a.parquet", b"not one"),
        ("a.csv", b""),
        ("b.csv", b"customer_id,segment\na,\xff\n"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(TableError, match="is not a readable"):
            load(tmp_path / name)


def test_an_empty_file_loads_nobody(tmp_path: Path, load: Any) -> None:
    assert load(csv(tmp_path, "customer_id,age\n")).rows == 0
    columns = {"customer_id": pa.array([], pa.string()), "age": pa.array([], pa.float64())}
    assert load(parquet(tmp_path, columns)).rows == 0


def test_progress_is_told_batch_by_batch(tmp_path: Path, prefix: str, load: Any) -> None:
    seen: list[tuple[str, int, int | None]] = []
    path = parquet(tmp_path, {"customer_id": [prefix] * 25_000, "age": [1] * 25_000})
    load(path, strict=True, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("loading customers", 25_000, 25_000)
    assert [what for what, _, _ in seen] == ["checking customers"] * 3 + ["loading customers"] * 3
