"""The catalog of a small microscopy core that every sandbox starts with.

``Imaging:Image`` is its queue: files come in as ``new``, are converted, and end as
``success`` or ``error``. The rows are the same each time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from ermpoll.sandbox.model.clients import OWNER, SOMEBODY
from ermpoll.sandbox.model.types import type_named
from ermpoll.sandbox.schema import catalogs
from ermpoll.sandbox.schema.create import Builder
from ermpoll.sandbox.store.journal import Journal
from ermpoll.sandbox.store.store import CatalogState, Store
from ermpoll.sandbox.write.rows import Transaction

#: The options of `ermpoll.Queue` on the demo's table.
QUEUE = {
    "state": "Processing_Status",
    "ready": "new",
    "claimed": "in progress",
    "done": "success",
    "failed": "error",
    "owner": "Processing_Owner",
    "error": "Processing_Error",
    "attempts": "Attempts",
    "retry_at": "Retry_At",
    "columns": ("File_Name", "Specimen", "Modality", "Bytes", "Acquired", "Priority"),
}
TABLE = "Imaging:Image"
_TABLES: dict[str, dict[str, str]] = {
    "Modality": {"Name": "text", "Description": "markdown"},
    "Subject": {"Code": "text", "Species": "text", "Sex": "text", "Born": "date"},
    "Dataset": {
        "Title": "text",
        "Summary": "markdown",
        "Released": "boolean",
        "Collected": "date",
    },
    "Image": {
        "File_Name": "text",
        "Specimen": "text",
        "Modality": "text",
        "Bytes": "int8",
        "Acquired": "timestamptz",
        "Metadata": "jsonb",
        "Tags": "text[]",
        "Priority": "int4",
        "Processing_Status": "text",
        "Processing_Owner": "text",
        "Processing_Error": "text",
        "Attempts": "int4",
        "Retry_At": "timestamptz",
        "Result": "jsonb",
        "Dataset": "text",
        "Subject": "text",
    },
}
_KEYS = {
    "Modality": "Name",
    "Subject": "Code",
    "Dataset": "Title",
    "Image": "File_Name",
}
_COMMENTS = {
    "Modality": "Kinds of microscopes",
    "Subject": "Animals that specimens were taken of",
    "Dataset": "Images that belong together",
    "Image": "One image file from a microscope, and how far its processing is",
}
_LINKS = {"Modality": "Name", "Dataset": "RID", "Subject": "RID"}
#: Links whose column holds a RID.
_BY_RID = ("Dataset", "Subject")
_MODALITIES = {
    "confocal": "Laser scanning, pinhole",
    "light sheet": "Whole cleared specimens",
    "brightfield": "Stained sections",
    "micro-CT": "X-ray tomography",
}
_TITLES = (
    "Nephron progenitors, E15.5",
    "Cleared kidneys, adult",
    "Palate closure, E14.5",
    "Islet survey 2025",
    "Hindlimb micro-CT",
)
_TAGS = ("e15.5", "gfp", "dapi", "overview", "repeat", "z-stack", "stitched")
_TROUBLES = (
    "TIFF directory 3 is truncated",
    "no pixel size in the metadata",
    "checksum differs from the manifest",
    "channel DAPI is empty",
)
_SUFFIXES = {
    "confocal": "czi",
    "light sheet": "h5",
    "brightfield": "svs",
    "micro-CT": "nii.gz",
}
_FIRST = datetime(2025, 9, 1, 8, 0, tzinfo=UTC)
_SUBJECTS = 12
_ROWS = 320
_NEW = 36
_HELD = 2


def make(store: Store) -> CatalogState:
    """Make the demo catalog, which anybody may read and its owner change."""
    catalog = catalogs.create(
        store,
        {"id": "1", "name": "demo", "description": "A microscopy core's catalog"},
        OWNER,
    )
    with store.remodelling(catalog, Journal(silent=True)) as model:
        for acl in ("enumerate", "select"):
            model.acls[acl] = ["*"]
        model.acls["insert"] = [SOMEBODY.id]
        builder = Builder(store=store, catalog=catalog, model=model, client=OWNER)
        schema = builder.schema({"schema_name": "Imaging", "comment": "Images"})
        for name in _TABLES:
            builder.table(schema, _table_doc(name))
        image = schema.tables["Image"]
        builder.add_fkeys(image, [_link(name) for name in _LINKS])
    _fill(store, catalog)
    return catalog


def _table_doc(name: str) -> dict[str, Any]:
    key = _KEYS[name]
    doc = catalogs.table_doc(
        name,
        _TABLES[name],
        keys=((key,),),
        required=(key,),
        comment=_COMMENTS[name],
    )
    for column in doc["column_definitions"]:
        if column["name"] == "Processing_Status":
            column["default"] = "new"
    return doc


def lesson_table(name: str, writers: Sequence[str]) -> dict[str, Any]:
    """Return the document of a table like the images', which belongs to nothing.

    ``writers``: ids of clients who may update it, besides the owner.
    """
    acls = {"update": list(writers)} if writers else {}
    return {**_table_doc("Image"), "table_name": name, "acls": acls}


def _link(name: str) -> dict[str, Any]:
    place = {"schema_name": "Imaging"}
    return {
        "foreign_key_columns": [{**place, "table_name": "Image", "column_name": name}],
        "referenced_columns": [
            {**place, "table_name": name, "column_name": _LINKS[name]}
        ],
    }


def _fill(store: Store, catalog: CatalogState) -> None:
    journal = Journal(silent=True)
    rids: dict[str, list[str]] = {}
    with store.writing(catalog, journal) as now:
        work = Transaction(
            store=store, catalog=catalog, journal=journal, now=now, who=OWNER.id
        )
        for name, rows in _contents().items():
            work.who = SOMEBODY.id if name == "Image" else OWNER.id
            rids[name] = [_insert(work, name, row, rids) for row in rows]


def _insert(
    work: Transaction, name: str, row: dict[str, Any], rids: dict[str, list[str]]
) -> str:
    """Insert one row of `_contents` and return its RID."""
    table = work.catalog.model.table("Imaging", name)
    whole = {
        "RID": work.catalog.new_rid(),
        "RCT": work.now,
        "RMT": work.now,
        "RCB": work.who,
        "RMB": work.who,
        **row,
    }
    for link in _BY_RID if name == "Image" else ():
        whole[link] = rids[link][row[link]]
    work.insert(table, {column: whole.get(column) for column in table.columns})
    return str(whole["RID"])


@cache
def _contents() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table, as they are kept; links are places in a table."""
    choice = random.Random(20250901)
    rows: dict[str, list[dict[str, Any]]] = {
        "Modality": [
            {"Name": name, "Description": text} for name, text in _MODALITIES.items()
        ],
        "Subject": list(_subjects(choice)),
        "Dataset": list(_datasets(choice)),
        "Image": list(_images(choice)),
    }
    return {name: [_kept(name, row) for row in rows[name]] for name in rows}


