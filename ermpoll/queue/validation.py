"""What only the catalog can tell about a queue's definition, asked once."""

from __future__ import annotations

from ermpoll.catalog import paths
from ermpoll.catalog.client import Catalog
from ermpoll.errors import BadRequest, Conflict, UsageError
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.queries import Queries


def check_words(catalog: Catalog, spec: QueueDefinition) -> None:
    """Check that the state words are in the vocabulary the state column refers to.

    Raises
    ------
    UsageError
        A word is missing there: every write of it would be refused.
    """
    if "{error}" in spec.failed:
        return
    words = [*(w for w in spec.ready if w), spec.claimed, spec.done, spec.failed]
    for reference in spec.table.references:
        if reference.column != spec.state:
            continue
        table = f"{paths.quote(reference.schema)}:{paths.quote(reference.table)}"
        known = paths.equals(reference.referenced, *words)
        name = paths.quote(reference.referenced)
        page = catalog.get(paths.join("attribute", table, known, name))
        found = {row[reference.referenced] for row in page.rows} if page else set()
        missing = [word for word in words if word not in found]
        if missing:
            raise UsageError(
                f"expected state words of {reference.schema}:{reference.table}, found "
                f"{', '.join(map(repr, missing))}, which it does not have; add them "
                "there or use its words"
            )


def check_query(catalog: Catalog, spec: QueueDefinition, queries: Queries) -> None:
    """Let the catalog read the query once: it knows filters better than we do.

    Raises
    ------
    UsageError
        It does not understand the filter or path.
    """
    try:
        catalog.get(queries.candidates(catalog.now(), 0))
    except (BadRequest, Conflict) as error:
        what = "path" if spec.path else "where"
        raise UsageError(
            f"{what}: expected a filter the catalog understands, found "
            f"{spec.path or spec.where!r}; it says: {error.detail}"
        ) from error
