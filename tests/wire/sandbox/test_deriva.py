"""deriva-py 1.7 as a client: all that its model and path classes can write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import deriva.core.datapath as dp
import pika
import pytest
from deriva.core import DerivaServer, ErmrestCatalog
from deriva.core.ermrest_model import (
    Column,
    ForeignKey,
    Key,
    Model,
    Schema,
    Table,
    builtin_types,
)
from deriva.core.polling_ermrest_catalog import PollingErmrestCatalog
from requests import HTTPError

from ermpoll.sandbox import Box

ROWS = [
    {"name": "a", "state": "new", "no": 1, "doc": {"x": [1]}, "tags": ["p", "q"]},
    {"name": "b", "state": "new", "no": 2, "when": "2024-01-01T00:00:00+00:00"},
    {"name": "c/d & e", "state": "done", "no": 7},
    {"name": "é ☕", "state": None, "no": None},
]


@pytest.fixture
def catalog(shared_box: Box) -> Iterator[ErmrestCatalog]:
    server = DerivaServer("http", urlsplit(shared_box.url).netloc)
    catalog = server.create_ermrest_catalog()
    yield catalog
    catalog.delete_ermrest_catalog(really=True)


@pytest.fixture
def model(catalog: ErmrestCatalog) -> Model:
    """A catalog's model with tables Job and Step, which references Job's RID."""
    model = catalog.getCatalogModel()
    schema = model.create_schema(Schema.define("Ops"))
    types = builtin_types
    schema.create_table(
        Table.define(
            "Job",
            [
                Column.define("name", types.text, nullok=False),
                Column.define("state", types.text, default="new"),
                Column.define("no", types.int4),
                Column.define("doc", types.jsonb),
                Column.define("tags", types["text[]"]),
                Column.define("when", types.timestamptz),
            ],
            key_defs=[Key.define(["name"])],
        )
    )
    schema.create_table(
        Table.define(
            "Step",
            [Column.define("job", types.text), Column.define("title", types.text)],
            fkey_defs=[
                ForeignKey.define(["job"], "Ops", "Job", ["RID"], on_delete="CASCADE")
            ],
        )
    )
    return model


@pytest.fixture
def paths(catalog: ErmrestCatalog, model: Model) -> Any:
    """The path builder's schema Ops, with four jobs and three steps of the first."""
    ops = catalog.getPathBuilder().schemas["Ops"]
    ops.tables["Job"].insert(ROWS)
    (first,) = ops.tables["Job"].filter(ops.tables["Job"].name == "a").entities()
    steps = [{"job": first["RID"], "title": f"s{number}"} for number in range(3)]
    ops.tables["Step"].insert(steps)
    return ops


def _names(path: Any) -> list[str]:
    return sorted(row["name"] for row in path.entities())


def test_a_catalog_is_made_found_and_deleted(shared_box: Box) -> None:
    server = DerivaServer("http", urlsplit(shared_box.url).netloc)

    catalog = server.create_ermrest_catalog()

    assert catalog.exists()
    assert list(catalog.getCatalogModel().schemas) == ["public"]
    catalog.delete_ermrest_catalog(really=True)
    assert not catalog.exists()


def test_tables_have_the_keys_and_links_they_were_defined_with(
    catalog: ErmrestCatalog, model: Model
) -> None:
    read = catalog.getCatalogModel().schemas["Ops"].tables

    assert [key.constraint_name for key in read["Job"].keys] == [
        "Job_RID_key",
        "Job_name_key",
    ]
    assert sorted(fkey.constraint_name for fkey in read["Step"].foreign_keys) == [
        "Step_RCB_fkey",
        "Step_RMB_fkey",
        "Step_job_fkey",
    ]
    assert read["Job"].columns["tags"].type.typename == "text[]"


def test_a_column_is_made_renamed_retyped_and_dropped(
    catalog: ErmrestCatalog, model: Model
) -> None:
    job = model.schemas["Ops"].tables["Job"]

    column = job.create_column(Column.define("extra", builtin_types.int4))
    column.alter(name="more", comment="said", default=3)
    column.alter(type=builtin_types.text)

    read = catalog.getCatalogModel().schemas["Ops"].tables["Job"].columns["more"]
    assert (read.type.typename, read.comment, read.default) == ("text", "said", 3)
    column.drop()
    columns = catalog.getCatalogModel().schemas["Ops"].tables["Job"].columns
    assert "more" not in [column.name for column in columns]


