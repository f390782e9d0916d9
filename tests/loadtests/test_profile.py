"""The profile of a decision by stage."""

import pytest

from loadtests.profile.command import page, tabled
from loadtests.profile.stages import shares, stage_of

ROOT = "serve (service/cli/serve.py:90);run (uvicorn/main.py:1);run (asyncio/runners.py:118)"
DECIDING = f"{ROOT};decide (service/runtime/decider.py:1);decide (service/decisioning/pipeline.py:70)"


def test_a_sample_belongs_to_the_stage_of_its_innermost_frame_that_belongs_to_one() -> None:
    assert stage_of(f"{DECIDING};fill (service/decisioning/slate.py:9);sum (numpy/core.py:3)") == (
        "slate and exploration"
    )
    assert stage_of(DECIDING) == "rest of the core"
    assert stage_of(ROOT) == "HTTP server and event loop"
    assert stage_of("main (somewhere/else.py:1)") == "other"


def test_shares_are_of_the_samples_of_a_server_at_work() -> None:
    found = shares(
        [
            f"{DECIDING} 3\n",
            f"{ROOT} 1\n",
            f"{ROOT};main (uvicorn/lifespan/on.py:86);start_service (service/runtime/service.py:1) 50\n",
            "<module> (service/cli/main.py:1);_find_and_load (<frozen importlib._bootstrap>:1) 50\n",
        ]
    )
    assert found == {"rest of the core": 0.75, "HTTP server and event loop": 0.25}


def test_samples_of_nothing_but_the_start_are_no_profile() -> None:
    with pytest.raises(ValueError, match="no sample"):
        shares(["<module> (service/cli/main.py:1) 50\n"])


def test_the_table_begins_with_what_costs_most_and_ends_with_the_sum() -> None:
    rows = tabled([{"models": 10.0, "store": 90.0}, {"models": 40.0, "store": 20.4}])
    assert rows == [["models", "10", "40"], ["store", "90", "20"], ["in all", "100", "60"]]
    assert "| models | 10 | 40 |" in page(("stage", "1 connections", "64 connections"), rows)
