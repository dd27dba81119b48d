from __future__ import annotations

import pytest

from ermpoll.widgets.parts.row_readers import QueueRows
from ermpoll.widgets.parts.row_table import RowTable, rows_drawn


@pytest.fixture
def table(jobs, box):
    box.add(60)
    reader = QueueRows(jobs)
    made = RowTable(
        reader,
        drawn=rows_drawn(jobs, "Rows", lambda: reader.columns),
        changed=lambda: None,
        later=lambda word, act: act(),
        opened=lambda row: f"<p>about {row['RID']}</p>",
        keys={"r": lambda: pressed.append("r")},
    )
    pressed: list[str] = []
    made.pressed = pressed
    made.load()
    yield made
    made.close()


def click(table, do, **more):
    """What the page sends."""
    table.widget._handle_custom_msg({"do": do, **more}, [])
    table.draw()


def rids(table):
    return [row["RID"] for row in table.page.rows]


def test_a_click_sorts_filters_searches_and_turns(table):
    click(table, "sort", column="Bytes")
    sizes = [row["Bytes"] for row in table.page.rows]
    assert sizes == sorted(sizes)
    heads = {head["name"]: head["sorted"] for head in table.widget.page["heads"]}
    assert (heads["Bytes"], heads["RID"]) == ("up", "")

    click(table, "turn", step=1)
    assert table.widget.bar["count"] == f"51 to {table.total} of {table.total}"
    click(table, "filter", column="Modality", text="conf")
    click(table, "search", text="czi")
    assert {row["Modality"] for row in table.page.rows} == {"confocal"}
    assert "that match" in table.widget.bar["count"]


def test_what_cannot_be_asked_is_said_above_the_table_which_stays(table):
    before = rids(table)

    click(table, "filter", column="Bytes", text="many")

    assert "Bytes: expected a number" in table.widget.bar["note"]
    assert (rids(table), table.view.filters) == (before, {})
    click(table, "filter", column="Bytes", text="1..")
    assert table.widget.bar["note"] == ""


def test_a_catalog_that_is_away_while_a_page_is_turned_is_said(table, box):
    before = rids(table)
    box.faults(status=500, times=1)

    click(table, "turn", step=1)

    assert "500" in table.widget.bar["note"]
    assert rids(table) == before
    click(table, "turn", step=1)
    assert rids(table) != before


def test_ticked_rows_are_kept_whole_over_pages_and_changes_of_theirs(table, jobs):
    first = table.page.rows[0]
    table.widget.ticked = [first["RID"], "not there"]
    put = "attributegroup/Imaging:Image/RID;Priority"
    jobs.catalog.put(put, [{"RID": first["RID"], "Priority": 77}])

    table.load()
    second = table.page.rows[1]
    table.widget.ticked = [first["RID"], second["RID"]]
    table.widget.ticked = [first["RID"]]
    table.turn(1)
    table.draw()

    assert table.picked == (first,)
    assert table.widget.bar["picked"] == "1 selected, 1 of them elsewhere"
    click(table, "clear")
    assert (table.picked, table.widget.bar["picked"]) == ((), "")


def test_all_that_match_are_meant_until_something_else_is_ticked_or_asked(table, box):
    table.widget.ticked = rids(table)
    table.draw()
    assert table.widget.bar["all"] == f"Select all {table.total} that match"

    click(table, "tick_all")

    assert table.widget.bar["picked"] == f"all {table.total} selected"
    later = box.add(1)
    assert table.chosen()[-1]["RID"] == later[0]
    table.filter("Modality", "confocal")
    assert not table.picks_all
    click(table, "tick_all")
    table.widget.ticked = rids(table)[:3]
    assert (table.picks_all, len(table.chosen())) == (False, 3)


def test_a_drawer_opens_beside_its_row_and_a_key_does_what_a_panel_says(table):
    rid = rids(table)[2]

    click(table, "open", rid=rid)
    assert table.widget.page["details"] == {rid: f"<p>about {rid}</p>"}
    click(table, "open", rid=rid)
    click(table, "key", key="r")
    click(table, "key", key="x")
    click(table, "nonsense")

    assert table.widget.page["details"] == {}
    assert table.pressed == ["r"]


def test_no_more_than_five_drawers_are_open(table):
    for rid in rids(table)[:9]:
        table.open(rid)
    table.draw()

    assert list(table.widget.page["details"]) == rids(table)[4:9]


def test_nothing_is_sent_again_that_did_not_change(table):
    table.draw()
    page, bar = table.widget.page, table.widget.bar
    table.widget.ticked = rids(table)[:1]

    table.draw()

    assert table.widget.page is page
    assert table.widget.bar is not bar
