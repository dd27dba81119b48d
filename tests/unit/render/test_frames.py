from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from ermpoll.records import Change
from ermpoll.render.frames import changes_frame, frame, outcome_frame

TYPES = {
    "RID": "string",
    "Priority": "Int64",
    "Score": "Float64",
    "Public": "boolean",
    "Filename": "string",
    "Taken": "string",
    "RMT": "datetime64[us, UTC]",
    "Local": "datetime64[us]",
    "Meta": "object",
    "Tags": "object",
}
ROW = {
    "RID": "1-0001",
    "Priority": 5,
    "Score": 0.25,
    "Public": True,
    "Filename": "slide.czi",
    "Taken": "2026-11-24",
    "RMT": "2026-11-24T03:18:00.000001+00:00",
    "Local": "2026-11-24T03:18:00",
    "Meta": {"a": [1, 2]},
    "Tags": ["x", "y"],
}


@pytest.mark.parametrize("rows", [[], [ROW], [ROW, dict.fromkeys(ROW)]])
def test_columns_have_the_same_types_with_rows_with_nulls_and_without_rows(rows):
    made = frame(rows, list(TYPES), TYPES)

    assert {name: str(dtype) for name, dtype in made.dtypes.items()} == TYPES
    assert len(made) == len(rows)


def test_a_frame_keeps_values_and_the_order_of_the_columns():
    made = frame([ROW], ["Tags", "RID", "Meta", "RMT"], TYPES)

    assert list(made.columns) == ["Tags", "RID", "Meta", "RMT"]
    assert made.iloc[0].tolist() == [
        ["x", "y"],
        "1-0001",
        {"a": [1, 2]},
        pd.Timestamp("2026-11-24T03:18:00.000001Z"),
    ]


def test_times_of_another_zone_become_utc():
    made = frame([{"RMT": "2026-11-24T05:18:00+02:00"}], ["RMT"], TYPES)

    assert made["RMT"][0] == pd.Timestamp("2026-11-24T03:18:00Z")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("RMT", "infinity"),
        ("Priority", 2**70),
        ("Priority", "high"),
        ("Public", "maybe"),
        ("Filename", 5),
    ],
)
def test_a_value_its_type_cannot_hold_leaves_the_column_as_the_catalog_sent_it(
    column, value
):
    made = frame([{column: value}], [column], TYPES)

    assert str(made[column].dtype) == "object"
    assert made[column][0] == value


def test_a_column_without_a_type_is_object():
    made = frame([{"a": "x", "b": "x"}], ["a", "b"], {"a": "string"})

    assert [str(dtype) for dtype in made.dtypes] == ["string", "object"]


def test_a_changes_frame_has_one_line_per_changed_cell():
    changes = [
        Change(
            rid="1-A", rmt="t", before={"s": "new", "p": 1}, after={"s": "done", "p": 1}
        ),
        Change(rid="1-B", rmt="t", before={"s": "new"}, after={}, kind="skipped"),
        Change(rid="1-C", rmt="t", before={"t": None}, after={"t": ["x", "y"]}),
    ]

    made = changes_frame(changes)

    assert made.to_dict("records") == [
        {"RID": "1-A", "column": "s", "before": "new", "after": "done"},
        {"RID": "1-C", "column": "t", "before": None, "after": ["x", "y"]},
    ]


def test_a_changes_frame_without_changes_has_the_same_columns():
    assert list(changes_frame([]).columns) == ["RID", "column", "before", "after"]


def test_an_outcome_frame_says_what_became_of_each_row():
    outcome = SimpleNamespace(
        won=("1-A",), lost=("1-B",), unknown=(), reasons={"1-B": "changed meanwhile"}
    )

    assert outcome_frame(outcome).to_dict("records") == [
        {"RID": "1-A", "result": "won", "reason": ""},
        {"RID": "1-B", "result": "lost", "reason": "changed meanwhile"},
    ]
