"""What a request costs by its size."""

from __future__ import annotations

import pytest

from ermpoll.sandbox.price.costs import READ, WRITE, Costs


@pytest.mark.parametrize(
    ("costs", "rows", "columns", "ms"),
    [
        (READ, 1, 6, 8.7),
        (READ, 1000, 35, 19.2),
        (WRITE, 5, 6, 19),
        (WRITE, 20, 6, 16),
        (WRITE, 2000, 35, 839),
    ],
)
def test_what_was_measured_is_the_price(
    costs: Costs, rows: int, columns: int, ms: float
) -> None:
    assert costs.seconds(rows=rows, columns=columns) == pytest.approx(ms / 1000)


def test_between_two_measurements_the_price_is_between_theirs() -> None:
    # Half of the way from 200 rows to 500, and half of the way from 6 columns to 35.
    few, many = (41 + 78) / 2, (95 + 204) / 2

    half = WRITE.seconds(rows=350, columns=6)
    middle = WRITE.seconds(rows=350, columns=6 + 29) / 2 + half / 2

    assert half == pytest.approx(few / 1000)
    assert middle == pytest.approx((few + many) / 2000)


def test_beyond_the_measurements_the_price_goes_on_as_before() -> None:
    # 1,000 rows more were 115 ms more.
    assert WRITE.seconds(rows=3000, columns=6) == pytest.approx(0.252 + 0.115)


def test_no_rows_cost_what_one_costs_and_no_columns_what_few_cost() -> None:
    assert WRITE.seconds(rows=0, columns=0) == WRITE.seconds(rows=1, columns=6)
