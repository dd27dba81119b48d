"""What a table lacks to be a queue, and how to add it. Reads the model, writes nothing.

Knows nothing of the command line: it makes text.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ermpoll.catalog import paths
from ermpoll.catalog.client import Catalog
from ermpoll.catalog.model import SYSTEM_COLUMNS, Column, Table, read_table
from ermpoll.errors import UsageError
from ermpoll.queue.definition import COLUMN_TYPES
from ermpoll.redact import printable

#: State words that are shown at most.
_MOST_WORDS = 12


@dataclass(frozen=True, slots=True)
class Wish:
    """A column that claiming can use, what it is often called, and what it buys."""

    use: str
    typename: str
    #: Parts of names, in lower case and without signs.
    called: tuple[str, ...]
    buys: str


WISHES = (
    Wish(
        "state",
        "text",
        ("state", "status"),
        "what happens to the row next; without one there is no queue",
    ),
    Wish(
        "owner",
        "text",
        ("owner", "claimedby", "lockedby"),
        "who holds a row and until when: a lost answer is cleared up, a claim whose"
        " holder died is rescued by itself, someone else's edit doesn't break a claim",
    ),
    Wish(
        "error",
        "text",
        ("error", "failurereason"),
        "why a row failed, for failures(), why() and whoever looks at the table",
    ),
    Wish(
        "attempts",
        "int4",
        ("attempt", "tries"),
        "a failed row is tried again, max_attempts times, instead of failing at once",
    ),
    Wish(
        "retry_at",
        "timestamptz",
        ("retryat", "nextretry", "retryafter", "notbefore"),
        "it is tried again only after a while that grows, rather than right away",
    ),
)


@dataclass(frozen=True, slots=True)
class Advice:
    """What there is for one use, and what to do."""

    wish: Wish
    #: The column to give to `Queue`: one that is there, or a new one.
    column: str
    #: Its type, where it is there.
    found: str | None
    #: Columns of such a name that will not do, each with the reason.
    unfit: tuple[str, ...] = ()
    #: Other columns that would do.
    others: tuple[str, ...] = ()


def advise(table: Table) -> tuple[Advice, ...]:
    """Say for each use which column would do, or which one to add. Pure.

    Raises
    ------
    UsageError
        The table has no RID or RMT: it can't be claimed from at all.
    """
    for name in ("RID", "RMT"):
        table.column(name, "table")
    names = [name for name in table.columns if name not in SYSTEM_COLUMNS]
    capital = bool(names) and all(name[:1].isupper() for name in names)
    return tuple(_advice(table, wish, capital=capital) for wish in WISHES)


def _advice(table: Table, wish: Wish, *, capital: bool) -> Advice:
    fit: list[Column] = []
    unfit: list[str] = []
    for column in table.columns.values():
        if not _sounds_like(column.name, wish):
            continue
        if reason := _unfit(table, column, wish):
            unfit.append(f"{column.name!r}: {reason}")
        else:
            fit.append(column)
    if fit:
        others = tuple(column.name for column in fit[1:])
        return Advice(wish, fit[0].name, fit[0].typename, tuple(unfit), others)
    return Advice(wish, _new_name(table, wish, capital), None, tuple(unfit))


def _sounds_like(name: str, wish: Wish) -> bool:
    plain = re.sub(r"[^a-z]", "", name.lower())
    return any(part in plain for part in wish.called)


def _unfit(table: Table, column: Column, wish: Wish) -> str:
    """Why a column can't be used so, or ""."""
    bases, wanted = COLUMN_TYPES[wish.use]
    if column.base not in bases or column.is_array:
        return f"expected type {wanted}, found {column.typename}"
    if (column.name,) in table.keys:
        return "it is a key, so that no two rows can hold the same in it"
    if wish.use != "state" and any(r.column == column.name for r in table.references):
        return "it refers to another table, which holds none of what would be written"
    if wish.use != "state" and not column.nullok:
        return "it may not be NULL, and a free row has nothing in it"
    if column.may_update is False:
        return "this login may not update it"
    return ""


def _new_name(table: Table, wish: Wish, capital: bool) -> str:
    """A name in the table's own way of writing that is not taken."""
    for name in (wish.use, f"job_{wish.use}", f"ermpoll_{wish.use}"):
        written = name.title() if capital else name
        if written not in table.columns:
            return written
    raise UsageError(
        f"expected a free name for a column {wish.use!r} of {table.label}, found "
        "all taken; give yours to Queue by hand"
    )


