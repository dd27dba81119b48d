from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from ermpoll.errors import UsageError
from ermpoll.queue.rids import rids_of, versions_of

ROWS = [{"RID": "1-A", "RMT": "2026-01-01T00:00:00.25+00:00"}, {"RID": "1-B"}]
FRAME = pd.DataFrame(
    {
        "RID": ["1-A", "1-B"],
        "RMT": pd.to_datetime(["2026-01-01T00:00:00.25Z"] * 2, format="ISO8601"),
    }
)


@pytest.mark.parametrize(
    "rows",
    [
        ["1-A", "1-B"],
        ("1-A", "1-B", "1-A"),
        ROWS,
        FRAME,
        FRAME.set_index("RID"),
        SimpleNamespace(selected=("1-A", "1-B")),
        SimpleNamespace(rids=["1-A", "1-B"]),
        [SimpleNamespace(rid="1-A"), {"RID": "1-B"}],
    ],
    ids=lambda rows: type(rows).__name__,
)
def test_rows_come_in_many_forms(rows):
    assert rids_of(rows) == ("1-A", "1-B")


def test_one_row_is_enough():
    assert rids_of("1-A") == rids_of({"RID": "1-A"}) == ("1-A",)


@pytest.mark.parametrize("rows", [None, 5, [5], {"a": 1}, [["1-A"]]])
def test_what_are_no_rows_is_refused(rows):
    with pytest.raises(UsageError, match="expected rows as RIDs"):
        rids_of(rows)


def test_a_frame_without_rids_is_refused_by_its_columns():
    with pytest.raises(UsageError, match=r"found the columns \['n'\]"):
        rids_of(pd.DataFrame({"n": [1]}))


@pytest.mark.parametrize(
    ("rows", "versions"),
    [
        (ROWS, {"1-A": "2026-01-01T00:00:00.25+00:00"}),
        (ROWS[0], {"1-A": "2026-01-01T00:00:00.25+00:00"}),
        (SimpleNamespace(rows=ROWS), {"1-A": "2026-01-01T00:00:00.25+00:00"}),
        (FRAME[:1], {"1-A": "2026-01-01T00:00:00.250000+00:00"}),
        (FRAME[:1].set_index("RID"), {"1-A": "2026-01-01T00:00:00.250000+00:00"}),
        (["1-A"], {}),
        ([{"RID": "1-A", "RMT": None}], {}),
        (FRAME[:1].assign(RMT=pd.NaT), {}),
        (SimpleNamespace(rows=ROWS, unfinished=("1-A",)), {}),
        (SimpleNamespace(selected=("1-A",), picked=ROWS), {"1-A": ROWS[0]["RMT"]}),
        ("1-A", {}),
        (FRAME[["RID"]], {}),
    ],
)
def test_rows_keep_the_versions_they_were_listed_at(rows, versions):
    assert versions_of(rows) == versions
