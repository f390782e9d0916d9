"""`make loadtest`: a service of its own, Locust's load on it, and the verdict by the budget."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.progress import track

from feature_store.documents import WorkspaceError
from feature_store.progress import silent
from loadtests.budget import Budget, Measured, Verdict, judge, read_statistics
from loadtests.metrics import degraded_share
from loadtests.scenarios.people import CUSTOMERS
from loadtests.server import ServerFailed, arbiter, fetch, free_port, process
from service.cli.console import table
from service.cli.demo import find_data

HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and judge; 0 when the budget was kept, 1 when not."""
    options = parse_options(arguments)
    try:
        budget = Budget.load(options.budgets)
        verdicts = judge(*measure(options), budget)
    except (ServerFailed, WorkspaceError, LoadFailed) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    show(verdicts)
    print(f"\nCSV and HTML in {options.results}")
    return 0 if all(verdict.kept for verdict in verdicts) else 1


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loadtests.run", description=__doc__)
    parser.add_argument(
        "--workspace", type=Path, default=Path("examples/telco"), help="what the service serves"
    )
    parser.add_argument("--users", type=int, default=18, help="how many people there are at a time")
    parser.add_argument("--seconds", type=int, default=60, help="how long they stay")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service")
    parser.add_argument("--budgets", type=Path, default=HERE / "budgets.yaml", help="what it may cost")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="where CSV and HTML go")
    return parser.parse_args(arguments)


class LoadFailed(Exception):
    """Locust itself could not do its work; the message says where its words are."""


def measure(options: argparse.Namespace) -> tuple[dict[str, Measured], float]:
    """Start the service, put the load on it, stop everything. Returns Locust's statistics, and the share of
    decisions that were degraded."""
    results: Path = options.results.resolve()
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="arbiter-loadtest-") as folder:
        data = Path(folder)
        print(f"Starting a service of {options.workspace} (its words: {results / 'service.log'})", flush=True)
        serve = ("run", str(options.workspace), "--workers", str(options.workers))
        with arbiter(*serve, data=data, log=results / "service.log", port=free_port()) as server:
            customers = find_data(options.workspace, data, silent, print) / "customers.parquet"
            load(server.url, customers, options.users, options.seconds, results)
            degraded = degraded_share(fetch(server.url, "/metrics").decode())
    return read_statistics(results / "locust_stats.csv"), degraded


def load(url: str, customers: Path, users: int, seconds: int, results: Path) -> None:
    """Run Locust without its web page. Raises `LoadFailed` when it ends before its time."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(HERE / "locustfile.py"), "--headless"]
    command += ["--host", url, "--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s"]
    command += ["--reset-stats", "--only-summary", "--exit-code-on-error", "0"]
    command += ["--csv", str(results / "locust"), "--html", str(results / "report.html")]
    log = results / "locust.log"
    environment = os.environ | {CUSTOMERS: str(customers)}
    with process(command, environment=environment, log=log) as locust:
        for _ in track(range(seconds + 60), f"{users} people on {url}", transient=True):
            try:
                status = locust.wait(1)
            except subprocess.TimeoutExpired:
                continue
            if status == 0:
                return
            break
    last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise LoadFailed(f"Locust failed. It said last ({log}):\n{last}")


def show(verdicts: Sequence[Verdict]) -> None:
    """Print the verdicts as a table."""
    rows = [
        [verdict.what, verdict.figure, verdict.measured, verdict.allowed, "ok" if verdict.kept else "BROKEN"]
        for verdict in verdicts
    ]
    table("Load test", ["endpoint", "figure", "measured", "budget", "verdict"], rows)


if __name__ == "__main__":
    sys.exit(main())
