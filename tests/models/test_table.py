from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from feature_store.schema import FeatureSchema
from models.errors import TrainingError
from models.spec import ModelSpec
from models.table import History

SALES = ["fibre", "mobile", "tablet"]


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def put(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), column, pa.array(values))


def test_a_row_is_one_shown_action_in_the_order_of_the_log(
    history: History, specs: dict[str, ModelSpec], world: Path
) -> None:
    table = history.table(specs["sales"], SALES)
    log = pq.read_table(world / "decisions.parquet").filter(pc.field("action") != "call_back").to_pylist()
    customers = {row["customer_id"]: row for row in pq.read_table(world / "customers.parquet").to_pylist()}
    assert len(table.rows) == len(log)
    for place in (0, 17, len(log) - 1):
        decision, row = log[place], dict(zip(table.schema.columns, table.rows[place], strict=False))
        customer = customers[decision["customer_id"]]
        assert row["age"] == (customer["age"] or 40)
        assert row["segment"] == ["consumer", "soho", "enterprise"].index(customer["segment"])
        assert row["products=fibre"] == ("fibre" in customer["products"])
        assert row["page"] == ["home", "cart"].index(decision["page"])
        left = (customer["contract_end"] - decision["decided_at"]).total_seconds()
        assert row["contract_end"] == pytest.approx(left, abs=1e-3)
        assert table.actions[int(table.rows[place, -2])] == decision["action"]
        assert table.channels[int(table.rows[place, -1])] == decision["channel"]
        assert table.customer_ids[table.customers[place]] == decision["customer_id"]


def test_any_positive_outcome_makes_a_response_and_other_outcomes_do_not(
    data: Path, schema: FeatureSchema
) -> None:
    shown = [("d0", "fibre"), ("d0", "mobile"), ("d1", "fibre"), ("d2", "fibre")]
    rewrite(
        data / "decisions.parquet",
        lambda log: put(
            put(log.slice(0, 4), "decision_id", [d for d, _ in shown]), "action", [a for _, a in shown]
        ),
    )
    outcomes = [
        ("d0", "fibre", "impression"),
        ("d0", "fibre", "click"),
        ("d0", "fibre", "convert"),
        ("d0", "mobile", "impression"),
        ("d1", "fibre", "reject"),
        ("d2", "mobile", "click"),
    ]
    names = ["decision_id", "action", "outcome"]
    columns = {name: [row[i] for row in outcomes] for i, name in enumerate(names)}
    pq.write_table(pa.table(columns), data / "outcomes.parquet")
    spec = ModelSpec("sales", ("click", "convert"), "")
    assert History(data, schema).table(spec, SALES).labels.tolist() == [1, 0, 0, 0]


def test_only_the_features_of_the_model_are_read_in_its_order(
    history: History, specs: dict[str, ModelSpec]
) -> None:
    table = history.table(specs["service"], ["call_back"])
    assert table.schema.columns == ("age", "page", "contract_end")
    assert table.rows.shape[1] == 5


def test_a_decision_of_an_unknown_customer_has_the_defaults(
    data: Path, schema: FeatureSchema, specs: dict[str, ModelSpec]
) -> None:
    rewrite(
        data / "decisions.parquet",
        lambda log: put(
            log, "customer_id", ["nobody", None, *log.column("customer_id").to_pylist()[2:]]
        ).slice(0, 500),
    )
    every = [*SALES, "call_back"]
    table = History(data, schema).table(specs["sales"], every)
    for row in table.rows[:2]:
        values = dict(zip(table.schema.columns, row, strict=False))
        assert (values["age"], values["is_business"], values["products=fibre"]) == (40, 0, 0)
        assert np.isnan([values["segment"], values["contract_end"], values["visits"]]).all()
        assert not np.isnan(values["page"])
    assert table.customer_ids[table.customers[1]] == "d1", "a decision without a customer stands for itself"
    assert len(table.warnings) == 1
    assert "1 of 500 decisions are of customers who are not in customers.parquet" in table.warnings[0]


def test_values_that_do_not_fit_count_as_missing_and_are_told(
    data: Path, schema: FeatureSchema, specs: dict[str, ModelSpec]
) -> None:
    rewrite(
        data / "customers.parquet",
        lambda people: put(people, "segment", ["sohoo", *people.column("segment").to_pylist()[1:]]),
    )
    history = History(data, schema)
    table = history.table(specs["sales"], SALES)
    assert len(table.warnings) == 1
    assert "customers.parquet: column 'segment': 1 values don't fit" in table.warnings[0]
    assert "did you mean 'soho'?" in table.warnings[0]
    segment = table.rows[:, table.schema.slice("segment").start]
    owner = np.array(table.customer_ids)[table.customers]
    np.testing.assert_array_equal(np.isnan(segment), owner == "c0")
    assert history.table(specs["service"], ["call_back"]).warnings == (), "it does not read segment"


def test_the_same_data_have_the_same_hash_and_others_another(
    history: History, data: Path, schema: FeatureSchema, specs: dict[str, ModelSpec]
) -> None:
    first = history.table(specs["sales"], SALES).sha256
    assert History(data, schema).table(specs["sales"], SALES).sha256 == first
    rewrite(data / "outcomes.parquet", lambda outcomes: outcomes.filter(pc.field("outcome") != "convert"))
    fewer = ModelSpec("sales", ("convert",), "")
    assert History(data, schema).table(fewer, SALES).sha256 != first


def test_actions_that_were_never_shown_are_an_error_that_names_what_was(
    history: History, specs: dict[str, ModelSpec]
) -> None:
    with pytest.raises(
        TrainingError, match=r"no decision of its 1 actions \(tv.*has decisions of call_back, fib"
    ):
        history.table(specs["sales"], ["tv"])


@pytest.mark.parametrize("file", ["customers.parquet", "decisions.parquet", "outcomes.parquet"])
def test_a_missing_or_broken_file_is_named(data: Path, schema: FeatureSchema, file: str) -> None:
    (data / file).write_bytes(b"PAR1 no more")
    with pytest.raises(TrainingError, match=f"{file}: can't be read as Parquet"):
        History(data, schema)
    (data / file).unlink()
    with pytest.raises(TrainingError, match=f"{file}: there is no such file"):
        History(data, schema)


def test_a_missing_column_is_named_with_the_likely_one(data: Path, schema: FeatureSchema) -> None:
    rewrite(
        data / "outcomes.parquet", lambda outcomes: outcomes.rename_columns(["decision", "action", "outcome"])
    )
    with pytest.raises(TrainingError, match=r"column 'decision_id' is missing; did you mean 'decision'\?"):
        History(data, schema)


def test_a_column_of_another_type_is_an_error_that_says_what_would_be_right(
    data: Path, schema: FeatureSchema, specs: dict[str, ModelSpec]
) -> None:
    rewrite(data / "decisions.parquet", lambda log: put(log, "decided_at", [0.5] * len(log)))
    with pytest.raises(TrainingError, match="'decided_at' is double; make it a timestamp"):
        History(data, schema).table(specs["sales"], SALES)
    rewrite(data / "decisions.parquet", lambda log: put(log, "action", [{"name": "fibre"}] * len(log)))
    with pytest.raises(TrainingError, match=r"column 'action' is struct.*; make it text"):
        History(data, schema).table(specs["sales"], SALES)
    rewrite(data / "customers.parquet", lambda people: put(people, "age", [["x"]] * len(people)))
    with pytest.raises(TrainingError, match=r"customers.parquet: column 'age' is list"):
        History(data, schema)
