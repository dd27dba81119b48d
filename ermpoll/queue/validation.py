"""What can't be in a queue's definition: by the table's model, and by the catalog.

Each check raises before anything is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ermpoll.catalog import paths
from ermpoll.catalog.client import Catalog
from ermpoll.catalog.model import Column
from ermpoll.errors import BadRequest, Conflict, UsageError
from ermpoll.queue.definition import COLUMN_TYPES, DEFAULT_STATE, QueueDefinition
from ermpoll.queue.reading import reach
from ermpoll.queue.table import QueueTable
from ermpoll.queue.tokens import LONGEST_LEASE_S


def check_told(catalog: object, table: object, *texts: object) -> None:
    """Check catalog, table, and the texts ``where``, ``order`` and ``path``."""
    if not isinstance(catalog, Catalog):
        raise UsageError(
            "catalog: expected what ermpoll.connect returns, found "
            f"{type(catalog).__name__}; make one with ermpoll.connect(url)"
        )
    if not isinstance(table, str):
        parts = [str(part) for part in table] if isinstance(table, tuple | list) else []
        meant = f"; did you mean {':'.join(parts)!r}?" if len(parts) == 2 else ""
        raise UsageError(f"table: expected 'Schema:Table', found {table!r:.80}" + meant)
    for what, text in zip(("where", "order", "path"), texts, strict=True):
        if not isinstance(text, str) and not (what == "path" and text is None):
            parts = (
                [str(part) for part in text] if isinstance(text, tuple | list) else []
            )
            joined = {"order": ",", "where": "/", "path": "/"}[what].join(parts)
            meant = f"; did you mean {joined!r}?" if parts else ""
            raise UsageError(f"{what}: expected a text, found {text!r:.80}{meant}")


def names_of(what: str, names: object) -> tuple[str, ...]:
    """Return a list of names as a tuple."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UsageError(
            f"{what}: expected a list of names, found {names!r:.80}; did you mean "
            f"[{names!r:.80}]?"
        )
    return tuple(names)


def check(table: QueueTable) -> None:
    """Check a queue's definition, first by its table's model, then by the catalog.

    Raises
    ------
    UsageError
        A column that isn't there or has the wrong type; words that are equal, so
        that a claim would not leave the query, or that the vocabulary of the state
        column lacks; a lease or number that can't be; a filter or path that the
        catalog does not understand.
    CatalogError
        The catalog can't be reached, or refuses this login.
    """
    definition = table.definition
    _check_words(definition)
    _check_path(definition)
    _check_columns(definition)
    _check_numbers(definition)
    _check_vocabulary(table)
    _check_query(table)


def _check_words(definition: QueueDefinition) -> None:
    words = {
        "claimed": definition.claimed,
        "done": definition.done,
        "failed": definition.failed,
    }
    for what, word in words.items():
        if not isinstance(word, str) or not word:
            raise UsageError(f"{what}: expected a state word, found {word!r}")
        if word in definition.ready:
            raise UsageError(
                f"{what}: expected a word that is not a ready one, found {word!r}; "
                "a row in it would be a candidate again at once"
            )
    if len(set(words.values())) < len(words):
        raise UsageError(
            "expected different words for claimed, done and failed, found "
            + ", ".join(f"{what}={word!r}" for what, word in words.items())
        )
    for other in (*definition.ready, definition.claimed, definition.done):
        if definition.is_failed(other):
            raise UsageError(
                f"failed: expected a word unlike the others, found "
                f"{definition.failed!r}, which also means {other!r}"
            )


def _check_path(definition: QueueDefinition) -> None:
    for what, text in (("where", definition.where), ("path", definition.path or "")):
        if re.search(r"[?@\s]", text):
            raise UsageError(
                f"{what}: expected ERMrest path text without '@', '?' and spaces, "
                f"found {text!r}; write a condition as column=value, with one '=' and "
                "without quotes, use order= and limit=, and percent-encode values"
            )
    if definition.path is not None and definition.where:
        raise UsageError("expected where or path, found both; put the filter in path")
    named = reach.columns_of_path(definition.path or "")
    if own := named.intersection(definition.own_columns):
        raise UsageError(
            "path: expected a path that a row stays in once it is claimed, found "
            f"{', '.join(map(repr, sorted(own)))} in it, which claiming itself writes; "
            "leave it out: the ready words are added to the path"
        )


def _check_columns(definition: QueueDefinition) -> None:
    _check_state(definition)
    for use, (bases, wanted) in COLUMN_TYPES.items():
        name = getattr(definition, use)
        if name is not None:
            _check_type(definition.table.column(name, use), use, bases, wanted)
    shown = definition.columns or ()
    for names, what in (
        (("RID", "RMT"), "table"),
        (shown, "columns"),
        (definition.order.columns, "order"),
    ):
        for name in names:
            definition.table.column(name, what)
    _check_distinct(definition)
    _check_unique(definition)


