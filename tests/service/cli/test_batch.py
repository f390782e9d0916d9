"""`arbiter batch`: outbound over a whole table."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from feature_store.embedded import EmbeddedStore
from service.cli.main import app
from service.runtime.outbound.rows import COLUMNS
from service.workspace.loading import Workspace
from tests.service.conftest import Serve

EXPERIMENTS = """
experiments:
  control:
    description: who is offered no sales
    namespace: holdout
    unit: customer
    arms:
      control: {share: 30%, withhold: {issues: [sales]}}
"""

SAME_RUN = ("--id", "same", "--at", "2026-11-22")
SAME = ("rank", "issue", "group", "action", "treatment", "value", "lever", "context_weight")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARBITER_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="module")
def many(world: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world's customers many times over, each by a name of their own."""
    table = pq.read_table(world.folder / "customers.parquet")
    table = pa.concat_tables([table] * 75)
    names = pa.array([f"m{number}" for number in range(len(table))])
    path: Path = tmp_path_factory.mktemp("many") / "customers.parquet"
    pq.write_table(table.set_column(0, "customer_id", names), path, row_group_size=8_500)
    return path


def run(workspace: Path, customers: Path, out: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["batch", str(workspace), str(customers), str(out), *more])
    return result.exit_code, result.output


def decided(world: Workspace, out: Path, *more: str) -> pa.Table:
    status, output = run(world.folder, world.folder / "customers.parquet", out, *more)
    assert status == 0, output
    return pq.read_table(out)


