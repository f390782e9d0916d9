"""The estimators on a real log whose published figures are known."""

import pytest

from loadtests.realdata.bandit import CAMPAIGNS, bts_by_lot, read_log
from loadtests.realdata.folder import DataMissing
from models.evaluation.value import evaluate

CLICKS = {"all": (38, 42), "men": (46, 69), "women": (46, 46)}


def test_thompson_sampling_is_worth_what_is_published_by_the_log_of_the_lottery() -> None:
    try:
        logged, live = bts_by_lot("all")
    except DataMissing as missing:
        pytest.skip(str(missing))
    found = evaluate(logged)
    relation = found.values["ips"].value / found.logged.value
    assert relation == pytest.approx(1.2, abs=0.03)  # as published for this sample
    assert found.values["ips"].low < live.clicks.mean() < found.values["ips"].high
    assert found.values["snips"].low < 0.0050 < found.values["snips"].high  # of the whole data
    assert found.effective == pytest.approx(3_004, rel=0.01)


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_value_on_the_log_is_near_what_was_logged_live(campaign: str) -> None:
    try:
        logged, live = bts_by_lot(campaign)
    except DataMissing as missing:
        pytest.skip(str(missing))
    by_lot, of_bts = CLICKS[campaign]
    assert (logged.rewards.sum(), live.clicks.sum()) == (by_lot, of_bts)
    found = evaluate(logged)
    assert found.values["snips"].low < live.clicks.mean() < found.values["snips"].high
    assert read_log("random", campaign).propensity.std() == pytest.approx(0.0, abs=1e-9)
