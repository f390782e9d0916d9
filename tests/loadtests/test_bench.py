"""The benchmark for real, in small."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from threading import Barrier

import pyarrow.parquet as pq
import pytest

from loadtests.bench import command, measuring, outbound, page, sweeps, worlds
from loadtests.bench.command import Effort
from loadtests.bench.figures import BARE, CONNECTIONS, SERVICE, USUAL, Figure, figures, more, rate, written
from loadtests.bench.measuring import Loop, Reading, Readings, write_bodies
from loadtests.bench.outbound import outbound_seconds
from loadtests.bench.report import Report
from loadtests.bench.servers import Site, all_at_once
from loadtests.bench.sweeps import Point
from loadtests.bench.worlds import Size
from loadtests.generators import Sample, best_generator
from loadtests.server import Server, ServerFailed


def reading(server: str, loop: Loop, at: float, per_second: float, p99: float = 2.0) -> Reading:
    return Reading(server, loop, at, Sample(round(per_second), 1.0, 1.0, p99, 0), 100.0, 50.0, 80.0)


def measured(service: float, bare: float, large: float) -> Readings:
    """Closed loops at one number of connections, and open ones at half of the service's saturation."""
    readings = Readings(
        [
            reading(BARE, "closed", CONNECTIONS, bare),
            reading(USUAL, "closed", CONNECTIONS, 600.0),
            reading(SERVICE, "closed", CONNECTIONS, service),
            reading(more(SERVICE, 1_000), "closed", CONNECTIONS, large),
        ]
    )
    half = rate(readings, 0.5)
    readings.all += [
        reading(BARE, "open", half, half, p99=1.0),
        reading(SERVICE, "open", half, half, p99=2.0),
    ]
    return readings