@pytest.fixture(scope="module")
def plain(world: Workspace, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """What a run writes that is told no more than its name and time."""
    return decided(world, tmp_path_factory.mktemp("plain") / "out.parquet", *SAME_RUN)


def test_each_customer_has_an_answer_for_each_placement_in_the_order_of_the_table(
    world: Workspace, tmp_path: Path, customer_ids: list[str]
) -> None:
    table = decided(world, tmp_path / "out.parquet", "--channel", "web", "--at", "2026-11-22T09:00:00Z")
    assert table.column_names == [name for name in COLUMNS if name != "token"]
    assert list(dict.fromkeys(table["customer_id"].to_pylist())) == customer_ids
    placements = {"home_hero": 1, "home_tiles": 3, "cart_banner": 1, "account_tile": 2}
    of_first = [row for row in table.to_pylist() if row["customer_id"] == "c0"]
    assert [(row["placement"], row["rank"]) for row in of_first] == [
        (name, rank) for name, limit in placements.items() for rank in range(1, limit + 1)
    ]
    assert {str(moment) for moment in table["decided_at"].to_pylist()} == {"2026-11-22 09:00:00+00:00"}
    assert len(set(table["decision_id"].to_pylist())) == len(customer_ids)


def test_answers_are_those_of_the_service(
    world: Workspace, own_store: EmbeddedStore, tmp_path: Path, serve: Serve, customer_ids: list[str]
) -> None:
    ask = {"channel": "web", "context": {"page": "cart"}, "deadline_ms": 30_000}
    with serve(redis_url=own_store.url) as client:  # its customers are those of the file
        moment = datetime.now(UTC)  # timestamps count from now: a moment later other branches may be taken
        requests = [ask | {"customer_id": customer} for customer in customer_ids[:40]]
        answers = client.post("/v1/decisions/batch", json={"requests": requests}).json()["decisions"]
    options = ("--channel", "web", "--context", "page=cart", "--at", moment.isoformat())
    rows = iter(decided(world, tmp_path / "out.parquet", *options).to_pylist())
    for customer, answer in zip(customer_ids, answers, strict=False):
        assert answer["mode"] == "full"
        for placement in answer["placements"]:
            for action in placement["actions"]:
                row = next(rows)
                assert (row["customer_id"], row["placement"]) == (customer, placement["id"])
                assert {name: row[name] for name in SAME} == {name: action[name] for name in SAME}
                assert row["propensity"] == pytest.approx(action["propensity"], rel=1e-6)
                assert json.loads(row["content"]) == action["content"]


def test_placements_and_limits_can_be_chosen(world: Workspace, tmp_path: Path) -> None:
    more = ("--channel", "web", "--placement", "home_tiles", "--placement", "home_hero", "--limit", "2")
    table = decided(world, tmp_path / "out.parquet", *more)
    assert set(table["placement"].to_pylist()) == {"home_tiles", "home_hero"}
    assert table.num_rows == 400 * 4
    assert set(table["rank"].to_pylist()) == {1, 2}


def test_an_outbound_channel_is_the_default(plain: pa.Table) -> None:
    assert set(plain["channel"].to_pylist()) == {"email"}


def test_where_nothing_is_offered_the_reason_stands(
    world: Workspace, tmp_path: Path, plain: pa.Table
) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(world.folder, stopped)
    names = sorted({action.name for action in world.catalogue.actions})
    policies = stopped / "policies.yaml"
    policies.write_text(policies.read_text() + f"emergency_exclusion: [{', '.join(names)}]\n")
    status, output = run(stopped, stopped / "customers.parquet", tmp_path / "none.parquet")
    assert status == 0, output
    assert "0 are offered something (0.0%)" in output
    rows = pq.read_table(tmp_path / "none.parquet").to_pylist()
    assert len(rows) == 400
    assert {(row["action"], row["rank"], row["no_action_stage"]) for row in rows} == {
        (None, None, "availability")
    }
    assert all(row["no_action_reason"] is None for row in plain.to_pylist())


def test_the_same_name_of_a_run_gives_the_same_answers_and_another_one_others(
    world: Workspace, tmp_path: Path
) -> None:
    workspace = tmp_path / "exploring"
    shutil.copytree(world.folder, workspace)
    policies = workspace / "policies.yaml"
    policies.write_text(policies.read_text() + "exploration: {method: epsilon, epsilon: 0.9}\n")
    table: dict[str, Any] = {}
    for name, id_ in (("one", "spring"), ("two", "spring"), ("three", "autumn")):
        out = tmp_path / f"{name}.parquet"
        status, output = run(
            workspace, workspace / "customers.parquet", out, "--id", id_, "--at", "2026-11-22"
        )
        assert status == 0, output
        table[name] = pq.read_table(out)
    assert table["one"].equals(table["two"])
    assert table["one"]["action"] != table["three"]["action"]
    assert table["one"]["decision_id"][0].as_py() == "spring-1"


def test_who_is_in_a_control_group_is_there_outbound_too(
    world: Workspace, tmp_path: Path, serve: Serve, customer_ids: list[str]
) -> None:
    workspace = tmp_path / "tried"
    shutil.copytree(world.folder, workspace)
    (workspace / "experiments.yaml").write_text(EXPERIMENTS)
    out = tmp_path / "out.parquet"
    status, output = run(workspace, workspace / "customers.parquet", out, "--channel", "web")
    assert status == 0, output
    rows = pq.read_table(out).to_pylist()
    arms = {row["customer_id"]: row["arm"] for row in rows}
    assert set(arms.values()) == {"control.control", "next_best_action"}
    for row in rows:
        assert (row["experiments"] == '{"control":"control"}') == (row["arm"] == "control.control")
        assert row["issue"] != "sales" or row["arm"] == "next_best_action"
    with serve(workspace=workspace) as client:
        for customer in customer_ids[:30]:
            answer = client.post("/v1/decisions", json={"customer_id": customer, "channel": "web"}).json()
            assert answer["arm"] == arms[customer]


def test_a_csv_file_is_decided_as_a_parquet_file(world: Workspace, tmp_path: Path, plain: pa.Table) -> None:
    table = pq.read_table(world.folder / "customers.parquet")
    texts = {
        name: _as_text(table[name]) if pa.types.is_list(table[name].type) else table[name]
        for name in table.column_names
    }
    pa_csv.write_csv(pa.table(texts), tmp_path / "customers.csv")
    status, output = run(world.folder, tmp_path / "customers.csv", tmp_path / "csv.parquet", *SAME_RUN)
    assert status == 0, output
    assert pq.read_table(tmp_path / "csv.parquet").equals(plain)


def _as_text(sets: Any) -> list[str | None]:
    """Sets as CSV has them: a|b, and | for an empty one."""
    return [None if members is None else "|".join(members) or "|" for members in sets.to_pylist()]


def test_a_token_reports_what_became_of_an_offer(
    world: Workspace, tmp_path: Path, data: Path, serve: Serve
) -> None:
    table = decided(world, tmp_path / "out.parquet", "--channel", "web", "--tokens")
    assert table.column_names == list(COLUMNS)
    tokens = table["token"].to_pylist()[:100]
    with serve(data=data) as client:
        outcomes = [{"token": token, "outcome": "click"} for token in tokens]
        answer = client.post("/v1/outcomes", json=outcomes)
        assert answer.status_code == 202, answer.text


def test_rows_that_nobody_can_be_decided_for_by_are_told_and_the_others_decided(
    world: Workspace, tmp_path: Path
) -> None:
    table = pq.read_table(world.folder / "customers.parquet")
    ids = table["customer_id"].to_pylist()
    ids[3], ids[7] = None, "x" * 200
    numbers = [name for name in table.column_names if name.startswith("profile_number")]
    wrong = [float("inf"), *table[numbers[0]].to_pylist()[1:]]
    table = table.set_column(0, "customer_id", pa.array(ids))
    table = table.set_column(table.column_names.index(numbers[0]), numbers[0], pa.array(wrong))
    pq.write_table(table, tmp_path / "customers.parquet")
    out = tmp_path / "out.parquet"
    status, output = run(world.folder, tmp_path / "customers.parquet", out, "--limit", "1")
    assert status == 1
    assert "398 customers decided for" in output
    assert "row 4: customer_id must have 1 to 128 characters" in output
    assert "row 8: customer_id must have 1 to 128 characters" in output
    assert "2 rows can't be decided for" in output
    assert f"{numbers[0]}: 1 values can't be used and count as missing" in output
    assert str(pq.read_table(out)["decision_id"][3]).endswith("-5")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--channel", "wep"], "there is no channel 'wep'; did you mean 'web'?"),
        (["--channel", "web", "--placement", "home"], "channel 'web' has no placement 'home'"),
        (["--context", "pages=cart"], "there is no context feature 'pages'; did you mean 'page'?"),
        (["--context", "page"], "write KEY=VALUE"),
        (["--context", "page=crt"], "must be one of"),
        (["--at", "tomorrow"], "--at tomorrow: "),
        (["--id", "a b"], "--id a b: must be 1 to 64 letters"),
        (["--source", "store"], "no store is running"),
    ],
)
def test_what_can_not_be_done_is_told_before_anything_is(
    world: Workspace, tmp_path: Path, options: list[str], said: str
) -> None:
    status, output = run(world.folder, world.folder / "customers.parquet", tmp_path / "out.parquet", *options)
    assert status == 1
    assert said in output
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"id": ["1"]}, "there is no column 'customer_id'"),
        ({"customer_id": pa.array([], pa.string())}, "has no customers"),
        ({"customer_id": ["1"], "profile_number_1": [True]}, "column 'profile_number_1' is bool"),
        ({"customer_id": pa.array([[1]])}, "column 'customer_id' is list"),
    ],
)
def test_a_table_that_can_not_be_decided_for_is_told(
    world: Workspace, tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "customers.parquet")
    status, output = run(world.folder, tmp_path / "customers.parquet", tmp_path / "out.parquet")
    assert status == 1
    assert said in output
    assert "Traceback" not in output
    assert not (tmp_path / "out.parquet").exists()


