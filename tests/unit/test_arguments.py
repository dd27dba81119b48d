from __future__ import annotations

import math

import numpy as np
import pytest

from ermpoll.arguments import by_rid, seconds, whole
from ermpoll.errors import UsageError


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf, True, "1", None])
def test_a_time_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError, match=r"poll_s is .*: give a number of seconds"):
        seconds("poll_s", wrong)


def test_a_whole_number_of_any_type_is_taken():
    assert [whole("limit", n) for n in (1, np.int64(7), np.uint8(3))] == [1, 7, 3]
    assert whole("prefetch", 0, least=0) == 0


@pytest.mark.parametrize("wrong", [0, -1, True, "5", 1.0, None, [1]])
def test_a_number_that_is_no_whole_one_is_refused_with_what_was_found(wrong):
    with pytest.raises(
        UsageError, match=r"limit: expected (a number of|1 or more) rows, found"
    ) as raised:
        whole("limit", wrong, "rows")
    assert repr(wrong) in str(raised.value)


@pytest.mark.parametrize("wrong", ["boom", [1], 5])
def test_what_is_no_mapping_of_rows_is_refused(wrong):
    with pytest.raises(UsageError, match=r"errors: expected \{RID: error\}, found"):
        by_rid("errors", wrong, "error")