def test_a_key_is_made_altered_and_dropped(
    catalog: ErmrestCatalog, model: Model
) -> None:
    job = model.schemas["Ops"].tables["Job"]

    key = job.create_key(Key.define(["state", "no"]))
    key.alter(constraint_name="both", comment="said")

    # deriva-py forgets where a renamed key belongs, so it is read again.
    read = catalog.getCatalogModel().schemas["Ops"].tables["Job"].keys
    (found,) = [key for key in read if key.constraint_name == "both"]
    assert found.comment == "said"
    found.drop()
    assert len(catalog.getCatalogModel().schemas["Ops"].tables["Job"].keys) == 2


def test_a_foreign_key_is_made_altered_and_dropped(
    catalog: ErmrestCatalog, model: Model
) -> None:
    step = model.schemas["Ops"].tables["Step"]

    fkey = step.create_fkey(ForeignKey.define(["title"], "Ops", "Job", ["name"]))
    fkey.alter(on_delete="SET NULL", on_update="CASCADE")

    read = catalog.getCatalogModel().schemas["Ops"].tables["Step"].foreign_keys
    (found,) = [item for item in read if item.constraint_name == "Step_title_fkey"]
    assert (found.on_delete, found.on_update) == ("SET NULL", "CASCADE")
    fkey.drop()
    read = catalog.getCatalogModel().schemas["Ops"].tables["Step"].foreign_keys
    assert len(read) == 3


def test_annotations_comments_and_acls_are_stored_by_apply(
    catalog: ErmrestCatalog, model: Model
) -> None:
    job = model.schemas["Ops"].tables["Job"]
    job.annotations["tag:example.org,2026:x"] = {"a": 1}
    job.comment = "said"
    job.acls["select"] = ["*"]
    job.acl_bindings["mine"] = {
        "types": ["owner"],
        "projection": ["RCB"],
        "projection_type": "acl",
    }
    model.acls["enumerate"] = ["*"]

    model.apply()

    read = catalog.getCatalogModel()
    table = read.schemas["Ops"].tables["Job"]
    assert dict(table.annotations) == {"tag:example.org,2026:x": {"a": 1}}
    assert (table.comment, dict(table.acls)) == ("said", {"select": ["*"]})
    assert list(table.acl_bindings) == ["mine"]
    assert read.acls["enumerate"] == ["*"]


def test_a_schema_is_renamed_with_all_that_refers_to_it(
    catalog: ErmrestCatalog, model: Model
) -> None:
    model.schemas["Ops"].alter(schema_name="Works")

    read = catalog.getCatalogModel().schemas["Works"].tables["Step"]
    targets = {fkey.pk_table.schema.name for fkey in read.foreign_keys}
    assert targets == {"Works", "public"}


def test_renaming_a_table_fails_as_on_the_real_service(model: Model) -> None:
    with pytest.raises(HTTPError, match="409"):
        model.schemas["Ops"].tables["Job"].alter(table_name="Task")


def test_tables_and_schema_are_dropped(catalog: ErmrestCatalog, model: Model) -> None:
    ops = model.schemas["Ops"]

    with pytest.raises(HTTPError, match="409"):
        ops.tables["Job"].drop()
    ops.tables["Step"].drop()
    ops.tables["Job"].drop()
    ops.drop()

    assert list(catalog.getCatalogModel().schemas) == ["public"]


def test_insert_uses_defaults_only_where_named(paths: Any) -> None:
    rows = [{"name": "x", "state": "kept?"}, {"name": "y"}]

    named = list(paths.Job.insert(rows, defaults={"state"}))
    plain = list(paths.Job.insert([{"name": "z"}]))

    assert [row["state"] for row in named] == ["new", "new"]
    assert [row["state"] for row in plain] == [None]


def test_insert_takes_a_rid_as_nondefault(paths: Any) -> None:
    (row,) = paths.Job.insert([{"RID": "9-9998", "name": "x"}], nondefaults={"RID"})

    assert row["RID"] == "9-9998"


def test_insert_skips_rows_that_are_there(paths: Any) -> None:
    rows = [{"name": "a"}, {"name": "new one"}]

    inserted = list(paths.Job.insert(rows, on_conflict_skip=True))

    assert [row["name"] for row in inserted] == ["new one"]


def test_update_by_rid_changes_targets_only(paths: Any) -> None:
    (row,) = paths.Job.filter(paths.Job.name == "b").entities()

    (written,) = paths.Job.update([{**row, "no": 9, "state": "no"}], targets={"no"})

    assert written == {"RID": row["RID"], "no": 9}
    (after,) = paths.Job.filter(paths.Job.name == "b").entities()
    assert after["state"] == "new"


