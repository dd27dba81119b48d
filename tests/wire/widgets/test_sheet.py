from __future__ import annotations

import pytest

from ermpoll.widgets.parts.sheet import Sheet


@pytest.fixture
def told():
    return []


@pytest.fixture
def sheet(told):
    made = Sheet(told.append, lambda: told.append("ticked"))
    yield made
    made.close()


def test_what_the_page_sends_is_told_and_what_is_ticked_as_well(sheet, told):
    sheet._handle_custom_msg({"do": "clear"}, [])
    sheet.ticked = ["1-A"]

    assert told == [{"do": "clear"}, "ticked"]


def test_its_script_is_part_of_the_package_and_sent_as_text(sheet):
    assert "export default { render }" in sheet._esm
