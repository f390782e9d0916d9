"""The Hillstrom rehearsal on a trial made up in the file's format, where it is known who likes what."""

import csv
import gzip
from pathlib import Path
from random import Random

import numpy as np
import pyarrow.parquet as pq
import pytest

from examples.hillstrom import evaluate
from examples.hillstrom.rehearsal import RehearsalFailed, chosen_action
from examples.hillstrom.trial import ARMS, Trial, TrialMissing, find_file, read_trial

HEADER = [
    "recency",
    "history_segment",
    "history",
    "mens",
    "womens",
    "zip_code",
    "newbie",
    "channel",
    "segment",
]


def write_trial(folder: Path, customers: int) -> Path:
    """Buyers of women's merchandise visit after the women's mail, the others after the men's."""
    random = Random(1)
    file = folder / "hillstrom" / "hillstrom.csv.gz"
    file.parent.mkdir(parents=True)
    with gzip.open(file, "wt", newline="") as text:
        rows = csv.writer(text)
        rows.writerow([*HEADER, "visit", "conversion", "spend"])
        for _ in range(customers):
            womens = random.random() < 0.5
            arm = random.choice(["Mens E-Mail", "Womens E-Mail", "No E-Mail"])
            likes = "Womens E-Mail" if womens else "Mens E-Mail"
            visit = random.random() < (0.5 if arm == likes else 0.1)
            conversion = visit and random.random() < 0.1
            profile = [random.randint(1, 12), "1) $0 - $100", 29.99, int(not womens), int(womens)]
            profile += [random.choice(["Surburban", "Urban", "Rural"]), 0, random.choice(["Web", "Phone"])]
            rows.writerow([*profile, arm, int(visit), int(conversion), 100 if conversion else 0])
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trial(tmp_path_factory.mktemp("data"), customers=8_000)


@pytest.fixture
def trial(data: Path) -> Trial:
    return read_trial(data / "hillstrom" / "hillstrom.csv.gz")


def test_what_differs_between_customers_is_found_and_served_by_the_real_service(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARBITER_DATA_DIR", str(data))
    assert evaluate.main(["--splits", "2"]) == 0
    shown = capsys.readouterr()
    assert "4,000 customers decided for" in shown.err
    table = [line.split(" | ") for line in shown.out.splitlines() if line.startswith("| ")]
    value = {cells[0].removeprefix("| "): float(cells[1].split()[0]) for cells in table[1:]}
    assert value["Arbiter"] == pytest.approx(0.5, abs=0.05)
    assert value["always Men's"] == pytest.approx(0.3, abs=0.05)
    assert value["nobody"] == pytest.approx(0.1, abs=0.05)
    assert "visit: Arbiter beats always Men's" in shown.out


def test_halves_share_nobody_and_leave_nobody_out(trial: Trial) -> None:
    learn, decide = trial.halves(seed=3)
    assert sorted(learn.customer_ids() + decide.customer_ids()) == trial.customer_ids()
    assert len(learn) == len(decide)


def test_the_same_seed_halves_alike_and_another_one_differently(trial: Trial) -> None:
    assert trial.halves(3)[0].customer_ids() == trial.halves(3)[0].customer_ids()
    assert trial.halves(3)[0].customer_ids() != trial.halves(4)[0].customer_ids()


def test_rows_stay_together_when_customers_are_taken(trial: Trial) -> None:
    some = trial.take(np.array([5, 2]))
    assert some.customer_ids() == ["h00005", "h00002"]
    assert some.arm.tolist() == trial.arm[[5, 2]].tolist()
    assert some.outcomes["spend"].tolist() == trial.outcomes["spend"][[5, 2]].tolist()


def test_what_a_customer_got_or_did_is_not_among_what_is_known_of_them(trial: Trial, tmp_path: Path) -> None:
    trial.write_customers(tmp_path / "customers.parquet")
    known = set(pq.read_schema(tmp_path / "customers.parquet").names)
    assert known.isdisjoint({"segment", "visit", "conversion", "spend"})


def test_the_history_says_what_each_got_and_did(trial: Trial, tmp_path: Path) -> None:
    trial.write_history(tmp_path)
    decisions = pq.read_table(tmp_path / "decisions.parquet")
    outcomes = pq.read_table(tmp_path / "outcomes.parquet")
    assert decisions["action"].to_pylist() == [ARMS[arm] for arm in trial.arm]
    assert decisions["selection_probability"].to_pylist() == [1 / 3] * len(trial)
    visited = np.array(trial.customer_ids())[trial.outcomes["visit"] > 0]
    assert outcomes["decision_id"].to_pylist() == visited.tolist()


def test_an_absent_file_is_named_with_what_it_should_hold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARBITER_DATA_DIR", str(tmp_path))
    with pytest.raises(TrialMissing, match=r"hillstrom\.csv\.gz is not there.*ARBITER_DATA_DIR"):
        find_file()
    assert evaluate.main([]) == 1


def test_only_full_decisions_are_valued() -> None:
    placement = {"id": "mailing", "actions": [{"action": "no_email"}]}
    assert chosen_action({"mode": "full", "placements": [placement]}) == "no_email"
    spoilt: list[dict[str, object]] = [
        {"mode": "degraded", "placements": [placement]},
        {"mode": "full", "placements": [{"id": "mailing", "actions": []}]},
        {"type": "about:blank", "title": "Not valid", "status": 422},
    ]
    for spoiled in spoilt:
        with pytest.raises(RehearsalFailed, match="not a full decision"):
            chosen_action(spoiled)


def test_the_real_file_has_the_trials_known_figures() -> None:
    try:
        trial = read_trial(find_file())
    except TrialMissing as missing:
        pytest.skip(str(missing))
    assert [int((trial.arm == arm).sum()) for arm in range(3)] == [21_307, 21_387, 21_306]
    rate = [trial.outcomes["visit"][trial.arm == arm].mean() for arm in range(3)]
    assert rate[1] - rate[2] == pytest.approx(0.0452, abs=5e-5)  # women's mail against none
