"""One row that stands for many."""

import numpy as np
import pytest

from service.decisioning.spreading import spread, with_rows

ROW = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize("n", [0, 1, 4])
def test_a_spread_row_is_every_row(n: int) -> None:
    assert spread(ROW, n).tolist() == [ROW.tolist()] * n


def test_nobody_can_write_into_a_spread_row() -> None:
    with pytest.raises(ValueError, match="read-only"):
        spread(ROW, 2)[0, 0] = 5.0
    assert ROW.tolist() == [1.0, 2.0, 3.0]


def test_some_rows_are_replaced_and_the_row_itself_stays() -> None:
    joined = with_rows(spread(ROW, 3), np.array([1]), np.array([[7.0, 8.0, 9.0]]))
    assert joined.tolist() == [[1.0, 2.0, 3.0], [7.0, 8.0, 9.0], [1.0, 2.0, 3.0]]
    assert ROW.tolist() == [1.0, 2.0, 3.0]


def test_what_is_the_same_row_for_all_is_not_written_out() -> None:
    columns = spread(ROW, 3)
    assert with_rows(columns, np.array([0, 2]), spread(ROW, 2)) is columns


def test_rows_spread_from_other_numbers_are_written_out() -> None:
    joined = with_rows(spread(ROW, 2), np.array([0]), spread(ROW + 1.0, 1))
    assert joined.tolist() == [[2.0, 3.0, 4.0], [1.0, 2.0, 3.0]]