def test_a_result_is_never_written_over_unasked(world: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(b"precious")
    status, output = run(world.folder, world.folder / "customers.parquet", out)
    assert status == 1
    assert "is there already; --overwrite writes it anew" in output
    assert out.read_bytes() == b"precious"
    assert decided(world, out, "--overwrite").num_rows == 400


class Killed:
    """A run in a process of its own, killed once it has done something and is not done."""

    def __init__(self, *arguments: str) -> None:
        self._command = [sys.executable, "-m", "service.cli.main", "batch", *arguments]

    def kill(self, parts: Path) -> None:
        process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while not list(parts.glob("*.parquet")):
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.002)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        assert process.wait() == -9
        assert workers
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive, "workers outlive the run that started them"


@pytest.fixture
def killed(world: Workspace, many: Path, tmp_path: Path) -> Path:
    """What a run has left that was killed in the middle of 30,000 customers."""
    out = tmp_path / "out.parquet"
    Killed(str(world.folder), str(many), str(out), *SAME_RUN).kill(tmp_path / "out.parquet.parts")
    assert not out.exists()
    return out


def test_a_run_that_was_killed_goes_on_where_it_was_without_duplicates_or_gaps(
    world: Workspace, many: Path, killed: Path, tmp_path: Path
) -> None:
    status, output = run(world.folder, many, tmp_path / "whole.parquet", *SAME_RUN)
    assert status == 0, output
    status, output = run(world.folder, many, killed)  # it knows its name and time
    assert status == 0, output
    assert "30,000 customers decided for" in output
    assert "30,000 of them in" not in output
    found = pq.read_table(killed)
    assert found["customer_id"].to_pylist() == pq.read_table(many)["customer_id"].to_pylist()
    assert found.equals(pq.read_table(tmp_path / "whole.parquet"))
    assert sorted(path.name for path in tmp_path.glob("*.parquet*")) == ["out.parquet", "whole.parquet"]


