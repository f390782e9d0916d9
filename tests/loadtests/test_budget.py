from dataclasses import replace
from pathlib import Path

import pytest

from feature_store.documents import WorkspaceError
from loadtests.budget import TOTAL, Budget, Measured, Percentiles, judge, read_statistics

BUDGET = Budget(
    endpoints={"POST /v1/decisions": Percentiles(p50=10, p95=50, p99=100)},
    error_rate=0.01,
    degraded_rate=0.02,
    requests_per_second=100,
)
GOOD = Measured(requests=1000, failures=10, per_second=100, p50=10, p95=50, p99=100)
STATISTICS = """\
Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,\
Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%
POST,POST /v1/decisions,900,3,8,9.1,2.2,80.5,900.0,90.5,0.3,8,9,10,11,14,20,30,41,60,80,80
POST,POST /v1/outcomes,0,0,0,0,0,0,0,0,0,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A
,Aggregated,900,3,8,9.1,2.2,80.5,900.0,90.5,0.3,8,9,10,11,14,20,30,41,60,80,80
"""


def broken(measured: Measured, total: Measured = GOOD) -> set[str]:
    verdicts = judge({"POST /v1/decisions": measured, TOTAL: total}, 0.02, BUDGET)
    return {verdict.figure for verdict in verdicts if not verdict.kept}


def test_a_budget_is_kept_up_to_its_very_limits() -> None:
    assert broken(GOOD) == set()


@pytest.mark.parametrize(
    ("figure", "worse"),
    [
        ("p50", replace(GOOD, p50=10.1)),
        ("p95", replace(GOOD, p95=51)),
        ("p99", replace(GOOD, p99=float("inf"))),
    ],
)
def test_each_percentile_is_held(figure: str, worse: Measured) -> None:
    assert broken(worse) == {figure}


def test_errors_and_throughput_are_held_over_all_endpoints() -> None:
    assert broken(GOOD, replace(GOOD, failures=11)) == {"errors"}
    assert broken(GOOD, replace(GOOD, per_second=99.9)) == {"throughput"}


def test_decisions_without_all_their_inputs_are_held() -> None:
    verdicts = judge({"POST /v1/decisions": GOOD, TOTAL: GOOD}, 0.021, BUDGET)
    assert [verdict.figure for verdict in verdicts if not verdict.kept] == ["degraded"]


def test_an_endpoint_that_nobody_called_has_not_kept_its_budget() -> None:
    assert [verdict.kept for verdict in judge({TOTAL: GOOD}, 0, BUDGET)] == [False, True, True, True]
    assert broken(replace(GOOD, requests=0)) == {"requests"}


def test_no_requests_at_all_is_no_success() -> None:
    assert not any(verdict.kept for verdict in judge({}, 1, BUDGET))


def test_locusts_statistics_are_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "locust_stats.csv").write_text(STATISTICS)
    measured = read_statistics(tmp_path / "locust_stats.csv")
    assert measured["POST /v1/decisions"] == Measured(900, 3, 90.5, 8, 20, 41)
    assert measured["POST /v1/outcomes"].p99 == float("inf")
    assert measured[TOTAL].failures == 3


def test_the_budget_that_is_shipped_is_valid_and_covers_what_the_scenarios_call(root: Path) -> None:
    budget = Budget.load(root / "loadtests" / "budgets.yaml")
    scenarios = (root / "loadtests" / "scenarios" / "users.py").read_text()
    assert all(f'"{endpoint}"' in scenarios for endpoint in budget.endpoints)
    assert len(budget.endpoints) == 4


def test_a_wrong_budget_file_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "budgets.yaml"
    file.write_text("endpoints:\n  POST /v1/decisions: {p50: 1, p95: fast, p99: 9}\nerror_rate: 0\n")
    with pytest.raises(WorkspaceError, match=r"budgets.yaml:2: .*p95"):
        Budget.load(file)
