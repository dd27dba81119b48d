"""What a table is told that wants to be a queue; the calls that it is given work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import ermpoll
from ermpoll import adopt, cli
from ermpoll.catalog.model import read_table, table_of
from ermpoll.errors import UsageError
from tests.helpers.tables import make_table


def advice(catalog: ermpoll.Catalog, columns: Mapping[str, str], **options: Any) -> Any:
    make_table(catalog, columns, name="Own", **options)
    return {one.wish.use: one for one in adopt.advise(read_table(catalog, "Ops:Own"))}


def run(program: str) -> dict[str, Any]:
    """Run what was printed; gives its names."""
    space: dict[str, Any] = {}
    exec(program, space)
    return space


def test_a_table_with_all_columns_is_told_so(box: ermpoll.sandbox.Box) -> None:
    text = adopt.report(box.catalog(), "Imaging:Image")

    assert "owner      Processing_Owner (text): there" in text
    assert "retry_at   Retry_At (timestamptz): there" in text
    assert "words in it: error 20, in progress 2, new 36, success 262" in text
    assert "create_column" not in text


@pytest.mark.parametrize("columns", [{"status": "text"}, {"Note": "text"}])
def test_the_calls_printed_make_a_queue_of_the_table(
    catalog: ermpoll.Catalog, columns: dict[str, str]
) -> None:
    make_table(catalog, columns, name="It's own")
    catalog.post("entity/Ops:It%27s%20own", [{next(iter(columns)): None}])

    _, _, calls = adopt.report(catalog, "Ops:It's own").partition("model:\n\n")
    adding, opening = calls.split("Then:\n\n")
    run(adding)["catalog"]._session.close()
    words = 'ready=None, claimed="claimed", done="complete", failed="failed",'
    opening = opening.replace(
        'ready="...", claimed="...", done="...", failed="...",', words
    )
    jobs = run(opening)["jobs"]

    assert len(jobs.candidates()) == 1
    claim = jobs.claim()
    assert list(jobs.complete(claim).won) == list(claim.rids)


def test_a_column_that_will_not_do_is_told_with_its_reason(
    catalog: ermpoll.Catalog,
) -> None:
    told = advice(
        catalog,
        {"State": "text", "Owner": "int4", "Attempts": "text", "Error": "text[]"},
    )

    assert told["state"].column == "State"
    assert told["owner"].column == "Job_Owner"
    assert told["owner"].unfit == ("'Owner': expected type text, found int4",)
    assert told["attempts"].unfit[0].endswith("expected type an integer, found text")
    assert told["error"].column == "Job_Error"


def test_a_column_that_must_be_filled_or_is_a_key_will_not_do(
    catalog: ermpoll.Catalog,
) -> None:
    told = advice(
        catalog,
        {"state": "text", "owner": "text", "error": "text"},
        required=["owner"],
        keys=[["error"]],
    )

    assert "may not be NULL" in told["owner"].unfit[0]
    assert "it is a key" in told["error"].unfit[0]
    assert (told["owner"].column, told["error"].column) == ("job_owner", "job_error")


def test_other_columns_that_would_do_are_named(catalog: ermpoll.Catalog) -> None:
    told = advice(catalog, {"status": "text", "old_status": "text"})

    assert (told["state"].column, told["state"].others) == ("status", ("old_status",))


def test_the_command_says_it_and_writes_nothing(
    box: ermpoll.sandbox.Box, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(box.log)

    assert cli.main(["adopt", box.url, "Dataset"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("Imaging:Dataset of http://localhost:")
    assert "Column.define('Owner', builtin_types.text)" in said
    assert len(box.log) == before


def test_a_table_that_is_not_there_is_an_error_of_the_call(
    box: ermpoll.sandbox.Box, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["adopt", box.url, "Imaging:Images"]) == 2

    assert "did you mean 'Image'?" in capsys.readouterr().err


def test_a_table_without_row_versions_is_refused(catalog: ermpoll.Catalog) -> None:
    bare = {
        "schema_name": "Ops",
        "table_name": "Bare",
        "column_definitions": [{"name": "RID", "type": {"typename": "text"}}],
        "keys": [],
        "foreign_keys": [],
    }

    with pytest.raises(UsageError, match="found 'RMT'"):
        adopt.advise(table_of(bare))
