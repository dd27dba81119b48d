from __future__ import annotations

import csv

import pytest

from ermpoll.widgets.parts.csv_export import csv_text
from tests.helpers import pages


def cells(before, after):
    """The cells of the one line that a change of one cell makes."""
    change = pages.change("1-A", before={"state": before}, after={"state": after})
    head, *lines = csv.reader(csv_text(pages.plan([change])).splitlines())
    assert head == ["RID", "column", "before", "after"]
    [line] = lines
    return line[2:]


def test_each_changed_cell_has_a_line():
    assert cells("new", "hold") == ["new", "hold"]


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1"])
def test_a_text_that_a_spreadsheet_takes_for_a_formula_is_quoted(text):
    assert cells("new", text) == ["new", f"'{text}"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(-5, "-5"), (None, ""), ("", ""), ({"a": "µ"}, '{"a": "µ"}'), ("\ud800", "?")],
)
def test_other_values_are_saved_as_they_are(value, text):
    assert cells("new", value) == ["new", text]
