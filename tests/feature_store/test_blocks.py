"""Counts by the time of decisions: nothing is lost but what is old."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feature_store.blocks import MOST_BLOCKS, NOTHING, Count, Length, counted, unpacked

WIDTH = 2.0
LENGTH = Length(WIDTH, 0.0)
counts = st.lists(
    st.builds(
        Count,
        at=st.floats(0, 1e6),
        shown=st.integers(0, 10),
        expected=st.floats(0, 0.1),
        responses=st.integers(0, 3),
    ),
    max_size=60,
)


@given(counts, st.integers(0, 60))
def test_what_is_counted_in_two_parts_adds_up_to_as_much(found: list[Count], at: int) -> None:
    whole = counted(NOTHING, found, LENGTH)
    parts = counted(counted(NOTHING, found[:at], LENGTH), found[at:], LENGTH)
    for name in ("shown", "expected", "responses"):
        total = sum(getattr(count, name) for count in found)
        assert np.isclose(whole[name].sum(), total)
        assert np.isclose(parts[name].sum(), total)
    assert (np.diff(parts["since"]) > 0).all()


def test_a_block_is_as_long_as_it_takes_to_expect_its_width() -> None:
    blocks = counted(NOTHING, [Count(float(at), 10, 1.0, 0) for at in range(6)], LENGTH)
    assert blocks["since"].tolist() == [0.0, 2.0, 4.0]
    assert blocks["expected"].tolist() == [2.0, 2.0, 2.0]


def test_a_late_response_finds_the_block_of_its_decision() -> None:
    blocks = counted(NOTHING, [Count(float(at), 10, 1.0, 0) for at in range(6)], LENGTH)
    later = counted(blocks, [Count(3.0, 0, 0.0, 1)], LENGTH)
    assert later["responses"].tolist() == [0.0, 1.0, 0.0]


def test_the_newest_blocks_are_kept_and_what_is_older_is_forgotten() -> None:
    many = [Count(float(at), 1, WIDTH, 0) for at in range(MOST_BLOCKS + 8)]
    blocks = counted(NOTHING, many, LENGTH)
    assert blocks["since"].tolist() == [float(at) for at in range(8, MOST_BLOCKS + 8)]
    assert counted(blocks, [Count(3.0, 0, 0.0, 1)], LENGTH)["responses"].sum() == 0


def test_blocks_come_back_as_they_were_kept() -> None:
    blocks = counted(NOTHING, [Count(1.5, 3, 0.25, 2), Count(9.5, 1, 3.0, 0)], LENGTH)
    assert unpacked(blocks.tobytes()).tolist() == blocks.tolist()


def test_a_block_lasts_as_long_as_its_responses_take() -> None:
    blocks = counted(NOTHING, [Count(float(at), 10, WIDTH, 0) for at in range(6)], Length(WIDTH, 3.0))
    assert blocks["since"].tolist() == [0.0, 3.0]
