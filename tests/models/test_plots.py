"""Axes are labelled with round numbers."""

import pytest

from models.plots import lines, ticks


@pytest.mark.parametrize(
    ("most", "labels"),
    [
        (46.843, [0, 10, 20, 30, 40]),
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.2, [0, 0.05, 0.1, 0.15, 0.2]),
        (10.0, [0, 2, 4, 6, 8, 10]),
        (300.0, [0, 100, 200, 300]),
        (7.0, [0, 2, 4, 6]),
        (0.003, [0, 0.001, 0.002, 0.003]),
    ],
)
def test_ticks_are_round_few_and_within_the_axis(most: float, labels: list[float]) -> None:
    assert ticks(most) == pytest.approx(labels)


def test_a_plot_says_no_odd_numbers() -> None:
    drawn = lines(
        "Reward", "decisions", "value", {"one": [(0.0, 0.0), (46.8, 1.0)]}, most=(46.843, 1.0)
    ).decode()
    assert ">40</text>" in drawn
    assert ">9.37</text>" not in drawn