def test_an_unfinished_run_is_not_gone_on_with_by_another_order(
    world: Workspace, many: Path, killed: Path
) -> None:
    status, output = run(world.folder, many, killed, "--channel", "web", "--id", "other")
    assert status == 1
    assert "has an unfinished run of another order" in output
    for difference in ("channel: email, not web", "id: same, not other"):
        assert difference in output
    os.utime(many)
    status, output = run(world.folder, many, killed)
    assert status == 1
    assert "changed: " in output
    status, output = run(world.folder, many, killed, "--overwrite")
    assert status == 0, output
    assert "30,000 of them in" in output


def interrupted(workspace: Path, customers: Path, out: Path) -> tuple[int, str]:
    """How a run ends that gets Ctrl-C once it has written something, and what it says."""
    command = [sys.executable, "-m", "service.cli.main", "batch", str(workspace), str(customers), str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list(out.with_name(f"{out.name}.parts").glob("*.parquet")) and process.poll() is None:
        time.sleep(0.002)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def test_ctrl_c_while_workers_start_stops_a_run_in_order(
    world: Workspace, many: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "service.cli.main", "batch", str(world.folder), str(many)]
    command += [str(tmp_path / "out.parquet"), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    run_ = psutil.Process(process.pid)
    while process.poll() is None and len(spawned(run_)) < 2:
        time.sleep(0.01)
    assert process.poll() is None, "the run was over before it had begun"
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Traceback" not in told


def spawned(process: psutil.Process) -> list[psutil.Process]:
    """The workers that a run has started."""
    found = []
    for child in process.children():
        with suppress(psutil.Error):
            if any("spawn_main" in word for word in child.cmdline()):
                found.append(child)
    return found


def test_ctrl_c_stops_a_run_and_says_how_it_goes_on(world: Workspace, many: Path, tmp_path: Path) -> None:
    outs = (tmp_path / f"out{attempt}.parquet" for attempt in range(10))
    ends = ((out, *interrupted(world.folder, many, out)) for out in outs)
    out, status, told = next(end for end in ends if end[1] != 0)  # one may be done before it is interrupted
    assert status == 130
    assert "the same command goes on from there" in told
    assert "Traceback" not in told
    status, output = run(world.folder, many, out)
    assert status == 0, output
    assert pq.read_table(out).num_rows == 30_000