def _check_state(definition: QueueDefinition) -> None:
    table = definition.table
    if definition.state in table.columns or definition.state != DEFAULT_STATE:
        return
    # nobody named it: a column's name is no misspelling of a word not written
    texts = [one.name for one in table.columns.values() if one.base == "text"]
    likely = [name for name in texts if "stat" in name.casefold()] or texts
    raise UsageError(
        f"state: expected the name of the column of {table.label} that says what "
        f"happens to a row next, as none is called {DEFAULT_STATE!r}; of type text are "
        + ", ".join(map(repr, likely))
    )


def _check_type(column: Column, what: str, bases: tuple[str, ...], wanted: str) -> None:
    if column.base not in bases or column.is_array:
        raise UsageError(
            f"{what}: expected a column of type {wanted}, found {column.name!r} of "
            f"type {column.typename}"
        )


def _check_distinct(definition: QueueDefinition) -> None:
    names = definition.own_columns
    if len(set(names)) < len(names):
        raise UsageError(
            f"expected different columns for state, owner, attempts, retry_at and "
            f"error, found {', '.join(names)}"
        )


def _check_unique(definition: QueueDefinition) -> None:
    for key in definition.table.keys:
        if len(key) == 1 and key[0] in definition.own_columns:
            raise UsageError(
                f"expected {key[0]!r} to hold one value for many rows, but it is a "
                f"key of {definition.table.label}; two rows could not be claimed "
                "together"
            )


def _check_numbers(definition: QueueDefinition) -> None:
    if not 1 <= definition.lease_s <= LONGEST_LEASE_S:
        raise UsageError(
            f"lease_s: expected 1 second to 300 years, found {definition.lease_s}; "
            "a shorter lease can't be kept by three renewals"
        )
    most = _most_attempts(definition)
    if not 1 <= definition.max_attempts <= most:
        raise UsageError(
            f"max_attempts: expected 1 to {most}, found {definition.max_attempts}"
        )


def _most_attempts(definition: QueueDefinition) -> int:
    """Return what the attempts column can hold; without one nothing is counted."""
    if definition.attempts is None:
        return 2**63 - 1
    size = definition.table.columns[definition.attempts].base.removeprefix("int")
    return int(2 ** (8 * int(size) - 1)) - 1


def _check_vocabulary(table: QueueTable) -> None:
    """Check that the state words are those of the table that the column refers to."""
    definition = table.definition
    referring = [r for r in definition.table.references if r.column == definition.state]
    if "{error}" in definition.failed and referring:
        raise UsageError(
            f"failed: expected a word of {referring[0].schema}:{referring[0].table}, "
            f"which {definition.state!r} refers to, found {definition.failed!r}; "
            "a word with a reason in it is in no vocabulary: use one of its words, and "
            "error= for the reason"
        )
    ready = [word for word in definition.ready if word]
    words = [*ready, definition.claimed, definition.done, definition.failed]
    for reference in referring:
        label = f"{paths.quote(reference.schema)}:{paths.quote(reference.table)}"
        known = paths.equals(reference.referenced, *words)
        name = paths.quote(reference.referenced)
        path = paths.join("attribute", label, known, name)
        found = {
            row[reference.referenced]
            for row in table.catalog.rows(path, reference.referenced)
        }
        missing = [word for word in words if word not in found]
        if missing:
            raise UsageError(
                f"expected state words of {reference.schema}:{reference.table}, found "
                f"{', '.join(map(repr, missing))}, which it does not have; add them "
                "there or use its words"
            )


def misspelt_ready(table: QueueTable) -> str:
    """Say which ready word is likely to be misspelt, by those that occur; or ""."""
    definition = table.definition
    ready = [word for word in definition.ready if word and word not in definition.words]
    if table.has_vocabulary or not ready:
        return ""
    missing = [word for word in ready if word not in table.words_met(*ready)]
    for met in table.words_met() if missing else ():
        near = definition.near_miss(met)
        if near in missing:
            return (
                f"ready: {near!r} is in no row of {table.title}, but {met!r} is; did "
                f"you mean that? If not, say so with words=[{met!r}]"
            )
    return ""


def _check_query(table: QueueTable) -> None:
    """Let the catalog read the query once: it knows filters better than we do."""
    definition, catalog = table.definition, table.catalog
    try:
        catalog.get(table.queries.candidates(catalog.now(), 0))
    except (BadRequest, Conflict) as error:
        what, text = "where", definition.where
        if definition.path:
            what, text = "path", definition.path
        told = [error.detail.rstrip("."), *_strange(definition)]
        raise UsageError(
            f"{what}: expected a filter the catalog understands, found {text[:200]!r}; "
            f"it says: {'; '.join(told)}"
        ) from error


def _strange(definition: QueueDefinition) -> Iterator[str]:
    """Name the columns in the filter that the table hasn't, and what is meant."""
    for name in sorted(reach.columns_of(definition.where)):
        try:
            definition.table.column(name, "where")
        except UsageError as error:
            yield str(error)