SMALL = Size(actions=4, customers=300, features=12, models=5, decisions=5_000)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where worlds are kept between tests."""
    return tmp_path_factory.mktemp("kept")


def test_the_quick_benchmark_prints_the_table_of_figures_and_writes_all_that_it_measured(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = command.QUICK.shares
    monkeypatch.setattr(
        command, "QUICK", Effort((CONNECTIONS,), 1, 1, shares, open_rounds=1, open_seconds=1, copies=5)
    )
    monkeypatch.setattr(measuring, "WARM_UP", 1)
    sizes = [word for name, size in asdict(SMALL).items() for word in (f"--{name}", str(size))]
    sizes += ["--more-actions", "6", "--worlds", str(kept)]
    status = command.main(["--quick", *sizes, "--json", str(tmp_path / "bench.json")])
    said = capsys.readouterr()
    document = json.loads((tmp_path / "bench.json").read_text())
    missed = any(figure["verdict"] == "MISSED" for figure in document["figures"])
    assert status == int(missed), said
    loads = {(one["server"], one["loop"], one["at"]) for one in document["readings"]["all"]}
    assert {(server, at) for server, loop, at in loads if loop == "closed"} == {
        (server, CONNECTIONS) for server in (BARE, USUAL, SERVICE, more(SERVICE, 6))
    }
    assert {server for server, loop, _ in loads if loop == "open"} == {BARE, SERVICE}
    assert all(one["sample"]["requests"] > 0 for one in document["readings"]["all"])
    assert "What must be reached" in said.out
    assert sorted(world.name.split("-")[0] for world in kept.iterdir()) == ["actions4", "actions6"]


def test_a_sweep_measures_each_variant_beside_a_bare_endpoint_like_it(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "ROUNDS", 1)
    monkeypatch.setattr(sweeps, "SECONDS", 1)
    monkeypatch.setattr(measuring, "WARM_UP", 1)
    made = worlds.prepare_all(sweeps.variants("workers", SMALL), kept)
    one, two = sweeps.sweep("workers", SMALL, made, Site(tmp_path, None), best_generator())
    assert (one.value, two.value) == (1, 2)
    assert min(point.service.per_second for point in (one, two)) > 0
    assert two.service.memory_mib > 1.3 * one.service.memory_mib  # another process
    assert two.bare.memory_mib > 1.3 * one.bare.memory_mib


def test_medians_are_taken_over_the_rounds_of_one_server_under_one_load() -> None:
    rounds = [reading(BARE, "closed", 16, number) for number in (10, 30, 1_000)]
    readings = Readings([*rounds, reading(SERVICE, "closed", 16, 5), reading(BARE, "closed", 64, 7)])
    assert readings.middle(BARE, "closed", 16).per_second == 30
    assert readings.saturation(BARE) == 30
    with pytest.raises(KeyError):
        readings.middle(BARE, "open", 16)


def test_figures_are_ratios_of_one_run() -> None:
    found = figures(measured(service=6_000, bare=5_000, large=2_000), 50, 1_000, outbound=60_000)
    assert [figure.value for figure in found] == [1.2, 10.0, 2.0, 3.0, 60_000, 80.0]
    assert [figure.verdict for figure in found] == ["must", "must", "must", "must", "must", "aim"]


@pytest.mark.parametrize(
    ("value", "must", "aim", "verdict"),
    [
        (1.5, 1.0, 1.5, "aim"),
        (1.0, 1.0, 1.5, "must"),
        (0.99, 1.0, 1.5, "MISSED"),
        (400, 600, 400, "aim"),
        (600, 600, 400, "must"),
        (601, 600, 400, "MISSED"),
        (None, 1.0, 1.5, "not measured"),
    ],
)
def test_a_figure_is_judged_by_its_goals_whichever_way_is_better(
    value: float | None, must: float, aim: float, verdict: str
) -> None:
    assert Figure("x", value, must, aim).verdict == verdict


def test_a_missed_figure_is_in_the_table() -> None:
    readings = measured(service=4_000, bare=5_000, large=2_000)
    report = Report({}, Size(), 1_000, readings, figures(readings, 50, 1_000, outbound=None))
    first, *others = report.tables()
    assert [row[-1] for row in first.rows] == ["MISSED", "MISSED", "must", "aim", "not measured", "aim"]
    assert all(len(row) == len(one.header) for one in (first, *others) for row in one.rows)
    assert json.loads(json.dumps(report.document()))["figures"][0]["verdict"] == "MISSED"


def test_the_page_gets_tables_and_pictures_and_keeps_what_stands_around_them(tmp_path: Path) -> None:
    readings = measured(service=6_000, bare=5_000, large=2_000)
    slow, fast = (readings.middle(name, "closed", CONNECTIONS) for name in (BARE, SERVICE))
    points = [Point(value, service=fast, bare=slow) for value in (1, 50, 1_000)]
    found = figures(readings, 50, 1_000, outbound=None)
    machine = {"at": "2026-01-31T12:00:00+00:00", "cores": 2, "pinned": True, "python": "3.11.9"}
    machine["closed_loop_by"] = "wrk"
    report = Report(machine, Size(), 1_000, readings, found, {"actions": points})
    (tmp_path / "performance.md").write_text(f"# Mine\n{page.BEGIN}\nold\n{page.END}\nThe end\n")
    written_files = page.write_page(report, tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert text.startswith(f"# Mine\n{page.BEGIN}\nMade 2026-01-31")
    assert text.endswith(f"{page.END}\nThe end\n")
    assert "old" not in text
    assert "| decisions/s / bare FastAPI endpoint | 1.2 | 1 | 1.5 | must |" in text
    pictures = re.findall(r"\]\((.+\.svg)\)", text)
    assert [tmp_path / name for name in pictures] == written_files[1:]
    assert len(pictures) == 2
    drawn = [file.read_bytes() for file in written_files]
    assert b"decisions a second" in drawn[2]
    page.write_page(report, tmp_path)
    assert [file.read_bytes() for file in written_files] == drawn


def test_a_page_without_a_place_for_figures_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "performance.md").write_text("# Mine\n")
    assert command.main(["--docs", str(tmp_path)]) == 1
    assert "has no <!-- bench -->" in capsys.readouterr().err


def test_numbers_have_no_more_digits_than_mean_something() -> None:
    assert [written(number) for number in (12_345.6, 123.4, 1.2345, 0.01234)] == [
        "12,346",
        "123",
        "1.23",
        "0.0123",
    ]
    assert written(80.0, "MiB") == "80 MiB"


def test_a_world_has_models_of_an_exact_size_and_is_made_once(kept: Path) -> None:
    world = worlds.prepare(SMALL, kept)
    models = [path.read_text() for path in world.glob("models/*/*/model.txt")]
    assert len(models) == SMALL.actions  # no more than these
    assert {text.count("\nTree=") for text in models} == {worlds.TREES}
    before = world.stat()
    assert worlds.prepare(SMALL, kept).stat() == before
    assert replace(SMALL, actions=1).name != SMALL.name


def test_worlds_of_the_same_size_are_one_and_others_are_made_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Barrier(2, timeout=60)

    def prepare(size: Size, folder: Path) -> Path:
        both.wait()
        return folder / size.name

    monkeypatch.setattr(worlds, "prepare", prepare)
    one, other = Size(actions=1), Size(actions=2)
    assert worlds.prepare_all([one, other, one], tmp_path) == {
        one: tmp_path / one.name,
        other: tmp_path / other.name,
    }


def test_a_server_that_does_not_start_takes_those_along_that_do() -> None:
    both, stopped = Barrier(2, timeout=60), []

    @contextmanager
    def starts() -> Iterator[Server]:
        both.wait()
        try:
            yield Server("http://127.0.0.1:1", 1)
        finally:
            stopped.append("the one that had started")

    @contextmanager
    def fails() -> Iterator[Server]:
        both.wait()
        raise ServerFailed("no such workspace")
        yield

    with (
        pytest.raises(ServerFailed, match="no such workspace"),
        all_at_once({"one": starts(), "other": fails()}),
    ):
        pytest.fail("all were said to be ready")
    assert stopped == ["the one that had started"]


def test_a_world_that_cannot_be_made_is_told_and_leaves_nothing_that_is_taken_for_one(tmp_path: Path) -> None:
    size = Size(actions=0)
    with pytest.raises(worlds.BenchFailed, match="at least 1 action"):
        worlds.prepare(size, tmp_path)
    assert not (tmp_path / size.name).exists()


def test_bodies_are_requests_about_the_customers_of_the_world(tmp_path: Path) -> None:
    bodies = [json.loads(line) for line in write_bodies(tmp_path / "bodies", 50).read_text().splitlines()]
    assert {body["customer_id"] for body in bodies} == {f"c{i}" for i in range(50)}
    assert {body["context"]["page"] for body in bodies} == {"home", "search", "product", "cart", "account"}


def test_outbound_decides_for_each_copy_of_the_customers_of_a_world(world: Path, tmp_path: Path) -> None:
    assert outbound_seconds(world, tmp_path, copies=3) > 0
    found = set(pq.read_table(tmp_path / "answers-3.parquet")["customer_id"].to_pylist())
    known = pq.read_table(world / "customers.parquet")["customer_id"].to_pylist()
    assert found == {f"{customer}_{copy}" for customer in known for copy in range(3)}


def test_outbound_is_what_more_customers_cost(monkeypatch: pytest.MonkeyPatch, world: Path) -> None:
    customers, took = pq.read_metadata(world / "customers.parquet").num_rows, {1: 4.0, 11: 9.0}
    monkeypatch.setattr(outbound, "outbound_seconds", lambda world, folder, copies: took[copies])
    assert outbound.customers_a_second(world, world, copies=11) == customers * 10 / 5.0
    took[11] = 3.9
    assert outbound.customers_a_second(world, world, copies=11) is None