def test_update_by_rid_and_rmt_is_a_compare_and_set(paths: Any) -> None:
    (row,) = paths.Job.filter(paths.Job.name == "b").entities()
    how = {"correlation": {"RID", "RMT"}, "targets": {"state"}}

    first = list(paths.Job.update([{**row, "state": "claimed"}], **how))
    second = list(paths.Job.update([{**row, "state": "mine"}], **how))

    assert [item["state"] for item in first] == ["claimed"]
    assert second == []


def test_delete_takes_the_filtered_rows_and_what_cascades(paths: Any) -> None:
    paths.Job.filter(paths.Job.name == "a").delete()

    assert _names(paths.Job) == ["b", "c/d & e", "é ☕"]
    assert list(paths.Step.entities()) == []


def test_resolve_rid_finds_the_table(catalog: ErmrestCatalog, paths: Any) -> None:
    (row,) = paths.Job.filter(paths.Job.name == "a").entities()

    assert catalog.resolve_rid(row["RID"]).table.name == "Job"


@pytest.mark.parametrize(
    ("predicate", "names"),
    [
        (lambda job: job.no > 1, ["b", "c/d & e"]),
        (lambda job: job.no >= 7, ["c/d & e"]),
        (lambda job: job.no < 2, ["a"]),
        (lambda job: job.no <= 2, ["a", "b"]),
        (lambda job: job.name == "é ☕", ["é ☕"]),
        (lambda job: job.state == None, ["é ☕"]),  # noqa: E711 - how it is written
        (lambda job: ~(job.state == "new"), ["c/d & e"]),
        (lambda job: (job.no == 1) | (job.no == 2) & (job.state == "new"), ["a", "b"]),
        (lambda job: ~((job.no == 1) | (job.no == 2)), ["c/d & e"]),
        (lambda job: job.name.regexp("^[ab]$"), ["a", "b"]),
        (lambda job: job.name.ciregexp("^[AB]$"), ["a", "b"]),
        (lambda job: job.name == dp.Any("a", "c/d & e"), ["a", "c/d & e"]),
        (lambda job: job.tags == dp.All("p", "q"), ["a"]),
        (lambda job: job.tags == "q", ["a"]),
    ],
)
def test_filters_find_what_they_say(paths: Any, predicate: Any, names: Any) -> None:
    assert _names(paths.Job.filter(predicate(paths.Job))) == names


def test_links_follow_the_foreign_key_in_both_directions(paths: Any) -> None:
    assert len(list(paths.Job.link(paths.Step).entities())) == 3
    assert _names(paths.Step.link(paths.Job)) == ["a"]


@pytest.mark.parametrize(("kind", "count"), [("", 3), ("left", 4), ("right", 3)])
def test_links_take_conditions_aliases_and_outer_joins(
    paths: Any, kind: str, count: int
) -> None:
    job, step = paths.Job.alias("J"), paths.Step.alias("S")

    linked = job.link(step, on=(job.RID == step.job), join_type=kind)  # noqa: SIM300

    # Jobs without steps come as one row of nothing, since entities are distinct.
    titles = [row["title"] for row in linked.entities().sort(step.title)]
    assert titles == ["s0", "s1", "s2", None][:count]


def test_context_goes_back_to_an_earlier_table(paths: Any) -> None:
    linked = paths.Job.link(paths.Step)
    filtered = linked.filter(linked.Step.title == "s1")

    assert [row["name"] for row in filtered.Job.entities()] == ["a"]


def test_attributes_are_projected_renamed_sorted_and_limited(paths: Any) -> None:
    linked = paths.Job.link(paths.Step)
    result = linked.attributes(
        linked.Job.column_definitions["name"].alias("job"), linked.Step.title
    )

    rows = list(result.sort(linked.Step.title.desc).fetch(limit=2))

    assert rows == [{"job": "a", "title": "s2"}, {"job": "a", "title": "s1"}]


def test_aggregates_count_sum_and_collect(paths: Any) -> None:
    n = paths.Job.column_definitions["no"]
    result = paths.Job.aggregates(
        dp.Cnt(paths.Job).alias("rows"),
        dp.Cnt(n).alias("filled"),
        dp.CntD(paths.Job.state).alias("states"),
        dp.Min(n).alias("lo"),
        dp.Max(n).alias("hi"),
        dp.Sum(n).alias("sum"),
        dp.Avg(n).alias("avg"),
        dp.ArrayD(paths.Job.state).alias("words"),
    )

    (row,) = result.fetch()

    words = row.pop("words")
    assert sorted(words, key=str) == [None, "done", "new"]
    assert row == {
        "rows": 4,
        "filled": 3,
        "states": 2,
        "lo": 1,
        "hi": 7,
        "sum": 10,
        "avg": pytest.approx(10 / 3),
    }