def _kept(table: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        if name in _BY_RID
        else type_named(_TABLES[table][name]).from_json(value)
        for name, value in row.items()
    }


def _subjects(choice: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(1, _SUBJECTS + 1):
        born = _FIRST.date() - timedelta(days=choice.randrange(40, 200))
        yield {
            "Code": f"M-{number:04}",
            "Species": "Mus musculus",
            "Sex": choice.choice(("F", "M")),
            "Born": born.isoformat(),
        }


def _datasets(choice: random.Random) -> Iterator[dict[str, Any]]:
    for number, title in enumerate(_TITLES):
        collected = _FIRST.date() + timedelta(days=7 * number)
        yield {
            "Title": title,
            "Summary": f"**{title}**: raw files and what was made of them",
            "Released": number < 2,
            "Collected": collected.isoformat(),
        }


def _images(choice: random.Random) -> Iterator[dict[str, Any]]:
    at = _FIRST
    for number in range(1, _ROWS + 1):
        at += timedelta(minutes=choice.randrange(3, 90), seconds=choice.randrange(60))
        row = image(choice, number, at)
        row["Dataset"] = choice.randrange(len(_TITLES))
        row["Subject"] = choice.randrange(_SUBJECTS)
        yield row | _processing(choice, number, row)


def image(choice: random.Random, number: int, at: datetime) -> dict[str, Any]:
    """Return a new image file's row, without what it belongs to."""
    modality = choice.choice(tuple(_MODALITIES))
    specimen = f"K{choice.randrange(1, 60):03}"
    stem = f"{at:%Y%m%d}_{specimen}_{number:04}"
    return {
        "File_Name": f"{stem}.{_SUFFIXES[modality]}",
        "Specimen": specimen,
        "Modality": modality,
        "Bytes": choice.randrange(20_000_000, 9_000_000_000),
        "Acquired": at.isoformat(),
        "Metadata": {
            "channels": choice.randrange(1, 5),
            "pixel_um": round(choice.uniform(0.1, 2.0), 3),
            "planes": choice.randrange(1, 400),
            "instrument": choice.choice(("LSM 980", "Lightsheet 7", "µCT 50")),
        },
        "Tags": choice.sample(_TAGS, choice.randrange(0, 4)),
        "Priority": choice.choice((1, 2, 2, 3, 3, 3)),
        "Processing_Status": "new",
        "Attempts": 0,
    }


def _processing(
    choice: random.Random, number: int, row: dict[str, Any]
) -> dict[str, Any]:
    """Return how far a row's processing is: the newest files wait."""
    if number > _ROWS - _NEW:
        return {}
    if number > _ROWS - _NEW - _HELD:
        # A daemon of the old kind has them: its claim carries no lease.
        owner = "tiff-converter@imaging-2"
        return {"Processing_Status": "in progress", "Processing_Owner": owner}
    if choice.random() < 0.08:
        trouble = choice.choice(_TROUBLES)
        return {
            "Processing_Status": "error",
            "Processing_Error": trouble,
            "Attempts": 3,
        }
    tiles = max(1, row["Bytes"] // 200_000_000)
    result = {"tiles": tiles, "converted": f"{row['File_Name']}.ome.zarr"}
    return {"Processing_Status": "success", "Attempts": 1, "Result": result}