def report(catalog: Catalog, label: str) -> str:
    """Return what to add to a table, in words and as calls to copy. Only reads.

    Parameters
    ----------
    catalog
        From `ermpoll.connect`; a login that can read the table.
    label
        ``Schema:Table``, or a bare name that is unique in the catalog.

    Raises
    ------
    UsageError
        There is no such table, or it has no RID or RMT.
    CatalogError
        The catalog can't be reached, or refuses this login.

    Examples
    --------
    >>> import ermpoll
    >>> box = ermpoll.sandbox.start()
    >>> text = report(box.catalog(), "Imaging:Image")
    >>> "owner      Processing_Owner (text): there" in text
    True
    """
    table = read_table(catalog, label)
    advice = advise(table)
    words = _words(catalog, table, advice[0]) if advice[0].found else {}
    parts = [
        f"{table.label} of {printable(catalog.url)}, as a queue. Nothing was written.",
        "\n".join(_told(table, advice, words)),
    ]
    missing = [one for one in advice if one.found is None]
    if missing:
        parts.append(
            "To add what is missing, with a login that may change the model:\n\n"
            + deriva_calls(catalog.url, table, missing)
        )
    parts.append("Then:\n\n" + queue_call(catalog.url, table, advice))
    return "\n\n".join(parts)


def _words(catalog: Catalog, table: Table, state: Advice) -> Mapping[str, object]:
    """The words in the state column, and how often."""
    path = paths.join(
        "attributegroup",
        table.path,
        f"word:={paths.quote(state.column)};n:=cnt(*)",
    )
    rows = catalog.rows(f"{path}?limit={_MOST_WORDS + 1}", "word", "n")
    return {
        "NULL" if row["word"] is None else str(row["word"]): row["n"] for row in rows
    }


def _told(
    table: Table, advice: tuple[Advice, ...], words: Mapping[str, object]
) -> Iterator[str]:
    if table.may_update is False:
        yield "This login may not update its rows: it can look, not claim.\n"
    for one in advice:
        there = (
            f"({one.found}): there" if one.found else f"({one.wish.typename}): add it"
        )
        yield f"{one.wish.use:<10} {printable(one.column)} {there}"
        yield textwrap.fill(
            one.wish.buys, 88, initial_indent=" " * 11, subsequent_indent=" " * 11
        )
        for reason in one.unfit:
            yield f"{'':<10} will not do: {printable(reason)}"
        if one.others:
            yield f"{'':<10} would do as well: {printable(', '.join(one.others))}"
        if one.wish.use == "state" and words:
            yield f"{'':<10} words in it: {_listed(words)}"
        if one.wish.use == "state" and one.found is None:
            yield f"{'':<10} all rows begin as NULL: give those done their word"


def _listed(words: Mapping[str, object]) -> str:
    shown = [f"{printable(word[:40])} {n}" for word, n in words.items()][:_MOST_WORDS]
    return ", ".join([*shown, "..."] if len(words) > _MOST_WORDS else shown)


def deriva_calls(url: str, table: Table, missing: list[Advice]) -> str:
    """Return the calls of deriva-py that add columns, as a program to copy."""
    at = urlsplit(url)
    number = at.path.rstrip("/").rpartition("/")[2]
    lines = [
        "from deriva.core import ErmrestCatalog, get_credential",
        "from deriva.core.ermrest_model import Column, builtin_types",
        "",
        f"login = get_credential({at.hostname!r})",
        f"catalog = ErmrestCatalog({at.scheme!r}, {at.netloc!r}, {number!r}, login)",
        f"schema = catalog.getCatalogModel().schemas[{table.schema!r}]",
        f"table = schema.tables[{table.name!r}]",
    ]
    lines += [
        f"table.create_column(Column.define({one.column!r}, "
        f"builtin_types.{one.wish.typename}))"
        for one in missing
    ]
    return "\n".join(lines)


def queue_call(url: str, table: Table, advice: tuple[Advice, ...]) -> str:
    """Return the call that opens the queue; its words are the table's to say."""
    lines = [
        "import ermpoll",
        "",
        "jobs = ermpoll.Queue(",
        f"    ermpoll.connect({url!r}),",
        f"    {table.path!r},",
        *(f"    {one.wish.use}={one.column!r}," for one in advice),
    ]
    if advice[0].found:
        words = (
            '    ready="...", claimed="...", done="...", failed="...",  # your words'
        )
    else:
        words = "    ready=None,  # NULL: rows that were given no word yet"
    return "\n".join([*lines, words, ")"])