def test_groups_have_keys_aggregates_and_bins(paths: Any) -> None:
    n = paths.Job.column_definitions["no"]
    by_state = paths.Job.groupby(paths.Job.state).attributes(
        dp.Cnt(paths.Job.RID).alias("rows"), dp.Array(paths.Job.name).alias("names")
    )
    by_bin = paths.Job.groupby(dp.Bin(n, 2, 0, 10).alias("bin")).attributes(
        dp.Cnt(paths.Job.RID).alias("rows")
    )

    assert list(by_state.sort(paths.Job.state).fetch()) == [
        {"state": "done", "rows": 1, "names": ["c/d & e"]},
        {"state": "new", "rows": 2, "names": ["a", "b"]},
        {"state": None, "rows": 1, "names": ["é ☕"]},
    ]
    assert sorted(by_bin.fetch(), key=str) == [
        {"bin": [1, 0, 5], "rows": 2},
        {"bin": [2, 5, 10], "rows": 1},
        {"bin": [None, None, None], "rows": 1},
    ]


def test_snapshots_show_rows_as_they_were(catalog: ErmrestCatalog, paths: Any) -> None:
    then = catalog.latest_snapshot()
    paths.Job.filter(paths.Job.name == "a").delete()
    paths.Job.update([{**r, "no": 0} for r in paths.Job.entities()], targets={"no"})

    old = then.getPathBuilder().schemas["Ops"].tables["Job"]

    assert [row["no"] for row in old.entities().sort(old.name)] == [1, 2, 7, None]


def test_the_polling_catalog_claims_and_hears_notices(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = urlsplit(box.url)
    # The class knows a host only; the port of a broker is always the default one.
    port = urlsplit(box.amqp_url).port
    monkeypatch.setattr(pika.ConnectionParameters, "DEFAULT_PORT", port)
    catalog = PollingErmrestCatalog("http", place.netloc, "1", amqp_server="localhost")
    claimed: list[str] = []

    class Enough(Exception):
        pass

    def look() -> bool:
        _, batch = catalog.state_change_once(
            "/entity/Imaging:Image/Processing_Status=new?limit=50",
            "/attributegroup/Imaging:Image/RID;Processing_Status",
            lambda row: {"RID": row["RID"], "Processing_Status": "in progress"},
        )
        claimed.extend(before["RID"] for before, _ in batch)
        if len(claimed) > 36:
            raise Enough
        if not batch and len(claimed) == 36:
            # All of the demo's are claimed; this one comes by a notice.
            box.add(1)
        return bool(batch)

    with pytest.raises(Enough):
        catalog.blocking_poll(look, polling_seconds=30)

    catalog.amqp_connection.close()
    assert len(set(claimed)) == 37


def test_a_vocabulary_is_defined_and_takes_terms(
    catalog: ErmrestCatalog, model: Model
) -> None:
    schema = model.schemas["Ops"]
    schema.create_table(Table.define_vocabulary("Method", "ops:{RID}"))
    terms = catalog.getPathBuilder().schemas["Ops"].tables["Method"]

    made = terms.insert(
        [
            {"Name": name, "Description": name, "Synonyms": []}
            for name in ("wash", "dry", "scan")
        ],
        defaults=["ID", "URI"],
    )

    assert [row["ID"] for row in made] == [f"ops:{row['RID']}" for row in made]
    assert [row["URI"] for row in made] == [f"/id/{row['RID']}" for row in made]


def test_a_catalog_is_cloned_with_its_rows(
    catalog: ErmrestCatalog, paths: Any, shared_box: Box
) -> None:
    server = DerivaServer("http", urlsplit(shared_box.url).netloc)
    target = server.create_ermrest_catalog()
    try:
        catalog.clone_catalog(target)

        cloned = target.getPathBuilder().schemas["Ops"]
        for name in ("Job", "Step"):
            rows = list(paths.tables[name].entities().sort(paths.tables[name].RID))
            copies = list(cloned.tables[name].entities().sort(cloned.tables[name].RID))
            assert [row["RID"] for row in copies] == [row["RID"] for row in rows]
            assert [row["RCT"] for row in copies] == [row["RCT"] for row in rows]
    finally:
        target.delete_ermrest_catalog(really=True)
