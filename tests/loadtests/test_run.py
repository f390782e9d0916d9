"""`make loadtest` for real: a service, a few seconds of Locust, a verdict."""

import shutil
from pathlib import Path

import pytest

from loadtests import run
from loadtests.budget import Measured

GENEROUS = """\
endpoints:
  POST /v1/decisions: {p50: 30000, p95: 30000, p99: 30000}
  POST /v1/decisions/batch: {p50: 30000, p95: 30000, p99: 30000}
  POST /v1/outcomes: {p50: 30000, p95: 30000, p99: 30000}
  "GET /v1/customers/{id}": {p50: 30000, p95: 30000, p99: 30000}
error_rate: 0
degraded_rate: 1
requests_per_second: 1
"""
ALL_CUSTOMERS, FEWER_CUSTOMERS = "customers: int = 20_000", "customers: int = 1_500"
IMPOSSIBLE = GENEROUS.replace("POST /v1/outcomes: {p50: 30000", "POST /v1/outcomes: {p50: 0.001")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for what a load test writes."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def telco(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The telco workspace, of which nothing is made yet, with a demo of fewer customers."""
    folder = tmp_path_factory.mktemp("workspace") / "telco"
    shutil.copytree(root / "examples" / "telco", folder, ignore=shutil.ignore_patterns("models"))
    demo = (folder / "demo.py").read_text(encoding="utf-8")
    assert ALL_CUSTOMERS in demo
    (folder / "demo.py").write_text(demo.replace(ALL_CUSTOMERS, FEWER_CUSTOMERS), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def measured(telco: Path, results: Path) -> tuple[dict[str, Measured], float]:
    """What a real load test measures."""
    arguments = ["--workspace", str(telco), "--users", "10", "--seconds", "6", "--results", str(results)]
    return run.measure(run.parse_options(arguments))


@pytest.mark.parametrize(("budget", "status"), [(GENEROUS, 0), (IMPOSSIBLE, 1)], ids=["kept", "impossible"])
def test_the_budget_decides_whether_a_real_load_test_fails(
    measured: tuple[dict[str, Measured], float],
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    budget: str,
    status: int,
) -> None:
    monkeypatch.setattr(run, "measure", lambda options: measured)
    (tmp_path / "budgets.yaml").write_text(budget)
    ended = run.main(["--budgets", str(tmp_path / "budgets.yaml"), "--results", str(results)])
    shown = capsys.readouterr()
    assert ended == status, shown
    broken = [line.split() for line in shown.out.splitlines() if "BROKEN" in line]
    assert [(line[1], line[2]) for line in broken] == [("/v1/outcomes", "p50")] * status
    assert (results / "locust_stats.csv").stat().st_size > 0
    assert "<html" in (results / "report.html").read_text()


def test_a_service_that_does_not_start_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["--workspace", str(tmp_path / "nothing"), "--results", str(tmp_path)]) == 1
    assert "It said last" in capsys.readouterr().err
